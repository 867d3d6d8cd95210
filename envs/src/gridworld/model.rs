//! The model of a grid world: where each action leads and with what probability. Steps are drawn from it.

use super::map::{Cell, Map};
use super::{GridWorld, Observation, Slippery};
use crate::Generator;
use std::collections::BTreeMap;

/// One way that a step can go.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Transition {
    /// Its probability.
    pub probability: f64,
    /// The cell that it leads to.
    pub cell: usize,
    /// Its reward.
    pub reward: f64,
    /// Whether it ends the episode.
    pub terminated: bool,
}

/// Everything about a grid world that does not change from step to step.
#[derive(Debug)]
pub(super) struct World {
    pub(super) map: Map,
    /// Rewards of the goals, by the character that marks them.
    pub(super) goals: BTreeMap<char, f64>,
    pub(super) lava_reward: f64,
    pub(super) cliff_reward: f64,
    pub(super) step_cost: f64,
    pub(super) slip: f64,
    pub(super) slippery: Slippery,
    pub(super) observation: Observation,
}

impl World {
    pub(super) fn is_slippery(&self, cell: usize) -> bool {
        match self.slippery {
            Slippery::Everywhere => self.map.cells[cell].is_walkable(),
            Slippery::Cells => self.map.cells[cell] == Cell::Slippery,
        }
    }

    /// The three ways that an action can go: in its own direction, and in the two perpendicular ones.
    pub(super) fn outcomes(&self, cell: usize, action: usize) -> [Transition; 3] {
        let slip = if self.is_slippery(cell) { self.slip } else { 0.0 };
        [
            self.outcome(cell, action, 1.0 - slip),
            self.outcome(cell, (action + 3) % 4, slip / 2.0),
            self.outcome(cell, (action + 1) % 4, slip / 2.0),
        ]
    }

    /// A move in one direction. Against a wall or the border the agent stays where it is.
    fn outcome(&self, cell: usize, direction: usize, probability: f64) -> Transition {
        let entered = self.map.neighbour(cell, direction).filter(|&next| self.map.cells[next] != Cell::Wall);
        let to = entered.unwrap_or(cell);
        let end = |reward: f64| Transition { probability, cell: to, reward: reward - self.step_cost, terminated: true };
        match self.map.cells[to] {
            Cell::Goal(name) => end(self.goals[&name]),
            Cell::Lava => end(self.lava_reward),
            Cell::Cliff => {
                Transition { probability, cell: self.map.starts[0], reward: self.cliff_reward, terminated: false }
            }
            Cell::Floor | Cell::Start | Cell::Slippery | Cell::Wall => {
                Transition { probability, cell: to, reward: -self.step_cost, terminated: false }
            }
        }
    }

    /// Draws one of the outcomes: with one double on a slippery cell, with none elsewhere.
    pub(super) fn draw(&self, cell: usize, action: usize, rng: &mut Generator) -> Transition {
        let [straight, left, right] = self.outcomes(cell, action);
        if !self.is_slippery(cell) {
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

impl GridWorld {
    /// What the action (0 up, 1 right, 2 down, 3 left) can lead to from a cell, with probabilities that sum to 1.
    ///
    /// This is the environment's own model: [`step`](crate::Env::step) draws from it. Two entries may lead to the
    /// same cell. The list is empty where nothing can be done: on walls, goals, lava and cliffs, outside the map,
    /// and for an action that does not exist.
    ///
    /// ```
    /// use apprentice_envs::{GridWorld, GridWorldConfig};
    ///
    /// let corridor = GridWorldConfig { map: Some("S~G".to_owned()), slip: 0.5, ..GridWorldConfig::default() };
    /// let env = GridWorld::new(corridor)?;
    /// let right = env.transitions(1, 1);
    /// assert_eq!((right[0].probability, right[0].cell, right[0].terminated), (0.5, 2, true));
    /// assert_eq!((right[1].probability, right[1].cell, right[1].terminated), (0.25, 1, false));
    /// # Ok::<(), apprentice_envs::Error>(())
    /// ```
    pub fn transitions(&self, cell: usize, action: i64) -> Vec<Transition> {
        let acting = self.cells().get(cell).is_some_and(|cell| cell.is_walkable());
        match usize::try_from(action) {
            Ok(action @ 0..4) if acting => {
                self.world.outcomes(cell, action).into_iter().filter(|outcome| outcome.probability > 0.0).collect()
            }
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Env, GridWorldConfig, gridworld::MapName};

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
    fn probabilities_sum_to_one_wherever_there_is_something_to_do() {
        let mut config = world("S~L\n~C#\nG.~");
        config.slippery = Slippery::Everywhere;
        let env = GridWorld::new(config).unwrap();
        for (cell, kind) in env.cells().iter().enumerate() {
            for action in 0..4 {
                let total: f64 = env.transitions(cell, action).iter().map(|t| t.probability).sum();
                assert!(close(total, if kind.is_walkable() { 1.0 } else { 0.0 }), "cell {cell}, action {action}");
            }
        }
        for (cell, action) in [(0, 4), (0, -1), (9, 0), (usize::MAX, 0)] {
            assert_eq!(env.transitions(cell, action), []);
        }
    }

    #[test]
    fn steps_come_as_often_as_the_model_says() {
        let mut config = world("aL~\n~SG\n~C.");
        config.goals = BTreeMap::from([('a', 0.5)]);
        config.slippery = Slippery::Everywhere;
        config.slip = 0.4;
        let mut env = GridWorld::new(config).unwrap();
        let mut rng = Generator::new(5);
        let draws = 40_000;
        let acting: Vec<usize> = (0..9).filter(|&cell| env.cells()[cell].is_walkable()).collect();
        for cell in acting {
            for action in 0..4 {
                let model = env.transitions(cell, action);
                let mut counts = vec![0; model.len()];
                for _ in 0..draws {
                    env.cell = cell;
                    let step = env.step(&action, &mut rng);
                    let same = |t: &Transition| {
                        (t.cell, t.reward, t.terminated) == (env.agent_cell(), step.reward, step.terminated)
                    };
                    let which = model.iter().position(same).expect("a step that the model does not know");
                    counts[which] += 1;
                }
                for (i, t) in model.iter().enumerate() {
                    // Outcomes that cannot be told apart are all counted at the first of them.
                    let same = |other: &&Transition| (other.cell, other.reward) == (t.cell, t.reward);
                    let first = model.iter().position(|other| same(&other)) == Some(i);
                    let expected: f64 =
                        if first { model.iter().filter(same).map(|t| t.probability).sum() } else { 0.0 };
                    let frequency = f64::from(counts[i]) / f64::from(draws);
                    // Five standard deviations of a probability of one half.
                    assert!((frequency - expected).abs() < 0.0125, "{cell} {action}: {frequency} for {expected}");
                }
            }
        }
    }

    #[test]
    fn only_slippery_cells_draw_and_they_draw_one_double() {
        let mut env = GridWorld::new(world("S~.G")).unwrap();
        let mut rng = Generator::new(1);
        for (cell, doubles) in [(0, 0), (1, 1), (2, 0)] {
            let mut expected = rng.clone();
            (0..doubles).for_each(|_| _ = expected.random());
            env.cell = cell;
            env.step(&0, &mut rng);
            assert_eq!(rng, expected, "cell {cell}");
        }
    }

    #[test]
    fn rewards_are_those_of_the_cell_entered_less_the_step_cost() {
        let mut config = world("aS\nGL\nCC");
        config.goals = BTreeMap::from([('a', 0.5)]);
        config.step_cost = Some(0.25);
        let env = GridWorld::new(config).unwrap();
        let result = |cell, action| {
            let [t] = env.transitions(cell, action)[..] else { panic!("not deterministic") };
            (t.cell, t.reward, t.terminated)
        };
        assert_eq!(result(1, 0), (1, -0.25, false));
        assert_eq!(result(1, 3), (0, 0.25, true));
        assert_eq!(result(1, 2), (3, -1.25, true));
    }

    /// Gymnasium's rules, written down a second time: moves are clipped to the map, the cliff costs 100 and leads
    /// back to cell 36, everything else costs 1, and cell 47 ends the episode.
    #[test]
    fn the_cliff_is_that_of_gymnasium() {
        let env = built_in(MapName::Cliff);
        for cell in 0..=36 {
            let (row, column) = (cell as i64 / 12, cell as i64 % 12);
            for (action, (down, right)) in [(0, (-1, 0)), (1, (0, 1)), (2, (1, 0)), (3, (0, -1))] {
                let (row, column) = ((row + down).clamp(0, 3), (column + right).clamp(0, 11));
                let to = (row * 12 + column) as usize;
                let (cell_after, reward) = if (37..47).contains(&to) { (36, -100.0) } else { (to, -1.0) };
                let expected = Transition { probability: 1.0, cell: cell_after, reward, terminated: to == 47 };
                assert_eq!(env.transitions(cell, action), [expected], "cell {cell}, action {action}");
            }
        }
    }
}
