//! Keys by their colours.

use serde::{Deserialize, Serialize};

/// The colour of a key, of the doors that it opens, or of a goal with a cue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Colour {
    /// The first: `r`, `R`, `1`.
    Red,
    /// The second: `y`, `Y`, `2`.
    Yellow,
    /// The third: `b`, `B`, `3`.
    Blue,
    /// The fourth: `p`, `P`, `4`.
    Purple,
}

impl Colour {
    /// All colours in order.
    pub const ALL: [Self; 4] = [Self::Red, Self::Yellow, Self::Blue, Self::Purple];

    /// The colour that a character on the map stands for, in a string of the four.
    pub(super) fn of(character: char, four: &str) -> Option<Self> {
        four.chars().position(|own| own == character).map(|i| Self::ALL[i])
    }
}

/// A set of keys, at most one of each colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Keys(u8);

impl Keys {
    /// These keys and one of `colour`.
    pub fn with(self, colour: Colour) -> Self {
        Self(self.0 | 1 << colour as u8)
    }

    /// These keys but the one of `colour`.
    pub fn without(self, colour: Colour) -> Self {
        Self(self.0 & !(1 << colour as u8))
    }

    /// Whether one of them is of `colour`.
    pub fn contains(self, colour: Colour) -> bool {
        self.0 & 1 << colour as u8 != 0
    }

    /// Their colours in order.
    pub fn colours(self) -> impl Iterator<Item = Colour> {
        Colour::ALL.into_iter().filter(move |&colour| self.contains(colour))
    }

    /// Whether all of them are among `others`.
    pub(super) fn are_among(self, others: Self) -> bool {
        self.0 & !others.0 == 0
    }

    /// How many subsets there are.
    pub(super) fn subsets(self) -> usize {
        1 << self.0.count_ones()
    }

    /// The number of a subset, from 0 to [`subsets`](Self::subsets) − 1: a bit for each of these keys, in order.
    pub(super) fn number_of(self, subset: Self) -> usize {
        self.colours().enumerate().map(|(bit, colour)| usize::from(subset.contains(colour)) << bit).sum()
    }

    /// The subset with a number.
    pub(super) fn subset(self, number: usize) -> Self {
        let held = self.colours().enumerate().filter(|(bit, _)| number >> bit & 1 != 0);
        held.fold(Self::default(), |keys, (_, colour)| keys.with(colour))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subsets_of_keys_are_numbered() {
        let all = Keys::default().with(Colour::Yellow).with(Colour::Purple);
        assert_eq!(all.subsets(), 4);
        for number in 0..4 {
            let subset = all.subset(number);
            assert!(subset.are_among(all));
            assert_eq!(all.number_of(subset), number);
        }
        assert_eq!(all.subset(2), Keys::default().with(Colour::Purple));
        assert!(!Keys::default().with(Colour::Red).are_among(all));
        assert_eq!(Keys::default().subsets(), 1);
    }
}
