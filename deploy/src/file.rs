//! The policy file.
//!
//! ```text
//! magic    8 bytes   "APPRENTI"
//! version  u32
//! length   u32       of the header
//! header   JSON      [`Header`] and the shape of the body
//! body               of layers, f32: of each in turn its weight, then its bias
//!                    of a tree: each split as feature u32, threshold f32, left i32, right i32, where a leaf is the
//!                    bitwise complement of its index, a negative number; then the leaves, f32
//!                    of layers in integers: of each in turn its weight, i8, and zeros up to a multiple of four bytes,
//!                    then its bias and its multipliers, i32
//!                    of a recurrent cell and layers, f32: of the cell the weight and the bias of the features, the
//!                    weight and the bias of the memory; then the layers as above
//! checksum u32       CRC-32 of everything before it
//! ```
//!
//! All numbers are little endian. A file has the lowest version that can say what it holds, so that the same policy
//! keeps its bytes and its checksum: 1 for layers in f32, 2 for a tree or for layers in integers, 3 for a recurrent cell.

use crate::{Activation, Body, Child, Error, Gru, GruCell, Header, Int8, Int8Layer, Layer, LayerShape, Split, Tree};
use serde::{Deserialize, Serialize};

const MAGIC: &[u8; 8] = b"APPRENTI";
const VERSION: u32 = 3;
const PREFIX: usize = 16;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileHeader {
    policy: Header,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    layers: Option<Vec<LayerShape>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tree: Option<TreeShape>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    int8: Option<Int8Shape>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gru: Option<GruShape>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Int8Shape {
    scale: f32,
    layers: Vec<Int8LayerShape>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Int8LayerShape {
    inputs: usize,
    outputs: usize,
    activation: Activation,
    shift: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct GruShape {
    features: usize,
    units: usize,
    layers: Vec<LayerShape>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TreeShape {
    splits: usize,
    outputs: usize,
}

pub(crate) fn write(header: &Header, body: &Body) -> Vec<u8> {
    let mut header = FileHeader { policy: header.clone(), layers: None, tree: None, int8: None, gru: None };
    let (version, body) = match body {
        Body::Mlp(layers) => {
            header.layers = Some(layers.iter().map(Layer::shape).collect());
            (1, write_layers(layers))
        }
        Body::Tree(tree) => {
            header.tree = Some(TreeShape { splits: tree.splits.len(), outputs: tree.width() });
            (2, write_tree(tree))
        }
        Body::Int8(int8) => {
            let shape = |layer: &Int8Layer| {
                let LayerShape { inputs, outputs, activation } = layer.shape();
                Int8LayerShape { inputs, outputs, activation, shift: layer.shift }
            };
            header.int8 = Some(Int8Shape { scale: int8.scale, layers: int8.layers.iter().map(shape).collect() });
            (2, int8.layers.iter().flat_map(write_int8).collect())
        }
        Body::Gru(Gru { cell, layers }) => {
            let shapes = layers.iter().map(Layer::shape).collect();
            header.gru = Some(GruShape { features: cell.features(), units: cell.units(), layers: shapes });
            let cell = cell.parts().into_iter().flatten().flat_map(|x| x.to_le_bytes());
            (3, cell.chain(write_layers(layers)).collect())
        }
    };
    let header = serde_json::to_vec(&header).expect("a header is plain data");
    let mut bytes = MAGIC.to_vec();
    bytes.extend(u32::to_le_bytes(version));
    bytes.extend((header.len() as u32).to_le_bytes());
    bytes.extend(header);
    bytes.extend::<Vec<u8>>(body);
    bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
    bytes
}

fn write_layers(layers: &[Layer]) -> Vec<u8> {
    let numbers = layers.iter().flat_map(|layer| layer.weight.iter().chain(&layer.bias));
    numbers.flat_map(|x| x.to_le_bytes()).collect()
}

fn write_tree(tree: &Tree) -> Vec<u8> {
    let child = |child| match child {
        Child::Split(i) => i,
        Child::Leaf(i) => !i,
    };
    let split = |split: &Split| [split.feature, split.threshold.to_bits(), child(split.left), child(split.right)];
    let numbers = tree.splits.iter().flat_map(split).chain(tree.leaves.iter().map(|x| x.to_bits()));
    numbers.flat_map(u32::to_le_bytes).collect()
}

fn write_int8(layer: &Int8Layer) -> Vec<u8> {
    let mut bytes: Vec<u8> = layer.weight.iter().map(|w| *w as u8).collect();
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes.extend(layer.bias.iter().chain(&layer.multiplier).flat_map(|x| x.to_le_bytes()));
    bytes
}

pub(crate) fn read(bytes: &[u8]) -> Result<(Header, Body), Error> {
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
        return Err(damaged("there is no version 0"));
    }
    if number(8) > VERSION {
        return Err(Error::unsupported_version(format!(
            "the policy file has version {}: expected at most {VERSION}; update Apprentice",
            number(8)
        )));
    }
    let (content, checksum) = bytes.split_at(bytes.len() - 4);
    if crc32fast::hash(content).to_le_bytes() != checksum {
        return Err(damaged("its checksum does not match"));
    }
    let (header, body) = content[PREFIX..].split_at_checked(number(12) as usize).ok_or_else(cut_off)?;
    let header: FileHeader = serde_json::from_slice(header).map_err(|e| damaged(format!("its header: {e}")))?;
    let mut rest = Words(body);
    let body = match (header.layers, header.tree, header.int8, header.gru) {
        (Some(shapes), None, None, None) => Body::Mlp(read_layers(&mut rest, &shapes)?),
        (None, Some(shape), None, None) => Body::Tree(read_tree(&mut rest, &shape)?),
        (None, None, None, Some(shape)) => Body::Gru(read_gru(&mut rest, &shape)?),
        (None, None, Some(Int8Shape { scale, layers }), None) => {
            let layers = layers.into_iter().map(|shape| read_int8(&mut rest, &shape)).collect::<Result<_, _>>()?;
            Body::Int8(Int8 { scale, layers })
        }
        _ => return Err(damaged("its header: expected one of layers, tree, int8 and gru")),
    };
    match rest.0.len() {
        0 => Ok((header.policy, body)),
        n => Err(damaged(format!("{n} bytes follow its last number"))),
    }
}

fn read_layers(rest: &mut Words<'_>, shapes: &[LayerShape]) -> Result<Vec<Layer>, Error> {
    let layer = |shape: &LayerShape| {
        Ok(Layer {
            weight: rest.floats(shape.inputs.checked_mul(shape.outputs))?,
            bias: rest.floats(Some(shape.outputs))?,
            activation: shape.activation,
        })
    };
    shapes.iter().map(layer).collect()
}

fn read_gru(rest: &mut Words<'_>, shape: &GruShape) -> Result<Gru, Error> {
    let gates = shape.units.checked_mul(3);
    let rows = |n: usize| gates.and_then(|gates| gates.checked_mul(n));
    let cell = GruCell {
        weight_x: rest.floats(rows(shape.features))?,
        bias_x: rest.floats(gates)?,
        weight_h: rest.floats(rows(shape.units))?,
        bias_h: rest.floats(gates)?,
    };
    Ok(Gru { cell, layers: read_layers(rest, &shape.layers)? })
}

fn read_tree(rest: &mut Words<'_>, shape: &TreeShape) -> Result<Tree, Error> {
    let child = |word: u32| if word as i32 >= 0 { Child::Split(word) } else { Child::Leaf(!word) };
    let words: Vec<u32> = rest.take(shape.splits.checked_mul(4))?.collect();
    let split = |[feature, threshold, left, right]: &[u32; 4]| Split {
        feature: *feature,
        threshold: f32::from_bits(*threshold),
        left: child(*left),
        right: child(*right),
    };
    let leaves = rest.take(shape.splits.checked_add(1).and_then(|leaves| leaves.checked_mul(shape.outputs)))?;
    Ok(Tree { splits: words.as_chunks().0.iter().map(split).collect(), leaves: leaves.map(f32::from_bits).collect() })
}

fn read_int8(rest: &mut Words<'_>, shape: &Int8LayerShape) -> Result<Int8Layer, Error> {
    let weights = shape.inputs.checked_mul(shape.outputs);
    let mut weight: Vec<i8> =
        rest.take(weights.map(|n| n.div_ceil(4)))?.flat_map(u32::to_le_bytes).map(|byte| byte as i8).collect();
    weight.truncate(weights.unwrap_or(0));
    let integers = |words: &mut Words<'_>| Ok(words.take(Some(shape.outputs))?.map(|word| word as i32).collect());
    let (bias, multiplier) = (integers(rest)?, integers(rest)?);
    Ok(Int8Layer { weight, bias, multiplier, shift: shape.shift, activation: shape.activation })
}

/// What has not been read yet.
struct Words<'a>(&'a [u8]);

impl<'a> Words<'a> {
    /// The next `count` words of four bytes; an error, before anything is allocated, if there are fewer.
    fn take(&mut self, count: Option<usize>) -> Result<impl Iterator<Item = u32> + use<'a>, Error> {
        let bytes = count.and_then(|count| count.checked_mul(4)).ok_or_else(cut_off)?;
        let (head, tail) = self.0.split_at_checked(bytes).ok_or_else(cut_off)?;
        self.0 = tail;
        Ok(head.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word)))
    }

    /// The next `count` numbers.
    fn floats(&mut self, count: Option<usize>) -> Result<Vec<f32>, Error> {
        Ok(self.take(count)?.map(f32::from_bits).collect())
    }
}

fn cut_off() -> Error {
    Error::corrupt("the policy file is cut off before its end; copy it again")
}

fn damaged(what: impl std::fmt::Display) -> Error {
    Error::corrupt(format!("the policy file is damaged: {what}; copy it again"))
}

#[cfg(test)]
mod tests {
    use crate::fixtures::*;
    use crate::{Activation, Policy};

    #[test]
    fn survives_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("policy.apprentice");
        for policy in [policy(), tree_policy(), int8_policy(), gru_policy()] {
            policy.save(&path).unwrap();
            let loaded = Policy::load(&path).unwrap();
            assert_eq!(loaded, policy);
            assert_eq!(loaded.bytes() as u64, std::fs::metadata(&path).unwrap().len());
        }
        assert!(policy().save(&folder.path().join("missing/a")).unwrap_err().is_io());
        assert!(Policy::load(&folder.path().join("b")).unwrap_err().is_io());
    }

    /// Recorded by the version that knew layers only.
    #[test]
    fn old_files_stay_readable_and_keep_their_bytes() {
        let bytes = include_bytes!("../testdata/version-1.apprentice");
        let old = Policy::from_bytes(bytes).unwrap();
        let sizes: Vec<_> = old.layers().iter().map(|layer| (layer.inputs(), layer.outputs())).collect();
        assert_eq!(sizes, [(4, 8), (8, 2)]);
        assert_eq!(old.layers()[0].activation, Activation::Tanh);
        assert_eq!(old.header().environment.id, "CartPole-v1");
        assert_eq!(old.to_bytes(), bytes);
    }

    /// So that a policy keeps its bytes, and is read by all the versions that can.
    #[test]
    fn a_file_has_the_lowest_version_that_can_say_what_it_holds() {
        let version = |policy: crate::Policy| policy.to_bytes()[8];
        assert_eq!([policy(), tree_policy(), int8_policy(), gru_policy()].map(version), [1, 2, 2, 3]);
        let mut newer = gru_policy().to_bytes();
        newer[8] = 4;
        assert!(Policy::from_bytes(&newer).unwrap_err().is_unsupported_version());
    }

    #[test]
    fn every_truncation_and_every_flipped_bit_is_an_error() {
        for policy in [policy(), tree_policy(), int8_policy(), gru_policy()] {
            let bytes = policy.to_bytes();
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
    }

    /// A million files with changed, inserted, removed and doubled bytes whose checksum matches nevertheless: whatever
    /// is accepted can be run.
    #[test]
    fn a_million_mutated_files_are_errors_or_policies() {
        let originals = [policy(), tree_policy(), int8_policy(), gru_policy()].map(|policy| policy.to_bytes());
        let mut state = 1_u64;
        let mut draw = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 33) as usize) % below.max(1)
        };
        let (mut accepted, mut refused) = (0, 0);
        for i in 0..1_000_000 {
            let mut bytes = originals[i % originals.len()].clone();
            bytes.truncate(bytes.len() - 4);
            for _ in 0..=draw(3) {
                let at = draw(bytes.len());
                match draw(6) {
                    0 => bytes[at] ^= 1 << draw(8),
                    1 => bytes[at] = draw(256) as u8,
                    2 => bytes[at] = b"0123456789-\"{}[],:"[draw(18)],
                    3 => drop(bytes.remove(at)),
                    4 => bytes.insert(at, bytes[draw(bytes.len())]),
                    _ => bytes.truncate(bytes.len().saturating_sub(draw(16)).max(1)),
                }
            }
            bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
            match Policy::from_bytes(&bytes) {
                Ok(policy) => {
                    accepted += 1;
                    if policy.header().observation.flat_len() == 3 {
                        let _ = policy.runner().decide(&[0.3, -1.0, 2.0], None, None);
                    }
                }
                Err(_) => refused += 1,
            }
        }
        assert!(accepted > 10_000 && refused > 10_000, "{accepted} accepted, {refused} refused");
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
            r#"{"policy":{"environment":{"id":"x"},"observation":{"type":"box","len":4},"action":{"type":"discrete","n":2,"start":0},"provenance":{"role":"","algorithm":"","seed":0,"train_steps":0,"version":"","config":null}},"tree":{"splits":18446744073709551615,"outputs":2}}"#,
            r#"{"policy":{"environment":{"id":"x"},"observation":{"type":"box","len":4},"action":{"type":"discrete","n":2,"start":0},"provenance":{"role":"","algorithm":"","seed":0,"train_steps":0,"version":"","config":null}},"tree":{"splits":0,"outputs":2},"layers":[]}"#,
            r#"{"policy":{"environment":{"id":"x"},"observation":{"type":"box","len":4},"action":{"type":"discrete","n":2,"start":0},"provenance":{"role":"","algorithm":"","seed":0,"train_steps":0,"version":"","config":null}},"gru":{"features":4,"units":6148914691236517206,"layers":[]}}"#,
            r#"{"policy":{"environment":{"id":"x"},"observation":{"type":"box","len":4},"action":{"type":"discrete","n":2,"start":0},"provenance":{"role":"","algorithm":"","seed":0,"train_steps":0,"version":"","config":null}},"gru":{"features":18446744073709551615,"units":1,"layers":[]}}"#,
            r#"{"policy":{"environment":{"id":"x"},"observation":{"type":"box","len":4},"action":{"type":"discrete","n":2,"start":0},"provenance":{"role":"","algorithm":"","seed":0,"train_steps":0,"version":"","config":null}},"gru":{"features":4,"units":0,"layers":[{"inputs":0,"outputs":2,"activation":"identity"}]}}"#,
            r#"{"policy":{"environment":{"id":"x"},"observation":{"type":"box","len":4},"action":{"type":"discrete","n":2,"start":0},"provenance":{"role":"","algorithm":"","seed":0,"train_steps":0,"version":"","config":null}}}"#,
        ] {
            for length in [header.len() as u32, u32::MAX] {
                let mut bytes = b"APPRENTI\x02\0\0\0".to_vec();
                bytes.extend(length.to_le_bytes());
                bytes.extend(header.bytes());
                bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
                assert!(Policy::from_bytes(&bytes).is_err(), "{header}");
            }
        }
    }
}
