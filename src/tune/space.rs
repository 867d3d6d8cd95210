//! What is searched: keys of a configuration, and what they may be.

use crate::agents::Error;
use crate::envs::Generator;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tpe::{TpeOptimizer, categorical_range, histogram_estimator, parzen_estimator, range};

/// The keys that are searched, each with its domain. In TOML a table of tables; see `presets/tune/`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Space(BTreeMap<String, Domain>);

/// What a key may be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "expected { low = …, high = … } with log = true or integer = true if need be, or { choices = […] }"
)]
pub enum Domain {
    /// A number between two others.
    Range {
        /// The least.
        low: f64,
        /// The greatest.
        high: f64,
        /// Equal ratios are equally far apart.
        #[serde(default)]
        log: bool,
        /// Whole numbers only.
        #[serde(default)]
        integer: bool,
    },
    /// One of some values.
    Choice {
        /// At least one.
        choices: Vec<toml::Value>,
    },
}

impl Domain {
    /// The bounds within which a point is a number: of a range on its scale, of choices their places.
    fn bounds(&self) -> (f64, f64) {
        match self {
            Self::Range { low, high, log: true, .. } => (low.ln(), high.ln()),
            // So that rounding gives the ends the same share as the rest.
            Self::Range { low, high, integer: true, .. } => (low - 0.5, high + 0.499_999),
            Self::Range { low, high, .. } => (*low, *high),
            Self::Choice { choices } => (0.0, choices.len() as f64),
        }
    }

    /// The value of a point.
    fn value(&self, point: f64) -> toml::Value {
        match self {
            Self::Range { low, high, log, integer } => {
                let x = if *log { point.exp() } else { point }.clamp(*low, *high);
                if *integer { toml::Value::Integer(x.round() as i64) } else { toml::Value::Float(x) }
            }
            Self::Choice { choices } => choices[(point as usize).min(choices.len() - 1)].clone(),
        }
    }

    fn check(&self, key: &str) -> Result<(), Error> {
        let sound = match self {
            Self::Range { low, high, log, .. } => low < high && (high - low).is_finite() && (!log || *low > 0.0),
            Self::Choice { choices } => !choices.is_empty(),
        };
        if sound {
            return Ok(());
        }
        Err(Error::config(format!(
            "{key}: expected low < high (above 0 with log), or at least one choice, got {}",
            serde_json::to_string(self).expect("plain data")
        )))
    }
}

/// A point of the space: a number for each key, in their order.
pub(crate) type Point = Vec<f64>;

impl Space {
    /// Reads a space from TOML.
    ///
    /// # Errors
    /// If it is none: no keys, or a domain with nothing in it.
    pub fn from_toml(text: &str) -> Result<Self, Error> {
        let space: Self = toml::from_str(text).map_err(|e| Error::config(e.to_string().trim_end().to_owned()))?;
        if space.0.is_empty() {
            return Err(Error::config("a search: expected at least one key to vary, got none"));
        }
        space.0.iter().try_for_each(|(key, domain)| domain.check(key))?;
        Ok(space)
    }

    /// The keys, in their order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// What a trial could try, as `key=value`: to find out whether the keys are ones of the configuration.
    pub fn example(&self) -> Vec<String> {
        self.overrides(&self.0.values().map(|domain| domain.bounds().0).collect())
    }

    /// A point drawn uniformly.
    pub(crate) fn sample(&self, rng: &mut Generator) -> Point {
        let draw = |(low, high): (f64, f64), rng: &mut Generator| low + (high - low) * rng.random();
        self.0.values().map(|domain| draw(domain.bounds(), rng)).collect()
    }

    /// A point that is more probable among good trials than among bad ones, by a tree-structured Parzen estimator for
    /// every key (Bergstra et al., *Algorithms for Hyper-Parameter Optimization*, 2011). `trials` are points with their
    /// costs; of equals the earlier is the better.
    pub(crate) fn suggest(&self, trials: &[(&Point, f64)], rng: &mut Generator) -> Point {
        let one = |(key, domain): (usize, &Domain)| {
            let (low, high) = domain.bounds();
            let (estimator, range) = match domain {
                Domain::Range { .. } => (parzen_estimator(), range(low, high)),
                Domain::Choice { choices } => (histogram_estimator(), categorical_range(choices.len())),
            };
            let mut optimizer = tpe::TpeOptimizerBuilder::new()
                .gamma(0.25)
                .build(estimator, range.expect("domains were checked"))
                .expect("0 < γ < 1");
            tell(&mut optimizer, trials.iter().map(|(point, cost)| (point[key], *cost)));
            optimizer.ask(rng).expect("a domain is not empty").clamp(low, high)
        };
        self.0.values().enumerate().map(one).collect()
    }

    /// A point as `key=value` overrides of a configuration.
    pub(crate) fn overrides(&self, point: &Point) -> Vec<String> {
        self.0.iter().zip(point).map(|((key, domain), x)| format!("{key}={}", domain.value(*x))).collect()
    }
}

fn tell(optimizer: &mut TpeOptimizer, trials: impl Iterator<Item = (f64, f64)>) {
    for (x, cost) in trials {
        optimizer.tell(x, cost).expect("points lie within their bounds, and costs are numbers");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space() -> Space {
        Space::from_toml(
            "learning_rate = { low = 1e-4, high = 1e-2, log = true }\n\
             update_epochs = { low = 1, high = 3, integer = true }\n\
             hidden = { choices = [[], [8], [16, 16]] }\n\
             \"losses.hard\" = { low = 0.0, high = 1.0 }",
        )
        .unwrap()
    }

    #[test]
    fn points_become_overrides_within_their_domains() {
        let (space, mut rng) = (space(), Generator::new(0));
        let mut epochs = std::collections::BTreeSet::new();
        for _ in 0..200 {
            let overrides = space.overrides(&space.sample(&mut rng));
            let config = crate::presets::distill("default", &overrides).unwrap();
            assert!((1e-4..=1e-2).contains(&config.learning_rate) && config.hidden.len() <= 2);
            assert!(config.losses.len() == 2, "a dotted key reaches into its table");
            epochs.insert(config.update_epochs);
        }
        assert_eq!(epochs.into_iter().collect::<Vec<_>>(), [1, 2, 3]);
    }

    /// Where the best trials lie, the next ones are looked for.
    #[test]
    fn suggestions_follow_what_was_good() {
        let (space, mut rng) = (space(), Generator::new(1));
        let points: Vec<Point> = (0..60).map(|_| space.sample(&mut rng)).collect();
        let cost = |point: &Point| (point[3] - point[3].floor() - 0.8).abs() + (point[0] - 2.5).abs();
        let trials: Vec<(&Point, f64)> = points.iter().map(|point| (point, cost(point))).collect();
        let mean = |points: &mut dyn Iterator<Item = f64>| points.sum::<f64>() / 60.0;
        let blind = mean(&mut points.iter().map(cost));
        let led = mean(&mut (0..60).map(|_| cost(&space.suggest(&trials, &mut rng))));
        assert!(led < 0.8 * blind, "{led} and {blind}");
    }

    #[test]
    fn what_is_no_space_is_refused() {
        for (text, named) in [
            ("", "at least one key"),
            ("a = 3", "expected { low"),
            ("a = { low = 2, high = 1 }", "low < high"),
            ("a = { low = 0, high = 1, log = true }", "above 0"),
            ("a = { choices = [] }", "at least one choice"),
        ] {
            let error = Space::from_toml(text).unwrap_err();
            assert!(error.is_config() && error.to_string().contains(named), "{text}: {error}");
        }
    }
}
