//! A grid world as coloured text and as a picture.

use super::GridWorld;
use super::keys::Colour;
use super::map::Cell;
use crate::Frame;

/// The longest side of a picture in pixels, as long as every cell has one.
const PICTURE: usize = 512;
/// The side of a cell in pixels, at most.
const CELL: usize = 32;
const AGENT: [u8; 3] = [40, 90, 200];
const OBSTACLE: [u8; 3] = [110, 60, 40];

/// A character and the ANSI style of a cell.
fn symbol(cell: Cell) -> (char, String) {
    let style = |style: &str| style.to_owned();
    match cell {
        Cell::Floor => ('·', style("2")),
        Cell::Start => ('S', style("1")),
        Cell::Wall => ('█', style("90")),
        Cell::Goal(name) => (name, style("30;42")),
        Cell::CuedGoal(colour) => (['1', '2', '3', '4'][colour as usize], format!("30;4{}", ansi_colour(colour))),
        Cell::Cue => ('?', style("1")),
        Cell::Key(colour) => (['r', 'y', 'b', 'p'][colour as usize], format!("1;3{}", ansi_colour(colour))),
        Cell::Door(colour) => (['R', 'Y', 'B', 'P'][colour as usize], format!("30;4{}", ansi_colour(colour))),
        Cell::Lava => ('L', style("97;41")),
        Cell::Cliff => ('C', style("30;43")),
        Cell::Slippery => ('~', style("36")),
    }
}

fn ansi_colour(colour: Colour) -> u8 {
    match colour {
        Colour::Red => 1,
        Colour::Yellow => 3,
        Colour::Blue => 4,
        Colour::Purple => 5,
    }
}

/// The colour of a cell, and of the disc on it if there is one.
fn colours(cell: Cell, cue: Option<Colour>) -> ([u8; 3], Option<[u8; 3]>) {
    let floor = [245, 245, 240];
    let ground = match cell {
        Cell::Floor | Cell::Key(_) => floor,
        Cell::Start => [215, 220, 235],
        Cell::Wall => [60, 60, 65],
        Cell::Goal(_) => [60, 170, 90],
        Cell::CuedGoal(colour) | Cell::Door(colour) => rgb(colour),
        Cell::Cue => cue.map_or(floor, rgb),
        Cell::Lava => [205, 60, 45],
        Cell::Cliff => [190, 140, 60],
        Cell::Slippery => [165, 215, 235],
    };
    match cell {
        Cell::Key(colour) => (ground, Some(rgb(colour))),
        _ => (ground, None),
    }
}

fn rgb(colour: Colour) -> [u8; 3] {
    match colour {
        Colour::Red => [214, 69, 65],
        Colour::Yellow => [235, 190, 60],
        Colour::Blue => [90, 130, 215],
        Colour::Purple => [140, 80, 170],
    }
}

/// A line a row, and one for the keys that the agent has. The agent is a bold `@`, inverted, and an obstacle a bold `*`;
/// the cue has its colour.
pub(super) fn ansi(env: &GridWorld) -> String {
    // Walls fill their cell.
    let tile = |character, style: &str| match character {
        '█' => styled("██", style),
        _ => styled(&format!(" {character}"), style),
    };
    let cell = |i: usize| {
        let (character, style) = symbol(what_is_left(env, i));
        match (env.cells()[i], env.state.cue) {
            _ if i == env.agent_cell() => tile('@', "1;7"),
            _ if env.obstacle_cells().any(|obstacle| obstacle == i) => tile('*', "1;95"),
            (Cell::Cue, Some(colour)) => tile(character, &format!("30;4{}", ansi_colour(colour))),
            _ => tile(character, &style),
        }
    };
    let rows = (0..env.height()).map(|row| row * env.width()..(row + 1) * env.width());
    let map: String = rows.map(|row| row.map(cell).collect::<String>() + "\n").collect();
    let key = |colour| {
        let (character, style) = symbol(Cell::Key(colour));
        tile(character, &style)
    };
    match env.state.keys.colours().map(key).collect::<String>() {
        none if none.is_empty() => map,
        keys => format!("{map}keys:{keys}\n"),
    }
}

fn styled(text: &str, style: &str) -> String {
    format!("\x1b[{style}m{text}\x1b[0m")
}

/// A cell as it is now: floor where the agent has taken the key.
fn what_is_left(env: &GridWorld, i: usize) -> Cell {
    match env.cells()[i] {
        Cell::Key(colour) if env.state.keys.contains(colour) => Cell::Floor,
        cell => cell,
    }
}

/// A filled square a cell, and a disc for the agent, a key or an obstacle.
pub(super) fn frame(env: &GridWorld) -> Frame {
    let side = (PICTURE / env.width().max(env.height())).clamp(1, CELL);
    let (width, height) = (env.width() * side, env.height() * side);
    let mut cells: Vec<_> = (0..env.cells().len()).map(|i| colours(what_is_left(env, i), env.state.cue)).collect();
    env.obstacle_cells().for_each(|cell| cells[cell].1 = Some(OBSTACLE));
    cells[env.agent_cell()].1 = Some(AGENT);
    // Twice the distance from the middle of the cell, so that it is a whole number.
    let from_middle = |pixel: usize| (2 * (pixel % side) + 1).abs_diff(side);
    let mut rgb = Vec::with_capacity(width * height * 3);
    for y in 0..height {
        for x in 0..width {
            let (ground, disc) = cells[y / side * env.width() + x / side];
            let in_disc = from_middle(x).pow(2) + from_middle(y).pow(2) <= (side * 3 / 4).pow(2);
            rgb.extend(disc.filter(|_| in_disc).unwrap_or(ground));
        }
    }
    Frame { width: width as u32, height: height as u32, rgb }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Env, Generator, GridWorldConfig};

    fn env(map: &str) -> GridWorld {
        GridWorld::new(GridWorldConfig { map: Some(map.to_owned()), ..GridWorldConfig::default() }).unwrap()
    }

    fn strip(ansi: &str) -> String {
        let after_escape = |part: &str| part.split_once('m').map_or(part.to_owned(), |(_, text)| text.to_owned());
        ansi.split('\x1b').map(after_escape).collect()
    }

    #[test]
    fn text_shows_every_kind_of_cell_and_the_agent() {
        let mut env = env("S.#L\n~.GC");
        let mut rng = Generator::new(0);
        env.reset(&mut rng);
        assert_eq!(strip(&env.render_ansi().unwrap()), " @ ·██ L\n ~ · G C\n");
        env.step(&1, &mut rng);
        assert_eq!(strip(&env.render_ansi().unwrap()), " S @██ L\n ~ · G C\n");
    }

    #[test]
    fn text_shows_the_keys_where_they_are_and_obstacles_where_they_are() {
        let mut env = env("SrRG\n!y?1\n...2");
        let shown = |env: &GridWorld| strip(&env.render_ansi().unwrap());
        env.reset(&mut Generator::new(0));
        assert_eq!(shown(&env), " @ r R G\n * y ? 1\n · · · 2\n");
        env.step(&1, &mut Generator::new(0));
        assert_eq!(shown(&env), " S @ R G\n · y ? 1\n * · · 2\nkeys: r\n");
        env.step(&2, &mut Generator::new(0));
        assert_eq!(shown(&env), " S · R G\n * @ ? 1\n · · · 2\nkeys: r y\n");
    }

    #[test]
    fn the_cue_has_the_colour_of_its_goal() {
        let mut env = env("S?1\n..2");
        for (colour, style) in [(Colour::Red, "30;41"), (Colour::Yellow, "30;43")] {
            let state = crate::gridworld::GridState { cue: Some(colour), ..env.state() };
            env.set_state(state).unwrap();
            let text = env.render_ansi().unwrap();
            assert!(text.contains(&format!("\x1b[{style}m ?")), "{text:?}");
        }
    }

    #[test]
    fn a_picture_has_the_cells_colours_and_discs_in_their_middle() {
        let mut env = env("S#!\nrRG\n?.1\n..2");
        let picture = |env: &GridWorld| {
            let frame = env.render_rgb().unwrap();
            assert_eq!((frame.width, frame.height, frame.rgb.len()), (96, 128, 96 * 128 * 3));
            let pixel = move |x: usize, y: usize| <[u8; 3]>::try_from(&frame.rgb[(y * 96 + x) * 3..][..3]).unwrap();
            // The middle and a corner of each cell.
            (0..12).map(|i| (i % 3 * 32, i / 3 * 32)).map(|(x, y)| [pixel(x + 16, y + 16), pixel(x, y)]).collect()
        };
        let before: Vec<_> = picture(&env);
        for (i, &cell) in env.cells().iter().enumerate() {
            let (ground, disc) = colours(cell, Some(Colour::Red));
            let disc = match i {
                0 => AGENT,
                2 => OBSTACLE,
                _ => disc.unwrap_or(ground),
            };
            assert_eq!(before[i], [disc, ground], "cell {i}");
        }
        assert_eq!(before[6][0], rgb(Colour::Red));
        // The agent takes the key and goes on. The obstacle has nowhere to go.
        for action in [2, 0] {
            env.step(&action, &mut Generator::new(0));
        }
        let after: Vec<_> = picture(&env);
        assert_eq!(after[3], [colours(Cell::Floor, None).0; 2]);
        assert_eq!((after[0], after[2]), (before[0], before[2]));
    }

    #[test]
    fn pictures_of_large_maps_stay_small() {
        let long = format!("S{}G", ".".repeat(60_000));
        let frame = env(&long).render_rgb().unwrap();
        assert_eq!((frame.width, frame.height), (60_002, 1));
    }
}
