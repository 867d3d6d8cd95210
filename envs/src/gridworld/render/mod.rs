//! Grid worlds as coloured text and as pictures.

mod picture;
mod text;

use super::GridWorld;
use super::map::Cell;

pub(super) use picture::frame;
pub(super) use text::ansi;

/// A cell as it is now: floor where the agent has taken the key.
fn what_is_left(env: &GridWorld, i: usize) -> Cell {
    match env.cells()[i] {
        Cell::Key(colour) if env.state.keys.contains(colour) => Cell::Floor,
        cell => cell,
    }
}
