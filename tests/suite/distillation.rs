//! Distillation end to end, from a teacher that needs no training.

use apprentice::agents::{EngineChoice, EvaluationPlan, Ppo, PpoConfig, Session, device, environment_ref, evaluate};
use apprentice::deploy::{Action, Activation, Body, EnvironmentRef, Features, Header, Int8, Layer, Policy, Provenance};
use apprentice::distill::{
    DistillConfig, Distiller, Fusion, PolicyCard, PolicyLoss, Report, Teacher, Viper, ViperConfig,
};
use apprentice::envs::wrappers::WrapperSpec;
use apprentice::envs::{EnvSpec, Registry};
use apprentice::presets;
use apprentice::telemetry::{Logger, MemoryLog};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Pushes right where ẋ + 4 θ + 2 θ̇ > 0, which balances CartPole for ever.
pub(crate) fn balancing_teacher() -> Policy {
    let header = Header {
        environment: EnvironmentRef {
            id: "CartPole-v1".into(),
            kwargs: serde_json::json!({}),
            max_episode_steps: None,
            wrappers: serde_json::Value::Null,
        },
        observation: Features::Box { len: 4 },
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
    let weight = vec![0.0, 0.0, -2.0, 2.0, -8.0, 8.0, -4.0, 4.0];
    Policy::new(header, vec![Layer { weight, bias: vec![0.0; 2], activation: Activation::Identity }]).unwrap()
}

fn distil(config: DistillConfig) -> (Policy, MemoryLog) {
    let teacher = balancing_teacher();
    let (logger, log) = Logger::memory();
    let mut session = Session { logger, ..Session::default() };
    let registry = Registry::builtin();
    let mut distiller = Distiller::new(config, &teacher, &registry, &device("cpu").unwrap()).unwrap();
    assert!(distiller.train(&mut session).unwrap().finished);
    (distiller.policy().unwrap(), log)
}

fn curve(log: &MemoryLog, tag: &str) -> Vec<f64> {
    log.scalars().into_iter().filter(|(t, ..)| t == tag).map(|(.., value)| value).collect()
}

fn quick() -> DistillConfig {
    DistillConfig { total_timesteps: 16_384, hidden: vec![8], evaluations: 4, seed: 3, ..DistillConfig::default() }
}

#[test]
fn whoever_acts_the_student_takes_over_the_policy() {
    for beta in [1.0, 0.5, 0.0] {
        let (student, log) = distil(DistillConfig { beta: beta.into(), ..quick() });
        let report = Report::measure((&balancing_teacher(), None), (&student, None), &Registry::builtin()).unwrap();
        assert_eq!(report.teacher.return_mean, 500.0);
        assert!(report.student.return_mean >= 0.97 * 500.0, "{beta}: {}", report.to_text());
        assert!(report.student.fidelity.unwrap() > 0.8, "{beta}: {}", report.to_text());
        for tag in ["distill/train_loss", "distill/kd_loss", "distill/validation_loss"] {
            let losses = curve(&log, tag);
            assert_eq!(losses.len(), 8, "{tag}");
            assert!(losses[7] < 0.3 * losses[0] && losses[7] >= 0.0, "{beta} {tag}: {losses:?}");
        }
        assert!(curve(&log, "distill/student_accuracy")[7] > 0.85);
        assert!(*curve(&log, "distill/student_return").last().unwrap() >= 485.0);
    }
}

/// λ weighs the task loss. With both weights at work both losses are in what is minimised; with the task loss alone
/// the student learns by PPO and pays no heed to the teacher.
#[test]
fn the_task_loss_can_join_in() {
    let (_, log) = distil(DistillConfig { task_coef: 1.0.into(), ..quick() });
    let task = curve(&log, "distill/task_loss");
    assert!(task.iter().all(|loss| loss.is_finite() && *loss != 0.0), "{task:?}");
    assert!(curve(&log, "distill/student_accuracy").last().unwrap() > &0.85);
    let total = curve(&log, "distill/train_loss");
    let kd = curve(&log, "distill/kd_loss");
    for i in 0..task.len() {
        assert!((total[i] - kd[i] - task[i]).abs() < 1e-6);
    }

    let (_, log) =
        distil(DistillConfig { coef: 0.0.into(), task_coef: 1.0.into(), total_timesteps: 40_960, ..quick() });
    let returns = curve(&log, "distill/student_return");
    assert!(returns.last().unwrap() > &(2.0 * returns[0]), "{returns:?}");
}

#[test]
fn the_same_seed_gives_the_same_student() {
    let config = DistillConfig { total_timesteps: 4096, ..quick() };
    let (a, b) = (distil(config.clone()).0, distil(config.clone()).0);
    assert_eq!(a.to_bytes(), b.to_bytes());
    assert_ne!(a.layers(), distil(DistillConfig { seed: 4, ..config }).0.layers());
}

/// A student that learnt with weights of 8 bits, on either engine, has the very weights that its integer form has; another one
/// does not.
#[test]
fn quantisation_aware_students_lose_no_weight() {
    let observations = vec![vec![2.0, 2.0, 0.2, 2.0]];
    for engine in [EngineChoice::Fused, EngineChoice::Burn] {
        for quantization_aware in [true, false] {
            let config = DistillConfig {
                total_timesteps: 4096,
                learning_rate: 0.01,
                hidden: vec![16, 8],
                quantization_aware,
                engine,
                ..quick()
            };
            let student = distil(config).0;
            let int8 = student.to_int8(&observations).unwrap();
            let Body::Int8(Int8 { layers, .. }) = int8.body() else { panic!("not in integers") };
            let mut worst: f32 = 0.0;
            for (layer, integers) in student.layers().iter().zip(layers) {
                let outputs = layer.bias.len();
                for j in 0..outputs {
                    let pairs = || {
                        let column = |i: usize| (layer.weight[i], f32::from(integers.weight[i]));
                        (j..layer.weight.len()).step_by(outputs).map(column)
                    };
                    let step = pairs().map(|(weight, _)| weight.abs()).fold(0.0, f32::max) / 127.0;
                    worst = pairs().map(|(weight, integer)| (weight / step - integer).abs()).fold(worst, f32::max);
                }
            }
            assert_eq!(worst < 1e-3, quantization_aware, "{engine}: {worst} of a step");
            let (registry, plan) = (Registry::builtin(), EvaluationPlan { episodes: 20, ..EvaluationPlan::default() });
            let score = evaluate(&int8, None, &registry, &plan).unwrap().mean();
            assert!(!quantization_aware || score > 450.0, "{engine}: {score}");
        }
    }
}

#[test]
fn a_teacher_of_another_environment_is_refused() {
    let teacher = balancing_teacher();
    let config = DistillConfig { env: Some(EnvSpec::new("GridWorld-v0")), ..quick() };
    let refused = Distiller::new(config, &teacher, &Registry::builtin(), &device("cpu").unwrap());
    let error = refused.err().unwrap();
    assert!(error.is_environment() && error.to_string().contains("CartPole-v1"), "{error}");
}

/// The student of a normalised, of a squashed and of a masked teacher does what its teacher does.
#[test]
fn every_kind_of_teacher_is_distilled() {
    let (registry, device) = (Registry::builtin(), device("cpu").unwrap());
    for (env, set) in [
        ("Pendulum-v1", "norm_obs = true\nsquash_output = true"),
        ("Pendulum-v1", "state_dependent_std = true"),
        ("Taxi-v4", "mask_actions = true"),
    ] {
        let config = PpoConfig {
            env: EnvSpec::new(env),
            total_timesteps: 4096,
            hidden: vec![16],
            learning_rate: 1e-2,
            evaluations: 0,
            ..PpoConfig::from_toml(set).unwrap()
        };
        let mut ppo = Ppo::new(config, &registry, &device).unwrap();
        ppo.train(&mut Session::default()).unwrap();
        let teacher = ppo.policy().unwrap();
        let config = DistillConfig { total_timesteps: 20_480, evaluations: 0, ..DistillConfig::default() };
        let mut distiller = Distiller::new(config, &teacher, &registry, &device).unwrap();
        distiller.train(&mut Session::default()).unwrap();
        let student = distiller.policy().unwrap();
        let (teacher_header, header) = (teacher.header(), student.header());
        assert_eq!((&header.normalizer, header.masked), (&teacher_header.normalizer, teacher_header.masked));
        let report = Report::measure((&teacher, None), (&student, None), &registry).unwrap();
        let fidelity = report.fidelity_on_teacher_states.unwrap();
        assert!(fidelity > 0.9, "{env} {set}: {fidelity}");
    }
}

/// Every method teaches a balancing act; the two that hear of no reward but the distance from the teacher do too.
#[test]
fn every_preset_makes_a_student_of_its_teacher() {
    for (preset, _) in presets::DISTILL {
        let config = presets::distill(preset, &["evaluations=4".to_owned(), "seed=2".to_owned()]).unwrap();
        let (student, log) = distil(config);
        let report = Report::measure((&balancing_teacher(), None), (&student, None), &Registry::builtin()).unwrap();
        assert!(report.student.return_mean >= 0.97 * 500.0, "{preset}: {}", report.to_text());
        let accuracy = *curve(&log, "distill/student_accuracy").last().unwrap();
        assert!(accuracy > 0.75, "{preset}: {accuracy}");
    }
}

/// The methods are one trainer: with its task loss and its ratio switched off, proximal policy distillation is
/// student-driven distillation, bit for bit.
#[test]
fn methods_differ_in_nothing_but_their_coefficients() {
    let student = |preset: &str, overrides: &[&str]| {
        let more = ["total_timesteps=8192", "evaluations=0"];
        let overrides: Vec<String> = overrides.iter().chain(&more).map(|o| (*o).to_owned()).collect();
        distil(presets::distill(preset, &overrides).unwrap()).0
    };
    let plain = student("student_driven", &[]);
    assert_eq!(plain.layers(), student("ppd", &["task_coef=0", "proximal=false", "buffer_size=0"]).layers());
    let rest = ["buffer_size=0", "beta=0", "minibatch_size=64", "update_epochs=10"];
    assert_eq!(plain.layers(), student("default", &rest).layers());
    assert_ne!(plain.layers(), student("ppd", &[]).layers());
    assert_ne!(plain.layers(), student("student_driven", &["beta=0.01"]).layers());
}

/// A rule that nobody trained, as a closure; and two policies that only together know what to do.
#[test]
fn experts_and_ensembles_teach() {
    let (registry, device) = (Registry::builtin(), device("cpu").unwrap());
    let space = registry.make("CartPole-v1").unwrap().action_space().clone();
    let rule = |x: &[f32], action: &mut [f32]| {
        action[0] = f32::from(u8::from(x[1] + 4.0 * x[2] + 2.0 * x[3] > 0.0));
        Ok(())
    };
    let env = Some(EnvSpec::new("CartPole-v1"));
    let config = DistillConfig { env, losses: [(PolicyLoss::Hard, 1.0)].into(), ..quick() };
    let teach = |teacher: Teacher<'_>, config: DistillConfig| {
        let mut distiller = Distiller::new(config, teacher, &registry, &device).unwrap();
        distiller.train(&mut Session::default()).unwrap();
        distiller.policy().unwrap()
    };
    let student = teach(Teacher::expert(&space, rule).unwrap(), config);
    let report = Report::measure((&balancing_teacher(), None), (&student, None), &registry).unwrap();
    assert!(report.student.return_mean >= 485.0 && report.student.fidelity.unwrap() > 0.8, "{}", report.to_text());
    assert!(
        report.to_text().ends_with("From 475.0 on CartPole-v1 counts as solved: both do.\n"),
        "{}",
        report.to_text()
    );
    let poor = Report { student: PolicyCard { return_mean: 20.0, ..report.student.clone() }, ..report.clone() };
    assert!(poor.to_markdown().contains("counts as solved: only the teacher does."));
    assert_eq!(student.header().provenance.teacher.as_ref().unwrap().algorithm, "expert");

    // One knows the cart and the pole's angle, the other the pole's speed.
    let part = |weight: [f32; 8]| {
        let layer = Layer { weight: weight.to_vec(), bias: vec![0.0; 2], activation: Activation::Identity };
        Policy::new(balancing_teacher().header().clone(), vec![layer]).unwrap()
    };
    let a = part([0.0, 0.0, -4.0, 4.0, -16.0, 16.0, 0.0, 0.0]);
    let b = part([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -8.0, 8.0]);
    let both = Teacher::ensemble(&[&a, &b], None, Fusion::Product).unwrap();
    let student = teach(both, quick());
    let report = Report::measure((&balancing_teacher(), None), (&student, None), &registry).unwrap();
    assert!(report.student.return_mean >= 485.0 && report.student.fidelity.unwrap() > 0.8, "{}", report.to_text());
    assert!(Teacher::ensemble(&[], None, Fusion::Mixture).err().unwrap().is_config());
    assert!(Teacher::ensemble(&[&a, &b], Some(&[1.0]), Fusion::Mixture).err().unwrap().is_config());
}

/// Whoever acts, and a tree's teacher in the round that it acts in too: an expert may be dear.
#[test]
fn an_expert_is_asked_once_a_state() {
    let (registry, device) = (Registry::builtin(), device("cpu").unwrap());
    let space = registry.make("CartPole-v1").unwrap().action_space().clone();
    let asked = AtomicUsize::new(0);
    let rule = |x: &[f32], action: &mut [f32]| {
        asked.fetch_add(1, Ordering::Relaxed);
        action[0] = f32::from(u8::from(x[2] > 0.0));
        Ok(())
    };
    let env = Some(EnvSpec::new("CartPole-v1"));
    for preset in ["teacher_driven", "student_driven", "dagger"] {
        let sizes = ["total_timesteps=1536", "num_envs=8", "num_steps=64", "validation_states=256", "evaluations=0"];
        let config = presets::distill(preset, &sizes.map(str::to_owned)).unwrap();
        let config = DistillConfig { env: env.clone(), ..config };
        let mut distiller = Distiller::new(config, Teacher::expert(&space, rule).unwrap(), &registry, &device).unwrap();
        distiller.train(&mut Session::default()).unwrap();
        assert_eq!(asked.swap(0, Ordering::Relaxed), 1536 + 256, "{preset}");
    }
    let config = ViperConfig { env, rounds: 3, num_envs: 8, num_steps: 64, eval_episodes: 2, ..ViperConfig::default() };
    let mut viper = Viper::new(config, Teacher::expert(&space, rule).unwrap(), &registry).unwrap();
    viper.train(&mut Session::default()).unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 3 * 8 * 64, "viper");
}

/// Teachers of a short and of a long pole; the student holds both up, and one in between that nobody has seen.
#[test]
fn teachers_of_two_domains_make_a_student_of_a_third() {
    let (registry, device) = (Registry::builtin(), device("cpu").unwrap());
    let variant = |length: f64| EnvSpec::new("CartPole-v1").with("length", length);
    let teacher = |length: f64| {
        let Header { mut environment, .. } = balancing_teacher().header().clone();
        environment.kwargs = serde_json::json!({ "length": length });
        let header = Header { environment, ..balancing_teacher().header().clone() };
        Policy::new(header, balancing_teacher().layers().to_vec()).unwrap()
    };
    let (short, long) = (teacher(0.3), teacher(1.2));
    let domains = || Teacher::domains(&[&short, &long]).unwrap();
    let refused = Distiller::new(DistillConfig { num_envs: 15, ..quick() }, domains(), &registry, &device);
    assert!(refused.err().unwrap().to_string().contains("num_envs"));
    let mut distiller = Distiller::new(quick(), domains(), &registry, &device).unwrap();
    distiller.train(&mut Session::default()).unwrap();
    let student = distiller.policy().unwrap();
    for length in [0.3, 1.2, 0.7] {
        let mean = evaluate(&student, Some(&variant(length)), &registry, &EvaluationPlan::default()).unwrap().mean();
        assert!(mean >= 450.0, "half a length of {length}: {mean}");
    }
}

/// Hidden features are distilled on top of what is put out, or instead of it: then the student's tell more of the teacher's.
#[test]
fn hidden_features_are_distilled() {
    let (registry, device) = (Registry::builtin(), device("cpu").unwrap());
    let grid = PpoConfig { total_timesteps: 40_960, evaluations: 0, ..presets::ppo("gridworld", &[]).unwrap() };
    let mut ppo = Ppo::new(grid, &registry, &device).unwrap();
    ppo.train(&mut Session::default()).unwrap();
    let teacher = ppo.policy().unwrap();
    let student = |overrides: &[&str]| {
        let told: Vec<String> = ["total_timesteps=16384", "hidden=[6]", "evaluations=0", "update_epochs=2"]
            .iter()
            .chain(overrides)
            .map(|key| (*key).to_owned())
            .collect();
        let config = presets::distill("student_driven", &told).unwrap();
        let mut distiller = Distiller::new(config, &teacher, &registry, &device)?;
        let (logger, log) = Logger::memory();
        distiller.train(&mut Session { logger, ..Session::default() }).unwrap();
        Ok::<_, apprentice::agents::Error>(curve(&log, "distill/train_loss"))
    };
    for feature in ["hint", "attention", "rkd_distance", "rkd_angle"] {
        let told = format!("features.{feature}=1");
        let alone = student(&["losses.kl=0", &told]).unwrap();
        let (first, last) = (alone[0], *alone.last().unwrap());
        assert!(last < 0.8 * first, "{feature}: from {first} to {last}");
        assert!(alone == student(&["losses.kl=0", &told]).unwrap(), "{feature}: the same seed, the same bits");
        let both = student(&[&told]).unwrap();
        assert!(both.last().unwrap() < &both[0], "{feature} and kl: {both:?}");
    }
    for (told, part) in [
        (&["features.hint=1", "hidden=[]"][..], "hidden"),
        (&["features.hint=1", "engine=fused"], "fused"),
        (&["losses.kl=0"], "losses"),
    ] {
        let refused = student(told).unwrap_err();
        assert!(refused.is_config() && refused.to_string().contains(part), "{told:?}: {refused}");
    }
    let linear = balancing_teacher();
    let config = presets::distill("default", &["features.rkd_angle=1".to_owned()]).unwrap();
    let refused = Distiller::new(config, &linear, &registry, &device).err().unwrap();
    assert!(refused.is_config() && refused.to_string().contains("a hidden layer"), "{refused}");
}

/// A pole and a grid: one student has inputs and outputs for each, and does both as well as its teachers.
#[test]
fn one_student_does_several_tasks() {
    let (registry, device) = (Registry::builtin(), device("cpu").unwrap());
    let grid = PpoConfig { total_timesteps: 61_440, evaluations: 0, ..presets::ppo("gridworld", &[]).unwrap() };
    let mut ppo = Ppo::new(grid, &registry, &device).unwrap();
    ppo.train(&mut Session::default()).unwrap();
    // It reads the last number twice, which a wrapper shows it.
    let wrappers = serde_json::json!([{ "type": "SelectObservation", "indices": [0, 1, 2, 3, 3] }]);
    let Header { environment, .. } = balancing_teacher().header().clone();
    let header = Header {
        environment: EnvironmentRef { wrappers, ..environment },
        observation: Features::Box { len: 5 },
        ..balancing_teacher().header().clone()
    };
    let mut layers = balancing_teacher().layers().to_vec();
    layers[0].weight.extend([0.0, 0.0]);
    let teachers = [Policy::new(header, layers).unwrap(), ppo.policy().unwrap()];
    let tasks = || Teacher::tasks(&[&teachers[0], &teachers[1]]).unwrap();
    let config = DistillConfig { total_timesteps: 40_960, hidden: vec![16], ..quick() };
    let mut distiller = Distiller::new(config, tasks(), &registry, &device).unwrap();
    distiller.train(&mut Session::default()).unwrap();
    let student = distiller.policy().unwrap();
    for (place, teacher) in tasks().domain_envs().unwrap().iter().zip(&teachers) {
        let header = Header { environment: environment_ref(place), ..student.header().clone() };
        let there = Policy::new(header, student.body().clone()).unwrap();
        let report = Report::measure((teacher, None), (&there, None), &registry).unwrap();
        assert!(report.normalized_return.unwrap() > 0.95, "{report:?}");
    }
    let pendulum = Ppo::new(PpoConfig { env: EnvSpec::new("Pendulum-v1"), ..PpoConfig::default() }, &registry, &device);
    let refused = Teacher::tasks(&[&teachers[0], &pendulum.unwrap().policy().unwrap()]).err().unwrap();
    assert!(refused.is_config() && refused.to_string().contains("DiscretizeAction"), "{refused}");
}

/// The student sees the teacher's observation backwards, and acts on what it sees itself.
#[test]
fn a_student_may_have_other_eyes_than_its_teacher() {
    let backwards = WrapperSpec::SelectObservation { indices: vec![3, 2, 1, 0] };
    let env = EnvSpec::new("CartPole-v1").wrapped(backwards);
    for preset in ["default", "dagger", "ppd", "reward_augmented"] {
        let config = presets::distill(preset, &["total_timesteps=16384".to_owned()]).unwrap();
        let (student, log) = distil(DistillConfig { env: Some(env.clone()), evaluations: 4, ..config });
        assert!(*curve(&log, "distill/student_accuracy").last().unwrap() > 0.75, "{preset}");
        let evaluation = evaluate(&student, None, &Registry::builtin(), &EvaluationPlan::default()).unwrap();
        assert!(evaluation.mean() >= 450.0, "{preset}: {}", evaluation.mean());
    }
    let other = DistillConfig { env: Some(env), teacher_env: Some(EnvSpec::new("Acrobot-v1")), ..quick() };
    let teacher = balancing_teacher();
    let refused = Distiller::new(other, &teacher, &Registry::builtin(), &device("cpu").unwrap()).err().unwrap();
    assert!(refused.is_environment(), "{refused}");
}

/// The student's critic learns the teacher's values, where the teacher has a critic.
#[test]
fn values_are_distilled_too() {
    let (registry, device) = (Registry::builtin(), device("cpu").unwrap());
    let config = PpoConfig { total_timesteps: 20_480, evaluations: 0, ..presets::ppo("gridworld", &[]).unwrap() };
    let mut ppo = Ppo::new(config, &registry, &device).unwrap();
    ppo.train(&mut Session::default()).unwrap();
    let teacher = ppo.policy().unwrap();
    let config = DistillConfig { value_coef: 1.0, ..quick() };
    let refused = Distiller::new(config.clone(), &teacher, &registry, &device).err().unwrap();
    assert!(refused.is_config() && refused.to_string().contains("value_coef"), "{refused}");

    let checkpoint = ppo.checkpoint().unwrap();
    let critic = Ppo::resume(checkpoint, &registry, &device).unwrap().into_engine();
    let with_critic = Teacher::policy(&teacher).with_critic(critic);
    let mut distiller = Distiller::new(config, with_critic, &registry, &device).unwrap();
    distiller.train(&mut Session::default()).unwrap();
    let observations = ppo.rollout().observation_rows().to_owned();
    let observations = observations.view();
    let (mut a, mut b) = (vec![0.0; observations.nrows()], vec![0.0; observations.nrows()]);
    let none = ppo.rollout().memory_rows().to_owned();
    ppo.engine().values(observations, none.view(), &mut a);
    distiller.engine().values(observations, none.view(), &mut b);
    let mean = a.iter().sum::<f32>() / a.len() as f32;
    let square = |errors: &mut dyn Iterator<Item = f32>| errors.map(|e| e * e).sum::<f32>();
    let left = square(&mut a.iter().zip(&b).map(|(a, b)| a - b)) / square(&mut a.iter().map(|a| a - mean));
    assert!(left < 0.5, "{left} of the variance of the teacher's values is not explained by the student's");
}
