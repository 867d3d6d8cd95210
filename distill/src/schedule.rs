//! How the coefficients of a distillation change over its course.

use apprentice_agents::{Error, check};
use serde::{Deserialize, Serialize};

/// The course of a coefficient. In TOML it is a number, or a table:
///
/// ```toml
/// coef = 1.0
/// beta = { schedule = "linear", start = 1.0, end = 0.0, fraction = 0.5 }
/// task_coef = { schedule = "piecewise", points = [[0.0, 0.0], [0.2, 0.0], [0.3, 1.0]] }
/// ```
///
/// Progress is the share of iterations that are done: 0 in the first of n, (n − 1) / n in the last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub enum CoefSchedule {
    /// The same all along.
    Constant(f64),
    /// In a straight line from `start` to `end`, reached after this fraction of the run.
    Linear {
        /// At the beginning.
        start: f64,
        /// From `fraction` on.
        end: f64,
        /// Of the run, above 0 and at most 1.
        fraction: f64,
    },
    /// By the same factor every iteration, from `start` to `end`, both positive, reached after this fraction of the run.
    Exponential {
        /// At the beginning.
        start: f64,
        /// From `fraction` on.
        end: f64,
        /// Of the run, above 0 and at most 1.
        fraction: f64,
    },
    /// In straight lines between points (progress, value) of rising progress; level before the first and after the last.
    Piecewise {
        /// At least one.
        points: Vec<(f64, f64)>,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "expected a number, or a table such as { schedule = \"linear\", start = 1.0, end = 0.0 }, with the \
                 schedules linear and exponential (start, end, fraction) and piecewise (points)"
)]
enum Written {
    Number(f64),
    Table(Table),
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "schedule", rename_all = "lowercase", deny_unknown_fields)]
enum Table {
    Linear {
        start: f64,
        end: f64,
        #[serde(default = "whole")]
        fraction: f64,
    },
    Exponential {
        start: f64,
        end: f64,
        #[serde(default = "whole")]
        fraction: f64,
    },
    Piecewise {
        points: Vec<(f64, f64)>,
    },
}

fn whole() -> f64 {
    1.0
}

impl From<Written> for CoefSchedule {
    fn from(written: Written) -> Self {
        match written {
            Written::Number(value) => Self::Constant(value),
            Written::Table(Table::Linear { start, end, fraction }) => Self::Linear { start, end, fraction },
            Written::Table(Table::Exponential { start, end, fraction }) => Self::Exponential { start, end, fraction },
            Written::Table(Table::Piecewise { points }) => Self::Piecewise { points },
        }
    }
}

impl From<CoefSchedule> for Written {
    fn from(schedule: CoefSchedule) -> Self {
        match schedule {
            CoefSchedule::Constant(value) => Self::Number(value),
            CoefSchedule::Linear { start, end, fraction } => Self::Table(Table::Linear { start, end, fraction }),
            CoefSchedule::Exponential { start, end, fraction } => {
                Self::Table(Table::Exponential { start, end, fraction })
            }
            CoefSchedule::Piecewise { points } => Self::Table(Table::Piecewise { points }),
        }
    }
}

impl From<f64> for CoefSchedule {
    fn from(value: f64) -> Self {
        Self::Constant(value)
    }
}

impl CoefSchedule {
    /// The coefficient in iteration `iteration` (counted from 0) of `num_iterations`.
    pub fn at(&self, iteration: u64, num_iterations: u64) -> f64 {
        let progress = iteration as f64 / num_iterations as f64;
        match self {
            Self::Constant(value) => *value,
            Self::Linear { start, end, fraction } => start + (end - start) * (progress / fraction).min(1.0),
            Self::Exponential { start, end, fraction } => start * (end / start).powf((progress / fraction).min(1.0)),
            Self::Piecewise { points } => {
                let after = points.partition_point(|(at, _)| *at <= progress);
                match (after.checked_sub(1).map(|i| points[i]), points.get(after)) {
                    (Some((x0, y0)), Some((x1, y1))) => y0 + (y1 - y0) * (progress - x0) / (x1 - x0),
                    (Some((_, y)), None) | (None, Some(&(_, y))) => y,
                    (None, None) => 0.0,
                }
            }
        }
    }

    /// Whether it is 0 from beginning to end.
    pub fn is_zero(&self) -> bool {
        self.values().iter().all(|value| *value == 0.0)
    }

    /// The values that all others lie between.
    fn values(&self) -> Vec<f64> {
        match self {
            Self::Constant(value) => vec![*value],
            Self::Linear { start, end, .. } | Self::Exponential { start, end, .. } => vec![*start, *end],
            Self::Piecewise { points } => points.iter().map(|(_, value)| *value).collect(),
        }
    }

    /// Refuses a course that cannot be followed, or leaves the numbers from 0 to `most`.
    pub(crate) fn check(&self, key: &str, most: f64) -> Result<(), Error> {
        let expected = if most == 1.0 { "numbers from 0 to 1" } else { "finite numbers of 0 or more" };
        for value in self.values() {
            check(key, value, (0.0..=most).contains(&value) && value.is_finite(), expected)?;
        }
        match self {
            Self::Constant(_) => Ok(()),
            Self::Linear { fraction, .. } => check_fraction(key, *fraction),
            Self::Exponential { start, end, fraction } => {
                check(key, start.min(*end), *start > 0.0 && *end > 0.0, "an exponential between positive numbers")?;
                check_fraction(key, *fraction)
            }
            Self::Piecewise { points } => {
                let rising = points.windows(2).all(|pair| pair[0].0 < pair[1].0);
                let progress = points.iter().all(|(at, _)| (0.0..=1.0).contains(at));
                let sound = !points.is_empty() && rising && progress;
                check(key, format!("{points:?}"), sound, "points [progress, value] with progress rising from 0 to 1")
            }
        }
    }
}

fn check_fraction(key: &str, fraction: f64) -> Result<(), Error> {
    check(&format!("{key}.fraction"), fraction, fraction > 0.0 && fraction <= 1.0, "a number above 0 and at most 1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Keys {
        coef: CoefSchedule,
    }

    fn read(text: &str) -> Result<CoefSchedule, String> {
        toml::from_str::<Keys>(text).map(|keys| keys.coef).map_err(|e| e.to_string())
    }

    #[test]
    fn courses_run_as_they_are_written() {
        let course = |text: &str| {
            let schedule = read(text).unwrap();
            schedule.check("coef", f64::INFINITY).unwrap();
            let keys = Keys { coef: schedule.clone() };
            assert_eq!(toml::from_str::<Keys>(&toml::to_string(&keys).unwrap()).unwrap(), keys);
            (0..4).map(|k| schedule.at(k, 4)).collect::<Vec<_>>()
        };
        assert_eq!(course("coef = 2"), [2.0; 4]);
        assert_eq!(course("coef = { schedule = \"linear\", start = 1, end = 0 }"), [1.0, 0.75, 0.5, 0.25]);
        let half = course("coef = { schedule = \"linear\", start = 1, end = 0, fraction = 0.5 }");
        assert_eq!(half, [1.0, 0.5, 0.0, 0.0]);
        let falling = course("coef = { schedule = \"exponential\", start = 1, end = 0.0625 }");
        assert_eq!(falling, [1.0, 0.5, 0.25, 0.125]);
        let bent = course("coef = { schedule = \"piecewise\", points = [[0.25, 4.0], [0.75, 0.0]] }");
        assert_eq!(bent, [4.0, 4.0, 2.0, 0.0]);
    }

    #[test]
    fn what_is_no_course_is_refused() {
        for text in ["coef = \"fast\"", "coef = { schedule = \"linear\", begin = 1 }", "coef = { start = 1, end = 0 }"]
        {
            let error = read(text).unwrap_err();
            assert!(error.contains("expected a number, or a table"), "{error}");
        }
        for text in [
            "coef = -1",
            "coef = nan",
            "coef = { schedule = \"exponential\", start = 1, end = 0 }",
            "coef = { schedule = \"linear\", start = 1, end = 0, fraction = 0 }",
            "coef = { schedule = \"piecewise\", points = [] }",
            "coef = { schedule = \"piecewise\", points = [[0.5, 1.0], [0.5, 0.0]] }",
        ] {
            assert!(read(text).unwrap().check("coef", f64::INFINITY).unwrap_err().is_config(), "{text}");
        }
        assert!(CoefSchedule::Constant(2.0).check("beta", 1.0).is_err());
        assert!(CoefSchedule::Constant(0.0).is_zero() && !read("coef = 1").unwrap().is_zero());
    }
}
