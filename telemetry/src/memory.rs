use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::sink::Sink;

/// What a [`Logger::memory`](crate::Logger::memory) was given, for tests to read.
///
/// Clones see the same log, also after the logger is gone. As a sink it can be
/// put beside others with [`Logger::with_sinks`](crate::Logger::with_sinks).
#[derive(Debug, Clone, Default)]
pub struct MemoryLog(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    scalars: Vec<(String, u64, f64)>,
    texts: Vec<(String, u64, String)>,
    messages: Vec<String>,
}

impl MemoryLog {
    /// Every scalar as tag, step and value, in the order logged.
    pub fn scalars(&self) -> Vec<(String, u64, f64)> {
        self.kept().scalars.clone()
    }

    /// Every text as tag, step and text, in the order logged.
    pub fn texts(&self) -> Vec<(String, u64, String)> {
        self.kept().texts.clone()
    }

    /// Every message, warnings of the logger included.
    pub fn messages(&self) -> Vec<String> {
        self.kept().messages.clone()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // A test that panicked elsewhere leaves whole entries behind.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for MemoryLog {
    fn name(&self) -> &str {
        "memory"
    }

    fn scalar(&mut self, tag: &str, value: f64, step: u64) -> io::Result<()> {
        self.kept().scalars.push((tag.to_owned(), step, value));
        Ok(())
    }

    fn text(&mut self, tag: &str, text: &str, step: u64) -> io::Result<()> {
        let entry = (tag.to_owned(), step, text.to_owned());
        self.kept().texts.push(entry);
        Ok(())
    }

    fn message(&mut self, text: &str) -> io::Result<()> {
        self.kept().messages.push(text.to_owned());
        Ok(())
    }
}
