//! CliffWalking as a picture, in Gymnasium's size.

use super::super::{Direction, Grid};
use crate::Frame;
use crate::draw::{Board, Colour, Figure, flag, letter, polygon, rock};

const SIDE: usize = 64;
const GAP: Colour = [164, 196, 124];
const GRASS: Colour = [188, 216, 146];
const TURF: Colour = [134, 172, 98];

/// The meadow and its cliff; the walker looks in the direction of the last move.
pub(crate) fn frame(
    grid: Grid,
    is_cliff: fn(usize) -> bool,
    [start, goal]: [usize; 2],
    walker: usize,
    looks: Option<Direction>,
) -> Frame {
    let mut board = Board::with_side(grid.columns, grid.rows, SIDE, GAP);
    for cell in 0..grid.cells() {
        if is_cliff(cell) {
            let on = &mut board.cell(cell);
            rock(on, cell);
            // Turf that hangs over the edge.
            on.fill(
                polygon(&[[0.0, 0.0], [1.0, 0.0], [1.0, 0.06], [0.8, 0.12], [0.55, 0.07], [0.3, 0.13], [0.0, 0.06]]),
                TURF,
            );
            continue;
        }
        board.tile(cell, GRASS);
        let on = &mut board.cell(cell);
        if cell == start {
            letter(on, 'S', [0.17, 0.2], 0.2, TURF);
        } else if cell == goal {
            flag(on, [214, 69, 65]);
        }
        if cell == walker {
            Figure { shirt: [66, 112, 196], hat: None, looks: looks.map_or([0.0, 0.0], Direction::offset) }.draw(on);
        }
    }
    board.into_frame()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Value, make};

    #[test]
    fn the_walker_moves_over_the_meadow() {
        let shirt = [66, 112, 196];
        let mut env = make("CliffWalking-v1").unwrap();
        env.reset(Some(0)).unwrap();
        let frame = env.render_rgb().unwrap();
        assert_eq!((frame.width, frame.height), (768, 256));
        assert_eq!((frame.pixel(32, 192 + 42), frame.pixel(32, 128 + 42)), (shirt, GRASS));
        assert_eq!(frame.pixel(300, 192 + 20), [163, 114, 73], "rock");
        assert_eq!(frame.pixel(704 + 30, 192 + 20), [214, 69, 65], "the flag");
        env.step(&Value::Discrete(0)).unwrap();
        let frame = env.render_rgb().unwrap();
        assert_eq!((frame.pixel(32, 192 + 42), frame.pixel(32, 128 + 42)), (GRASS, shirt));
    }
}
