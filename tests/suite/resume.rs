//! Distillations that are interrupted and gone on with: the same bits as without.

use crate::distillation::balancing_teacher;
use apprentice::agents::{EngineChoice, EvaluationPlan, Ppo, PpoConfig, Session, device, evaluate};
use apprentice::deploy::{Header, Policy};
use apprentice::distill::{Checkpoint, DistillConfig, Distiller, Fusion, Teacher, Viper, ViperConfig};
use apprentice::envs::wrappers::WrapperSpec;
use apprentice::envs::{EnvSpec, Registry};
use apprentice::presets;
use apprentice::telemetry::{Logger, MemoryLog};
use std::ops::ControlFlow;
use std::path::Path;

/// What is logged, without the times.
type Scalars = Vec<(String, u64, f64)>;

fn scalars(log: &MemoryLog) -> Scalars {
    log.scalars().into_iter().filter(|(tag, ..)| tag != "final/train_seconds").collect()
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
