//! The C header in Rust: the same layout, which a test compares. `include/apprentice_env.h` says what things mean.

use std::ffi::{c_char, c_void};

/// Changes only when plugins built with an older header can no longer be used.
pub const ABI_VERSION: u32 = 1;
/// The name of the function that a plugin exports.
pub const ENTRY: &str = "apprentice_plugin";
/// A function did what it was asked.
pub const OK: i32 = 0;
/// A function failed and said why.
pub const ERROR: i32 = 1;

/// The function that a plugin exports.
pub type Entry = unsafe extern "C" fn() -> *const Table;

/// Where a function that fails writes why.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Message {
    /// UTF-8, with a NUL at the end.
    pub text: [u8; 512],
}

/// One kind of environment.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Info {
    /// The size of the plugin's form of this structure.
    pub struct_size: u32,
    /// The time limit; 0: none.
    pub max_episode_steps: u32,
    /// The return from which the task counts as solved; NaN: none.
    pub reward_threshold: f64,
    /// The id.
    pub id: *const c_char,
    /// The page in Markdown, or null.
    pub page: *const c_char,
}

/// Which kinds there are.
pub type InfoFn = unsafe extern "C" fn(u32) -> *const Info;
/// Makes a batch.
pub type Create = unsafe extern "C" fn(u32, u32, *const c_char, *mut *mut c_void, *mut Message) -> i32;
/// Frees a batch.
pub type Destroy = unsafe extern "C" fn(*mut c_void);
/// A space as JSON.
pub type SpaceFn = unsafe extern "C" fn(*mut c_void) -> *const c_char;
/// Starts episodes.
pub type Reset = unsafe extern "C" fn(*mut c_void, u32, *const u32, *const u64, *mut f32, *mut Message) -> i32;
/// Advances every environment.
pub type StepFn =
    unsafe extern "C" fn(*mut c_void, *const f32, *const u8, *mut f32, *mut f64, *mut u8, *mut u8, *mut Message) -> i32;
/// Stores a state, or draws it as text.
pub type Save = unsafe extern "C" fn(*mut c_void, u32, *mut u8, usize, *mut usize, *mut Message) -> i32;
/// Goes on from a state.
pub type Load = unsafe extern "C" fn(*mut c_void, u32, *const u8, usize, *mut Message) -> i32;
/// Marks actions.
pub type ActionMask = unsafe extern "C" fn(*mut c_void, u32, *mut u8, *mut Message) -> i32;
/// Draws a picture.
pub type RenderRgb = unsafe extern "C" fn(*mut c_void, u32, *mut u8, usize, *mut u32, *mut u32, *mut Message) -> i32;

/// The table. Every function is optional here, since the other side may have left it out.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Table {
    /// The version that the plugin was built for.
    pub abi_version: u32,
    /// The size of the plugin's form of this structure.
    pub struct_size: u32,
    /// How many kinds of environment there are.
    pub num_kinds: u32,
    /// Which kinds there are.
    pub info: Option<InfoFn>,
    /// Makes a batch.
    pub create: Option<Create>,
    /// Frees a batch.
    pub destroy: Option<Destroy>,
    /// The space of observations.
    pub observation_space: Option<SpaceFn>,
    /// The space of actions.
    pub action_space: Option<SpaceFn>,
    /// Starts episodes.
    pub reset: Option<Reset>,
    /// Advances every environment.
    pub step: Option<StepFn>,
    /// Stores a state.
    pub save: Option<Save>,
    /// Goes on from a state.
    pub load: Option<Load>,
    /// Marks actions; may be left out.
    pub action_mask: Option<ActionMask>,
    /// Draws text; may be left out.
    pub render_text: Option<Save>,
    /// Draws a picture; may be left out.
    pub render_rgb: Option<RenderRgb>,
}
