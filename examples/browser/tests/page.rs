//! The page as it is built: its module in node, and all of it in Chromium.
//!
//! Needs `node` and `rustup target add wasm32-unknown-unknown`, and the second test `chromium`, or what `$CHROMIUM`
//! names; without them the tests say so and are skipped.

use apprentice_deploy::Policy;
use apprentice_envs::{CartPole, CartPoleConfig, Env, Generator, Value, make};
use serde_json::Value as Json;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

/// Plays episodes with the module in a page: a line for each step with its action, and the bits of what the student
/// then sees and of its logits; at the end of an episode the return.
const EPISODES: &str = r#"
const [, page, steps, pushes, ...seeds] = process.argv;
const base64 = require("fs").readFileSync(page, "utf8").match(/atob\("([^"]*)"\)/)[1];
const bits = number => new Uint32Array(Float32Array.of(number).buffer)[0];
WebAssembly.instantiate(Buffer.from(base64, "base64")).then(({ instance: { exports: task } }) => {
    for (const seed of seeds) {
        task.reset(Number(seed));
        for (let i = 0; i < steps; i++) {
            const push = JSON.parse(pushes)[i];
            if (push) task.push(...push);
            const action = task.step();
            const seen = [0, 1, 2, 3].map(task.observation), logits = [0, 1].map(task.logit);
            console.log([action, ...seen.map(bits), ...logits.map(bits)].join(" "));
        }
        console.log(`${task.steps()} steps, ${task.earned()} earned, ${task.fallen() ? "fallen" : "standing"}`);
    }
});
"#;

/// The page, or what it lacks.
static PAGE: LazyLock<Result<PathBuf, &str>> = LazyLock::new(|| {
    let found = |command: &mut Command| command.output().ok().filter(|output| output.status.success());
    let folder = found(Command::new("rustc").args(["--print", "target-libdir", "--target", "wasm32-unknown-unknown"]));
    if !folder.is_some_and(|folder| Path::new(String::from_utf8_lossy(&folder.stdout).trim()).exists()) {
        return Err("rustup target add wasm32-unknown-unknown");
    }
    if found(Command::new("node").arg("--version")).is_none() {
        return Err("there is no node");
    }
    if !bits_are_the_pages() {
        return Err("the C library's sine may have other bits here; see docs/deploy.md");
    }
    let page = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cartpole.html");
    let mut build = Command::new(env!("CARGO_BIN_EXE_page"));
    // The crates that the module is made of are here, as this test is made of them too.
    build.env("CARGO_NET_OFFLINE", "true").arg(student()).arg(&page);
    assert!(build.status().unwrap().success(), "the page cannot be built");
    Ok(page)
});

fn page() -> Option<&'static Path> {
    PAGE.as_deref().inspect_err(|reason| eprintln!("skipped: {reason}")).ok()
}

/// Whether the sine that environments ask for here is the one that the page has.
fn bits_are_the_pages() -> bool {
    #[cfg(all(target_arch = "x86_64", target_env = "gnu"))]
    return is_x86_feature_detected!("fma");
    #[cfg(not(all(target_arch = "x86_64", target_env = "gnu")))]
    return false;
}

fn student() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("student.apprentice")
}

fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn line(action: usize, observation: &[f32], logits: &[f32]) -> String {
    let numbers = observation.iter().chain(logits).map(|number| format!(" {}", number.to_bits()));
    numbers.fold(action.to_string(), |line, number| line + &number)
}

/// An episode of CartPole-v1 until its end, by the runner of the policy file.
fn episode(policy: &Policy, seed: u64, lines: &mut Vec<String>) {
    let (mut env, mut runner) = (make("CartPole-v1").unwrap(), policy.runner());
    let Value::Box(mut observation) = env.reset(Some(seed)).unwrap() else { panic!("numbers are observed") };
    let (mut steps, mut earned) = (0, 0.0);
    loop {
        let action = runner.act_discrete(&observation).unwrap();
        let step = env.step(&Value::Discrete(action as i64)).unwrap();
        (steps, earned) = (steps + 1, earned + step.reward);
        let Value::Box(next) = step.observation else { panic!("numbers are observed") };
        observation = next;
        lines.push(line(action, &observation, runner.params(&observation).unwrap()));
        if step.terminated || step.truncated {
            let end = if step.terminated { "fallen" } else { "standing" };
            return lines.push(format!("{steps} steps, {earned} earned, {end}"));
        }
    }
}

/// A cart and pole that somebody pushes, without a time limit.
struct Pushed<'a> {
    policy: &'a Policy,
    task: CartPole,
    rng: Generator,
    observation: [f32; 4],
}

impl<'a> Pushed<'a> {
    fn new(policy: &'a Policy, seed: u64) -> Self {
        let (mut task, mut rng) = (CartPole::new(CartPoleConfig::default()).unwrap(), Generator::new(seed));
        let observation = task.reset(&mut rng);
        Self { policy, task, rng, observation }
    }

    fn step(&mut self) -> usize {
        let action = self.policy.runner().act_discrete(&self.observation).unwrap();
        self.observation = self.task.step(&(action as i64), &mut self.rng).observation;
        action
    }

    fn push(&mut self, cart: f64, pole: f64) {
        let [x, speed, angle, turning] = self.task.state();
        self.task.set_state([x, speed + cart, angle, turning + pole]).unwrap();
        self.observation = self.task.state().map(|number| number as f32);
    }
}

#[test]
fn episodes_in_webassembly_have_the_native_bits() {
    let Some(page) = page() else { return };
    let policy = Policy::load(&student()).unwrap();
    let seeds: Vec<u64> = (0..20).chain([u64::from(u32::MAX)]).collect();
    let mut expected = Vec::new();
    seeds.iter().for_each(|seed| episode(&policy, *seed, &mut expected));
    assert_eq!(expected.len(), seeds.len() * 501, "the student does not hold out");
    let mut node = Command::new("node");
    node.args(["-e", EPISODES]).arg(page).args(["500", "{}"]).args(seeds.iter().map(u64::to_string));
    let printed = output(&mut node);
    let lines: Vec<&str> = printed.lines().collect();
    for (i, (got, expected)) in lines.iter().zip(&expected).enumerate() {
        assert_eq!(got, expected, "seed {}, step {}", seeds[i / 501], i % 501);
    }
    assert_eq!(lines.len(), expected.len());
}

/// Pushes of the size that the page's buttons have; what is earned stops at CartPole-v1's limit.
#[test]
fn pushes_have_the_native_bits_and_are_recovered_from() {
    let Some(page) = page() else { return };
    let policy = Policy::load(&student()).unwrap();
    let mut node = Command::new("node");
    node.args(["-e", EPISODES]).arg(page).args(["1000", r#"{"150": [0.6, 0], "400": [0, -0.7]}"#, "3"]);
    let printed = output(&mut node);
    let lines: Vec<&str> = printed.lines().collect();
    let mut pushed = Pushed::new(&policy, 3);
    for (i, got) in lines[..1000].iter().enumerate() {
        match i {
            150 => pushed.push(0.6, 0.0),
            400 => pushed.push(0.0, -0.7),
            _ => {}
        }
        let action = pushed.step();
        assert_eq!(*got, line(action, &pushed.observation, policy.runner().params(&pushed.observation).unwrap()));
    }
    assert_eq!(lines[1000], "1000 steps, 500 earned, standing");
}

/// What the page shows: running, paused, stepped, knocked, nudged and reset, in both appearances, wide and narrow.
#[test]
fn a_reader_sees_it_in_chromium() {
    let Some(page) = page() else { return };
    let named = std::env::var("CHROMIUM").ok();
    let mut names = named.as_deref().into_iter().chain(["chromium", "chromium-browser", "google-chrome"]);
    let Some(chromium) = names.find(|name| Command::new(name).arg("--version").output().is_ok()) else {
        return eprintln!("skipped: there is no chromium");
    };
    let mut node = Command::new("node");
    node.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser.js")).arg(chromium).arg(page);
    let seen: Json = serde_json::from_str(&output(&mut node)).unwrap();
    assert_eq!(seen["errors"], Json::Array(Vec::new()), "the console is not empty");

    let policy = Policy::load(&student()).unwrap();
    let steps = |look: &str| seen[look]["steps"].as_u64().unwrap();
    let observation = |look: &str| -> Vec<f32> {
        seen[look]["observation"].as_array().unwrap().iter().map(|x| x.as_f64().unwrap() as f32).collect()
    };
    let note = |look: &str| seen[look]["note"].as_str().unwrap();

    // Seed 7, as the address says: what is on the page after so many steps is what the native environment has.
    let mut native = Pushed::new(&policy, 7);
    assert!(steps("before") >= 150 && steps("stepped") == steps("before") + 1, "{seen}");
    (0..steps("before")).for_each(|_| _ = native.step());
    assert_eq!(observation("before"), native.observation);
    native.step();
    assert_eq!(observation("stepped"), native.observation);
    assert_eq!(seen["stepped"]["earned"].as_u64().unwrap(), steps("stepped"));
    assert!(note("stepped").contains("to the last bit"), "{seen}");

    // The finger was to the left of the pole, which goes to the right; and the student holds it.
    native.push(0.0, 0.7);
    assert_eq!(observation("poked"), native.observation);
    assert!(note("poked").contains("no longer the seed's"), "{seen}");
    assert!(steps("recovered") >= steps("poked") + 250 && observation("recovered")[2].abs() < 0.2, "{seen}");

    let screens = seen["screens"].as_array().unwrap();
    let widths: Vec<u64> = screens.iter().map(|screen| screen["width"].as_u64().unwrap()).collect();
    assert_eq!(widths, [1100, 1100, 360, 360], "the page is wider than the screen");
    assert_ne!(screens[0]["paper"], screens[1]["paper"], "light and dark are the same");

    let mut native = Pushed::new(&policy, 11);
    (0..steps("again")).for_each(|_| _ = native.step());
    assert_eq!(observation("again"), native.observation);
    assert_eq!(seen["hash"], "#11");
    assert!(note("again").contains("to the last bit"), "{seen}");
}
