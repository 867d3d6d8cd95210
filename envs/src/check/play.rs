//! Playing an environment, and writing down every call to the last bit.

use super::Finding;
use super::calls::guarded;
use super::finding::{Findings, Mistake};
use crate::{Element, Error, Generator, Outcome, RowEnv, Space};

/// What stands in a row before it is written: a NaN that no computation gives.
const UNWRITTEN: u32 = 0x7fc0_dead;

/// An environment with its generator and the episode that it is in.
#[derive(Clone)]
pub(super) struct Player {
    pub(super) env: Box<dyn RowEnv>,
    pub(super) rng: Generator,
    actions: Generator,
    observation_space: Space,
    action_space: Space,
    seed: u64,
    episode: u32,
    step: u32,
    running: bool,
    /// What stands in a row before it is written.
    blank: f32,
}

/// What a call gave, and what is left after it.
#[derive(Clone)]
pub(super) struct Event {
    pub(super) place: String,
    row: Vec<f32>,
    outcome: Outcome,
    mask: Vec<bool>,
    rng: Generator,
}

impl Player {
    /// `env` with generators for itself and for the actions that depend on the seed alone.
    pub(super) fn new(env: Box<dyn RowEnv>, seed: u64) -> Self {
        Self {
            observation_space: env.observation_space(),
            action_space: env.action_space(),
            env,
            rng: Generator::new(seed),
            actions: Generator::stream(seed, 1),
            seed,
            episode: 0,
            step: 0,
            running: false,
            blank: f32::from_bits(UNWRITTEN),
        }
    }

    /// The same, but rows are handed out with something else in them.
    pub(super) fn with_blank(self, blank: f32) -> Self {
        Self { blank, ..self }
    }

    /// The same with another environment, which is told to start.
    pub(super) fn starting(&self, env: Box<dyn RowEnv>) -> Self {
        Self { env, running: false, ..self.clone() }
    }

    /// The same with another environment, which is in the middle of the episode.
    pub(super) fn going_on(&self, env: Box<dyn RowEnv>) -> Self {
        Self { env, ..self.clone() }
    }

    /// `calls` calls.
    pub(super) fn play(&mut self, calls: usize) -> Result<Vec<Event>, Finding> {
        (0..calls).map(|_| self.call()).collect()
    }

    /// A step with a random action, or a reset where no episode runs.
    pub(super) fn call(&mut self) -> Result<Event, Finding> {
        let mut row = vec![self.blank; self.observation_space.flat_dim()];
        (self.episode, self.step) = if self.running { (self.episode, self.step + 1) } else { (self.episode + 1, 0) };
        let place = self.place();
        let outcome = if self.running {
            let mut action = vec![0.0; self.action_space.flat_dim()];
            self.action_space.sample(&mut self.actions).write_flat(&mut action);
            guarded(&place, || self.env.step(&action, &mut self.rng, &mut row))?
        } else {
            guarded(&place, || self.env.reset(&mut self.rng, &mut row).map(|()| Outcome::default()))?
        };
        let outcome = outcome.map_err(|error| failed(&place, &error))?;
        self.running = !outcome.done();
        let entries = self.action_space.feature_dim();
        let mut mask = vec![true; entries];
        guarded(&place, || self.env.action_mask(&mut mask)).map_err(|panic| Finding {
            mistake: Mistake::ActionMask,
            expected: format!("{entries} entries"),
            ..panic
        })?;
        Ok(Event { place, row, outcome, mask, rng: self.rng.clone() })
    }

    /// If the spaces are not what they were at first.
    pub(super) fn spaces_changed(&self) -> Option<Finding> {
        let now = [self.env.observation_space(), self.env.action_space()];
        let mut pairs = [&self.observation_space, &self.action_space].into_iter().zip(now);
        let (expected, got) = pairs.find(|(first, now)| *first != now)?;
        let (expected, got) = (format!("still {expected}"), got.to_string());
        Some(Finding { mistake: Mistake::Spaces, place: self.place(), expected, got })
    }

    /// Where it is.
    pub(super) fn place(&self) -> String {
        let Self { seed, episode, .. } = self;
        match self.step {
            0 => format!("seed {seed}, reset to episode {episode}"),
            step => format!("seed {seed}, episode {episode}, step {step}"),
        }
    }

    /// What is wrong with an event by itself.
    pub(super) fn look_at(&self, event: &Event) -> Findings {
        let mut findings = Findings::default();
        let mut add = |mistake, expected: String, got: String| {
            findings.add(Finding { mistake, place: event.place.clone(), expected, got });
        };
        let unwritten = event.row.iter().position(|x| x.to_bits() == UNWRITTEN);
        match (unwritten, stray(&self.observation_space, &event.row)) {
            (Some(column), _) => {
                add(Mistake::Unwritten, format!("a number in column {column}"), "what stood there before".to_owned());
            }
            (None, Some((column, expected))) => {
                let expected = format!("{expected} in column {column}");
                add(Mistake::Observation, expected, event.row[column].to_string());
            }
            (None, None) => {}
        }
        if !event.outcome.reward.is_finite() {
            add(Mistake::Reward, "a finite number".to_owned(), event.outcome.reward.to_string());
        }
        let mut choices = Vec::new();
        widths(&self.action_space, &mut choices);
        let mut rest = &event.mask[..];
        for (width, exclusive) in choices {
            let (part, after) = rest.split_at(width);
            if exclusive && !part.contains(&true) {
                add(Mistake::ActionMask, format!("one of {width} choices to be left"), "none".to_owned());
            }
            rest = after;
        }
        findings
    }
}

pub(super) fn failed(place: &str, error: &Error) -> Finding {
    Finding {
        mistake: Mistake::Failure,
        place: place.to_owned(),
        expected: "no error".to_owned(),
        got: format!("{:?}", error.to_string()),
    }
}

impl Event {
    /// The first thing that differs from `expected`, if something does, in words: what was expected and what is there.
    pub(super) fn difference(&self, expected: &Self) -> Option<(String, String)> {
        let (a, b) = (expected, self);
        if let Some(i) = (0..a.row.len()).find(|&i| a.row[i].to_bits() != b.row[i].to_bits()) {
            return Some((format!("{} in column {i} of the observation", a.row[i]), b.row[i].to_string()));
        }
        let outcome =
            |event: &Self| (event.outcome.reward.to_bits(), event.outcome.terminated, event.outcome.truncated);
        if outcome(a) != outcome(b) {
            let words = |outcome: Outcome| {
                let Outcome { reward, terminated, truncated } = outcome;
                format!("the reward {reward}, terminated {terminated}, truncated {truncated}")
            };
            return Some((words(a.outcome), words(b.outcome)));
        }
        if a.mask != b.mask {
            return Some((format!("the action mask {:?}", a.mask), format!("{:?}", b.mask)));
        }
        let draws = || ("as many draws from the generator".to_owned(), "others".to_owned());
        (a.rng != b.rng).then(draws)
    }
}

/// The first difference of two plays as a finding of `mistake`; `what` says what the second one is.
pub(super) fn compare(mistake: Mistake, what: &str, expected: &[Event], got: &[Event]) -> Option<Finding> {
    let mut pairs = expected.iter().zip(got);
    pairs.find_map(|(a, b)| {
        let (expected, got) = b.difference(a)?;
        Some(Finding { mistake, place: format!("{}, {what}", a.place), expected, got })
    })
}

/// The first column of a row that lies outside its space, and what is expected there.
fn stray(space: &Space, row: &[f32]) -> Option<(usize, String)> {
    let mut from = 0;
    let mut within = || {
        space.parts().find_map(|part| {
            let columns = from..from + part.flat_dim();
            from = columns.end;
            stray(part, &row[columns.clone()]).map(|(column, expected)| (columns.start + column, expected))
        })
    };
    let column = |column: usize| {
        let (low, high) = match space {
            Space::Box { low, high, .. } => {
                let (low, high) = (low[column], high[column]);
                return (!(low <= row[column] && row[column] <= high))
                    .then(|| format!("a number from {low} to {high}"));
            }
            Space::Discrete { n, start } => (*start, start + i64::from(*n) - 1),
            Space::MultiDiscrete { nvec, start } => (start[column], start[column] + i64::from(nvec[column]) - 1),
            _ => (0, 1),
        };
        let x = f64::from(row[column]);
        let inside = x.fract() == 0.0 && low as f64 <= x && x <= high as f64;
        (!inside).then(|| format!("an integer from {low} to {high}"))
    };
    match space {
        Space::Tuple { .. } | Space::Dict { .. } => within(),
        _ => (0..row.len()).find_map(|i| Some((i, column(i)?))),
    }
}

/// The columns of each choice in a space's feature row, and whether exactly one of them is chosen.
fn widths(space: &Space, choices: &mut Vec<(usize, bool)>) {
    match space {
        Space::Discrete { n, .. } => choices.push((*n as usize, true)),
        Space::MultiDiscrete { nvec, .. } => choices.extend(nvec.iter().map(|&n| (n as usize, true))),
        Space::Box { .. } | Space::MultiBinary { .. } => choices.push((space.feature_dim(), false)),
        Space::Tuple { .. } | Space::Dict { .. } => {
            space.parts().for_each(|part| widths(part, choices));
        }
    }
}
