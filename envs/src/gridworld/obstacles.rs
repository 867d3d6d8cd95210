//! Obstacles that move over the floor. They do not get in each other's way.

use super::map::{Cell, Map, Tile};
use crate::Error;

/// The most obstacles that a map may have.
const MAX_OBSTACLES: usize = 64;

/// How an obstacle moves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Motion {
    /// To and fro in its row, to the right first.
    Row,
    /// To and fro in its column, downwards first.
    Column,
    /// At random.
    Wander,
}

/// The obstacles of a map.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Obstacles {
    patrols: Vec<Patrol>,
    /// The cells on which those that wander begin.
    pub(super) wanderers: Vec<usize>,
}

/// The way of an obstacle that turns round where it cannot go on: a line of cells, to and fro.
#[derive(Clone, Debug, PartialEq)]
struct Patrol {
    /// The uppermost or leftmost cell.
    first: usize,
    /// From a cell to the next.
    stride: usize,
    cells: usize,
    /// On which of the cells it begins.
    start: usize,
}

impl Patrol {
    /// `backward` and `forward` are opposite directions.
    fn new(map: &Map, start: usize, backward: usize, forward: usize) -> Self {
        let onward = |direction| std::iter::successors(Some(start), move |&cell| map.obstacle_enters(cell, direction));
        let (before, after) = (onward(backward).count() - 1, onward(forward).count() - 1);
        let stride = if forward == 1 { 1 } else { map.width };
        Self { first: start - before * stride, stride, cells: before + 1 + after, start: before }
    }

    /// After how many steps it is as it was.
    fn period(&self) -> usize {
        (2 * (self.cells - 1)).max(1)
    }

    fn at(&self, steps: usize) -> usize {
        let along = (self.start + steps) % self.period();
        self.first + along.min(self.period() - along) * self.stride
    }
}

impl Obstacles {
    /// Those that begin on the `tiles` of a map whose cells are known.
    pub(super) fn new(name: &str, map: &Map, tiles: &[Tile]) -> Result<Self, Error> {
        check_obstacles(name, tiles.iter().filter(|tile| tile.obstacle.is_some()).count())?;
        let mut obstacles = Self::default();
        for (cell, tile) in tiles.iter().enumerate() {
            match tile.obstacle {
                Some(Motion::Row) => obstacles.patrols.push(Patrol::new(map, cell, 3, 1)),
                Some(Motion::Column) => obstacles.patrols.push(Patrol::new(map, cell, 0, 2)),
                Some(Motion::Wander) => obstacles.wanderers.push(cell),
                None => {}
            }
        }
        Ok(obstacles)
    }

    /// After how many steps all patrols are as they were at the start, or None if that is beyond counting.
    pub(super) fn period(&self) -> Option<usize> {
        let least_common_multiple = |a: usize, b: usize| (a / greatest_common_divisor(a, b)).checked_mul(b);
        self.patrols.iter().try_fold(1, |period, patrol| least_common_multiple(period, patrol.period()))
    }

    /// The cells of the patrols after so many steps.
    pub(super) fn patrols_at(&self, steps: usize) -> impl Iterator<Item = usize> {
        self.patrols.iter().map(move |patrol| patrol.at(steps))
    }
}

/// Refuses maps with more than [`MAX_OBSTACLES`] obstacles.
pub(super) fn check_obstacles(name: &str, count: usize) -> Result<(), Error> {
    match count {
        0..=MAX_OBSTACLES => Ok(()),
        _ => Err(Error::config(format!("{name}: expected at most {MAX_OBSTACLES} obstacles, got {count}"))),
    }
}

fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

impl Map {
    /// The cell that an obstacle enters in a direction, or None if it cannot go there.
    pub(super) fn obstacle_enters(&self, cell: usize, direction: usize) -> Option<usize> {
        self.neighbour(cell, direction).filter(|&next| self.carries_obstacles(next))
    }

    /// Whether obstacles may be on a cell.
    pub(super) fn carries_obstacles(&self, cell: usize) -> bool {
        matches!(self.cells[cell], Cell::Floor | Cell::Start | Cell::Slippery)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The columns (or rows) that the only patrol of a map goes through in its first `steps` steps.
    fn way(map: &str, steps: usize) -> Vec<usize> {
        let map = Map::parse("map", map).unwrap();
        (0..steps).flat_map(|step| map.obstacles.patrols_at(step).collect::<Vec<_>>()).collect()
    }

    #[test]
    fn patrols_turn_round_at_whatever_is_not_floor() {
        assert_eq!(way("#.-.L\nS...G", 9), [2, 3, 2, 1, 2, 3, 2, 1, 2]);
        assert_eq!(way("-..\nS.G", 6), [0, 1, 2, 1, 0, 1]);
        assert_eq!(way("..-\nS.G", 6), [2, 1, 0, 1, 2, 1]);
        assert_eq!(way("#-rS\n...G", 3), [1, 1, 1]);
        assert_eq!(way(".S\n!.\n.G\nL.", 5), [2, 4, 2, 0, 2]);
    }

    #[test]
    fn patrols_are_as_they_were_after_a_common_multiple_of_their_rounds() {
        let period = |map: &str| Map::parse("map", map).unwrap().obstacles.period();
        assert_eq!(period("S.G"), Some(1));
        assert_eq!(period("-#S\n..G"), Some(1));
        assert_eq!(period("-..#-.\nS....G"), Some(4));
        assert_eq!(period("-..#-...\nS......G"), Some(12));
        let crowd = format!("{}\nS{}G", "*".repeat(65), ".".repeat(63));
        assert!(Map::parse("map", &crowd).unwrap_err().to_string().contains("at most 64 obstacles, got 65"));
    }
}
