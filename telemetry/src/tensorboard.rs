//! TensorBoard event files.
//!
//! Records are framed and summaries typed by `tensorboard-rs`, but its writers
//! are passed over. `EventFileWriter` moves the file to a thread of its own
//! where any I/O error is a panic, after which the next call panics here; its
//! `flush` returns before the data is written; and two writers made in one
//! second truncate each other's file. `RecordWriter`, one layer down, works on
//! any `Write` and returns its errors, so this module owns the file.

mod histogram;
mod hparams;
mod summary;

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process;

use protobuf::Message;
use tensorboard_proto::event::Event;
use tensorboard_proto::summary::Summary;
use tensorboard_rs::record_writer::RecordWriter;
use tensorboard_rs::summary::scalar;

use crate::sink::{HparamValue, Image, Sink, wall_time};

/// Writes one event file.
pub(crate) struct TensorBoard {
    name: String,
    records: RecordWriter<Box<dyn Write + Send>>,
    started: f64,
}

impl TensorBoard {
    /// Starts a new event file in `dir`.
    pub(crate) fn create(dir: &Path) -> io::Result<TensorBoard> {
        let (path, file) = create_event_file(dir, wall_time() as u64)?;
        TensorBoard::over(path.display().to_string(), BufWriter::new(file))
    }

    fn over(name: String, out: impl Write + Send + 'static) -> io::Result<TensorBoard> {
        let mut writer = TensorBoard { name, records: RecordWriter::new(Box::new(out)), started: wall_time() };
        let mut version = Event::new();
        version.set_file_version("brain.Event:2".to_owned());
        writer.event(version)?;
        writer.flush()?;
        Ok(writer)
    }

    fn event(&mut self, mut event: Event) -> io::Result<()> {
        event.set_wall_time(wall_time());
        let bytes = event.write_to_bytes().map_err(io::Error::other)?;
        self.records.write(&bytes)
    }

    fn summary(&mut self, summary: Summary, step: u64) -> io::Result<()> {
        let mut event = Event::new();
        event.set_step(i64::try_from(step).unwrap_or(i64::MAX));
        event.set_summary(summary);
        self.event(event)
    }
}

/// Makes an event file no one else has: TensorBoard reads all those of a
/// directory, in the order of their names.
fn create_event_file(dir: &Path, second: u64) -> io::Result<(PathBuf, File)> {
    let pid = process::id();
    let mut number = 0;
    loop {
        let path = dir.join(format!("events.out.tfevents.{second:010}.apprentice.{pid}.{number}"));
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(file) => return Ok((path, file)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(error),
        }
    }
}

impl Sink for TensorBoard {
    fn name(&self) -> &str {
        &self.name
    }

    fn scalar(&mut self, tag: &str, value: f64, step: u64) -> io::Result<()> {
        self.summary(scalar(tag, value as f32), step)
    }

    fn histogram(&mut self, tag: &str, values: &[f32], step: u64) -> io::Result<()> {
        match histogram::histogram(tag, values) {
            Some(summary) => self.summary(summary, step),
            None => Ok(()),
        }
    }

    fn text(&mut self, tag: &str, text: &str, step: u64) -> io::Result<()> {
        self.summary(summary::text(tag, text), step)
    }

    fn image(&mut self, tag: &str, image: &Image, step: u64) -> io::Result<()> {
        self.summary(summary::image(tag, image)?, step)
    }

    fn hyperparameters(&mut self, values: &[(String, HparamValue)], final_metrics: &[(String, f64)]) -> io::Result<()> {
        for summary in hparams::summaries(values, final_metrics, self.started)? {
            self.summary(summary, 0)?;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.records.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use tensorboard_rs::masked_crc32c::masked_crc32c;

    /// Takes a file apart again, checking its lengths and checksums.
    fn read_events(mut bytes: &[u8]) -> Vec<Event> {
        let mut events = Vec::new();
        while !bytes.is_empty() {
            let (length, rest) = bytes.split_at(8);
            let (length_crc, rest) = rest.split_at(4);
            assert_eq!(length_crc, masked_crc32c(length).to_le_bytes());
            let length = u64::from_le_bytes(length.try_into().unwrap());
            let (data, rest) = rest.split_at(length as usize);
            let (data_crc, rest) = rest.split_at(4);
            assert_eq!(data_crc, masked_crc32c(data).to_le_bytes());
            events.push(Event::parse_from_bytes(data).unwrap());
            bytes = rest;
        }
        events
    }

    #[test]
    fn a_flush_makes_scalars_readable_while_the_run_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let mut sink = TensorBoard::create(dir.path()).unwrap();
        let values = [0.1, f64::NAN, f64::INFINITY, 1e300, -0.0];
        for (step, value) in values.into_iter().enumerate() {
            sink.scalar("x", value, step as u64).unwrap();
        }
        sink.flush().unwrap();
        let events = read_events(&fs::read(sink.name()).unwrap());
        assert_eq!(events[0].get_file_version(), "brain.Event:2");
        assert_eq!(events.len(), 1 + values.len());
        for (step, (event, value)) in events[1..].iter().zip(values).enumerate() {
            let written = &event.get_summary().get_value()[0];
            assert_eq!(event.get_step(), step as i64);
            assert_eq!(written.get_tag(), "x");
            let (got, expected) = (written.get_simple_value(), value as f32);
            assert!(got.to_bits() == expected.to_bits() || got.is_nan() && expected.is_nan());
        }
    }

    #[test]
    fn a_name_already_taken_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (first, _) = create_event_file(dir.path(), 7).unwrap();
        fs::write(&first, "kept").unwrap();
        let (second, _) = create_event_file(dir.path(), 7).unwrap();
        assert_ne!(first, second);
        assert_eq!(fs::read(&first).unwrap(), b"kept");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_an_error_and_no_panic() {
        let full = || OpenOptions::new().write(true).open("/dev/full").unwrap();
        let Err(error) = TensorBoard::over("full".to_owned(), full()) else {
            panic!("the version record went to a full disk");
        };
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);

        // A disk that fills up later: the file is swapped behind the sink.
        let mut sink = TensorBoard::over("late".to_owned(), io::sink()).unwrap();
        sink.records = RecordWriter::new(Box::new(BufWriter::new(full())));
        sink.scalar("x", 1.0, 1).unwrap();
        let error = sink.flush().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }
}
