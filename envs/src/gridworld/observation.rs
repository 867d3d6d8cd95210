//! What the agent sees: the index of its cell, or a window of the map around it.

use super::Observation;
use super::map::Cell;
use super::model::World;
use crate::{Error, Space, Value};

/// The longest side of a window, in cells.
const MAX_WINDOW: u32 = 63;

/// The channels of a window. Floor is zero in all of them.
const CHANNELS: usize = 4;
const WALL: usize = 0;
const GOAL: usize = 1;
const HAZARD: usize = 2;
const SLIPPERY: usize = 3;

impl Observation {
    /// Refuses windows without a middle cell, and huge ones.
    pub(super) fn check(self) -> Result<(), Error> {
        match self {
            Self::Window(side) if side % 2 == 0 || side > MAX_WINDOW => Err(Error::config(format!(
                "observation: expected a window of an odd number of cells from 1 to {MAX_WINDOW}, got {side}"
            ))),
            _ => Ok(()),
        }
    }
}

impl World {
    pub(super) fn observation_space(&self) -> Space {
        match self.observation {
            Observation::Cell => Space::discrete(self.map.cells.len() as u32),
            Observation::Window(side) => {
                let side = side as usize;
                let length = side * side * CHANNELS;
                Space::Box { low: vec![0.0; length], high: vec![1.0; length], shape: vec![side, side, CHANNELS] }
            }
        }
    }

    /// What an agent on `cell` sees.
    pub(super) fn observe(&self, cell: usize) -> Value {
        match self.observation {
            Observation::Cell => Value::Discrete(cell as i64),
            Observation::Window(side) => Value::Box(self.window(cell, side as usize)),
        }
    }

    /// One-hot channels of the cells around `cell`, row by row; the agent is in the middle.
    fn window(&self, cell: usize, side: usize) -> Vec<f32> {
        let mut values = vec![0.0; side * side * CHANNELS];
        let (row, column) = (cell / self.map.width, cell % self.map.width);
        for (i, channels) in values.chunks_exact_mut(CHANNELS).enumerate() {
            // Shifted by half a window, so that positions above and to the left of the map stay positive.
            let (r, c) = (row + i / side, column + i % side);
            let inside = |shifted: usize, length: usize| shifted.checked_sub(side / 2).filter(|&x| x < length);
            let seen = inside(r, self.map.height).zip(inside(c, self.map.width));
            if let Some(channel) = seen.map_or(Some(WALL), |(r, c)| self.channel(r * self.map.width + c)) {
                channels[channel] = 1.0;
            }
        }
        values
    }

    fn channel(&self, cell: usize) -> Option<usize> {
        match self.map.cells[cell] {
            Cell::Wall => Some(WALL),
            Cell::Goal(_) => Some(GOAL),
            Cell::Lava | Cell::Cliff => Some(HAZARD),
            Cell::Floor | Cell::Start | Cell::Slippery => self.is_slippery(cell).then_some(SLIPPERY),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gridworld::Slippery;
    use crate::{GridWorld, GridWorldConfig};

    /// A letter a cell: W, G, H, ~ or . for floor.
    fn window(map: &str, slippery: Slippery, side: u32, cell: usize) -> String {
        let config = GridWorldConfig {
            map: Some(map.to_owned()),
            slippery,
            observation: Observation::Window(side),
            ..GridWorldConfig::default()
        };
        let env = GridWorld::new(config).unwrap();
        let Value::Box(values) = env.world.observe(cell) else { panic!("a window is a Box") };
        let letter = |channels: &[f32]| match channels {
            [1.0, 0.0, 0.0, 0.0] => 'W',
            [0.0, 1.0, 0.0, 0.0] => 'G',
            [0.0, 0.0, 1.0, 0.0] => 'H',
            [0.0, 0.0, 0.0, 1.0] => '~',
            [0.0, 0.0, 0.0, 0.0] => '.',
            _ => panic!("not one-hot: {channels:?}"),
        };
        values.chunks(CHANNELS).map(letter).collect()
    }

    #[test]
    fn a_window_shows_the_cells_around_the_agent_and_walls_outside() {
        let map = "SL#\n~CG\n...";
        assert_eq!(window(map, Slippery::Cells, 3, 4), ".HW~HG...");
        assert_eq!(window(map, Slippery::Cells, 3, 0), "WWWW.HW~H");
        assert_eq!(window(map, Slippery::Cells, 3, 8), "HGW..WWWW");
        assert_eq!(window(map, Slippery::Cells, 1, 5), "G");
        assert_eq!(window(map, Slippery::Everywhere, 3, 4), "~HW~HG~~~");
        let large = window(map, Slippery::Cells, 63, 0);
        assert_eq!(large.chars().filter(|&letter| letter != 'W').count(), 8);
    }

    #[test]
    fn windows_without_a_middle_and_huge_ones_are_refused() {
        for side in [0, 2, 64, 65, u32::MAX] {
            assert!(Observation::Window(side).check().is_err(), "{side}");
        }
        for side in [1, 3, 63] {
            assert!(Observation::Window(side).check().is_ok(), "{side}");
        }
    }
}
