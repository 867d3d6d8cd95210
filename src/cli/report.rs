//! `apprentice report`: several students compared.

use super::{Failure, Output, say};
use crate::agents::{Error, EvaluationPlan};
use crate::distill::{Comparison, JointComparison, Students, by_environment};
use crate::envs::Registry;
use crate::run::{write_comparison, write_joint};
use crate::student::pupils;
use crate::telemetry::Logger;
use clap::Args;
use serde::Serialize;
use std::path::{Path, PathBuf};

#[derive(Args)]
pub(super) struct Report {
    /// The students: run directories of `distill`, or folders that hold such runs under several seeds.
    #[arg(required = true, value_name = "DIR")]
    students: Vec<PathBuf>,
    /// Episodes for each figure and seed.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    episodes: u32,
    /// Write report.md, report.json and front.png into DIR, and into a log for TensorBoard; of several environments, the
    /// last two into a folder for each.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
}

#[derive(Serialize)]
struct Reported<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<String>,
    /// What could not be compared.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    left_out: Vec<String>,
    #[serde(flatten)]
    compared: &'a Compared,
}

/// Students of one environment, or of several.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Compared {
    One(Comparison),
    Several(JointComparison),
}

impl Compared {
    pub(super) fn write(&self, folder: &Path) -> Result<(), Error> {
        match self {
            Self::One(comparison) => write_comparison(comparison, folder),
            Self::Several(joint) => write_joint(joint, folder),
        }
    }

    pub(super) fn to_text(&self) -> String {
        match self {
            Self::One(comparison) => comparison.to_text(),
            Self::Several(joint) => joint.to_text(),
        }
    }
}

impl Report {
    pub(super) fn run(&self, registry: &Registry) -> Result<(), Failure> {
        if let Some(folder) = &self.out {
            if folder.join("config.toml").exists() {
                let hint = "it is the directory of a run, which has a report; give this one a directory of its own";
                return Err(Error::io("write the report into", folder, hint).into());
            }
            std::fs::create_dir_all(folder).map_err(|e| Error::io("create", folder, e))?;
        }
        let (mut students, mut left_out) = (Vec::new(), Vec::new());
        let mut folders: Vec<&PathBuf> = Vec::new();
        // Given twice it would count as two seeds.
        for folder in &self.students {
            if !folders.contains(&folder) {
                folders.push(folder);
            }
        }
        let mut refused = None;
        for folder in folders {
            match pupils(folder) {
                Ok(pupils) => students.push((folder.display().to_string(), pupils)),
                Err(error) if self.students.len() > 1 => {
                    say(format_args!("warning: left out: {error}"));
                    left_out.push(folder.display().to_string());
                    refused = Some(error);
                }
                Err(error) => return Err(error.into()),
            }
        }
        if let (true, Some(error)) = (students.is_empty(), refused) {
            return Err(error.into());
        }
        let compared = compare(named_by_difference(students), self.episodes as usize, registry, self.output.quiet)?;
        if let Some(folder) = &self.out {
            compared.write(folder)?;
        }
        let report = self.out.as_ref().map(|folder| folder.join("report.md").display().to_string());
        let page = report.as_ref().map(|path| format!("  report       {path}\n")).unwrap_or_default();
        let reported = Reported { report, left_out, compared: &compared };
        self.output.print(&reported, || format!("\n{}\n{page}", compared.to_text()))
    }
}

/// Measures students, those of each environment for themselves, with a progress bar.
pub(super) fn compare(
    students: Students,
    episodes: usize,
    registry: &Registry,
    quiet: bool,
) -> Result<Compared, Error> {
    let plan = EvaluationPlan { episodes, ..EvaluationPlan::default() };
    let mut logger = Logger::console(quiet);
    let groups = by_environment(students)?;
    let mut all = 0;
    let mut watch = |_: &str, done, total| {
        if done == 0 {
            logger.begin("compare", total, "policies");
        }
        all = total;
        logger.progress(done);
    };
    let compared = match &groups[..] {
        [one] => Comparison::measure(one, registry, &plan, &mut watch).map(Compared::One),
        several => JointComparison::measure(several, registry, &plan, &mut watch).map(Compared::Several),
    };
    if compared.is_ok() {
        // Before each of them it was told how many there had been.
        logger.progress(all);
    }
    logger.finish();
    compared
}

/// Names students by their directories, without the parents that all of them have.
fn named_by_difference(students: Students) -> Students {
    let parts = |name: &str| name.trim_end_matches('/').split('/').map(str::to_owned).collect::<Vec<_>>();
    let all: Vec<Vec<String>> = students.iter().map(|(name, _)| parts(name)).collect();
    let shared = (0..).take_while(|&i| all.iter().all(|p| i + 1 < p.len() && p[i] == all[0][i])).count();
    students.into_iter().zip(&all).map(|((_, pupils), parts)| (parts[shared..].join("/"), pupils)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_differs() {
        let names = |paths: &[&str]| -> Vec<String> {
            let students = paths.iter().map(|path| ((*path).to_owned(), Vec::new())).collect();
            named_by_difference(students).into_iter().map(|(name, _)| name).collect()
        };
        assert_eq!(names(&["runs/a/small", "runs/a/tree/"]), ["small", "tree"]);
        assert_eq!(names(&["runs/a", "other"]), ["runs/a", "other"]);
        assert_eq!(names(&["runs/a"]), ["a"]);
    }
}
