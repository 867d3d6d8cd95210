//! An export at work on this machine: built by its compiler, fed through a pipe.

use super::{Format, MANIFEST, Manifest, check_name};
use crate::{Action, Error, Policy};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A running export.
///
/// A program around the export reads records of a byte, 1 for the first of an episode, an observation (f32), a mask (a byte
/// for each parameter) and draws (f64), and answers each with a byte, 0 for done, the parameters, the most probable and
/// the drawn action (f32).
pub struct Built {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: ChildStdout,
    sizes: Sizes,
    /// Whether an episode begins with the next record.
    first: bool,
    /// Holds the program as long as it runs.
    _folder: tempfile::TempDir,
}

#[derive(Clone, Copy)]
struct Sizes {
    observation: usize,
    params: usize,
    action: usize,
}

/// What a policy does with an observation.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Parameters of the distribution of actions, before a mask.
    pub params: Vec<f32>,
    /// The most probable action.
    pub action: Vec<f32>,
    /// The action that the draws pick.
    pub drawn: Vec<f32>,
}

/// Reads the manifest of an export.
///
/// # Errors
/// If there is none, or it is damaged.
pub fn manifest(folder: &Path) -> Result<Manifest, Error> {
    let path = folder.join(MANIFEST);
    let text = std::fs::read_to_string(&path).map_err(|cause| Error::io("read the export", &path, cause))?;
    let refuse = |what: String| Error::corrupt(format!("{}: {what}; export the policy again", path.display()));
    let manifest: Manifest = serde_json::from_str(&text).map_err(|e| refuse(e.to_string()))?;
    check_name(&manifest.name).map_err(|e| refuse(e.to_string()))?;
    // A name that leads out of the folder is none of ours.
    match manifest.files.iter().find(|name| Path::new(name).file_name() != Some(name.as_ref())) {
        Some(name) => Err(refuse(format!("{name:?} is no file of an export"))),
        None => Ok(manifest),
    }
}

impl Built {
    /// Compiles the export of `policy` in `folder` and starts it; it has passed its self-test then.
    ///
    /// The compiler of C is `$CC` or `cc`, that of Rust `$RUSTC` or `rustc`; `flags` come after `-std=c99 -O2`, or `-O`.
    /// A model runs in ONNX Runtime, in the Python `$PYTHON` or `python3`; it draws no actions.
    ///
    /// # Errors
    /// If the folder holds no export of this policy, there is no compiler, or the export does not compile or fails its
    /// self-test.
    pub fn new(policy: &Policy, folder: &Path, flags: &[&str]) -> Result<Self, Error> {
        let manifest = manifest(folder)?;
        if manifest.checksum != policy.checksum() {
            return Err(Error::shape(format!(
                "{}: it is the export of a policy with checksum {}, but that of this policy is {}; export it again",
                folder.display(),
                manifest.checksum,
                policy.checksum()
            )));
        }
        let temporary = tempfile::tempdir().map_err(|cause| Error::io("make", &std::env::temp_dir(), cause))?;
        for file in &manifest.files {
            let from = folder.join(file);
            std::fs::copy(&from, temporary.path().join(file)).map_err(|cause| Error::io("read", &from, cause))?;
        }
        let header = policy.header();
        let sizes = Sizes {
            observation: header.observation.flat_len(),
            params: header.action.distribution().num_params(),
            action: header.action.dim(),
        };
        let mut program = match manifest.format {
            Format::Onnx | Format::OnnxExact => interpreter(&manifest, temporary.path(), sizes)?,
            Format::Rust | Format::C => Command::new(compile(policy, &manifest, temporary.path(), flags)?),
            Format::Safetensors => return Err(Error::shape("safetensors are no program; load them with Policy::load")),
        };
        let mut child = program
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|cause| Error::io("start", Path::new(program.get_program()), cause))?;
        let mut built = Self {
            stdin: child.stdin.take(),
            stdout: child.stdout.take().expect("stdout is a pipe"),
            child,
            sizes,
            first: true,
            _folder: temporary,
        };
        match built.read(1)?[0] {
            0 => Ok(built),
            _ => Err(Error::shape("the export fails its self-test: it computes other numbers here than the policy")),
        }
    }

    /// Lets an episode begin: a recurrent export forgets what was before.
    pub fn reset(&mut self) {
        self.first = true;
    }

    /// What the export does with each of these observations: flat rows, masks and draws, one after another. None where it
    /// refuses. Without masks everything is allowed; without draws they are all 0. To a recurrent export the observations
    /// follow one another, and those of an earlier call unless there was a [`reset`](Self::reset).
    ///
    /// # Errors
    /// If the program ends early.
    pub fn answers(
        &mut self,
        observations: &[f32],
        masks: Option<&[bool]>,
        draws: Option<&[f64]>,
    ) -> Result<Vec<Option<Answer>>, Error> {
        let Sizes { observation, params, action } = self.sizes;
        let zeros = vec![0.0; action];
        let first = self.first;
        self.first &= observations.is_empty();
        let record = |i: usize| {
            let mut record = vec![u8::from(first && i == 0)];
            record.extend(observations[i * observation..][..observation].iter().flat_map(|x| x.to_ne_bytes()));
            match masks {
                Some(masks) => record.extend(masks[i * params..][..params].iter().map(|&allowed| u8::from(allowed))),
                None => record.resize(record.len() + params, 1),
            }
            let draws = draws.map_or(&zeros[..], |draws| &draws[i * action..][..action]);
            record.extend(draws.iter().flat_map(|x| x.to_ne_bytes()));
            record
        };
        let rows: Vec<usize> = (0..observations.len() / observation).collect();
        let (sent, received) = (1 + 4 * observation + params + 8 * action, 1 + 4 * (params + 2 * action));
        let mut answers = Vec::new();
        // So few at a time that neither end waits for a full pipe.
        for rows in rows.chunks((16_384 / sent.max(received)).max(1)) {
            let records: Vec<u8> = rows.iter().flat_map(|i| record(*i)).collect();
            let ended = |cause| Error::io("feed", Path::new("the export"), cause);
            self.stdin.as_mut().expect("open until the end").write_all(&records).map_err(ended)?;
            for answer in self.read(rows.len() * received)?.chunks_exact(received) {
                let mut numbers = answer[1..].as_chunks().0.iter().map(|x| f32::from_ne_bytes(*x));
                let mut take = |n| numbers.by_ref().take(n).collect::<Vec<_>>();
                let done = Answer { params: take(params), action: take(action), drawn: take(action) };
                answers.push((answer[0] == 0).then_some(done));
            }
        }
        Ok(answers)
    }

    fn read(&mut self, len: usize) -> Result<Vec<u8>, Error> {
        let mut bytes = vec![0; len];
        self.stdout.read_exact(&mut bytes).map_err(|cause| Error::io("hear from", Path::new("the export"), cause))?;
        Ok(bytes)
    }
}

impl Drop for Built {
    fn drop(&mut self) {
        // The program ends with its input.
        drop(self.stdin.take());
        let _ = self.child.wait();
    }
}

/// Of a program in C, what a policy that remembers needs.
const C_MEMORY: &str = "\
static float before[GUARD_MEMORY];

static void begin(unsigned char first)
{
    if (first) {
        NAME_reset();
    }
    memcpy(before, NAME_memory, sizeof before);
}

static int again(void)
{
    memcpy(NAME_memory, before, sizeof before);
    return 0;
}";

/// And what another one does.
const C_NO_MEMORY: &str = "\
static void begin(unsigned char first)
{
    (void)first;
}

static int again(void)
{
    return 0;
}";

/// A program in Python that runs a model.
fn interpreter(manifest: &Manifest, folder: &Path, sizes: Sizes) -> Result<Command, Error> {
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let found = Command::new(&python).args(["-c", "import onnxruntime"]).stderr(Stdio::null()).status();
    let found = found.map_err(|cause| {
        Error::io("start", Path::new(&python), format!("{cause}; name a Python that has onnxruntime in PYTHON"))
    })?;
    if !found.success() {
        let hint = "it has no onnxruntime; pip install onnxruntime, and name the Python that has it in PYTHON";
        return Err(Error::io("run a model in", Path::new(&python), hint));
    }
    let harness = folder.join("harness.py");
    std::fs::write(&harness, include_str!("harness.py")).map_err(|cause| Error::io("write", &harness, cause))?;
    let name = &manifest.name;
    let mut command = Command::new(python);
    command.arg(harness).arg(folder.join(format!("{name}.onnx"))).arg(folder.join(format!("{name}_self_test.py")));
    command.args([sizes.observation, sizes.params, sizes.action].map(|n| n.to_string()));
    Ok(command)
}

fn compile(policy: &Policy, manifest: &Manifest, folder: &Path, flags: &[&str]) -> Result<PathBuf, Error> {
    let name = &manifest.name;
    let program = folder.join(format!("run{}", std::env::consts::EXE_SUFFIX));
    let header = policy.header();
    let masks = !matches!(header.action, Action::Box { .. });
    let variable = |key: &str, default: &str| std::env::var(key).unwrap_or_else(|_| default.to_owned());
    // An export's own files are not called so: see `check_name`.
    let (file, text, mut command) = match manifest.format {
        Format::C => {
            let file = "the-harness.c";
            let call = |kind: &str, draws: &str, into: &str| match (masks, header.masked) {
                (false, _) => format!("{name}_{kind}(observation{draws}, {into})"),
                (true, true) => format!("{name}_{kind}_masked(observation, mask{draws}, {into})"),
                (true, false) => format!(
                    "(memchr(mask, 0, sizeof mask) ? {name}_{kind}_masked(observation, mask{draws}, {into})\n            \
                     : {name}_{kind}(observation{draws}, {into}))"
                ),
            };
            let memory = if policy.memory_len() > 0 { C_MEMORY } else { C_NO_MEMORY };
            let text = include_str!("harness.c")
                .replace("MEMORY", memory)
                .replace("NAME", name)
                .replace("GUARD", &name.to_uppercase())
                .replace("ACT ", &format!("{} ", call("act", "", "action[0]")))
                .replace("SAMPLE", &call("sample", ", draws", "action[1]"));
            let mut command = Command::new(variable("CC", "cc"));
            command.args(["-std=c99", "-O2"]).args(flags);
            command.args([file, &format!("{name}.c"), "-o"]).arg(&program);
            (file, text, command)
        }
        Format::Rust => {
            let file = "the-harness.rs";
            let call = |kind: &str, memory: &str, draws: &str| match (masks, header.masked) {
                (false, _) => format!("policy::{kind}(observation{memory}{draws})"),
                (true, true) => format!("policy::{kind}_masked(observation{memory}, mask{draws})"),
                (true, false) => format!(
                    "(if mask.contains(&false) {{ policy::{kind}_masked(observation{memory}, mask{draws}) }} \
                     else {{ policy::{kind}(observation{memory}{draws}) }})"
                ),
            };
            let (first, second, third, reset) = match policy.memory_len() {
                0 => ("", "", "", "let _ = &memory"),
                _ => (", &mut memories[0]", ", &mut memories[1]", ", &mut memories[2]", "policy::reset(&mut memory)"),
            };
            let calls = [
                format!("policy::params(observation{first})?"),
                format!("{}?", call("act", second, "")),
                format!("{}?", call("sample", third, ", draws")),
            ];
            let text = include_str!("harness.rs.txt")
                .replace("NAME", name)
                .replace("CALLS", &calls.join(", "))
                .replace("RESET", reset)
                .replace("MEMORY", &policy.memory_len().to_string());
            let mut command = Command::new(variable("RUSTC", "rustc"));
            command.args(["--edition", "2024", "-O"]).args(flags).args([file, "-o"]).arg(&program);
            (file, text, command)
        }
        Format::Onnx | Format::OnnxExact | Format::Safetensors => unreachable!("only source code is compiled"),
    };
    let file = folder.join(file);
    std::fs::write(&file, text).map_err(|cause| Error::io("write", &file, cause))?;
    let compiler = command.get_program().to_string_lossy().into_owned();
    let output = command.current_dir(folder).output().map_err(|cause| {
        Error::io(
            "start the compiler",
            Path::new(&compiler),
            format!("{cause}; install it, or name one in CC or RUSTC"),
        )
    })?;
    match output.status.success() {
        true => Ok(program),
        false => Err(Error::shape(format!(
            "the export does not compile with {compiler}:\n{}",
            String::from_utf8_lossy(&output.stderr)
        ))),
    }
}
