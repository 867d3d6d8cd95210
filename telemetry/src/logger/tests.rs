use super::*;

struct FailsAfter {
    name: String,
    scalars_left: u32,
}

impl Sink for FailsAfter {
    fn name(&self) -> &str {
        &self.name
    }

    fn scalar(&mut self, _tag: &str, _value: f64, _step: u64) -> io::Result<()> {
        if self.scalars_left == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.scalars_left -= 1;
        Ok(())
    }
}

fn files_with(dir: &Path, part: &str) -> usize {
    fs::read_dir(dir)
        .unwrap()
        .filter(|entry| {
            let name = entry.as_ref().unwrap().file_name();
            name.to_str().unwrap().contains(part)
        })
        .count()
}

#[test]
fn a_failed_sink_is_reported_once_and_the_others_go_on() {
    let log = MemoryLog::default();
    let failing = FailsAfter { name: "runs/x/metrics.jsonl".to_owned(), scalars_left: 2 };
    let mut logger = Logger::with_sinks(vec![Box::new(failing), Box::new(log.clone())]);
    for step in 0..10 {
        logger.scalar("x", 0.5, step);
    }
    assert_eq!(log.scalars().len(), 10);
    assert_eq!(logger.lost().len(), 1);
    let warning = format!("warning: {}; the run goes on", logger.lost()[0]);
    assert!(warning.starts_with("warning: logging to runs/x/metrics.jsonl stopped: "));
    assert_eq!(log.messages(), [warning]);
}

#[test]
fn a_logger_may_be_handed_to_another_thread() {
    let (mut logger, log) = Logger::memory();
    std::thread::spawn(move || logger.scalar("x", 1.0, 0)).join().unwrap();
    assert_eq!(log.scalars().len(), 1);
}

#[test]
fn memory_keeps_what_was_logged() {
    let (mut logger, log) = Logger::memory();
    logger.scalar("a", f64::NEG_INFINITY, 1);
    logger.scalar("b", 0.1, 2);
    logger.text("note", "hello", 3);
    logger.message("line");
    drop(logger);
    let scalars = [("a".to_owned(), 1, f64::NEG_INFINITY), ("b".to_owned(), 2, 0.1)];
    assert_eq!(log.scalars(), scalars);
    assert_eq!(log.texts(), [("note".to_owned(), 3, "hello".to_owned())]);
    assert_eq!(log.messages(), ["line"]);
}

#[test]
fn final_metrics_are_scalars_at_the_last_step() {
    let (mut logger, log) = Logger::memory();
    logger.scalar("loss", 1.0, 500);
    logger.hyperparameters(&[("lr".to_owned(), HparamValue::Number(3e-4))], &[("final/return".to_owned(), 475.0)]);
    let last = log.scalars().pop().unwrap();
    assert_eq!(last, ("final/return".to_owned(), 500, 475.0));
}

#[test]
fn a_picture_that_contradicts_itself_costs_only_itself() {
    let (mut logger, log) = Logger::memory();
    let image = Image { width: 2, height: 2, rgb: vec![0; 11] };
    logger.image("view", &image, 1);
    logger.image("view", &image, 2);
    logger.scalar("x", 1.0, 3);
    assert_eq!(logger.lost().len(), 1);
    assert!(logger.lost()[0].contains("got 11 bytes"));
    assert_eq!(log.scalars().len(), 1);
}

#[test]
fn two_loggers_of_one_second_and_directory_both_survive() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = Logger::run(dir.path(), true).unwrap();
    let mut second = Logger::run(dir.path(), true).unwrap();
    for step in 0..500 {
        first.scalar("first", 1.0, step);
        second.scalar("second", 2.0, step);
    }
    drop((first, second));
    assert_eq!(files_with(dir.path(), "tfevents"), 2);
    let lines = fs::read_to_string(dir.path().join("metrics.jsonl")).unwrap();
    assert_eq!(lines.lines().count(), 1000);
    for line in lines.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap();
    }
}

#[test]
fn a_path_that_is_a_file_is_an_error_that_names_it() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = Logger::run(&file.path().join("run"), true).unwrap_err();
    assert!(error.is_io());
    let text = error.to_string();
    assert!(text.contains(file.path().to_str().unwrap()) && text.contains("expected a directory"), "{text}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_reported_at_the_flush_and_the_events_survive() {
    let dir = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/dev/full", dir.path().join("metrics.jsonl")).unwrap();
    let mut logger = Logger::run(dir.path(), true).unwrap();
    logger.scalar("x", 1.0, 1);
    assert!(logger.lost().is_empty());
    logger.flush();
    logger.scalar("x", 1.0, 2);
    logger.flush();
    assert_eq!(logger.lost().len(), 1);
    assert!(logger.lost()[0].contains("metrics.jsonl stopped: No space left"));
    assert_eq!(logger.sinks.len(), 1);
}
