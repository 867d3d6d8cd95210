//! Plugins as their users meet them: shared libraries, built here.

mod built;
mod cartpole;
mod check;
mod faults;
mod layout;
mod rust_crate;
