//! Distillations that are interrupted and gone on with: the same bits as without.

use crate::cli::{failure, json, scalars_without_times};
use crate::distillation::balancing_teacher;
use apprentice::agents::{EngineChoice, EvaluationPlan, Ppo, PpoConfig, Session, checkpoint_path, device, evaluate};
use apprentice::deploy::{Header, Policy};
use apprentice::distill::{Checkpoint, DistillConfig, Distiller, Fusion, Teacher, Viper, ViperConfig};
use apprentice::envs::wrappers::WrapperSpec;
use apprentice::envs::{Env, EnvInfo, EnvSpec, Generator, Registry, Space, Step};
use apprentice::presets;
use apprentice::run::{RunDir, RunOptions, distill};
use apprentice::telemetry::{Logger, MemoryLog};
use serde_json::Value;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

/// What is logged, without the times.
type Scalars = Vec<(String, u64, f64)>;

fn scalars(log: &MemoryLog) -> Scalars {
    log.scalars().into_iter().filter(|(tag, ..)| !["final/train_seconds", "charts/SPS"].contains(&&tag[..])).collect()
}

/// A session that logs into memory, leaves checkpoints in `folder`, and ends after so many iterations.
fn session<'a>(folder: Option<&Path>, iterations: u64) -> (Session<'a>, MemoryLog) {
    let (logger, log) = Logger::memory();
    let mut done = 0;
    let callback = move |_: &apprentice::agents::Progress| {
        done += 1;
        if done == iterations { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let checkpoints = folder.map(Path::to_owned);
    (Session { logger, checkpoints, callback: Some(Box::new(callback)), ..Session::default() }, log)
}

/// The last checkpoint in a folder.
fn newest(folder: &Path) -> Checkpoint {
    let paths = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    Checkpoint::load(&paths.max().unwrap()).unwrap()
}

/// Interrupts a distillation of eight iterations at its first, in its middle and before its last, each time from a file into
/// a new student: parameters, policy and metrics are those of one that nobody interrupted.
fn check<'t>(name: &str, config: DistillConfig, teacher: &dyn Fn() -> Teacher<'t>) {
    let (registry, device) = (Registry::builtin(), device("cpu").unwrap());
    let config = DistillConfig {
        total_timesteps: 8 * 128,
        num_envs: 4,
        num_steps: 32,
        update_epochs: 2,
        minibatch_size: 64,
        validation_states: 64,
        evaluations: 3,
        eval_episodes: 2,
        checkpoints: 0,
        learning_rate: 1e-2,
        ..config
    };
    let new =
        || Distiller::new(config.clone(), teacher(), &registry, &device).unwrap_or_else(|e| panic!("{name}: {e}"));
    let (mut whole, (mut uninterrupted, log)) = (new(), session(None, u64::MAX));
    assert!(whole.train(&mut uninterrupted).unwrap().finished, "{name}");
    let expected = scalars(&log);
    assert!(expected.len() > 60, "{name}");
    for (first, second) in [(1, 3), (4, 1), (7, 1)] {
        let folder = tempfile::tempdir().unwrap();
        let (mut part, log) = session(Some(folder.path()), first);
        assert!(!new().train(&mut part).unwrap().finished, "{name}");
        let mut logged = scalars(&log);
        // Once more, if there is room for it, and then to the end.
        for iterations in [second, u64::MAX] {
            let checkpoint = newest(folder.path());
            let mut student = Distiller::resume(checkpoint, teacher(), &registry, &device).unwrap();
            let (mut part, log) = session(Some(folder.path()), iterations);
            let outcome = student.train(&mut part).unwrap();
            logged.extend(scalars(&log));
            if outcome.finished {
                assert!(student.engine().parameters() == whole.engine().parameters(), "{name}, {first}");
                assert!(student.policy().unwrap() == whole.policy().unwrap(), "{name}, {first}");
                let [a, b] = [&student, &whole].map(|student| student.final_policy().unwrap().to_bytes());
                assert!(a == b, "{name}, {first}");
            }
        }
        assert!(newest(folder.path()).is_finished());
        assert_eq!(logged, expected, "{name}, {first}");
    }
}

fn preset(name: &str, overrides: &[&str]) -> DistillConfig {
    presets::distill(name, &overrides.iter().map(|o| (*o).to_owned()).collect::<Vec<_>>()).unwrap()
}

/// A network that nobody has trained, with the hidden layer and the critic that some losses ask for.
fn network() -> Ppo {
    let config = PpoConfig { hidden: vec![6], evaluations: 0, ..PpoConfig::default() };
    Ppo::new(config, &Registry::builtin(), &device("cpu").unwrap()).unwrap()
}

#[test]
fn every_method_goes_on_bit_for_bit_on_both_engines() {
    let policy = balancing_teacher();
    for engine in [EngineChoice::Fused, EngineChoice::Burn] {
        for (name, _) in presets::DISTILL {
            let config = DistillConfig { engine, ..preset(name, &["hidden=[4]"]) };
            check(&format!("{name}, {engine}"), config, &|| Teacher::policy(&policy));
        }
    }
}

/// What only some distillations have: a buffer that lets go, the best student, normalised rewards, a mixture of turns.
#[test]
fn buffers_and_the_best_student_go_on() {
    let policy = balancing_teacher();
    for (preset_name, overrides) in [
        ("default", &["buffer_size=300", "beta=0.5"][..]),
        ("default", &["keep_best=true"]),
        ("kickstarting", &["norm_reward=true", "keep_best=true"]),
    ] {
        let config = preset(preset_name, overrides);
        check(&format!("{preset_name} {overrides:?}"), config, &|| Teacher::policy(&policy));
    }
}

/// A student with a memory and other eyes than its teacher, which looks at the same episodes.
#[test]
fn memories_go_on() {
    let policy = balancing_teacher();
    let hidden = WrapperSpec::SelectObservation { indices: vec![0, 2] };
    for name in ["default", "dagger", "ppd"] {
        let config = preset(name, &["hidden=[4]", "gru_hidden_size=3", "sequence_length=8"]);
        let env = Some(EnvSpec::new("CartPole-v1").wrapped(hidden.clone()));
        check(&format!("{name} with a memory"), DistillConfig { env, ..config }, &|| Teacher::policy(&policy));
    }
}

#[test]
fn several_teachers_and_experts_go_on() {
    let (a, b) = (balancing_teacher(), network().policy().unwrap());
    let weights = [1.0, 2.0];
    let ensemble = |fusion| move |a, b| Teacher::ensemble(&[a, b], Some(&weights), fusion).unwrap();
    check("mixture", preset("dagger", &[]), &|| ensemble(Fusion::Mixture)(&a, &b));
    check("product", preset("ppd", &[]), &|| ensemble(Fusion::Product)(&a, &b));
    let space = Registry::builtin().make("CartPole-v1").unwrap().action_space().clone();
    let env = Some(EnvSpec::new("CartPole-v1"));
    check("closure", DistillConfig { env, ..preset("default", &[]) }, &|| {
        let rule = |x: &[f32], action: &mut [f32]| {
            action[0] = f32::from(u8::from(x[2] + x[3] > 0.0));
            Ok(())
        };
        Teacher::expert(&space, rule).unwrap()
    });
}

/// Projections of hidden features, and a teacher's values with a gate on them.
#[test]
fn features_and_values_go_on() {
    let (registry, device) = (Registry::builtin(), device("cpu").unwrap());
    let ppo = network();
    let policy = ppo.policy().unwrap();
    check("features", preset("default", &["features.hint=1", "features.rkd_angle=1"]), &|| Teacher::policy(&policy));
    let config = PpoConfig { gru_hidden_size: 4, hidden: vec![], evaluations: 0, ..PpoConfig::default() };
    let remembering = Ppo::new(config, &registry, &device).unwrap().policy().unwrap();
    check("features of a memory", preset("default", &["features.hint=1"]), &|| Teacher::policy(&remembering));
    check("values", preset("default", &["value_coef=1", "value_gate=soft"]), &|| {
        let critic = Ppo::resume(ppo.checkpoint().unwrap(), &registry, &device).unwrap().into_engine();
        Teacher::policy(&policy).with_critic(critic)
    });
}

/// Two domains and two tasks, at once and one after another, with what is done against forgetting.
#[test]
fn several_tasks_go_on() {
    let elsewhere = |id: &str, policy: &Policy| {
        let environment =
            apprentice::deploy::EnvironmentRef { id: id.to_owned(), ..policy.header().environment.clone() };
        Policy::new(Header { environment, ..policy.header().clone() }, policy.body().clone()).unwrap()
    };
    let teachers = [balancing_teacher(), elsewhere("CartPole-v0", &network().policy().unwrap())];
    let domains = || Teacher::domains(&[&teachers[0], &teachers[1]]).unwrap();
    let tasks = || Teacher::tasks(&[&teachers[0], &teachers[1]]).unwrap();
    for engine in ["engine=fused", "engine=burn"] {
        check("at once", preset("default", &[engine]), &domains);
        check("tasks", preset("dagger", &[engine]), &tasks);
        let in_turn = ["sequential=true", "replay=20", "ewc=10", engine];
        check("in turn", preset("default", &in_turn), &domains);
        check("tasks in turn", preset("student_driven", &["sequential=true", "ewc=10", engine]), &tasks);
    }
}

#[test]
fn trees_go_on() {
    let (registry, teacher) = (Registry::builtin(), balancing_teacher());
    let config = ViperConfig { rounds: 6, eval_episodes: 3, checkpoints: 0, ..ViperConfig::default() };
    let mut whole = Viper::new(config.clone(), &teacher, &registry).unwrap();
    let (mut uninterrupted, log) = session(None, u64::MAX);
    whole.train(&mut uninterrupted).unwrap();
    let expected = scalars(&log);
    for interruption in [1, 3, 5] {
        let folder = tempfile::tempdir().unwrap();
        let (mut part, log) = session(Some(folder.path()), interruption);
        Viper::new(config.clone(), &teacher, &registry).unwrap().train(&mut part).unwrap();
        let mut logged = scalars(&log);
        let checkpoint = newest(folder.path());
        assert!(checkpoint.is_tree() && !checkpoint.is_finished());
        let mut tree = Viper::resume(checkpoint, &teacher, &registry).unwrap();
        let (mut rest, log) = session(None, u64::MAX);
        assert!(tree.train(&mut rest).unwrap().finished);
        logged.extend(scalars(&log));
        assert_eq!(logged, expected, "{interruption}");
        assert_eq!(tree.policy().unwrap().to_bytes(), whole.policy().unwrap().to_bytes(), "{interruption}");
    }
}

/// Whatever does not belong to a checkpoint is refused by name, and nothing panics.
#[test]
fn what_does_not_belong_together_is_refused() {
    let (registry, device) = (Registry::builtin(), device("cpu").unwrap());
    let (teacher, other) = (balancing_teacher(), network().policy().unwrap());
    let config = DistillConfig { total_timesteps: 4096, evaluations: 0, ..DistillConfig::default() };
    let student = Distiller::new(config, &teacher, &registry, &device).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.checkpoint");
    student.checkpoint().unwrap().save(&path).unwrap();
    let checkpoint = Checkpoint::load(&path).unwrap();
    assert_eq!(checkpoint, student.checkpoint().unwrap());

    let refused = Distiller::resume(checkpoint.clone(), &other, &registry, &device).err().unwrap();
    let message = refused.to_string();
    assert!(refused.is_config() && message.contains(&teacher.checksum()), "{message}");
    assert!(message.contains(&other.checksum()) && message.contains("distil anew"), "{message}");
    assert!(Viper::resume(checkpoint, &teacher, &registry).err().unwrap().is_corrupt());

    let bytes = std::fs::read(&path).unwrap();
    for length in [0, 7, 8, 20, bytes.len() / 2, bytes.len() - 1] {
        std::fs::write(&path, &bytes[..length]).unwrap();
        assert!(Checkpoint::load(&path).unwrap_err().is_corrupt(), "cut to {length}");
    }
    network().checkpoint().unwrap().save(&path).unwrap();
    let error = Checkpoint::load(&path).unwrap_err();
    assert!(error.is_corrupt() && error.to_string().contains("does not begin like one"), "{error}");
    assert!(Checkpoint::load(&folder.path().join("missing")).unwrap_err().is_io());
}

/// A disk that is full half-way costs a checkpoint and not what has been learnt.
#[test]
fn a_checkpoint_that_cannot_be_written_does_not_stop_a_distillation() {
    let (registry, device) = (Registry::builtin(), device("cpu").unwrap());
    let teacher = balancing_teacher();
    let mut student = Distiller::new(preset("default", &["evaluations=0"]), &teacher, &registry, &device).unwrap();
    let mut session = Session { checkpoints: Some("no/such/folder".into()), ..Session::default() };
    assert!(student.train(&mut session).unwrap_err().is_io(), "the last one is missed");
    assert_eq!(session.logger.lost().len(), 3, "{:?}", session.logger.lost());
    let mean = evaluate(&student.policy().unwrap(), None, &registry, &EvaluationPlan::default()).unwrap().mean();
    assert!(mean > 400.0, "{mean}");
}

/// The steps that all of its kind can take together.
static LEFT: AtomicI64 = AtomicI64::new(i64::MAX);

/// A student that has learnt from one teacher learns from a second one: naively it forgets the first, and held back it does
/// not. It begins as the policy that it is, and goes on from every checkpoint.
#[test]
fn a_student_learns_on_and_remembers() {
    let (registry, device) = (Registry::builtin(), device("cpu").unwrap());
    let (first, space) = (balancing_teacher(), registry.make("CartPole-v1").unwrap().action_space().clone());
    let config = preset("default", &["hidden=[8]", "total_timesteps=16384"]);
    let mut learnt = Distiller::new(config.clone(), &first, &registry, &device).unwrap();
    learnt.train(&mut Session::default()).unwrap();
    let (student, earlier) = (learnt.policy().unwrap(), learnt.checkpoint().unwrap());
    let mean = |policy: &Policy| evaluate(policy, None, &registry, &EvaluationPlan::default()).unwrap().mean();
    assert!(mean(&student) > 450.0);

    // Somebody who always pushes to the right.
    let push = || {
        let rule = |_: &[f32], action: &mut [f32]| {
            action[0] = 1.0;
            Ok(())
        };
        Teacher::expert(&space, rule).unwrap()
    };
    let env = Some(EnvSpec::new("CartPole-v1"));
    let begin = |ewc: f64, replay: usize| {
        let config = DistillConfig { env: env.clone(), ewc, replay, hidden: vec![3], ..config.clone() };
        let earlier = (ewc > 0.0 || replay > 0).then(|| earlier.clone());
        Distiller::from_policy(config, &student, earlier, push(), &registry, &device).unwrap()
    };
    let learn = |mut distiller: Distiller<'_>| {
        assert_eq!(distiller.policy().unwrap().body(), student.body(), "it begins as it is");
        distiller.train(&mut Session::default()).unwrap();
        distiller.policy().unwrap()
    };
    let naive = learn(begin(0.0, 0));
    assert!(mean(&naive) < 50.0);
    let held = learn(begin(1e6, 0));
    assert!(mean(&held) > 400.0 && held.body() != student.body());
    assert_ne!(learn(begin(0.0, 8192)).body(), naive.body(), "states of the first teacher count too");

    // What was kept for good is let go of by whoever does not replay it: on its own experience nothing else is in the data.
    let mut second = begin(0.0, 512);
    second.train(&mut Session::default()).unwrap();
    let keys = ["hidden=[8]", "total_timesteps=8192", "ewc=10"];
    let config_of_third = DistillConfig { env: env.clone(), ..preset("ppd", &keys) };
    let (kept, policy) = (second.checkpoint().unwrap(), second.policy().unwrap());
    let mut third = Distiller::from_policy(config_of_third, &policy, Some(kept), push(), &registry, &device).unwrap();
    assert!(third.train(&mut Session::default()).unwrap().finished);

    // Stopped before its first step, and in its middle.
    for iterations in [0, 2] {
        let folder = tempfile::tempdir().unwrap();
        let mut part = begin(1e6, 0);
        if iterations > 0 {
            part.train(&mut session(None, iterations).0).unwrap();
        }
        let path = folder.path().join("a.checkpoint");
        part.checkpoint().unwrap().save(&path).unwrap();
        let mut rest = Distiller::resume(Checkpoint::load(&path).unwrap(), push(), &registry, &device).unwrap();
        rest.train(&mut Session::default()).unwrap();
        assert_eq!(rest.policy().unwrap().body(), held.body(), "{iterations}");
    }

    let refused = |config: DistillConfig, policy: &Policy, earlier| {
        Distiller::from_policy(config, policy, earlier, push(), &registry, &device).err().unwrap().to_string()
    };
    let at = |ewc: f64| DistillConfig { env: env.clone(), ewc, ..config.clone() };
    assert!(refused(at(1.0), &student, None).contains("got a policy alone"));
    let begun = Distiller::new(config.clone(), &first, &registry, &device).unwrap().checkpoint().unwrap();
    assert!(refused(at(1.0), &student, Some(begun)).contains("has learnt something"));
    let new = Distiller::new(at(1.0), push(), &registry, &device).err().unwrap().to_string();
    assert!(new.contains("sequential = true"), "{new}");
}

/// From the command line: what a student holds on to is in its first checkpoint.
#[test]
fn learning_on_can_be_resumed_from_its_very_beginning() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    balancing_teacher().save(&at.join("balance.apprentice")).unwrap();
    let short = ["--set", "total_timesteps=8192", "--set", "evaluations=2"];
    json(at, &[&["distill", "--teacher", "balance.apprentice", "--out", "first"][..], &short].concat());
    let on =
        ["distill", "--teacher", "balance.apprentice", "--init", "first", "--set", "ewc=10", "--set", "replay=256"];
    json(at, &[&on[..], &short, &["--out", "second"]].concat());
    let policy = || std::fs::read(at.join("second/policy.apprentice")).unwrap();
    let (whole, scalars) = (policy(), scalars_without_times(&at.join("second")));
    for entry in std::fs::read_dir(at.join("second/checkpoints")).unwrap() {
        let path = entry.unwrap().path();
        if !path.ends_with("000000000000.checkpoint") {
            std::fs::remove_file(path).unwrap();
        }
    }
    std::fs::remove_file(at.join("second/policy.apprentice")).unwrap();
    json(at, &["distill", "--resume", "second"]);
    assert!(policy() == whole && scalars_without_times(&at.join("second")) == scalars);
    for (args, part) in
        [(&["--preset", "viper"][..], "a tree grows from nothing"), (&["--env", "GridWorld-v0"], "CartPole-v1")]
    {
        let (code, message) = failure(at, &[&on[..5], args].concat());
        assert!(code == 2 && message.contains(part), "{args:?}: {message}");
    }
}

/// Breaks down after so many steps: from then on nobody knows what it shows.
#[derive(Clone)]
struct Brittle {
    t: u8,
    hot: u8,
}

impl Brittle {
    fn observe(&self) -> [f32; 2] {
        let broken = LEFT.load(Ordering::Relaxed) < 0;
        [f32::from(self.hot), if broken { f32::NAN } else { f32::from(self.t) }]
    }
}

impl Env for Brittle {
    type Observation = [f32; 2];
    type Action = i64;
    type State = (u8, u8);

    fn observation_space(&self) -> Space {
        Space::bounded(&[0.0; 2], &[1.0, 8.0])
    }

    fn action_space(&self) -> Space {
        Space::discrete(2)
    }

    fn reset(&mut self, rng: &mut Generator) -> [f32; 2] {
        (self.t, self.hot) = (0, rng.integers(2) as u8);
        self.observe()
    }

    fn step(&mut self, action: &i64, rng: &mut Generator) -> Step<[f32; 2]> {
        let reward = f64::from(u8::from(*action == i64::from(self.hot)));
        LEFT.fetch_sub(1, Ordering::Relaxed);
        (self.t, self.hot) = (self.t + 1, rng.integers(2) as u8);
        Step { observation: self.observe(), reward, terminated: self.t == 8, truncated: false }
    }

    fn state(&self) -> (u8, u8) {
        (self.t, self.hot)
    }

    fn set_state(&mut self, state: (u8, u8)) -> Result<(), apprentice::envs::Error> {
        (self.t, self.hot) = state;
        Ok(())
    }
}

/// Whatever fails, a rollout, an evaluation on the way or the last one, costs one iteration and nothing that is said of the
/// run: whoever goes on does again what failed.
#[test]
fn a_teacher_whose_environment_breaks_down_goes_on() {
    let (mut registry, device) = (Registry::builtin(), device("cpu").unwrap());
    registry.register(EnvInfo::new("test/Brittle-v0"), |_: BTreeMap<String, f64>| Ok(Brittle { t: 0, hot: 0 }));
    let config = PpoConfig {
        env: EnvSpec::new("test/Brittle-v0"),
        total_timesteps: 8 * 128,
        num_steps: 32,
        hidden: vec![8],
        evaluations: 4,
        eval_episodes: 3,
        keep_best: true,
        checkpoints: 0,
        ..PpoConfig::default()
    };
    let run = |ppo: &mut Ppo, folder: Option<&Path>| {
        let (logger, log) = Logger::memory();
        let checkpoints = folder.map(Path::to_owned);
        let outcome = ppo.train(&mut Session { logger, checkpoints, ..Session::default() });
        (outcome, scalars(&log))
    };
    let mut whole = Ppo::new(config.clone(), &registry, &device).unwrap();
    let (outcome, expected) = run(&mut whole, None);
    assert!(outcome.unwrap().finished);
    assert_eq!(expected.last().unwrap().0, "final/return_mean");
    let steps = i64::MAX - LEFT.load(Ordering::Relaxed);
    // The last 800 are those of the last evaluation, before which 24 are those of the last but one.
    for limit in [steps / 3, steps / 2, steps - 810, steps - 300, steps - 200] {
        let folder = tempfile::tempdir().unwrap();
        LEFT.store(limit, Ordering::Relaxed);
        let (outcome, mut said) = run(&mut Ppo::new(config.clone(), &registry, &device).unwrap(), Some(folder.path()));
        let message = outcome.unwrap_err().to_string();
        let path = std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().path()).max().unwrap();
        assert!(message.contains(&format!("the last good checkpoint is {}", path.display())), "{limit}: {message}");

        LEFT.store(i64::MAX, Ordering::Relaxed);
        let checkpoint = apprentice::agents::Checkpoint::load(&path).unwrap();
        let mut ppo = Ppo::resume(checkpoint, &registry, &device).unwrap();
        let step = ppo.global_step();
        said.retain(|(_, logged, _)| *logged <= step);
        let (outcome, rest) = run(&mut ppo, None);
        assert!(outcome.unwrap().finished, "{limit}");
        said.extend(rest);
        assert_eq!(said, expected, "{limit}");
        assert_eq!(ppo.final_policy().unwrap().to_bytes(), whole.final_policy().unwrap().to_bytes(), "{limit}");
    }
}

/// An expert that fails costs one iteration of its students.
#[test]
fn a_student_whose_teacher_fails_goes_on() {
    let (registry, device) = (Registry::builtin(), device("cpu").unwrap());
    let space = registry.make("CartPole-v1").unwrap().action_space().clone();
    let left = AtomicI64::new(i64::MAX);
    let expert = || {
        let rule = |x: &[f32], action: &mut [f32]| {
            action[0] = f32::from(u8::from(x[2] + x[3] > 0.0));
            match left.fetch_sub(1, Ordering::Relaxed) {
                1.. => Ok(()),
                _ => Err(apprentice::agents::Error::environment("the expert has died")),
            }
        };
        Teacher::expert(&space, rule).unwrap()
    };
    let last_good = |folder: &Path, error: apprentice::agents::Error| {
        let (message, checkpoint) = (error.to_string(), newest(folder));
        let path = checkpoint_path(folder, checkpoint.global_step());
        assert!(message.contains("has died") && message.contains(&path.display().to_string()), "{message}");
        left.store(i64::MAX, Ordering::Relaxed);
        checkpoint
    };
    let env = Some(EnvSpec::new("CartPole-v1"));
    for name in ["default", "dagger", "ppd", "reward_augmented"] {
        let keys = ["total_timesteps=1024", "num_envs=4", "num_steps=32", "update_epochs=2", "evaluations=3"];
        let config = preset(name, &[&keys[..], &["checkpoints=0", "validation_states=64", "hidden=[4]"]].concat());
        let config = DistillConfig { env: env.clone(), ..config };
        let new = || Distiller::new(config.clone(), expert(), &registry, &device).unwrap();
        left.store(i64::MAX, Ordering::Relaxed);
        let mut whole = new();
        whole.train(&mut Session::default()).unwrap();
        let calls = i64::MAX - left.load(Ordering::Relaxed);
        for limit in [calls / 2, calls - 1] {
            let folder = tempfile::tempdir().unwrap();
            left.store(limit, Ordering::Relaxed);
            let mut session = Session { checkpoints: Some(folder.path().to_owned()), ..Session::default() };
            let error = new().train(&mut session).unwrap_err();
            let mut student = Distiller::resume(last_good(folder.path(), error), expert(), &registry, &device).unwrap();
            assert!(student.train(&mut Session::default()).unwrap().finished);
            assert!(student.engine().parameters() == whole.engine().parameters(), "{name}, {limit}");
        }
    }

    let config = ViperConfig { rounds: 6, eval_episodes: 3, checkpoints: 0, env, ..ViperConfig::default() };
    let new = || Viper::new(config.clone(), expert(), &registry).unwrap();
    let mut whole = new();
    whole.train(&mut Session::default()).unwrap();
    let calls = i64::MAX - left.load(Ordering::Relaxed);
    let folder = tempfile::tempdir().unwrap();
    left.store(calls / 2, Ordering::Relaxed);
    let mut session = Session { checkpoints: Some(folder.path().to_owned()), ..Session::default() };
    let error = new().train(&mut session).unwrap_err();
    let mut tree = Viper::resume(last_good(folder.path(), error), expert(), &registry).unwrap();
    assert!(tree.train(&mut Session::default()).unwrap().finished);
    assert_eq!(tree.policy().unwrap().to_bytes(), whole.policy().unwrap().to_bytes());
}

/// Starts the command line in a folder.
fn start(at: &Path, args: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_apprentice"));
    command.current_dir(at).args(args).arg("--quiet").stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits until a run has so many checkpoints, or is over.
fn wait_for_checkpoints(child: &mut Child, run: &Path, count: usize) {
    let started = Instant::now();
    let checkpoints = || {
        let files = std::fs::read_dir(run.join("checkpoints")).into_iter().flatten().flatten();
        files.filter(|file| file.path().extension().is_some_and(|e| e == "checkpoint")).count()
    };
    while checkpoints() < count && child.try_wait().unwrap().is_none() {
        assert!(started.elapsed() < Duration::from_secs(120), "{} does not get on", run.display());
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// What a report says, without the times that were measured for it.
fn report(run: &Path) -> Value {
    let mut report: Value = serde_json::from_slice(&std::fs::read(run.join("report.json")).unwrap()).unwrap();
    for who in ["teacher", "student"] {
        report[who]["ns_per_action"].take();
        report[who]["train_seconds"].take();
    }
    report
}

/// Killed at any moment, also before there is a checkpoint, a distillation ends with the policy, the metrics and the report
/// of one that was left alone.
#[cfg(unix)]
#[test]
fn a_distillation_that_was_killed_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    balancing_teacher().save(&at.join("balance.apprentice")).unwrap();
    let keys = ["total_timesteps=40960", "evaluations=4", "checkpoints=20", "hidden=[16]", "buffer_size=4096"];
    let tree = ["rounds=40", "checkpoints=40"];
    let mut kills = 0;
    for (method, keys) in [("default", &keys[..]), ("dagger", &keys), ("viper", &tree)] {
        let keys = keys.iter().flat_map(|key| ["--set", key]);
        let mut args = vec!["distill", "--teacher", "balance.apprentice", "--preset", method];
        args.extend(keys);
        json(at, &[&args[..], &["--out", method]].concat());
        for checkpoints in [0, 1, 10] {
            let out = format!("{method}-{checkpoints}");
            let mut child = start(at, &[&args[..], &["--out", &out]].concat());
            let run = at.join(&out);
            let started = Instant::now();
            while !std::fs::metadata(run.join("config.toml")).is_ok_and(|file| file.len() > 0) {
                assert!(started.elapsed() < Duration::from_secs(60), "{out} did not start");
                std::thread::sleep(Duration::from_millis(1));
            }
            wait_for_checkpoints(&mut child, &run, checkpoints);
            kills += usize::from(child.try_wait().unwrap().is_none());
            child.kill().unwrap();
            child.wait().unwrap();
            if !run.join("report.md").exists() {
                assert_eq!(json(at, &["distill", "--resume", &out])["finished"], true);
            }
            let policy = |run: &str| std::fs::read(at.join(run).join("policy.apprentice")).unwrap();
            assert!(policy(&out) == policy(method), "{out}");
            assert_eq!(scalars_without_times(&run), scalars_without_times(&at.join(method)), "{out}");
            assert_eq!(report(&run), report(&at.join(method)), "{out}");
            let (code, message) = failure(at, &["distill", "--resume", &out]);
            assert!(code == 2 && message.contains("is finished"), "{message}");
        }
    }
    assert!(kills > 4, "most runs were over before they could be killed");
}

/// One that was stopped while it looked at the untrained student begins its metrics anew.
#[test]
fn a_distillation_that_was_stopped_before_its_first_step_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let (at, run) = (folder.path(), folder.path().join("run"));
    balancing_teacher().save(&at.join("balance.apprentice")).unwrap();
    let keys = ["--set", "total_timesteps=8192", "--set", "hidden=[8]"];
    json(at, &[&["distill", "--teacher", "balance.apprentice", "--out", "run"][..], &keys].concat());
    let expected = scalars_without_times(&run);

    let config = DistillConfig::from_toml(&std::fs::read_to_string(run.join("config.toml")).unwrap()).unwrap();
    let teacher = balancing_teacher();
    let begun = Distiller::new(config, &teacher, &Registry::builtin(), &device("cpu").unwrap()).unwrap();
    std::fs::remove_dir_all(run.join("checkpoints")).unwrap();
    std::fs::create_dir(run.join("checkpoints")).unwrap();
    begun.checkpoint().unwrap().save(&run.join("checkpoints/000000000000.checkpoint")).unwrap();
    json(at, &["distill", "--resume", "run"]);
    assert_eq!(scalars_without_times(&run), expected);
}

/// A critic is held to the one that the student began with: as the student begins, and when it is gone on with.
#[test]
fn another_critic_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let set = ["--set", "total_timesteps=2048", "--set", "evaluations=0"];
    json(at, &[&["train", "CartPole-v1", "--set", "checkpoints=2", "--out", "teacher"][..], &set].concat());
    // Its discount is another than a student's by default.
    let own = ["--set", "value_gate=hard", "--set", "task_coef=1"];
    let (code, message) = failure(at, &[&["distill", "--teacher", "teacher", "--out", "no"][..], &set, &own].concat());
    assert!(
        code == 2 && message.contains("gamma = 0.98 of both, got false and 0.98 of the teacher, false and 0.99"),
        "{message}"
    );
    let values = ["--set", "value_coef=1", "--set", "hidden=[4]"];
    json(at, &[&["distill", "--teacher", "teacher", "--out", "run"][..], &set, &values].concat());

    let run = at.join("run");
    let (own, earlier) = (run.join("teacher.checkpoint"), at.join("teacher/checkpoints/000000001024.checkpoint"));
    let bytes = std::fs::read(&own).unwrap();
    let checksum = |path: &Path| {
        let checkpoint = apprentice::agents::Checkpoint::load(path).unwrap();
        apprentice::distill::critic_checksum(checkpoint.parameters())
    };
    let (expected, got) = (checksum(&own), checksum(&earlier));
    std::fs::copy(&earlier, &own).unwrap();
    std::fs::remove_file(run.join("report.md")).unwrap();
    for stopped in ["before its report", "before its first checkpoint"] {
        let (code, message) = failure(at, &["distill", "--resume", "run"]);
        assert!(code == 2 && message.contains("the checksum of its critic"), "{stopped}: {message}");
        assert!(message.contains(&expected) && message.contains(&got), "{stopped}: {message}");
        std::fs::remove_dir_all(run.join("checkpoints")).unwrap();
        std::fs::create_dir(run.join("checkpoints")).unwrap();
    }
    std::fs::write(&own, bytes).unwrap();
    assert_eq!(json(at, &["distill", "--resume", "run"])["finished"], true);

    // A teacher that has trained on since its critic was read.
    let (registry, device) = (Registry::builtin(), device("cpu").unwrap());
    let policy = Policy::load(&at.join("teacher/policy.apprentice")).unwrap();
    let critic = apprentice::agents::Checkpoint::load(&earlier).unwrap();
    let critic = Ppo::resume(critic, &registry, &device).unwrap().into_engine();
    let config = preset("default", &["value_coef=1", "evaluations=0"]);
    let student = Distiller::new(config, Teacher::policy(&policy).with_critic(critic), &registry, &device).unwrap();
    let new = RunDir::create(&at.join("new")).unwrap();
    let options = RunOptions { quiet: true, ..RunOptions::default() };
    let refused = distill(student, Some(&at.join("teacher")), &new, &registry, options).err().unwrap();
    assert!(refused.is_io() && refused.to_string().contains("goes on meanwhile"), "{refused}");
}

/// Ctrl-C leaves a checkpoint, and says how to go on. Teachers are put together again as they were, and one that is no longer
/// there, or no longer the same, is named.
#[cfg(unix)]
#[test]
fn an_interrupted_distillation_knows_its_teachers() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    balancing_teacher().save(&at.join("a.apprentice")).unwrap();
    network().policy().unwrap().save(&at.join("b.apprentice")).unwrap();
    let two = ["--teacher", "a.apprentice", "--teacher", "b.apprentice", "--fusion", "product"];
    let expert = ["--env", "CartPole-v1", "--expert", "while read line; do echo 1; done"];
    let keys = ["--set", "total_timesteps=65536", "--set", "evaluations=2", "--set", "checkpoints=32"];
    for (name, teacher) in [("two", &two[..]), ("expert", &expert)] {
        let args = [&["distill"], teacher, &keys].concat();
        json(at, &[&args[..], &["--out", name]].concat());
        let out = format!("{name}-stopped");
        let mut child = start(at, &[&args[..], &["--out", &out]].concat());
        wait_for_checkpoints(&mut child, &at.join(&out), 2);
        Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
        let output = child.wait_with_output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(1) && message.contains(&format!("distill --resume {out}")), "{message}");
        if name == "two" {
            let copy = at.join(&out).join("teacher-2.apprentice");
            let bytes = std::fs::read(&copy).unwrap();
            std::fs::remove_file(&copy).unwrap();
            let (code, message) = failure(at, &["distill", "--resume", &out]);
            assert!(code == 1 && message.contains("teacher-2.apprentice: there is no such file"), "{message}");
            std::fs::copy(at.join("a.apprentice"), &copy).unwrap();
            let (code, message) = failure(at, &["distill", "--resume", &out]);
            let (expected, got) = (network().policy().unwrap().checksum(), balancing_teacher().checksum());
            assert!(code == 1 && message.contains("has changed") && message.contains("put it back"), "{message}");
            assert!(message.contains(&expected) && message.contains(&got), "{message}");
            std::fs::write(&copy, bytes).unwrap();
        }
        json(at, &["distill", "--resume", &out]);
        let policy = |run: &str| std::fs::read(at.join(run).join("policy.apprentice")).unwrap();
        assert!(policy(&out) == policy(name), "{out}");
    }
    for (args, code, part) in [
        (&["train", "--resume", "two"][..], 2, "distill --resume two"),
        (&["distill", "--resume", "nowhere"], 1, "no config.toml"),
        (&["distill", "--resume", "two", "--seed", "1"], 2, "--seed"),
        (&["distill", "--resume", "two", "--set", "seed=1"], 2, "--set"),
    ] {
        let (got, message) = failure(at, args);
        assert!(got == code && message.contains(part), "{args:?}: {got}, {message}");
    }
    // A configuration that was changed in between is not the one that the student has come from.
    let path = at.join("two-stopped/config.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("temperature = 1.0", "temperature = 2.0")).unwrap();
    let (code, message) = failure(at, &["distill", "--resume", "two-stopped"]);
    assert!(code == 2 && message.contains("config.toml differs"), "{message}");
    std::fs::write(&path, "").unwrap();
    assert!(failure(at, &["distill", "--resume", "two-stopped"]).1.contains("is empty"));
    std::fs::remove_file(at.join("two-stopped/teacher.toml")).unwrap();
    assert!(failure(at, &["distill", "--resume", "two-stopped"]).1.contains("train --resume"));
}
