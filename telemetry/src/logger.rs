use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

use crate::console::Console;
use crate::error::Error;
use crate::jsonl::JsonLines;
use crate::memory::MemoryLog;
use crate::sink::{HparamValue, Image, Sink};
use crate::tensorboard::TensorBoard;

/// Takes what a run has to tell and hands it to every sink.
///
/// No method fails. A sink's first failure becomes one warning on stderr and an
/// entry of [`lost`](Logger::lost), and that sink is dropped. Dropping the
/// logger flushes it.
pub struct Logger {
    sinks: Vec<Box<dyn Sink>>,
    lost: Vec<String>,
    last_step: u64,
}

impl Logger {
    /// Logs to a TensorBoard event file and `metrics.jsonl` in `dir`, which is
    /// made if need be, and to the console unless `quiet`.
    ///
    /// # Errors
    ///
    /// If the directory or a file in it cannot be made or written.
    pub fn run(dir: &Path, quiet: bool) -> Result<Logger, Error> {
        Logger::in_dir(dir, quiet, None)
    }

    /// As [`run`](Logger::run), for a run that goes on in `dir` and logs
    /// `first_step` and all that follow once more, or for the first time.
    /// TensorBoard then shows nothing that was logged of them before.
    ///
    /// `metrics.jsonl` is only appended to: who wants no step there twice cuts
    /// it off first.
    ///
    /// # Errors
    ///
    /// As [`run`](Logger::run).
    pub fn resume(dir: &Path, first_step: u64, quiet: bool) -> Result<Logger, Error> {
        Logger::in_dir(dir, quiet, Some(first_step))
    }

    fn in_dir(dir: &Path, quiet: bool, first_step: Option<u64>) -> Result<Logger, Error> {
        fs::create_dir_all(dir).map_err(|got| Error::new(dir, "a directory, or a place to make one", got))?;
        let events = TensorBoard::create(dir).and_then(|mut events| {
            first_step.map_or(Ok(()), |step| events.forget_from(step))?;
            Ok(events)
        });
        let events = events.map_err(|got| Error::new(dir, "a directory to write event files in", got))?;
        let path = dir.join("metrics.jsonl");
        let lines = JsonLines::append(&path).map_err(|got| Error::new(&path, "a file to append lines to", got))?;
        let mut logger = Logger::console(quiet);
        logger.sinks.push(Box::new(events));
        logger.sinks.push(Box::new(lines));
        Ok(logger)
    }

    /// Logs nothing.
    pub fn none() -> Logger {
        Logger::with_sinks(Vec::new())
    }

    /// Shows progress and messages on stderr; nothing if `quiet`.
    ///
    /// On a terminal this is a progress bar, elsewhere a line about every tenth
    /// of the task.
    pub fn console(quiet: bool) -> Logger {
        let mut logger = Logger::none();
        if !quiet {
            logger.sinks.push(Box::new(Console::on_stderr()));
        }
        logger
    }

    /// Logs to memory, for tests.
    pub fn memory() -> (Logger, MemoryLog) {
        let log = MemoryLog::default();
        (Logger::with_sinks(vec![Box::new(log.clone())]), log)
    }

    /// Logs to sinks of the caller's choice.
    pub fn with_sinks(sinks: Vec<Box<dyn Sink>>) -> Logger {
        Logger { sinks, lost: Vec::new(), last_step: 0 }
    }

    /// Logs one number. It may be NaN or infinite: that is news too.
    pub fn scalar(&mut self, tag: &str, value: f64, step: u64) {
        self.last_step = self.last_step.max(step);
        self.each(|sink| sink.scalar(tag, value, step));
    }

    /// Logs the distribution of `values`. Those that are not finite are left
    /// out, since no bucket is theirs; if none are left, so is the histogram.
    pub fn histogram(&mut self, tag: &str, values: &[f32], step: u64) {
        self.each(|sink| sink.histogram(tag, values, step));
    }

    /// Logs a text, which TensorBoard renders as Markdown.
    pub fn text(&mut self, tag: &str, text: &str, step: u64) {
        self.each(|sink| sink.text(tag, text, step));
    }

    /// Logs a picture. One whose bytes are not `3 · width · height`, or that
    /// has no pixels, is left out with a warning.
    pub fn image(&mut self, tag: &str, image: &Image, step: u64) {
        let expected = 3 * u128::from(image.width) * u128::from(image.height);
        if expected == 0 || image.rgb.len() as u128 != expected {
            let (width, height, got) = (image.width, image.height, image.rgb.len());
            return self.lose(format!(
                "image {tag} left out: expected {width} × {height} pixels of 3 bytes, \
                 at least one, got {got} bytes"
            ));
        }
        self.each(|sink| sink.image(tag, image, step));
    }

    /// Logs the settings of the run beside its results; call it once, at the
    /// end, since TensorBoard heeds only the first of several.
    ///
    /// Each of `final_metrics` is logged as a scalar too, at the last step of
    /// any scalar or of the progress: that is where TensorBoard's HParams page takes it from. Give
    /// it a tag of its own (`final/return`) to keep it out of a curve.
    pub fn hyperparameters(&mut self, values: &[(String, HparamValue)], final_metrics: &[(String, f64)]) {
        self.each(|sink| sink.hyperparameters(values, final_metrics));
        for (tag, value) in final_metrics {
            self.scalar(tag, *value, self.last_step);
        }
    }

    /// Starts the progress display of a task of `total` steps, or whatever `unit` calls them; 0 if unknown.
    pub fn begin(&mut self, task: &str, total: u64, unit: &str) {
        self.each(|sink| sink.begin(task, total, unit));
    }

    /// Moves the progress display to `step`.
    ///
    /// Speed is measured from the first call on, so a resumed run starts with
    /// the step it resumes from.
    pub fn progress(&mut self, step: u64) {
        self.last_step = self.last_step.max(step);
        self.each(|sink| sink.progress(step));
    }

    /// Ends the progress display, wherever it stands.
    pub fn finish(&mut self) {
        self.each(|sink| sink.finish());
    }

    /// Prints a line on stderr, above the progress bar if there is one. A
    /// logger without a console, as a quiet one, prints nothing.
    pub fn message(&mut self, text: &str) {
        self.each(|sink| sink.message(text));
    }

    /// Hands everything to the system, for TensorBoard and others to read while
    /// the run goes on. Once per update of the policy is often enough.
    pub fn flush(&mut self) {
        self.each(|sink| sink.flush());
    }

    /// What has been lost so far, one sentence each.
    pub fn lost(&self) -> &[String] {
        &self.lost
    }

    fn each(&mut self, mut call: impl FnMut(&mut dyn Sink) -> io::Result<()>) {
        let mut losses = Vec::new();
        self.sinks.retain_mut(|sink| match call(sink.as_mut()) {
            Ok(()) => true,
            Err(cause) => {
                losses.push(format!("logging to {} stopped: {cause}", sink.name()));
                false
            }
        });
        for loss in losses {
            self.lose(loss);
        }
    }

    /// Warns that something was lost without which the run goes on, once for each
    /// text, even where nothing else is shown.
    pub fn lose(&mut self, loss: String) {
        // The same bad picture at every step is one piece of news.
        if self.lost.contains(&loss) {
            return;
        }
        let warning = format!("warning: {loss}; the run goes on");
        self.lost.push(loss);
        if !self.sinks.iter().any(|sink| sink.shows_messages()) {
            // Not `eprintln!`, which panics where stderr is closed.
            let _ = writeln!(io::stderr(), "{warning}");
        }
        // A sink that fails at this comes back here; each can only do so once.
        self.message(&warning);
    }
}

impl fmt::Debug for Logger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sinks: Vec<&str> = self.sinks.iter().map(|sink| sink.name()).collect();
        f.debug_struct("Logger").field("sinks", &sinks).field("lost", &self.lost).finish_non_exhaustive()
    }
}

impl Drop for Logger {
    fn drop(&mut self) {
        self.flush();
    }
}

#[cfg(test)]
mod tests;
