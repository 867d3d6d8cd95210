//! Distillations into a run directory, and going on with those that were stopped.

use crate::agents::{Callback, Error, Outcome, Session, checkpoint_path, policy_env};
use crate::deploy::Policy;
use crate::distill::{
    Checkpoint, DistillConfig, Distiller, Report, Series, Viper, ViperConfig, draw_curves, read_curve,
};
use crate::envs::Registry;
use crate::presets;
use crate::run::{RunDir, RunOptions, train_seconds};
use crate::student::{Student, moved};
use crate::teachers::{self, Teachers};
use burn::tensor::Device;
use std::path::Path;

/// Lets a student learn into `run`; one that has finished leaves its report there, and copies of its teachers.
///
/// `teacher_run` is the teacher's own run directory, if it has one: its learning curve and training time go into the
/// report. Whoever learns several domains or tasks has a report for each.
///
/// # Errors
/// If a file cannot be written or training diverges.
pub fn distill<'a>(
    student: impl Into<Student<'a>>,
    teacher_run: Option<&Path>,
    run: &RunDir,
    registry: &Registry,
    options: RunOptions<'_>,
) -> Result<(Outcome, Vec<Report>), Error> {
    let student = student.into();
    let _lock = run.lock()?;
    begin(&student, teacher_run, run)?;
    finish(student, teacher_run, run, registry, run.session(options)?, options.skip_report)
}

/// Goes on with a distillation that was stopped, from its newest checkpoint that can be read, or from its beginning if it did
/// not get as far as the first. It ends with the bits of one that was not stopped.
///
/// # Errors
/// If no checkpoint is usable, a teacher is not what it was, the run is finished, or as [`distill`].
pub fn resume_distillation(
    run: &RunDir,
    registry: &Registry,
    device: &Device,
    options: RunOptions<'_>,
) -> Result<(Outcome, Vec<Report>), Error> {
    if !teachers::are_in(run) {
        let path = run.path().display();
        return Err(Error::config(format!(
            "the run in {path} is no distillation: there is no teacher.toml in it; go on with: train --resume {path}"
        )));
    }
    let _lock = run.lock()?;
    let text = run.config()?;
    let is_tree = presets::is_tree(&text);
    let (env, config) = match is_tree {
        true => ViperConfig::from_toml(&text).and_then(|config| Ok((config.env.clone(), config.to_toml()?)))?,
        false => DistillConfig::from_toml(&text).and_then(|config| Ok((config.env.clone(), config.to_toml()?)))?,
    };
    let path = run.path().display();
    let env = env.ok_or_else(|| Error::config(format!("{path}/config.toml: expected an environment, got none")))?;
    let teachers = Teachers::read(run)?;
    let newest = run.newest(Checkpoint::load)?;
    if let Some((checkpoint, _)) = &newest {
        if checkpoint.to_toml()? != config {
            return Err(Error::config(format!(
                "{path}/config.toml differs from the configuration that the newest checkpoint was written with; restore it to \
                 go on"
            )));
        }
        teachers.record.check(checkpoint.teacher())?;
        if is_over(checkpoint, run) {
            return Err(Error::config(format!(
                "the run in {path} is finished; to distil longer, start anew: distill --teacher … --config {path}/config.toml \
                 --set total_timesteps=…"
            )));
        }
    }
    let teacher = teachers.teacher(&env, registry, device)?;
    let (checkpoint, damaged) = newest.map_or((None, Vec::new()), |(checkpoint, damaged)| (Some(checkpoint), damaged));
    let step = checkpoint.as_ref().map_or(0, Checkpoint::global_step);
    let student: Student<'_> = match (is_tree, checkpoint) {
        (true, None) => Viper::new(ViperConfig::from_toml(&text)?, teacher, registry)?.into(),
        (true, Some(checkpoint)) => Viper::resume(checkpoint, teacher, registry)?.into(),
        (false, None) => Distiller::new(DistillConfig::from_toml(&text)?, teacher, registry, device)?.into(),
        (false, Some(checkpoint)) => Distiller::resume(checkpoint, teacher, registry, device)?.into(),
    };
    let session = run.session_from(step, damaged, options)?;
    finish(student, teachers.run.as_deref(), run, registry, session, options.skip_report)
}

/// Refuses a run that did not begin as `student` does now.
pub(crate) fn check_begun(student: &Student<'_>, run: &RunDir) -> Result<(), Error> {
    if run.config()? == student.to_toml()? {
        return student.teacher().record().check(&Teachers::read(run)?.record);
    }
    let hint = "it holds one with another configuration; choose another directory, or give the one it was begun with";
    Err(Error::io("distil in", run.path(), hint))
}

/// Goes on with a run that began as `student` does now; one that is finished is left as it is. Whether it is finished then.
pub(crate) fn go_on_distilling(
    student: &Student<'_>,
    run: &RunDir,
    registry: &Registry,
    device: &Device,
    options: RunOptions<'_>,
) -> Result<bool, Error> {
    check_begun(student, run)?;
    let newest = run.newest(Checkpoint::load)?;
    if newest.is_some_and(|(checkpoint, _)| is_over(&checkpoint, run)) {
        return Ok(true);
    }
    Ok(resume_distillation(run, registry, device, options)?.0.finished)
}

/// Lets a student learn into `run`, with copies of its teachers and without checkpoints and a report, and tells `callback`
/// after every iteration. Returns what it has become.
pub(crate) fn learn_watched<'a>(
    student: &mut Student<'_>,
    run: &RunDir,
    options: RunOptions<'a>,
    callback: Box<Callback<'a>>,
) -> Result<(Outcome, Option<Policy>), Error> {
    begin(student, None, run)?;
    let session = Session { callback: Some(callback), checkpoints: None, ..run.session(options)? };
    learn(student, run, session)
}

/// Writes down who learns from whom. The configuration comes last: with it, everything is there.
fn begin(student: &Student<'_>, teacher_run: Option<&Path>, run: &RunDir) -> Result<(), Error> {
    teachers::write(student.teacher(), teacher_run, run)?;
    if let Student::Network(student) = student
        && student.began_with_policy()
    {
        // How it began is in no configuration.
        student.checkpoint()?.save(&checkpoint_path(&run.checkpoints(), 0))?;
    }
    run.write("config.toml", &student.to_toml()?)
}

fn learn(
    student: &mut Student<'_>,
    run: &RunDir,
    mut session: Session<'_>,
) -> Result<(Outcome, Option<Policy>), Error> {
    let trained = student.train(&mut session);
    // Also where only the last evaluation failed, or the last checkpoint found no room.
    if student.owes_end() || trained.as_ref().err().is_none_or(Error::is_io) {
        let saved = student.policy().and_then(|policy| {
            policy.as_ref().map_or(Ok(()), |policy| policy.save(&run.policy()))?;
            Ok(policy)
        });
        return Ok((trained?, saved?));
    }
    Ok((trained?, None))
}

/// Learns to the end and, unless `skip_report`, compares.
fn finish(
    mut student: Student<'_>,
    teacher_run: Option<&Path>,
    run: &RunDir,
    registry: &Registry,
    session: Session<'_>,
    skip_report: bool,
) -> Result<(Outcome, Vec<Report>), Error> {
    let teachers = student.teacher().policies().to_vec();
    let places = student.teacher().domain_envs()?;
    let (outcome, policy) = learn(&mut student, run, session)?;
    let Some(policy) = policy.filter(|_| outcome.finished && !skip_report) else { return Ok((outcome, Vec::new())) };
    if !places.is_empty() {
        let mut reports = Vec::new();
        for (k, (teacher, place)) in teachers.iter().zip(&places).enumerate() {
            let there = (&moved(&policy, place)?, Some(outcome.train_seconds));
            let report = Report::measure((teacher, None), there, registry)?;
            let json = serde_json::to_string_pretty(&report).expect("a report is plain data");
            run.write(&format!("report-{}.json", k + 1), &format!("{json}\n"))?;
            reports.push(report);
        }
        let page: Vec<String> = reports.iter().map(Report::to_markdown).collect();
        run.write("report.md", &page.join("\n"))?;
        return Ok((outcome, reports));
    }
    // Of several teachers no run has the curve.
    let teacher_metrics = teacher_run.filter(|_| teachers.len() == 1).map(|path| path.join("metrics.jsonl"));
    let sees = student.teacher_env().cloned();
    let report = Report::of_teacher(
        (&mut student.into_teacher(), teacher_metrics.as_deref().and_then(train_seconds)),
        sees.as_ref(),
        (&policy, Some(outcome.train_seconds)),
        registry,
    )?;
    // A curve from another environment would be on another scale.
    let same_task = teachers.first().map(|teacher| policy_env(teacher)).transpose()?.as_ref() == Some(&report.env);
    write_report(&report, teacher_metrics.as_deref().filter(|_| same_task), run)?;
    Ok((outcome, vec![report]))
}

/// Whether nothing is left to do in a run: its page, which comes at the very end, has been written.
fn is_over(checkpoint: &Checkpoint, run: &RunDir) -> bool {
    checkpoint.is_finished() && run.policy().exists() && run.path().join("report.md").exists()
}

fn write_report(report: &Report, teacher_metrics: Option<&Path>, run: &RunDir) -> Result<(), Error> {
    let json = serde_json::to_string_pretty(report).expect("a report is plain data");
    run.write("report.json", &format!("{json}\n"))?;

    let mut series = Vec::new();
    if let Some(metrics) = teacher_metrics {
        series.push(Series {
            label: "teacher".into(),
            curve: read_curve(metrics, "eval/return_mean"),
            band: Vec::new(),
        });
    }
    series.push(Series {
        label: "student".into(),
        curve: read_curve(&run.metrics(), "distill/student_return"),
        band: Vec::new(),
    });
    series.retain(|series| !series.curve.is_empty());
    let title = format!("{}: mean return over evaluation episodes", report.env.id);
    draw_curves(&run.path().join("report.png"), &title, "return", &series)?;

    run.write("report.md", &format!("{}\n![Learning curves](report.png)\n", report.to_markdown()))
}
