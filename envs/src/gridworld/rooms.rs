//! Random rooms with locked doors, whose keys have to be found in turn.

use super::RoomsMap;
use super::keys::Colour;
use super::map::{Cell, Map, Tile, check_size};
use crate::{Error, Generator};

/// How often a maze is drawn again before its parameters are given up.
const ATTEMPTS: u32 = 1000;

/// A maze of rooms: a tree whose root is the room of the start.
struct Maze {
    columns: usize,
    /// For each room the one that it is entered from; for the start's, itself.
    entered_from: Vec<usize>,
    /// For each room, how many rooms the start's is away.
    depth: Vec<usize>,
}

impl Maze {
    /// Walks at random from room to room, and back where there is no new one to enter.
    fn random(columns: usize, rows: usize, rng: &mut Generator) -> Self {
        let rooms = columns * rows;
        let start = rng.integers(rooms as u32) as usize;
        let (mut entered_from, mut depth) = (vec![usize::MAX; rooms], vec![0; rooms]);
        entered_from[start] = start;
        let mut way = vec![start];
        while let Some(&room) = way.last() {
            let (row, column) = (room / columns, room % columns);
            let mut next: Vec<usize> = Vec::new();
            next.extend((row > 0).then(|| room - columns));
            next.extend((column + 1 < columns).then_some(room + 1));
            next.extend((row + 1 < rows).then_some(room + columns));
            next.extend((column > 0).then(|| room - 1));
            next.retain(|&next| entered_from[next] == usize::MAX);
            if next.is_empty() {
                way.pop();
                continue;
            }
            let next = next[rng.integers(next.len() as u32) as usize];
            (entered_from[next], depth[next]) = (room, depth[room] + 1);
            way.push(next);
        }
        Self { columns, entered_from, depth }
    }

    /// The first of the rooms that are farthest from the start.
    fn farthest(&self) -> usize {
        let farthest = |best: usize, room| if self.depth[room] > self.depth[best] { room } else { best };
        (1..self.depth.len()).fold(0, farthest)
    }

    /// The rooms from the one after the start's to `room`.
    fn way_to(&self, mut room: usize) -> Vec<usize> {
        let mut way = Vec::new();
        while self.depth[room] > 0 {
            way.push(room);
            room = self.entered_from[room];
        }
        way.reverse();
        way
    }

    /// For each room, how many of the doors into `locked` rooms are on the way to it.
    fn doors_before(&self, locked: &[usize]) -> Vec<usize> {
        let mut rooms: Vec<usize> = (0..self.depth.len()).collect();
        rooms.sort_by_key(|&room| self.depth[room]);
        let mut doors = vec![0; rooms.len()];
        for &room in &rooms {
            doors[room] = doors[self.entered_from[room]] + usize::from(locked.contains(&room));
        }
        doors
    }
}

/// Draws the rooms that the parameters ask for.
pub(super) fn map(parameters: &RoomsMap) -> Result<Map, Error> {
    let RoomsMap { columns, rows, room_size, doors, seed } = *parameters;
    let [columns, rows, size, doors] = [columns, rows, room_size, doors].map(|x| x as usize);
    let side = |rooms: usize| rooms.saturating_mul(size.saturating_add(1)).saturating_sub(1);
    check_size("rooms", side(columns), side(rows))?;
    if columns == 0 || rows == 0 || size < 2 {
        return Err(Error::config(format!(
            "rooms: expected a room or more of 2 × 2 cells or more, got {columns} × {rows} rooms of {size} × {size}"
        )));
    }
    if doors > Colour::ALL.len() || doors >= columns * rows {
        return Err(Error::config(format!(
            "rooms: doors: expected 0 to 4, and fewer than there are rooms ({}); got {doors}",
            columns * rows
        )));
    }
    let mut rng = Generator::new(seed);
    for _ in 0..ATTEMPTS {
        let maze = Maze::random(columns, rows, &mut rng);
        if maze.depth[maze.farthest()] >= doors {
            return Map::new("rooms", side(columns), &furnish(&maze, size, doors, &mut rng));
        }
    }
    Err(Error::config(format!(
        "rooms: no way of {doors} doors in any of {ATTEMPTS} mazes of {columns} × {rows} rooms; lower doors"
    )))
}

/// Builds the rooms, locks some of the doors on the way from the start to the goal, and lays out the keys.
fn furnish(maze: &Maze, size: usize, doors: usize, rng: &mut Generator) -> Vec<Tile> {
    let (rooms, columns) = (maze.depth.len(), maze.columns);
    let (width, height) = (columns * (size + 1) - 1, rooms / columns * (size + 1) - 1);
    let corner = |room: usize| (room / columns * width + room % columns) * (size + 1);
    let mut tiles: Vec<Tile> = vec![Cell::Wall.into(); width * height];
    for room in 0..rooms {
        for cell in (0..size * size).map(|i| corner(room) + i / size * width + i % size) {
            tiles[cell] = Cell::Floor.into();
        }
    }

    let goal = maze.farthest();
    let mut way = maze.way_to(goal);
    let mut colours = Colour::ALL;
    rng.shuffle(&mut way);
    rng.shuffle(&mut colours);
    // The rooms behind the locked doors, in the order in which they are entered.
    let mut locked = way[..doors].to_vec();
    locked.sort_by_key(|&room| maze.depth[room]);

    for room in (0..rooms).filter(|&room| maze.depth[room] > 0) {
        let (first, second) = (room.min(maze.entered_from[room]), room.max(maze.entered_from[room]));
        let along = rng.integers(size as u32) as usize;
        let opening = match second - first {
            1 if columns > 1 => corner(second) - 1 + along * width,
            _ => corner(second) - width + along,
        };
        let colour = locked.iter().position(|&behind| behind == room).map(|i| colours[i]);
        tiles[opening] = colour.map_or(Cell::Floor, Cell::Door).into();
    }

    // Things lie on floor that is still free, anywhere in a room.
    let mut put = |cell: Cell, room: usize, rng: &mut Generator| {
        let cells = (0..size * size).map(|i| corner(room) + i / size * width + i % size);
        let free: Vec<usize> = cells.filter(|&cell| tiles[cell] == Cell::Floor.into()).collect();
        tiles[free[rng.integers(free.len() as u32) as usize]] = cell.into();
    };
    let start = (0..rooms).find(|&room| maze.depth[room] == 0).expect("a maze has a root");
    put(Cell::Start, start, rng);
    put(Cell::Goal('G'), goal, rng);
    let doors_before = maze.doors_before(&locked);
    for (i, &colour) in colours[..doors].iter().enumerate() {
        let between: Vec<usize> = (0..rooms).filter(|&room| doors_before[room] == i).collect();
        put(Cell::Key(colour), between[rng.integers(between.len() as u32) as usize], rng);
    }
    tiles
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{GridWorld, GridWorldConfig};

    fn text(map: &Map) -> String {
        let symbol = |cell: &Cell| match cell {
            Cell::Floor => '.',
            Cell::Start => 'S',
            Cell::Wall => '#',
            Cell::Goal(name) => *name,
            Cell::Key(colour) => b"rybp"[*colour as usize].into(),
            Cell::Door(colour) => b"RYBP"[*colour as usize].into(),
            other => panic!("{other:?} in rooms"),
        };
        let rows = map.cells.chunks(map.width).map(|row| row.iter().map(symbol).collect::<String>());
        rows.collect::<Vec<_>>().join("\n")
    }

    fn mazes() -> impl Iterator<Item = RoomsMap> {
        let shapes = [(1, 1, 3), (2, 1, 2), (1, 3, 4), (2, 2, 3), (3, 2, 2), (4, 4, 3), (5, 1, 2)];
        (0..300).map(move |seed| {
            let (columns, rows, room_size) = shapes[seed as usize % shapes.len()];
            RoomsMap { columns, rows, room_size, doors: (seed as u32 % 5).min(columns * rows - 1), seed }
        })
    }

    #[test]
    fn every_door_has_to_be_opened_and_no_maze_is_like_another() {
        let mut seen = std::collections::BTreeSet::new();
        for parameters in mazes() {
            let map = map(&parameters).unwrap();
            let text = text(&map);
            assert_eq!(map.keys.colours().count(), parameters.doors as usize, "{text}");
            assert_eq!(text.matches(['R', 'Y', 'B', 'P']).count(), parameters.doors as usize, "{text}");
            for key in "rybp".chars().filter(|&key| text.contains(key)) {
                let without = text.replace(key, ".");
                assert!(Map::parse("map", &without).is_err(), "solved without {key}:\n{text}");
            }
            if parameters.columns * parameters.rows > 3 {
                assert!(seen.insert(text), "{parameters:?}");
            }
            assert_eq!(map, super::map(&parameters).unwrap());
        }
    }

    /// The best plan found by value iteration opens the doors in the order in which they stand on the way.
    #[test]
    fn an_optimal_policy_fetches_every_key() {
        for parameters in mazes().filter(|maze| maze.columns * maze.rows <= 6) {
            let config = GridWorldConfig { rooms: Some(parameters), ..GridWorldConfig::default() };
            let env = GridWorld::new(config).unwrap();
            let values = env.optimal_values(1.0).unwrap();
            let mut state = env.start_states().next().unwrap();
            let (mut steps, mut keys) = (0, 0);
            loop {
                let best = (0..4)
                    .map(|action| env.transitions(&state, action).unwrap().remove(0))
                    .max_by(|a, b| (a.reward + values[&a.state]).total_cmp(&(b.reward + values[&b.state])))
                    .unwrap();
                steps += 1;
                keys += u32::from(best.state.keys != state.keys);
                if best.terminated {
                    break;
                }
                state = best.state;
            }
            let expected = 1.0 - 0.01 * f64::from(steps);
            assert!((env.optimal_return(1.0).unwrap() - expected).abs() < 1e-9, "{parameters:?}");
            assert_eq!(keys, parameters.doors, "{parameters:?}");
        }
    }

    #[test]
    fn impossible_rooms_are_refused() {
        let refused = |parameters| map(&parameters).unwrap_err().to_string();
        let default = RoomsMap::default();
        assert!(refused(RoomsMap { columns: 0, ..default }).contains("a room or more"));
        assert!(refused(RoomsMap { room_size: 1, ..default }).contains("2 × 2 cells"));
        assert!(refused(RoomsMap { doors: 4, ..default }).contains("fewer than there are rooms (4)"));
        assert!(refused(RoomsMap { doors: 5, columns: 9, ..default }).contains("0 to 4"));
        let huge = u32::MAX;
        assert!(refused(RoomsMap { columns: huge, rows: huge, room_size: huge, ..default }).contains("at most 65536"));
        // A way from one end of four rooms to the other takes a start at an end, which a thousand mazes have.
        let row = RoomsMap { columns: 4, rows: 1, doors: 3, ..default };
        assert!((0..100).all(|seed| map(&RoomsMap { seed, ..row }).is_ok()));
    }
}
