//! The search for hyperparameters and sizes: trials side by side, a journal that survives a kill, a front of size and
//! return.
//!
//! Trials come in generations. What a trial tries depends on the seed and on the trials of earlier generations alone, and
//! so does the decision to give one up: how many run at a time, and whether the search was interrupted, changes nothing.
//!
//! ```text
//! runs/NAME/
//!   study.json     what is searched: a search that goes on must be the same
//!   journal.jsonl  a line for every trial that has ended
//!   trial-000/ …   their run directories; TensorBoard shows those that came to their end under HPARAMS
//! ```

mod rank;
mod space;

pub use space::{Domain, Space};

use crate::agents::Error;
use crate::deploy::write_atomically;
use crate::envs::Generator;
use crate::jobs::in_parallel;
use crate::run::lock;
use rank::{Score, costs, front};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

/// How suggestions come of the seed: another scheme would go on with a search as if its trials had tried something else.
const SCHEME: u32 = 3;

/// The stream of the seed that the first trial is drawn from: far from those that the trials' own runs draw from.
const FIRST_STREAM: u32 = 1 << 16;

/// Trials of earlier generations that must have come to an evaluation before one is given up there.
const ENOUGH_TO_PRUNE: usize = 4;

/// How a search is carried out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StudyConfig {
    /// The seed of every suggestion.
    pub seed: u64,
    /// Trials of a generation: they know nothing of each other.
    pub generation: usize,
    /// The value that a trial should reach: those that do are ranked by value and size, the others only by value.
    pub target: Option<f64>,
    /// Whether trials that fall behind are given up.
    pub prune: bool,
    /// The keys that are searched.
    pub space: Space,
    /// What else the values depend on, in words and figures: the teacher, the rest of the configuration.
    pub subject: serde_json::Value,
}

/// What came of a trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// Its number.
    pub trial: usize,
    /// What it tried, as `key=value`.
    pub overrides: Vec<String>,
    /// How it ended.
    pub state: TrialState,
    /// What it reached; None if it failed.
    pub value: Option<f64>,
    /// The size of its policy; None if it failed.
    pub parameters: Option<usize>,
    /// The values of its evaluations on the way, by step.
    pub course: Vec<(u64, f64)>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How long it took.
    pub seconds: f64,
}

/// How a trial ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TrialState {
    /// At its end.
    Complete,
    /// Given up on the way: it missed the target, and half of the trials of at most its size had come further by then.
    Pruned,
    /// With an error, as from values that do not go together.
    Failed,
}

/// What a trial measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// The more the better.
    pub value: f64,
    /// The size of the policy.
    pub parameters: usize,
}

/// A trial that is carried out.
pub struct Attempt<'a> {
    /// Its number.
    pub trial: usize,
    /// What to try, as `key=value`.
    pub overrides: &'a [String],
    /// Its own directory, which is not there yet.
    pub folder: PathBuf,
    /// The trials that it may be given up for.
    earlier: &'a [Trial],
    target: Option<f64>,
    course: Vec<(u64, f64)>,
    pruned: bool,
}

impl Attempt<'_> {
    /// Notes an evaluation on the way, of a policy of so many parameters; whether the trial should be given up: if it has
    /// not reached the target yet, and the best that it has reached so far is worse than the median of what those trials of earlier
    /// generations had reached by the same step that were at most as large (the median stopping rule of Golovin et al.,
    /// *Google Vizier*, 2017). One that was given up before counts with what it had reached: a median of survivors alone
    /// would rise until nothing survives.
    pub fn report(&mut self, step: u64, value: f64, parameters: usize) -> bool {
        if self.course.last().is_some_and(|(last, _)| *last >= step) {
            return self.pruned;
        }
        self.course.push((step, value));
        let as_small = |trial: &&Trial| trial.parameters.is_some_and(|size| size <= parameters);
        let mut others: Vec<f64> =
            self.earlier.iter().filter(as_small).filter_map(|trial| best_by(&trial.course, step)).collect();
        others.sort_by(f64::total_cmp);
        let best = best_by(&self.course, step);
        let reached = self.target.is_some_and(|target| best >= Some(target));
        let behind = |others: &[f64]| best < Some(others[(others.len() - 1) / 2]);
        self.pruned = !reached && others.len() >= ENOUGH_TO_PRUNE && behind(&others);
        self.pruned
    }
}

/// The best value of a course up to a step; None if there is none by then.
fn best_by(course: &[(u64, f64)], step: u64) -> Option<f64> {
    course.iter().filter(|(at, _)| *at <= step).map(|(_, value)| *value).reduce(f64::max)
}

/// A search.
pub struct Study {
    config: StudyConfig,
    folder: PathBuf,
    trials: Vec<Trial>,
    /// The points that the trials tried, which the seed determines.
    points: Vec<space::Point>,
    /// Keeps a second program from going on with it at the same time.
    _lock: File,
}

impl Study {
    /// Begins a search in `folder`, or goes on with the one that is there.
    ///
    /// # Errors
    /// If the search that is there is another one, or a file cannot be read or written.
    pub fn open(config: StudyConfig, folder: &Path) -> Result<Self, Error> {
        let header = folder.join("study.json");
        if folder.join("config.toml").exists() {
            let hint = "there is a run in it; give the search a directory of its own";
            return Err(Error::io("start a search in", folder, hint));
        }
        let written = serde_json::json!({ "scheme": SCHEME, "search": &config });
        let text = serde_json::to_string_pretty(&written).expect("a configuration is plain data") + "\n";
        std::fs::create_dir_all(folder).map_err(|e| Error::io("create", folder, e))?;
        let lock = lock(folder)?;
        match std::fs::read_to_string(&header) {
            Ok(known) if known == text => {}
            Ok(known) if !known.contains(&format!("\"scheme\": {SCHEME},")) => {
                return Err(Error::config(format!(
                    "the search in {} was begun by another version, whose trials this one would take for others; give another \
                     --out",
                    folder.display()
                )));
            }
            Ok(_) => {
                return Err(Error::config(format!(
                    "the search in {} is another one (see study.json there): give what it was begun with, or another --out",
                    folder.display()
                )));
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                write_atomically(&header, text.as_bytes()).map_err(|e| Error::io("write", &header, e))?;
            }
            Err(e) => return Err(Error::io("read", &header, e)),
        }
        let path = folder.join("journal.jsonl");
        let journal = match std::fs::read(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(Error::io("read", &path, e)),
            read => read.unwrap_or_default(),
        };
        // A line that was cut off by a kill, or by a full disk within a letter, is that of a trial that has not ended.
        let lines = journal.split(|byte| *byte == b'\n');
        let mut trials: Vec<Trial> = lines.filter_map(|line| serde_json::from_slice(line).ok()).collect();
        trials.sort_by_key(|trial| trial.trial);
        trials.dedup_by_key(|trial| trial.trial);
        Ok(Self { config, folder: folder.to_owned(), trials, points: Vec::new(), _lock: lock })
    }

    /// The value that a trial should reach.
    pub fn target(&self) -> Option<f64> {
        self.config.target
    }

    /// Trials that have ended, by their numbers.
    pub fn trials(&self) -> &[Trial] {
        &self.trials
    }

    /// The directory of a trial.
    pub fn trial_folder(&self, trial: usize) -> PathBuf {
        self.folder.join(format!("trial-{trial:03}"))
    }

    /// The trials that no other one beats in both value and size, the smallest first.
    pub fn front(&self) -> Vec<&Trial> {
        let complete = |trial: &Trial| standing(trial).filter(|_| trial.state == TrialState::Complete);
        let scores: Vec<Option<Score>> = self.trials.iter().map(complete).collect();
        let target = self.config.target.unwrap_or(f64::NEG_INFINITY);
        let reached = front(&scores, target);
        // Where nothing reaches the target, the best there is.
        let front = if reached.is_empty() { front(&scores, f64::NEG_INFINITY) } else { reached };
        front.into_iter().map(|i| &self.trials[i]).collect()
    }

    /// Carries out trials until there are `count`, `jobs` at a time, or until `stop` is set. `carry_out` measures one;
    /// `watch` is told how many have ended.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub fn run(
        &mut self,
        count: usize,
        jobs: usize,
        stop: Option<&AtomicBool>,
        carry_out: impl Fn(&mut Attempt<'_>) -> Result<Option<Measured>, Error> + Sync,
        mut watch: impl FnMut(usize),
    ) -> Result<(), Error> {
        let stopped = || stop.is_some_and(|stop| stop.load(std::sync::atomic::Ordering::Relaxed));
        let path = self.folder.join("journal.jsonl");
        let journal = std::fs::OpenOptions::new().create(true).append(true).open(&path);
        let journal = Mutex::new(journal.map_err(|e| Error::io("write", &path, e))?);
        // Whatever a kill has left of a line must not be continued.
        let cut_off = std::fs::read(&path).is_ok_and(|bytes| bytes.last().is_some_and(|byte| *byte != b'\n'));
        if cut_off {
            journal
                .lock()
                .expect("nobody panics with it")
                .write_all(b"\n")
                .map_err(|e| Error::io("write", &path, e))?;
        }
        let mut first = 0;
        while first < count && !stopped() {
            let size = self.config.generation.min(count - first);
            self.points.truncate(first);
            let points: Vec<space::Point> = (first..first + size).map(|trial| self.suggest(trial, first)).collect();
            self.points.extend(points);
            let ended = |trial: usize| self.trials.iter().any(|known| known.trial == trial);
            let missing: Vec<usize> = (first..first + size).filter(|trial| !ended(*trial)).collect();
            let earlier: &[Trial] = &self.trials[..self.trials.partition_point(|trial| trial.trial < first)];
            let already = self.trials.len();
            let finished = std::sync::atomic::AtomicUsize::new(0);
            let work = |k: usize| {
                let trial = self.attempt(missing[k], earlier, &carry_out)?;
                if let Some(trial) = &trial {
                    let line = serde_json::to_string(trial).expect("a trial is plain data") + "\n";
                    let written = journal.lock().expect("nobody panics with it").write_all(line.as_bytes());
                    written.map_err(|e| Error::io("write", &path, e))?;
                    finished.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                }
                Ok::<_, Error>(trial)
            };
            let results = in_parallel(missing.len(), jobs, stop, work, || {
                watch(already + finished.load(std::sync::atomic::Ordering::Relaxed));
            });
            for trial in results.into_iter().flatten() {
                match trial {
                    Ok(Some(trial)) => self.trials.push(trial),
                    Ok(None) => {}
                    Err(error) => return Err(error),
                }
            }
            self.trials.sort_by_key(|trial| trial.trial);
            if !(first..first + size).all(|trial| self.trials.iter().any(|known| known.trial == trial)) {
                break;
            }
            first += size;
        }
        Ok(())
    }

    /// The point of a trial whose generation begins with `first`.
    fn suggest(&self, trial: usize, first: usize) -> space::Point {
        let mut rng = Generator::stream(self.config.seed, FIRST_STREAM + trial as u32);
        let space = &self.config.space;
        // Two generations look around before any is led.
        if first < 2 * self.config.generation {
            return space.sample(&mut rng);
        }
        let earlier = &self.trials[..first];
        let scores: Vec<Option<Score>> = earlier.iter().map(standing).collect();
        let costs = costs(&scores, self.config.target.unwrap_or(f64::NEG_INFINITY));
        let told: Vec<(&space::Point, f64)> = self.points.iter().zip(costs).collect();
        space.suggest(&told, &mut rng)
    }

    /// Carries out a trial. None if it was stopped from outside.
    fn attempt(
        &self,
        trial: usize,
        earlier: &[Trial],
        carry_out: &(impl Fn(&mut Attempt<'_>) -> Result<Option<Measured>, Error> + Sync),
    ) -> Result<Option<Trial>, Error> {
        let started = Instant::now();
        let overrides = self.config.space.overrides(&self.points[trial]);
        let folder = self.trial_folder(trial);
        // What is there is of a trial that was killed.
        if folder.exists() {
            std::fs::remove_dir_all(&folder).map_err(|e| Error::io("remove", &folder, e))?;
        }
        let (earlier, target) = (if self.config.prune { earlier } else { &[] }, self.config.target);
        let mut attempt =
            Attempt { trial, overrides: &overrides, folder, earlier, target, course: Vec::new(), pruned: false };
        let measured = carry_out(&mut attempt);
        let Attempt { course, pruned, .. } = attempt;
        let seconds = started.elapsed().as_secs_f64();
        let ended = |state, measured: Option<Measured>, error| {
            let (value, parameters) = (measured.map(|m| m.value), measured.map(|m| m.parameters));
            Some(Trial { trial, overrides: overrides.clone(), state, value, parameters, course, error, seconds })
        };
        Ok(match measured {
            Ok(None) => None,
            Ok(measured) if pruned => ended(TrialState::Pruned, measured, None),
            Ok(measured) => ended(TrialState::Complete, measured, None),
            // Values that do not go together, or diverge, are a result; a disk that is full is not.
            Err(error) if error.is_config() || error.is_diverged() => {
                ended(TrialState::Failed, None, Some(error.to_string()))
            }
            Err(error) => return Err(error),
        })
    }
}

/// What a trial tells those that come after it, if it was given up what it had reached by then.
fn standing(trial: &Trial) -> Option<Score> {
    let (value, parameters) = trial.value.zip(trial.parameters)?;
    value.is_finite().then_some(Score { value, parameters })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn config() -> StudyConfig {
        StudyConfig {
            seed: 3,
            generation: 4,
            target: Some(0.9),
            prune: true,
            space: Space::from_toml("x = { low = 0, high = 1 }\nn = { low = 1, high = 50, integer = true }").unwrap(),
            subject: serde_json::Value::Null,
        }
    }

    /// 1 at x = 0.3, a little less for the small, and evaluated twice on the way.
    fn carry_out(attempt: &mut Attempt<'_>) -> Result<Option<Measured>, Error> {
        let number = |i: usize| attempt.overrides[i].split_once('=').unwrap().1.parse::<f64>().unwrap();
        let (n, x) = (number(0), number(1));
        let value = 1.0 - (x - 0.3).abs() - 0.2 / n;
        let measured = Some(Measured { value, parameters: n as usize });
        for step in 1..=2 {
            if attempt.report(step, value, n as usize) {
                return Ok(measured);
            }
        }
        Ok(measured)
    }

    fn without_times(study: &Study) -> Vec<Trial> {
        study.trials().iter().map(|trial| Trial { seconds: 0.0, ..trial.clone() }).collect()
    }

    #[test]
    fn a_search_finds_small_and_good_and_gives_up_what_falls_behind() {
        let folder = tempfile::tempdir().unwrap();
        let mut study = Study::open(config(), folder.path()).unwrap();
        study.run(80, 2, None, carry_out, |_| ()).unwrap();
        assert_eq!(study.trials().len(), 80);
        let front = study.front();
        assert!(front.iter().all(|trial| trial.value.unwrap() >= 0.9), "{front:?}");
        assert!(front[0].parameters.unwrap() <= 10, "{front:?}");
        assert!(study.trials().iter().filter(|trial| trial.state == TrialState::Pruned).count() > 2);
        let hits = |trials: &[Trial]| trials.iter().filter(|t| t.value.unwrap() >= 0.9).count();
        assert!(hits(&study.trials()[40..]) > hits(&study.trials()[..40]), "later trials are led");
    }

    /// Killed anywhere, with any number of jobs: the same trials.
    #[test]
    fn an_interrupted_search_ends_like_an_uninterrupted_one() {
        let folder = tempfile::tempdir().unwrap();
        let mut whole = Study::open(config(), &folder.path().join("whole")).unwrap();
        whole.run(30, 1, None, carry_out, |_| ()).unwrap();

        let path = folder.path().join("cut");
        let (stop, begun) = (AtomicBool::new(false), AtomicUsize::new(0));
        let mut first = Study::open(config(), &path).unwrap();
        let stopping = |attempt: &mut Attempt<'_>| {
            stop.fetch_or(begun.fetch_add(1, Ordering::Relaxed) == 13, Ordering::Relaxed);
            carry_out(attempt)
        };
        first.run(30, 2, Some(&stop), stopping, |_| ()).unwrap();
        assert!((13..17).contains(&first.trials().len()), "{}", first.trials().len());
        assert!(Study::open(config(), &path).err().unwrap().to_string().contains("another program"));
        let trials = first.trials().len();
        drop(first);
        // A kill while a line was written, and within a letter.
        let journal = path.join("journal.jsonl");
        let text = std::fs::read(&journal).unwrap();
        std::fs::write(&journal, [&text[..text.len() - 20], "ü".as_bytes().split_at(1).0].concat()).unwrap();

        let mut second = Study::open(config(), &path).unwrap();
        assert_eq!(second.trials().len(), trials - 1);
        second.run(30, 3, None, carry_out, |_| ()).unwrap();
        assert_eq!(without_times(&second), without_times(&whole));
        drop(second);
        assert_eq!(without_times(&Study::open(config(), &path).unwrap()), without_times(&whole));

        let other = StudyConfig { seed: 4, ..config() };
        assert!(Study::open(other, &path).err().unwrap().to_string().contains("study.json"));
    }

    #[test]
    fn values_that_do_not_go_together_are_a_result_and_a_full_disk_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let mut study = Study::open(config(), folder.path()).unwrap();
        let bad = |attempt: &mut Attempt<'_>| match attempt.trial {
            1 => Err(Error::config("no")),
            _ => carry_out(attempt),
        };
        study.run(4, 1, None, bad, |_| ()).unwrap();
        assert_eq!(study.trials()[1].state, TrialState::Failed);
        let full = |_: &mut Attempt<'_>| Err(Error::io("write", Path::new("x"), "no space"));
        assert!(study.run(8, 1, None, full, |_| ()).unwrap_err().is_io());
    }

    /// Not one that reaches the target, and only one that is behind half of all, of those that were given up before too.
    #[test]
    fn a_trial_is_given_up_for_half_of_all_others_and_not_at_the_target() {
        let earlier: Vec<Trial> = [&[0.1][..], &[0.2], &[0.3, 0.9], &[0.4, 0.95], &[0.5, 0.5]]
            .iter()
            .enumerate()
            .map(|(trial, values)| Trial {
                trial,
                overrides: Vec::new(),
                state: TrialState::Complete,
                value: values.last().copied(),
                parameters: Some(if trial == 4 { 9 } else { 5 }),
                course: (1..).zip(values.iter().copied()).collect(),
                error: None,
                seconds: 0.0,
            })
            .collect();
        let reports = |target: Option<f64>, parameters: usize, values: [f64; 2]| {
            let (folder, course) = (PathBuf::new(), Vec::new());
            let mut attempt =
                Attempt { trial: 5, overrides: &[], folder, earlier: &earlier, target, course, pruned: false };
            [1, 2].map(|step| attempt.report(step, values[step as usize - 1], parameters))
        };
        // By the first step the four small ones had come to .1 to .4, by the second to .1, .2, .9 and .95.
        assert_eq!(reports(None, 5, [0.15, 0.25]), [true, false]);
        assert_eq!(reports(None, 5, [0.25, 0.0]), [false, false], "what it had reached before counts");
        assert_eq!(reports(Some(0.15), 5, [0.15, 0.15]), [false, false]);
        // With the large one the middle one is .3, then .5.
        assert_eq!(reports(None, 9, [0.25, 0.45]), [true, true]);
        assert_eq!(reports(None, 4, [0.0, 0.0]), [false, false], "there is none as small");
    }
}
