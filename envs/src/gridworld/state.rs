//! What changes from step to step.

use super::keys::{Colour, Keys};
use super::map::Cell;
use super::world::World;
use serde::{Deserialize, Serialize};

/// Everything about a grid world that changes from step to step.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GridState {
    /// The index of the agent's cell.
    pub cell: usize,
    /// The keys that the agent has.
    pub keys: Keys,
    /// The colour of the right goal; None on a map without a cue.
    pub cue: Option<Colour>,
    /// Steps of the patrols, modulo the number after which all of them are as they were.
    pub phase: usize,
    /// The cells of the wandering obstacles, in the order in which the map has them.
    pub wanderers: Vec<usize>,
}

impl World {
    /// The state at the start of an episode.
    pub(super) fn start(&self, cell: usize, cue: Option<Colour>) -> GridState {
        let wanderers = self.map.obstacles.wanderers.clone();
        GridState { cell, keys: Keys::default(), cue, phase: 0, wanderers }
    }

    /// The states in which episodes start, each equally likely.
    pub(super) fn starts(&self) -> impl Iterator<Item = GridState> {
        self.map
            .cues()
            .into_iter()
            .flat_map(move |cue| self.map.starts.iter().map(move |&start| self.start(start, cue)))
    }

    /// Why the world cannot be in a state, or nothing if it can.
    pub(super) fn flaw(&self, state: &GridState) -> Option<String> {
        let (cells, agent) = (&self.map.cells, state.cell);
        let has_key = match cells.get(agent) {
            None => return Some(format!("the map has {} cells: no agent can be on cell {agent}", cells.len())),
            Some(kind @ (Cell::Wall | Cell::Cliff)) => {
                return Some(format!("no agent can be on cell {agent}: {kind:?}"));
            }
            Some(Cell::Key(colour) | Cell::Door(colour)) => state.keys.contains(*colour),
            Some(_) => true,
        };
        let possible = has_key
            && state.keys.are_among(self.map.keys)
            && self.map.cues().contains(&state.cue)
            && state.phase < self.period
            && state.wanderers.len() == self.map.obstacles.wanderers.len()
            && state.wanderers.iter().all(|&cell| cell < cells.len() && self.map.carries_obstacles(cell));
        (!possible).then(|| format!("no episode on this map comes to {state:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Env, Generator, GridWorld, GridWorldConfig};

    fn env(map: &str) -> GridWorld {
        GridWorld::new(GridWorldConfig { map: Some(map.to_owned()), ..GridWorldConfig::default() }).unwrap()
    }

    #[test]
    fn a_start_is_drawn_for_every_episode_and_so_is_a_cue() {
        let mut env = env("SS?1\nr.3.\n!.4*");
        let starts: Vec<GridState> = env.start_states().collect();
        assert_eq!(starts.len(), 6);
        let mut rng = Generator::new(0);
        let mut counts = [0; 6];
        for _ in 0..6000 {
            env.reset(&mut rng);
            counts[starts.iter().position(|start| *start == env.state()).unwrap()] += 1;
            // Nothing of one episode is left in the next.
            for action in [2, 3, 1] {
                env.step(&action, &mut rng);
            }
        }
        assert!(counts.iter().all(|count| (900..1100).contains(count)), "{counts:?}");
    }

    #[test]
    fn states_that_no_episode_comes_to_are_refused() {
        let mut env = env("S.#G1?2\nrRyY...\n!!*C...\n.......");
        let default = env.state();
        let keys = |colours: &[Colour]| colours.iter().copied().fold(Keys::default(), Keys::with);
        let both = keys(&[Colour::Red, Colour::Yellow]);
        for possible in [
            GridState { cell: 3, ..default.clone() },
            GridState { cell: 7, keys: both, ..default.clone() },
            GridState { cell: 10, keys: keys(&[Colour::Yellow]), ..default.clone() },
            GridState { cue: Some(Colour::Yellow), phase: 1, wanderers: vec![0], ..default.clone() },
            // An obstacle has caught the agent.
            GridState { cell: 21, wanderers: vec![21], ..default.clone() },
        ] {
            env.set_state(possible.clone()).unwrap();
            assert_eq!(env.state(), possible);
        }
        for impossible in [
            GridState { cell: 2, ..default.clone() },
            GridState { cell: 17, ..default.clone() },
            GridState { cell: 28, ..default.clone() },
            GridState { cell: usize::MAX, ..default.clone() },
            GridState { cell: 7, keys: keys(&[Colour::Yellow]), ..default.clone() },
            GridState { cell: 8, ..default.clone() },
            GridState { keys: keys(&[Colour::Blue]), ..default.clone() },
            GridState { cue: None, ..default.clone() },
            GridState { cue: Some(Colour::Blue), ..default.clone() },
            GridState { phase: 2, ..default.clone() },
            GridState { phase: usize::MAX, ..default.clone() },
            GridState { wanderers: vec![], ..default.clone() },
            GridState { wanderers: vec![0, 0], ..default.clone() },
            GridState { wanderers: vec![17], ..default.clone() },
            GridState { wanderers: vec![usize::MAX], ..default.clone() },
        ] {
            let before = env.state();
            assert!(env.set_state(impossible.clone()).unwrap_err().is_snapshot(), "{impossible:?}");
            assert_eq!(env.state(), before);
        }
    }
}
