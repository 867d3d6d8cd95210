//! Policies of layers as safetensors, the format that tensors are exchanged in: out and back in.
//!
//! ```text
//! length   u64       of the header, little endian
//! header   JSON      of every tensor its type, shape and place; texts under "__metadata__"
//! tensors  f32       little endian
//! ```
//!
//! The tensors are `layers.0.weight` `[outputs × inputs]`, `layers.0.bias` `[outputs]` and so on, as PyTorch's `Linear`
//! has them; of a recurrent policy before these `gru.weight_ih_l0` `[3 · units × inputs]`, `gru.weight_hh_l0`
//! `[3 · units × units]`, `gru.bias_ih_l0` and `gru.bias_hh_l0` `[3 · units]`, as its `GRU` has them. All else that makes a
//! policy is the text `apprentice` of the metadata. Whoever changes the tensors in Python and keeps the metadata
//! (`safetensors.safe_open(…).metadata()`) gets a policy again.

use crate::{Activation, Body, Error, Gru, GruCell, Header, Layer, Policy};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The key of the metadata that holds a [`Rest`].
const KEY: &str = "apprentice";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tensor {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: [usize; 2],
}

/// What a policy is beside its tensors.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rest {
    policy: Header,
    /// What is before the layers; none if they are all there is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cell: Option<Cell>,
    activations: Vec<Activation>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Cell {
    Gru,
}

/// A tensor to be written: its name, shape and numbers.
pub(crate) type Named = (String, Vec<usize>, Vec<f32>);

impl Policy {
    /// The policy as safetensors.
    ///
    /// # Errors
    /// If its body is not layers in f32, with a recurrent cell or without one.
    pub fn to_safetensors(&self) -> Result<Vec<u8>, Error> {
        write(self, &[])
    }

    /// Reads a policy from safetensors. Tensors with other names than those of layers are passed over.
    ///
    /// # Errors
    /// If they are damaged, do not say what the policy is beside its tensors, or the parts do not fit together.
    pub fn from_safetensors(bytes: &[u8]) -> Result<Self, Error> {
        let damaged = |what: String| Error::corrupt(format!("the safetensors are damaged: {what}"));
        let cut_off = || damaged("they end early".to_owned());
        let (length, rest) = bytes.split_first_chunk().ok_or_else(cut_off)?;
        let length = usize::try_from(u64::from_le_bytes(*length)).map_err(|_| cut_off())?;
        let (header, data) = rest.split_at_checked(length).ok_or_else(cut_off)?;
        let mut entries: BTreeMap<String, serde_json::Value> =
            serde_json::from_slice(header).map_err(|e| damaged(format!("the header: {e}")))?;
        let metadata = entries.remove("__metadata__");
        let text = metadata.as_ref().and_then(|metadata| metadata.get(KEY)).and_then(|text| text.as_str());
        let text = text.ok_or_else(|| {
            Error::corrupt(format!(
                "safetensors: expected the text {KEY:?} in their metadata, which says what the policy is beside its tensors; \
                 start from those that apprentice export writes, and keep their metadata"
            ))
        })?;
        let Rest { policy, cell, activations } =
            serde_json::from_str(text).map_err(|e| damaged(format!("the metadata {KEY:?}: {e}")))?;
        let mut take = |name: &str| {
            let entry = entries.remove(name).ok_or_else(|| damaged(format!("there is no tensor {name}")))?;
            let tensor: Tensor = serde_json::from_value(entry).map_err(|e| damaged(format!("{name}: {e}")))?;
            let [start, end] = tensor.data_offsets;
            let numbers = data.get(start..end).ok_or_else(cut_off)?;
            let count = tensor.shape.iter().try_fold(4_usize, |bytes, n| bytes.checked_mul(*n));
            if tensor.dtype != "F32" || count != Some(numbers.len()) {
                return Err(damaged(format!(
                    "{name}: expected F32 of shape {:?}, got {} in {} bytes",
                    tensor.shape,
                    tensor.dtype,
                    numbers.len()
                )));
            }
            let numbers: Vec<f32> = numbers.as_chunks().0.iter().map(|x| f32::from_le_bytes(*x)).collect();
            Ok((tensor.shape, numbers))
        };
        let mut linear = |weight: &str, bias: &str| {
            let (shape, numbers) = take(weight)?;
            let [outputs, inputs] = shape[..] else {
                return Err(damaged(format!("{weight}: expected two dimensions, got {shape:?}")));
            };
            let (shape, biases) = take(bias)?;
            if shape != [outputs] {
                return Err(damaged(format!(
                    "{bias}: expected [{outputs}], as many as the weight has rows, got {shape:?}"
                )));
            }
            Ok((transposed(&numbers, outputs, inputs), biases))
        };
        let mut layers = Vec::new();
        for (i, activation) in activations.into_iter().enumerate() {
            let (weight, bias) = linear(&format!("layers.{i}.weight"), &format!("layers.{i}.bias"))?;
            layers.push(Layer { weight, bias, activation });
        }
        match cell {
            None => Self::new(policy, layers),
            Some(Cell::Gru) => {
                let (weight_x, bias_x) = linear("gru.weight_ih_l0", "gru.bias_ih_l0")?;
                let (weight_h, bias_h) = linear("gru.weight_hh_l0", "gru.bias_hh_l0")?;
                Self::new(policy, Gru { cell: GruCell { weight_x, bias_x, weight_h, bias_h }, layers })
            }
        }
    }
}

/// The policy as safetensors, with some tensors more.
pub(crate) fn write(policy: &Policy, more: &[Named]) -> Result<Vec<u8>, Error> {
    let mut tensors = Vec::new();
    let mut linear = |[weight, bias]: [String; 2], numbers: &[f32], biases: &[f32]| {
        let (inputs, outputs) = (numbers.len() / biases.len(), biases.len());
        tensors.push((weight, vec![outputs, inputs], transposed(numbers, inputs, outputs)));
        tensors.push((bias, vec![outputs], biases.to_vec()));
    };
    let cell = match policy.body() {
        Body::Mlp(_) => None,
        Body::Gru(Gru { cell, .. }) => {
            let names = |of: &str| ["weight", "bias"].map(|kind| format!("gru.{kind}_{of}_l0"));
            linear(names("ih"), &cell.weight_x, &cell.bias_x);
            linear(names("hh"), &cell.weight_h, &cell.bias_h);
            Some(Cell::Gru)
        }
        Body::Tree(_) | Body::Int8(_) => {
            return Err(Error::shape(
                "safetensors: expected a policy of layers in f32; a tree or layers in integers are kept in the policy file",
            ));
        }
    };
    for (i, layer) in policy.layers().iter().enumerate() {
        linear(["weight", "bias"].map(|kind| format!("layers.{i}.{kind}")), &layer.weight, &layer.bias);
    }
    tensors.extend(more.iter().cloned());
    let activations = policy.layers().iter().map(|layer| layer.activation).collect();
    let rest = Rest { policy: policy.header().clone(), cell, activations };
    let text = serde_json::to_string(&rest).expect("a header is plain data");
    let mut header = serde_json::Map::from_iter([("__metadata__".to_owned(), serde_json::json!({ KEY: text }))]);
    let mut data = Vec::new();
    for (name, shape, numbers) in tensors {
        let start = data.len();
        data.extend(numbers.iter().flat_map(|x| x.to_le_bytes()));
        let tensor = Tensor { dtype: "F32".to_owned(), shape, data_offsets: [start, data.len()] };
        header.insert(name, serde_json::to_value(tensor).expect("plain data"));
    }
    let mut header = serde_json::to_vec(&header).expect("plain data");
    // So that the numbers begin at a multiple of eight.
    header.resize(header.len().next_multiple_of(8), b' ');
    Ok([&(header.len() as u64).to_le_bytes()[..], &header, &data].concat())
}

/// A matrix `[rows × columns]` the other way round.
fn transposed(matrix: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..rows * columns).map(|i| matrix[i % rows * columns + i / rows]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{gru_policy, policy, tree_policy};

    #[test]
    fn a_policy_comes_back_whole() {
        for policy in [policy(), gru_policy()] {
            assert_eq!(Policy::from_safetensors(&policy.to_safetensors().unwrap()).unwrap(), policy);
        }
        let bytes = policy().to_safetensors().unwrap();
        assert!(tree_policy().to_safetensors().unwrap_err().is_shape());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("policy.safetensors");
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(Policy::load(&path).unwrap(), policy());
    }

    #[test]
    fn the_layout_is_that_of_the_format() {
        assert_eq!(transposed(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 2, 3), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
        let bytes = policy().to_safetensors().unwrap();
        let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
        let tensor = &header["layers.0.weight"];
        assert_eq!((&tensor["dtype"], &tensor["shape"]), (&"F32".into(), &serde_json::json!([4, 3])));
        let at = tensor["data_offsets"][0].as_u64().unwrap() as usize + 8 + length;
        // Of the first output, the weight of the second input.
        let second = f32::from_le_bytes(bytes[at + 4..at + 8].try_into().unwrap());
        assert_eq!(second, policy().layers()[0].weight[4]);
    }

    #[test]
    fn damaged_tensors_are_errors() {
        let bytes = policy().to_safetensors().unwrap();
        for length in 0..bytes.len() {
            assert!(Policy::from_safetensors(&bytes[..length]).is_err(), "cut to {length}");
        }
        let mut state = 1_u64;
        let mut draw = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % below
        };
        for _ in 0..100_000 {
            let mut changed = bytes.clone();
            for _ in 0..=draw(3) {
                let at = draw(changed.len());
                changed[at] = if draw(2) == 0 { b'0' + draw(10) as u8 } else { draw(256) as u8 };
            }
            // Whatever it says, nothing panics and nothing huge is allocated.
            let _ = Policy::from_safetensors(&changed);
        }
        for (from, to) in [("F32", "F16"), ("[4,3]", "[3,4]"), ("apprentice", "apprentise"), ("layers.1", "layers.7")] {
            let text = bytes.iter().map(|byte| *byte as char).collect::<String>();
            assert!(text.contains(from), "{from}");
            let changed: Vec<u8> = text.replacen(from, to, 1).chars().map(|c| c as u8).collect();
            assert!(Policy::from_safetensors(&changed).is_err(), "{to}");
        }
    }
}
