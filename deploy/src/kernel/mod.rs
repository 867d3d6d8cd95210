//! The arithmetic of policies: plain functions over slices and arrays.
//!
//! The files of this folder name nothing but one another, because `apprentice export --format rust` copies
//! those that a policy needs into the module it writes: what runs there is this code and no other.

pub mod choose;
pub mod dense;
pub mod gru;
pub mod int8;
pub mod math;
