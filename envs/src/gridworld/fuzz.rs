//! Maps, parameters and states that nobody would write: an error at worst.
//!
//! `FUZZ_INPUTS=1000000 cargo test -p apprentice-envs fuzz` tries a million, from a seed that `FUZZ_SEED` sets.

use super::rows::GridRows;
use super::{GridState, GridWorld, GridWorldConfig, Keys};
use crate::{Env, Generator, RowEnv};
use serde_json::{Value as Json, json};

/// Maps to begin with.
const MAPS: [&str; 6] = [
    "S..\n.#.\n..G",
    "r.S.RG\n......",
    "###1\n?S..\n###2",
    "S....\n-...!\n.~*L.\n....G",
    "SS.C\n.#.a\nbpBP\n..?3\n...4",
    "Srybp\nRYBPG",
];
const CHARACTERS: &str = "SG#. LC~rybpRYBP-!*?1234az\n\r\t0X█é\u{0}\u{10ffff}";

fn pick<T: Clone>(from: &[T], rng: &mut Generator) -> T {
    from[rng.integers(from.len() as u32) as usize].clone()
}

/// A map with a few characters replaced, removed or added, or with rows cut off or doubled.
fn map(rng: &mut Generator) -> String {
    let mut text: Vec<char> = pick(&MAPS, rng).chars().collect();
    let characters: Vec<char> = CHARACTERS.chars().collect();
    for _ in 0..rng.integers(6) {
        let at = rng.integers(text.len() as u32 + 1) as usize;
        match rng.integers(8) {
            0 => text.truncate(at),
            1 if at < text.len() => _ = text.remove(at),
            2 => text.insert(at, pick(&characters, rng)),
            3 => text = [&text[..at], &['\n'], &text[..]].concat(),
            _ if at < text.len() => text[at] = pick(&characters, rng),
            _ => {}
        }
    }
    text.into_iter().collect()
}

fn parameters(rng: &mut Generator) -> Json {
    let sizes = [0, 1, 2, 3, 4, 9, 300, 70_000, u32::MAX];
    let mut kwargs = json!({
        "slip": pick(&[0.0, 0.2, 0.3, 0.5, 1.0, -1.0], rng),
        "slippery": pick(&["cells", "everywhere"], rng),
        "see_through_walls": rng.integers(2) == 0,
        "observation": match rng.integers(4) {
            0 => json!("cell"),
            1 => json!("map"),
            _ => json!({ "window": pick(&[1, 3, 5, 7, 9, 63, 2, 0, 65], rng) }),
        },
    });
    let mut size = |small: bool| sizes[rng.integers(if small { 6 } else { sizes.len() as u32 }) as usize];
    match size(true) {
        0 => {
            kwargs["rooms"] =
                json!({ "columns": size(true), "rows": size(true), "room_size": size(false), "doors": size(true) })
        }
        1 => kwargs["t_maze"] = json!({ "length": size(false) }),
        2 => kwargs["random"] = json!({ "width": size(true), "height": size(true), "obstacles": size(false) }),
        _ => kwargs["map"] = map(rng).into(),
    }
    if rng.integers(4) == 0 {
        kwargs["goals"] = json!({ pick(&["a", "z", "r", "G", "", "ab"], rng): pick(&[1.0, -2.0], rng) });
    }
    kwargs
}

/// A state of extremes.
fn state(rng: &mut Generator) -> GridState {
    let numbers = [0, 1, 2, 5, 7, 12, usize::MAX, usize::MAX / 2];
    let keys =
        (0..4).map(|_| crate::gridworld::Colour::ALL[rng.integers(4) as usize]).fold(Keys::default(), Keys::with);
    GridState {
        cell: pick(&numbers, rng),
        keys: pick(&[Keys::default(), keys], rng),
        cue: pick(&[None, Some(crate::gridworld::Colour::Red)], rng),
        phase: pick(&numbers, rng),
        wanderers: (0..rng.integers(3)).map(|_| pick(&numbers, rng)).collect(),
    }
}

#[test]
fn whatever_is_written_is_played_or_refused() {
    let number = |name, default| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    let (rounds, mut rng) = (number("FUZZ_INPUTS", 20_000), Generator::new(number("FUZZ_SEED", 7)));
    let (mut worlds, mut states) = (0, 0);
    for round in 0..rounds {
        let kwargs = parameters(&mut rng);
        let Ok(config) = serde_json::from_value::<GridWorldConfig>(kwargs.clone()) else { continue };
        let Ok(env) = GridWorld::new(config) else { continue };
        worlds += 1;
        let space = env.observation_space();
        let mut rows = GridRows::from(env.clone());
        let mut row = vec![0.0; space.flat_dim()];
        rows.reset(&mut rng, &mut row).unwrap();
        for _ in 0..8 {
            let before = rows.save();
            let action = [rng.integers(4) as f32];
            let outcome = rows.step(&action, &mut rng, &mut row).unwrap();
            assert!(space.contains_flat(&row) && outcome.reward.is_finite(), "{kwargs}");
            // A damaged state is refused, or is one to go on from.
            let mut damaged = pick(&[before, rows.save()], &mut rng);
            let at = rng.integers(damaged.len() as u32) as usize;
            damaged[at] ^= 1 << rng.integers(8);
            states += u64::from(rows.load(&damaged).is_ok());
        }
        let mut env = env;
        if env.set_state(state(&mut rng)).is_ok() {
            states += 1;
            for action in 0..4 {
                let mut copy = env.clone();
                assert!(space.contains(&copy.step(&action, &mut rng).observation), "{kwargs}");
            }
        }
        if round % 16 == 0 {
            assert!(env.render_ansi().is_some() && env.render_rgb().is_some());
        }
    }
    assert!(worlds > rounds / 8 && states > rounds / 20, "{worlds} worlds, {states} states");
}
