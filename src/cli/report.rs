//! `apprentice report`: several students compared.

use super::{Failure, Output};
use crate::agents::{Error, EvaluationPlan};
use crate::distill::{Comparison, Pupil};
use crate::envs::Registry;
use crate::run::write_comparison;
use crate::student::pupils;
use crate::telemetry::Logger;
use clap::Args;
use serde::Serialize;
use std::path::PathBuf;

#[derive(Args)]
pub(super) struct Report {
    /// The students: run directories of `distill`, or folders that hold such runs under several seeds.
    #[arg(required = true, value_name = "DIR")]
    students: Vec<PathBuf>,
    /// Episodes for each figure and seed.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    episodes: u32,
    /// Write report.md, report.json and front.png into DIR, and into a log for TensorBoard.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
}

#[derive(Serialize)]
struct Reported<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<String>,
    #[serde(flatten)]
    comparison: &'a Comparison,
}

impl Report {
    pub(super) fn run(&self, registry: &Registry) -> Result<(), Failure> {
        let students = self
            .students
            .iter()
            .map(|folder| Ok((folder.display().to_string(), pupils(folder)?)))
            .collect::<Result<Vec<_>, Error>>()?;
        let comparison = compare(&named_by_difference(students), self.episodes as usize, registry, self.output.quiet)?;
        if let Some(folder) = &self.out {
            write_comparison(&comparison, folder)?;
        }
        let report = self.out.as_ref().map(|folder| folder.join("report.md").display().to_string());
        let page = report.as_ref().map(|path| format!("  report       {path}\n")).unwrap_or_default();
        let reported = Reported { report, comparison: &comparison };
        self.output.print(&reported, || format!("\n{}\n{page}", comparison.to_text()))
    }
}

/// Measures students, with a progress bar.
pub(super) fn compare(
    students: &[(String, Vec<Pupil>)],
    episodes: usize,
    registry: &Registry,
    quiet: bool,
) -> Result<Comparison, Error> {
    let plan = EvaluationPlan { episodes, ..EvaluationPlan::default() };
    let mut logger = Logger::console(quiet);
    let mut begun = false;
    let comparison = Comparison::measure(students, registry, &plan, &mut |_, done, total| {
        if !std::mem::replace(&mut begun, true) {
            logger.begin("compare", total);
        }
        logger.progress(done);
    });
    logger.finish();
    comparison
}

/// Names students by their directories, without the parents that all of them have.
fn named_by_difference(students: Vec<(String, Vec<Pupil>)>) -> Vec<(String, Vec<Pupil>)> {
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
