//! Files of several sections that are whole or refused.
//!
//! ```text
//! magic    8 bytes
//! version  u32
//! lengths  u64 for each section
//! sections
//! checksum u32        CRC-32 of everything before it
//! ```
//!
//! All numbers are little endian.

use crate::Error;
use apprentice_deploy::write_atomically;
use std::path::Path;

/// A kind of file: what it begins with, and the version that is written and read.
#[derive(Clone, Copy, Debug)]
pub struct Container {
    magic: [u8; 8],
    version: u32,
}

impl Container {
    /// Files that begin with `magic` and `version`.
    pub const fn new(magic: [u8; 8], version: u32) -> Self {
        Self { magic, version }
    }

    /// Writes the sections under a temporary name and renames the file, so that `path` always holds a whole one.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save(&self, path: &Path, sections: &[&[u8]]) -> Result<(), Error> {
        write_atomically(path, &self.to_bytes(sections)).map_err(|e| Error::io("write the checkpoint", path, e))
    }

    /// Reads a file of `N` sections into what `read` makes of them.
    ///
    /// # Errors
    /// If the file cannot be read, is damaged or of another kind or version, or `read` says what is wrong with it.
    pub fn load<T, const N: usize>(
        &self,
        path: &Path,
        read: impl FnOnce([&[u8]; N]) -> Result<T, String>,
    ) -> Result<T, Error> {
        let bytes = std::fs::read(path).map_err(|e| Error::io("read the checkpoint", path, e))?;
        self.sections(&bytes).and_then(read).map_err(|what| {
            Error::corrupt(format!(
                "{} is not a usable checkpoint: {what}; use an earlier one of the run",
                path.display()
            ))
        })
    }

    fn to_bytes(self, sections: &[&[u8]]) -> Vec<u8> {
        let mut bytes = self.magic.to_vec();
        bytes.extend(self.version.to_le_bytes());
        sections.iter().for_each(|section| bytes.extend((section.len() as u64).to_le_bytes()));
        sections.iter().for_each(|section| bytes.extend(*section));
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        bytes
    }

    fn sections<'b, const N: usize>(&self, bytes: &'b [u8]) -> Result<[&'b [u8]; N], String> {
        let truncated = || format!("it is cut off after {} bytes", bytes.len());
        let rest = bytes.strip_prefix(&self.magic).ok_or("it does not begin like one")?;
        let (version, rest) = rest.split_first_chunk().ok_or_else(truncated)?;
        let (version, expected) = (u32::from_le_bytes(*version), self.version);
        if version != expected {
            return Err(format!(
                "it has version {version}, this build reads version {expected}; resume it with its own build"
            ));
        }
        let (rest, checksum) = rest.split_last_chunk().ok_or_else(truncated)?;
        if crc32fast::hash(&bytes[..bytes.len() - 4]) != u32::from_le_bytes(*checksum) {
            return Err("its checksum does not match, so it is damaged or cut off".to_owned());
        }
        let (lengths, mut rest) = rest.split_at_checked(8 * N).ok_or_else(truncated)?;
        let mut sections = [&[][..]; N];
        for (section, length) in sections.iter_mut().zip(lengths.as_chunks().0) {
            let length = usize::try_from(u64::from_le_bytes(*length)).map_err(|_| truncated())?;
            (*section, rest) = rest.split_at_checked(length).ok_or_else(truncated)?;
        }
        Ok(sections)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: Container = Container::new(*b"SECTIONS", 7);

    #[test]
    fn sections_read_back() {
        let bytes = KIND.to_bytes(&[b"one", b"", b"three"]);
        assert_eq!(KIND.sections(&bytes).unwrap(), [&b"one"[..], b"", b"three"]);
        let newer = Container::new(*b"SECTIONS", 8).sections::<3>(&bytes).unwrap_err();
        assert!(newer.contains("version 7") && newer.contains("version 8"), "{newer}");
        assert!(Container::new(*b"ANYTHING", 7).sections::<3>(&bytes).is_err());
    }

    #[test]
    fn every_truncation_and_every_flipped_bit_is_an_error() {
        let bytes = KIND.to_bytes(&[b"a section", b"", b"and another one"]);
        for length in 0..bytes.len() {
            assert!(KIND.sections::<3>(&bytes[..length]).is_err(), "cut to {length}");
        }
        for bit in 0..8 * bytes.len() {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(KIND.sections::<3>(&damaged).is_err(), "bit {bit}");
        }
    }

    /// Lengths that a file of its own checksum lies about are refused too.
    #[test]
    fn lengths_beyond_the_end_are_an_error() {
        let mut bytes = KIND.to_bytes(&[b"short"]);
        bytes[12..20].copy_from_slice(&u64::MAX.to_le_bytes());
        let end = bytes.len() - 4;
        let checksum = crc32fast::hash(&bytes[..end]);
        bytes[end..].copy_from_slice(&checksum.to_le_bytes());
        assert!(KIND.sections::<1>(&bytes).unwrap_err().contains("cut off"));
    }
}
