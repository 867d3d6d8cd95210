//! The toy texts as pictures.

pub(super) mod blackjack;
pub(super) mod cliff_walking;
pub(super) mod frozen_lake;
pub(super) mod taxi;
