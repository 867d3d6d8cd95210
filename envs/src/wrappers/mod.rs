//! Wrappers: changes to an environment from the outside, written once for scalar and vector environments.
//!
//! An [`EnvSpec`](crate::EnvSpec) lists them, so that a configuration or a policy file can too:
//!
//! ```
//! use apprentice_envs::{EnvSpec, make_vec};
//!
//! let spec: EnvSpec = serde_json::from_str(
//!     r#"{"id": "CartPole-v1", "wrappers": [
//!         {"type": "StickyAction", "repeat_action_probability": 0.25},
//!         {"type": "FrameStackObservation", "stack_size": 4}
//!     ]}"#,
//! )?;
//! let envs = make_vec(spec, 8, 42)?;
//! assert_eq!(envs.observation_space().flat_dim(), 4 * 4);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The first wrapper is the innermost, over the registered time limit: within a `RepeatAction` it counts the inner
//! steps, as in Gymnasium. Programs make wrappers of functions ([`TransformObservation`], [`TransformAction`],
//! [`TransformReward`]) or their own from a [`Wrapper`]; [`wrap`] and [`Wrapped`] put them around any [`RowEnv`](crate::RowEnv).
//!
//! # Gymnasium's wrappers
//!
//! Those of the same name have the same parameters and give the same bits (two exceptions are noted):
//!
//! | Gymnasium 1.4 | here |
//! |---|---|
//! | `TimeLimit`, `TimeAwareObservation`, `FlattenObservation`, `FilterObservation`, `DelayObservation`, `StickyAction`, `RepeatAction`, `ClipAction`, `ClipReward`, `DiscretizeObservation`, `DiscretizeAction` | the same |
//! | `FrameStackObservation` | the same, padded with `reset` or `zero` |
//! | `RescaleObservation`, `RescaleAction` | the same, but for values that rounding takes out of the bounds: they become the bound |
//! | `TransformObservation`, `TransformAction`, `TransformReward` | in programs |
//! | `NormalizeObservation`, `NormalizeReward` | [`Normalize`], over a vector environment: statistics are the batch's |
//! | — | `SelectObservation`, `MultiTask`, `ClipObservation`, `GaussianNoiseObservation`, `DropoutObservation`, `DelayAction`, `ScaleReward` |
//!
//! These are not needed:
//!
//! | Gymnasium 1.4 | why |
//! |---|---|
//! | `Autoreset` | [`Autoreset`](crate::Autoreset), a mode of every vector environment |
//! | `OrderEnforcing`, `PassiveEnvChecker` | [`DynEnv`](crate::DynEnv) and [`VectorEnv`](crate::VectorEnv) always check; [`check_env`](crate::check_env) checks the environment |
//! | `RecordEpisodeStatistics` | [`EpisodeStatistics`](crate::EpisodeStatistics) |
//! | `DtypeObservation`, `ReshapeObservation`, `ArrayConversion`, `JaxToNumpy`, `JaxToTorch`, `NumpyToTorch` | rows are flat and of f32, and there is one kind of array |
//! | `GrayscaleObservation`, `ResizeObservation`, `AddRenderObservation`, `MaxAndSkipObservation`, `AtariPreprocessing` | no environment here observes pictures; `TransformObservation` makes room for them |
//! | `RecordVideo`, `RenderCollection`, `HumanRendering`, `AddWhiteNoise`, `ObstructView` | they are about pictures of an environment, which do not change it |
//! | `vector.*`, `VectorizeTransform…`, `DictInfoToList` | one definition serves both forms; there are no infos |

mod clip;
mod delay;
mod discretize;
mod flatten;
mod frame_stack;
mod layout;
mod multi_task;
mod noise;
mod normalize;
mod numbers;
mod repeat;
mod rescale;
mod select;
mod spec;
mod sticky;
#[cfg(test)]
mod tests;
mod time_aware;
mod time_limit;
mod transform;
mod window;
mod wrapper;

pub use flatten::Key;
pub use frame_stack::Padding;
pub use normalize::{Normalize, NormalizeObservation, NormalizeReward, RunningMeanStd};
pub use numbers::Numbers;
pub use spec::{WrapperSpec, wrap};
pub use transform::{TransformAction, TransformObservation, TransformReward};
pub use wrapper::{Wrapped, Wrapper};

use numbers::{coordinates, fraction};
use window::Window;

/// The page of all wrappers that a specification can ask for, Markdown.
pub const PAGE: &str = include_str!("page.md");

/// The longest stack, delay or repetition: beyond it a typing error is likelier than a purpose.
const MAX_ROWS: u32 = 10_000;
