//! What is seen once and needed later.

use apprentice::agents::{EvaluationPlan, Ppo, PpoConfig, Session, device, evaluate_in};
use apprentice::distill::{DistillConfig, Distiller};
use apprentice::envs::{self, Env, Generator, Registry, Space, Step, SyncVector};

/// Shows a sign in the first step of an episode, and nothing afterwards; in its last step it asks which one it was.
#[derive(Clone)]
struct Sign {
    sign: f32,
    t: u32,
}

const STEPS: u32 = 5;

impl Env for Sign {
    type Observation = [f32; 2];
    type Action = i64;
    type State = [f32; 2];

    fn observation_space(&self) -> Space {
        Space::bounded(&[-1.0, 0.0], &[1.0, 1.0])
    }

    fn action_space(&self) -> Space {
        Space::discrete(2)
    }

    fn reset(&mut self, rng: &mut Generator) -> [f32; 2] {
        (self.sign, self.t) = (if rng.integers(2) == 0 { -1.0 } else { 1.0 }, 0);
        [self.sign, 0.0]
    }

    fn step(&mut self, action: &i64, _: &mut Generator) -> Step<[f32; 2]> {
        self.t += 1;
        let (asked, over) = (self.t == STEPS - 1, self.t == STEPS);
        let right = over && (*action == 1) == (self.sign > 0.0);
        let observation = [0.0, f32::from(u8::from(asked))];
        Step { observation, reward: f64::from(u8::from(right)), terminated: over, truncated: false }
    }

    fn state(&self) -> [f32; 2] {
        [self.sign, self.t as f32]
    }

    fn set_state(&mut self, state: [f32; 2]) -> Result<(), envs::Error> {
        (self.sign, self.t) = (state[0], state[1] as u32);
        Ok(())
    }
}

fn envs(n: usize, seed: u64) -> Box<SyncVector<Sign>> {
    Box::new(SyncVector::copies(Sign { sign: 0.0, t: 0 }, None, n, seed))
}

/// The mean return over 200 episodes of what a configuration learns.
fn learnt(gru_hidden_size: usize) -> f64 {
    let config = PpoConfig {
        seed: 3,
        total_timesteps: 40_000,
        num_envs: 16,
        num_steps: 40,
        learning_rate: 1e-2,
        hidden: vec![16],
        evaluations: 0,
        gru_hidden_size,
        sequence_length: 10,
        ..PpoConfig::default()
    };
    let mut ppo = Ppo::with_envs(config, envs(16, 3), &device("cpu").unwrap()).unwrap();
    assert!(ppo.train(&mut Session::default()).unwrap().finished);
    let plan = EvaluationPlan { episodes: 200, ..EvaluationPlan::default() };
    evaluate_in(&ppo.policy().unwrap(), &mut *envs(200, 1_000), &plan).unwrap().mean()
}

/// Every answer is right with a memory, and half of them without.
#[test]
fn what_was_seen_is_remembered() {
    assert!(learnt(8) > 0.97);
    let without = learnt(0);
    assert!((0.35..0.65).contains(&without), "{without}");
}

/// CartPole without its velocities, from a teacher that sees them: the pole falls before long for a student without a
/// memory, and stands for one with.
#[test]
fn a_student_with_a_memory_does_what_one_without_cannot() {
    let registry = Registry::builtin();
    let device = device("cpu").unwrap();
    let set = ["total_timesteps=60000".to_owned()];
    let mut ppo = Ppo::new(apprentice::presets::ppo("cartpole", &set).unwrap(), &registry, &device).unwrap();
    ppo.train(&mut Session::default()).unwrap();
    let teacher = ppo.final_policy().unwrap();
    let student = |gru_hidden_size: usize| {
        let config = DistillConfig::from_toml(
            r#"
            total_timesteps = 40960
            hidden = []
            evaluations = 0
            learning_rate = 1e-2
            [env]
            id = "CartPole-v1"
            wrappers = [{ type = "SelectObservation", indices = [0, 2] }]
            "#,
        );
        let config = DistillConfig { gru_hidden_size, ..config.unwrap() };
        let mut distiller = Distiller::new(config, &teacher, &registry, &device).unwrap();
        distiller.train(&mut Session::default()).unwrap();
        let policy = distiller.policy().unwrap();
        apprentice::agents::evaluate(&policy, None, &registry, &EvaluationPlan::default()).unwrap().mean()
    };
    let (with, without) = (student(16), student(0));
    assert!(with > 400.0 && without < 200.0, "{with} and {without}");
}
