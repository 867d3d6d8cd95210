//! Gymnasium's and numpy's bits: replays what the recorders in `testdata` wrote down.

mod allocations;
mod cartpole;
mod normalize;
mod traces;
