//! Exports on an emulated Cortex-M4, and files run by a view: the same bits there, and what they cost.
//!
//! `cortex_m/install.sh` installs the tools. Tests without theirs say so and are skipped.

mod view;

use crate::policies::policies;
use crate::{has, has_target, state_hash};
use apprentice_deploy::Policy;
use apprentice_deploy::export::{Format, export, write};
use std::collections::HashMap;
use std::path::Path;
use std::process::Command;

const GCC: &str = "arm-none-eabi-gcc";
const CHIP: [&str; 4] = ["-mcpu=cortex-m4", "-mthumb", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard"];

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn policy(name: &str) -> Policy {
    policies().into_iter().find(|(other, _)| *other == name).expect("there is such a policy").1
}

/// What the library of a policy that remembers has more.
const REMEMBERING: &str = r#"
static mut MEMORY: [f32; policy::MEMORY] = [0.0; policy::MEMORY];

#[unsafe(no_mangle)]
pub extern "C" fn policy_reset() {
    policy::reset(unsafe { &mut *(&raw mut MEMORY) });
}
"#;

/// Writes the export and the program around it into a folder.
fn prepare(folder: &Path, policy: &Policy, format: Format) {
    write(folder, &export(policy, format, "policy", &[]).unwrap()).unwrap();
    let mut library = include_str!("cortex_m/policy_rust.rs.txt").to_owned();
    if policy.memory_len() > 0 {
        library = library.replace("(observation)", "(observation, unsafe { &mut *(&raw mut MEMORY) })") + REMEMBERING;
    }
    surround(folder, policy, &library);
}

/// Writes the program around a policy, and the library that may be the policy, into a folder.
fn surround(folder: &Path, policy: &Policy, library: &str) {
    // The header is C's, whatever the policy is written in.
    write(folder, &export(policy, Format::C, "policy", &[]).unwrap()[..1]).unwrap();
    for (name, text) in [
        ("main.c", include_str!("cortex_m/main.c")),
        ("flash.c", include_str!("cortex_m/flash.c")),
        ("start.c", include_str!("cortex_m/start.c")),
        ("link.ld", include_str!("cortex_m/link.ld")),
        ("lib.rs", library),
    ] {
        std::fs::write(folder.join(name), text).unwrap();
    }
}

/// Whether there is all that Rust needs to run on the chip.
fn has_rust() -> bool {
    has_target("thumbv7em-none-eabihf") && has(GCC) && has("qemu-system-arm")
}

/// Compiles Rust for the chip.
fn rustc(folder: &Path, arguments: &[&str]) {
    let mut command = Command::new("rustc");
    command.current_dir(folder).args(["--edition", "2024", "--target", "thumbv7em-none-eabihf", "-C", "panic=abort"]);
    run(command.args(["-C", "target-cpu=cortex-m4"]).args(arguments));
}

/// Compiles for the chip and links.
fn link(folder: &Path, arguments: &[&str]) {
    let warnings = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic"];
    let mut command = Command::new(GCC);
    command.current_dir(folder).args(CHIP).args(warnings).args(["-ffreestanding", "-ffunction-sections"]);
    run(command
        .args(["-fdata-sections", "-nostartfiles", "-Wl,--gc-sections", "-Tlink.ld", "start.c"])
        .args(arguments));
}

/// What the program prints on the emulated chip.
fn emulate(folder: &Path, program: &str) -> HashMap<String, u32> {
    let mut command = Command::new("qemu-system-arm");
    command.current_dir(folder).args(["-M", "mps2-an386", "-nographic", "-monitor", "none", "-serial", "none"]);
    command.args(["-semihosting-config", "enable=on,target=native", "-icount", "shift=0", "-kernel", program]);
    let output = command.output().unwrap();
    // Semihosting writes to stderr.
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    let line = |line: &str| {
        let (name, value) = line.split_once(' ')?;
        Some((name.to_owned(), u32::from_str_radix(value, 16).ok()?))
    };
    text.lines().filter_map(line).collect()
}

/// Runs an export as [`compare`] does.
fn check(name: &str, format: Format, states: u32) -> u32 {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let policy = policy(name);
    prepare(at, &policy, format);
    let object = match format {
        Format::C => "policy.c",
        _ => {
            rustc(at, &["-O", "--crate-type", "staticlib", "lib.rs"]);
            "liblib.a"
        }
    };
    compare(at, object, &policy, &format!("{name} as {format}"), states)
}

/// The self-test passes and all states give the same bits; returns the instructions of an action.
fn compare(folder: &Path, object: &str, policy: &Policy, what: &str, states: u32) -> u32 {
    let define = format!("-DSTATES={states}u");
    let remembers = if policy.memory_len() > 0 { "-DREMEMBERS" } else { "-DFORGETS" };
    link(folder, &["-O2", &define, remembers, "main.c", object, "-o", "run"]);
    let printed = emulate(folder, "run");
    assert_eq!(printed.get("self_test"), Some(&0), "{what}: {printed:?}");
    assert_eq!(printed["hash"], state_hash(policy, states), "{what}: other bits on the chip");
    println!("{what}: {} instructions an action", printed["instructions"]);
    printed["instructions"]
}

#[test]
fn c_has_the_runners_bits_on_a_cortex_m4() {
    if has(GCC) && has("qemu-system-arm") {
        let instructions = check("student", Format::C, 100_000);
        assert!((300..3_000).contains(&instructions), "{instructions}");
        check("teacher", Format::C, 500);
        check("tree", Format::C, 20_000);
        check("squashed", Format::C, 1_000);
        check("int8_student", Format::C, 100_000);
        check("gru", Format::C, 100_000);
        check("deep_gru", Format::C, 500);
        check("real_gru", Format::C, 1_000);
        check("int8_teacher", Format::C, 500);
    }
}

#[test]
fn rust_has_the_runners_bits_on_a_cortex_m4() {
    if has_rust() {
        check("student", Format::Rust, 100_000);
        check("tree", Format::Rust, 20_000);
        check("int8_student", Format::Rust, 100_000);
        check("gru", Format::Rust, 100_000);
    }
}

/// A 4-16-2 student in less than a kilobyte of flash and a hundred bytes of RAM.
#[test]
fn a_student_fits_into_a_kilobyte_of_flash() {
    if !has(GCC) {
        return;
    }
    for (name, flash_limit) in [("student", 1024), ("int8_student", 1300)] {
        let folder = tempfile::tempdir().unwrap();
        prepare(folder.path(), &policy(name), Format::C);
        let (flash, ram) = cost(folder.path(), "policy.c");
        println!("{name}, 4-16-2: {flash} bytes of flash, {ram} of RAM");
        assert!(flash < flash_limit && ram < 100, "{name}: {flash} bytes of flash, {ram} of RAM");
    }
}

/// Bytes of flash and RAM that a policy adds to the least program around it.
fn cost(folder: &Path, object: &str) -> (i64, i64) {
    let size = |arguments: &[&str]| {
        link(folder, arguments);
        let text = run(Command::new("arm-none-eabi-size").current_dir(folder).arg("run"));
        let numbers: Vec<i64> = text.lines().nth(1).unwrap().split_whitespace().flat_map(str::parse).collect();
        (numbers[0] + numbers[1], numbers[1] + numbers[2])
    };
    let with = size(&["-Os", "-DWITH_POLICY", "flash.c", object, "-o", "run"]);
    let without = size(&["-Os", "flash.c", "-o", "run"]);
    (with.0 - without.0, with.1 - without.1)
}
