//! Environments from shared libraries: added to Apprentice without touching or rebuilding it.
//!
//! A plugin is a shared library behind the C interface of `include/apprentice_env.h`, written in C, C++, Rust or
//! whatever speaks C. [`load`] registers its environments beside the built-in ones, and from then on they are like
//! them: by id, with parameters, in batches, with time limits, autoreset, seeds, threads and snapshots.
//!
//! ```no_run
//! use apprentice_envs::Registry;
//!
//! let mut registry = Registry::builtin();
//! apprentice_plugins::load("libcartpole.so".as_ref(), &mut registry)?;
//! let mut envs = registry.make_vec("c/CartPole-v1", 64, 0)?;
//! # Ok::<(), apprentice_envs::Error>(())
//! ```
//!
//! You do not need this crate for an environment in Rust that is compiled with your program: `Registry::register` is
//! enough.
//!
//! What a plugin answers is looked at before it is used, and a mistake becomes an error that names the plugin, the
//! environment and what is wrong. It is code in this process all the same: it can do whatever the process can.
//!
//! To write a plugin in Rust, see [`export`]; to know whether one is well, [`check()`]; `README.md` shows the way.
//!
//! Where to read on: `border.rs` holds the calls, `instance.rs` the checks, `library.rs` what is looked at first.

pub mod abi;
mod batch;
mod border;
mod check;
mod columns;
mod env;
pub mod export;
#[cfg(test)]
mod fuzz;
mod guarded;
mod instance;
mod kind;
mod library;

use apprentice_envs::{EnvInfo, Error, Registry};
use library::{KindInfo, Library};
use std::path::Path;
use std::sync::Arc;

pub use batch::PluginBatch;
pub use check::{Check, EnvReport, Report, check};
pub use env::PluginEnv;

/// Registers the environments of the plugin in the file `path`, and returns their ids.
///
/// The library stays loaded as long as the registry or an environment of it lives.
///
/// # Errors
/// If the file is no plugin, does not keep to the interface, or offers an id that is taken; then nothing has been
/// registered.
pub fn load(path: &Path, registry: &mut Registry) -> Result<Vec<String>, Error> {
    let (library, kinds) = Library::open(path)?;
    if let Some(taken) = kinds.iter().find(|kind| registry.info(&kind.id).is_ok()) {
        return Err(Error::config(format!(
            "plugin {}: the id {} is taken already, by another plugin or by this one loaded before; use a namespace of \
             your own",
            library.path(),
            taken.id
        )));
    }
    let ids = kinds.iter().map(|kind| kind.id.clone()).collect();
    register(&library, kinds, registry);
    Ok(ids)
}

fn register(library: &Arc<Library>, kinds: Vec<KindInfo>, registry: &mut Registry) {
    for (index, kind) in kinds.into_iter().enumerate() {
        let info = EnvInfo {
            max_episode_steps: kind.max_episode_steps,
            reward_threshold: kind.reward_threshold,
            // Pages live as long as the program, like those of the built-in environments.
            page: kind.page.leak(),
            ..EnvInfo::new(&kind.id)
        };
        let library = library.clone();
        registry.register_rows::<PluginBatch>(info, move |kwargs| {
            PluginEnv::new(&library, index as u32, &kind.id, &kwargs)
        });
    }
}
