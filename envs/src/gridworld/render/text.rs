//! A grid world as coloured text.

use super::super::keys::Colour;
use super::super::map::Cell;
use super::{GridWorld, what_is_left};

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

/// A line a row, and one for the keys that the agent has. The agent is a bold `@`, inverted, and an obstacle a bold `*`;
/// the cue has its colour.
pub(in crate::gridworld) fn ansi(env: &GridWorld) -> String {
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
}
