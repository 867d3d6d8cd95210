//! The one error type of this crate.

use std::fmt;
use std::path::Path;

/// What went wrong in training or evaluation: a bad configuration, a file, a device, an environment that fails, or numbers that
/// diverged.
#[derive(thiserror::Error)]
#[error("{message}")]
pub struct Error {
    kind: Kind,
    message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Config,
    Environment,
    Failed,
    Device,
    Io,
    Corrupt,
    Diverged,
}

impl Error {
    /// A configuration cannot be used.
    pub fn config(message: impl Into<String>) -> Self {
        Self { kind: Kind::Config, message: message.into() }
    }

    /// An environment that a policy or an agent cannot act in.
    pub fn environment(message: impl Into<String>) -> Self {
        Self { kind: Kind::Environment, message: message.into() }
    }

    /// An environment, or somebody who acts in it, failed on the way: it returned nonsense or came to its end.
    pub fn failed(message: impl Into<String>) -> Self {
        Self { kind: Kind::Failed, message: message.into() }
    }

    pub(crate) fn device(message: impl Into<String>) -> Self {
        Self { kind: Kind::Device, message: message.into() }
    }

    /// The file or folder `path` could not be read or written.
    pub fn io(action: &str, path: &Path, cause: impl fmt::Display) -> Self {
        Self { kind: Kind::Io, message: format!("cannot {action} {}: {cause}", path.display()) }
    }

    /// A checkpoint is damaged or not one that can be gone on from.
    pub fn corrupt(message: impl Into<String>) -> Self {
        Self { kind: Kind::Corrupt, message: message.into() }
    }

    /// A loss or a weight is no longer a finite number.
    pub fn diverged(message: impl Into<String>) -> Self {
        Self { kind: Kind::Diverged, message: message.into() }
    }

    /// The same error, with something to add.
    pub(crate) fn and(self, more: &str) -> Self {
        Self { message: format!("{}; {more}", self.message), ..self }
    }

    /// A setting is unknown, of the wrong type or out of range.
    pub fn is_config(&self) -> bool {
        self.kind == Kind::Config
    }

    /// The environment could not be made, or it is not one that the agent or policy can act in.
    pub fn is_environment(&self) -> bool {
        self.kind == Kind::Environment
    }

    /// An environment, or somebody who acts in it, failed on the way.
    pub fn is_failed(&self) -> bool {
        self.kind == Kind::Failed
    }

    /// The device is not known, or this build has no support for it.
    pub fn is_device(&self) -> bool {
        self.kind == Kind::Device
    }

    /// A file or folder could not be read or written.
    pub fn is_io(&self) -> bool {
        self.kind == Kind::Io
    }

    /// A checkpoint is damaged or is not a checkpoint.
    pub fn is_corrupt(&self) -> bool {
        self.kind == Kind::Corrupt
    }

    /// Training produced numbers that are not finite.
    pub fn is_diverged(&self) -> bool {
        self.kind == Kind::Diverged
    }
}

impl From<apprentice_envs::Error> for Error {
    fn from(error: apprentice_envs::Error) -> Self {
        let kind = if error.is_io() {
            Kind::Io
        } else if error.is_environment() {
            Kind::Failed
        } else {
            Kind::Environment
        };
        Self { kind, message: error.to_string() }
    }
}

impl From<apprentice_deploy::Error> for Error {
    fn from(error: apprentice_deploy::Error) -> Self {
        let kind = if error.is_io() { Kind::Io } else { Kind::Corrupt };
        Self { kind, message: error.to_string() }
    }
}

/// The message: what `unwrap` and `fn main() -> Result` show.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
