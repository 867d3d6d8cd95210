//! FrozenLake as a picture, in Gymnasium's size.

use super::super::{Direction, Grid};
use crate::Frame;
use crate::draw::{Board, Colour, Drawing, Figure, ellipse, ice, letter, line, polygon, rounded};

const GAP: Colour = [176, 208, 232];
const ICE: Colour = [208, 232, 247];
const RIM: Colour = [159, 196, 224];
const WATER: Colour = [52, 104, 163];
const RIPPLE: Colour = [116, 162, 210];
const RED: Colour = [214, 69, 65];
const GOLD: Colour = [247, 201, 72];

/// The lake from above; the elf looks in the direction of the last move.
pub(crate) fn frame(grid: Grid, cells: &[char], elf: usize, looks: Option<Direction>) -> Frame {
    let mut board = Board::new(grid.columns, grid.rows, GAP);
    let figure =
        Figure { shirt: [64, 145, 82], hat: Some([52, 124, 70]), looks: looks.map_or([0.0, 0.0], Direction::offset) };
    for (cell, &kind) in cells.iter().enumerate() {
        if !board.is_detailed() {
            let colour = match kind {
                _ if cell == elf => figure.shirt,
                'H' => WATER,
                'G' => RED,
                _ => ICE,
            };
            board.tile(cell, colour);
            continue;
        }
        board.tile(cell, ICE);
        let on = &mut board.cell(cell);
        match kind {
            'H' => hole(on),
            'G' => gift(on),
            'S' => letter(on, 'S', [0.17, 0.2], 0.2, [110, 150, 185]),
            _ if cell % 3 != 1 => ice(on, cell),
            _ => {}
        }
        match kind {
            _ if cell != elf => {}
            'H' => {
                figure.draw_head(on);
                // Up to the chin in water.
                on.fill(polygon(&[[0.3, 0.49], [0.7, 0.49], [0.62, 0.62], [0.38, 0.62]]), WATER).stroke(
                    line(&[[0.3, 0.5], [0.42, 0.52], [0.5, 0.5], [0.58, 0.52], [0.7, 0.5]]),
                    RIPPLE,
                    0.03,
                );
            }
            _ => figure.draw(on),
        }
    }
    board.into_frame()
}

fn hole(on: &mut Drawing<'_>) {
    on.stroke(line(&[[0.1, 0.16], [0.22, 0.24], [0.3, 0.22]]), RIM, 0.03)
        .stroke(line(&[[0.9, 0.8], [0.8, 0.78], [0.74, 0.84]]), RIM, 0.03)
        .stroke(line(&[[0.84, 0.12], [0.78, 0.22]]), RIM, 0.03)
        .fill(ellipse(0.5, 0.53, 0.41, 0.36), RIM)
        .fill(ellipse(0.5, 0.55, 0.36, 0.31), WATER)
        .stroke(line(&[[0.32, 0.66], [0.46, 0.66]]), RIPPLE, 0.03)
        .stroke(line(&[[0.52, 0.74], [0.66, 0.74]]), RIPPLE, 0.03);
}

fn gift(on: &mut Drawing<'_>) {
    on.fill(ellipse(0.39, 0.25, 0.12, 0.08), GOLD)
        .fill(ellipse(0.61, 0.25, 0.12, 0.08), GOLD)
        .fill(ellipse(0.39, 0.25, 0.06, 0.035), ICE)
        .fill(ellipse(0.61, 0.25, 0.06, 0.035), ICE)
        .fill(rounded(0.2, 0.44, 0.6, 0.42, 0.05), RED)
        .fill(rounded(0.16, 0.32, 0.68, 0.16, 0.04), [231, 99, 90])
        .fill(rounded(0.44, 0.32, 0.12, 0.54, 0.0), GOLD);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lake(rows: &[&str], elf: usize) -> Frame {
        let grid = Grid { rows: rows.len(), columns: rows[0].len() };
        frame(grid, &rows.concat().chars().collect::<Vec<char>>(), elf, Some(Direction::Right))
    }

    #[test]
    fn every_kind_of_cell_shows() {
        let frame = lake(&["SFH", "FFG"], 3);
        assert_eq!((frame.width, frame.height), (192, 128));
        assert_eq!(frame.pixel(64 + 32, 32), ICE);
        assert_eq!(frame.pixel(128 + 32, 32), WATER);
        assert_eq!(frame.pixel(128 + 20, 64 + 40), RED);
        assert_eq!(frame.pixel(128 + 32, 64 + 40), GOLD, "the ribbon");
        assert_eq!(frame.pixel(32, 32), ICE, "the elf has left");
        assert_eq!(frame.pixel(32, 64 + 42), [64, 145, 82], "the elf's shirt");
    }

    #[test]
    fn in_a_hole_only_the_head_shows() {
        let frame = lake(&["SH", "FG"], 1);
        assert_eq!(frame.pixel(64 + 32, 13), [52, 124, 70], "the hat");
        assert_eq!(frame.pixel(64 + 32, 42), WATER, "no shirt");
    }

    #[test]
    fn large_lakes_are_spots_of_colour() {
        let mut rows = vec!["F".repeat(256); 256];
        rows[0].replace_range(0..2, "SH");
        let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
        let frame = lake(&rows, 0);
        assert_eq!((frame.width, frame.height), (512, 512));
        assert_eq!([frame.pixel(0, 0), frame.pixel(2, 0), frame.pixel(4, 0)], [[64, 145, 82], WATER, ICE]);
    }
}
