//! Texts from a plugin are not to be trusted: whatever they say, the answer is an environment or an error.

use crate::abi::{ABI_VERSION, Info, Message, OK, Table};
use crate::env::PluginEnv;
use crate::library::Library;
use apprentice_envs::{Generator, RowEnv, Space};
use serde_json::json;
use std::cell::RefCell;
use std::ffi::{CString, c_char, c_void};
use std::ptr;

thread_local! {
    /// What the plugin of this thread says: its id, its page, its spaces.
    static SAYS: RefCell<[CString; 4]> = RefCell::default();
}

fn say(texts: [&[u8]; 4]) {
    // A text ends at its first NUL, as it does for whoever reads it in C.
    let text = |bytes: &[u8]| CString::new(bytes.split(|&b| b == 0).next().unwrap_or_default()).unwrap();
    SAYS.set(texts.map(text));
}

fn said(which: usize) -> *const c_char {
    SAYS.with_borrow(|says| says[which].as_ptr())
}

unsafe extern "C" fn info(_: u32) -> *const Info {
    thread_local!(static INFO: RefCell<Option<Box<Info>>> = const { RefCell::new(None) });
    let (struct_size, id, page) = (size_of::<Info>() as u32, said(0), said(1));
    let info = Info { struct_size, max_episode_steps: 0, reward_threshold: f64::NAN, id, page };
    INFO.with_borrow_mut(|place| ptr::from_ref(&**place.insert(Box::new(info))))
}

unsafe extern "C" fn create(_: u32, _: u32, _: *const c_char, instance: *mut *mut c_void, _: *mut Message) -> i32 {
    // SAFETY: the host gives a place to write to.
    unsafe { *instance = ptr::dangling_mut() };
    OK
}

unsafe extern "C" fn destroy(_: *mut c_void) {}

unsafe extern "C" fn observation_space(_: *mut c_void) -> *const c_char {
    said(2)
}

unsafe extern "C" fn action_space(_: *mut c_void) -> *const c_char {
    said(3)
}

unsafe extern "C" fn reset(_: *mut c_void, _: u32, _: *const u32, _: *const u64, _: *mut f32, _: *mut Message) -> i32 {
    OK
}

#[rustfmt::skip]
unsafe extern "C" fn step(
    _: *mut c_void, _: *const f32, _: *const u8, _: *mut f32, _: *mut f64, _: *mut u8, _: *mut u8, _: *mut Message,
) -> i32 {
    OK
}

unsafe extern "C" fn save(_: *mut c_void, _: u32, _: *mut u8, _: usize, size: *mut usize, _: *mut Message) -> i32 {
    // SAFETY: the host gives a place to write to.
    unsafe { *size = 0 };
    OK
}

unsafe extern "C" fn load(_: *mut c_void, _: u32, _: *const u8, _: usize, _: *mut Message) -> i32 {
    OK
}

static TABLE: Table = Table {
    abi_version: ABI_VERSION,
    struct_size: size_of::<Table>() as u32,
    num_kinds: 1,
    info: Some(info),
    create: Some(create),
    destroy: Some(destroy),
    observation_space: Some(observation_space),
    action_space: Some(action_space),
    reset: Some(reset),
    step: Some(step),
    save: Some(save),
    load: Some(load),
    action_mask: None,
    render_text: None,
    render_rgb: None,
};

/// The spaces of the plugin that says this.
fn made() -> Result<[Space; 2], String> {
    // SAFETY: the table is a static, and its functions are those above.
    let (library, kinds) = unsafe { Library::from_table(&TABLE, "fuzz".into(), None) }.map_err(|e| e.to_string())?;
    let mut env = PluginEnv::new(&library, 0, &kinds[0].id, &json!({})).map_err(|e| e.to_string())?;
    let spaces = [env.observation_space(), env.action_space()];
    // The plugin writes no observation, and that is noticed however wide it is.
    let mut row = vec![0.0; spaces[0].flat_dim()];
    assert!(env.reset(&mut Generator::new(0), &mut row).unwrap_err().to_string().contains("was the row written?"));
    assert!(env.load(&env.save()).is_ok());
    Ok(spaces)
}

const ID: &[u8] = b"t/Count-v0";

#[test]
fn every_kind_of_space_is_read() {
    let spaces = [
        Space::discrete(3),
        Space::bounded(&[f32::NEG_INFINITY, 0.0], &[1.5, f32::INFINITY]),
        Space::multi_binary(4),
        Space::dict([("b", Space::tuple([Space::multi_discrete(&[2, 3]), Space::discrete(2)]))]),
    ];
    for space in spaces {
        let text = serde_json::to_vec(&space).unwrap();
        say([ID, b"# page", &text, &text]);
        assert_eq!(made().unwrap(), [space.clone(), space]);
    }
}

#[test]
fn mutated_texts_are_read_or_refused() {
    let tokens: [&[u8]; 20] = [
        b"1e999",
        b"-1",
        b"0",
        b"18446744073709551616",
        b"4294967295",
        b"-9223372036854775808",
        b"16777217",
        b"NaN",
        b"null",
        b"[",
        b"]",
        b"{",
        b"}",
        b"\"inf\"",
        b",",
        b"\\u0000",
        b"\xff",
        b"\"type\":\"Dict\"",
        b"[[[[",
        b"\0",
    ];
    let seeds: [&[u8]; 4] = [
        br#"{"type":"Box","low":[-4.8,"-inf"],"high":[4.8,"inf"],"shape":[2,1]}"#,
        br#"{"type":"MultiDiscrete","nvec":[2,300],"start":[0,-5]}"#,
        br#"{"type":"Dict","spaces":{"a":{"type":"MultiBinary","shape":[2,3]},"b":{"type":"Discrete","n":7,"start":-1}}}"#,
        br#"{"type":"Tuple","spaces":[{"type":"Discrete","n":2},{"type":"Discrete","n":5,"start":3}]}"#,
    ];
    let mut rng = Generator::new(2024);
    let (mut read, mut refused) = (0, 0);
    for i in 0..20_000 {
        let mut texts = [ID.to_vec(), "# Page: ä".into(), seeds[i % 4].to_vec(), seeds[(i + 1) % 4].to_vec()];
        for _ in 0..=rng.integers(3) {
            // Mostly the spaces, which have the most to say.
            let text = &mut texts[[2, 3, 2, 3, 2, 3, 0, 1][rng.integers(8) as usize]];
            let (from, to) =
                (rng.integers(text.len() as u32 + 1) as usize, rng.integers(text.len() as u32 + 1) as usize);
            let token = tokens[rng.integers(tokens.len() as u32) as usize];
            match rng.integers(4) {
                0 => drop(text.splice(from..from, token.iter().copied())),
                1 => drop(text.splice(from.min(to)..from.max(to), token.iter().copied())),
                2 => drop(text.splice(from.min(to)..(from.min(to) + 2).min(text.len()), token.iter().copied())),
                _ => {
                    let piece = text[from.min(to)..from.max(to)].to_vec();
                    drop(text.splice(from..from, piece));
                }
            }
        }
        say([&texts[0], &texts[1], &texts[2], &texts[3]]);
        match made() {
            Ok(spaces) => {
                assert!(spaces.iter().all(|space| space.flaw().is_none() && space.flat_dim() <= 1 << 24));
                read += 1;
            }
            Err(message) => {
                assert!(message.starts_with("plugin fuzz") && message.len() < 2000, "{message}");
                refused += 1;
            }
        }
    }
    assert!(read > 500 && refused > 5000, "{read} read, {refused} refused");
}

#[test]
fn deep_and_long_texts_do_not_end_the_process() {
    let deep = [&br#"{"type":"Tuple","spaces":["#.repeat(100_000)[..], b"1"].concat();
    let wide = format!(r#"{{"type":"MultiDiscrete","nvec":[{}1],"start":[]}}"#, "16777216,".repeat(50_000));
    let parts = r#"{"type":"MultiBinary","shape":[16777216]},"#.repeat(1000);
    let heavy = format!(r#"{{"type":"Tuple","spaces":[{parts}{{"type":"Discrete","n":2}}]}}"#);
    let endless = vec![b' '; 2 << 20];
    for text in [&deep[..], wide.as_bytes(), heavy.as_bytes(), &endless] {
        say([ID, b"", text, br#"{"type":"Discrete","n":2}"#]);
        let message = made().unwrap_err();
        assert!(message.starts_with("plugin fuzz") && message.len() < 2000, "{message}");
    }
}
