//! Every wrapper by name: what a specification can ask for.

use super::clip::{ClipAction, ClipObservation, ClipReward};
use super::delay::{DelayAction, DelayObservation};
use super::discretize::{DiscretizeAction, DiscretizeObservation};
use super::flatten::{Filter, Flatten};
use super::frame_stack::FrameStack;
use super::multi_task::MultiTask;
use super::noise::{Dropout, GaussianNoise};
use super::repeat::RepeatAction;
use super::rescale::{RescaleAction, RescaleObservation, ScaleReward};
use super::select::SelectObservation;
use super::sticky::StickyAction;
use super::time_aware::TimeAware;
use super::time_limit::TimeLimit;
use super::{Key, Numbers, Padding, Wrapped, Wrapper};
use crate::{Error, RowEnv};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A wrapper with its parameters, called as in Gymnasium where Gymnasium has it.
///
/// In JSON it is an object with its `type`, such as `{"type": "StickyAction", "repeat_action_probability": 0.25}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", deny_unknown_fields)]
pub enum WrapperSpec {
    /// Truncates episodes at their `max_episode_steps`-th step.
    TimeLimit {
        /// At least 1.
        max_episode_steps: u32,
    },
    /// Adds the number of steps taken so far to the observation, as the part `time` of a `Dict` (beside `obs`, unless
    /// the observation is a `Dict` already) or as the last part of a `Tuple`. Needs a time limit.
    TimeAwareObservation {
        /// Make one `Box` of it, as `FlattenObservation` does.
        #[serde(default = "yes")]
        flatten: bool,
        /// Give the time as a share of the time limit, from 0 to 1.
        #[serde(default)]
        normalize_time: bool,
        /// The name of the time, if the observation is a `Dict`.
        #[serde(default = "time")]
        dict_time_key: String,
    },
    /// Gives the last `stack_size` observations, the oldest first.
    FrameStackObservation {
        /// 1 to 10,000.
        stack_size: u32,
        /// What stands for observations before the first.
        #[serde(default)]
        padding_type: Padding,
    },
    /// Makes one `Box` of any observation: its feature row, with integers one-hot.
    FlattenObservation {},
    /// Keeps some parts of a `Dict` or a `Tuple`.
    FilterObservation {
        /// Names or places.
        filter_keys: Vec<Key>,
    },
    /// Gives some coordinates of a `Box`, as if the other sensors were not there.
    SelectObservation {
        /// Their places, counted from 0.
        indices: Vec<usize>,
    },
    /// One of several tasks, as somebody who does all of them sees it: the observation is a `Box` with a 1 in the column of
    /// the task, and then the features of every task, those of the others 0; the actions are one `Discrete` with those of
    /// all tasks, of which the mask allows this one's.
    MultiTask {
        /// Which one it is, from 0.
        task: usize,
        /// The number of features of each task's observations.
        observations: Vec<usize>,
        /// The number of each task's actions.
        actions: Vec<u32>,
    },
    /// Brings the coordinates of a `Box` within bounds.
    ClipObservation {
        /// Lower bounds.
        min_obs: Numbers<f64>,
        /// Upper bounds.
        max_obs: Numbers<f64>,
    },
    /// Maps the bounds of a `Box` linearly to others.
    RescaleObservation {
        /// What becomes of the lower bounds.
        min_obs: Numbers<f64>,
        /// What becomes of the upper bounds.
        max_obs: Numbers<f64>,
    },
    /// Sorts the coordinates of a bounded `Box` into bins of equal width.
    DiscretizeObservation {
        /// Bins of each coordinate.
        bins: Numbers<u32>,
        /// Give one integer a coordinate, rather than one in all.
        #[serde(default)]
        multidiscrete: bool,
    },
    /// Gives the observation of `delay` steps ago, and zeros until there is one.
    DelayObservation {
        /// 0 to 9,999 steps.
        delay: u32,
    },
    /// Adds Gaussian noise to the coordinates of a `Box`.
    GaussianNoiseObservation {
        /// The standard deviation σ of each, in its own units.
        std: Numbers<f64>,
    },
    /// Replaces each coordinate of a `Box` by 0 at random.
    DropoutObservation {
        /// How often, from 0 to below 1.
        probability: f64,
    },
    /// Takes any real numbers for a `Box` and brings them within its bounds.
    ClipAction {},
    /// Takes actions from other bounds and maps them linearly to those of a `Box`.
    RescaleAction {
        /// What stands for the lower bounds.
        min_action: Numbers<f64>,
        /// What stands for the upper bounds.
        max_action: Numbers<f64>,
    },
    /// Takes integers for a bounded `Box`: each coordinate is the middle of one of its bins of equal width.
    DiscretizeAction {
        /// Bins of each coordinate.
        bins: Numbers<u32>,
        /// Take one integer a coordinate, rather than one in all.
        #[serde(default)]
        multidiscrete: bool,
    },
    /// Repeats the last action at random instead of taking the new one.
    StickyAction {
        /// How often a repetition begins, from 0 to below 1.
        repeat_action_probability: f64,
        /// How many steps it lasts: a number, or `[least, greatest]` to draw it from.
        #[serde(default = "one")]
        repeat_action_duration: Numbers<u32>,
    },
    /// Carries every action out `delay` steps later, and until then the action nearest to zero.
    DelayAction {
        /// 0 to 9,999 steps.
        delay: u32,
    },
    /// Carries every action out several times, adds the rewards up and shows the last observation; stops at an end.
    RepeatAction {
        /// 1 to 10,000 steps.
        num_repeats: u32,
    },
    /// Brings rewards within bounds.
    ClipReward {
        /// The lower bound, if there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min_reward: Option<f64>,
        /// The upper bound, if there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_reward: Option<f64>,
    },
    /// Gives reward × `scale` + `shift`.
    ScaleReward {
        /// The factor.
        scale: f64,
        /// What is added to the product.
        #[serde(default)]
        shift: f64,
    },
}

fn yes() -> bool {
    true
}

fn time() -> String {
    "time".to_owned()
}

fn one() -> Numbers<u32> {
    Numbers::One(1)
}

impl WrapperSpec {
    /// What it is called, without its parameters.
    pub fn name(&self) -> String {
        let value = serde_json::to_value(self).unwrap_or_default();
        value["type"].as_str().unwrap_or_default().to_owned()
    }

    /// Whether it changes what is seen of an episode, and nothing of its course.
    pub fn only_shows(&self) -> bool {
        matches!(
            self,
            Self::TimeAwareObservation { .. }
                | Self::FrameStackObservation { .. }
                | Self::FlattenObservation {}
                | Self::FilterObservation { .. }
                | Self::SelectObservation { .. }
                | Self::ClipObservation { .. }
                | Self::RescaleObservation { .. }
                | Self::DiscretizeObservation { .. }
                | Self::DelayObservation { .. }
        )
    }

    /// `env` within this wrapper; `limit` is the time limit that it has so far.
    fn over(&self, env: Box<dyn RowEnv>, limit: Option<u32>) -> Result<Box<dyn RowEnv>, Error> {
        fn within(env: Box<dyn RowEnv>, wrapper: impl Wrapper) -> Box<dyn RowEnv> {
            Box::new(Wrapped::new(env, wrapper))
        }
        let (observations, actions) = (env.observation_space(), env.action_space());
        Ok(match self {
            Self::TimeLimit { max_episode_steps } => within(env, TimeLimit::new(*max_episode_steps)?),
            Self::TimeAwareObservation { flatten, normalize_time, dict_time_key } => {
                let env = within(env, TimeAware::new(limit, *normalize_time, dict_time_key, &observations)?);
                if *flatten { Self::FlattenObservation {}.over(env, limit)? } else { env }
            }
            Self::FrameStackObservation { stack_size, padding_type } => {
                within(env, FrameStack::new(*stack_size, *padding_type, observations)?)
            }
            Self::FlattenObservation {} => within(env, Flatten::new(observations)),
            Self::FilterObservation { filter_keys } => within(env, Filter::new(filter_keys, &observations)?),
            Self::SelectObservation { indices } => within(env, SelectObservation::new(indices, &observations)?),
            Self::MultiTask { task, observations, actions } => {
                let multi = MultiTask::new(*task, observations, actions, &*env)?;
                within(env, multi)
            }
            Self::ClipObservation { min_obs, max_obs } => {
                within(env, ClipObservation::new(min_obs, max_obs, &observations)?)
            }
            Self::RescaleObservation { min_obs, max_obs } => {
                within(env, RescaleObservation::new(min_obs, max_obs, &observations)?)
            }
            Self::DiscretizeObservation { bins, multidiscrete } => {
                within(env, DiscretizeObservation::new(bins, *multidiscrete, &observations)?)
            }
            Self::DelayObservation { delay } => within(env, DelayObservation::new(*delay, observations)?),
            Self::GaussianNoiseObservation { std } => within(env, GaussianNoise::new(std, &observations)?),
            Self::DropoutObservation { probability } => within(env, Dropout::new(*probability, &observations)?),
            Self::ClipAction {} => within(env, ClipAction::new(&actions)?),
            Self::RescaleAction { min_action, max_action } => {
                within(env, RescaleAction::new(min_action, max_action, &actions)?)
            }
            Self::DiscretizeAction { bins, multidiscrete } => {
                within(env, DiscretizeAction::new(bins, *multidiscrete, &actions)?)
            }
            Self::StickyAction { repeat_action_probability, repeat_action_duration } => {
                within(env, StickyAction::new(*repeat_action_probability, repeat_action_duration, actions)?)
            }
            Self::DelayAction { delay } => within(env, DelayAction::new(*delay, actions)?),
            Self::RepeatAction { num_repeats } => within(env, RepeatAction::new(*num_repeats)?),
            Self::ClipReward { min_reward, max_reward } => within(env, ClipReward::new(*min_reward, *max_reward)?),
            Self::ScaleReward { scale, shift } => within(env, ScaleReward::new(*scale, *shift)?),
        })
    }
}

/// The wrapper as JSON.
impl fmt::Display for WrapperSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}

/// `env` within `wrappers`, the first of them innermost.
///
/// ```
/// use apprentice_envs::wrappers::{WrapperSpec, wrap};
/// use apprentice_envs::{CartPole, CartPoleConfig, RowEnv, Rows};
///
/// let wrappers: Vec<WrapperSpec> = serde_json::from_str(
///     r#"[{"type": "TimeLimit", "max_episode_steps": 50}, {"type": "FrameStackObservation", "stack_size": 4}]"#,
/// )?;
/// let env = wrap(Rows::new(CartPole::new(CartPoleConfig::default())?).boxed(), &wrappers)?;
/// assert_eq!(env.observation_space().flat_dim(), 16);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// If a wrapper's parameters are out of range or do not fit the spaces of what it wraps.
pub fn wrap(env: Box<dyn RowEnv>, wrappers: &[WrapperSpec]) -> Result<Box<dyn RowEnv>, Error> {
    let sound = |env: Box<dyn RowEnv>| match env.observation_space().flaw().or_else(|| env.action_space().flaw()) {
        None => Ok(env),
        Some(flaw) => Err(Error::config(flaw)),
    };
    let mut limit = None;
    wrappers.iter().try_fold(sound(env)?, |env, spec| {
        let wrapped = spec.over(env, limit).and_then(sound);
        if let WrapperSpec::TimeLimit { max_episode_steps } = spec {
            limit = Some(*max_episode_steps);
        }
        wrapped.map_err(|e| Error::config(format!("wrapper {spec}: {e}")))
    })
}
