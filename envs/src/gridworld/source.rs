//! Where a map comes from: text, a file, the built-in ones, or a random generator.

use super::map::{Cell, MAX_CELLS, Map, Tile, check_size};
use super::obstacles::{Motion, check_obstacles};
use super::{GridWorldConfig, MapName, RandomMap, TMaze, rooms};
use crate::{Error, Generator};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// How often a random map is drawn again before its parameters are given up.
const ATTEMPTS: u32 = 1000;

const EMPTY: &str = "\
S.......
........
........
........
........
........
........
.......G
";

const FOUR_ROOMS: &str = "\
#############
#S....#.....#
#.....#.....#
#...........#
#.....#.....#
#.....#.....#
##.####.....#
#.....###.###
#.....#.....#
#.....#.....#
#...........#
#.....#....G#
#############
";

const CLIFF: &str = "\
............
............
............
SCCCCCCCCCCG
";

const CROSSING: &str = "\
S........
-........
........-
.#..#..#.
....*....
.#..#..#.
........G
";

/// The map that the parameters ask for.
pub(super) fn map(config: &GridWorldConfig) -> Result<Map, Error> {
    let given = given(config);
    if given.len() > 1 {
        return Err(Error::config(format!("{}: expected one source of the map; keep one of them", given.join(", "))));
    }
    if let Some(text) = &config.map {
        Map::parse("map", text)
    } else if let Some(path) = &config.map_file {
        Map::parse(&format!("map_file {}", path.display()), &read(path)?)
    } else if let Some(random) = &config.random {
        random_map(random)
    } else if let Some(rooms) = &config.rooms {
        rooms::map(rooms)
    } else if let Some(t_maze) = &config.t_maze {
        t_maze_map(t_maze)
    } else {
        let text = match config.map_name.unwrap_or(MapName::Empty) {
            MapName::Empty => EMPTY,
            MapName::FourRooms => FOUR_ROOMS,
            MapName::Cliff => CLIFF,
            MapName::Crossing => CROSSING,
        };
        Map::parse("map_name", text)
    }
}

/// The names of the sources that the parameters have.
pub(super) fn given(config: &GridWorldConfig) -> Vec<&'static str> {
    let sources = [
        ("map", config.map.is_some()),
        ("map_file", config.map_file.is_some()),
        ("map_name", config.map_name.is_some()),
        ("random", config.random.is_some()),
        ("rooms", config.rooms.is_some()),
        ("t_maze", config.t_maze.is_some()),
    ];
    sources.into_iter().filter(|(_, given)| *given).map(|(name, _)| name).collect()
}

/// Reads a text file, though no more of it than the largest map can have.
fn read(path: &Path) -> Result<String, Error> {
    // A map one cell wide has two characters of line ending for each cell.
    let limit = 3 * MAX_CELLS as u64;
    let mut text = String::new();
    let length = File::open(path)
        .and_then(|file| file.take(limit + 1).read_to_string(&mut text))
        .map_err(|e| Error::config(format!("map_file {}: {e}", path.display())))?;
    if length as u64 > limit {
        return Err(Error::config(format!(
            "map_file {}: expected at most {MAX_CELLS} cells, got a larger file",
            path.display()
        )));
    }
    Ok(text)
}

/// Three rows: the upper goal, the corridor and the lower goal, with walls beside the goals.
fn t_maze_map(&TMaze { length }: &TMaze) -> Result<Map, Error> {
    if !(1..=MAX_CELLS as u32 / 4).contains(&length) {
        return Err(Error::config(format!("t_maze: length: expected 1 to {}, got {length}", MAX_CELLS / 4)));
    }
    let (walls, corridor) = ("#".repeat(length as usize + 1), ".".repeat(length as usize));
    Map::parse("t_maze", &format!("{walls}1\n?S{corridor}\n{walls}2"))
}

/// Draws walls, a start, a goal and obstacles until the goal can be reached.
fn random_map(random: &RandomMap) -> Result<Map, Error> {
    let RandomMap { width, height, wall_probability, obstacles, seed } = *random;
    let (width, height) = (width as usize, height as usize);
    check_size("random", width, height)?;
    let size = width * height;
    if size < 2 {
        return Err(Error::config(format!("random: expected room for a start and a goal, got {width} × {height}")));
    }
    if !(0.0..=1.0).contains(&wall_probability) {
        return Err(Error::config(format!("random: wall_probability must lie from 0 to 1, got {wall_probability}")));
    }
    check_obstacles("random", obstacles as usize)?;
    let mut rng = Generator::new(seed);
    for _ in 0..ATTEMPTS {
        let wall_or_floor = |_| Tile::from(if rng.random() < wall_probability { Cell::Wall } else { Cell::Floor });
        let mut tiles: Vec<Tile> = (0..size).map(wall_or_floor).collect();
        let start = rng.integers(size as u32) as usize;
        // One of the other cells: a step of 1 to size − 1 onwards, round the end.
        let goal = (start + 1 + rng.integers(size as u32 - 1) as usize) % size;
        tiles[start] = Cell::Start.into();
        tiles[goal] = Cell::Goal('G').into();
        let mut floor: Vec<usize> = (0..size).filter(|&cell| tiles[cell] == Cell::Floor.into()).collect();
        for _ in 0..obstacles.min(floor.len() as u32) {
            tiles[floor.swap_remove(rng.integers(floor.len() as u32) as usize)] = Motion::Wander.into();
        }
        if let Ok(map) = Map::new("random", width, &tiles) {
            return Ok(map);
        }
    }
    Err(Error::config(format!(
        "random: the goal could not be reached in any of {ATTEMPTS} maps; lower wall_probability ({wall_probability}) or \
         obstacles ({obstacles})"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sources_exclude_each_other_and_empty_is_the_default() {
        let both = GridWorldConfig {
            map: Some("SG".to_owned()),
            map_name: Some(MapName::Cliff),
            ..GridWorldConfig::default()
        };
        assert_eq!(
            map(&both).unwrap_err().to_string(),
            "map, map_name: expected one source of the map; keep one of them"
        );
        assert_eq!(map(&GridWorldConfig::default()).unwrap(), Map::parse("map", EMPTY).unwrap());
    }

    #[test]
    fn a_file_is_read_up_to_the_largest_map() {
        let directory = std::env::temp_dir().join(format!("apprentice-gridworld-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let path = directory.join("map.txt");
        let load = || map(&GridWorldConfig { map_file: Some(path.clone()), ..GridWorldConfig::default() });

        assert!(load().unwrap_err().to_string().contains("map.txt"));
        std::fs::write(&path, "S~G\n").unwrap();
        assert_eq!(load().unwrap(), Map::parse("map", "S~G").unwrap());
        std::fs::write(&path, "#".repeat(10 * MAX_CELLS)).unwrap();
        assert!(load().unwrap_err().to_string().contains("larger file"));
        std::fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn random_maps_are_solvable_and_fixed_by_their_seed() {
        for seed in 0..100 {
            let obstacles = seed as u32 % 4;
            let parameters = RandomMap { width: 7, height: 5, wall_probability: 0.45, obstacles, seed };
            let map = random_map(&parameters).unwrap();
            assert_eq!((map.width, map.height, map.starts.len(), map.right_goals(None).count()), (7, 5, 1, 1));
            assert_eq!(map.obstacles.wanderers.len(), obstacles as usize);
            assert_eq!(map, random_map(&parameters).unwrap());
            assert_ne!(map, random_map(&RandomMap { seed: seed + 1000, ..parameters }).unwrap());
        }
    }

    #[test]
    fn a_t_maze_has_the_length_that_is_asked_for() {
        assert_eq!(t_maze_map(&TMaze { length: 2 }).unwrap(), Map::parse("map", "###1\n?S..\n###2").unwrap());
        for length in [0, 1 << 20, u32::MAX] {
            assert!(t_maze_map(&TMaze { length }).unwrap_err().to_string().contains("1 to 16384"));
        }
    }

    #[test]
    fn impossible_random_maps_are_refused() {
        let refused = |parameters| random_map(&parameters).unwrap_err().to_string();
        let parameters = RandomMap::default();
        for wall_probability in [f64::NAN, -0.1, 1.1] {
            assert!(refused(RandomMap { wall_probability, ..parameters }).contains("from 0 to 1"));
        }
        assert!(refused(RandomMap { width: 0, ..parameters }).contains("room for a start"));
        assert!(refused(RandomMap { width: 1, height: 1, ..parameters }).contains("room for a start"));
        assert!(refused(RandomMap { width: u32::MAX, height: u32::MAX, ..parameters }).contains("at most"));
        // The goal must be reachable, so even walls everywhere leave the case of a start beside its goal.
        let solid = RandomMap { width: 200, height: 200, wall_probability: 1.0, ..parameters };
        assert!(refused(solid).contains("lower wall_probability"));
        assert!(refused(RandomMap { obstacles: 65, ..parameters }).contains("at most 64 obstacles"));
    }
}
