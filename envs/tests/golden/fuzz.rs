//! Damaged input of every kind ends in an error or in something that works, never in a panic.
//!
//! `FUZZ_INPUTS=1000000 cargo test --release -p apprentice-envs fuzz` tries a million inputs of each kind, from a seed that
//! `FUZZ_SEED` sets.

use apprentice_envs::{EnvSpec, Generator, Registry, Snapshot, StepBuffer};
use ndarray::Array2;
use serde_json::json;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Changes, inserts, removes, repeats and cuts.
fn mutate(bytes: &mut Vec<u8>, alphabet: &[u8], rng: &mut Generator) {
    for _ in 0..=rng.integers(3) {
        let at = rng.integers(bytes.len() as u32 + 1) as usize;
        let byte = match alphabet {
            [] => [0, 1, 0x7f, 0x80, 0xff, rng.bits32() as u8][rng.integers(6) as usize],
            _ => alphabet[rng.integers(alphabet.len() as u32) as usize],
        };
        match rng.integers(8) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, byte),
            2 if at < bytes.len() => drop(bytes.remove(at)),
            3 if at + 8 <= bytes.len() => bytes[at..at + 8].fill(byte),
            4 => bytes.extend_from_within(at..),
            _ if at < bytes.len() => bytes[at] = byte,
            _ => {}
        }
    }
}

/// Changes one number or one cell of a map, and with it perhaps nothing that could be refused.
fn vary(bytes: &mut Vec<u8>, rng: &mut Generator) {
    let places: Vec<usize> = (0..bytes.len()).filter(|&i| b"0123456789SFHG.~#LarRyY-!*?".contains(&bytes[i])).collect();
    let at = places[rng.integers(places.len() as u32) as usize];
    let alphabet: &[u8] = if bytes[at].is_ascii_digit() { b"0123456789" } else { b"SFHG.~#LarRyY-!*?12" };
    match rng.integers(4) {
        0 if bytes[at].is_ascii_digit() => bytes.insert(at, bytes[at]),
        _ => bytes[at] = alphabet[rng.integers(alphabet.len() as u32) as usize],
    }
}

/// Steps at random, whatever the state.
fn run(env: &mut dyn apprentice_envs::VectorEnv, steps: usize, rng: &mut Generator) {
    use apprentice_envs::Element;
    let mut out = StepBuffer::new(env);
    let mut actions = Array2::zeros((env.num_envs(), env.action_space().flat_dim()));
    for _ in 0..steps {
        for mut row in actions.rows_mut() {
            env.action_space().sample(rng).write_flat(row.as_slice_mut().unwrap());
        }
        if env.step(actions.view(), out.view_mut()).is_err() {
            return;
        }
    }
}

#[test]
fn fuzzed_snapshots() {
    let registry = Registry::builtin();
    let ids: Vec<String> = registry.list().map(|info| info.id.clone()).collect();
    let inputs = number("FUZZ_INPUTS", 20_000) / ids.len() as u64;
    let mut rng = Generator::new(number("FUZZ_SEED", 0));
    for id in ids {
        let mut env = registry.make_vec(id.as_str(), 2, 3).unwrap();
        let mut out = StepBuffer::new(&*env);
        env.reset(None, out.observations.view_mut()).unwrap();
        run(&mut *env, 5, &mut rng);
        let snapshot = env.snapshot();
        let whole = snapshot.to_bytes();
        let (mut refused, mut restored) = (0, 0);
        for _ in 0..inputs {
            // The header stays, and the checksum is made good, so that what is behind them is reached.
            let mut bytes = whole[12..whole.len() - 4].to_vec();
            mutate(&mut bytes, &[], &mut rng);
            bytes.splice(0..0, whole[..12].iter().copied());
            bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
            match Snapshot::from_bytes(&bytes).and_then(|snapshot| env.restore(&snapshot)) {
                Err(error) => {
                    assert!(error.is_snapshot(), "{id}: {error}");
                    refused += 1;
                }
                Ok(()) => {
                    restored += 1;
                    run(&mut *env, 3, &mut rng);
                    let _ = (env.render_ansi(1), env.snapshot());
                }
            }
        }
        assert!(refused > 0 && restored > 0, "{id}: {refused} refused, {restored} restored");
        env.restore(&snapshot).unwrap();
    }
}

#[test]
fn fuzzed_specs() {
    let registry = Registry::builtin();
    let specs = [
        json!({ "id": "CartPole-v1", "kwargs": { "gravity": 9.8, "length": 0.5, "tau": 0.02 }, "max_episode_steps": 9 }),
        json!({ "id": "MountainCar-v0", "kwargs": { "goal_velocity": 0.01 } }),
        json!({ "id": "Pendulum-v1", "kwargs": { "g": 9.8 } }),
        json!({ "id": "FrozenLake-v1", "kwargs": { "desc": ["SFF", "FHF", "FFG"], "is_slippery": true, "success_rate": 0.5 } }),
        json!({ "id": "FrozenLake-v1", "kwargs": { "map_name": "8x8" } }),
        json!({ "id": "Taxi-v4", "kwargs": { "is_rainy": true, "rainy_probability": 0.8, "fickle_passenger": true } }),
        json!({ "id": "Blackjack-v1", "kwargs": { "natural": true, "sab": false } }),
        json!({ "id": "GridWorld-v0", "kwargs": { "map": "S.~\n.#L\na.G", "goals": { "a": 0.5 }, "slip": 0.1 } }),
        json!({ "id": "GridWorld-v0", "kwargs": { "random": { "width": 7, "height": 5, "seed": 1 }, "observation": { "window": 3 } } }),
        json!({ "id": "GridWorld-v0", "kwargs": { "map": "S?~*\nrR1!\n..2L", "observation": { "window": 5 }, "see_through_walls": false } }),
        json!({ "id": "KeyDoor-v0", "kwargs": { "rooms": { "columns": 2, "rows": 2, "room_size": 3, "doors": 3 }, "observation": "map" } }),
        json!({ "id": "Memory-v0", "kwargs": { "t_maze": { "length": 3 } } }),
        json!({ "id": "CartPole-v1", "wrappers": [{ "type": "FrameStackObservation", "stack_size": 2 }] }),
    ];
    let mut rng = Generator::new(number("FUZZ_SEED", 0));
    let (mut refused, mut made) = (0, 0);
    for i in 0..number("FUZZ_INPUTS", 20_000) {
        let mut text = specs[i as usize % specs.len()].to_string().into_bytes();
        match rng.integers(4) {
            0 => mutate(&mut text, br#"0123456789-.eE+{}[]",:\ntruefalsnSFHG#~LarRyY!*? "#, &mut rng),
            changes => (0..changes).for_each(|_| vary(&mut text, &mut rng)),
        }
        let spec = std::str::from_utf8(&text).ok().and_then(|text| serde_json::from_str::<EnvSpec>(text).ok());
        match spec.map(|spec| registry.make_vec(spec, 2, 0)) {
            Some(Ok(mut env)) => {
                made += 1;
                let mut out = StepBuffer::new(&*env);
                env.reset(None, out.observations.view_mut()).unwrap();
                run(&mut *env, 3, &mut rng);
            }
            _ => refused += 1,
        }
    }
    assert!(refused > 1000 && made > 1000, "{refused} refused, {made} made");
}
