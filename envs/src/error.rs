//! The one error type of this crate.

use std::fmt;
use std::path::Path;

/// What went wrong with an environment: an unknown id, bad parameters, an invalid action, a step out of order,
/// a picture that cannot be written.
///
/// The message says what was wrong, what was expected, what came instead and what to do.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    kind: Kind,
    message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    UnknownEnvironment,
    Config,
    Action,
    Order,
    Shape,
    Snapshot,
    Environment,
    Io,
}

impl Error {
    pub(crate) fn unknown_environment(message: impl Into<String>) -> Self {
        Self { kind: Kind::UnknownEnvironment, message: message.into() }
    }

    /// An environment's parameters are not acceptable. Environment authors return this from their factory.
    pub fn config(message: impl Into<String>) -> Self {
        Self { kind: Kind::Config, message: message.into() }
    }

    pub(crate) fn action(message: impl Into<String>) -> Self {
        Self { kind: Kind::Action, message: message.into() }
    }

    pub(crate) fn order(message: impl Into<String>) -> Self {
        Self { kind: Kind::Order, message: message.into() }
    }

    pub(crate) fn shape(message: impl Into<String>) -> Self {
        Self { kind: Kind::Shape, message: message.into() }
    }

    /// A state cannot be gone on from. Environment authors return this from `set_state`.
    pub fn snapshot(message: impl Into<String>) -> Self {
        Self { kind: Kind::Snapshot, message: message.into() }
    }

    /// The environment itself failed. Authors of foreign environments return this from a step.
    pub fn environment(message: impl Into<String>) -> Self {
        Self { kind: Kind::Environment, message: message.into() }
    }

    pub(crate) fn io(action: &str, path: &Path, cause: impl fmt::Display) -> Self {
        Self { kind: Kind::Io, message: format!("cannot {action} {}: {cause}", path.display()) }
    }

    /// No environment is registered under this id.
    pub fn is_unknown_environment(&self) -> bool {
        self.kind == Kind::UnknownEnvironment
    }

    /// A parameter of the environment is unknown, of the wrong type or out of range.
    pub fn is_config(&self) -> bool {
        self.kind == Kind::Config
    }

    /// An action lies outside the action space.
    pub fn is_action(&self) -> bool {
        self.kind == Kind::Action
    }

    /// `step` before the first `reset` or after the end of an episode.
    pub fn is_order(&self) -> bool {
        self.kind == Kind::Order
    }

    /// A buffer or a picture has the wrong shape.
    pub fn is_shape(&self) -> bool {
        self.kind == Kind::Shape
    }

    /// A snapshot is damaged, or not one of this environment.
    pub fn is_snapshot(&self) -> bool {
        self.kind == Kind::Snapshot
    }

    /// The environment itself failed.
    pub fn is_environment(&self) -> bool {
        self.kind == Kind::Environment
    }

    /// A file could not be written.
    pub fn is_io(&self) -> bool {
        self.kind == Kind::Io
    }
}

/// The message: what `unwrap` and `fn main() -> Result` show.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
