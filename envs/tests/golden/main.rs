//! Gymnasium's and numpy's bits: replays what the recorders in `testdata` wrote down.

mod allocations;
mod cartpole;
mod fuzz;
mod normalize;
mod traces;
