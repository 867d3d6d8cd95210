//! What a check has found, in words.

use serde::Serialize;
use std::fmt;

/// A mistake in an environment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// What kind of mistake it is.
    pub mistake: Mistake,
    /// Where it was met.
    pub place: String,
    /// What should have been there.
    pub expected: String,
    /// What was there.
    pub got: String,
}

/// The kinds of mistakes that are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mistake {
    /// A space holds nothing, has bounds that cross, or is not always the same.
    Spaces,
    /// An observation lies outside its space.
    Observation,
    /// A column of an observation is not written, or not always.
    Unwritten,
    /// A reward is not a finite number.
    Reward,
    /// A mask has too many entries, or leaves no action.
    ActionMask,
    /// The same seed and actions do not give the same episodes.
    Determinism,
    /// An episode depends on the ones before it.
    Reset,
    /// An environment that is restored does not go on as the one that was saved.
    Snapshot,
    /// What happens to a copy happens to the original too.
    Copies,
    /// An action outside its space is accepted.
    InvalidAction,
    /// A step is accepted though no episode runs.
    Order,
    /// The vector form does not do what the scalar form does.
    Vector,
    /// The environment says itself that it has failed.
    Failure,
    /// The environment panics.
    Panic,
    /// The environment does not come to an end with a call.
    Timeout,
}

impl Mistake {
    /// What is wrong, and what to do.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Spaces => (
                "a space is not sound",
                "give it at least one element, lower bounds below upper ones, and the same value at every call",
            ),
            Self::Observation => (
                "an observation lies outside its space",
                "widen the space to all that can be observed, or bring the observation into it",
            ),
            Self::Unwritten => ("an observation is not written whole", "write every column in every reset and step"),
            Self::Reward => ("a reward is not a finite number", "look for a division by zero or a root of less than 0"),
            Self::ActionMask => (
                "an action mask is wrong",
                "it has an entry for each column of the action's feature row, and at least one choice is true",
            ),
            Self::Determinism => (
                "the same seed and actions give other episodes",
                "draw from the generator that is passed in and from nothing else, and let nothing depend on the time, \
                 on addresses or on the order of a hash map",
            ),
            Self::Reset => {
                ("an episode depends on the ones before it", "let reset set everything that a step can have changed")
            }
            Self::Snapshot => (
                "a restored environment does not go on as the saved one",
                "put everything that changes between two steps into the state, and set all of it",
            ),
            Self::Copies => (
                "copies of the environment share what changes",
                "keep it in the environment itself: no Mutex, atomic number or static, and in a foreign environment \
                 nothing that handles share",
            ),
            Self::InvalidAction => {
                ("an action outside its space is accepted", "refuse it before anything is stepped, or widen the space")
            }
            Self::Order => ("a step is accepted where no episode runs", "refuse it: the caller has to reset first"),
            Self::Vector => (
                "the vector form differs from the scalar form",
                "let both compute with the same function, write every entry, and draw only from the environment's own \
                 generator and not for one that is skipped",
            ),
            Self::Failure => ("the environment fails", "the message is its own; a valid action must not make it fail"),
            Self::Panic => ("the environment panics", "the message is its own; a valid call must not make it panic"),
            Self::Timeout => (
                "the environment does not come to an end",
                "look for a loop without end or a lock that nobody opens there; if it is only slow, give it more time",
            ),
        }
    }
}

/// One sentence: what, where, expected, got, what to do.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mistake, place, expected, got } = self;
        let (what, advice) = mistake.words();
        write!(f, "{what} ({place}): expected {expected}, got {got}; {advice}")
    }
}

/// The first finding of every kind.
#[derive(Default)]
pub(super) struct Findings(Vec<Finding>);

impl Findings {
    pub(super) fn add(&mut self, finding: Finding) {
        if self.0.iter().all(|known| known.mistake != finding.mistake) {
            self.0.push(finding);
        }
    }

    pub(super) fn all(&mut self, findings: Findings) {
        findings.0.into_iter().for_each(|finding| self.add(finding));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn into_vec(self) -> Vec<Finding> {
        self.0
    }
}
