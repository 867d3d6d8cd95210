//! Experts that are programs of their own.

use apprentice_agents::Error;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// How long an answer may take: one that searches may need seconds, and one that hangs shall be heard of.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a program that is asked nothing more may take to put its things away.
const GRACE: Duration = Duration::from_secs(1);

/// A program that knows what to do. For every observation it gets one line, a JSON array of numbers, on its standard
/// input, and answers within a minute with one line on its standard output: the action, a JSON number or an array of them.
///
/// ```python
/// import json, sys
///
/// for line in sys.stdin:
///     x, x_dot, theta, theta_dot = json.loads(line)
///     print(int(x_dot + 4 * theta + 2 * theta_dot > 0), flush=True)
/// ```
pub struct Program {
    command: String,
    child: Child,
    /// None once it is told that nothing more is asked.
    input: Option<ChildStdin>,
    /// The lines of its output, which another thread waits for.
    answers: Receiver<String>,
    patience: Duration,
}

impl Program {
    /// Starts `command` in a shell. It has a second to end when its input does, and is killed if it does not, with all that
    /// it has started.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(command: &str) -> Result<Self, Error> {
        let mut shell = if cfg!(windows) { Command::new("cmd") } else { Command::new("sh") };
        shell.arg(if cfg!(windows) { "/C" } else { "-c" }).arg(command);
        // Ctrl-C in a terminal reaches the foreground group; the expert is needed until the run has stopped.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut shell, 0);
        let started = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = started.map_err(|e| failed(command, &format!("it cannot be started: {e}")))?;
        let (input, output) = (child.stdin.take(), child.stdout.take().expect("piped"));
        // One line waits at most: a program that says more than it is asked has to wait too.
        let (sender, answers) = mpsc::sync_channel(1);
        // It ends with the program's output, or with the first line that nobody waits for any more.
        thread::spawn(move || {
            BufReader::new(output).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Ok(Self { command: command.to_owned(), child, input, answers, patience: PATIENCE })
    }

    /// Asks for the flat action in a state.
    ///
    /// # Errors
    /// If the program has ended or takes longer than a minute, if what it answers is not an action, or if it has said more
    /// than it was asked before.
    pub fn act(&mut self, observation: &[f32], action: &mut [f32]) -> Result<(), Error> {
        let question = serde_json::to_string(observation).expect("numbers are plain data");
        // Taken for the answer to this question, a line too many would be one behind from now on.
        if let Ok(line) = self.answers.try_recv() {
            let what = "expected one line for each question, and nothing else on standard output";
            return Err(failed(&self.command, &format!("it said {line:?} before it was asked: {what}")));
        }
        // If it has ended, that is what the wait for its answer finds out.
        let input = self.input.as_mut().expect("it is there until the end");
        let _ = writeln!(input, "{question}").and_then(|()| input.flush());
        let answer = self.answers.recv_timeout(self.patience).map_err(|e| {
            let what = match e {
                RecvTimeoutError::Disconnected => format!("it ended without an answer to {question}"),
                RecvTimeoutError::Timeout => {
                    format!(
                        "it did not answer {question} within {} s, with a line that it flushed",
                        self.patience.as_secs_f64()
                    )
                }
            };
            failed(&self.command, &what)
        })?;
        let numbers = match serde_json::from_str(answer.trim()) {
            Ok(Answer::One(number)) => vec![number],
            Ok(Answer::Several(numbers)) => numbers,
            Err(_) => Vec::new(),
        };
        if numbers.len() != action.len() {
            let (n, answer) = (action.len(), answer.trim());
            return Err(failed(
                &self.command,
                &format!("it answered {answer:?} to {question}: expected a line with {n} number(s) as JSON"),
            ));
        }
        action.copy_from_slice(&numbers);
        Ok(())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.input.take());
        let told = Instant::now();
        while let Ok(None) = self.child.try_wait() {
            if told.elapsed() >= GRACE {
                // It leads a group of its own. A program that is no more is no reason to fail now.
                #[cfg(unix)]
                let _ = rustix::process::kill_process_group(
                    rustix::process::Pid::from_child(&self.child),
                    rustix::process::Signal::KILL,
                );
                let _ = self.child.kill();
                let _ = self.child.wait();
                return;
            }
            thread::sleep(Duration::from_millis(2));
        }
    }
}

#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Answer {
    One(f32),
    Several(Vec<f32>),
}

fn failed(command: &str, what: &str) -> Error {
    Error::failed(format!("the expert {command:?}: {what}; try the command by hand"))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_program_answers_line_by_line_and_is_named_when_it_does_not() {
        let mut echo = Program::start("cat").unwrap();
        let mut action = [0.0; 2];
        for observation in [[1.5, -2.0], [0.25, 1e-3]] {
            echo.act(&observation, &mut action).unwrap();
            assert_eq!(action, observation);
        }
        let mut action = [0.0];
        Program::start("read line; echo 3").unwrap().act(&[0.0], &mut action).unwrap();
        assert_eq!(action, [3.0]);
        // A line that nobody has asked for must not become the answer to the next question, and the next, and so on.
        let mut chatty = Program::start("while read line; do echo 0; echo 1; done").unwrap();
        let error = (0..1000).find_map(|_| chatty.act(&[0.0], &mut action).err()).unwrap().to_string();
        assert!(error.contains("before it was asked"), "{error}");
        let mut hung = Program::start("sleep 60").unwrap();
        hung.patience = Duration::from_millis(20);
        assert!(hung.act(&[0.0], &mut action).unwrap_err().to_string().contains("did not answer [0.0]"));
        for (command, said) in [("true", "ended"), ("read line; echo left", "left"), ("cat", "1 number")] {
            let error = Program::start(command).unwrap().act(&[0.0, 1.0], &mut action).unwrap_err().to_string();
            assert!(error.contains(said) && error.contains(command), "{error}");
        }
    }

    #[test]
    fn a_program_may_put_its_things_away_and_leaves_nobody_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        drop(Program::start(&format!("while read line; do :; done; echo > {}", path("tidy"))).unwrap());
        assert!(folder.path().join("tidy").exists());
        // What the shell has started would go on without it.
        drop(Program::start(&format!("sh -c 'sleep 2; echo > {}'; true", path("late"))).unwrap());
        thread::sleep(Duration::from_millis(1500));
        assert!(!folder.path().join("late").exists());
    }
}
