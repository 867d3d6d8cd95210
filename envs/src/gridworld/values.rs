//! Value iteration: what an optimal policy can earn.

use super::{GridState, GridWorld, Transition};
use crate::Error;
use std::collections::{BTreeMap, HashMap};

/// Values are iterated until none of them changes by more than this, or this fraction of itself.
const TOLERANCE: f64 = 1e-12;
/// Sweeps over the states after which values are taken not to converge.
const MAX_SWEEPS: u32 = 100_000;
/// The most outcomes of all actions in all states that are iterated over.
const MAX_OUTCOMES: usize = 1 << 21;

impl GridWorld {
    /// The value of each state that an episode can come to, under an optimal policy that sees all of the state: the
    /// expected sum of rewards from there on, each discounted by `gamma` for every step before it. Found by value
    /// iteration, without a time limit. States in which the episode is over have the value 0.
    ///
    /// # Errors
    /// If `gamma` does not lie from 0 to 1, if the world is too large for it (two million outcomes; obstacles that
    /// wander multiply states and outcomes), or if the values do not converge: with a `gamma` of 1 that is so where an
    /// agent gains by never ending the episode, or cannot end it.
    pub fn optimal_values(&self, gamma: f64) -> Result<BTreeMap<GridState, f64>, Error> {
        if !(0.0..=1.0).contains(&gamma) {
            return Err(Error::config(format!("gamma: expected a number from 0 to 1, got {gamma}")));
        }
        let graph = Graph::of(self)?;
        let mut values = vec![0.0; graph.states.len()];
        for _ in 0..MAX_SWEEPS {
            let mut change: f64 = 0.0;
            // From the last found, since they tend to be nearer to the goals.
            for (state, actions) in graph.actions.iter().enumerate().rev() {
                let worth =
                    |outcomes: &Vec<Outcome>| outcomes.iter().map(|outcome| outcome.worth(&values, gamma)).sum();
                let best = actions.iter().map(worth).fold(f64::MIN, f64::max);
                change = change.max((best - values[state]).abs() / best.abs().max(1.0));
                values[state] = best;
            }
            if change <= TOLERANCE {
                return Ok(graph.states.into_iter().zip(values).collect());
            }
        }
        Err(Error::config(format!("gamma: the values do not converge with {gamma}; lower it")))
    }

    /// The mean return of an optimal policy that sees all of the state: the mean of
    /// [`optimal_values`](Self::optimal_values) over the starts.
    ///
    /// # Errors
    /// Those of [`optimal_values`](Self::optimal_values).
    pub fn optimal_return(&self, gamma: f64) -> Result<f64, Error> {
        let values = self.optimal_values(gamma)?;
        let starts: Vec<f64> = self.start_states().map(|start| values[&start]).collect();
        Ok(starts.iter().sum::<f64>() / starts.len() as f64)
    }
}

/// The states that episodes can come to, and what the actions lead to there.
struct Graph {
    states: Vec<GridState>,
    /// For each state the outcomes of each action; none where the episode is over.
    actions: Vec<Vec<Vec<Outcome>>>,
}

struct Outcome {
    probability: f64,
    /// An index of the states.
    state: usize,
    reward: f64,
}

impl Outcome {
    /// Its part of the expected return, if `values` are those of the states.
    fn worth(&self, values: &[f64], gamma: f64) -> f64 {
        self.probability * (self.reward + gamma * values[self.state])
    }
}

impl Graph {
    fn of(env: &GridWorld) -> Result<Self, Error> {
        env.world.check_modelled()?;
        let mut states: Vec<GridState> = Vec::new();
        let mut indices = HashMap::new();
        let mut index = |state: GridState, states: &mut Vec<GridState>| {
            *indices.entry(state).or_insert_with_key(|state| {
                states.push(state.clone());
                states.len() - 1
            })
        };
        env.start_states().for_each(|start| _ = index(start, &mut states));
        let (mut actions, mut outcomes) = (Vec::new(), 0);
        while let Some(state) = states.get(actions.len()).cloned() {
            let mut outcome = |t: Transition| {
                outcomes += 1;
                let state = index(t.state, &mut states);
                Outcome { probability: t.probability, state, reward: t.reward }
            };
            let all = (0..4).map(|action| env.world.transitions(&state, action));
            actions.push(all.map(|transitions| transitions.into_iter().map(&mut outcome).collect()).collect());
            if outcomes > MAX_OUTCOMES {
                return Err(Error::config(format!(
                    "the world is too large for value iteration: expected at most {MAX_OUTCOMES} outcomes of all actions \
                     in all states, got more; take a smaller map, or fewer obstacles that wander"
                )));
            }
        }
        Ok(Self { states, actions })
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

    /// The value of a cell that can be reached, without any keys.
    fn value(env: &GridWorld, cell: usize, gamma: f64) -> f64 {
        env.optimal_values(gamma).unwrap()[&env.world.start(cell, None)]
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
        for (cell, expected) in [first, middle, last, 0.0].into_iter().enumerate() {
            assert!(close(value(&env, cell, gamma), expected), "cell {cell}");
        }
    }

    #[test]
    fn values_of_a_slippery_corridor_equal_those_found_by_hand() {
        let mut config = world("S~G");
        config.slip = 0.5;
        let env = GridWorld::new(config).unwrap();
        // Half of the moves from the middle stay there: v = 0.5 · 1 + 0.5 · 0.9 v − 0.01.
        let middle = 0.49 / 0.55;
        assert!(close(value(&env, 1, 0.9), middle) && close(value(&env, 0, 0.9), 0.9 * middle - 0.01));
    }

    #[test]
    fn undiscounted_values_count_the_shortest_path() {
        for (map, expected) in [(MapName::Cliff, -13.0), (MapName::Empty, 1.0 - 0.14), (MapName::FourRooms, 1.0 - 0.20)]
        {
            assert!(close(built_in(map).optimal_return(1.0).unwrap(), expected), "{map:?}");
        }
    }

    #[test]
    fn values_that_do_not_exist_are_refused() {
        let mut config = world("S.G");
        config.step_cost = Some(-1.0);
        let env = GridWorld::new(config).unwrap();
        assert!(env.optimal_values(1.0).unwrap_err().to_string().contains("do not converge"));
        assert!(close(value(&env, 1, 0.5), 2.0));
        for gamma in [f64::NAN, -0.1, 1.1] {
            assert!(env.optimal_values(gamma).is_err());
        }
    }

    #[test]
    fn a_pocket_behind_walls_does_not_keep_values_from_converging() {
        let values = GridWorld::new(world("SG#.")).unwrap().optimal_values(1.0).unwrap();
        assert_eq!(values.keys().map(|state| state.cell).collect::<Vec<_>>(), [0, 1]);
    }

    #[test]
    fn values_take_keys_cues_and_obstacles_into_account() {
        let optimum = |map: &str| GridWorld::new(world(map)).unwrap().optimal_return(1.0).unwrap();
        // Two moves back for the key, four to the goal.
        assert!(close(optimum("r.S.RG"), 1.0 - 0.07), "{}", optimum("r.S.RG"));
        // To the goal of the cue: one move or three.
        assert!(close(optimum("?1S..2"), 1.0 - (0.01 + 0.03) / 2.0));
        // The patrol is in the way after two steps and has gone again after four.
        assert!(close(optimum("##!#\n##.#\nS..G"), 1.0 - 0.05));
    }

    #[test]
    fn worlds_that_are_too_large_are_refused() {
        let refused = |map: &str| GridWorld::new(world(map)).unwrap().optimal_values(0.9).unwrap_err().to_string();
        assert!(refused("*****\nS...G").contains("at most 4 wandering obstacles"));
        let hall = format!("{}\n****{}\nS{}G", ".".repeat(20), ".".repeat(16), ".".repeat(18));
        assert!(refused(&hall).contains("too large"));
    }
}
