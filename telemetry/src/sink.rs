use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

/// A place where logged things go.
///
/// Every method but [`name`](Sink::name) does nothing by default, so a sink
/// implements what it can keep. The first error it returns is reported by the
/// [`Logger`](crate::Logger), which then drops the sink.
#[expect(unused_variables, reason = "the defaults ignore what implementations use, and the names are documentation")]
pub trait Sink: Send {
    /// What is lost if this sink fails, as in "logging to *name* stopped".
    fn name(&self) -> &str;

    /// Takes one number.
    fn scalar(&mut self, tag: &str, value: f64, step: u64) -> io::Result<()> {
        Ok(())
    }

    /// Takes the values whose distribution is of interest.
    fn histogram(&mut self, tag: &str, values: &[f32], step: u64) -> io::Result<()> {
        Ok(())
    }

    /// Takes a text, which may be Markdown.
    fn text(&mut self, tag: &str, text: &str, step: u64) -> io::Result<()> {
        Ok(())
    }

    /// Takes a picture; the logger has checked that its parts agree.
    fn image(&mut self, tag: &str, image: &Image, step: u64) -> io::Result<()> {
        Ok(())
    }

    /// Takes the settings of the run and the names and values of its results.
    ///
    /// The logger passes the results on as scalars too.
    fn hyperparameters(&mut self, values: &[(String, HparamValue)], final_metrics: &[(String, f64)]) -> io::Result<()> {
        Ok(())
    }

    /// A task of `total` steps, or whatever `unit` calls them, begins.
    fn begin(&mut self, task: &str, total: u64, unit: &str) -> io::Result<()> {
        Ok(())
    }

    /// The task has come to `step`.
    fn progress(&mut self, step: u64) -> io::Result<()> {
        Ok(())
    }

    /// The task is over, complete or not.
    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Takes a line for the person who watches the run.
    fn message(&mut self, text: &str) -> io::Result<()> {
        Ok(())
    }

    /// Whether a person sees what [`message`](Sink::message) takes.
    ///
    /// Where no sink says so, the logger writes its warnings to stderr itself.
    fn shows_messages(&self) -> bool {
        false
    }

    /// Makes everything taken so far visible to whoever reads along.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The value of one setting of a run.
#[derive(Debug, Clone, PartialEq)]
pub enum HparamValue {
    /// A number, such as a learning rate.
    Number(f64),
    /// A choice by name, such as an algorithm.
    Text(String),
    /// A switch.
    Bool(bool),
}

/// A picture of 8-bit red, green and blue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Pixels in a row; at least one.
    pub width: u32,
    /// Rows; at least one.
    pub height: u32,
    /// Three bytes a pixel, row by row from the top: `3 · width · height`.
    pub rgb: Vec<u8>,
}

/// Seconds since 1970, as log records carry them.
pub(crate) fn wall_time() -> f64 {
    // A clock before 1970 is no reason to stop a run.
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}
