//! The header and its form in Rust are the same, and the header is valid C++.

use crate::built::{HERE, cc};
use apprentice_plugins::abi::{ABI_VERSION, ENTRY, ERROR, Info, Message, OK, Table};
use std::mem::offset_of;
use std::path::Path;
use std::process::Command;

#[test]
fn structures_have_the_layout_of_the_header() {
    let folder = tempfile::tempdir().unwrap();
    let program = cc(folder.path(), "layout", &Path::new(HERE).join("tests/c/layout.c"), &[]);
    let printed = String::from_utf8(Command::new(program).output().unwrap().stdout).unwrap();
    let mut expected = format!(
        "constants {ABI_VERSION} {OK} {ERROR}\nmessage {}\ninfo {}\ntable {}\n",
        size_of::<Message>(),
        size_of::<Info>(),
        size_of::<Table>()
    );
    macro_rules! offsets {
        ($($structure:ident: $($field:ident)+;)+) => {
            $($(expected += &format!("{} {}\n", stringify!($field), offset_of!($structure, $field));)+)+
        };
    }
    offsets! {
        Info: struct_size max_episode_steps reward_threshold id page;
        Table: abi_version struct_size num_kinds info create destroy observation_space action_space reset step save
            load action_mask render_text render_rgb;
    }
    assert_eq!(printed, expected);
}

#[test]
fn the_header_is_valid_cpp_and_declares_the_entry() {
    let header = std::fs::read_to_string(Path::new(HERE).join("include/apprentice_env.h")).unwrap();
    assert!(header.contains(&format!("{ENTRY}(void);")));
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("includes.cpp");
    let text = "#include \"apprentice_env.h\"\nint main() { return apprentice_plugin() == nullptr; }\n";
    std::fs::write(&source, text).unwrap();
    let compiled = Command::new("c++")
        .args(["-std=c++11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only", "-I"])
        .arg(Path::new(HERE).join("include"))
        .arg(&source)
        .output();
    match compiled {
        Ok(ran) => assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr)),
        // Nothing else here needs a C++ compiler.
        Err(e) => eprintln!("skipped, there is no c++: {e}"),
    }
}
