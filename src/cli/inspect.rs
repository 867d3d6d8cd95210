//! `apprentice inspect`: what a policy file holds.

use super::{Failure, Output, load_policy};
use crate::deploy::{Body, Header, Layer, LayerShape, Policy};
use clap::Args;
use serde::Serialize;
use std::path::PathBuf;

#[derive(Args)]
pub(super) struct Inspect {
    /// The policy: a file, or the run directory that holds one.
    #[arg(value_name = "FILE")]
    policy: PathBuf,
    #[command(flatten)]
    output: Output,
}

#[derive(Serialize)]
struct Inspected<'a> {
    checksum: String,
    bytes: usize,
    parameters: usize,
    macs: usize,
    body: Shape,
    #[serde(flatten)]
    header: &'a Header,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Shape {
    Mlp { layers: Vec<LayerShape> },
    Tree { nodes: usize, depth: usize },
    Int8 { layers: Vec<LayerShape> },
    Gru { features: usize, units: usize, layers: Vec<LayerShape> },
}

impl Inspect {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let (policy, _) = load_policy(&self.policy)?;
        let inspected = Inspected::new(&policy);
        self.output.print(&inspected, || inspected.text())
    }
}

impl<'a> Inspected<'a> {
    fn new(policy: &'a Policy) -> Self {
        let shapes = |layers: &[Layer]| layers.iter().map(Layer::shape).collect();
        Self {
            checksum: policy.checksum(),
            bytes: policy.bytes(),
            parameters: policy.parameters(),
            macs: policy.macs(),
            body: match policy.body() {
                Body::Mlp(layers) => Shape::Mlp { layers: shapes(layers) },
                Body::Tree(tree) => Shape::Tree { nodes: tree.nodes(), depth: tree.depth() },
                Body::Gru(gru) => {
                    Shape::Gru { features: gru.cell.features(), units: gru.cell.units(), layers: shapes(&gru.layers) }
                }
                Body::Int8(int8) => Shape::Int8 { layers: int8.layers.iter().map(|layer| layer.shape()).collect() },
            },
            header: policy.header(),
        }
    }

    fn text(&self) -> String {
        let Header { environment, observation, normalizer, action, masked, provenance } = self.header;
        let list = |layers: &[LayerShape]| {
            let layer = |s: &LayerShape| format!("{} → {} {:?}", s.inputs, s.outputs, s.activation).to_lowercase();
            layers.iter().map(layer).collect::<Vec<_>>().join(", ")
        };
        let body = match &self.body {
            Shape::Mlp { layers } => list(layers),
            Shape::Int8 { layers } => format!("{}, in integers", list(layers)),
            Shape::Gru { features, units, layers } => format!("{features} → {units} gru, {}", list(layers)),
            Shape::Tree { nodes, depth } => format!("a tree of {nodes} nodes, {depth} deep"),
        };
        let teacher = provenance.teacher.as_ref().map(|teacher| format!(" of teacher {}", teacher.checksum));
        format!(
            "{} for {} by {}, seed {}, {} steps{}\n\
             file         {} bytes, checksum {}\n\
             observation  {observation}{}\n\
             body         {body}; {} parameters\n\
             action       {action}{}\n\
             environment  {}\n",
            provenance.role,
            environment.id,
            provenance.algorithm,
            provenance.seed,
            provenance.train_steps,
            teacher.unwrap_or_default(),
            self.bytes,
            self.checksum,
            if normalizer.is_some() { ", normalised" } else { "" },
            self.parameters,
            if *masked { ", among those that a mask allows" } else { "" },
            serde_json::to_string(environment).expect("a header is plain data")
        )
    }
}
