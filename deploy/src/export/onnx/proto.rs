//! The few messages of ONNX that a policy needs, in the wire format of protocol buffers.
//!
//! A message is a sequence of fields: a key, which is number · 8 + type, and a value: a variable-length integer (type 0),
//! four bytes (type 5), or a length and so many bytes (type 2: strings, other messages, packed numbers). The numbers are
//! those of `onnx.proto`, which never change.

/// A message as it is written.
#[derive(Clone, Default)]
pub(super) struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 128 {
            self.0.push(value as u8 | 128);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn int(mut self, field: u64, value: i64) -> Self {
        self.varint(field << 3);
        self.varint(value as u64);
        self
    }

    fn bytes(mut self, field: u64, value: &[u8]) -> Self {
        self.varint(field << 3 | 2);
        self.varint(value.len() as u64);
        self.0.extend(value);
        self
    }

    fn float(mut self, field: u64, value: f32) -> Self {
        self.varint(field << 3 | 5);
        self.0.extend(value.to_le_bytes());
        self
    }

    fn all(self, field: u64, messages: impl IntoIterator<Item = Self>) -> Self {
        messages.into_iter().fold(self, |message, part| message.bytes(field, &part.0))
    }

    fn ints(self, field: u64, values: &[i64]) -> Self {
        values.iter().fold(self, |message, value| message.int(field, *value))
    }
}

/// The types of tensors.
#[derive(Clone, Copy)]
pub(super) enum Type {
    Float = 1,
    Int64 = 7,
    Bool = 9,
}

pub(super) fn floats(name: &str, dims: &[usize], values: &[f32]) -> Message {
    tensor(name, dims, Type::Float, values.iter().flat_map(|x| x.to_le_bytes()).collect())
}

pub(super) fn ints(name: &str, dims: &[usize], values: &[i64]) -> Message {
    tensor(name, dims, Type::Int64, values.iter().flat_map(|x| x.to_le_bytes()).collect())
}

fn tensor(name: &str, dims: &[usize], kind: Type, raw: Vec<u8>) -> Message {
    let dims: Vec<i64> = dims.iter().map(|n| *n as i64).collect();
    Message::default().ints(1, &dims).int(2, kind as i64).bytes(8, name.as_bytes()).bytes(9, &raw)
}

/// An input or output `[batch, width]` of a graph.
pub(super) fn value(name: &str, kind: Type, width: usize) -> Message {
    let batch = Message::default().bytes(2, b"batch");
    let width = Message::default().int(1, width as i64);
    let shape = Message::default().all(1, [batch, width]);
    let tensor = Message::default().int(1, kind as i64).bytes(2, &shape.0);
    let kind = Message::default().bytes(1, &tensor.0);
    Message::default().bytes(1, name.as_bytes()).bytes(2, &kind.0)
}

/// An attribute of a node.
pub(super) enum Attribute<'a> {
    Int(i64),
    Ints(Vec<i64>),
    Floats(Vec<f32>),
    Text(&'a str),
    Texts(Vec<&'a str>),
}

impl Attribute<'_> {
    fn message(&self, name: &str) -> Message {
        let message = Message::default().bytes(1, name.as_bytes());
        match self {
            Self::Int(value) => message.int(3, *value).int(20, 2),
            Self::Ints(values) => message.ints(8, values).int(20, 7),
            Self::Floats(values) => values.iter().fold(message, |message, x| message.float(7, *x)).int(20, 6),
            Self::Text(text) => message.bytes(4, text.as_bytes()).int(20, 3),
            Self::Texts(texts) => {
                texts.iter().fold(message, |message, text| message.bytes(9, text.as_bytes())).int(20, 8)
            }
        }
    }
}

pub(super) fn node(
    domain: &str,
    operator: &str,
    inputs: &[&str],
    output: &str,
    attributes: &[(&str, Attribute<'_>)],
) -> Message {
    let message = inputs.iter().fold(Message::default(), |message, input| message.bytes(1, input.as_bytes()));
    message
        .bytes(2, output.as_bytes())
        .bytes(3, output.as_bytes())
        .bytes(4, operator.as_bytes())
        .all(5, attributes.iter().map(|(name, attribute)| attribute.message(name)))
        .bytes(7, domain.as_bytes())
}

/// A graph's parts.
#[derive(Default)]
pub(super) struct Graph {
    pub(super) nodes: Vec<Message>,
    pub(super) constants: Vec<Message>,
    pub(super) inputs: Vec<Message>,
    pub(super) outputs: Vec<Message>,
}

/// A model file. `domains` are the operator sets by name and version; `metadata` are keys and texts.
pub(super) fn model(name: &str, graph: Graph, domains: &[(&str, i64)], metadata: &[(&str, String)]) -> Vec<u8> {
    /// The version of the format that came with operator set 13.
    const IR_VERSION: i64 = 7;
    let graph = Message::default()
        .all(1, graph.nodes)
        .bytes(2, name.as_bytes())
        .all(5, graph.constants)
        .all(11, graph.inputs)
        .all(12, graph.outputs);
    let domain = |(name, version): &(&str, i64)| Message::default().bytes(1, name.as_bytes()).int(2, *version);
    let entry = |(key, text): &(&str, String)| Message::default().bytes(1, key.as_bytes()).bytes(2, text.as_bytes());
    Message::default()
        .int(1, IR_VERSION)
        .bytes(2, b"apprentice")
        .bytes(3, env!("CARGO_PKG_VERSION").as_bytes())
        .bytes(7, &graph.0)
        .all(8, domains.iter().map(domain))
        .all(14, metadata.iter().map(entry))
        .0
}
