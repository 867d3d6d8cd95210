//! The comparison as pages to read.

use super::table::Table;
use crate::{Comparison, Footprint, ReportCard, Robustness, figure};
use apprentice_envs::wrappers::WrapperSpec;

/// The columns that a terminal has room for.
const BRIEF: [&str; 9] =
    ["", "architecture", "seeds", "parameters", "ns an action", "return", "normalised", "fidelity", "seconds"];

/// What only those that see the same are compared in.
const SENSORS: &str = "Dropped sensors";

/// Fewer seeds than this say little about a method.
const ENOUGH_SEEDS: usize = 5;

impl Comparison {
    /// The comparison as aligned text for a terminal: the first table of the page, as far as it fits.
    pub fn to_text(&self) -> String {
        format!("{}\n  {}\n", self.overview().with(&BRIEF).to_text(), self.yardstick())
    }

    /// The comparison as a Markdown page, with room for the picture `front.png`.
    pub fn to_markdown(&self) -> String {
        let mut page = format!("# {}: report card\n\n", self.env.id);
        if !self.env.kwargs.is_empty() || !self.env.wrappers.is_empty() {
            let env = serde_json::to_string(&self.env).expect("a specification is plain data");
            page += &format!("Environment: `{env}`\n\n");
        }
        page += &format!("{}\n![Size and return](front.png)\n", self.overview_markdown());
        if self.cards.iter().skip(1).any(|card| card.seeds < ENOUGH_SEEDS) {
            page += &format!(
                "\nSome were trained under fewer than {ENOUGH_SEEDS} seeds: their intervals say little about the next seed, and \
                 with a single one mean and interval are over its episodes.\n"
            );
        }
        page += "\n## Robustness\n\nMean returns, most probable actions.\n";
        for (title, table) in self.disturbances() {
            page += &format!("\n### {title}\n\n{}", table.to_markdown());
        }
        page += &format!(
            "\n## What the figures mean\n\nReturns are means over {} episodes a seed, with seeds never trained on. The \
             normalised return is (student − random) / (teacher − random), each student with its own teacher: interquartile \
             mean over seeds, in brackets its 95 % interval (bootstrap). Several policies that answer as one are measured as they \
             act together, and take what they take together. Sensors are dropped from what most see; who sees something else \
             has no figure there. Fidelity is the share of states, among those that the student visits, where both would do the \
             same; a student that sees something else than its teacher has none. The calibration error is how far, in ten bins \
             by the student's probability of its action, the mean of that probability is from that of the teacher's probability \
             of the same action. Time is for one observation at a time, on the machine that wrote this page; the seconds of a \
             training are those of the student's run, and a teacher's are in its own. ★ marks the front: nothing of at \
             most the same size has a higher normalised return.\n",
            self.episodes
        );
        page
    }

    /// The first table of the page, with what its figures are compared by.
    pub(crate) fn overview_markdown(&self) -> String {
        format!("{}\n{}\n", self.overview().to_markdown(), self.yardstick())
    }

    /// What returns are compared by.
    fn yardstick(&self) -> String {
        format!("Random actions have a return of {}; ★ marks the front.", figure(self.random_return_mean))
    }

    fn overview(&self) -> Table {
        let mut table = Table::new(&[
            "",
            "architecture",
            "seeds",
            "parameters",
            "bytes",
            "multiply-adds",
            "ns an action",
            "return",
            "sampled",
            "normalised",
            "fidelity",
            "calibration error",
            "steps",
            "seconds",
        ]);
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
        for card in &self.cards {
            let normalized = card.normalized_iqm.zip(card.normalized_ci95);
            let agreement = card.agreement;
            let takes = |of: &dyn Fn(Footprint) -> f64| or_dash(card.footprint.map(|it| format!("{:.0}", of(it))));
            table.push(vec![
                format!("{}{}", card.name, if card.on_front { " ★" } else { "" }),
                std::iter::once(card.architecture.clone())
                    .chain(card.sees.iter().map(WrapperSpec::name))
                    .collect::<Vec<_>>()
                    .join(", "),
                card.seeds.to_string(),
                takes(&|footprint| footprint.parameters as f64),
                takes(&|footprint| footprint.bytes as f64),
                takes(&|footprint| footprint.macs as f64),
                takes(&|footprint| footprint.ns_per_action),
                figure(card.return_mean),
                or_dash(card.return_mean_sampled.map(figure)),
                or_dash(normalized.map(|(iqm, [low, high])| format!("{iqm:.3} [{low:.3}, {high:.3}]"))),
                or_dash(agreement.map(|agreement| format!("{:.1} %", 100.0 * agreement.fidelity))),
                or_dash(agreement.and_then(|a| a.calibration_error).map(|error| format!("{error:.3}"))),
                or_dash(card.footprint.map(|_| card.train_steps.to_string())),
                or_dash(card.train_seconds.map(|seconds| format!("{seconds:.1}"))),
            ]);
        }
        table
    }

    /// A table for each kind of disturbance that was tried.
    fn disturbances(&self) -> Vec<(&'static str, Table)> {
        type Points<'a> = Box<dyn Fn(&Robustness) -> Vec<(String, f64)> + 'a>;
        let kinds: [(&str, Points<'_>); 4] = [
            (
                "Observation noise",
                Box::new(|r| r.observation_noise.iter().map(|(x, mean)| (format!("σ = {x}"), *mean)).collect()),
            ),
            (
                "Action noise",
                Box::new(|r| {
                    r.action_noise.iter().map(|(x, mean)| (format!("{} % random", 100.0 * x), *mean)).collect()
                }),
            ),
            (
                SENSORS,
                Box::new(|r| r.dropped_sensors.iter().map(|(x, mean)| (format!("without {x}"), *mean)).collect()),
            ),
            (
                "Changed physics",
                Box::new(|r| r.physics.iter().map(|(name, x, mean)| (format!("{name} {x:.3}"), *mean)).collect()),
            ),
        ];
        let mut tables = Vec::new();
        for (title, points) in kinds {
            // The first sensor of one is another one's third, if they see different things.
            let views =
                self.cards.iter().filter(|card| !card.robustness.dropped_sensors.is_empty()).map(|card| &card.sees);
            let times = |view: &&Vec<WrapperSpec>| views.clone().filter(|other| other == view).count();
            // Of equals the first.
            let usual = views.clone().rev().max_by_key(times);
            let alike = |card: &ReportCard| title != SENSORS || Some(&card.sees) == usual;
            let of = |card: &ReportCard| if alike(card) { points(&card.robustness) } else { Vec::new() };
            let rows: Vec<(&ReportCard, _)> = self.cards.iter().map(|card| (card, of(card))).collect();
            // An expert has none.
            let longest = rows.iter().map(|(_, points)| points).max_by_key(|points| points.len());
            let Some(first) = longest.filter(|points| !points.is_empty()) else { continue };
            // Kinds down and policies across: there are more of the former.
            let header: Vec<&str> =
                std::iter::once("").chain(self.cards.iter().map(|card| card.name.as_str())).collect();
            let mut table = Table::new(&header);
            for (i, (label, _)) in first.iter().enumerate() {
                let means =
                    rows.iter().map(|(_, points)| points.get(i).map_or("–".to_owned(), |(_, mean)| figure(*mean)));
                table.push(std::iter::once(label.clone()).chain(means).collect());
            }
            tables.push((title, table));
        }
        tables
    }
}
