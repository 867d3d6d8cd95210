//! The vector form beside the scalar form, in every autoreset mode and on one thread and two.

use super::calls::{guarded, outside};
use super::finding::{Finding, Findings, Mistake};
use super::play::failed;
use crate::snapshot::Episode;
use crate::{Autoreset, DynEnv, Element, EnvSpec, Error, Generator, Registry, StepBuffer, Value, VectorOptions};
use crate::{Space, Step, VectorEnv};
use ndarray::{Array1, Array2};

/// More than a block of a native form has, and no multiple of it.
const NUM_ENVS: usize = 37;
const STEPS: usize = 120;
/// What stands in the buffers before a step.
const BLANK: f32 = f32::NAN;

pub(super) fn check(registry: &Registry, spec: &EnvSpec) -> Findings {
    let mut findings = Findings::default();
    for autoreset in [Autoreset::SameStep, Autoreset::NextStep, Autoreset::Disabled] {
        for threads in [1, 2] {
            let options = VectorOptions::new(NUM_ENVS, 100).autoreset(autoreset).threads(threads);
            let place = format!("autoreset {autoreset:?}, threads {threads}");
            match guarded(&place, || compare(registry, spec, &options)) {
                Ok(Ok(None)) => {}
                Ok(Ok(Some(found))) => findings.add(Finding { place: format!("{place}, {}", found.place), ..found }),
                Ok(Err(error)) => findings.add(failed(&place, &error)),
                Err(panic) => findings.add(panic),
            }
        }
    }
    findings
}

/// The scalar environments that a batch has to equal.
struct Reference {
    envs: Vec<Box<dyn DynEnv>>,
    /// Ended, and waits for the next step or for the caller.
    ended: Vec<bool>,
}

/// The first thing that the vector form does otherwise.
fn compare(registry: &Registry, spec: &EnvSpec, options: &VectorOptions) -> Result<Option<Finding>, Error> {
    let mut vector = registry.make_vec_with(spec, options)?;
    let envs = (0..NUM_ENVS).map(|_| registry.make(spec)).collect::<Result<_, _>>()?;
    let mut reference = Reference { envs, ended: vec![false; NUM_ENVS] };
    let spaces = (vector.observation_space().clone(), vector.action_space().clone());
    let scalar = (reference.envs[0].observation_space().clone(), reference.envs[0].action_space().clone());
    if spaces != scalar {
        let words = |(observations, actions): (Space, Space)| format!("{observations} and {actions}");
        return Ok(Some(differs("its spaces".to_owned(), words(scalar), words(spaces))));
    }
    let (observation_space, action_space) = spaces;
    let mut rng = Generator::new(1);
    let mut out = StepBuffer::new(&*vector);
    let mut actions = Array2::zeros((NUM_ENVS, action_space.flat_dim()));

    out.observations.fill(BLANK);
    vector.reset(Some(options.seed), out.observations.view_mut())?;
    for env in 0..NUM_ENVS {
        let first = reference.envs[env].reset(Some(options.seed + env as u64))?;
        if let Some(found) = row(&out.observations, env, &first, &observation_space, "reset") {
            return Ok(Some(found));
        }
    }
    for step in 1..=STEPS {
        if step == STEPS / 2 {
            // From here on a vector environment that was restored goes on.
            let snapshot = vector.snapshot();
            vector = registry.make_vec_with(spec, options)?;
            vector.restore(&snapshot)?;
        }
        for (env, mut row) in actions.rows_mut().into_iter().enumerate() {
            let row = row.as_slice_mut().expect("rows are contiguous");
            action_space.sample(&mut rng).write_flat(row);
            // Which the next step ignores, whatever it is.
            if reference.ended[env] {
                row.fill(f32::NAN);
            }
        }
        if step == 1
            && let Some(found) = refusals(&mut *vector, &actions, &mut out, &action_space)
        {
            return Ok(Some(found));
        }
        (out.observations, out.final_observations) = blank(&out);
        vector.step(actions.view(), out.view_mut())?;
        for env in 0..NUM_ENVS {
            let action = actions.row(env).to_vec();
            if let Some(found) = reference.advance(env, &action, &out, vector.autoreset(), step)? {
                return Ok(Some(found));
            }
        }
        if vector.autoreset() == Autoreset::Disabled {
            let mask = Array1::from(reference.ended.clone());
            vector.reset_where(mask.view(), None, out.observations.view_mut())?;
            for env in (0..NUM_ENVS).filter(|&env| mask[env]) {
                let first = reference.envs[env].reset(None)?;
                reference.ended[env] = false;
                let place = format!("reset_where after step {step}");
                if let Some(found) = row(&out.observations, env, &first, &observation_space, &place) {
                    return Ok(Some(found));
                }
            }
        }
        if let Some(found) = reference.rest(&*vector, step)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn blank(out: &StepBuffer) -> (Array2<f32>, Array2<f32>) {
    let blank = Array2::from_elem(out.observations.dim(), BLANK);
    (blank.clone(), blank)
}

impl Reference {
    /// Takes environment `env` through a step, and says what the vector form has of it otherwise.
    fn advance(
        &mut self,
        env: usize,
        action: &[f32],
        out: &StepBuffer,
        autoreset: Autoreset,
        step: usize,
    ) -> Result<Option<Finding>, Error> {
        let scalar = &mut self.envs[env];
        let place = format!("step {step}");
        let space = scalar.observation_space().clone();
        let none = |observation| Step { observation, reward: 0.0, terminated: false, truncated: false };
        let starts = std::mem::take(&mut self.ended[env]);
        let expected = match starts {
            true => none(scalar.reset(None)?),
            false => {
                let action = Value::from_flat(action, scalar.action_space());
                scalar.step(&action.expect("a row of the space's columns"))?
            }
        };
        let got = (out.rewards[env], out.terminated[env], out.truncated[env]);
        let outcome = (expected.reward, expected.terminated, expected.truncated);
        if (got.0.to_bits(), got.1, got.2) != (outcome.0.to_bits(), outcome.1, outcome.2) {
            let words = |(reward, terminated, truncated)| {
                format!("the reward {reward}, terminated {terminated}, truncated {truncated}")
            };
            return Ok(Some(differs(format!("environment {env}, {place}"), words(outcome), words(got))));
        }
        let same = |rows, value, what: &str| row(rows, env, value, &space, &format!("{what} of {place}"));
        let last = &out.final_observations;
        if !expected.done() {
            let untouched = last.row(env).iter().all(|x| x.is_nan());
            let touched = || {
                let place = format!("environment {env}, final_observations of {place}");
                differs(place, "the row left alone, as no episode ended".to_owned(), "a row that is written".to_owned())
            };
            let found = same(&out.observations, &expected.observation, "observations");
            return Ok(found.or_else(|| (!untouched).then(touched)));
        }
        let now = match autoreset {
            Autoreset::SameStep => scalar.reset(None)?,
            Autoreset::NextStep | Autoreset::Disabled => {
                self.ended[env] = true;
                expected.observation.clone()
            }
        };
        let found = same(last, &expected.observation, "final_observations");
        Ok(found.or_else(|| same(&out.observations, &now, "observations")))
    }

    /// Masks, states, generators and numbers of steps.
    fn rest(&self, vector: &dyn VectorEnv, step: usize) -> Result<Option<Finding>, Error> {
        let mut masks = Array2::from_elem((NUM_ENVS, vector.action_space().feature_dim()), true);
        vector.action_masks(masks.view_mut())?;
        let snapshot = vector.snapshot();
        for (env, scalar) in self.envs.iter().enumerate() {
            let place = format!("environment {env}, after step {step}");
            let (expected, got) = (scalar.action_mask(), masks.row(env).to_vec());
            if expected != got {
                return Ok(Some(differs(place, format!("the action mask {expected:?}"), format!("{got:?}"))));
            }
            let scalar = scalar.snapshot();
            if let Some((expected, got)) = state_differs(&scalar.episodes(1)?[0], &snapshot.episodes(NUM_ENVS)?[env]) {
                return Ok(Some(differs(place, expected, got)));
            }
        }
        Ok(None)
    }
}

/// What a snapshot of the vector form has otherwise than one of the scalar form.
fn state_differs(scalar: &Episode, vector: &Episode) -> Option<(String, String)> {
    if scalar.rng != vector.rng {
        return Some(("as many draws from the generator".to_owned(), "others".to_owned()));
    }
    if scalar.state != vector.state {
        return Some((format!("the state {:?} (in bytes)", scalar.state), format!("{:?}", vector.state)));
    }
    let words = |episode: &Episode| format!("{:?} after {} steps", episode.phase, episode.elapsed);
    (words(scalar) != words(vector)).then(|| (words(scalar), words(vector)))
}

/// The first action outside its space that the vector form takes.
fn refusals(vector: &mut dyn VectorEnv, valid: &Array2<f32>, out: &mut StepBuffer, space: &Space) -> Option<Finding> {
    let env = NUM_ENVS - 1;
    outside(space).into_iter().find_map(|row| {
        let mut actions = valid.clone();
        actions.row_mut(env).iter_mut().zip(&row).for_each(|(to, x)| *to = *x);
        vector.step(actions.view(), out.view_mut()).is_ok().then(|| Finding {
            mistake: Mistake::InvalidAction,
            place: format!("environment {env}, step 1"),
            expected: format!("an error for the action {row:?}"),
            got: "a step".to_owned(),
        })
    })
}

/// What row `env` has otherwise than `expected`.
fn row(rows: &Array2<f32>, env: usize, expected: &Value, space: &Space, what: &str) -> Option<Finding> {
    let mut wanted = vec![0.0; space.flat_dim()];
    expected.write_flat(&mut wanted);
    let got = rows.row(env);
    let column = (0..wanted.len()).find(|&i| wanted[i].to_bits() != got[i].to_bits())?;
    let place = format!("environment {env}, {what}, column {column}");
    Some(differs(place, wanted[column].to_string(), got[column].to_string()))
}

fn differs(place: String, expected: String, got: String) -> Finding {
    Finding { mistake: Mistake::Vector, place, expected, got }
}
