use std::io;
use std::path::Path;

/// Why a [`Logger`](crate::Logger) could not be made.
///
/// Its text says what failed, what was expected, what came instead and what to
/// do about it; it is meant to be shown as it is.
#[derive(Debug, thiserror::Error)]
#[error("cannot write logs to {path}: expected {expected}, got: {got}; {advice}")]
pub struct Error {
    path: String,
    expected: &'static str,
    // Part of the text already, so it is not a `source` as well: a caller who
    // prints the chain would show it twice.
    got: io::Error,
    advice: &'static str,
}

impl Error {
    pub(crate) fn new(path: &Path, expected: &'static str, got: io::Error) -> Error {
        let advice = match got.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                "choose another run directory or change the permissions of this one"
            }
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                "free some space there or choose a run directory on another disk"
            }
            _ => "choose another run directory",
        };
        Error { path: path.display().to_string(), expected, got, advice }
    }

    /// Whether the file system is to blame rather than the caller.
    ///
    /// Every error of this crate is such a one; the question exists so that a
    /// caller can ask it alike of the errors of all Apprentice crates.
    pub fn is_io(&self) -> bool {
        true
    }
}
