//! A grid world as coloured text and as a picture.

use super::GridWorld;
use super::map::Cell;
use crate::Frame;
use std::fmt::Write;

/// The longest side of a picture in pixels, as long as every cell has one.
const PICTURE: usize = 512;
/// The side of a cell in pixels, at most.
const CELL: usize = 32;
const AGENT: [u8; 3] = [40, 90, 200];

/// Two characters and the ANSI colour of a cell.
fn symbol(cell: Cell) -> (String, &'static str) {
    match cell {
        Cell::Floor => (" ·".to_owned(), "2"),
        Cell::Start => (" S".to_owned(), "1"),
        Cell::Wall => ("██".to_owned(), "90"),
        Cell::Goal(name) => (format!(" {name}"), "30;42"),
        Cell::Lava => (" L".to_owned(), "97;41"),
        Cell::Cliff => (" C".to_owned(), "30;43"),
        Cell::Slippery => (" ~".to_owned(), "36"),
    }
}

fn colour(cell: Cell) -> [u8; 3] {
    match cell {
        Cell::Floor => [245, 245, 240],
        Cell::Start => [215, 220, 235],
        Cell::Wall => [60, 60, 65],
        Cell::Goal(_) => [60, 170, 90],
        Cell::Lava => [205, 60, 45],
        Cell::Cliff => [190, 140, 60],
        Cell::Slippery => [165, 215, 235],
    }
}

/// A line a row; the agent is a bold `@`, inverted.
pub(super) fn ansi(env: &GridWorld) -> String {
    let mut text = String::new();
    for (i, &cell) in env.cells().iter().enumerate() {
        let (symbol, style) = symbol(cell);
        let written = if i == env.agent_cell() {
            write!(text, "\x1b[1;7m @\x1b[0m")
        } else {
            write!(text, "\x1b[{style}m{symbol}\x1b[0m")
        };
        written.expect("writing to a string does not fail");
        if (i + 1) % env.width() == 0 {
            text.push('\n');
        }
    }
    text
}

/// A filled square a cell, and a disc for the agent.
pub(super) fn frame(env: &GridWorld) -> Frame {
    let side = (PICTURE / env.width().max(env.height())).clamp(1, CELL);
    let (width, height) = (env.width() * side, env.height() * side);
    // Twice the distance from the middle of the cell, so that it is a whole number.
    let from_middle = |pixel: usize| (2 * (pixel % side) + 1).abs_diff(side);
    let mut rgb = Vec::with_capacity(width * height * 3);
    for y in 0..height {
        for x in 0..width {
            let cell = y / side * env.width() + x / side;
            let in_disc = from_middle(x).pow(2) + from_middle(y).pow(2) <= (side * 3 / 4).pow(2);
            let agent = cell == env.agent_cell() && in_disc;
            rgb.extend(if agent { AGENT } else { colour(env.cells()[cell]) });
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
    fn a_picture_has_the_cells_colours_and_the_agent_in_the_middle_of_its_cell() {
        let frame = env("S#\n.G").render_rgb().unwrap();
        assert_eq!((frame.width, frame.height, frame.rgb.len()), (64, 64, 64 * 64 * 3));
        let pixel = |x: usize, y: usize| &frame.rgb[(y * 64 + x) * 3..][..3];
        assert_eq!(pixel(16, 16), AGENT);
        assert_eq!(pixel(0, 0), colour(Cell::Start));
        assert_eq!(pixel(48, 16), colour(Cell::Wall));
        assert_eq!(pixel(63, 63), colour(Cell::Goal('G')));
    }

    #[test]
    fn pictures_of_large_maps_stay_small() {
        let long = format!("S{}G", ".".repeat(60_000));
        let frame = env(&long).render_rgb().unwrap();
        assert_eq!((frame.width, frame.height), (60_002, 1));
    }
}
