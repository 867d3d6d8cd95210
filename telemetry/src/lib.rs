//! One logger for a training run, with TensorBoard, JSON lines and the console
//! behind it.
//!
//! A [`Logger`] takes scalars, histograms, text, images and hyperparameters and
//! hands each of them to its sinks. Its methods cannot fail: a sink that can no
//! longer write (a full disk, a directory that went away) is reported once on
//! stderr, kept in [`Logger::lost`] and dropped, and the run goes on.
//!
//! ```
//! use apprentice_telemetry::Logger;
//! # let dir = tempfile::tempdir()?;
//! # let run_dir = dir.path();
//! let mut log = Logger::run(run_dir, true)?; // quiet: no console
//! log.begin("ppo on cartpole", 1_000, "steps");
//! for step in (0..=1_000).step_by(100) {
//!     log.scalar("charts/episodic_return", step as f64 / 5.0, step);
//!     log.progress(step);
//! }
//! log.finish();
//! log.flush(); // TensorBoard and a reader of metrics.jsonl see it all now
//! assert!(log.lost().is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What a run directory holds
//!
//! * `metrics.jsonl`: every scalar and text, one JSON object a line:
//!   `{"step":2048,"tag":"charts/SPS","value":5120.5,"wall_time":1718000000.25}`.
//!   Numbers are the full `f64` and read back to the same bits. JSON has no
//!   word for the others, so they are the strings `"NaN"`, `"Infinity"` and
//!   `"-Infinity"`. A text has the key `text` in place of `value`.
//! * `events.out.tfevents.*`: the same for TensorBoard, and the histograms,
//!   images and hyperparameters as well. TensorBoard's scalars are `f32`, so a
//!   value there is the one in `metrics.jsonl` rounded to the nearest `f32`
//!   (beyond its range: infinite).
//!
//! A second logger in the same directory appends to the first file and adds a
//! second of the other kind; neither loses anything. For a resumed run, which
//! logs some steps again, [`Logger::resume`] begins that second file with word to
//! TensorBoard to show those steps only once.
//!
//! # When not to use it
//!
//! * For results that must not be lost, such as checkpoints or the final
//!   evaluation: write those to a file of their own and fail when it fails.
//! * From several threads at once: a logger has one owner, who may hand it on.
//! * As a diagnostics log: there are no levels, targets or spans here.

mod console;
mod error;
mod jsonl;
mod logger;
mod memory;
mod sink;
mod tensorboard;

pub use error::Error;
pub use logger::Logger;
pub use memory::MemoryLog;
pub use sink::{HparamValue, Image, Sink};
