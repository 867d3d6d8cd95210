//! The policy that leaves the house: one file that holds everything acting needs, and the code that runs it.
//!
//! A [`Policy`] is an artefact, not a network: layers, a tree or a recurrent cell, observation normaliser, the meaning of its actions and where
//! it came from. Load one and act:
//!
//! ```no_run
//! use apprentice_deploy::Policy;
//!
//! let policy = Policy::load("policy.apprentice".as_ref())?;
//! let mut runner = policy.runner();
//! let action = runner.act(&[0.0, 0.1, -0.02, 0.0])?;
//! println!("{} would take action {action:?}", policy.header().environment.id);
//! # Ok::<(), apprentice_deploy::Error>(())
//! ```
//!
//! The crate trains nothing and knows no environment; `apprentice-agents` and `apprentice-distill` write the files
//! it reads. Without the feature `std` what is left needs no operating system and no heap, and depends on nothing:
//! [`PolicyView`], a whole policy over slices, and [`kernel`], the functions it is made of, with layers of constant size.
//!
//! The same file and the same observation give the same bits on every platform: sums are taken in a fixed order,
//! nothing is fused, and no function of a system's mathematical library is called to choose the most probable action.

#![cfg_attr(not(feature = "std"), no_std)]

#[cfg(feature = "std")]
mod action;
#[cfg(feature = "std")]
mod aligned;
#[cfg(feature = "std")]
mod atomic;
#[cfg(feature = "std")]
mod batch;
#[cfg(feature = "std")]
mod body;
#[cfg(feature = "std")]
mod distribution;
#[cfg(feature = "std")]
mod error;
#[cfg(feature = "std")]
pub mod export;
#[cfg(feature = "std")]
mod features;
#[cfg(feature = "std")]
mod file;
#[cfg(all(test, feature = "std"))]
mod fixtures;
mod gru;
mod head;
mod int8;
pub mod kernel;
mod mlp;
#[cfg(feature = "std")]
mod policy;
#[cfg(feature = "std")]
mod quantize;
#[cfg(all(feature = "std", target_arch = "x86_64"))]
mod registers;
#[cfg(feature = "std")]
mod runner;
#[cfg(feature = "std")]
mod safetensors;
#[cfg(feature = "std")]
mod timing;
mod tree;
#[cfg(feature = "std")]
mod vector;
mod view;

#[cfg(feature = "std")]
pub use action::Action;
#[cfg(feature = "std")]
pub use atomic::write_atomically;
#[cfg(feature = "std")]
pub use batch::BatchRunner;
#[cfg(feature = "std")]
pub use body::{Body, Layer};
#[cfg(feature = "std")]
pub use distribution::Distribution;
#[cfg(feature = "std")]
pub use error::Error;
#[cfg(feature = "std")]
pub use features::Features;
#[cfg(feature = "std")]
pub use gru::{Gru, GruCell};
pub use gru::{GruCellView, GruView};
pub use head::{Bounding, Head, LOG_STD_BOUNDS, MASKED_LOGIT};
pub use int8::Int8View;
pub use kernel::choose::argmax;
pub use kernel::math::{gelu, tanh};
pub use mlp::{Activation, LayerShape, MlpView};
#[cfg(feature = "std")]
pub use policy::{EnvironmentRef, Header, Normalizer, Policy, Provenance, TeacherRef};
#[cfg(feature = "std")]
pub use quantize::{Int8, Int8Layer, round_to_int8};
#[cfg(feature = "std")]
pub use runner::Runner;
#[cfg(feature = "std")]
pub use timing::ns_per_action;
#[cfg(feature = "std")]
pub use tree::Tree;
pub use tree::{Child, Split, descend};
pub use view::{BodyView, Fault, Input, NormalizerView, PolicyView};
