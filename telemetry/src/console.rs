//! Progress on stderr.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use indicatif::{HumanCount, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressFinish, ProgressStyle};

use crate::sink::Sink;

/// The return of one training episode.
const EPISODIC_RETURN: &str = "charts/episodic_return";

/// What is shown is the mean return of this many episodes: a single one jumps up and down.
const EPISODES: usize = 20;

/// Shows how far the current task is, how fast it goes and how well.
pub(crate) struct Console {
    display: Display,
    task: String,
    /// What is counted.
    unit: String,
    total: u64,
    step: u64,
    begun: Instant,
    /// Where and when speed is measured from.
    first: Option<(u64, Instant)>,
    recent_returns: VecDeque<f64>,
}

enum Display {
    Bar(ProgressBar),
    Lines { out: Box<dyn Write + Send>, next_tenth: u64 },
}

impl Console {
    /// A bar on a terminal, and lines elsewhere.
    pub(crate) fn on_stderr() -> Console {
        // Indicatif draws nothing where it sees no terminal; its word counts.
        if ProgressDrawTarget::stderr().is_hidden() {
            Console::lines(io::stderr())
        } else {
            Console::new(Display::Bar(ProgressBar::hidden()))
        }
    }

    fn lines(out: impl Write + Send + 'static) -> Console {
        Console::new(Display::Lines { out: Box::new(out), next_tenth: 1 })
    }

    fn new(display: Display) -> Console {
        Console {
            display,
            task: String::new(),
            unit: String::new(),
            total: 0,
            step: 0,
            begun: Instant::now(),
            first: None,
            recent_returns: VecDeque::new(),
        }
    }

    /// Speed, return and time left, as far as they are known.
    fn status(&self, now: Instant) -> String {
        let mut parts = Vec::new();
        let speed = self.speed(now);
        if let Some(speed) = speed {
            let speed = if speed < 10.0 { format!("{speed:.1}") } else { HumanCount(speed as u64).to_string() };
            parts.push(format!("{speed} {}/s", self.unit));
        }
        parts.extend(self.return_part());
        if let Some(speed) = speed
            && self.step < self.total
        {
            let left = Duration::try_from_secs_f64((self.total - self.step) as f64 / speed);
            parts.extend(left.map(|left| format!("{:#} left", HumanDuration(left))));
        }
        parts.join(" · ")
    }

    fn return_part(&self) -> Option<String> {
        let count = self.recent_returns.len();
        let mean = self.recent_returns.iter().sum::<f64>() / count as f64;
        (count > 0).then(|| format!("return {}", significant(mean)))
    }

    fn speed(&self, now: Instant) -> Option<f64> {
        let (first_step, since) = self.first?;
        let steps = self.step.saturating_sub(first_step);
        (steps > 0 && now > since).then(|| steps as f64 / (now - since).as_secs_f64())
    }
}

/// Whether a scalar is the return worth watching: the agent's, or the
/// student's while a teacher is distilled into it.
fn is_return(tag: &str) -> bool {
    let of_student = |name: &str| name.contains("return") && !name.contains("teacher");
    tag == EPISODIC_RETURN || tag.strip_prefix("distill/").is_some_and(of_student)
}

/// A number with as many decimals as tell it from its neighbours: 475.2, 21.25, 0.8600.
fn significant(value: f64) -> String {
    let decimals = match value.abs() {
        size if size >= 100.0 => 1,
        size if size >= 1.0 => 2,
        _ => 4,
    };
    format!("{value:.decimals$}")
}

fn bar(task: &str, total: u64) -> ProgressBar {
    let template = "{prefix} [{wide_bar}] {human_pos}/{human_len} {msg}";
    let style = ProgressStyle::with_template(template).expect("the template is a constant").progress_chars("=> ");
    let length = (total > 0).then_some(total);
    ProgressBar::with_draw_target(length, ProgressDrawTarget::stderr())
        .with_style(style)
        .with_prefix(task.to_owned())
        .with_finish(ProgressFinish::Abandon)
}

impl Sink for Console {
    fn name(&self) -> &str {
        "the console"
    }

    fn scalar(&mut self, tag: &str, value: f64, _step: u64) -> io::Result<()> {
        if is_return(tag) {
            if tag != EPISODIC_RETURN || self.recent_returns.len() == EPISODES {
                self.recent_returns.pop_front();
            }
            self.recent_returns.push_back(value);
        }
        Ok(())
    }

    fn begin(&mut self, task: &str, total: u64, unit: &str) -> io::Result<()> {
        self.task = task.to_owned();
        self.unit = unit.to_owned();
        self.total = total;
        self.step = 0;
        self.begun = Instant::now();
        self.first = None;
        self.recent_returns.clear();
        match &mut self.display {
            Display::Bar(shown) => *shown = bar(task, total),
            Display::Lines { next_tenth, .. } => *next_tenth = 1,
        }
        Ok(())
    }

    fn progress(&mut self, step: u64) -> io::Result<()> {
        let now = Instant::now();
        self.step = step;
        self.first.get_or_insert((step, now));
        let status = self.status(now);
        match &mut self.display {
            Display::Bar(bar) => {
                bar.set_message(status);
                bar.set_position(step);
                Ok(())
            }
            Display::Lines { out, next_tenth } => {
                // The last tenth is what `finish` tells.
                let tenth = (u128::from(step) * 10).checked_div(self.total.into());
                let Some(tenth @ 1..10) = tenth.map(|tenth| tenth as u64) else {
                    return Ok(());
                };
                if tenth < *next_tenth {
                    return Ok(());
                }
                *next_tenth = tenth + 1;
                let (task, percent) = (&self.task, tenth * 10);
                let (step, total) = (HumanCount(step), HumanCount(self.total));
                let gap = if status.is_empty() { "" } else { " · " };
                writeln!(out, "{task}: {percent} % · {step}/{total}{gap}{status}")
            }
        }
    }

    fn finish(&mut self) -> io::Result<()> {
        let took = HumanDuration(self.begun.elapsed());
        let result = self.return_part().map_or_else(String::new, |part| format!(" · {part}"));
        match &mut self.display {
            Display::Bar(bar) => {
                bar.abandon_with_message(format!("in {took}{result}"));
                // Let go, or the next message would draw it once more.
                *bar = ProgressBar::hidden();
                Ok(())
            }
            Display::Lines { out, .. } => {
                let (task, step) = (&self.task, HumanCount(self.step));
                writeln!(out, "{task}: {step} {} in {took}{result}", self.unit)
            }
        }
    }

    fn message(&mut self, text: &str) -> io::Result<()> {
        match &mut self.display {
            Display::Bar(bar) => bar.suspend(|| writeln!(io::stderr(), "{text}")),
            Display::Lines { out, .. } => writeln!(out, "{text}"),
        }
    }

    fn shows_messages(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lines_of(drive: impl FnOnce(&mut Console)) -> Vec<String> {
        let out = Shared::default();
        drive(&mut Console::lines(out.clone()));
        let bytes = out.0.lock().unwrap().clone();
        let text = String::from_utf8(bytes).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn without_a_terminal_each_tenth_is_a_line() {
        let lines = lines_of(|console| {
            console.begin("ppo", 1_000, "steps").unwrap();
            for step in 0..=1_000 {
                console.scalar("charts/episodic_return", 21.25, step).unwrap();
                console.progress(step).unwrap();
            }
            console.finish().unwrap();
        });
        assert_eq!(lines.len(), 10, "{lines:#?}");
        assert!(lines[0].starts_with("ppo: 10 % · 100/1,000 · "));
        assert!(lines[4].contains("return 21.25"), "{}", lines[4]);
        assert!(lines[9].starts_with("ppo: 1,000 steps in "));
    }

    #[test]
    fn leaps_resumed_runs_and_unknown_totals_print_no_flood() {
        let lines = lines_of(|console| {
            console.begin("resumed", 100, "steps").unwrap();
            console.progress(55).unwrap();
            console.progress(58).unwrap();
            console.begin("endless", 0, "steps").unwrap();
            (0..100).for_each(|step| console.progress(step).unwrap());
            console.message("hello").unwrap();
        });
        assert_eq!(lines, ["resumed: 50 % · 55/100", "hello"]);
    }

    #[test]
    fn the_student_s_return_is_watched_and_the_teacher_s_is_not() {
        assert!(is_return("charts/episodic_return"));
        assert!(is_return("distill/student_return"));
        assert!(!is_return("distill/teacher_return"));
        assert!(!is_return("distill/loss"));
        assert!(!is_return("eval/return"));
    }
}
