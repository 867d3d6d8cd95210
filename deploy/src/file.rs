//! The policy file.
//!
//! ```text
//! magic    8 bytes   "APPRENTI"
//! version  u32
//! length   u32       of the header
//! header   JSON      [`Header`] and the shape of every layer
//! weights  f32       of every layer in turn: weight, then bias
//! checksum u32       CRC-32 of everything before it
//! ```
//!
//! All numbers are little endian.

use crate::{Activation, Error, Header, Layer};
use serde::{Deserialize, Serialize};

const MAGIC: &[u8; 8] = b"APPRENTI";
const VERSION: u32 = 1;
const PREFIX: usize = 16;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileHeader {
    policy: Header,
    layers: Vec<LayerShape>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LayerShape {
    inputs: usize,
    outputs: usize,
    activation: Activation,
}

pub(crate) fn write(header: &Header, layers: &[Layer]) -> Vec<u8> {
    let shape =
        |layer: &Layer| LayerShape { inputs: layer.inputs(), outputs: layer.outputs(), activation: layer.activation };
    let header = FileHeader { policy: header.clone(), layers: layers.iter().map(shape).collect() };
    let header = serde_json::to_vec(&header).expect("a header is plain data");
    let mut bytes = MAGIC.to_vec();
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend((header.len() as u32).to_le_bytes());
    bytes.extend(header);
    for layer in layers {
        bytes.extend(layer.weight.iter().chain(&layer.bias).flat_map(|x| x.to_le_bytes()));
    }
    bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
    bytes
}

pub(crate) fn read(bytes: &[u8]) -> Result<(Header, Vec<Layer>), Error> {
    let cut_off = || Error::corrupt(format!("the policy file is cut off after {} bytes; copy it again", bytes.len()));
    let damaged = |what: String| Error::corrupt(format!("the policy file is damaged: {what}; copy it again"));
    if bytes.get(..8) != Some(MAGIC) {
        return Err(Error::corrupt(
            "not a policy file: expected it to begin with \"APPRENTI\"; give a file written by train or distill",
        ));
    }
    if bytes.len() < PREFIX + 4 {
        return Err(cut_off());
    }
    let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    if number(8) == 0 {
        return Err(damaged("there is no version 0".to_owned()));
    }
    if number(8) > VERSION {
        return Err(Error::unsupported_version(format!(
            "the policy file has version {}: expected at most {VERSION}; update Apprentice",
            number(8)
        )));
    }
    let (body, checksum) = bytes.split_at(bytes.len() - 4);
    if crc32fast::hash(body).to_le_bytes() != checksum {
        return Err(damaged("its checksum does not match".to_owned()));
    }
    let (header, mut weights) = body[PREFIX..].split_at_checked(number(12) as usize).ok_or_else(cut_off)?;
    let header: FileHeader = serde_json::from_slice(header).map_err(|e| damaged(format!("its header: {e}")))?;

    let mut take = |count: Option<usize>| {
        let bytes = count.and_then(|count| count.checked_mul(4)).ok_or_else(cut_off)?;
        let (head, tail) = weights.split_at_checked(bytes).ok_or_else(cut_off)?;
        weights = tail;
        Ok(head.chunks_exact(4).map(|x| f32::from_le_bytes(x.try_into().expect("four bytes"))).collect())
    };
    let mut layers = Vec::new();
    for shape in header.layers {
        layers.push(Layer {
            weight: take(shape.inputs.checked_mul(shape.outputs))?,
            bias: take(Some(shape.outputs))?,
            activation: shape.activation,
        });
    }
    if !weights.is_empty() {
        return Err(damaged(format!("{} bytes follow the last layer", weights.len())));
    }
    Ok((header.policy, layers))
}

#[cfg(test)]
mod tests {
    use crate::{Policy, runner::tests::policy};

    #[test]
    fn survives_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("policy.apprentice");
        policy().save(&path).unwrap();
        let loaded = Policy::load(&path).unwrap();
        assert_eq!(loaded, policy());
        assert_eq!(loaded.bytes() as u64, std::fs::metadata(&path).unwrap().len());
        assert!(policy().save(&folder.path().join("missing/a")).unwrap_err().is_io());
        assert!(Policy::load(&folder.path().join("b")).unwrap_err().is_io());
    }

    #[test]
    fn every_truncation_and_every_flipped_bit_is_an_error() {
        let bytes = policy().to_bytes();
        for length in 0..bytes.len() {
            assert!(Policy::from_bytes(&bytes[..length]).unwrap_err().is_corrupt(), "cut to {length}");
        }
        for bit in 0..8 * bytes.len() {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let error = Policy::from_bytes(&damaged).unwrap_err();
            assert!(error.is_corrupt() || error.is_unsupported_version(), "bit {bit}");
        }
    }

    /// Whatever a header claims, with a checksum that matches, nothing panics and nothing huge is allocated.
    #[test]
    fn hostile_headers_are_errors() {
        for header in [
            r#"{}"#,
            r#"[1,2"#,
            r#"{"policy":{"environment":{"id":"x"},"observation":{"type":"box","len":4},"action":{"type":"discrete","n":2,"start":0},"provenance":{"role":"","algorithm":"","seed":0,"train_steps":0,"version":"","config":null}},"layers":[{"inputs":18446744073709551615,"outputs":2,"activation":"tanh"}]}"#,
            r#"{"policy":{"environment":{"id":"x"},"observation":{"type":"box","len":0},"action":{"type":"discrete","n":0,"start":0},"provenance":{"role":"","algorithm":"","seed":0,"train_steps":0,"version":"","config":null}},"layers":[{"inputs":0,"outputs":0,"activation":"tanh"}]}"#,
            r#"{"policy":{"environment":{"id":"x"},"observation":{"type":"concat","parts":[{"type":"box","len":18446744073709551615},{"type":"box","len":5}]},"action":{"type":"multi_discrete","nvec":[18446744073709551615,2],"start":[0,0]},"provenance":{"role":"","algorithm":"","seed":0,"train_steps":0,"version":"","config":null}},"layers":[{"inputs":4,"outputs":1,"activation":"tanh"}]}"#,
        ] {
            for length in [header.len() as u32, u32::MAX] {
                let mut bytes = b"APPRENTI\x01\0\0\0".to_vec();
                bytes.extend(length.to_le_bytes());
                bytes.extend(header.bytes());
                bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
                assert!(Policy::from_bytes(&bytes).is_err(), "{header}");
            }
        }
    }
}
