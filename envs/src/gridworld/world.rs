//! The rules of a grid world: what a step does.

use super::map::{Cell, Map};
use super::state::GridState;
use super::{Observation, Slippery};
use crate::Generator;
use std::collections::BTreeMap;

/// How many directions a wandering obstacle draws from; the last is to stay.
pub(super) const HEADINGS: u32 = 5;

/// One way that the agent's own move can go.
#[derive(Clone, Copy)]
pub(super) struct Move {
    pub(super) probability: f64,
    cell: usize,
    reward: f64,
    terminated: bool,
}

/// Everything about a grid world that does not change from step to step.
#[derive(Debug)]
pub(super) struct World {
    pub(super) map: Map,
    /// After how many steps all patrols are as they were.
    pub(super) period: usize,
    /// Rewards of the goals, by the character that marks them.
    pub(super) goals: BTreeMap<char, f64>,
    pub(super) wrong_goal_reward: f64,
    pub(super) lava_reward: f64,
    pub(super) cliff_reward: f64,
    pub(super) obstacle_reward: f64,
    pub(super) step_cost: f64,
    pub(super) slip: f64,
    pub(super) slippery: Slippery,
    pub(super) observation: Observation,
    pub(super) see_through_walls: bool,
}

impl World {
    pub(super) fn is_slippery(&self, cell: usize) -> bool {
        match self.slippery {
            Slippery::Everywhere => self.map.cells[cell].is_walkable(),
            Slippery::Cells => self.map.cells[cell] == Cell::Slippery,
        }
    }

    /// The three ways that an action can go: in its own direction, and in the two perpendicular ones.
    pub(super) fn moves(&self, state: &GridState, action: usize) -> [Move; 3] {
        let slip = if self.is_slippery(state.cell) { self.slip } else { 0.0 };
        [
            self.one_move(state, action, 1.0 - slip),
            self.one_move(state, (action + 3) % 4, slip / 2.0),
            self.one_move(state, (action + 1) % 4, slip / 2.0),
        ]
    }

    /// A move in one direction. Against a wall, a closed door or the border the agent stays where it is.
    fn one_move(&self, state: &GridState, direction: usize, probability: f64) -> Move {
        let cell = self.map.enter(state.cell, direction, state.keys).unwrap_or(state.cell);
        let end = |reward: f64| Move { probability, cell, reward: reward - self.step_cost, terminated: true };
        match self.map.cells[cell] {
            Cell::Goal(name) => end(self.goals[&name]),
            Cell::CuedGoal(colour) if state.cue == Some(colour) => end(self.goals[&'G']),
            Cell::CuedGoal(_) => end(self.wrong_goal_reward),
            Cell::Lava => end(self.lava_reward),
            Cell::Cliff => Move { probability, cell: self.map.starts[0], reward: self.cliff_reward, terminated: false },
            _ => Move { probability, cell, reward: -self.step_cost, terminated: false },
        }
    }

    /// The first part of a step: the agent moves, and the patrols unless the episode is over with that. Says if it is.
    pub(super) fn advance(&self, state: &mut GridState, agent: &Move) -> bool {
        state.cell = agent.cell;
        if let Cell::Key(colour) = self.map.cells[state.cell] {
            state.keys = state.keys.with(colour);
        }
        let over = agent.terminated || self.is_hit(state);
        if !over {
            state.phase = (state.phase + 1) % self.period;
        }
        over
    }

    /// The cell that a wandering obstacle moves to.
    pub(super) fn wander(&self, cell: usize, heading: usize) -> usize {
        self.map.obstacle_enters(cell, heading).unwrap_or(cell)
    }

    /// The reward of a step that has led to `state`, and whether it ends the episode.
    pub(super) fn result(&self, state: &GridState, agent: &Move) -> (f64, bool) {
        match agent.terminated || !self.is_hit(state) {
            true => (agent.reward, agent.terminated),
            false => (agent.reward + self.obstacle_reward, true),
        }
    }

    /// The cells of all obstacles: patrols first.
    pub(super) fn obstacles<'a>(&'a self, state: &'a GridState) -> impl Iterator<Item = usize> {
        self.map.obstacles.patrols_at(state.phase).chain(state.wanderers.iter().copied())
    }

    pub(super) fn is_hit(&self, state: &GridState) -> bool {
        self.obstacles(state).any(|obstacle| obstacle == state.cell)
    }

    /// Draws how a step goes: one double on a slippery cell, then an integer below 5 for each wandering obstacle unless
    /// the agent's move ends the episode. Gives the reward and whether the episode ends.
    pub(super) fn step(&self, state: &mut GridState, action: usize, rng: &mut Generator) -> (f64, bool) {
        let agent = self.draw(state, action, rng);
        if !self.advance(state, &agent) {
            for cell in &mut state.wanderers {
                *cell = self.wander(*cell, rng.integers(HEADINGS) as usize);
            }
        }
        self.result(state, &agent)
    }

    fn draw(&self, state: &GridState, action: usize, rng: &mut Generator) -> Move {
        let [straight, left, right] = self.moves(state, action);
        if !self.is_slippery(state.cell) {
            return straight;
        }
        let double = rng.random();
        if double < straight.probability {
            straight
        } else if double < straight.probability + left.probability {
            left
        } else {
            right
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{Env, Generator, GridWorld, GridWorldConfig, Step, Value};

    /// The last of some steps, and what came before it.
    fn play(map: &str, actions: &[i64]) -> (Vec<Step<Value>>, GridWorld) {
        let config = GridWorldConfig { map: Some(map.to_owned()), obstacle_reward: -5.0, ..GridWorldConfig::default() };
        let mut env = GridWorld::new(config).unwrap();
        let mut rng = Generator::new(0);
        env.reset(&mut rng);
        (actions.iter().map(|action| env.step(action, &mut rng)).collect(), env)
    }

    #[test]
    fn the_episode_ends_whoever_runs_into_whom() {
        let (up, right) = (0, 1);
        for (actions, cells) in [
            // The patrol comes down into the cell that the agent has just entered.
            (&[right, right][..], [10, 10]),
            // The agent enters the cell of the patrol, which then stays where it is.
            (&[up, right, right], [10, 10]),
        ] {
            let (steps, env) = play("##!#\n##.#\nS..G", actions);
            let (last, before) = steps.split_last().unwrap();
            assert!(before.iter().all(|step| (step.reward, step.terminated) == (-0.01, false)), "{before:?}");
            assert_eq!((last.reward, last.terminated), (-5.01, true), "{actions:?}");
            assert_eq!([env.agent_cell(), env.obstacle_cells().next().unwrap()], cells);
        }
        let (steps, _) = play("##!#\n##.#\nS..G", &[up, up, up, right, right, right]);
        assert_eq!(steps.last().map(|step| (step.reward, step.terminated)), Some((0.99, true)));
    }

    #[test]
    fn wanderers_catch_agents_and_each_draws_for_itself() {
        let mut caught = [0; 2];
        for seed in 0..500 {
            let mut env = GridWorld::new(GridWorldConfig {
                map: Some("*.S.*\n##.##\n..G..".to_owned()),
                ..GridWorldConfig::default()
            })
            .unwrap();
            let mut rng = Generator::new(seed);
            env.reset(&mut rng);
            let end = (0..20).find_map(|_| Some(env.step(&0, &mut rng)).filter(|step| step.terminated));
            if let Some(step) = end {
                assert_eq!(step.reward, -1.01);
                let by: Vec<usize> = env.obstacle_cells().collect();
                (0..2).for_each(|i| caught[i] += u32::from(by[i] == env.agent_cell()));
            }
        }
        assert!(caught.iter().all(|&count| count > 100), "{caught:?}");
    }
}
