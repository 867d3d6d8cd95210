//! Exports on an emulated Cortex-M4: the same bits there, and what they cost.
//!
//! `cortex_m/install.sh` installs the tools. Tests without theirs say so and are skipped.

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
    // The header is C's for both.
    write(folder, &export(policy, Format::C, "policy", &[]).unwrap()[..1]).unwrap();
    let mut library = include_str!("cortex_m/policy_rust.rs.txt").to_owned();
    if policy.memory_len() > 0 {
        library = library.replace("(observation)", "(observation, unsafe { &mut *(&raw mut MEMORY) })") + REMEMBERING;
    }
    for (name, text) in [
        ("main.c", include_str!("cortex_m/main.c")),
        ("flash.c", include_str!("cortex_m/flash.c")),
        ("start.c", include_str!("cortex_m/start.c")),
        ("link.ld", include_str!("cortex_m/link.ld")),
        ("lib.rs", &library),
    ] {
        std::fs::write(folder.join(name), text).unwrap();
    }
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

/// The self-test passes and all states give the same bits; returns the instructions of an action.
fn check(name: &str, format: Format, states: u32) -> u32 {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let policy = policy(name);
    prepare(at, &policy, format);
    let define = format!("-DSTATES={states}u");
    let remembers = if policy.memory_len() > 0 { "-DREMEMBERS" } else { "-DFORGETS" };
    match format {
        Format::C => link(at, &["-O2", &define, remembers, "main.c", "policy.c", "-o", "run"]),
        _ => {
            let mut command = Command::new("rustc");
            command.current_dir(at).args(["--edition", "2024", "-O", "--target", "thumbv7em-none-eabihf"]);
            run(command.args([
                "-C",
                "panic=abort",
                "-C",
                "target-cpu=cortex-m4",
                "--crate-type",
                "staticlib",
                "lib.rs",
            ]));
            link(at, &["-O2", &define, remembers, "main.c", "liblib.a", "-o", "run"]);
        }
    }
    let printed = emulate(at, "run");
    assert_eq!(printed.get("self_test"), Some(&0), "{name}: {printed:?}");
    assert_eq!(printed["hash"], state_hash(&policy, states), "{name} as {format}: other bits on the chip");
    println!("{name} as {format}: {} instructions an action", printed["instructions"]);
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
    if has_target("thumbv7em-none-eabihf") && has(GCC) && has("qemu-system-arm") {
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
        let (flash, ram) = cost(name);
        println!("{name}, 4-16-2: {flash} bytes of flash, {ram} of RAM");
        assert!(flash < flash_limit && ram < 100, "{name}: {flash} bytes of flash, {ram} of RAM");
    }
}

/// Bytes of flash and RAM that a policy adds to the least program around it.
fn cost(name: &str) -> (i64, i64) {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    prepare(at, &policy(name), Format::C);
    let size = |arguments: &[&str]| {
        link(at, arguments);
        let text = run(Command::new("arm-none-eabi-size").current_dir(at).arg("run"));
        let numbers: Vec<i64> = text.lines().nth(1).unwrap().split_whitespace().flat_map(str::parse).collect();
        (numbers[0] + numbers[1], numbers[1] + numbers[2])
    };
    let with = size(&["-Os", "-DWITH_POLICY", "flash.c", "policy.c", "-o", "run"]);
    let without = size(&["-Os", "flash.c", "-o", "run"]);
    (with.0 - without.0, with.1 - without.1)
}
