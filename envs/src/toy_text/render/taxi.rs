//! Taxi as a picture, in Gymnasium's size.

use super::super::{Direction, Grid};
use crate::Frame;
use crate::draw::{Canvas, Colour, Drawing, Transform, WHITE, circle, ellipse, letter, polygon, rectangle, rounded};

/// A cell, pixels.
const CELL: (f32, f32) = (96.0, 80.0);
/// Around the town, pixels.
const MARGIN: f32 = 28.0;
const PAVEMENT: Colour = [226, 224, 214];
const ASPHALT: Colour = [86, 90, 100];
const MARKING: Colour = [124, 128, 138];
const WALL: Colour = [158, 86, 68];
const DARK: Colour = [44, 46, 54];
/// The places R, G, Y and B.
const PLACES: [(char, Colour); 4] =
    [('R', [205, 84, 80]), ('G', [96, 164, 98]), ('Y', [222, 184, 74]), ('B', [84, 132, 200])];

/// What there is to draw, with cells numbered row by row from the upper left corner.
pub(crate) struct Town<'a> {
    pub(crate) grid: Grid,
    /// The cells of R, G, Y and B.
    pub(crate) places: [usize; 4],
    /// Whether there is a wall on the right side of a cell.
    pub(crate) wall: &'a dyn Fn(usize) -> bool,
    pub(crate) taxi: usize,
    /// Where the taxi's front points.
    pub(crate) heading: Direction,
    /// The cell of the passenger who waits; None if they are in the taxi.
    pub(crate) passenger: Option<usize>,
    pub(crate) destination: usize,
}

pub(crate) fn frame(town: &Town<'_>) -> Frame {
    let Grid { rows, columns } = town.grid;
    let (width, height) = (columns as f32 * CELL.0, rows as f32 * CELL.1);
    let mut canvas = Canvas::new((width + 2.0 * MARGIN) as u32, (height + 2.0 * MARGIN) as u32, PAVEMENT);
    let streets = Transform::from_translate(MARGIN, MARGIN);
    let middle = |cell: usize| {
        let (row, column) = ((cell / columns) as f32, (cell % columns) as f32);
        streets.pre_translate((column + 0.5) * CELL.0, (row + 0.5) * CELL.1)
    };

    canvas
        .at(streets)
        .fill(rounded(-10.0, -10.0, width + 20.0, height + 20.0, 12.0), WALL)
        .fill(rectangle(0.0, 0.0, width, height), ASPHALT);
    for cell in 0..town.grid.cells() {
        street(&mut canvas.at(middle(cell)), cell % columns + 1 < columns, cell + columns < town.grid.cells());
    }
    for (&place, (name, colour)) in town.places.iter().zip(PLACES) {
        let on = &mut canvas.at(middle(place));
        on.fill(rounded(-40.0, -32.0, 80.0, 64.0, 10.0), colour);
        letter(on, name, [0.0, 0.0], 24.0, WHITE);
    }
    for cell in (0..town.grid.cells()).filter(|&cell| cell % columns + 1 < columns && (town.wall)(cell)) {
        canvas.at(middle(cell)).fill(rounded(CELL.0 / 2.0 - 5.0, -CELL.1 / 2.0 - 1.0, 10.0, CELL.1 + 2.0, 4.0), WALL);
    }
    let degrees = match town.heading {
        Direction::Right => 0.0,
        Direction::Down => 90.0,
        Direction::Left => 180.0,
        Direction::Up => 270.0,
    };
    taxi(&mut canvas.at(middle(town.taxi).pre_rotate(degrees)), town.passenger.is_none());
    pin(&mut canvas.at(middle(town.destination).pre_translate(29.0, -6.0)));
    if let Some(cell) = town.passenger {
        person(&mut canvas.at(middle(cell).pre_translate(-29.0, 3.0)));
    }
    canvas.into_frame()
}

/// Dashes along the right and the lower edge of a cell.
fn street(on: &mut Drawing<'_>, right: bool, below: bool) {
    for dash in [-1.0, 0.0, 1.0] {
        if right {
            on.fill(rectangle(CELL.0 / 2.0 - 1.0, dash * CELL.1 / 3.0 - 7.0, 2.0, 14.0), MARKING);
        }
        if below {
            on.fill(rectangle(dash * CELL.0 / 3.0 - 8.0, CELL.1 / 2.0 - 1.0, 16.0, 2.0), MARKING);
        }
    }
}

/// A taxi from above that drives to the right. Its sign is lit as long as it is free.
fn taxi(on: &mut Drawing<'_>, occupied: bool) {
    let (yellow, glass) = ([250, 200, 50], [62, 74, 92]);
    for (x, y) in [(-20.0, -19.0), (10.0, -19.0), (-20.0, 14.0), (10.0, 14.0)] {
        on.fill(rounded(x, y, 11.0, 5.0, 2.0), DARK);
    }
    on.fill(rounded(-31.0, -17.0, 62.0, 34.0, 11.0), DARK)
        .fill(rounded(-29.0, -15.0, 58.0, 30.0, 9.0), yellow)
        .fill(circle(26.0, -9.5, 2.5), [255, 244, 200])
        .fill(circle(26.0, 9.5, 2.5), [255, 244, 200])
        .fill(rounded(-29.0, -12.0, 3.0, 6.0, 1.0), [196, 60, 50])
        .fill(rounded(-29.0, 6.0, 3.0, 6.0, 1.0), [196, 60, 50])
        .fill(polygon(&[[8.0, -10.0], [16.0, -12.5], [16.0, 12.5], [8.0, 10.0]]), glass)
        .fill(polygon(&[[-15.0, -10.0], [-21.0, -11.5], [-21.0, 11.5], [-15.0, 10.0]]), glass);
    for x in 0..5 {
        for (side, shift) in [(-14.0, 0.0), (11.0, 2.0)] {
            on.fill(rectangle(-13.0 + 4.0 * x as f32 + shift, side, 2.0, 3.0), DARK);
        }
    }
    if occupied {
        // Whoever looks out of the open roof.
        on.fill(circle(-4.0, 0.0, 8.0), glass).fill(circle(-4.0, 0.0, 6.0), [96, 62, 44]);
    } else {
        on.fill(rounded(-6.5, -6.5, 6.0, 13.0, 2.0), DARK).fill(rounded(-5.0, -5.0, 3.0, 10.0, 1.0), WHITE);
    }
}

/// Somebody who waits, from the front.
fn person(on: &mut Drawing<'_>) {
    on.fill(ellipse(0.0, 25.0, 11.0, 4.0), MARKING)
        .fill(rounded(-6.0, 10.0, 5.0, 15.0, 2.0), DARK)
        .fill(rounded(1.0, 10.0, 5.0, 15.0, 2.0), DARK)
        .fill(rounded(-10.0, -7.0, 20.0, 20.0, 6.0), WHITE)
        .fill(rounded(-8.5, -5.5, 17.0, 17.0, 5.0), [122, 82, 168])
        .fill(circle(0.0, -14.0, 9.5), WHITE)
        .fill(circle(0.0, -14.0, 8.0), [96, 62, 44])
        .fill(circle(0.0, -12.0, 6.0), [247, 206, 164]);
}

/// The mark on the destination.
fn pin(on: &mut Drawing<'_>) {
    for (size, colour) in [(1.0, WHITE), (0.84, [206, 52, 126])] {
        on.fill(circle(0.0, -12.0, 14.0 * size), colour)
            .fill(polygon(&[[-12.8 * size, -6.0], [12.8 * size, -6.0], [0.0, 20.0 * size]]), colour);
    }
    on.fill(circle(0.0, -12.0, 5.0), WHITE);
}

#[cfg(test)]
mod tests {
    use super::*;

    const YELLOW: Colour = [250, 200, 50];
    const PIN: Colour = [206, 52, 126];
    const SHIRT: Colour = [122, 82, 168];

    fn town(taxi: usize, heading: Direction, passenger: Option<usize>, destination: usize) -> Frame {
        frame(&Town {
            grid: Grid { rows: 5, columns: 5 },
            places: [0, 4, 20, 23],
            wall: &|cell| cell == 11,
            taxi,
            heading,
            passenger,
            destination,
        })
    }

    #[test]
    fn everything_is_in_its_cell() {
        let frame = town(12, Direction::Right, Some(0), 23);
        assert_eq!((frame.width, frame.height), (536, 456));
        // Middles of cells are at (76 + 96 column, 68 + 80 row).
        for (place, (column, row)) in [(0, (0, 0)), (1, (4, 0)), (2, (0, 4)), (3, (3, 4))] {
            assert_eq!(frame.pixel(76 + 96 * column, 68 + 80 * row + 28), PLACES[place].1);
        }
        assert_eq!(frame.pixel(76 + 192 + 22, 68 + 160), YELLOW, "the bonnet on the right");
        assert_eq!(frame.pixel(76 - 29, 68 + 6), SHIRT, "the passenger at R");
        assert_eq!(frame.pixel(76 + 288 + 29, 68 + 320 - 26), PIN, "the destination at B");
        assert_eq!(frame.pixel(76 + 96 + 48, 68 + 160), WALL, "right of cell 11");
        assert_ne!(frame.pixel(76 + 96 + 48, 68 + 80), WALL, "right of cell 6");
    }

    #[test]
    fn the_taxi_points_where_it_drives_and_shows_its_passenger() {
        for (heading, x, y) in
            [(Direction::Up, 0, -22), (Direction::Down, 0, 22), (Direction::Left, -22, 0), (Direction::Right, 22, 0)]
        {
            let frame = town(12, heading, None, 0);
            let pixel = |x: i32, y: i32| frame.pixel((268 + x) as usize, (228 + y) as usize);
            assert_eq!(pixel(x, y), YELLOW, "{heading:?}: the bonnet");
            assert_ne!(pixel(-x * 9 / 11, -y * 9 / 11), YELLOW, "{heading:?}: the rear window");
            assert_eq!(pixel(-4 * x / 22, -4 * y / 22), [96, 62, 44], "{heading:?}: the passenger");
        }
        assert_ne!(town(12, Direction::Up, Some(4), 0).pixel(268, 232), [96, 62, 44]);
    }
}
