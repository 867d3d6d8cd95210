//! CartPole, the generator and the sampling of spaces.

use apprentice_envs::{
    CartPole, CartPoleConfig, Env, Generator, Space, StepBuffer, SyncVector, Value, VectorEnv, make, make_vec,
};
use ndarray::Array2;
use serde::Deserialize;

const CARTPOLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/cartpole-v1.jsonl");
const NUMPY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/numpy_generator.json");

/// One environment: a reset with the seed, then steps, with a reset without a seed after every end.
struct Trace {
    id: String,
    seed: u64,
    start: [u32; 4],
    steps: Vec<Recorded>,
}

struct Recorded {
    action: u8,
    reward: f64,
    terminated: bool,
    truncated: bool,
    /// Bit patterns.
    observation: [u32; 4],
    /// The first observation of the next episode, where this one ended.
    next_start: Option<[u32; 4]>,
}

fn traces(id: &str) -> Vec<Trace> {
    #[derive(Deserialize)]
    struct Line {
        id: String,
        seed: u64,
        actions: String,
        rewards: String,
        ends: String,
        observations: String,
    }
    let text = std::fs::read_to_string(CARTPOLE).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Line>(line).unwrap());
    let read = |line: Line| {
        let mut observations = line.observations.as_bytes().chunks(32).map(|hex| {
            let word = |i: usize| u32::from_str_radix(std::str::from_utf8(&hex[8 * i..8 * i + 8]).unwrap(), 16);
            std::array::from_fn(|i| word(i).unwrap())
        });
        let digits = |text: &str| text.bytes().map(|digit| digit - b'0').collect::<Vec<_>>();
        let start = observations.next().unwrap();
        let steps = digits(&line.actions)
            .into_iter()
            .zip(digits(&line.rewards))
            .zip(digits(&line.ends))
            .map(|((action, reward), end)| Recorded {
                action,
                reward: f64::from(reward),
                terminated: end & 1 != 0,
                truncated: end & 2 != 0,
                observation: observations.next().unwrap(),
                next_start: (end != 0).then(|| observations.next().unwrap()),
            })
            .collect();
        assert!(observations.next().is_none());
        Trace { id: line.id, seed: line.seed, start, steps }
    };
    lines.filter(|line| line.id == id).map(read).collect()
}

fn bits(row: &[f32]) -> Vec<u32> {
    row.iter().map(|x| x.to_bits()).collect()
}

fn value_bits(value: &Value) -> Vec<u32> {
    match value {
        Value::Box(row) => bits(row),
        _ => panic!("CartPole's observation is a Box"),
    }
}

#[test]
fn the_recorded_traces_hold_what_they_shall_test() {
    for (id, limit) in [("CartPole-v1", 500), ("CartPole-v0", 200)] {
        let traces = traces(id);
        let steps = || traces.iter().flat_map(|trace| &trace.steps);
        assert!(steps().filter(|step| step.terminated).count() > 50);
        assert!(steps().filter(|step| step.truncated).count() >= 8);
        assert!(traces.iter().any(|trace| trace.steps.iter().position(|step| step.truncated) == Some(limit - 1)));
        // Steps after a time limit show that the stream of the generator goes on.
        assert!(traces.iter().all(|trace| trace.steps.len() > limit));
        assert!(traces.windows(2).all(|pair| pair[0].seed + 1 == pair[1].seed));
    }
    assert_eq!(traces("CartPole-v1").len(), 24);
}

#[test]
fn cartpole_equals_gymnasium() {
    for id in ["CartPole-v1", "CartPole-v0"] {
        for trace in traces(id) {
            let mut env = make(trace.id.as_str()).unwrap();
            assert_eq!(value_bits(&env.reset(Some(trace.seed)).unwrap()), trace.start);
            for (t, expected) in trace.steps.iter().enumerate() {
                let step = env.step(&Value::Discrete(expected.action.into())).unwrap();
                assert_eq!(value_bits(&step.observation), expected.observation, "{id}, seed {}, step {t}", trace.seed);
                assert_eq!(step.reward, expected.reward);
                assert_eq!((step.terminated, step.truncated), (expected.terminated, expected.truncated));
                if let Some(start) = expected.next_start {
                    assert_eq!(value_bits(&env.reset(None).unwrap()), start);
                }
            }
        }
    }
}

#[test]
fn cartpole_vector_equals_gymnasium() {
    for id in ["CartPole-v1", "CartPole-v0"] {
        let traces = traces(id);
        let mut envs = make_vec(id, traces.len(), 0).unwrap();
        let mut step = StepBuffer::new(&*envs);
        envs.reset(Some(traces[0].seed), step.observations.view_mut()).unwrap();
        for (row, trace) in step.observations.outer_iter().zip(&traces) {
            assert_eq!(bits(row.as_slice().unwrap()), trace.start);
        }
        for t in 0..traces[0].steps.len() {
            let actions = Array2::from_shape_fn((traces.len(), 1), |(i, _)| f32::from(traces[i].steps[t].action));
            envs.step(actions.view(), step.view_mut()).unwrap();
            for (i, trace) in traces.iter().enumerate() {
                let expected = &trace.steps[t];
                let observation = step.observations.row(i);
                let last = if expected.next_start.is_some() { step.final_observations.row(i) } else { observation };
                assert_eq!(bits(last.as_slice().unwrap()), expected.observation, "{id}, row {i}, step {t}");
                if let Some(start) = expected.next_start {
                    assert_eq!(bits(observation.as_slice().unwrap()), start, "{id}, row {i}, reset after step {t}");
                }
                assert_eq!(step.rewards[i], expected.reward);
                assert_eq!((step.terminated[i], step.truncated[i]), (expected.terminated, expected.truncated));
            }
        }
    }
}

/// The one place where the same task has two implementations.
#[test]
fn cartpole_vector_equals_stepping_copies() {
    let (num_envs, limit) = (17, Some(25));
    for seed in [0, 12345, u64::MAX - 3] {
        let config = serde_json::json!({ "gravity": 3.7, "sutton_barto_reward": seed == 0 });
        let mut spec = apprentice_envs::EnvSpec::new("CartPole-v1");
        spec.kwargs = config.as_object().unwrap().clone();
        spec.max_episode_steps = limit;
        let config: CartPoleConfig = serde_json::from_value(config).unwrap();
        let copies = SyncVector::copies(CartPole::new(config).unwrap(), limit, num_envs, seed);
        let mut copies: Box<dyn VectorEnv> = Box::new(copies);
        let mut native = make_vec(&spec, num_envs, seed).unwrap();

        let mut rng = Generator::stream(seed, 1);
        let (mut a, mut b) = (StepBuffer::new(&*native), StepBuffer::new(&*copies));
        let (mut terminations, mut truncations) = (0, 0);
        for t in 0..600 {
            // Once in a while all episodes are restarted from outside, by a seed or without one.
            if t % 200 == 0 {
                let seed = if t == 400 { Some(seed ^ 99) } else { None };
                native.reset(seed, a.observations.view_mut()).unwrap();
                copies.reset(seed, b.observations.view_mut()).unwrap();
            }
            let actions = Array2::from_shape_fn((num_envs, 1), |_| rng.integers(2) as f32);
            native.step(actions.view(), a.view_mut()).unwrap();
            copies.step(actions.view(), b.view_mut()).unwrap();
            assert_eq!(bits(a.observations.as_slice().unwrap()), bits(b.observations.as_slice().unwrap()));
            assert_eq!(bits(a.final_observations.as_slice().unwrap()), bits(b.final_observations.as_slice().unwrap()));
            assert_eq!((&a.rewards, &a.terminated, &a.truncated), (&b.rewards, &b.terminated, &b.truncated));
            terminations += a.terminated.iter().filter(|&&end| end).count();
            truncations += a.truncated.iter().filter(|&&end| end).count();
        }
        assert!(terminations > 50 && truncations > 50, "{terminations} terminations, {truncations} truncations");
    }
}

#[derive(Deserialize)]
struct Numpy {
    generators: Vec<Stream>,
    millions: Vec<Many>,
    spaces: Vec<Samples>,
}

#[derive(Deserialize)]
struct Stream {
    seed: u64,
    stream: Option<u32>,
    draws: Vec<Draw>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Draw {
    Random { random: f64 },
    Integers { integers: u32, value: u32 },
    Uniform { uniform: [f64; 2], value: f64 },
    Normal { standard_normal: f64 },
    Exponential { standard_exponential: f64 },
}

/// A sum over many draws: draw i's 64 bits times i, counted from 1, modulo 2⁶⁴.
#[derive(Deserialize)]
struct Many {
    distribution: String,
    seed: u64,
    count: u64,
    sum: u64,
}

#[derive(Deserialize)]
struct Samples {
    space: Space,
    seed: u64,
    samples: Vec<serde_json::Value>,
}

fn numpy() -> Numpy {
    serde_json::from_str(&std::fs::read_to_string(NUMPY).unwrap()).unwrap()
}

#[test]
fn the_generator_equals_numpy() {
    let streams = numpy().generators;
    assert!(streams.iter().any(|s| s.stream.is_none() && s.seed == u64::MAX));
    assert!(streams.iter().any(|s| s.stream.is_some() && s.seed > u64::from(u32::MAX)));
    for Stream { seed, stream, draws } in streams {
        let mut rng = match stream {
            None => Generator::new(seed),
            Some(stream) => Generator::stream(seed, stream),
        };
        for (i, draw) in draws.iter().enumerate() {
            match *draw {
                Draw::Random { random } => assert_eq!(rng.random(), random, "seed {seed}, {stream:?}, draw {i}"),
                Draw::Integers { integers, value } => {
                    assert_eq!(rng.integers(integers), value, "seed {seed}, {stream:?}, draw {i}");
                }
                Draw::Uniform { uniform: [low, high], value } => {
                    assert_eq!(rng.uniform(low, high), value, "seed {seed}, {stream:?}, draw {i}");
                }
                Draw::Normal { standard_normal } => {
                    assert_eq!(rng.standard_normal(), standard_normal, "seed {seed}, {stream:?}, draw {i}");
                }
                Draw::Exponential { standard_exponential } => {
                    assert_eq!(rng.standard_exponential(), standard_exponential, "seed {seed}, {stream:?}, draw {i}");
                }
            }
        }
    }
}

#[test]
fn a_million_draws_equal_numpy() {
    for Many { distribution, seed, count, sum } in numpy().millions {
        let draw = match distribution.as_str() {
            "standard_normal" => Generator::standard_normal,
            _ => Generator::standard_exponential,
        };
        let mut rng = Generator::new(seed);
        let weighted = (1..=count).map(|i| draw(&mut rng).to_bits().wrapping_mul(i));
        assert_eq!(weighted.fold(0, u64::wrapping_add), sum, "{distribution}, seed {seed}");
    }
}

#[test]
fn samples_of_spaces_equal_gymnasium() {
    for Samples { space, seed, samples } in numpy().spaces {
        let mut rng = Generator::new(seed);
        for expected in samples {
            let sample = space.sample(&mut rng);
            assert_eq!(sample, space.value_from_json(&expected).unwrap(), "{space}, seed {seed}");
            assert!(space.contains(&sample), "{sample} is not in {space}");
        }
    }
}

/// The scalar environment without registry, limit or checks gives the same first steps.
#[test]
fn the_bare_environment_equals_gymnasium() {
    let trace = &traces("CartPole-v1")[0];
    let mut env = CartPole::new(CartPoleConfig::default()).unwrap();
    let mut rng = Generator::new(trace.seed);
    assert_eq!(bits(&env.reset(&mut rng)), trace.start);
    for expected in &trace.steps[..100] {
        assert_eq!(bits(&env.step(&expected.action.into(), &mut rng).observation), expected.observation);
    }
}
