//! A problem of seven states on which student-driven distillation goes round in circles, because its update is not the
//! gradient of anything; and whose gradient-correct forms come to rest.
//!
//! The student sees only which of two questions is asked, A or B; the teacher sees the state.
//!
//! ```text
//! start (A) ──0──> B₀ (B) ──0──> AA: many steps of A, where 0 is right
//!     │                └───1──> BB: many steps of B, where 1 is right
//!     └─────1──> B₁ (B) ──0──> B0: many steps of B, where 0 is right
//!                      └───1──> A1: many steps of A, where 1 is right
//! ```
//!
//! With x and y the probabilities that the student answers A and B with 1, the states that teach it A = 1 come with x y, those
//! that teach A = 0 with (1 − x)(1 − y): x grows while y > ½. Those that teach B = 1 come with (1 − x) y, B = 0 with x (1 − y):
//! y falls while x > ½. That is matching pennies. Who answers rightly stays longer, which drives the circle outwards.

use apprentice::agents::device;
use apprentice::deploy::{Action, Activation, EnvironmentRef, Features, Header, Layer, Policy, Provenance};
use apprentice::distill::{DistillConfig, Distiller};
use apprentice::envs::{Env, EnvInfo, EnvSpec, Error, Generator, Registry, Space, Step};
use apprentice::presets;
use apprentice::telemetry::Logger;
use ndarray::array;

/// Steps after which who has answered wrongly last leaves.
const BLOCK: u32 = 6;
/// How often one may stay.
const BLOCKS: u32 = 4;

#[derive(Clone, serde::Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct SevenConfig {
    /// The observation is the state, and not only the question.
    whole: bool,
}

#[derive(Clone)]
struct Seven {
    whole: bool,
    state: u32,
    steps: u32,
}

/// The question that is asked in a state: 0 is A, 1 is B.
const QUESTIONS: [i64; 7] = [0, 1, 1, 0, 1, 1, 0];
/// What the teacher answers there with certainty, if anything.
const ANSWERS: [Option<i64>; 7] = [None, None, None, Some(0), Some(1), Some(0), Some(1)];

impl Seven {
    fn observe(&self) -> i64 {
        if self.whole { self.state.into() } else { QUESTIONS[self.state as usize] }
    }
}

impl Env for Seven {
    type Observation = i64;
    type Action = i64;
    type State = (u32, u32);

    fn observation_space(&self) -> Space {
        Space::discrete(if self.whole { 7 } else { 2 })
    }

    fn action_space(&self) -> Space {
        Space::discrete(2)
    }

    fn reset(&mut self, _: &mut Generator) -> i64 {
        (self.state, self.steps) = (0, 0);
        self.observe()
    }

    fn step(&mut self, action: &i64, _: &mut Generator) -> Step<i64> {
        let mut terminated = false;
        match self.state {
            0 => self.state = 1 + *action as u32,
            before @ (1 | 2) => self.state = 2 * before + 1 + *action as u32,
            end => {
                self.steps += 1;
                let right = ANSWERS[end as usize] == Some(*action);
                terminated = self.steps.is_multiple_of(BLOCK) && (!right || self.steps == BLOCK * BLOCKS);
            }
        }
        Step { observation: self.observe(), reward: 0.0, terminated, truncated: false }
    }

    fn state(&self) -> (u32, u32) {
        (self.state, self.steps)
    }

    fn set_state(&mut self, (state, steps): (u32, u32)) -> Result<(), Error> {
        (self.state, self.steps) = (state, steps);
        Ok(())
    }
}

/// Undecided in the first three states, as good as certain in the others.
fn teacher() -> Policy {
    let certainty = f32::ln(0.98 / 0.02);
    let logits = |answer: &Option<i64>| match answer {
        None => [0.0, 0.0],
        Some(0) => [certainty, 0.0],
        Some(_) => [0.0, certainty],
    };
    let header = Header {
        environment: EnvironmentRef {
            id: "t/Seven-v0".into(),
            kwargs: serde_json::json!({ "whole": true }),
            max_episode_steps: None,
            wrappers: serde_json::Value::Null,
        },
        observation: Features::OneHot { n: 7, start: 0 },
        normalizer: None,
        action: Action::Discrete { n: 2, start: 0 },
        masked: false,
        provenance: Provenance {
            role: "teacher".into(),
            algorithm: "by hand".into(),
            seed: 0,
            train_steps: 0,
            version: "0".into(),
            config: serde_json::Value::Null,
            teacher: None,
        },
    };
    let weight = ANSWERS.iter().flat_map(logits).collect();
    Policy::new(header, vec![Layer { weight, bias: vec![0.0; 2], activation: Activation::Identity }]).unwrap()
}

/// The course of (x, y) under a preset.
fn course(preset: &str) -> Vec<[f32; 2]> {
    let mut registry = Registry::builtin();
    registry.register(EnvInfo::new("t/Seven-v0"), |SevenConfig { whole }| Ok(Seven { whole, state: 0, steps: 0 }));
    let teacher = teacher();
    let told = [
        "total_timesteps=614400",
        "num_envs=64",
        "num_steps=24",
        "minibatch_size=2048",
        "update_epochs=1",
        "learning_rate=0.1",
        "lr_schedule=constant",
        "hidden=[]",
        "gamma=1.0",
        "gae_lambda=1.0",
        "evaluations=0",
    ];
    let config = presets::distill(preset, &told.map(str::to_owned)).unwrap();
    let config = DistillConfig { env: Some(EnvSpec::new("t/Seven-v0")), ..config };
    let mut distiller = Distiller::new(config, &teacher, &registry, &device("cpu").unwrap()).unwrap();
    let mut course = Vec::new();
    for _ in 0..400 {
        distiller.train_iteration(&mut Logger::none()).unwrap();
        let mut params = ndarray::Array2::zeros((2, 2));
        let mut none = ndarray::Array2::zeros((2, 0));
        distiller.engine().params(array![[0.0], [1.0]].view(), None, none.view_mut(), params.view_mut()).unwrap();
        let one = |row: usize| 1.0 / (1.0 + (params[[row, 0]] - params[[row, 1]]).exp());
        course.push([one(0), one(1)]);
    }
    course
}

/// How often the course crosses x = ½ upwards, by more than noise would.
fn rounds(course: &[[f32; 2]]) -> usize {
    let mut low = false;
    let mut count = 0;
    for [x, _] in course {
        if *x < 0.35 {
            low = true;
        } else if *x > 0.65 && low {
            (low, count) = (false, count + 1);
        }
    }
    count
}

#[test]
fn plain_student_driven_distillation_goes_round_and_gradients_come_to_rest() {
    let plain = course("student_driven");
    assert!(rounds(&plain[100..]) >= 2, "{:?}", &plain[100..]);
    for preset in ["reward_augmented", "entropy_regularised"] {
        let course = course(preset);
        assert_eq!(rounds(&course[200..]), 0, "{preset}: {:?}", &course[200..]);
        let spread = |i: usize| {
            let values = course[350..].iter().map(|point| point[i]);
            let (low, high) = values.fold((1.0_f32, 0.0_f32), |(low, high), x| (low.min(x), high.max(x)));
            high - low
        };
        assert!(spread(0) < 0.2 && spread(1) < 0.2, "{preset}: {:?}", &course[350..]);
    }
}
