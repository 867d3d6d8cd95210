//! Plugins as their users meet them: shared libraries, built here.

mod built;
mod cartpole;
mod faults;
mod layout;
