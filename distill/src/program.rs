//! Experts that are programs of their own.

use apprentice_agents::Error;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A program that knows what to do. For every observation it gets one line, a JSON array of numbers, on its standard
/// input, and answers with one line on its standard output: the action, a JSON number or an array of them.
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
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Program {
    /// Starts `command` in a shell. It ends when its input does, and is killed if it does not.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(command: &str) -> Result<Self, Error> {
        let mut shell = if cfg!(windows) { Command::new("cmd") } else { Command::new("sh") };
        shell.arg(if cfg!(windows) { "/C" } else { "-c" }).arg(command);
        let started = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = started.map_err(|e| failed(command, &format!("it cannot be started: {e}")))?;
        let (input, output) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
        Ok(Self { command: command.to_owned(), child, input, output: BufReader::new(output) })
    }

    /// Asks for the flat action in a state.
    ///
    /// # Errors
    /// If the program has ended, or what it answers is not an action.
    pub fn act(&mut self, observation: &[f32], action: &mut [f32]) -> Result<(), Error> {
        let question = serde_json::to_string(observation).expect("numbers are plain data");
        let mut answer = String::new();
        let asked = writeln!(self.input, "{question}").and_then(|()| self.input.flush());
        let read = asked.and_then(|()| self.output.read_line(&mut answer)).unwrap_or(0);
        if read == 0 {
            return Err(failed(&self.command, &format!("it ended without an answer to {question}")));
        }
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
        // A program that is no more, or refuses to end, is no reason to fail now.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Answer {
    One(f32),
    Several(Vec<f32>),
}

fn failed(command: &str, what: &str) -> Error {
    Error::environment(format!("the expert {command:?}: {what}; try the command by hand"))
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
        for (command, said) in [("true", "ended"), ("read line; echo left", "left"), ("cat", "1 number")] {
            let error = Program::start(command).unwrap().act(&[0.0, 1.0], &mut action).unwrap_err().to_string();
            assert!(error.contains(said) && error.contains(command), "{error}");
        }
    }
}
