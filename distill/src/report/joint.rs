//! Students of several environments: a comparison in each, and what those that act in more than one of them keep.

use super::comparison::course;
use super::table::Table;
use crate::{Comparison, Pupil, Students, Watch};
use apprentice_agents::{Error, EvaluationPlan, policy_env};
use apprentice_envs::wrappers::WrapperSpec;
use apprentice_envs::{EnvSpec, Registry};
use serde::{Deserialize, Serialize};

/// Comparisons in several environments.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JointComparison {
    /// Students that act in more than one of the environments.
    pub students: Vec<Versatile>,
    /// One for each environment.
    pub comparisons: Vec<Comparison>,
}

/// A student in several environments.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Versatile {
    /// What it is called in the comparisons.
    pub name: String,
    /// Its size.
    pub parameters: Option<usize>,
    /// Its normalised return in each comparison, in their order; None where it is not compared, or its teacher is no better
    /// than random.
    pub normalized: Vec<Option<f64>>,
    /// The smallest of them: a mean would hide what it has forgotten.
    pub worst: Option<f64>,
}

/// Students by the environment that their pupils are for, however they see it, in the order in which these come. A student of
/// several is in each of them.
///
/// # Errors
/// If a policy does not name an environment.
pub fn by_environment(students: Students) -> Result<Vec<Students>, Error> {
    type Seen = (String, EnvSpec, Vec<Pupil>);
    let mut groups: Vec<(EnvSpec, Vec<Seen>)> = Vec::new();
    for (name, pupils) in students {
        for pupil in pupils {
            let env = policy_env(&pupil.student)?;
            let course = course(&env);
            let place = groups.iter().position(|(known, _)| *known == course).unwrap_or_else(|| {
                groups.push((course, Vec::new()));
                groups.len() - 1
            });
            let group = &mut groups[place].1;
            match group.iter_mut().find(|(known, seen, _)| *known == name && *seen == env) {
                Some((.., pupils)) => pupils.push(pupil),
                None => group.push((name.clone(), env, vec![pupil])),
            }
        }
    }
    let named = |group: Vec<Seen>| {
        let names: Vec<String> = group.iter().map(|(name, ..)| name.clone()).collect();
        let whole = |(i, (name, env, pupils)): (usize, Seen)| {
            // Who does two tasks in one environment is two students there.
            let before = names[..i].iter().filter(|other| **other == name).count();
            let name = match (names.iter().filter(|other| **other == name).count(), env.wrappers.last()) {
                (1, _) => name,
                (_, Some(WrapperSpec::MultiTask { task, .. })) => format!("{name}, task {}", task + 1),
                _ => format!("{name}, {}", before + 1),
            };
            (name, pupils)
        };
        group.into_iter().enumerate().map(whole).collect()
    };
    Ok(groups.into_iter().map(|(_, group)| named(group)).collect())
}

impl JointComparison {
    /// Measures the students of each environment.
    ///
    /// # Errors
    /// As [`Comparison::measure`].
    pub fn measure(
        groups: &[Students],
        registry: &Registry,
        plan: &EvaluationPlan,
        watch: &mut Watch<'_>,
    ) -> Result<Self, Error> {
        let mut comparisons = Vec::new();
        for group in groups {
            comparisons.push(Comparison::measure(group, registry, plan, watch)?);
        }
        let mut names: Vec<&str> = groups.iter().flatten().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        let versatile = |name: &str| {
            let among = |group: &Students| group.iter().any(|(known, _)| known == name);
            let card = |(comparison, group): (&Comparison, &Students)| {
                // A teacher may be called the same, and comes first.
                let found = comparison.cards.iter().rev().find(|card| card.name == name);
                found.filter(|_| among(group)).cloned()
            };
            let cards: Vec<_> = comparisons.iter().zip(groups).map(card).collect();
            let normalized: Vec<Option<f64>> =
                cards.iter().map(|card| card.as_ref().and_then(|card| card.normalized_iqm)).collect();
            Versatile {
                name: name.to_owned(),
                parameters: cards.iter().flatten().find_map(|card| card.footprint).map(|it| it.parameters),
                worst: normalized.iter().flatten().copied().min_by(f64::total_cmp),
                normalized,
            }
        };
        let several = |name: &&str| groups.iter().flatten().filter(|(known, _)| known == name).count() > 1;
        let students = names.into_iter().filter(several).map(versatile).collect();
        Ok(Self { students, comparisons })
    }

    /// The comparisons as aligned text for a terminal.
    pub fn to_text(&self) -> String {
        let mut text = match self.students.is_empty() {
            true => String::new(),
            false => {
                format!("{}\n  Normalised returns; a student is as good as its worst.\n\n", self.table().to_text())
            }
        };
        for (comparison, name) in self.comparisons.iter().zip(self.names()) {
            text += &format!("  {name}\n\n{}\n", comparison.to_text());
        }
        text
    }

    /// The comparisons as a Markdown page, each below the other; their pictures are not in it.
    pub fn to_markdown(&self) -> String {
        let mut page = "# Report card in several environments\n\n".to_owned();
        if !self.students.is_empty() {
            let table = self.table().to_markdown();
            page += &format!("Normalised returns; a student is as good as its worst.\n\n{table}\n");
        }
        for (comparison, name) in self.comparisons.iter().zip(self.names()) {
            page += &format!("## {name}\n\n{}\n", comparison.overview_markdown());
        }
        page
    }

    /// Short names of the environments, with as much as tells them apart.
    pub fn names(&self) -> Vec<String> {
        let name = |comparison: &Comparison| {
            let EnvSpec { id, kwargs, .. } = &comparison.env;
            match kwargs.is_empty() {
                true => id.clone(),
                false => format!("{id} {}", serde_json::to_string(kwargs).expect("parameters are plain data")),
            }
        };
        let short: Vec<String> = self.comparisons.iter().map(name).collect();
        let whole = |(name, comparison): (&String, &Comparison)| {
            let wrappers: Vec<String> = comparison.env.wrappers.iter().map(WrapperSpec::name).collect();
            match short.iter().filter(|other| *other == name).count() > 1 && !wrappers.is_empty() {
                true => format!("{name} in {}", wrappers.join(", ")),
                false => name.clone(),
            }
        };
        short.iter().zip(&self.comparisons).map(whole).collect()
    }

    fn table(&self) -> Table {
        let names = self.names();
        let header = ["", "parameters"].into_iter().chain(names.iter().map(String::as_str)).chain(["worst"]);
        let mut table = Table::new(&header.collect::<Vec<_>>());
        let or_dash = |x: Option<f64>| x.map_or("–".to_owned(), |x| format!("{x:.3}"));
        for Versatile { name, parameters, normalized, worst } in &self.students {
            let size = parameters.map_or("–".to_owned(), |n| n.to_string());
            let figures = normalized.iter().chain([worst]).map(|x| or_dash(*x));
            table.push([name.clone(), size].into_iter().chain(figures).collect());
        }
        table
    }
}
