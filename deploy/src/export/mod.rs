//! A policy as source code or as another format's file, with examples that the target can check itself against.

mod built;
mod c;
mod examples;
mod onnx;
mod rust;
mod source;

pub use built::{Answer, Built, manifest};

use crate::{Body, Error, Policy, safetensors, write_atomically};
use examples::Example;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;
use std::str::FromStr;

/// What a policy can be exported as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// A module of Rust that needs `core` only.
    Rust,
    /// A header and a source in C99 that need no heap and call no library.
    C,
    /// A model for any runtime that reads ONNX, in f32.
    Onnx,
    /// The same, in operators that leave no choice of how to round: it has the runner's bits.
    #[serde(rename = "onnx-exact")]
    OnnxExact,
    /// Tensors, which [`Policy::load`] reads too.
    Safetensors,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Rust, Self::C, Self::Onnx, Self::OnnxExact, Self::Safetensors];
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rust => "rust",
            Self::C => "c",
            Self::Onnx => "onnx",
            Self::OnnxExact => "onnx-exact",
            Self::Safetensors => "safetensors",
        })
    }
}

impl FromStr for Format {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let known = Self::ALL.map(|format| format.to_string());
        let found = Self::ALL.into_iter().find(|format| format.to_string() == text);
        found.ok_or_else(|| Error::shape(format!("expected one of {}, got {text:?}", known.join(", "))))
    }
}

/// What the folder of an export holds: its file `export.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The format.
    pub format: Format,
    /// What files and functions are called after.
    pub name: String,
    /// [`Policy::checksum`] of the policy.
    pub checksum: String,
    /// The files, without this one.
    pub files: Vec<String>,
}

/// The name of the file that holds the [`Manifest`].
pub const MANIFEST: &str = "export.json";

/// A file of an export: its name and its content.
pub type File = (String, Vec<u8>);

/// The files that `policy` becomes, called after `name`; one in integers beside its own file.
///
/// `observations` are flat rows to make examples of; a few of the policy's own environment say most. To a recurrent policy
/// they are the first of an episode, one after another. With none, made-up ones are taken.
///
/// # Errors
/// If the name is [none](check_name), an observation is not one of the policy's, or the format cannot hold such a policy.
pub fn export(policy: &Policy, format: Format, name: &str, observations: &[Vec<f32>]) -> Result<Vec<File>, Error> {
    check_name(name)?;
    let examples = Example::all(policy, observations)?;
    let text = |name: String, text: String| (name, text.into_bytes());
    let mut files = match format {
        Format::Rust => vec![text(format!("{name}.rs"), rust::module(policy, &examples)?)],
        Format::C => vec![
            text(format!("{name}.h"), c::header(policy, name)),
            text(format!("{name}.c"), c::source(policy, name, &examples)?),
        ],
        Format::Onnx | Format::OnnxExact => vec![
            (format!("{name}.onnx"), onnx::file(policy, name, format == Format::OnnxExact, &examples)?),
            text(format!("{name}_self_test.py"), onnx::SELF_TEST.to_owned()),
        ],
        Format::Safetensors => {
            vec![(format!("{name}.safetensors"), safetensors::write(policy, &Example::tensors(&examples))?)]
        }
    };
    if let Body::Int8(_) = policy.body() {
        // Whoever had it made of a policy in f32 has it nowhere else.
        files.push((format!("{name}.apprentice"), policy.to_bytes()));
    }
    let manifest = Manifest {
        format,
        name: name.to_owned(),
        checksum: policy.checksum(),
        files: files.iter().map(|(name, _)| name.clone()).collect(),
    };
    files.push(text(MANIFEST.to_owned(), serde_json::to_string_pretty(&manifest).expect("plain data") + "\n"));
    Ok(files)
}

/// Refuses what files and functions cannot be called after.
///
/// # Errors
/// If there is something else than lower-case letters, digits and underscores, or no letter at the beginning.
pub fn check_name(name: &str) -> Result<(), Error> {
    let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(letters) {
        return Ok(());
    }
    Err(Error::shape(format!("expected lower-case letters, digits and underscores, a letter first, got {name:?}")))
}

/// Writes the files of an [`export`] into a folder, making it if need be. They replace those of an earlier export in the
/// same format under the same name.
///
/// # Errors
/// If another export is there, whose files could not be told from these, or a file cannot be written.
pub fn write(folder: &Path, files: &[File]) -> Result<(), Error> {
    let manifest = |bytes: &[u8]| serde_json::from_slice::<Manifest>(bytes).ok();
    let there = std::fs::read(folder.join(MANIFEST)).ok().and_then(|bytes| manifest(&bytes));
    let these = files.iter().find(|(name, _)| name == MANIFEST).and_then(|(_, bytes)| manifest(bytes));
    if let (Some(there), Some(these)) = (there, these) {
        let Manifest { format, name, files: old, checksum } = there;
        if (format, &name) != (these.format, &these.name) {
            let cause = format!("it holds another one, {name} as {format}; give each a folder of its own");
            return Err(Error::io("write the export into", folder, cause));
        }
        // Only names that an export gives: a manifest is a file like any other.
        let ours = |file: &&String| file.starts_with(&format!("{name}.")) || file.starts_with(&format!("{name}_"));
        for stale in old.iter().filter(ours).filter(|file| !these.files.contains(file) && !file.contains(['/', '\\'])) {
            let path = folder.join(stale);
            // A policy may be anybody's, and what this one comes from.
            let own = || Policy::load(&path).is_ok_and(|policy| policy.checksum() == checksum);
            if stale.ends_with(".apprentice") && !own() {
                continue;
            }
            match std::fs::remove_file(&path) {
                Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::io("remove", &path, cause));
                }
                _ => {}
            }
        }
    }
    std::fs::create_dir_all(folder).map_err(|cause| Error::io("make the folder", folder, cause))?;
    files.iter().try_for_each(|(name, content)| {
        let path = folder.join(name);
        write_atomically(&path, content).map_err(|cause| Error::io("write", &path, cause))
    })
}
