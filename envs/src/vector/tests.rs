//! What every vector environment keeps to, checked on one with a native batch, one of copies, and one that draws in
//! its steps.

use super::{Copies, Vector};
use crate::wrappers::{Wrapped, Wrapper};
use crate::{
    Autoreset, CartPole, CartPoleConfig, Element, EnvSpec, Error, Generator, Outcome, Part, Registry, RowEnv, Rows,
    Snapshot, StepBuffer, Value, VectorEnv, VectorOptions,
};
use ndarray::{Array1, Array2, Axis};
use std::sync::Mutex;

/// Each with a time limit that cuts some of its episodes.
fn specs() -> Vec<EnvSpec> {
    [("CartPole-v1", 25), ("Pendulum-v1", 7), ("FrozenLake-v1", 9)]
        .map(|(id, limit)| EnvSpec { max_episode_steps: Some(limit), ..EnvSpec::new(id) })
        .to_vec()
}

fn vector(spec: &EnvSpec, options: &VectorOptions) -> Box<dyn VectorEnv> {
    Registry::builtin().make_vec_with(spec, options).unwrap()
}

/// The actions of step t: drawn anew for each t, so that they do not depend on the run before it.
fn actions(env: &dyn VectorEnv, t: u64) -> Array2<f32> {
    let mut rng = Generator::new(t);
    let mut actions = Array2::zeros((env.num_envs(), env.action_space().flat_dim()));
    for mut row in actions.rows_mut() {
        env.action_space().sample(&mut rng).write_flat(row.as_slice_mut().unwrap());
    }
    actions
}

fn started(env: &mut dyn VectorEnv, seed: u64) -> StepBuffer {
    let mut out = StepBuffer::new(env);
    env.reset(Some(seed), out.observations.view_mut()).unwrap();
    out
}

fn step(env: &mut dyn VectorEnv, t: u64, out: &mut StepBuffer) {
    env.step(actions(env, t).view(), out.view_mut()).unwrap();
}

fn done(out: &StepBuffer, env: usize) -> bool {
    out.terminated[env] || out.truncated[env]
}

#[test]
fn threads_change_no_bit() {
    // With 1100 there are more chunks than threads.
    for (spec, num_envs) in specs().into_iter().flat_map(|spec| [(spec.clone(), 37), (spec, 1100)]) {
        for autoreset in [Autoreset::SameStep, Autoreset::NextStep] {
            let options = VectorOptions::new(num_envs, 5).autoreset(autoreset);
            for threads in [2, 3, 64] {
                let mut one = vector(&spec, &options);
                let mut many = vector(&spec, &options.clone().threads(threads));
                let (mut expected, mut got) = (started(&mut *one, 11), started(&mut *many, 11));
                for t in 0..60 {
                    step(&mut *one, t, &mut expected);
                    step(&mut *many, t, &mut got);
                    assert_eq!(got, expected, "{spec:?}, {threads} threads, step {t}");
                }
                assert_eq!(one.snapshot(), many.snapshot());
            }
        }
    }
}

/// Fails in every step with its number, if it has one.
#[derive(Clone)]
struct Failing(Option<usize>);

impl Wrapper for Failing {
    fn step(
        &mut self,
        env: &mut dyn RowEnv,
        action: &[f32],
        rng: &mut Generator,
        observation: &mut [f32],
    ) -> Result<Outcome, Error> {
        match self.0 {
            Some(number) => Err(Error::environment(format!("number {number} fails"))),
            None => env.step(action, rng, observation),
        }
    }
}

#[test]
fn of_several_failures_the_first_is_reported() {
    let cart_pole = Rows::new(CartPole::new(CartPoleConfig::default()).unwrap());
    let env = |i| Wrapped::new(cart_pole.boxed(), Failing([300, 700, 701, 1099].contains(&i).then_some(i))).boxed();
    for threads in [1, 2, 3, 5] {
        let envs = (0..1100).map(env).collect();
        let mut vector = Vector::<Copies<Box<dyn RowEnv>>>::new(envs, None, 0, Autoreset::SameStep, threads).unwrap();
        let mut out = started(&mut vector, 0);
        let actions = actions(&vector, 0);
        let error = vector.step(actions.view(), out.view_mut()).unwrap_err();
        assert!(error.is_environment() && error.to_string().contains("number 300 fails"), "{threads} threads: {error}");
        assert!(vector.step(actions.view(), out.view_mut()).unwrap_err().is_order());
    }
}

/// Rows of the three modes tell the same story: next-step only spends a step on every start, and disabled lets the
/// caller start.
#[test]
fn the_modes_differ_only_in_when_episodes_start() {
    for spec in specs() {
        let make = |autoreset| vector(&spec, &VectorOptions::new(8, 3).autoreset(autoreset));
        let mut same = make(Autoreset::SameStep);
        let mut disabled = make(Autoreset::Disabled);
        let (mut a, mut b) = (started(&mut *same, 3), started(&mut *disabled, 3));
        let mut ends = 0;
        for t in 0..80 {
            step(&mut *same, t, &mut a);
            step(&mut *disabled, t, &mut b);
            let ended = Array1::from_shape_fn(8, |env| done(&a, env));
            for env in (0..8).filter(|&env| ended[env]) {
                assert_eq!(a.final_observations.row(env), b.observations.row(env), "the last observation stays");
                assert_eq!(a.final_observations.row(env), b.final_observations.row(env));
                ends += 1;
            }
            if ended.iter().any(|&end| end) {
                let next = actions(&*disabled, t + 1);
                let refused = disabled.step(next.view(), b.view_mut()).unwrap_err();
                assert!(refused.is_order() && refused.to_string().contains("reset_where"), "{refused}");
            }
            disabled.reset_where(ended.view(), None, b.observations.view_mut()).unwrap();
            assert_eq!(a, b, "{spec:?}, step {t}");
        }
        assert!(ends > 8);
    }
}

#[test]
fn next_step_spends_a_step_on_every_start() {
    for spec in specs() {
        let single = |env: usize| vector(&spec, &VectorOptions::new(1, 3 + env as u64));
        let mut batch = vector(&spec, &VectorOptions::new(4, 3).autoreset(Autoreset::NextStep));
        let mut out = started(&mut *batch, 3);
        let mut singles: Vec<_> = (0..4).map(single).collect();
        let mut expected: Vec<_> = (0..4).map(|env| started(&mut *singles[env], 3 + env as u64)).collect();
        let mut starts = [false; 4];
        for t in 0..80 {
            let mut all = actions(&*batch, t);
            // An environment that starts ignores its action, whatever it is.
            (0..4).filter(|&env| starts[env]).for_each(|env| all.row_mut(env).fill(f32::NAN));
            batch.step(all.view(), out.view_mut()).unwrap();
            for env in 0..4 {
                let row = out.observations.row(env);
                if starts[env] {
                    assert_eq!((out.rewards[env], done(&out, env)), (0.0, false));
                    assert_eq!(row, expected[env].observations.row(0), "{spec:?}, step {t}");
                    starts[env] = false;
                    continue;
                }
                let action = all.row(env).to_owned().insert_axis(ndarray::Axis(0));
                singles[env].step(action.view(), expected[env].view_mut()).unwrap();
                assert_eq!(out.rewards[env], expected[env].rewards[0]);
                assert_eq!(out.terminated[env], expected[env].terminated[0]);
                assert_eq!(out.truncated[env], expected[env].truncated[0], "{spec:?}, step {t}, environment {env}");
                starts[env] = done(&out, env);
                let last = if starts[env] { &expected[env].final_observations } else { &expected[env].observations };
                assert_eq!(row, last.row(0));
            }
        }
    }
}

/// From bytes, in another vector environment with another number of threads, and in the scalar form.
#[test]
fn a_snapshot_goes_on_bit_for_bit() {
    for spec in specs() {
        for autoreset in [Autoreset::SameStep, Autoreset::NextStep, Autoreset::Disabled] {
            let options = VectorOptions::new(6, 9).autoreset(autoreset);
            let mut original = vector(&spec, &options);
            let mut out = started(&mut *original, 1);
            for t in 0..5 {
                step(&mut *original, t, &mut out);
                let ended = Array1::from_shape_fn(6, |env| autoreset == Autoreset::Disabled && done(&out, env));
                original.reset_where(ended.view(), None, out.observations.view_mut()).unwrap();
            }
            let snapshot = Snapshot::from_bytes(&original.snapshot().to_bytes()).unwrap();
            let mut copy = vector(&spec, &options.clone().threads(2));
            copy.restore(&snapshot).unwrap();
            let mut scalar = Registry::builtin().make(&spec).unwrap();
            scalar.restore(&snapshot.single(4).unwrap()).unwrap();

            let first = actions(&*original, 100).row(4).to_vec();
            let alone = scalar.step(&Value::from_flat(&first, original.action_space()).unwrap()).unwrap();
            let mut other = StepBuffer::new(&*copy);
            for t in 100..130 {
                let (a, b) = (actions(&*original, t), actions(&*copy, t));
                let results =
                    (original.step(a.view(), out.view_mut()).is_ok(), copy.step(b.view(), other.view_mut()).is_ok());
                assert_eq!(results.0, results.1);
                if t == 100 {
                    assert_eq!((alone.reward, alone.terminated), (out.rewards[4], out.terminated[4]));
                }
                // Rows of episodes that ended before the snapshot differ, as nothing has been written there yet.
                assert_eq!((&out.observations, &out.rewards), (&other.observations, &other.rewards), "{spec:?} {t}");
                let ended = Array1::from_shape_fn(6, |env| autoreset == Autoreset::Disabled && done(&out, env));
                original.reset_where(ended.view(), None, out.observations.view_mut()).unwrap();
                copy.reset_where(ended.view(), None, other.observations.view_mut()).unwrap();
            }
            assert_eq!(original.snapshot(), copy.snapshot());
        }
    }
}

#[test]
fn a_masked_reset_leaves_the_others_alone() {
    for spec in specs() {
        let mut env = vector(&spec, &VectorOptions::new(5, 0).threads(2));
        let mut out = started(&mut *env, 0);
        step(&mut *env, 0, &mut out);
        let before = out.clone();
        let mask = Array1::from(vec![false, true, false, false, true]);
        env.reset_where(mask.view(), Some(&[70, 71, 72, 73, 74]), out.observations.view_mut()).unwrap();
        let mut fresh = vector(&spec, &VectorOptions::new(5, 0));
        let expected = started(&mut *fresh, 70);
        for (i, &reset) in mask.iter().enumerate() {
            let from = if reset { &expected } else { &before };
            assert_eq!(out.observations.row(i), from.observations.row(i), "{spec:?}, environment {i}");
        }
    }
}

#[test]
fn parameters_may_differ_between_environments() {
    let spec = EnvSpec::new("CartPole-v1");
    let options = VectorOptions::new(9, 4).randomize("length", 0.2, 2.0).randomize("masspole", 0.05, 0.5);
    let (mut batch, mut twin) = (vector(&spec, &options), vector(&spec, &options.clone().threads(3)));
    let (mut out, mut other) = (started(&mut *batch, 4), started(&mut *twin, 4));
    let mut alone: Vec<_> = (0..9)
        .map(|i| {
            let own = EnvSpec { kwargs: options.each[i].clone(), ..spec.clone() };
            vector(&own, &VectorOptions::new(1, 4 + i as u64))
        })
        .collect();
    let mut alone_out: Vec<_> = (0..9).map(|i| started(&mut *alone[i], 4 + i as u64)).collect();
    for t in 0..100 {
        step(&mut *batch, t, &mut out);
        step(&mut *twin, t, &mut other);
        assert_eq!(out, other);
        let all = actions(&*batch, t);
        for i in 0..9 {
            let action = all.row(i).to_owned().insert_axis(ndarray::Axis(0));
            alone[i].step(action.view(), alone_out[i].view_mut()).unwrap();
            assert_eq!(alone_out[i].observations.row(0), out.observations.row(i), "environment {i}, step {t}");
        }
    }
    let lengths: Vec<f64> = options.each.iter().map(|kwargs| kwargs["length"].as_f64().unwrap()).collect();
    assert!(lengths.iter().all(|length| (0.2..2.0).contains(length)) && lengths[0] != lengths[1]);
}

#[test]
fn parameters_that_change_the_spaces_are_refused() {
    let options = VectorOptions {
        each: ["4x4", "8x8"].map(|map| EnvSpec::new("").with("map_name", map).kwargs).to_vec(),
        ..VectorOptions::new(2, 0)
    };
    let error = Registry::builtin().make_vec_with("FrozenLake-v1", &options).err().unwrap();
    assert!(error.is_config() && error.to_string().contains("environment 1 has other spaces"), "{error}");
    let one = VectorOptions { each: options.each[..1].to_vec(), ..options };
    assert!(Registry::builtin().make_vec_with("FrozenLake-v1", &one).err().unwrap().is_config());
}

#[test]
fn wrong_calls_are_refused_before_anything_is_stepped() {
    for spec in specs() {
        let mut env = vector(&spec, &VectorOptions::new(4, 0).threads(2));
        let mut out = StepBuffer::new(&*env);
        let good = actions(&*env, 0);
        assert!(env.step(good.view(), out.view_mut()).unwrap_err().is_order());
        env.reset(None, out.observations.view_mut()).unwrap();
        let before = env.snapshot();

        assert!(env.step(good.slice(ndarray::s![..3, ..]), out.view_mut()).unwrap_err().is_shape());
        for bad in [f32::NAN, 99.0, -99.0, f32::INFINITY] {
            let mut actions = good.clone();
            actions[[3, 0]] = bad;
            let error = env.step(actions.view(), out.view_mut()).unwrap_err();
            assert!(error.is_action() && error.to_string().contains("environment 3"), "{error}");
        }
        let columns = env.observation_space().flat_dim();
        let mut narrow = Array2::zeros((4, columns + 1));
        assert!(env.reset(None, narrow.view_mut()).unwrap_err().is_shape());
        let mut strided = Array2::zeros((8, columns));
        let rows = ndarray::s![..;2, ..];
        assert!(env.reset(None, strided.slice_mut(rows)).unwrap_err().to_string().contains("contiguous"));
        let mask = Array1::from_elem(3, true);
        assert!(env.reset_where(mask.view(), None, out.observations.view_mut()).unwrap_err().is_shape());
        let mask = Array1::from_elem(4, true);
        assert!(env.reset_where(mask.view(), Some(&[1]), out.observations.view_mut()).unwrap_err().is_shape());
        assert_eq!(env.snapshot(), before);
    }
}

/// Actions that the threads choose for the environments they step: the same bits as if they were given.
#[test]
fn chosen_actions_are_those_that_would_be_given() {
    for (spec, num_envs) in specs().into_iter().flat_map(|spec| [(spec.clone(), 37), (spec, 1100)]) {
        for autoreset in [Autoreset::SameStep, Autoreset::NextStep] {
            for threads in [1, 2, 3] {
                let options = VectorOptions::new(num_envs, 5).autoreset(autoreset).threads(threads);
                let (mut given, mut chosen) = (vector(&spec, &options), vector(&spec, &options));
                let (mut expected, mut got) = (started(&mut *given, 11), started(&mut *chosen, 11));
                let mut taken = Array2::zeros((num_envs, 1));
                for t in 0..20 {
                    let all = actions(&*given, t);
                    let seen: Vec<Mutex<usize>> = (0..chosen.parts()).map(|_| Mutex::new(0)).collect();
                    let before = got.observations.clone();
                    chosen
                        .step_with(
                            &|mut part| {
                                let rows = part.first_env..part.first_env + part.observations.nrows();
                                assert_eq!(part.observations, before.slice_axis(Axis(0), rows.clone().into()));
                                part.actions.assign(&all.slice_axis(Axis(0), rows.clone().into()));
                                *seen[part.index].lock().unwrap() += rows.len();
                            },
                            taken.view_mut(),
                            got.view_mut(),
                        )
                        .unwrap();
                    given.step(all.view(), expected.view_mut()).unwrap();
                    assert_eq!((&got, &taken), (&expected, &all), "{spec:?}, {threads} threads, step {t}");
                    assert_eq!(seen.iter().map(|n| *n.lock().unwrap()).sum::<usize>(), num_envs);
                }
            }
        }
    }
}

#[test]
fn a_chosen_action_outside_the_space_is_named_and_all_have_to_be_reset() {
    for threads in [1, 2] {
        let mut env = vector(&EnvSpec::new("CartPole-v1"), &VectorOptions::new(600, 5).threads(threads));
        let mut taken = Array2::zeros((600, 1));
        let mut out = StepBuffer::new(&*env);
        let left = |mut part: Part<'_>| part.actions.fill(0.0);
        let error = env.step_with(&left, taken.view_mut(), out.view_mut()).unwrap_err().to_string();
        assert!(error.contains("reset"), "{error}");
        let mut out = started(&mut *env, 0);
        let wrong = |mut part: Part<'_>| {
            part.actions.fill(1.0);
            (part.first_env..part.first_env + part.actions.len()).zip(&mut part.actions).for_each(|(env, action)| {
                if env == 555 {
                    *action = 2.0;
                }
            });
        };
        let error = env.step_with(&wrong, taken.view_mut(), out.view_mut()).unwrap_err().to_string();
        assert!(error.contains("environment 555") && error.contains('2'), "{error}");
        assert!(env.step_with(&left, taken.view_mut(), out.view_mut()).is_err(), "it goes on after an error");
        let mut out = started(&mut *env, 0);
        env.step_with(&left, taken.view_mut(), out.view_mut()).unwrap();
    }
}

/// What is known of the steps before does not outlive them: a snapshot may be of environments without episodes.
#[test]
fn a_snapshot_of_nothing_has_to_be_reset() {
    let mut env = vector(&EnvSpec::new("CartPole-v1"), &VectorOptions::new(3, 5));
    let fresh = env.snapshot();
    let mut out = started(&mut *env, 0);
    step(&mut *env, 0, &mut out);
    env.restore(&fresh).unwrap();
    let error = env.step(actions(&*env, 1).view(), out.view_mut()).unwrap_err().to_string();
    assert!(error.contains("reset"), "{error}");
}
