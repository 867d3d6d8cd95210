use super::*;
use crate::{EnvSpec, Generator, Registry, StepBuffer, VectorOptions, make_vec};
use ndarray::Array2;

/// The variance and the mean in two passes over everything, without a prior.
fn moments(rows: &[[f64; 2]]) -> [(f64, f64); 2] {
    let n = rows.len() as f64;
    [0, 1].map(|column| {
        let mean = rows.iter().map(|row| row[column]).sum::<f64>() / n;
        (mean, rows.iter().map(|row| (row[column] - mean).powi(2)).sum::<f64>() / n)
    })
}

fn assert_close(got: f64, expected: f64, tolerance: f64) {
    assert!((got - expected).abs() <= tolerance * expected.abs(), "{got} and {expected}");
}

#[test]
fn statistics_are_those_of_all_rows_however_they_come() {
    let mut rng = Generator::new(0);
    // A large mean and a small variance: what a sum of squares would lose.
    let rows: Vec<[f64; 2]> = (0..3000).map(|_| [1e6 + rng.random(), rng.uniform(-2.0, 5.0)]).collect();
    let mut whole = RunningMeanStd::new(2);
    let (mut left, mut right) = (RunningMeanStd::new(2), RunningMeanStd::new(2));
    whole.update(rows.iter().map(|row| &row[..]));
    for batch in rows[..1000].chunks(7) {
        left.update(batch.iter().map(|row| &row[..]));
    }
    rows[1000..].iter().for_each(|row| right.update(std::iter::once(&row[..])));
    left.merge(&right).unwrap();
    let expected = moments(&rows);
    for (column, (mean, _)) in expected.into_iter().enumerate() {
        // The prior pulls the mean and, far from it, the variance: by d²/n of the 10⁻⁴ rows at a distance d.
        assert_close(whole.mean()[column], mean, 1e-7);
        assert_close(left.mean()[column], mean, 2e-7);
    }
    assert_close(whole.var()[1], expected[1].1, 1e-6);
    assert_close(left.var()[1], expected[1].1, 1e-6);
    assert_close(left.count(), 3000.0002, 1e-12);
    assert!(whole.merge(&RunningMeanStd::new(3)).is_err());
}

#[test]
fn statistics_serialise_and_refuse_nonsense() {
    let mut statistics = RunningMeanStd::new(2);
    statistics.update([&[1.0_f32, 2.0][..], &[0.5, 4.0]].into_iter());
    let json = serde_json::to_string(&statistics).unwrap();
    assert_eq!(serde_json::from_str::<RunningMeanStd>(&json).unwrap(), statistics);
    for json in [
        r#"{"mean": [0.0], "var": [1.0, 1.0], "count": 1}"#,
        r#"{"mean": [0.0], "var": [-1.0], "count": 1}"#,
        r#"{"mean": [0.0], "var": [1.0], "count": 0}"#,
    ] {
        assert!(serde_json::from_str::<RunningMeanStd>(json).is_err(), "{json}");
    }
}

fn normalized(autoreset: Autoreset, num_envs: usize) -> Normalize {
    let spec = EnvSpec { max_episode_steps: Some(9), ..EnvSpec::new("Pendulum-v1") };
    let options = VectorOptions::new(num_envs, 5).autoreset(autoreset);
    let envs = Registry::builtin().make_vec_with(spec, &options).unwrap();
    Normalize::new(envs, Some(NormalizeObservation::new(3)), Some(NormalizeReward::new(num_envs))).unwrap()
}

/// Steps with pseudo-random torques; resets by hand what the mode leaves to the caller.
fn steps(envs: &mut Normalize, out: &mut StepBuffer, steps: u64) {
    for step in 0..steps {
        let actions = Array2::from_shape_fn((envs.num_envs(), 1), |(env, _)| ((step + env as u64) % 5) as f32 - 2.0);
        envs.step(actions.view(), out.view_mut()).unwrap();
        if envs.autoreset() == Autoreset::Disabled {
            let mask = &out.terminated | &out.truncated;
            envs.reset_where(mask.view(), None, out.observations.view_mut()).unwrap();
        }
    }
}

/// Rewards and returns do not depend on how episodes are started.
#[test]
fn rewards_are_the_same_in_every_mode() {
    let statistics =
        [(Autoreset::SameStep, 30), (Autoreset::Disabled, 30), (Autoreset::NextStep, 33)].map(|(mode, n)| {
            let mut envs = normalized(mode, 1);
            let mut out = StepBuffer::new(&envs);
            envs.reset(None, out.observations.view_mut()).unwrap();
            for step in 0..n {
                // In next-step mode every tenth step only starts an episode: leave its action out of the sequence.
                let action = if mode == Autoreset::NextStep { step - step / 10 } else { step };
                envs.step(Array2::from_elem((1, 1), (action % 5) as f32 - 2.0).view(), out.view_mut()).unwrap();
                if mode == Autoreset::Disabled {
                    let mask = &out.terminated | &out.truncated;
                    envs.reset_where(mask.view(), None, out.observations.view_mut()).unwrap();
                }
            }
            envs.rewards().unwrap().clone()
        });
    assert_eq!(statistics[0], statistics[1]);
    assert_eq!(statistics[0], statistics[2]);
    assert_eq!(statistics[0].statistics.count().floor(), 30.0);
}

#[test]
fn final_observations_are_normalised_with_the_same_statistics() {
    let mut envs = normalized(Autoreset::SameStep, 2);
    let mut plain = make_vec(EnvSpec { max_episode_steps: Some(9), ..EnvSpec::new("Pendulum-v1") }, 2, 5).unwrap();
    let (mut out, mut expected) = (StepBuffer::new(&envs), StepBuffer::new(&*plain));
    envs.reset(None, out.observations.view_mut()).unwrap();
    plain.reset(None, expected.observations.view_mut()).unwrap();
    out.final_observations.fill(7.0);
    for step in 1..=9 {
        envs.step(Array2::ones((2, 1)).view(), out.view_mut()).unwrap();
        plain.step(Array2::ones((2, 1)).view(), expected.view_mut()).unwrap();
        assert_eq!(out.final_observations[[0, 0]] == 7.0, step < 9, "rows of episodes that go on stay as they were");
    }
    let part = envs.observations().unwrap();
    for env in 0..2 {
        let mut row = expected.final_observations.row(env).to_vec();
        part.apply(&mut row);
        assert_eq!(out.final_observations.row(env).to_vec(), row);
    }
    assert_eq!(part.statistics.count().floor(), 2.0 * 10.0);
}

#[test]
fn a_snapshot_holds_the_statistics_but_no_parameters() {
    for autoreset in [Autoreset::SameStep, Autoreset::NextStep, Autoreset::Disabled] {
        let mut envs = normalized(autoreset, 3);
        let mut out = StepBuffer::new(&envs);
        envs.reset(None, out.observations.view_mut()).unwrap();
        steps(&mut envs, &mut out, 19);
        let snapshot = Snapshot::from_bytes(&envs.snapshot().to_bytes()).unwrap();
        let mut twin = normalized(autoreset, 3);
        twin.restore(&snapshot).unwrap();
        let mut twin_out = out.clone();
        steps(&mut envs, &mut out, 20);
        steps(&mut twin, &mut twin_out, 20);
        assert_eq!(out, twin_out);
        assert_eq!(envs.snapshot(), twin.snapshot());

        twin.freeze(true);
        twin.restore(&snapshot).unwrap();
        let before = twin.observations().unwrap().statistics.clone();
        steps(&mut twin, &mut twin_out, 5);
        assert_eq!(twin.observations().unwrap().statistics, before, "frozen it stays");

        let bare = || Registry::builtin().make_vec("Pendulum-v1", 3, 0).unwrap();
        assert!(bare().restore(&snapshot).unwrap_err().is_snapshot());
        assert!(twin.restore(&bare().snapshot()).unwrap_err().is_snapshot());
        let mut rewards_only = Normalize::new(bare(), None, Some(NormalizeReward::new(3))).unwrap();
        assert!(rewards_only.restore(&snapshot).unwrap_err().is_snapshot());
        assert_eq!(snapshot.single(1).unwrap().num_envs(), 1);
    }
}

#[test]
fn what_cannot_be_normalised_is_refused() {
    let envs = || make_vec("Pendulum-v1", 2, 0).unwrap();
    let observations = |part| Normalize::new(envs(), Some(part), None).err().unwrap();
    let rewards = |part| Normalize::new(envs(), None, Some(part)).err().unwrap();
    let (three, two) = (NormalizeObservation::new(3), NormalizeReward::new(2));
    for error in [
        observations(NormalizeObservation::new(4)),
        observations(NormalizeObservation { epsilon: 0.0, ..three.clone() }),
        observations(NormalizeObservation { clip: Some(f32::NAN), ..three }),
        rewards(NormalizeReward::new(3)),
        rewards(NormalizeReward { gamma: 1.5, ..two.clone() }),
        rewards(NormalizeReward { clip: Some(-1.0), ..two.clone() }),
        rewards(NormalizeReward { returns: vec![f64::NAN; 2], ..two }),
        Normalize::new(make_vec("Taxi-v4", 2, 0).unwrap(), Some(NormalizeObservation::new(1)), None).err().unwrap(),
    ] {
        assert!(error.is_config(), "{error}");
    }
}
