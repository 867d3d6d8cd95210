//! `apprentice envs`: what there is to train in.

use super::{Failure, Output, say};
use crate::envs::{EnvInfo, Error, Registry, Space, wrappers};
use clap::Args;
use serde::Serialize;
use std::io::IsTerminal;

#[derive(Args)]
pub(super) struct Envs {
    /// Show the page of this environment.
    #[arg(conflicts_with = "wrappers")]
    id: Option<String>,
    /// Show what environments can be wrapped in, with an example of each.
    #[arg(long)]
    wrappers: bool,
    #[command(flatten)]
    output: Output,
}

#[derive(Serialize)]
struct Described<'a> {
    #[serde(flatten)]
    info: &'a EnvInfo,
    observation_space: Space,
    action_space: Space,
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<&'a str>,
}

impl Envs {
    pub(super) fn run(&self, registry: &Registry) -> Result<(), Failure> {
        if self.wrappers {
            return self.output.print(&serde_json::json!({ "page": wrappers::PAGE }), || wrappers::PAGE.to_owned());
        }
        match &self.id {
            Some(id) => {
                let info = registry.info(id)?;
                let described = Described { page: Some(info.page), ..describe(registry, info)? };
                self.output.print(&described, || format!("{}{}", described.text(), picture(registry, id)))
            }
            None => {
                let mut all = Vec::new();
                for info in registry.list() {
                    match describe(registry, info) {
                        Ok(described) => all.push(described),
                        Err(error) => say(format_args!("warning: {} is left out: {error}", info.id)),
                    }
                }
                let json = serde_json::json!({ "envs": all });
                self.output.print(&json, || table(&all))
            }
        }
    }
}

impl Described<'_> {
    /// The page; before one that does not say so itself, what is seen and done there.
    fn text(&self) -> String {
        let page = self.page.unwrap_or_default();
        if page.contains("| observation |") {
            return page.to_owned();
        }
        let Self { info, observation_space, action_space, .. } = self;
        let number = |limit: Option<f64>| limit.map_or("none".to_owned(), |limit| limit.to_string());
        let physics: Vec<String> = info.physics.iter().map(|(name, value)| format!("{name} = {value}")).collect();
        let physics = if physics.is_empty() { String::new() } else { format!("physics      {}\n", physics.join(", ")) };
        format!(
            "{}\nobservation  {observation_space}\naction       {action_space}\ntime limit   {}\nsolved at    {}\n{physics}\n{page}",
            info.id,
            number(info.max_episode_steps.map(f64::from)),
            number(info.reward_threshold),
        )
    }
}

fn describe<'a>(registry: &Registry, info: &'a EnvInfo) -> Result<Described<'a>, Error> {
    let env = registry.make(info.id.as_str())?;
    let (observation_space, action_space) = (env.observation_space().clone(), env.action_space().clone());
    Ok(Described { info, observation_space, action_space, page: None })
}

/// The environment at its start as coloured text, for a person at a terminal.
fn picture(registry: &Registry, id: &str) -> String {
    let drawn = registry.make(id).ok().and_then(|mut env| {
        env.reset(Some(0)).ok()?;
        env.render_ansi()
    });
    match drawn {
        Some(drawn) if std::io::stdout().is_terminal() => format!("\n{drawn}"),
        _ => String::new(),
    }
}

fn table(all: &[Described<'_>]) -> String {
    let brief = |space: &Space| match space {
        Space::Discrete { .. } => space.to_string(),
        Space::Box { shape, .. } => format!("Box{shape:?}"),
        other => other.to_string(),
    };
    let number = |limit: Option<f64>| limit.map_or("–".to_owned(), |limit| limit.to_string());
    let headings = ["id", "observation", "action", "max steps", "solved at"].map(str::to_owned);
    let row = |Described { info, observation_space, action_space, .. }: &Described<'_>| {
        let limit = number(info.max_episode_steps.map(f64::from));
        [info.id.clone(), brief(observation_space), brief(action_space), limit, number(info.reward_threshold)]
    };
    let rows: Vec<[String; 5]> = std::iter::once(headings).chain(all.iter().map(row)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let [id, observation, action, limit, solved] = std::array::from_fn(width);
    let mut text = String::new();
    for [a, b, c, d, e] in &rows {
        text += &format!("{a:<id$}  {b:<observation$}  {c:<action$}  {d:>limit$}  {e:>solved$}\n");
    }
    text + "\n`apprentice envs ID` shows an environment's page, `apprentice envs --wrappers` what they can be wrapped in."
}
