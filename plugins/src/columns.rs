//! What may stand in a row of a space, column by column.

use apprentice_envs::Space;

/// So many entries at least are compared in one go: enough for the loop to be done in vectors.
const BLOCK: usize = 64;
/// Wider rows, flat or of features, are taken for a mistake.
const MAX_COLUMNS: usize = 1 << 24;

/// The bounds of each column of a space's flat row, in a form that many rows are compared with at once.
pub(crate) struct Columns {
    count: usize,
    /// The bounds of one row, repeated to at least [`BLOCK`] entries.
    low: Vec<f32>,
    high: Vec<f32>,
    integer: Vec<bool>,
    any_integer: bool,
}

impl Columns {
    /// The columns of `space`, or why it cannot be an environment's space.
    pub(crate) fn new(space: &Space) -> Result<Self, String> {
        if let Some(flaw) = space.flaw() {
            return Err(flaw);
        }
        let count = space.flat_dim();
        let widest = count.max(space.feature_dim());
        if widest > MAX_COLUMNS {
            return Err(format!("a row of its space has {widest} columns: expected at most {MAX_COLUMNS}"));
        }
        let (mut low, mut high, mut integer) = (Vec::new(), Vec::new(), Vec::new());
        push(space, &mut |l, h, i| {
            low.push(l);
            high.push(h);
            integer.push(i);
        });
        let any_integer = integer.contains(&true);
        let times = BLOCK.div_ceil(count);
        Ok(Self {
            count,
            low: low.repeat(times),
            high: high.repeat(times),
            integer: integer.repeat(times),
            any_integer,
        })
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// A row that is an element of the space: as close to zero as it can be.
    pub(crate) fn some_row(&self) -> Vec<f32> {
        let bounds = self.low.iter().zip(&self.high).take(self.count);
        bounds.map(|(&low, &high)| 0.0_f32.max(low).min(high)).collect()
    }

    /// Whether all of `rows` are elements of the space.
    pub(crate) fn contain(&self, rows: &[f32]) -> bool {
        // Folds without branches: the common case is that all is well.
        rows.chunks(self.low.len()).all(|block| {
            let bounds = self.low.iter().zip(&self.high);
            let inside = block.iter().zip(bounds).fold(true, |all, (&x, (&l, &h))| all & (x >= l) & (x <= h));
            inside && (!self.any_integer || self.are_integers(block))
        })
    }

    fn are_integers(&self, block: &[f32]) -> bool {
        // Within their bounds integers fit into an i32.
        block.iter().zip(&self.integer).fold(true, |all, (&x, &integer)| all & (!integer | (x as i32 as f32 == x)))
    }

    /// The first entry of `row` that makes it no element of the space: its column and what is wrong.
    pub(crate) fn flaw(&self, row: &[f32]) -> Option<String> {
        let column = (0..self.count).find(|&c| {
            let x = row[c];
            !(x >= self.low[c] && x <= self.high[c]) || (self.integer[c] && x.fract() != 0.0)
        })?;
        let kind = if self.integer[column] { "an integer" } else { "a number" };
        let (low, high, got) = (self.low[column], self.high[column], row[column]);
        Some(format!("{got} in column {column}: expected {kind} from {low} to {high}"))
    }
}

fn push(space: &Space, column: &mut impl FnMut(f32, f32, bool)) {
    let mut integers = |n: u32, start: i64| column(start as f32, (start + i64::from(n) - 1) as f32, true);
    match space {
        Space::Discrete { n, start } => integers(*n, *start),
        Space::MultiDiscrete { nvec, start } => nvec.iter().zip(start).for_each(|(&n, &start)| integers(n, start)),
        Space::MultiBinary { .. } => (0..space.flat_dim()).for_each(|_| integers(2, 0)),
        Space::Box { low, high, .. } => low.iter().zip(high).for_each(|(&low, &high)| column(low, high, false)),
        Space::Tuple { spaces } => spaces.iter().for_each(|space| push(space, column)),
        Space::Dict { spaces } => spaces.values().for_each(|space| push(space, column)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use apprentice_envs::Generator;

    fn mixed() -> Space {
        Space::dict([
            ("a", Space::bounded(&[-1.0, f32::NEG_INFINITY], &[1.0, f32::INFINITY])),
            ("b", Space::Discrete { n: 3, start: -1 }),
            ("c", Space::tuple([Space::multi_binary(2), Space::multi_discrete(&[2, 5])])),
        ])
    }

    /// Rows that are elements but for one entry in some of them: the same verdict as `Space::contains_flat`.
    #[test]
    fn the_verdict_is_that_of_the_space() {
        let mut rng = Generator::new(1);
        for space in [mixed(), Space::discrete(4), Space::bounded(&[0.0; 100], &[1.0; 100]), Space::multi_binary(3)] {
            let columns = Columns::new(&space).unwrap();
            let (mut inside, mut outside) = (0, 0);
            for _ in 0..300 {
                let mut rows = vec![0.0; 40 * columns.count()];
                for row in rows.chunks_mut(columns.count()) {
                    apprentice_envs::Element::write_flat(&space.sample(&mut rng), row);
                }
                let strange = [f32::NAN, f32::INFINITY, -2.0, 0.5, 7.0, 1.0, -0.0, 3e9];
                let at = rng.integers(rows.len() as u32) as usize;
                rows[at] = strange[rng.integers(strange.len() as u32) as usize];
                let expected = rows.chunks(columns.count()).all(|row| space.contains_flat(row));
                assert_eq!(columns.contain(&rows), expected, "{space}: {} at {at}", rows[at]);
                let flaw = rows.chunks(columns.count()).find_map(|row| columns.flaw(row));
                assert_eq!(flaw.is_none(), expected, "{space}: {flaw:?}");
                if expected { inside += 1 } else { outside += 1 }
            }
            assert!(inside > 20 && outside > 20, "{space}: {inside} and {outside}");
        }
    }

    #[test]
    fn a_flaw_says_where_and_what() {
        let columns = Columns::new(&mixed()).unwrap();
        let flaw = columns.flaw(&[0.0, 1e30, 0.5, 0.0, 1.0, 1.0, 4.0]).unwrap();
        assert_eq!(flaw, "0.5 in column 2: expected an integer from -1 to 1");
        let flaw = columns.flaw(&[0.0, f32::NAN, 0.0, 0.0, 1.0, 1.0, 4.0]).unwrap();
        assert_eq!(flaw, "NaN in column 1: expected a number from -inf to inf");
    }
}
