//! The calls across the border: slices become pointers here and statuses become errors, and nothing else happens.
//! What comes back is not looked at; [`Instance`](crate::instance::Instance) does that.

use crate::abi::{self, Message};
use crate::library::{Library, text};
use std::cell::UnsafeCell;
use std::ffi::{CStr, c_void};
use std::ptr;
use std::sync::Arc;

/// A batch of environments on the other side of the border.
pub(crate) struct Foreign {
    library: Arc<Library>,
    instance: *mut c_void,
    num_envs: usize,
    widths: Widths,
    message: Box<UnsafeCell<Message>>,
}

/// How many entries the plugin reads and writes for one environment.
#[derive(Clone, Copy, Default)]
pub(crate) struct Widths {
    pub(crate) observation: usize,
    pub(crate) action: usize,
    pub(crate) mask: usize,
}

// SAFETY: the header asks of a plugin that an instance can be used from any thread, by one at a time, and it allows
// nothing that could tie `instance` to the thread that made it. The message is ours alone.
unsafe impl Send for Foreign {}

impl Foreign {
    /// Makes `num_envs` environments of a kind.
    pub(crate) fn create(library: Arc<Library>, kind: u32, num_envs: u32, kwargs: &CStr) -> Result<Self, String> {
        let mut foreign = Self {
            library,
            instance: ptr::null_mut(),
            num_envs: num_envs as usize,
            widths: Widths::default(),
            message: Box::new(UnsafeCell::new(Message { text: [0; 512] })),
        };
        let create = foreign.library.functions.create;
        let mut instance = ptr::null_mut();
        // SAFETY: `kind` is one of the library's; the pointers are valid during the call.
        let status = unsafe { create(kind, num_envs, kwargs.as_ptr(), &mut instance, foreign.message.get()) };
        // After a failure there is no instance to destroy, whatever was written.
        foreign.check("create", status)?;
        foreign.instance = instance;
        if instance.is_null() {
            return Err("create returned APPRENTICE_OK but no instance".into());
        }
        Ok(foreign)
    }

    /// The JSON of the two spaces.
    pub(crate) fn spaces(&self) -> Result<(String, String), String> {
        let functions = &self.library.functions;
        let read = |name, space: abi::SpaceFn| {
            // SAFETY: the instance lives, and what comes back is null or a text that lives as long.
            unsafe { text(name, space(self.instance)) }?.ok_or_else(|| format!("{name} returned NULL: expected JSON"))
        };
        Ok((read("observation_space", functions.observation_space)?, read("action_space", functions.action_space)?))
    }

    /// Says how wide the rows are; by then the spaces have been read.
    pub(crate) fn set_widths(&mut self, widths: Widths) {
        self.widths = widths;
    }

    pub(crate) fn num_envs(&self) -> usize {
        self.num_envs
    }

    /// Starts episodes; writes a row for each of `envs`. `observations` may be longer.
    pub(crate) fn reset(&mut self, envs: &[u32], seeds: &[u64], observations: &mut [f32]) -> Result<(), String> {
        assert!(seeds.len() == envs.len() && observations.len() >= envs.len() * self.widths.observation);
        let reset = self.library.functions.reset;
        let count = envs.len() as u32;
        // SAFETY: the instance lives, and the buffers hold what the header says.
        let status = unsafe {
            reset(self.instance, count, envs.as_ptr(), seeds.as_ptr(), observations.as_mut_ptr(), self.message.get())
        };
        self.check("reset", status)
    }

    /// Advances every environment. The buffers that are written may be longer.
    pub(crate) fn step(
        &mut self,
        actions: &[f32],
        skip: &[bool],
        observations: &mut [f32],
        rewards: &mut [f64],
        [terminated, truncated]: [&mut [u8]; 2],
    ) -> Result<(), String> {
        let n = self.num_envs;
        assert!(actions.len() == n * self.widths.action && skip.len() == n);
        assert!(observations.len() >= n * self.widths.observation && rewards.len() >= n);
        assert!(terminated.len() >= n && truncated.len() >= n);
        let step = self.library.functions.step;
        // SAFETY: the instance lives, and the buffers hold what the header says. A bool is a byte of 0 or 1.
        let status = unsafe {
            step(
                self.instance,
                actions.as_ptr(),
                skip.as_ptr().cast::<u8>(),
                observations.as_mut_ptr(),
                rewards.as_mut_ptr(),
                terminated.as_mut_ptr(),
                truncated.as_mut_ptr(),
                self.message.get(),
            )
        };
        self.check("step", status)
    }

    /// Stores a state in `bytes`, if there is room for it, and says how large it is.
    pub(crate) fn save(&self, env: usize, bytes: &mut [u8], capacity: usize) -> Result<usize, String> {
        self.sized("save", self.library.functions.save, env, bytes, capacity)
    }

    /// Draws a text into `bytes`, if there is room for it, and says how long it is; None if it cannot.
    pub(crate) fn render_text(&self, env: usize, bytes: &mut [u8], capacity: usize) -> Option<Result<usize, String>> {
        let render = self.library.functions.render_text?;
        Some(self.sized("render_text", render, env, bytes, capacity))
    }

    fn sized(
        &self,
        name: &str,
        function: abi::Save,
        env: usize,
        bytes: &mut [u8],
        capacity: usize,
    ) -> Result<usize, String> {
        assert!(env < self.num_envs && bytes.len() >= capacity);
        let mut size = usize::MAX;
        // SAFETY: the instance lives and has this environment; there is room for `capacity` bytes.
        let status =
            unsafe { function(self.instance, env as u32, bytes.as_mut_ptr(), capacity, &mut size, self.message.get()) };
        self.check(name, status).map(|()| size)
    }

    /// Goes on from what `save` stored.
    pub(crate) fn load(&mut self, env: usize, bytes: &[u8]) -> Result<(), String> {
        assert!(env < self.num_envs);
        let load = self.library.functions.load;
        // SAFETY: the instance lives and has this environment; the bytes are valid during the call.
        let status = unsafe { load(self.instance, env as u32, bytes.as_ptr(), bytes.len(), self.message.get()) };
        self.check("load", status)
    }

    /// Marks actions in `mask`, which may be longer; None if the plugin has no opinion.
    pub(crate) fn action_mask(&self, env: usize, mask: &mut [u8]) -> Option<Result<(), String>> {
        assert!(env < self.num_envs && mask.len() >= self.widths.mask);
        let action_mask = self.library.functions.action_mask?;
        // SAFETY: the instance lives and has this environment; the mask is as long as the header says.
        let status = unsafe { action_mask(self.instance, env as u32, mask.as_mut_ptr(), self.message.get()) };
        Some(self.check("action_mask", status))
    }

    /// Draws a picture into `rgb`, if there is room for it, and says its width and height; None if it cannot.
    pub(crate) fn render_rgb(&self, env: usize, rgb: &mut [u8], capacity: usize) -> Option<Result<(u32, u32), String>> {
        assert!(env < self.num_envs && rgb.len() >= capacity);
        let render_rgb = self.library.functions.render_rgb?;
        let (mut width, mut height) = (0, 0);
        // SAFETY: the instance lives and has this environment; there is room for `capacity` bytes.
        let status = unsafe {
            render_rgb(
                self.instance,
                env as u32,
                rgb.as_mut_ptr(),
                capacity,
                &mut width,
                &mut height,
                self.message.get(),
            )
        };
        Some(self.check("render_rgb", status).map(|()| (width, height)))
    }

    /// What `function` said by its status and message.
    fn check(&self, function: &str, status: i32) -> Result<(), String> {
        match status {
            abi::OK => Ok(()),
            abi::ERROR => Err(match self.take_message() {
                message if message.is_empty() => format!("{function} failed without a message"),
                message => format!("{function} failed: {message}"),
            }),
            _ => Err(format!(
                "{function} returned the status {status}: expected {} (APPRENTICE_OK) or {} (APPRENTICE_ERROR)",
                abi::OK,
                abi::ERROR
            )),
        }
    }

    /// The message on one line, and an empty place for the next.
    fn take_message(&self) -> String {
        // SAFETY: no call is under way, so nobody else looks at it; this type is not Sync.
        let message = unsafe { &mut *self.message.get() };
        let end = message.text.iter().position(|&b| b == 0).unwrap_or(message.text.len());
        let said = String::from_utf8_lossy(&message.text[..end]).replace(char::is_control, " ");
        message.text = [0; 512];
        said.trim().to_owned()
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        if !self.instance.is_null() {
            // SAFETY: the instance was made by this library, and this is its last use.
            unsafe { (self.library.functions.destroy)(self.instance) }
        }
    }
}
