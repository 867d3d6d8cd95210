//! `apprentice presets`: the tuned configurations, and what their keys mean.

use super::{Failure, Output};
use crate::agents::Error;
use crate::presets::{DISTILL, PPO, TUNE_DISTILL, TUNE_PPO, VIPER};
use clap::Args;
use serde::Serialize;

#[derive(Args)]
pub(super) struct Presets {
    /// Show this one; cleanrl explains every key of a teacher, default those of a student, viper those of a tree.
    name: Option<String>,
    #[command(flatten)]
    output: Output,
}

#[derive(Serialize)]
struct Preset {
    name: &'static str,
    /// The subcommand that takes it.
    of: &'static str,
    /// The environment that it is tuned for, if it is for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    env: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    toml: Option<&'static str>,
}

impl Presets {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let tune = [("tune-student", TUNE_DISTILL), ("tune-teacher", TUNE_PPO)];
        let groups: [(&str, &[(&str, &str)]); 4] =
            [("train", &PPO), ("distill", &DISTILL), ("distill", &[("viper", VIPER)]), ("tune", &tune)];
        let all: Vec<Preset> = groups
            .iter()
            .flat_map(|(of, presets)| presets.iter().map(move |(name, toml)| preset(name, of, toml)))
            .collect();
        let Some(name) = &self.name else {
            let listed: Vec<Preset> = all.into_iter().map(|preset| Preset { toml: None, ..preset }).collect();
            return self.output.print(&serde_json::json!({ "presets": &listed }), || table(&listed));
        };
        let known = || all.iter().map(|preset| preset.name).collect::<Vec<_>>().join(", ");
        let preset = all.iter().find(|preset| preset.name == name);
        let unknown = || Error::config(format!("unknown preset {name:?}: expected one of {}", known()));
        let preset = preset.ok_or_else(unknown)?;
        self.output.print(preset, || preset.toml.unwrap_or_default().to_owned())
    }
}

fn preset(name: &'static str, of: &'static str, toml: &'static str) -> Preset {
    let table: toml::Table = toml.parse().expect("presets are valid");
    let env = table.get("env").and_then(|env| Some(env.get("id")?.as_str()?.to_owned()));
    Preset { name, of, env, toml: Some(toml) }
}

fn table(presets: &[Preset]) -> String {
    let mut text = String::new();
    for Preset { name, of, env, .. } in presets {
        text += &format!("{name:<24} {of:<12} {}\n", env.as_deref().unwrap_or_default());
    }
    text + "\n`apprentice presets NAME` shows one; cleanrl explains every key of a teacher, default those of a student. What tune searches, in a file, is what `tune --space FILE` takes."
}
