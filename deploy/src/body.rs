//! What a policy computes its outputs with.

use crate::{Activation, Error, Gru, Int8, LayerShape, Tree};

/// From features to outputs.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// Layers, first to last: a multi-layer perceptron.
    Mlp(Vec<Layer>),
    /// A decision tree.
    Tree(Tree),
    /// Layers in integers.
    Int8(Int8),
    /// A recurrent cell, which remembers the episode so far, and layers.
    Gru(Gru),
}

/// A linear layer and what follows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// `[inputs × outputs]`, row-major.
    pub weight: Vec<f32>,
    /// `[outputs]`.
    pub bias: Vec<f32>,
    /// Applied to every output.
    pub activation: Activation,
}

impl Layer {
    /// Inputs of the layer.
    pub fn inputs(&self) -> usize {
        self.weight.len() / self.bias.len().max(1)
    }

    /// Outputs of the layer.
    pub fn outputs(&self) -> usize {
        self.bias.len()
    }

    /// The layer without its numbers.
    pub fn shape(&self) -> LayerShape {
        LayerShape { inputs: self.inputs(), outputs: self.outputs(), activation: self.activation }
    }
}

impl From<Vec<Layer>> for Body {
    fn from(layers: Vec<Layer>) -> Self {
        Self::Mlp(layers)
    }
}

impl From<Int8> for Body {
    fn from(int8: Int8) -> Self {
        Self::Int8(int8)
    }
}

impl From<Gru> for Body {
    fn from(gru: Gru) -> Self {
        Self::Gru(gru)
    }
}

impl From<Tree> for Body {
    fn from(tree: Tree) -> Self {
        Self::Tree(tree)
    }
}

impl Body {
    /// The number of weights and biases; of a tree, of thresholds and outputs in leaves.
    pub fn parameters(&self) -> usize {
        let numbers = |layers: &[Layer]| layers.iter().map(|layer| layer.weight.len() + layer.bias.len()).sum();
        match self {
            Self::Mlp(layers) => numbers(layers),
            Self::Tree(tree) => tree.splits.len() + tree.leaves.len(),
            Self::Int8(int8) => int8.layers.iter().map(|layer| layer.weight.len() + layer.bias.len()).sum(),
            Self::Gru(gru) => gru.cell.parts().map(<[f32]>::len).iter().sum::<usize>() + numbers(&gru.layers),
        }
    }

    /// Multiply-adds from features to outputs: one for each weight. A tree compares instead: at most its depth.
    pub fn macs(&self) -> usize {
        let weights = |layers: &[Layer]| layers.iter().map(|layer| layer.weight.len()).sum();
        match self {
            Self::Mlp(layers) => weights(layers),
            Self::Tree(tree) => tree.depth(),
            Self::Int8(int8) => int8.layers.iter().map(|layer| layer.weight.len()).sum(),
            Self::Gru(Gru { cell, layers }) => cell.weight_x.len() + cell.weight_h.len() + weights(layers),
        }
    }

    /// The layers in f32, first to last: of a recurrent body those behind its cell; none of a tree or in integers.
    pub fn layers(&self) -> &[Layer] {
        match self {
            Self::Mlp(layers) | Self::Gru(Gru { layers, .. }) => layers,
            Self::Tree(_) | Self::Int8(_) => &[],
        }
    }

    /// How many numbers are remembered from one observation of an episode to the next; 0 without a recurrent cell.
    pub fn memory_len(&self) -> usize {
        match self {
            Self::Gru(gru) => gru.cell.units(),
            Self::Mlp(_) | Self::Tree(_) | Self::Int8(_) => 0,
        }
    }

    /// Refuses what does not lead from `inputs` features to `outputs` finite outputs.
    pub(crate) fn check(&self, inputs: usize, outputs: usize) -> Result<(), Error> {
        match self {
            Self::Mlp(layers) => check_layers(layers, inputs, outputs),
            Self::Tree(tree) => tree.check(inputs, outputs),
            Self::Int8(int8) => int8.check(inputs, outputs),
            Self::Gru(gru) => gru.check(inputs, outputs),
        }
    }
}

/// Refuses layers that do not lead from `inputs` numbers to `outputs` finite ones.
pub(crate) fn check_layers(layers: &[Layer], inputs: usize, outputs: usize) -> Result<(), Error> {
    let mut width = inputs;
    for (i, layer) in layers.iter().enumerate() {
        let (rows, columns) = (layer.inputs(), layer.outputs());
        if rows != width || columns == 0 || layer.weight.len() != rows * columns {
            return Err(Error::shape(format!(
                "layer {i}: expected {width} × outputs weights and as many biases as outputs (at least 1), got {} \
                 weights and {columns} biases",
                layer.weight.len()
            )));
        }
        if !layer.weight.iter().chain(&layer.bias).all(|x| x.is_finite()) {
            return Err(Error::shape(format!("layer {i}: a weight or bias is not finite")));
        }
        width = columns;
    }
    if layers.is_empty() || width != outputs {
        return Err(Error::shape(format!(
            "expected at least one layer from {inputs} inputs to {outputs} outputs, got {} layers that end with {width}",
            layers.len()
        )));
    }
    Ok(())
}
