//! The student and its task in one WebAssembly module, called by `index.html`.
//!
//! Plain functions of numbers, so that nothing has to be generated to call them: one episode, and questions about it.

use apprentice_envs::{CartPole, CartPoleConfig, Env, Generator};
use std::cell::RefCell;

/// The policy, as `build.rs` exported it.
#[allow(dead_code, missing_docs, unreachable_pub, clippy::all)]
mod student {
    include!(concat!(env!("OUT_DIR"), "/student.rs"));
}

/// Where CartPole-v1 cuts an episode off. The page goes on; nothing more is earned then.
const LIMIT: u32 = 500;

/// An episode. Without its time limit, for the reader to watch and push for as long as they like.
struct Episode {
    task: CartPole,
    rng: Generator,
    observation: [f32; student::OBSERVATION],
    steps: u32,
    earned: f64,
    fallen: bool,
}

impl Episode {
    fn new(seed: u32) -> Self {
        let mut task = CartPole::new(CartPoleConfig::default()).expect("the default physics are sound");
        let mut rng = Generator::new(seed.into());
        let observation = task.reset(&mut rng);
        Self { task, rng, observation, steps: 0, earned: 0.0, fallen: false }
    }

    fn step(&mut self) -> Option<i64> {
        if self.fallen {
            return None;
        }
        let [action] = student::act(&self.observation)?.map(|action| action as i64);
        let step = self.task.step(&action, &mut self.rng);
        if self.steps < LIMIT {
            self.earned += step.reward;
        }
        self.steps += 1;
        (self.observation, self.fallen) = (step.observation, step.terminated);
        Some(action)
    }

    fn push(&mut self, cart: f64, pole: f64) {
        let [x, speed, angle, turning] = self.task.state();
        let state = [x, speed + cart, angle, turning + pole];
        self.task.set_state(state).expect("CartPole goes on from any state");
        self.observation = state.map(|number| number as f32);
    }
}

thread_local! {
    static EPISODE: RefCell<Episode> = RefCell::new(Episode::new(0));
}

fn episode<T>(f: impl FnOnce(&mut Episode) -> T) -> T {
    EPISODE.with_borrow_mut(f)
}

/// Begins the episode of a seed, Gymnasium's `reset(seed=seed)`.
#[unsafe(no_mangle)]
pub extern "C" fn reset(seed: u32) {
    episode(|episode| *episode = Episode::new(seed));
}

/// Lets the student act: 0 is left, 1 right. −1 if the pole has fallen, and nothing happened.
#[unsafe(no_mangle)]
pub extern "C" fn step() -> i32 {
    episode(|episode| episode.step().map_or(-1, |action| action as i32))
}

/// Makes the cart faster by so many m/s, and the pole by so many rad/s.
#[unsafe(no_mangle)]
pub extern "C" fn push(cart: f64, pole: f64) {
    episode(|episode| episode.push(cart, pole));
}

/// What the student sees: x, ẋ, θ, θ̇.
#[unsafe(no_mangle)]
pub extern "C" fn observation(index: usize) -> f32 {
    episode(|episode| episode.observation[index])
}

/// What the student makes of it: the logits of left and right. NaN if it has no answer.
#[unsafe(no_mangle)]
pub extern "C" fn logit(action: usize) -> f32 {
    episode(|episode| student::params(&episode.observation).map_or(f32::NAN, |params| params[action]))
}

/// Steps since the episode began.
#[unsafe(no_mangle)]
pub extern "C" fn steps() -> u32 {
    episode(|episode| episode.steps)
}

/// The return so far, as CartPole-v1 counts it.
#[unsafe(no_mangle)]
pub extern "C" fn earned() -> f64 {
    episode(|episode| episode.earned)
}

/// Whether the pole has fallen or the cart has left the track.
#[unsafe(no_mangle)]
pub extern "C" fn fallen() -> bool {
    episode(|episode| episode.fallen)
}

/// The size of the student.
#[unsafe(no_mangle)]
pub extern "C" fn parameters() -> usize {
    student::PARAMETERS
}
