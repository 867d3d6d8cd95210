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

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process;

use protobuf::Message;
use tensorboard_proto::event::{Event, SessionLog, SessionLog_SessionStatus};
use tensorboard_proto::summary::Summary;
use tensorboard_rs::record_writer::RecordWriter;
use tensorboard_rs::summary::scalar;

use crate::sink::{HparamValue, Image, Sink, wall_time};

/// What the names of event files begin with.
const PREFIX: &str = "events.out.tfevents.";

/// Writes one event file.
pub(crate) struct TensorBoard {
    name: String,
    records: RecordWriter<Box<dyn Write + Send>>,
    started: f64,
}

impl TensorBoard {
    /// Starts a new event file in `dir`.
    pub(crate) fn create(dir: &Path) -> io::Result<TensorBoard> {
        let second = (wall_time() as u64).max(later_than_all(dir)?);
        let (path, file) = create_event_file(dir, second)?;
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

    /// Has TensorBoard forget what earlier files hold of `step` and later ones.
    /// It takes the start of a session as a restart from there.
    pub(crate) fn forget_from(&mut self, step: u64) -> io::Result<()> {
        let mut session = SessionLog::new();
        session.set_status(SessionLog_SessionStatus::START);
        let mut event = at(step);
        event.set_session_log(session);
        self.event(event)?;
        self.flush()
    }

    fn event(&mut self, mut event: Event) -> io::Result<()> {
        event.set_wall_time(wall_time());
        let bytes = event.write_to_bytes().map_err(io::Error::other)?;
        self.records.write(&bytes)
    }

    fn summary(&mut self, summary: Summary, step: u64) -> io::Result<()> {
        let mut event = at(step);
        event.set_summary(summary);
        self.event(event)
    }
}

fn at(step: u64) -> Event {
    let mut event = Event::new();
    event.set_step(i64::try_from(step).unwrap_or(i64::MAX));
    event
}

/// The first second after those in the names of event files. A file named with
/// it is read last, even where the clock was set back or a run is gone on with
/// in the second it began in.
fn later_than_all(dir: &Path) -> io::Result<u64> {
    let mut later = 0;
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        let second = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split('.').next()?.parse::<u64>().ok());
        later = later.max(second.map_or(0, |second| second.saturating_add(1)));
    }
    Ok(later)
}

/// Makes an event file no one else has: TensorBoard reads all those of a
/// directory, in the order of their names.
fn create_event_file(dir: &Path, second: u64) -> io::Result<(PathBuf, File)> {
    let pid = process::id();
    let mut number = 0;
    loop {
        let path = dir.join(format!("{PREFIX}{second:010}.apprentice.{pid}.{number}"));
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
    use std::collections::BTreeSet;
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

    /// The scalars that TensorBoard shows of a directory: it reads the files in
    /// the order of their names, and the start of a session takes away what came
    /// before it and is not of an earlier step.
    fn shown(dir: &Path) -> Vec<(i64, f32)> {
        let paths: BTreeSet<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
        let mut shown = Vec::new();
        for event in paths.iter().flat_map(|path| read_events(&fs::read(path).unwrap())) {
            if event.get_session_log().get_status() == SessionLog_SessionStatus::START {
                shown.retain(|(step, _)| *step < event.get_step());
            }
            let values = event.get_summary().get_value();
            shown.extend(values.iter().map(|value| (event.get_step(), value.get_simple_value())));
        }
        shown
    }

    #[test]
    fn what_is_logged_again_is_shown_once() {
        let dir = tempfile::tempdir().unwrap();
        // Of another machine, whose clock was ahead of this one.
        let ahead = wall_time() as u64 + 1000;
        let (_, file) = create_event_file(dir.path(), ahead).unwrap();
        let mut sink = TensorBoard::over("ahead".to_owned(), file).unwrap();
        for step in 0..6 {
            sink.scalar("x", 1.0, step).unwrap();
        }
        sink.flush().unwrap();
        // Gone on with twice in the same second.
        for (value, first) in [(2.0, 4), (3.0, 3)] {
            let mut sink = TensorBoard::create(dir.path()).unwrap();
            sink.forget_from(first).unwrap();
            for step in first..5 {
                sink.scalar("x", value, step).unwrap();
            }
            sink.flush().unwrap();
        }
        assert_eq!(shown(dir.path()), [(0, 1.0), (1, 1.0), (2, 1.0), (3, 3.0), (4, 3.0)]);
        // And begun anew.
        TensorBoard::create(dir.path()).unwrap().forget_from(0).unwrap();
        assert_eq!(shown(dir.path()), []);
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
