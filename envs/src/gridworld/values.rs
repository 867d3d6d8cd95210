//! Value iteration: what an optimal policy can earn.

use super::GridWorld;
use super::model::Transition;
use crate::Error;

/// Values are iterated until none of them changes by more than this, or this fraction of itself.
const TOLERANCE: f64 = 1e-12;
/// Sweeps over the map after which values are taken not to converge.
const MAX_SWEEPS: u32 = 100_000;

impl GridWorld {
    /// The value of each cell under an optimal policy: the expected sum of rewards from there on, each
    /// discounted by `gamma` for every step before it. Found by value iteration, without a time limit.
    ///
    /// Cells where nothing can be done (walls, goals, lava, cliffs) and those that no start is connected with
    /// have the value 0.
    ///
    /// # Errors
    /// If `gamma` does not lie from 0 to 1, or if the values do not converge: with a `gamma` of 1 that is so where
    /// an agent gains by never ending the episode, or cannot end it.
    pub fn optimal_values(&self, gamma: f64) -> Result<Vec<f64>, Error> {
        if !(0.0..=1.0).contains(&gamma) {
            return Err(Error::config(format!("gamma: expected a number from 0 to 1, got {gamma}")));
        }
        let connected = self.world.map.flood(self.start_cells().iter().copied());
        let acting: Vec<usize> = (0..self.cells().len()).filter(|&cell| connected[cell]).collect();
        let mut values = vec![0.0; self.cells().len()];
        for _ in 0..MAX_SWEEPS {
            let mut change: f64 = 0.0;
            for &cell in &acting {
                let best =
                    (0..4).map(|action| self.action_value(&values, cell, action, gamma)).fold(f64::MIN, f64::max);
                change = change.max((best - values[cell]).abs() / best.abs().max(1.0));
                values[cell] = best;
            }
            if change <= TOLERANCE {
                return Ok(values);
            }
        }
        Err(Error::config(format!("gamma: the values do not converge with {gamma}; lower it")))
    }

    /// The expected return of one action that is followed by what `values` promise.
    fn action_value(&self, values: &[f64], cell: usize, action: usize, gamma: f64) -> f64 {
        let after = |t: &Transition| t.reward + if t.terminated { 0.0 } else { gamma * values[t.cell] };
        self.world.outcomes(cell, action).iter().map(|t| t.probability * after(t)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{GridWorldConfig, gridworld::MapName};

    fn world(map: &str) -> GridWorldConfig {
        GridWorldConfig { map: Some(map.to_owned()), ..GridWorldConfig::default() }
    }

    fn built_in(name: MapName) -> GridWorld {
        GridWorld::new(GridWorldConfig { map_name: Some(name), ..GridWorldConfig::default() }).unwrap()
    }

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-9
    }

    #[test]
    fn values_of_a_corridor_equal_those_found_by_hand() {
        let env = GridWorld::new(world("S..G")).unwrap();
        let (gamma, cost) = (0.9, 0.01);
        let last = 1.0 - cost;
        let middle = gamma * last - cost;
        let first = gamma * middle - cost;
        let values = env.optimal_values(gamma).unwrap();
        assert!(values.iter().zip([first, middle, last, 0.0]).all(|(&a, b)| close(a, b)), "{values:?}");
    }

    #[test]
    fn values_of_a_slippery_corridor_equal_those_found_by_hand() {
        let mut config = world("S~G");
        config.slip = 0.5;
        let values = GridWorld::new(config).unwrap().optimal_values(0.9).unwrap();
        // Half of the moves from the middle stay there: v = 0.5 · 1 + 0.5 · 0.9 v − 0.01.
        let middle = 0.49 / 0.55;
        assert!(close(values[1], middle) && close(values[0], 0.9 * middle - 0.01), "{values:?}");
    }

    #[test]
    fn undiscounted_values_count_the_shortest_path() {
        assert!(close(built_in(MapName::Cliff).optimal_values(1.0).unwrap()[36], -13.0));
        assert!(close(built_in(MapName::Empty).optimal_values(1.0).unwrap()[0], 1.0 - 0.14));
        assert!(close(built_in(MapName::FourRooms).optimal_values(1.0).unwrap()[14], 1.0 - 0.20));
    }

    #[test]
    fn values_that_do_not_exist_are_refused() {
        let mut config = world("S.G");
        config.step_cost = Some(-1.0);
        let env = GridWorld::new(config).unwrap();
        assert!(env.optimal_values(1.0).unwrap_err().to_string().contains("do not converge"));
        assert!(close(env.optimal_values(0.5).unwrap()[1], 2.0));
        for gamma in [f64::NAN, -0.1, 1.1] {
            assert!(env.optimal_values(gamma).is_err());
        }
    }

    #[test]
    fn a_pocket_behind_walls_does_not_keep_values_from_converging() {
        assert_eq!(GridWorld::new(world("SG#.")).unwrap().optimal_values(1.0).unwrap()[3], 0.0);
    }
}
