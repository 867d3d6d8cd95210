//! The data that a student learns from: who acts while it is collected, what the teacher says of it, what is kept.

pub(crate) mod collect;
pub(crate) mod dataset;
pub(crate) mod mixture;
pub(crate) mod paired;
