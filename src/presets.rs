//! Tuned configurations, by name and by environment.

use crate::agents::{Error, PpoConfig};
use crate::distill::DistillConfig;
use crate::envs::{EnvSpec, Registry, Space};
use serde::de::DeserializeOwned;

/// Every PPO preset: its name and its TOML, comments included.
pub const PPO: [(&str, &str); 16] = [
    ("acrobot", include_str!("../presets/acrobot.toml")),
    ("blackjack", include_str!("../presets/blackjack.toml")),
    ("cartpole", include_str!("../presets/cartpole.toml")),
    ("cartpole_positions", include_str!("../presets/cartpole_positions.toml")),
    ("cleanrl", include_str!("../presets/cleanrl.toml")),
    ("continuous", include_str!("../presets/continuous.toml")),
    ("cliffwalking", include_str!("../presets/cliffwalking.toml")),
    ("frozenlake", include_str!("../presets/frozenlake.toml")),
    ("gridworld", include_str!("../presets/gridworld.toml")),
    ("memory", include_str!("../presets/memory.toml")),
    ("mountaincar", include_str!("../presets/mountaincar.toml")),
    ("mountaincar_continuous", include_str!("../presets/mountaincar_continuous.toml")),
    ("obstacles", include_str!("../presets/obstacles.toml")),
    ("pendulum", include_str!("../presets/pendulum.toml")),
    ("sb3", include_str!("../presets/sb3.toml")),
    ("taxi", include_str!("../presets/taxi.toml")),
];

/// Every preset of a distillation: its name and its TOML, comments included.
pub const DISTILL: [(&str, &str); 8] = [
    ("default", include_str!("../presets/distill/default.toml")),
    ("dagger", include_str!("../presets/distill/dagger.toml")),
    ("entropy_regularised", include_str!("../presets/distill/entropy_regularised.toml")),
    ("kickstarting", include_str!("../presets/distill/kickstarting.toml")),
    ("ppd", include_str!("../presets/distill/ppd.toml")),
    ("reward_augmented", include_str!("../presets/distill/reward_augmented.toml")),
    ("student_driven", include_str!("../presets/distill/student_driven.toml")),
    ("teacher_driven", include_str!("../presets/distill/teacher_driven.toml")),
];

/// The PPO preset called `name`, with `overrides` of the form `key=value` (TOML, dotted keys) over it.
///
/// # Errors
/// If there is no such preset, or an override is not valid.
pub fn ppo(name: &str, overrides: &[String]) -> Result<PpoConfig, Error> {
    with_overrides(find(&PPO, name)?, overrides)
}

/// The name of the preset that is tuned for an environment. For one without it is `continuous` where actions are real, and
/// `cleanrl` elsewhere.
pub fn for_env(env: &EnvSpec, registry: &Registry) -> &'static str {
    if let Some(name) = tuned_for(&env.id) {
        return name;
    }
    match registry.make(env) {
        Ok(env) if matches!(env.action_space(), Space::Box { .. }) => "continuous",
        _ => "cleanrl",
    }
}

/// The name of the preset that is tuned for the environment `id`, if there is one.
pub fn tuned_for(id: &str) -> Option<&'static str> {
    Some(match id {
        "Acrobot-v1" => "acrobot",
        "Blackjack-v1" => "blackjack",
        "CartPole-v0" | "CartPole-v1" => "cartpole",
        "CliffWalking-v1" | "CliffWalkingSlippery-v1" => "cliffwalking",
        "FrozenLake-v1" | "FrozenLake8x8-v1" => "frozenlake",
        "GridWorld-v0" | "KeyDoor-v0" => "gridworld",
        "Memory-v0" => "memory",
        "Obstacles-v0" => "obstacles",
        "MountainCar-v0" => "mountaincar",
        "MountainCarContinuous-v0" => "mountaincar_continuous",
        "Pendulum-v1" => "pendulum",
        "Taxi-v4" => "taxi",
        _ => return None,
    })
}

/// The distillation preset called `name`, with `overrides` of the form `key=value` over it.
///
/// # Errors
/// If there is no such preset, or an override is not valid.
pub fn distill(name: &str, overrides: &[String]) -> Result<DistillConfig, Error> {
    with_overrides(&student(name)?, overrides)
}

/// The preset of a decision tree, as TOML with comments.
pub const VIPER: &str = include_str!("../presets/distill/viper.toml");

/// What `tune` searches for a student and for a teacher, as TOML with comments.
pub const TUNE_DISTILL: &str = include_str!("../presets/tune/distill.toml");

/// The same for a teacher.
pub const TUNE_PPO: &str = include_str!("../presets/tune/ppo.toml");

/// The TOML of the student's preset called `name`: one of [`DISTILL`] over the default, or `viper`.
///
/// # Errors
/// If there is no such preset.
pub fn student(name: &str) -> Result<String, Error> {
    let presets: Vec<_> = DISTILL.into_iter().chain([("viper", VIPER)]).collect();
    let text = find(&presets, name)?;
    if name == "viper" {
        return Ok(text.to_owned());
    }
    // Whole, so that an override of one loss finds the others.
    let read = |text: &str| text.parse::<toml::Table>().map_err(|e| Error::config(e.to_string()));
    let mut table = read(DISTILL[0].1)?;
    table.extend(read(text)?);
    Ok(table.to_string())
}

/// Whether a student's configuration is that of a decision tree: only that has a largest size.
pub(crate) fn is_tree(text: &str) -> bool {
    text.parse::<toml::Table>().is_ok_and(|table| table.contains_key("max_nodes"))
}

fn find(presets: &[(&'static str, &'static str)], name: &str) -> Result<&'static str, Error> {
    let preset = presets.iter().find(|(preset, _)| *preset == name);
    preset.map(|(_, text)| *text).ok_or_else(|| {
        let known = presets.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
        Error::config(format!("unknown preset {name:?}: expected one of {known}"))
    })
}

/// Reads a configuration from TOML with `key=value` overrides over it. A value is TOML; what is not valid TOML is
/// taken as a string, so that `activation=relu` needs no quotes.
///
/// # Errors
/// If the text or an override is not valid: an unknown key, a value of the wrong type.
pub fn with_overrides<C: DeserializeOwned>(text: &str, overrides: &[String]) -> Result<C, Error> {
    let mut table: toml::Table = text.parse().map_err(|e: toml::de::Error| Error::config(e.to_string()))?;
    for entry in overrides {
        let (key, value) = entry
            .split_once('=')
            .ok_or_else(|| Error::config(format!("--set {entry}: expected key=value, such as learning_rate=1e-3")))?;
        let (key, value) = (key.trim(), value.trim());
        let parsed = format!("value = {value}").parse::<toml::Table>();
        if let (Err(e), true) = (&parsed, value.starts_with(['[', '{', '"'])) {
            return Err(Error::config(format!(
                "--set {entry}: expected a value as TOML has it, such as [64, 64] or {{ type = \"ClipAction\" }}: {}",
                e.message()
            )));
        }
        let value = match parsed.ok().and_then(|mut table| table.remove("value")) {
            // 1e5 is how people write a hundred thousand, and every number may be given as an integer.
            Some(toml::Value::Float(x)) if value.contains(['e', 'E']) && x.fract() == 0.0 && x.abs() < 1e15 => {
                toml::Value::Integer(x as i64)
            }
            Some(value) => value,
            None => toml::Value::String(value.to_owned()),
        };
        let (path, last) = match key.rsplit_once('.') {
            Some((path, last)) => (path.split('.').collect(), last),
            None => (Vec::new(), key),
        };
        let mut at = &mut table;
        for part in path {
            let next = at.entry(part).or_insert_with(|| toml::Value::Table(toml::Table::new()));
            at = next
                .as_table_mut()
                .ok_or_else(|| Error::config(format!("--set {entry}: {part} is a value and has no keys in it")))?;
        }
        at.insert(last.to_owned(), value);
    }
    table.try_into().map_err(|e: toml::de::Error| Error::config(explain(e.to_string().trim())))
}

/// The names that other libraries have for keys.
const ALIASES: [(&str, &str); 10] = [
    ("batch_size", "num_minibatches"),
    ("minibatch_size", "num_minibatches"),
    ("clip_range", "clip_coef"),
    ("lr", "learning_rate"),
    ("n_envs", "num_envs"),
    ("n_epochs", "update_epochs"),
    ("n_steps", "num_steps"),
    ("net_arch", "hidden"),
    ("anneal_lr", "lr_schedule"),
    ("normalize_advantage", "norm_adv"),
];

/// Says what is wrong with a configuration: of an unknown key the one that was probably meant, not the list of all.
fn explain(error: &str) -> String {
    let error = error.replace('\n', " ");
    let mut quoted = error.split('`').skip(1).step_by(2);
    let Some(key) = quoted.next().filter(|_| error.contains("unknown field")) else { return error };
    let known: Vec<&str> = quoted.collect();
    let alias = ALIASES.iter().find(|(alias, meant)| *alias == key && known.contains(meant)).map(|(_, meant)| *meant);
    // Each kind of configuration has a key that the others lack, and a preset that has them all.
    let kinds = [
        ("minibatch_size", "a student", "default", DISTILL[0].1),
        ("num_minibatches", "a teacher", "cleanrl", find(&PPO, "cleanrl").unwrap_or_default()),
        ("max_nodes", "a tree", "viper", VIPER),
    ];
    let has = |text: &str| text.lines().any(|line| line.starts_with(&format!("{key} = ")));
    let other = kinds.iter().find(|(.., text)| has(text));
    let similarity = |known: &str| strsim::jaro_winkler(key, known);
    let nearest = known.iter().copied().max_by(|a, b| similarity(a).total_cmp(&similarity(b)));
    let nearest = nearest.filter(|known| similarity(known) > 0.75 && other.is_none());
    if let Some(meant) = alias.or(nearest) {
        return format!("unknown key `{key}`; did you mean `{meant}`?");
    }
    let Some((.., preset, _)) = kinds.iter().find(|(own, ..)| known.contains(own)) else { return error };
    let of_other = other.map_or(String::new(), |(_, what, ..)| format!(", but one of {what}"));
    format!("unknown key `{key}`: it is none here{of_other}; `apprentice presets {preset}` explains those that are")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distill::ViperConfig;

    #[test]
    fn presets_are_valid_and_say_every_default() {
        for (name, _) in PPO {
            ppo(name, &[]).unwrap().plan().unwrap();
        }
        assert_eq!(ppo("cleanrl", &[]).unwrap(), PpoConfig::default());
        for (name, _) in DISTILL {
            distill(name, &[]).unwrap().plan().unwrap();
        }
        assert_eq!(distill("default", &[]).unwrap(), DistillConfig::default());
        assert_eq!(ViperConfig::from_toml(VIPER).unwrap(), ViperConfig::default());
        assert!(student("viper").is_ok() && student("vipr").unwrap_err().to_string().contains("viper"));
        assert!(ppo("cartpol", &[]).unwrap_err().is_config());
    }

    /// A key without its line in the presets would be one that nobody finds.
    #[test]
    fn presets_name_every_key() {
        let documented = |text: &str, config: String| {
            for key in config.parse::<toml::Table>().unwrap().keys().filter(|key| *key != "env") {
                assert!(text.lines().any(|line| line.starts_with(&format!("{key} = "))), "{key}");
            }
        };
        documented(PPO.iter().find(|(name, _)| *name == "cleanrl").unwrap().1, PpoConfig::default().to_toml().unwrap());
        documented(VIPER, ViperConfig::default().to_toml().unwrap());
        documented(DISTILL[0].1, DistillConfig::default().to_toml().unwrap());
    }

    #[test]
    fn overrides_are_toml_with_dotted_keys() {
        let set = |entries: &[&str]| ppo("cartpole", &entries.iter().map(|e| e.to_string()).collect::<Vec<_>>());
        let config = set(&["hidden=[8, 8]", "activation=relu", "env.kwargs.gravity=5.0", "gamma = 0.5"]).unwrap();
        assert_eq!(config.hidden, [8, 8]);
        let losses = |preset| distill(preset, &["losses.hard=0.5".to_owned()]).unwrap().losses.len();
        assert_eq!((losses("dagger"), losses("kickstarting")), (2, 2), "one more, not one instead");
        assert_eq!(config.env.kwargs["gravity"], 5.0);
        assert_eq!(config.gamma, 0.5);
        assert_eq!(set(&["total_timesteps=1e5"]).unwrap().total_timesteps, 100_000);
        assert_eq!(set(&["learning_rate=1e0"]).unwrap().learning_rate, 1.0);
        for (key, meant) in
            [("learning_rat", "learning_rate"), ("n_steps", "num_steps"), ("batch_size", "num_minibatches")]
        {
            let error = set(&[&format!("{key}=1")]).unwrap_err().to_string();
            assert_eq!(error, format!("unknown key `{key}`; did you mean `{meant}`?"));
        }
        for (key, named) in [("max_nodes", "one of a tree"), ("frobnicate", "presets cleanrl")] {
            let error = set(&[&format!("{key}=1")]).unwrap_err().to_string();
            assert!(error.contains(named) && error.len() < 150, "{error}");
        }
        for (entry, named) in
            [("gama=1", "gama"), ("gamma", "key=value"), ("num_envs=-1", "num_envs"), ("gamma.x=1", "gamma")]
        {
            let error = set(&[entry]).unwrap_err();
            assert!(error.is_config() && error.to_string().contains(named), "{entry}: {error}");
        }
    }
}
