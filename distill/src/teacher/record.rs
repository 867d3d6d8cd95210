//! Who taught, in a form that can be written down: what a run keeps in `teacher.toml`, and every checkpoint in its header.

use crate::{Fusion, Teacher};
use apprentice_agents::Error;
use apprentice_deploy::Policy;
use apprentice_envs::{EnvSpec, Registry};
use serde::{Deserialize, Serialize};

/// What a teacher is made of, so that the same one can be put together again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TeacherRecord {
    /// How the teacher answers.
    pub teaching: Teaching,
    /// The checksums of its policies.
    pub policies: Vec<String>,
    /// How much of a say each of several policies has, if not all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<Vec<f64>>,
    /// The command of a program. Of a closure there is nothing that could be written down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// The checksum of the critic, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub critic: Option<String>,
}

/// How a teacher answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Teaching {
    /// With the mixture of what its policies say; also if there is only one.
    Mixture,
    /// With the product of what its policies say.
    Product,
    /// With one policy for each of several domains.
    Domains,
    /// With one policy for each of several tasks.
    Tasks,
    /// With an action: a program or a closure.
    Expert,
}

/// The checksum of a critic by the parameters of the networks that it belongs to.
pub fn critic_checksum(parameters: &[f32]) -> String {
    let bytes: Vec<u8> = parameters.iter().flat_map(|x| x.to_le_bytes()).collect();
    format!("{:08x}", crc32fast::hash(&bytes))
}

impl TeacherRecord {
    /// The teacher, but for its critic, put together again of its policies; a program is started, to act in `env`.
    ///
    /// # Errors
    /// If the policies do not fit together, the program cannot be started, or the teacher was a closure.
    pub fn teacher<'a>(
        &self,
        policies: &[&'a Policy],
        env: &EnvSpec,
        registry: &Registry,
    ) -> Result<Teacher<'a>, Error> {
        let weights = self.weights.as_deref();
        match self.teaching {
            Teaching::Mixture => Teacher::ensemble(policies, weights, Fusion::Mixture),
            Teaching::Product => Teacher::ensemble(policies, weights, Fusion::Product),
            Teaching::Domains => Teacher::domains(policies),
            Teaching::Tasks => Teacher::tasks(policies),
            Teaching::Expert => {
                let command = self.command.as_deref().ok_or_else(|| {
                    Error::config(
                        "the teacher is a closure, which no file can hold: call Distiller::resume, Viper::resume or \
                         Report::of_teacher in the program that it belongs to",
                    )
                })?;
                Teacher::program(registry.make(env)?.action_space(), command)
            }
        }
    }

    /// What kind of teacher it is, in a few words.
    pub(crate) fn kind(&self) -> String {
        match (self.teaching, self.policies.len()) {
            (Teaching::Expert, _) => "expert".to_owned(),
            (_, 1) => "teacher".to_owned(),
            (Teaching::Mixture, n) => format!("mixture of {n}"),
            (Teaching::Product, n) => format!("product of {n}"),
            (Teaching::Domains, n) => format!("{n} domains"),
            (Teaching::Tasks, n) => format!("{n} tasks"),
        }
    }

    /// Refuses another teacher than this one.
    ///
    /// # Errors
    /// If there is a difference; the message names the first.
    pub fn check(&self, other: &Self) -> Result<(), Error> {
        let differs = |what: &str, expected: &dyn std::fmt::Debug, got: &dyn std::fmt::Debug| {
            Err(Error::config(format!(
                "the student began with another teacher, {what}: expected {expected:?}, got {got:?}; give the teacher that it \
                 began with, or distil anew"
            )))
        };
        let Self { teaching, policies, weights, command, critic } = self;
        match other {
            other if *teaching != other.teaching => differs("by how it answers", teaching, &other.teaching),
            other if *policies != other.policies => {
                differs("by the checksums of its policies", policies, &other.policies)
            }
            other if *weights != other.weights => differs("by its weights", weights, &other.weights),
            other if *command != other.command => differs("by its command", command, &other.command),
            other if *critic != other.critic => differs("by the checksum of its critic", critic, &other.critic),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_difference_is_named() {
        let record = TeacherRecord {
            teaching: Teaching::Product,
            policies: vec!["01234567".to_owned(), "89abcdef".to_owned()],
            weights: Some(vec![1.0, 2.0]),
            command: None,
            critic: None,
        };
        assert!(record.check(&record.clone()).is_ok());
        assert_eq!(toml::from_str::<TeacherRecord>(&toml::to_string(&record).unwrap()).unwrap(), record);
        let others = [
            (TeacherRecord { teaching: Teaching::Mixture, ..record.clone() }, "Mixture"),
            (TeacherRecord { policies: vec!["fedcba98".to_owned()], ..record.clone() }, "fedcba98"),
            (TeacherRecord { weights: None, ..record.clone() }, "weights"),
            (TeacherRecord { command: Some("cat".to_owned()), ..record.clone() }, "cat"),
            (TeacherRecord { critic: Some("0".to_owned()), ..record.clone() }, "critic"),
        ];
        for (other, part) in others {
            let error = record.check(&other).unwrap_err();
            assert!(error.is_config() && error.to_string().contains(part), "{error}");
        }
    }
}
