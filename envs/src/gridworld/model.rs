//! The model of a grid world: where each action leads and with what probability. Steps are drawn from it.

use super::GridWorld;
use super::state::GridState;
use super::world::{HEADINGS, Move, World};
use crate::Error;

/// The most wandering obstacles that the model is given for: a step has up to 3 · 5ⁿ outcomes.
const MAX_MODELLED_WANDERERS: usize = 4;

/// One way that a step can go.
#[derive(Clone, Debug, PartialEq)]
pub struct Transition {
    /// Its probability.
    pub probability: f64,
    /// The state that it leads to.
    pub state: GridState,
    /// Its reward.
    pub reward: f64,
    /// Whether it ends the episode.
    pub terminated: bool,
}

impl GridWorld {
    /// The states in which episodes start, each equally likely.
    pub fn start_states(&self) -> impl Iterator<Item = GridState> {
        self.world.starts()
    }

    /// What the action (0 up, 1 right, 2 down, 3 left) can lead to from a state, with probabilities that sum to 1.
    ///
    /// This is the environment's own model: [`step`](crate::Env::step) draws from it. Two entries may lead to the
    /// same state. The list is empty where the episode is over: on goals, in lava and with an obstacle.
    ///
    /// # Errors
    /// If the map has no such state, the action does not exist, or the map has more than four wandering obstacles, as
    /// each multiplies the outcomes by five.
    ///
    /// ```
    /// use apprentice_envs::{GridWorld, GridWorldConfig};
    ///
    /// let corridor = GridWorldConfig { map: Some("S~G".to_owned()), slip: 0.5, ..GridWorldConfig::default() };
    /// let env = GridWorld::new(corridor)?;
    /// let start = env.start_states().next().unwrap();
    /// let middle = env.transitions(&start, 1)?.remove(0).state;
    /// let right = env.transitions(&middle, 1)?;
    /// assert_eq!((right[0].probability, right[0].state.cell, right[0].terminated), (0.5, 2, true));
    /// assert_eq!((right[1].probability, right[1].state.cell, right[1].terminated), (0.25, 1, false));
    /// # Ok::<(), apprentice_envs::Error>(())
    /// ```
    pub fn transitions(&self, state: &GridState, action: i64) -> Result<Vec<Transition>, Error> {
        if let Some(flaw) = self.world.flaw(state) {
            return Err(Error::config(flaw));
        }
        let Ok(action @ 0..4) = usize::try_from(action) else {
            return Err(Error::action(format!(
                "invalid action {action}: expected 0 (up), 1 (right), 2 (down) or 3 (left)"
            )));
        };
        self.world.check_modelled()?;
        Ok(self.world.transitions(state, action))
    }
}

impl World {
    /// Where an action can lead; nowhere once the episode is over.
    pub(super) fn transitions(&self, state: &GridState, action: usize) -> Vec<Transition> {
        if !self.map.cells[state.cell].is_walkable() || self.is_hit(state) {
            return Vec::new();
        }
        let possible = self.moves(state, action).into_iter().filter(|agent| agent.probability > 0.0);
        possible.flat_map(|agent| self.with_obstacles(state.clone(), agent)).collect()
    }

    /// The agent's move with everything that the obstacles may do.
    fn with_obstacles(&self, mut state: GridState, agent: Move) -> impl Iterator<Item = Transition> {
        let moving = if self.advance(&mut state, &agent) { 0 } else { state.wanderers.len() };
        let mut states = vec![state];
        for wanderer in 0..moving {
            let headings = |state: GridState| {
                (0..HEADINGS as usize).map(move |heading| {
                    let mut state = state.clone();
                    state.wanderers[wanderer] = self.wander(state.wanderers[wanderer], heading);
                    state
                })
            };
            states = states.into_iter().flat_map(headings).collect();
        }
        let probability = agent.probability / states.len() as f64;
        states.into_iter().map(move |state| {
            let (reward, terminated) = self.result(&state, &agent);
            Transition { probability, state, reward, terminated }
        })
    }

    /// Refuses worlds whose steps have too many outcomes to list.
    pub(super) fn check_modelled(&self) -> Result<(), Error> {
        match self.map.obstacles.wanderers.len() {
            0..=MAX_MODELLED_WANDERERS => Ok(()),
            wanderers => Err(Error::config(format!(
                "the model is given for at most {MAX_MODELLED_WANDERERS} wandering obstacles, and the map has {wanderers}"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gridworld::{MapName, Slippery};
    use crate::{Env, Generator, GridWorldConfig};
    use std::collections::BTreeMap;

    fn world(map: &str) -> GridWorldConfig {
        GridWorldConfig { map: Some(map.to_owned()), ..GridWorldConfig::default() }
    }

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-9
    }

    /// Every state that random play comes to in some episodes, the ends included.
    fn visited(env: &mut GridWorld, episodes: u32) -> Vec<GridState> {
        let mut rng = Generator::new(3);
        let mut states = std::collections::BTreeSet::new();
        for _ in 0..episodes {
            env.reset(&mut rng);
            states.insert(env.state());
            for _ in 0..50 {
                let done = env.step(&rng.integers(4).into(), &mut rng).done();
                states.insert(env.state());
                if done {
                    break;
                }
            }
        }
        states.into_iter().collect()
    }

    #[test]
    fn probabilities_sum_to_one_until_the_episode_is_over() {
        let mut config = world("S~L\n~C#\nG.~");
        config.slippery = Slippery::Everywhere;
        for config in [config, world("S*.\nrR*\n?1G\n.2!\n...")] {
            let mut env = GridWorld::new(config).unwrap();
            let mut ends = 0;
            for state in visited(&mut env, 300) {
                let hit = env.world.is_hit(&state);
                let acts = env.cells()[state.cell].is_walkable() && !hit;
                ends += u32::from(!acts);
                for action in 0..4 {
                    let total: f64 = env.transitions(&state, action).unwrap().iter().map(|t| t.probability).sum();
                    assert!(close(total, if acts { 1.0 } else { 0.0 }), "{state:?}, action {action}: {total}");
                }
            }
            assert!(ends > 0);
        }
    }

    #[test]
    fn what_has_no_model_is_refused() {
        let env = GridWorld::new(world("S#\n.G")).unwrap();
        let state = env.state();
        assert!(env.transitions(&state, 4).unwrap_err().to_string().contains("expected 0 (up)"));
        assert!(env.transitions(&state, -1).is_err());
        for cell in [1, 4, usize::MAX] {
            assert!(env.transitions(&GridState { cell, ..state.clone() }, 0).is_err(), "{cell}");
        }
        let crowd = GridWorld::new(world("*****\nS...G")).unwrap();
        assert!(crowd.transitions(&crowd.state(), 0).unwrap_err().to_string().contains("at most 4"));
    }

    #[test]
    fn steps_come_as_often_as_the_model_says() {
        let mut slippery = world("aL~\n~SG\n~C.");
        slippery.goals = BTreeMap::from([('a', 0.5)]);
        slippery.slippery = Slippery::Everywhere;
        slippery.slip = 0.4;
        for config in [slippery, world("S~*\nrR!\n?1.\n.2*")] {
            let mut env = GridWorld::new(config).unwrap();
            let mut rng = Generator::new(5);
            let draws = 4000;
            for state in visited(&mut env, 20).into_iter().take(60) {
                for action in 0..4 {
                    let mut expected: Vec<(Transition, f64)> = Vec::new();
                    for t in env.transitions(&state, action).unwrap() {
                        // Outcomes that cannot be told apart are counted together.
                        let same = |(other, _): &&mut (Transition, f64)| {
                            (&other.state, other.reward, other.terminated) == (&t.state, t.reward, t.terminated)
                        };
                        match expected.iter_mut().find(same) {
                            Some((_, probability)) => *probability += t.probability,
                            None => expected.push((t.clone(), t.probability)),
                        }
                    }
                    if expected.is_empty() {
                        continue;
                    }
                    let mut counts = vec![0; expected.len()];
                    for _ in 0..draws {
                        env.set_state(state.clone()).unwrap();
                        let step = env.step(&action, &mut rng);
                        let same = |(t, _): &(Transition, f64)| {
                            (&t.state, t.reward, t.terminated) == (&env.state, step.reward, step.terminated)
                        };
                        counts[expected.iter().position(same).expect("a step that the model does not know")] += 1;
                    }
                    for (count, (t, probability)) in counts.into_iter().zip(expected) {
                        let frequency = f64::from(count) / f64::from(draws);
                        // Six standard deviations of a probability of one half.
                        assert!((frequency - probability).abs() < 0.048, "{t:?}: {frequency}");
                    }
                }
            }
        }
    }

    #[test]
    fn slippery_cells_draw_a_double_and_wanderers_an_integer_each() {
        let mut env = GridWorld::new(world("#*#\n#*#\n###\nS~.\n..G")).unwrap();
        let mut rng = Generator::new(1);
        for (cell, doubles) in [(9, 0), (10, 1), (11, 0)] {
            let mut expected = rng.clone();
            (0..doubles).for_each(|_| _ = expected.random());
            (0..2).for_each(|_| _ = expected.integers(5));
            env.set_state(GridState { cell, ..env.state() }).unwrap();
            env.step(&0, &mut rng);
            assert_eq!(rng, expected, "cell {cell}");
        }
        // The end comes before the obstacles move.
        env.set_state(GridState { cell: 11, ..env.state() }).unwrap();
        let expected = rng.clone();
        assert!(env.step(&2, &mut rng).terminated);
        assert_eq!(rng, expected);
    }

    #[test]
    fn rewards_are_those_of_the_cell_entered_less_the_step_cost() {
        let mut config = world("aSr\nGLR\nCC*\n1?2\n#.#");
        config.goals = BTreeMap::from([('a', 0.5)]);
        config.step_cost = Some(0.25);
        config.obstacle_reward = -2.0;
        let mut env = GridWorld::new(config).unwrap();
        let mut result = |cell, red: bool, action| {
            let keys = if red { env.state().keys.with(crate::gridworld::Colour::Red) } else { Default::default() };
            env.set_state(GridState { cell, keys, ..env.state() }).unwrap();
            let t = env.transitions(&env.state(), action).unwrap().remove(0);
            (t.state.cell, t.state.keys != keys, t.reward, t.terminated)
        };
        assert_eq!(result(1, false, 0), (1, false, -0.25, false));
        assert_eq!(result(1, false, 3), (0, false, 0.25, true));
        assert_eq!(result(1, false, 2), (4, false, -1.25, true));
        assert_eq!(result(1, false, 1), (2, true, -0.25, false));
        assert_eq!(result(2, true, 2), (5, false, -0.25, false));
        assert_eq!(result(5, true, 2), (8, false, -2.25, true));
        // The cue is red.
        assert_eq!(result(10, false, 3), (9, false, 0.75, true));
        assert_eq!(result(10, false, 1), (11, false, -1.25, true));
        assert_eq!(result(10, false, 0), (1, false, -100.0, false));
    }

    #[test]
    fn a_closed_door_is_like_a_wall() {
        let env = GridWorld::new(world("SrRG")).unwrap();
        let at = |cell| GridState { cell, ..env.state() };
        let closed = at(1);
        assert!(env.transitions(&closed, 1).is_err(), "on a key without having it");
        let open = GridState { keys: closed.keys.with(crate::gridworld::Colour::Red), ..closed };
        assert_eq!(env.transitions(&open, 1).unwrap()[0].state.cell, 2);
        let env = GridWorld::new(world("r.SRG")).unwrap();
        assert_eq!(env.transitions(&env.state(), 1).unwrap()[0].state.cell, 2);
    }

    /// Gymnasium's rules, written down a second time: moves are clipped to the map, the cliff costs 100 and leads
    /// back to cell 36, everything else costs 1, and cell 47 ends the episode.
    #[test]
    fn the_cliff_is_that_of_gymnasium() {
        let env =
            GridWorld::new(GridWorldConfig { map_name: Some(MapName::Cliff), ..GridWorldConfig::default() }).unwrap();
        let at = |cell| GridState { cell, ..env.state() };
        for cell in 0..=36 {
            let (row, column) = (cell as i64 / 12, cell as i64 % 12);
            for (action, (down, right)) in [(0, (-1, 0)), (1, (0, 1)), (2, (1, 0)), (3, (0, -1))] {
                let (row, column) = ((row + down).clamp(0, 3), (column + right).clamp(0, 11));
                let to = (row * 12 + column) as usize;
                let (after, reward) = if (37..47).contains(&to) { (36, -100.0) } else { (to, -1.0) };
                let expected = Transition { probability: 1.0, state: at(after), reward, terminated: to == 47 };
                assert_eq!(env.transitions(&at(cell), action).unwrap(), [expected], "cell {cell}, action {action}");
            }
        }
    }
}
