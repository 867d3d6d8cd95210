//! Progress on stderr.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use indicatif::{HumanCount, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressFinish, ProgressStyle};

use crate::sink::Sink;

/// The return of one training episode.
const EPISODIC_RETURN: &str = "charts/episodic_return";

/// The student's returns where it is evaluated, while a teacher is distilled into it: of all its tasks, and with a suffix of
/// each. Once there are any, the episodes of whoever acts in training say less.
const STUDENT_RETURN: &str = "distill/student_return";

/// Lines follow one another no faster.
const LINE_INTERVAL: Duration = Duration::from_secs(1);

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
    /// The last return of the student by its tag.
    student_returns: Vec<(String, f64)>,
}

enum Display {
    Bar(ProgressBar),
    Lines { out: Box<dyn Write + Send>, next_tenth: u64, interval: Duration, last: Instant },
}

impl Console {
    /// A bar on a terminal, and lines elsewhere.
    pub(crate) fn on_stderr() -> Console {
        // Indicatif draws nothing where it sees no terminal; its word counts.
        if ProgressDrawTarget::stderr().is_hidden() {
            Console::lines(io::stderr(), LINE_INTERVAL)
        } else {
            Console::new(Display::Bar(ProgressBar::hidden()))
        }
    }

    fn lines(out: impl Write + Send + 'static, interval: Duration) -> Console {
        Console::new(Display::Lines { out: Box::new(out), next_tenth: 1, interval, last: Instant::now() })
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
            student_returns: Vec::new(),
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
        // With several tasks the mean over them, which is the first, says little.
        let tasks = if self.student_returns.len() > 1 { &self.student_returns[1..] } else { &self.student_returns };
        if !tasks.is_empty() {
            let returns: Vec<String> = tasks.iter().map(|(_, value)| significant(*value)).collect();
            return Some(format!("student's return {}", returns.join(", ")));
        }
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

/// A duration in words.
fn words(duration: Duration) -> String {
    match duration {
        short if short < Duration::from_secs(60) => format!("{:.1} s", short.as_secs_f64()),
        long => HumanDuration(long).to_string(),
    }
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
        if tag == EPISODIC_RETURN {
            if self.recent_returns.len() == EPISODES {
                self.recent_returns.pop_front();
            }
            self.recent_returns.push_back(value);
        }
        if tag.starts_with(STUDENT_RETURN) {
            match self.student_returns.iter_mut().find(|(known, _)| known == tag) {
                Some((_, last)) => *last = value,
                // The one of all tasks first.
                None if tag == STUDENT_RETURN => self.student_returns.insert(0, (tag.to_owned(), value)),
                None => self.student_returns.push((tag.to_owned(), value)),
            }
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
        self.student_returns.clear();
        match &mut self.display {
            Display::Bar(shown) => *shown = bar(task, total),
            Display::Lines { next_tenth, last, .. } => (*next_tenth, *last) = (1, self.begun),
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
            Display::Lines { out, next_tenth, interval, last } => {
                // The last tenth is what `finish` tells.
                let tenth = (u128::from(step) * 10).checked_div(self.total.into());
                let Some(tenth @ 1..10) = tenth.map(|tenth| tenth as u64) else {
                    return Ok(());
                };
                if tenth < *next_tenth || now - *last < *interval {
                    return Ok(());
                }
                (*next_tenth, *last) = (tenth + 1, now);
                let (task, percent) = (&self.task, tenth * 10);
                let (step, total) = (HumanCount(step), HumanCount(self.total));
                let gap = if status.is_empty() { "" } else { " · " };
                writeln!(out, "{task}: {percent} % · {step}/{total}{gap}{status}")
            }
        }
    }

    fn finish(&mut self) -> io::Result<()> {
        let took = words(self.begun.elapsed());
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
        drive(&mut Console::lines(out.clone(), Duration::ZERO));
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
    fn where_the_student_is_evaluated_its_return_is_shown_and_nobody_else_s() {
        let shown = |returns: &[(&str, f64)]| {
            let lines = lines_of(|console| {
                console.begin("distil", 10, "steps").unwrap();
                returns.iter().for_each(|(tag, value)| console.scalar(tag, *value, 0).unwrap());
                console.finish().unwrap();
            });
            lines[0].split_once(" · ").map_or(String::new(), |(_, shown)| shown.to_owned())
        };
        let of_teacher = [("distill/loss", 1.0), ("eval/return_mean", 1.0), ("distill/teacher_return", 1.0)];
        assert_eq!(shown(&of_teacher), "");
        assert_eq!(shown(&[("charts/episodic_return", 500.0)]), "return 500.0");
        let one =
            [("distill/student_return", 9.5), ("charts/episodic_return", 500.0), ("distill/student_return", 165.2)];
        assert_eq!(shown(&one), "student's return 165.2");
        let several = [
            ("distill/student_return_0_CartPole-v1", 500.0),
            ("distill/student_return_1_Acrobot-v1", -82.1),
            ("distill/student_return", 208.95),
        ];
        assert_eq!(shown(&several), "student's return 500.0, -82.10");
    }

    #[test]
    fn lines_keep_their_distance_in_time() {
        let out = Shared::default();
        let mut console = Console::lines(out.clone(), Duration::from_secs(3600));
        console.begin("quick", 10, "steps").unwrap();
        (0..=10).for_each(|step| console.progress(step).unwrap());
        console.finish().unwrap();
        let text = String::from_utf8(out.0.lock().unwrap().clone()).unwrap();
        assert!(text.starts_with("quick: 10 steps in 0.0 s") && text.lines().count() == 1, "{text}");
    }
}
