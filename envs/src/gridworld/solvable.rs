//! Whether a map can be solved: a search backwards from its goals.

use super::keys::{Colour, Keys};
use super::map::{Cell, Map};
use crate::Error;

/// The most places that are searched. A place is a cell, the keys that are held there, and the state of the patrols.
const MAX_PLACES: usize = 1 << 21;

/// Refuses a map if from some start, for some cue, no sequence of moves leads to a goal.
///
/// Slips and obstacles that wander can always spoil a plan; what is asked for is that it succeeds with some
/// probability. For obstacles that wander this looks for a way past the cells on which they begin, since they may stay
/// there. A map whose only way leads over such a cell is refused.
pub(super) fn check(name: &str, map: &Map) -> Result<(), Error> {
    let search = Search::new(name, map)?;
    for cue in map.cues() {
        let solvable = search.solvable(cue);
        let first = |start: usize| search.index(Place { cell: start, keys: Keys::default(), phase: 0 });
        if let Some(&stuck) = map.starts.iter().find(|&&start| !solvable[first(start)]) {
            return Err(Error::config(format!(
                "{name}: no goal can be reached from the start at row {}, column {}{}; open the walls around it, put the \
                 keys of doors within reach, or move obstacles out of the way",
                stuck / map.width + 1,
                stuck % map.width + 1,
                cue.map_or(String::new(), |cue| format!(" if the cue is {cue:?}").to_lowercase())
            )));
        }
    }
    Ok(())
}

#[derive(Clone, Copy)]
struct Place {
    cell: usize,
    keys: Keys,
    /// Steps of the patrols, modulo their period.
    phase: usize,
}

struct Search<'a> {
    map: &'a Map,
    period: usize,
}

impl<'a> Search<'a> {
    fn new(name: &str, map: &'a Map) -> Result<Self, Error> {
        let period = map.obstacles.period();
        let places = period.and_then(|period| period.checked_mul(map.keys.subsets() * map.cells.len()));
        match (period, places) {
            (Some(period), Some(places)) if places <= MAX_PLACES => Ok(Self { map, period }),
            _ => Err(Error::config(format!(
                "{name}: {} cells with {} sets of keys, and patrols that are as they were after {} steps, are more than \
                 {MAX_PLACES} states; take a smaller map, or patrols whose ways are equally long",
                map.cells.len(),
                map.keys.subsets(),
                period.map_or("too many".to_owned(), |period| period.to_string()),
            ))),
        }
    }

    fn index(&self, Place { cell, keys, phase }: Place) -> usize {
        (phase * self.map.keys.subsets() + self.map.keys.number_of(keys)) * self.map.cells.len() + cell
    }

    fn place(&self, index: usize) -> Place {
        let (rest, cell) = (index / self.map.cells.len(), index % self.map.cells.len());
        let (phase, keys) = (rest / self.map.keys.subsets(), rest % self.map.keys.subsets());
        Place { cell, keys: self.map.keys.subset(keys), phase }
    }

    /// For each place by its index, whether a goal can be reached from there; goals are among them.
    fn solvable(&self, cue: Option<Colour>) -> Vec<bool> {
        let places = self.period * self.map.keys.subsets() * self.map.cells.len();
        let mut solvable = vec![false; places];
        let mut frontier = Vec::new();
        let mut add = |place, frontier: &mut Vec<usize>| {
            let index = self.index(place);
            if !std::mem::replace(&mut solvable[index], true) {
                frontier.push(index);
            }
        };
        for cell in self.map.right_goals(cue) {
            for phase in 0..self.period {
                for keys in (0..self.map.keys.subsets()).map(|number| self.map.keys.subset(number)) {
                    add(Place { cell, keys, phase }, &mut frontier);
                }
            }
        }
        while let Some(index) = frontier.pop() {
            self.each_before(self.place(index), |place| add(place, &mut frontier));
        }
        solvable
    }

    /// Calls `give` with each place from which a step can lead to `after`.
    fn each_before(&self, after: Place, mut give: impl FnMut(Place)) {
        let phase = (after.phase + self.period - 1) % self.period;
        // The agent is where it is, and then the obstacles move.
        if !self.is_free(after.cell, phase) {
            return;
        }
        let mut give = |cell: usize, keys| {
            let acting = self.map.cells[cell].is_walkable() && self.may_be(cell, keys) && self.is_free(cell, phase);
            if acting {
                give(Place { cell, keys, phase });
            }
        };
        let blocked = |direction| self.map.enter(after.cell, direction, after.keys).is_none();
        if (0..4).any(blocked) {
            give(after.cell, after.keys);
        }
        let without = match self.map.cells[after.cell] {
            Cell::Key(colour) => Some(after.keys.without(colour)),
            _ => None,
        };
        for from in (0..4).filter_map(|direction| self.map.neighbour(after.cell, direction)) {
            for keys in [Some(after.keys), without].into_iter().flatten() {
                give(from, keys);
            }
        }
    }

    /// Whether the agent can be on a cell and hold just these keys.
    fn may_be(&self, cell: usize, keys: Keys) -> bool {
        match self.map.cells[cell] {
            Cell::Key(colour) | Cell::Door(colour) => keys.contains(colour),
            _ => true,
        }
    }

    fn is_free(&self, cell: usize, phase: usize) -> bool {
        !self.map.obstacles.wanderers.contains(&cell) && self.map.obstacles.patrols_at(phase).all(|at| at != cell)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Generator;
    use crate::gridworld::{Observation, Slippery, state::GridState, world::World};
    use std::collections::{BTreeMap, BTreeSet};

    fn refused(text: &str) -> String {
        Map::parse("map", text).expect_err("this map should have been refused").to_string()
    }

    #[test]
    fn maps_without_a_way_are_refused() {
        assert!(refused("S.G\n###\n.S.").contains("from the start at row 3, column 2"));
        for text in ["SLG", "SCG", "S#G", "SRG\n..#", "SRG\n#r#", "S.RbG\n..Br.", "S*G"] {
            assert!(refused(text).contains("no goal can be reached"), "{text}");
        }
        assert!(refused("S.?1\n...#\n..#2").contains("if the cue is yellow"));
        for text in ["SrRG", "r.S.RG", "S.RbBG\nr.....", "S*G\n...", "*S.G"] {
            let solved = Map::parse("map", text);
            assert!(solved.is_ok(), "{text}: {solved:?}");
        }
    }

    #[test]
    fn patrols_have_to_leave_time_to_pass() {
        // To and fro between two cells, it is in the middle at every other step.
        assert!(refused("#!#\nS.G\n###").contains("no goal"));
        assert!(Map::parse("map", "#!#\n#.#\nS.G").is_ok());
        // In a niche one can let it pass.
        assert!(refused("S.....-G").contains("no goal"));
        assert!(Map::parse("map", "S.....-G\n##.#####").is_ok());
    }

    #[test]
    fn worlds_that_are_too_large_to_search_are_refused() {
        let wide = |rest: &str| format!("Srybp{}G", rest.repeat((1 << 16) - 6));
        assert!(Map::parse("map", &wide(".")).is_ok());
        let long = [31, 37, 41, 43].map(|n| format!("-{}#", ".".repeat(n))).concat();
        assert!(refused(&format!("{long}\nS{}G", ".".repeat(long.len() - 2))).contains("equally long"));
    }

    /// Whether a goal can be reached from every start, by playing on from every state.
    fn solvable_by_play(map: Map) -> bool {
        let world = World {
            period: map.obstacles.period().unwrap(),
            map,
            goals: BTreeMap::from([('G', 1.0)]),
            wrong_goal_reward: 0.0,
            lava_reward: 0.0,
            cliff_reward: 0.0,
            obstacle_reward: 0.0,
            step_cost: 0.0,
            slip: 0.0,
            slippery: Slippery::Cells,
            observation: Observation::Cell,
            see_through_walls: true,
        };
        world.starts().all(|start| {
            let mut seen = BTreeSet::from([start.clone()]);
            let mut frontier = vec![start];
            while let Some(state) = frontier.pop() {
                for t in (0..4).flat_map(|action| world.transitions(&state, action)) {
                    if t.reward > 0.0 {
                        return true;
                    }
                    let next: GridState = t.state;
                    if !t.terminated && seen.insert(next.clone()) {
                        frontier.push(next);
                    }
                }
            }
            false
        })
    }

    #[test]
    fn the_search_agrees_with_playing_on() {
        let mut rng = Generator::new(11);
        let (mut solved, mut unsolved, mut spared) = (0, 0, 0);
        for round in 0..20_000 {
            let (width, height) = (2 + rng.integers(4) as usize, 1 + rng.integers(4) as usize);
            // Wandering obstacles only in some, where the search is content with less.
            let kinds = if round % 4 == 0 { "S.....##G~rRbBL-!?12*" } else { "S.....##G~rRbBL-!?12" };
            let text: Vec<String> = (0..height)
                .map(|_| {
                    (0..width).map(|_| kinds.as_bytes()[rng.integers(kinds.len() as u32) as usize] as char).collect()
                })
                .collect();
            let text = text.join("\n");
            let (width, tiles) = Map::read("map", &text).unwrap();
            let Ok(map) = Map::assemble("map", width, &tiles) else { continue };
            if map.obstacles.wanderers.len() > 2 {
                continue;
            }
            let wander = !map.obstacles.wanderers.is_empty();
            match (check("map", &map).is_ok(), solvable_by_play(map)) {
                (true, true) => solved += 1,
                (false, false) => unsolved += 1,
                (false, true) if wander => spared += 1,
                (search, play) => panic!("{search} by search and {play} by play:\n{text}"),
            }
        }
        assert!(solved > 300 && unsolved > 300 && spared < 100, "{solved} {unsolved} {spared}");
    }
}
