//! The report as a page to read.

use super::table::Table;
use crate::{Footprint, PolicyCard, Report};

impl Report {
    /// The report as a Markdown page.
    pub fn to_markdown(&self) -> String {
        let Self { env, student, .. } = self;
        let mut page = format!("# {}: teacher and student\n\n", env.id);
        if !env.kwargs.is_empty() {
            let kwargs = serde_json::to_string(&env.kwargs).expect("parameters are plain data");
            page += &format!("Parameters of the environment: `{kwargs}`\n\n");
        }
        page += &self.table("").to_markdown();
        let smaller =
            self.compression_ratio.map(|ratio| format!("The student has {ratio:.1} times fewer parameters. "));
        page += &format!("\n{}{}\n", smaller.unwrap_or_default(), self.yardstick().join(" "));
        page += &format!(
            "\nReturns are means over {} episodes with seeds never trained on, most probable actions unless it says \
             sampled; intervals are 95 % (bootstrap). Noise is Gaussian with standard deviation σ on every coordinate \
             of the observation, in its own units (a discrete observation is replaced with probability σ). Fidelity is \
             the share of states where both pick the same action. Time is for one observation at a time, on the \
             machine that wrote this report.\n",
            student.episodes
        );
        page
    }

    /// What returns are compared by, and what a good one would be. Their raw ratio would praise a student for losing more where returns are
    /// negative.
    fn yardstick(&self) -> Vec<String> {
        let random = figure(self.random_return_mean);
        let mut said = vec![format!("Returns are compared counted from that of uniformly random actions, {random}.")];
        if let Some(threshold) = self.reward_threshold {
            let solved = [&self.teacher, &self.student].map(|card| card.return_mean >= threshold);
            let who = match solved {
                [true, true] => "both do",
                [true, false] => "only the teacher does",
                [false, true] => "only the student does",
                [false, false] => "neither does",
            };
            said.push(format!("From {} on {} counts as solved: {who}.", figure(threshold), self.env.id));
        }
        said
    }

    /// The report as aligned text for a terminal.
    pub fn to_text(&self) -> String {
        let table = self.table(&self.env.id);
        table.to_text() + "\n  " + &self.yardstick().join("\n  ") + "\n"
    }

    fn table(&self, corner: &str) -> Table {
        let mut table = Table::new(&[corner, "teacher", "student", "student / teacher"]);
        for Row { name, teacher, student, ratio } in self.rows() {
            table.push(vec![name, teacher, student, ratio]);
        }
        table
    }

    fn rows(&self) -> Vec<Row> {
        let Self { teacher: t, student: s, .. } = self;
        let row = |name: &str, teacher: String, student: String, ratio: String| Row {
            name: name.to_owned(),
            teacher,
            student,
            ratio,
        };
        let percent = |of: f64, whole: f64| match whole == 0.0 {
            true => "–".to_owned(),
            // Without the sign of a rounded zero.
            false => format!("{:.1} %", (1000.0 * of / whole).round() / 10.0 + 0.0),
        };
        let random = self.random_return_mean;
        let kept = |student: f64, teacher: f64| {
            if teacher > random { percent(student - random, teacher - random) } else { "–".to_owned() }
        };
        // An expert takes nothing that could be counted.
        let count = |name: &str, of: &dyn Fn(Footprint) -> f64| {
            let [t, s] = [t, s].map(|card| card.footprint.map(of));
            let text = |x: Option<f64>| x.map_or("–".to_owned(), |x| format!("{x:.0}"));
            row(name, text(t), text(s), t.zip(s).map_or("–".to_owned(), |(t, s)| percent(s, t)))
        };
        let returns = |c: &PolicyCard| {
            format!("{} [{}, {}]", figure(c.return_mean), figure(c.return_ci95[0]), figure(c.return_ci95[1]))
        };
        let seconds = |c: &PolicyCard| c.train_seconds.map_or("–".to_owned(), |s| format!("{s:.1}"));
        let mut rows = vec![
            count("parameters", &|footprint| footprint.parameters as f64),
            count("bytes", &|footprint| footprint.bytes as f64),
            count("multiply-adds an action", &|footprint| footprint.macs as f64),
            count("nanoseconds an action", &|footprint| footprint.ns_per_action),
            row("return", returns(t), returns(s), kept(s.return_mean, t.return_mean)),
        ];
        let mut measured = |name: &str, teacher: Option<f64>, student: Option<f64>| {
            let text = |x: Option<f64>| x.map_or("–".to_owned(), figure);
            let kept = student.zip(teacher).map_or("–".to_owned(), |(student, teacher)| kept(student, teacher));
            rows.push(row(name, text(teacher), text(student), kept));
        };
        measured("return, sampled actions", t.return_mean_sampled, s.return_mean_sampled);
        for (sigma, student) in s.noise.0.iter().filter(|(sigma, _)| *sigma > 0.0) {
            let teacher = t.noise.0.iter().find(|(level, _)| level == sigma).map(|(_, mean)| *mean);
            measured(&format!("return, noise σ = {sigma}"), teacher, Some(*student));
        }
        let share = |share: Option<f64>| share.map_or("–".to_owned(), |share| format!("{:.1} %", 100.0 * share));
        rows.push(row("fidelity, student's states", String::new(), share(s.fidelity), String::new()));
        rows.push(row(
            "fidelity, teacher's states",
            String::new(),
            share(self.fidelity_on_teacher_states),
            String::new(),
        ));
        rows.push(row(
            "training steps",
            t.footprint.map_or("–".to_owned(), |_| t.train_steps.to_string()),
            s.train_steps.to_string(),
            percent(s.train_steps as f64, t.train_steps as f64),
        ));
        rows.push(row("training seconds", seconds(t), seconds(s), String::new()));
        rows
    }
}

/// A return with as many decimals as tell it from its neighbours: 475.2, 21.25, 0.8600.
pub fn figure(value: f64) -> String {
    let decimals = match value.abs() {
        size if size >= 100.0 => 1,
        size if size >= 1.0 => 2,
        _ => 4,
    };
    let text = format!("{value:.decimals$}");
    // A rounded −0.00003 is zero.
    if text.trim_start_matches('-').chars().all(|c| "0.".contains(c)) {
        text.trim_start_matches('-').to_owned()
    } else {
        text
    }
}

struct Row {
    name: String,
    teacher: String,
    student: String,
    ratio: String,
}
