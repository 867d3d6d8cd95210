//! What pictures of grid worlds are put together from. A cell is a unit square, with y downwards.

use super::{Canvas, Colour, Drawing, Transform, circle, ellipse, line, polygon, rectangle, rounded};
use crate::Frame;

/// The longest side of a picture in pixels, as long as every cell has one. Gymnasium's limit for FrozenLake.
const LONGEST_SIDE: usize = 512;
/// The side of a cell in pixels, at most.
const LARGEST_CELL: usize = 64;
/// The side from which on a cell is more than a spot of colour.
const SMALLEST_DRAWN: usize = 8;

/// A picture of square cells, numbered row by row from the upper left corner.
pub(crate) struct Board {
    canvas: Canvas,
    columns: usize,
    side: usize,
}

impl Board {
    /// A board for a map, with cells that suit its size.
    pub(crate) fn new(columns: usize, rows: usize, background: Colour) -> Self {
        let side = (LONGEST_SIDE / columns.max(rows)).clamp(1, LARGEST_CELL);
        Self::with_side(columns, rows, side, background)
    }

    /// A board whose cells have a given side, in pixels.
    pub(crate) fn with_side(columns: usize, rows: usize, side: usize, background: Colour) -> Self {
        Self { canvas: Canvas::new((columns * side) as u32, (rows * side) as u32, background), columns, side }
    }

    /// Where to draw a cell: the unit square.
    pub(crate) fn cell(&mut self, cell: usize) -> Drawing<'_> {
        let side = self.side as f32;
        let (x, y) = ((cell % self.columns) as f32 * side, (cell / self.columns) as f32 * side);
        self.canvas.at(Transform::from_row(side, 0.0, 0.0, side, x, y))
    }

    /// Lays a tile on a cell. A gap to its neighbours shows the background, unless cells are too small for it.
    pub(crate) fn tile(&mut self, cell: usize, colour: Colour) {
        let tile = match self.is_detailed() {
            true => rounded(0.015, 0.015, 0.97, 0.97, 0.06),
            false => rectangle(0.0, 0.0, 1.0, 1.0),
        };
        self.cell(cell).fill(tile, colour);
    }

    /// Whether cells are large enough for more than a colour.
    pub(crate) fn is_detailed(&self) -> bool {
        self.side >= SMALLEST_DRAWN
    }

    /// The finished picture.
    pub(crate) fn into_frame(self) -> Frame {
        self.canvas.into_frame()
    }
}

const SKIN: Colour = [247, 206, 164];
const HAIR: Colour = [96, 62, 44];
const DARK: Colour = [56, 50, 60];

/// Who walks over the board.
pub(crate) struct Figure {
    /// The colour of the shirt.
    pub(crate) shirt: Colour,
    /// The colour of the pointed hat, if there is one.
    pub(crate) hat: Option<Colour>,
    /// Where the figure looks: columns to the right and rows down.
    pub(crate) looks: [f32; 2],
}

impl Figure {
    /// Stands in the middle of the cell.
    pub(crate) fn draw(&self, on: &mut Drawing<'_>) {
        on.fill(rounded(0.39, 0.72, 0.09, 0.18, 0.03), DARK)
            .fill(rounded(0.52, 0.72, 0.09, 0.18, 0.03), DARK)
            .fill(rounded(0.33, 0.52, 0.34, 0.27, 0.1), self.shirt);
        self.draw_head(on);
    }

    /// The head alone.
    pub(crate) fn draw_head(&self, on: &mut Drawing<'_>) {
        let [x, y] = self.looks;
        let (x, y) = (0.5 + 0.05 * x, 0.4 + 0.05 * y);
        on.fill(circle(0.5, 0.36, 0.18), HAIR)
            .fill(circle(0.5, 0.41, 0.155), SKIN)
            .fill(circle(x - 0.065, y, 0.026), DARK)
            .fill(circle(x + 0.065, y, 0.026), DARK);
        if let Some(hat) = self.hat {
            on.fill(polygon(&[[0.31, 0.29], [0.69, 0.29], [0.52, 0.05]]), hat)
                .fill(rounded(0.29, 0.25, 0.42, 0.07, 0.03), [250, 250, 250])
                .fill(circle(0.52, 0.07, 0.045), [250, 250, 250]);
        }
    }
}

/// A flag on a pole.
pub(crate) fn flag(on: &mut Drawing<'_>, colour: Colour) {
    on.fill(ellipse(0.36, 0.87, 0.14, 0.05), [70, 90, 70])
        .fill(rounded(0.33, 0.14, 0.06, 0.74, 0.03), DARK)
        .fill(polygon(&[[0.39, 0.16], [0.84, 0.32], [0.39, 0.5]]), colour);
}

/// Glints on ice, in one of three places.
pub(crate) fn ice(on: &mut Drawing<'_>, cell: usize) {
    let glint = [235, 246, 253];
    let [x, y] = [[0.2, 0.3], [0.55, 0.6], [0.5, 0.25]][(cell * 7 + cell / 5) % 3];
    on.stroke(line(&[[x, y + 0.2], [x + 0.2, y]]), glint, 0.04).stroke(
        line(&[[x + 0.16, y + 0.2], [x + 0.26, y + 0.1]]),
        glint,
        0.03,
    );
}

/// A rock face that falls off from the upper edge.
pub(crate) fn rock(on: &mut Drawing<'_>, cell: usize) {
    let crack = [116, 78, 50];
    let shift = [0.0, 0.12, -0.08][cell % 3];
    on.fill(rectangle(0.0, 0.0, 1.0, 1.0), [163, 114, 73])
        .fill(rectangle(0.0, 0.62, 1.0, 0.38), [132, 90, 58])
        .fill(rectangle(0.0, 0.84, 1.0, 0.16), [84, 58, 42])
        .stroke(line(&[[0.3 + shift, 0.16], [0.26 + shift, 0.32], [0.32 + shift, 0.46]]), crack, 0.035)
        .stroke(line(&[[0.72 - shift, 0.34], [0.76 - shift, 0.5]]), crack, 0.035);
}
