//! From an environment in Rust to the table and back.

use super::table;
use crate::PluginBatch;
use crate::env::PluginEnv;
use crate::library::Library;
use apprentice_envs::{
    CartPole, Env, EnvInfo, EnvSpec, Error, Frame, Generator, GridWorld, Registry, Space, Step, StepBuffer, Taxi,
    Value, VectorOptions,
};
use ndarray::Array2;
use serde::Deserialize;

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct MoodConfig {
    panics: bool,
}

/// Panics when action 1 is taken twice, if its parameters say so.
#[derive(Clone)]
struct Mood {
    panics: bool,
    last: i64,
}

impl Env for Mood {
    type Observation = i64;
    type Action = i64;
    type State = i64;

    fn observation_space(&self) -> Space {
        Space::discrete(2)
    }

    fn action_space(&self) -> Space {
        Space::discrete(2)
    }

    fn reset(&mut self, _: &mut Generator) -> i64 {
        self.last = 0;
        0
    }

    fn step(&mut self, action: &i64, rng: &mut Generator) -> Step<i64> {
        assert!(!(self.panics && *action == 1 && self.last == 1), "ill-tempered: {}", "ö".repeat(300));
        self.last = *action;
        Step { observation: *action, reward: rng.random(), terminated: false, truncated: *action == 1 && !self.panics }
    }

    fn state(&self) -> i64 {
        self.last
    }

    fn set_state(&mut self, last: i64) -> Result<(), Error> {
        if !(0..2).contains(&last) {
            return Err(Error::snapshot("no such mood"));
        }
        self.last = last;
        Ok(())
    }

    fn action_mask(&self, mask: &mut [bool]) {
        mask[1] = self.last == 0;
    }

    fn render_rgb(&self) -> Option<Frame> {
        Some(Frame { width: 1, height: 1, rgb: vec![self.last as u8; 3] })
    }
}

fn register(registry: &mut Registry) {
    registry.register(EnvInfo::new("t/CartPole-v1").max_episode_steps(500).reward_threshold(475.0), CartPole::new);
    registry.register(EnvInfo::new("t/GridWorld-v0").page("# A page"), GridWorld::new);
    registry.register(EnvInfo::new("t/Taxi-v4"), Taxi::new);
    registry.register(EnvInfo::new("t/Mood-v0"), |MoodConfig { panics }| Ok(Mood { panics, last: 0 }));
}

/// The registry of a host that has loaded this.
fn loaded() -> Registry {
    // SAFETY: the table is a static.
    let (library, kinds) = unsafe { Library::from_table(table(register), "here".into(), None) }.unwrap();
    let mut registry = Registry::empty();
    crate::register(&library, kinds, &mut registry);
    registry
}

#[test]
fn infos_and_spaces_arrive() {
    let (mut direct, loaded) = (Registry::empty(), loaded());
    register(&mut direct);
    assert_eq!(direct.list().collect::<Vec<_>>(), loaded.list().collect::<Vec<_>>());
    for info in direct.list() {
        let [a, b] = [&direct, &loaded].map(|registry| registry.make(info.id.as_str()).unwrap());
        assert_eq!(a.observation_space(), b.observation_space());
        assert_eq!(a.action_space(), b.action_space());
    }
}

/// An episode over the border is the one that the environment has with a generator of the seed that crosses it.
#[test]
fn episodes_are_those_of_the_environment() {
    let (mut direct, loaded) = (Registry::empty(), loaded());
    register(&mut direct);
    for id in ["t/CartPole-v1", "t/GridWorld-v0", "t/Taxi-v4", "t/Mood-v0"] {
        let (mut near, mut far) = (direct.make(id).unwrap(), loaded.make(id).unwrap());
        let mut actions = Generator::new(7);
        for seed in 0..5 {
            assert_eq!(near.reset(Some(Generator::new(seed).bits64())).unwrap(), far.reset(Some(seed)).unwrap());
            for _ in 0..50 {
                let action = near.action_space().sample(&mut actions);
                let step = near.step(&action).unwrap();
                assert_eq!(step, far.step(&action).unwrap());
                assert_eq!(near.action_mask(), far.action_mask());
                assert_eq!((near.render_ansi(), near.render_rgb()), (far.render_ansi(), far.render_rgb()));
                if step.done() {
                    break;
                }
            }
        }
    }
}

#[test]
fn a_snapshot_holds_the_generator() {
    let registry = loaded();
    let mut env = registry.make("t/Mood-v0").unwrap();
    env.reset(Some(1)).unwrap();
    let snapshot = env.snapshot();
    let rewards = |env: &mut dyn apprentice_envs::DynEnv| {
        (0..5).map(|_| env.step(&Value::Discrete(0)).unwrap().reward).collect::<Vec<_>>()
    };
    let expected = rewards(&mut *env);
    let mut other = registry.make("t/Mood-v0").unwrap();
    other.restore(&snapshot).unwrap();
    assert_eq!(rewards(&mut *other), expected);
    let mut taxi = registry.make("t/Taxi-v4").unwrap();
    let error = taxi.restore(&snapshot).unwrap_err();
    assert!(error.is_snapshot() && error.to_string().contains("load failed"), "{error}");
}

#[test]
fn a_panic_becomes_an_error_and_the_environment_can_be_reset() {
    let registry = loaded();
    let spec = || EnvSpec::new("t/Mood-v0").with("panics", true);
    let options = VectorOptions::new(4, 0).threads(2);
    let mut env = registry.make_vec_with(spec(), &options).unwrap();
    let mut buffer = StepBuffer::new(&*env);
    for _ in 0..2 {
        env.reset(None, buffer.observations.view_mut()).unwrap();
        env.step(Array2::ones((4, 1)).view(), buffer.view_mut()).unwrap();
        let error = env.step(Array2::ones((4, 1)).view(), buffer.view_mut()).unwrap_err();
        let message = error.to_string();
        assert!(error.is_environment() && message.contains("step failed: panicked: ill-tempered: öö"), "{message}");
    }
    let error = registry.make(EnvSpec::new("t/Mood-v0").with("panic", true)).err().unwrap();
    assert!(error.is_config() && error.to_string().contains("unknown field `panic`"), "{error}");
}

/// A plugin whose registration panics, or that is asked for what it does not have, fails in order.
#[test]
fn what_is_not_there_is_an_error() {
    table(register);
    // SAFETY: any kind may be asked for.
    assert!(unsafe { super::calls::info(99) }.is_null());
    let exported = super::exported();
    let error = super::batch::ExportedBatch::new(exported, 99, 1, c"{}").err().unwrap();
    assert_eq!(error.to_string(), "there is no kind 99");
    assert!(super::batch::ExportedBatch::new(exported, 0, 1, c"[1]").is_err());
}

/// The two forms are `Send`, which threads need.
#[test]
fn environments_can_be_moved_between_threads() {
    fn is_send<T: Send>() {}
    is_send::<PluginEnv>();
    is_send::<PluginBatch>();
}
