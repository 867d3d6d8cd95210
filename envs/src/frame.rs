//! A rendered picture.

/// A picture of the environment, 8 bits a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// `height × width × 3` bytes: red, green, blue; rows from the top.
    pub rgb: Vec<u8>,
}
