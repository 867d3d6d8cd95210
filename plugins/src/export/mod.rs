//! The other side of the border: environments in Rust as a plugin.
//!
//! A crate of the type `cdylib` with this in it is a plugin:
//!
//! ```
//! use apprentice_envs::Registry;
//!
//! fn register(registry: &mut Registry) {
//!     // registry.register(EnvInfo::new("me/Catch-v0"), Catch::new);
//! }
//!
//! apprentice_plugins::export_plugin!(register);
//! ```
//!
//! A panic in an environment becomes an error of the function that was called; so the crate must not be built with
//! `panic = "abort"`.

mod batch;
mod calls;
#[cfg(test)]
mod tests;

use crate::abi::{ABI_VERSION, Info, Table};
use apprentice_envs::{EnvInfo, Registry};
use std::ffi::CString;
use std::panic::catch_unwind;
use std::ptr;
use std::sync::OnceLock;

/// Exports the environments that a `fn(&mut Registry)` registers: the whole of what a plugin in Rust has to say.
///
/// Their ids need a namespace, such as `me/Catch-v0`.
#[macro_export]
macro_rules! export_plugin {
    ($register:expr) => {
        /// What a plugin of Apprentice exports.
        #[unsafe(no_mangle)]
        pub extern "C" fn apprentice_plugin() -> *const $crate::abi::Table {
            $crate::export::table($register)
        }
    };
}

/// What this library offers. There is one such static in each shared library, as each has its own copy of this crate.
static EXPORTED: OnceLock<Option<Exported>> = OnceLock::new();

struct Exported {
    registry: Registry,
    kinds: Vec<ExportedKind>,
    table: Table,
}

struct ExportedKind {
    /// Points into the texts below.
    info: Info,
    id: String,
    _texts: [CString; 2],
}

// SAFETY: nothing of it changes once it is made.
unsafe impl Send for ExportedKind {}
// SAFETY: nothing of it changes once it is made.
unsafe impl Sync for ExportedKind {}

/// The table of the environments that `register` registers; null if it panics. What [`export_plugin!`] returns.
pub fn table(register: fn(&mut Registry)) -> *const Table {
    let exported = EXPORTED.get_or_init(|| catch_unwind(|| Exported::new(register)).ok());
    exported.as_ref().map_or(ptr::null(), |exported| &exported.table)
}

fn exported() -> &'static Exported {
    EXPORTED.get().and_then(Option::as_ref).expect("the table was asked for first")
}

impl Exported {
    fn new(register: fn(&mut Registry)) -> Self {
        let mut registry = Registry::empty();
        register(&mut registry);
        let kinds: Vec<_> = registry.list().map(ExportedKind::new).collect();
        let table = Table {
            abi_version: ABI_VERSION,
            struct_size: size_of::<Table>() as u32,
            num_kinds: kinds.len() as u32,
            info: Some(calls::info),
            create: Some(calls::create),
            destroy: Some(calls::destroy),
            observation_space: Some(calls::observation_space),
            action_space: Some(calls::action_space),
            reset: Some(calls::reset),
            step: Some(calls::step),
            save: Some(calls::save),
            load: Some(calls::load),
            action_mask: Some(calls::action_mask),
            render_text: Some(calls::render_text),
            render_rgb: Some(calls::render_rgb),
        };
        Self { registry, kinds, table }
    }
}

impl ExportedKind {
    fn new(info: &EnvInfo) -> Self {
        let texts = [&info.id, info.page].map(|text| CString::new(text.replace('\0', " ")).expect("no NUL is left"));
        let info_for_the_host = Info {
            struct_size: size_of::<Info>() as u32,
            max_episode_steps: info.max_episode_steps.unwrap_or(0),
            reward_threshold: info.reward_threshold.unwrap_or(f64::NAN),
            id: texts[0].as_ptr(),
            page: texts[1].as_ptr(),
        };
        Self { info: info_for_the_host, id: info.id.clone(), _texts: texts }
    }
}
