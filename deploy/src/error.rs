//! The one error type of this crate.

use std::fmt;
use std::path::Path;

/// What is wrong with a policy, its file or what it was given.
#[derive(thiserror::Error)]
#[error("{message}")]
pub struct Error {
    kind: Kind,
    message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Io,
    Corrupt,
    UnsupportedVersion,
    Shape,
}

impl Error {
    pub(crate) fn io(action: &str, path: &Path, cause: impl fmt::Display) -> Self {
        Self { kind: Kind::Io, message: format!("cannot {action} {}: {cause}", path.display()) }
    }

    pub(crate) fn corrupt(message: impl Into<String>) -> Self {
        Self { kind: Kind::Corrupt, message: message.into() }
    }

    pub(crate) fn unsupported_version(message: impl Into<String>) -> Self {
        Self { kind: Kind::UnsupportedVersion, message: message.into() }
    }

    pub(crate) fn shape(message: impl Into<String>) -> Self {
        Self { kind: Kind::Shape, message: message.into() }
    }

    /// The same error, naming the file it is about.
    pub(crate) fn in_file(self, path: &Path) -> Self {
        Self { message: format!("{}: {}", path.display(), self.message), ..self }
    }

    /// The same error, naming the row of a batch it is about.
    pub(crate) fn in_row(self, row: usize) -> Self {
        Self { message: format!("row {row}: {}", self.message), ..self }
    }

    /// The file could not be read or written.
    pub fn is_io(&self) -> bool {
        self.kind == Kind::Io
    }

    /// The file is damaged or no policy.
    pub fn is_corrupt(&self) -> bool {
        self.kind == Kind::Corrupt
    }

    /// The file was written by a newer version.
    pub fn is_unsupported_version(&self) -> bool {
        self.kind == Kind::UnsupportedVersion
    }

    /// Layers, an observation or a buffer have the wrong size, or a number is not finite.
    pub fn is_shape(&self) -> bool {
        self.kind == Kind::Shape
    }
}

/// The message: what `unwrap` and `fn main() -> Result` show.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
