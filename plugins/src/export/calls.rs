//! The functions of the table. Pointers become slices here and panics become errors, and nothing else happens.

use super::batch::{ExportedBatch, Out};
use super::exported;
use crate::abi::{self, Info, Message};
use apprentice_envs::{Error, Frame};
use std::ffi::{CStr, c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::slice::{from_raw_parts, from_raw_parts_mut};

/// The status of what `call` does; nothing unwinds across the border.
///
/// # Safety
/// `message` is a place for a message.
unsafe fn status(message: *mut Message, call: impl FnOnce() -> Result<(), Error>) -> i32 {
    let why = match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(())) => return abi::OK,
        Ok(Err(error)) => error.to_string(),
        Err(panic) => {
            let said = panic.downcast_ref::<String>().map(String::as_str);
            let said = said.or_else(|| panic.downcast_ref::<&str>().copied());
            format!("panicked: {}", said.unwrap_or("without a message"))
        }
    };
    // SAFETY: the caller's promise.
    let text = unsafe { &mut (*message).text };
    let length = why.floor_char_boundary(text.len() - 1);
    text[..length].copy_from_slice(&why.as_bytes()[..length]);
    text[length] = 0;
    abi::ERROR
}

/// # Safety
/// `instance` was made by `create` and nobody else uses it now.
unsafe fn batch<'a>(instance: *mut c_void) -> &'a mut ExportedBatch {
    // SAFETY: the caller's promise.
    unsafe { &mut *instance.cast() }
}

pub(super) unsafe extern "C" fn info(kind: u32) -> *const Info {
    exported().kinds.get(kind as usize).map_or(std::ptr::null(), |kind| &kind.info)
}

pub(super) unsafe extern "C" fn create(
    kind: u32,
    num_envs: u32,
    kwargs: *const c_char,
    instance: *mut *mut c_void,
    message: *mut Message,
) -> i32 {
    let call = || {
        // SAFETY: the host gives a text that ends with a NUL.
        let kwargs = unsafe { CStr::from_ptr(kwargs) };
        let batch = Box::new(ExportedBatch::new(exported(), kind, num_envs, kwargs)?);
        // SAFETY: the host gives a place for the instance.
        unsafe { *instance = Box::into_raw(batch).cast() };
        Ok(())
    };
    // SAFETY: the host gives a place for the message.
    unsafe { status(message, call) }
}

pub(super) unsafe extern "C" fn destroy(instance: *mut c_void) {
    // SAFETY: `create` made it out of a box, and this is its last use.
    let batch = unsafe { Box::from_raw(instance.cast::<ExportedBatch>()) };
    // There is nobody to tell of a panic; the hook has printed it.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(batch)));
}

pub(super) unsafe extern "C" fn observation_space(instance: *mut c_void) -> *const c_char {
    // SAFETY: the host gives an instance that it uses on one thread at a time.
    unsafe { batch(instance) }.observation_space.as_ptr()
}

pub(super) unsafe extern "C" fn action_space(instance: *mut c_void) -> *const c_char {
    // SAFETY: the host gives an instance that it uses on one thread at a time.
    unsafe { batch(instance) }.action_space.as_ptr()
}

pub(super) unsafe extern "C" fn reset(
    instance: *mut c_void,
    count: u32,
    envs: *const u32,
    seeds: *const u64,
    observations: *mut f32,
    message: *mut Message,
) -> i32 {
    let count = count as usize;
    let call = || {
        // SAFETY: the host gives an instance that it uses on one thread at a time.
        let batch = unsafe { batch(instance) };
        // SAFETY: the host gives `count` entries, and as many rows.
        let (envs, seeds, observations) = unsafe {
            (
                from_raw_parts(envs, count),
                from_raw_parts(seeds, count),
                from_raw_parts_mut(observations, count * batch.observation_columns),
            )
        };
        batch.reset(envs, seeds, observations)
    };
    // SAFETY: the host gives a place for the message.
    unsafe { status(message, call) }
}

pub(super) unsafe extern "C" fn step(
    instance: *mut c_void,
    actions: *const f32,
    skip: *const u8,
    observations: *mut f32,
    rewards: *mut f64,
    terminated: *mut u8,
    truncated: *mut u8,
    message: *mut Message,
) -> i32 {
    let call = || {
        // SAFETY: the host gives an instance that it uses on one thread at a time.
        let batch = unsafe { batch(instance) };
        let n = batch.len();
        // SAFETY: the host gives an entry, or a row, for each of the n environments.
        let (actions, skip, out) = unsafe {
            (
                from_raw_parts(actions, n * batch.action_columns),
                from_raw_parts(skip, n),
                Out {
                    observations: from_raw_parts_mut(observations, n * batch.observation_columns),
                    rewards: from_raw_parts_mut(rewards, n),
                    terminated: from_raw_parts_mut(terminated, n),
                    truncated: from_raw_parts_mut(truncated, n),
                },
            )
        };
        batch.step(actions, skip, out)
    };
    // SAFETY: the host gives a place for the message.
    unsafe { status(message, call) }
}

/// Hands bytes out: says how many there are, and copies them if there is room.
///
/// # Safety
/// `to` has room for `capacity` bytes, and `size` is a place for a number.
unsafe fn hand_out(bytes: &[u8], to: *mut u8, capacity: usize, size: *mut usize) {
    // SAFETY: the caller's promises.
    unsafe {
        *size = bytes.len();
        if capacity >= bytes.len() {
            to.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
        }
    }
}

pub(super) unsafe extern "C" fn save(
    instance: *mut c_void,
    env: u32,
    bytes: *mut u8,
    capacity: usize,
    size: *mut usize,
    message: *mut Message,
) -> i32 {
    let call = || {
        // SAFETY: the host gives an instance that it uses on one thread at a time, and the place and its size.
        unsafe { hand_out(&batch(instance).save(env), bytes, capacity, size) };
        Ok(())
    };
    // SAFETY: the host gives a place for the message.
    unsafe { status(message, call) }
}

pub(super) unsafe extern "C" fn load(
    instance: *mut c_void,
    env: u32,
    bytes: *const u8,
    size: usize,
    message: *mut Message,
) -> i32 {
    // SAFETY: the host gives an instance that it uses on one thread at a time, and the bytes.
    let call = || unsafe { batch(instance).load(env, from_raw_parts(bytes, size)) };
    // SAFETY: the host gives a place for the message.
    unsafe { status(message, call) }
}

pub(super) unsafe extern "C" fn action_mask(
    instance: *mut c_void,
    env: u32,
    mask: *mut u8,
    message: *mut Message,
) -> i32 {
    let call = || {
        // SAFETY: the host gives an instance that it uses on one thread at a time.
        let batch = unsafe { batch(instance) };
        let mut marks = vec![true; batch.mask_entries];
        batch.env(env).action_mask(&mut marks);
        // SAFETY: the host gives an entry for each choice.
        let mask = unsafe { from_raw_parts_mut(mask, marks.len()) };
        mask.iter_mut().zip(marks).for_each(|(to, mark)| *to = mark.into());
        Ok(())
    };
    // SAFETY: the host gives a place for the message.
    unsafe { status(message, call) }
}

pub(super) unsafe extern "C" fn render_text(
    instance: *mut c_void,
    env: u32,
    text: *mut u8,
    capacity: usize,
    size: *mut usize,
    message: *mut Message,
) -> i32 {
    let call = || {
        // SAFETY: the host gives an instance that it uses on one thread at a time.
        let drawn = unsafe { batch(instance) }.env(env).render_ansi().unwrap_or_default();
        // SAFETY: the host gives the place and its size.
        unsafe { hand_out(drawn.as_bytes(), text, capacity, size) };
        Ok(())
    };
    // SAFETY: the host gives a place for the message.
    unsafe { status(message, call) }
}

pub(super) unsafe extern "C" fn render_rgb(
    instance: *mut c_void,
    env: u32,
    rgb: *mut u8,
    capacity: usize,
    width: *mut u32,
    height: *mut u32,
    message: *mut Message,
) -> i32 {
    let call = || {
        // SAFETY: the host gives an instance that it uses on one thread at a time.
        let frame = unsafe { batch(instance) }.env(env).render_rgb();
        let frame = frame.unwrap_or(Frame { width: 0, height: 0, rgb: Vec::new() });
        let mut size = 0;
        // SAFETY: the host gives the place, its size, and places for width and height.
        unsafe {
            hand_out(&frame.rgb, rgb, capacity, &mut size);
            (*width, *height) = (frame.width, frame.height);
        }
        Ok(())
    };
    // SAFETY: the host gives a place for the message.
    unsafe { status(message, call) }
}
