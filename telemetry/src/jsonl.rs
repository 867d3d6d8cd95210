//! Scalars and texts as JSON lines.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use crate::sink::{Sink, wall_time};

/// Lines are handed to the system when this many bytes have come together.
const BUFFER_BYTES: usize = 8 * 1024;

/// Appends to a file of JSON lines.
///
/// The buffer holds whole lines only and the file is open for appending, so two
/// writers of one file mix their lines but never tear them.
pub(crate) struct JsonLines {
    name: String,
    file: File,
    buffer: Vec<u8>,
}

#[derive(Serialize)]
struct Line<'a> {
    step: u64,
    tag: &'a str,
    #[serde(flatten)]
    content: Content<'a>,
    wall_time: f64,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Content<'a> {
    Value(Value),
    Text(&'a str),
}

impl JsonLines {
    /// Opens the file, which need not exist, to write after what it holds.
    pub(crate) fn append(path: &Path) -> io::Result<JsonLines> {
        let mut file = OpenOptions::new().create(true).read(true).append(true).open(path)?;
        let mut buffer = Vec::with_capacity(BUFFER_BYTES);
        if ends_in_a_torn_line(&mut file)? {
            buffer.push(b'\n');
        }
        Ok(JsonLines { name: path.display().to_string(), file, buffer })
    }

    fn line(&mut self, tag: &str, step: u64, content: Content<'_>) -> io::Result<()> {
        let line = Line { step, tag, content, wall_time: wall_time() };
        serde_json::to_writer(&mut self.buffer, &line)?;
        self.buffer.push(b'\n');
        if self.buffer.len() >= BUFFER_BYTES {
            self.flush()?;
        }
        Ok(())
    }
}

/// Whether an earlier writer was cut off, by a full disk say, within a line.
fn ends_in_a_torn_line(file: &mut File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(false);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

/// A number, or the name of one that JSON cannot write.
fn json_number(value: f64) -> Value {
    if value.is_finite() {
        value.into()
    } else if value.is_nan() {
        "NaN".into()
    } else if value > 0.0 {
        "Infinity".into()
    } else {
        "-Infinity".into()
    }
}

impl Sink for JsonLines {
    fn name(&self) -> &str {
        &self.name
    }

    fn scalar(&mut self, tag: &str, value: f64, step: u64) -> io::Result<()> {
        self.line(tag, step, Content::Value(json_number(value)))
    }

    fn text(&mut self, tag: &str, text: &str, step: u64) -> io::Result<()> {
        self.line(tag, step, Content::Text(text))
    }

    fn flush(&mut self) -> io::Result<()> {
        let written = self.file.write_all(&self.buffer);
        // Emptied on failure too: a second attempt, in `drop`, could write
        // again the part that did reach the file.
        self.buffer.clear();
        written
    }
}

impl Drop for JsonLines {
    fn drop(&mut self) {
        // Whoever wants to know of a failure flushes first, as the logger does.
        let _ = self.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn read_back(path: &Path) -> Vec<Value> {
        let text = fs::read_to_string(path).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn floats_round_trip_to_the_bit() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("metrics.jsonl");
        let values = [0.0, -0.0, 0.1, 1.0 / 3.0, f64::MAX, f64::MIN_POSITIVE, 5e-324, -1e300, 123_456_789.0];
        let mut sink = JsonLines::append(&path).unwrap();
        for (step, value) in values.into_iter().enumerate() {
            sink.scalar("x", value, step as u64).unwrap();
        }
        drop(sink);
        let lines = read_back(&path);
        assert_eq!(lines.len(), values.len());
        for (line, value) in lines.iter().zip(values) {
            let read = line["value"].as_f64().unwrap();
            assert_eq!(read.to_bits(), value.to_bits(), "{value}");
        }
    }

    #[test]
    fn a_line_has_the_documented_keys_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("metrics.jsonl");
        let mut sink = JsonLines::append(&path).unwrap();
        sink.scalar("a/b", f64::NAN, 7).unwrap();
        sink.scalar("a/b", f64::INFINITY, 8).unwrap();
        sink.scalar("a/b", f64::NEG_INFINITY, u64::MAX).unwrap();
        sink.text("note", "two\nlines", 9).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"", "buffered until the flush");
        sink.flush().unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let starts = [
            r#"{"step":7,"tag":"a/b","value":"NaN","wall_time":"#,
            r#"{"step":8,"tag":"a/b","value":"Infinity","wall_time":"#,
            r#"{"step":18446744073709551615,"tag":"a/b","value":"-Infinity","wall_time":"#,
            r#"{"step":9,"tag":"note","text":"two\nlines","wall_time":"#,
        ];
        assert_eq!(text.lines().count(), starts.len());
        for (line, start) in text.lines().zip(starts) {
            assert!(line.starts_with(start), "{line}");
        }
    }

    #[test]
    fn a_torn_line_stays_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("metrics.jsonl");
        fs::write(&path, "{\"step\":1}\n{\"st").unwrap();
        let mut sink = JsonLines::append(&path).unwrap();
        sink.scalar("x", 1.0, 2).unwrap();
        drop(sink);
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[1], "{\"st");
        assert!(lines[2].starts_with(r#"{"step":2,"#));
    }
}
