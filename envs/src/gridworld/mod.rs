//! GridWorld: an agent walks over a map of cells to a goal.
//!
//! One engine serves several ids: `GridWorld-v0` and the tasks in `tasks.rs`, which are maps and observations of it.
//! `map.rs` is the map and how it is read, `state.rs` what changes, `world.rs` the rules, `model.rs` and `values.rs` the
//! same rules as probabilities and what can be earned by them.
//!
//! ```
//! use apprentice_envs::{EnvSpec, make};
//!
//! let mut env = make(EnvSpec::new("GridWorld-v0").with("map", "S..\n.#.\n..G"))?;
//! env.reset(Some(0));
//! print!("{}", env.render_ansi().unwrap());
//! # Ok::<(), apprentice_envs::Error>(())
//! ```

mod config;
#[cfg(test)]
mod fuzz;
mod keys;
mod map;
mod model;
mod observation;
mod obstacles;
mod render;
mod rooms;
mod rows;
mod solvable;
mod source;
mod state;
mod tasks;
mod values;
mod world;

use crate::{Env, Error, Frame, Generator, Space, Step, Value};
use std::sync::Arc;

pub use config::{GridWorldConfig, MapName, Observation, RandomMap, RoomsMap, Slippery, TMaze};
pub use keys::{Colour, Keys};
pub use map::Cell;
pub use model::Transition;
pub use state::GridState;
pub(crate) use tasks::register;

use map::Map;
use world::World;

/// A grid world. Its map and its rules are fixed; the agent moves, takes keys and meets obstacles that move.
///
#[doc = include_str!("page.md")]
#[derive(Clone, Debug)]
pub struct GridWorld {
    /// Shared by the copies of a batch.
    world: Arc<World>,
    state: GridState,
}

impl GridWorld {
    /// A grid world with the given map and rules.
    ///
    /// # Errors
    /// If there are several sources of the map, the map cannot be read or not be played (no start, no goal,
    /// unequal rows, an unknown character, no way to a goal, more than 65,536 cells), the letters of `goals` are
    /// not those on the map, a reward is not finite, or `slip` or the observation is out of range.
    pub fn new(config: GridWorldConfig) -> Result<Self, Error> {
        let world = config.world()?;
        let state = world.start(world.map.starts[0], world.map.cues.first().copied());
        Ok(Self { world: Arc::new(world), state })
    }

    /// Columns of the map.
    pub fn width(&self) -> usize {
        self.world.map.width
    }

    /// Rows of the map.
    pub fn height(&self) -> usize {
        self.world.map.height
    }

    /// The map, row by row from the top left; the index of a cell is row × width + column.
    pub fn cells(&self) -> &[Cell] {
        &self.world.map.cells
    }

    /// The indices of the cells on which episodes start.
    pub fn start_cells(&self) -> &[usize] {
        &self.world.map.starts
    }

    /// The index of the cell that the agent is on.
    pub fn agent_cell(&self) -> usize {
        self.state.cell
    }

    /// Draws the start of an episode.
    fn begin(&mut self, rng: &mut Generator) {
        let Map { starts, cues, obstacles, .. } = &self.world.map;
        // Of a single start nothing is drawn.
        let mut draw = |n: usize| rng.integers(n as u32) as usize;
        self.state.cell = starts[draw(starts.len())];
        self.state.cue = if cues.is_empty() { None } else { Some(cues[draw(cues.len())]) };
        (self.state.keys, self.state.phase) = (Keys::default(), 0);
        self.state.wanderers.clone_from(&obstacles.wanderers);
    }

    /// The cells of the obstacles, wherever they are now.
    pub fn obstacle_cells(&self) -> impl Iterator<Item = usize> {
        self.world.obstacles(&self.state)
    }
}

impl Env for GridWorld {
    type Observation = Value;
    type Action = i64;
    type State = GridState;

    fn observation_space(&self) -> Space {
        self.world.observation_space()
    }

    fn action_space(&self) -> Space {
        Space::discrete(4)
    }

    fn reset(&mut self, rng: &mut Generator) -> Value {
        self.begin(rng);
        self.world.observe(&self.state)
    }

    fn step(&mut self, action: &i64, rng: &mut Generator) -> Step<Value> {
        let (reward, terminated) = self.world.step(&mut self.state, *action as usize, rng);
        Step { observation: self.world.observe(&self.state), reward, terminated, truncated: false }
    }

    fn state(&self) -> GridState {
        self.state.clone()
    }

    fn set_state(&mut self, state: GridState) -> Result<(), Error> {
        if let Some(flaw) = self.world.flaw(&state) {
            return Err(Error::snapshot(flaw));
        }
        self.state = state;
        Ok(())
    }

    fn render_ansi(&self) -> Option<String> {
        Some(render::ansi(self))
    }

    fn render_rgb(&self) -> Option<Frame> {
        Some(render::frame(self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EnvSpec, StepBuffer, make, make_vec};
    use ndarray::Array2;
    use serde_json::json;

    fn spec(kwargs: serde_json::Value) -> EnvSpec {
        EnvSpec { kwargs: kwargs.as_object().unwrap().clone(), ..EnvSpec::new("GridWorld-v0") }
    }

    /// Worlds that have, together, everything that there is.
    fn worlds() -> Vec<EnvSpec> {
        vec![
            EnvSpec::new("GridWorld-v0"),
            spec(json!({ "map_name": "cliff", "slippery": "everywhere" })),
            spec(json!({ "map_name": "four_rooms", "observation": { "window": 5 } })),
            spec(json!({ "random": { "width": 6, "height": 4, "seed": 3 }, "observation": "cell" })),
            spec(json!({ "map": "S~L\nS~c\n~~G", "goals": { "c": 2.5 }, "slip": 0.7 })),
            spec(json!({ "map": "S?~*\nrR1!\n..2L", "observation": { "window": 3 }, "see_through_walls": false })),
            spec(json!({ "rooms": { "doors": 3, "seed": 4 }, "observation": "map" })),
            spec(json!({ "random": { "obstacles": 3 } })),
            EnvSpec::new("KeyDoor-v0"),
            EnvSpec::new("Memory-v0"),
            EnvSpec::new("Obstacles-v0"),
            spec(json!({ "map": "aS", "goals": { "a": -1 }, "observation": { "window": 1 } })),
        ]
    }

    #[test]
    fn everything_lies_in_its_space_and_a_seed_reproduces_it() {
        for spec in worlds() {
            let (mut env, mut twin) = (make(&spec).unwrap(), make(&spec).unwrap());
            let mut rng = Generator::new(8);
            let mut observation = env.reset(Some(4)).unwrap();
            assert_eq!(observation, twin.reset(Some(4)).unwrap());
            for _ in 0..1000 {
                assert!(env.observation_space().contains(&observation), "{spec:?}: {observation}");
                let action = env.action_space().sample(&mut rng);
                let step = env.step(&action).unwrap();
                assert_eq!(step, twin.step(&action).unwrap());
                assert!(env.observation_space().contains(&step.observation));
                observation = if step.done() { env.reset(None).unwrap() } else { step.observation.clone() };
                if step.done() {
                    assert_eq!(observation, twin.reset(None).unwrap());
                }
            }
        }
    }

    #[test]
    fn an_episode_goes_on_from_a_snapshot() {
        for spec in worlds() {
            let mut env = make(&spec).unwrap();
            env.reset(Some(6)).unwrap();
            let mut rng = Generator::new(1);
            let play = |env: &mut dyn crate::DynEnv, actions: &[Value]| {
                actions.iter().map_while(|action| env.step(action).ok()).collect::<Vec<_>>()
            };
            for _ in 0..20 {
                let actions: Vec<Value> = (0..12).map(|_| env.action_space().sample(&mut rng)).collect();
                play(&mut *env, &actions[..4]);
                let bytes = env.snapshot().to_bytes();
                let expected = play(&mut *env, &actions[4..]);
                let mut other = make(&spec).unwrap();
                other.restore(&crate::Snapshot::from_bytes(&bytes).unwrap()).unwrap();
                assert_eq!(play(&mut *other, &actions[4..]), expected, "{spec:?}");
                assert_eq!(other.snapshot(), env.snapshot());
                env.reset(None).unwrap();
            }
        }
    }

    #[test]
    fn a_batch_gives_the_episodes_of_its_seeds() {
        for spec in worlds() {
            let mut batch = make_vec(&spec, 3, 20).unwrap();
            let mut single = make(&spec).unwrap();
            let mut out = StepBuffer::new(&*batch);
            batch.reset(None, out.observations.view_mut()).unwrap();
            single.reset(Some(21)).unwrap();
            let mut rng = Generator::new(2);
            for _ in 0..300 {
                let actions = Array2::from_shape_fn((3, 1), |_| rng.integers(4) as f32);
                batch.step(actions.view(), out.view_mut()).unwrap();
                let step = single.step(&Value::Discrete(actions[[1, 0]] as i64)).unwrap();
                assert_eq!((step.reward, step.done()), (out.rewards[1], out.terminated[1] || out.truncated[1]));
                if step.done() {
                    single.reset(None).unwrap();
                }
            }
        }
    }

    #[test]
    fn the_time_limit_is_200_steps() {
        let mut env = make("GridWorld-v0").unwrap();
        env.reset(Some(0)).unwrap();
        let ends: Vec<bool> = (0..200).map(|_| env.step(&Value::Discrete(0)).unwrap().truncated).collect();
        assert_eq!(ends.iter().position(|&end| end), Some(199));
    }

    #[test]
    fn bad_parameters_are_refused_with_their_name() {
        for (kwargs, part) in [
            (json!({ "maps": "SG" }), "maps"),
            (json!({ "map": "SX" }), "row 1, column 2"),
            (json!({ "map": "SG", "random": {} }), "map, random"),
            (json!({ "map_file": "/nonexistent/map" }), "map_file /nonexistent/map"),
            (json!({ "map_name": "maze" }), "four_rooms"),
            (json!({ "random": { "wall_probability": 2 } }), "wall_probability"),
            (json!({ "random": { "width": -1 } }), "-1"),
            (json!({ "map": "aS" }), "no reward for the goal"),
            (json!({ "goals": { "q": 1 } }), "not on the map"),
            (json!({ "goals": { "r": 1 } }), "which are keys"),
            (json!({ "map": "SRG" }), "keys of doors within reach"),
            (json!({ "rooms": { "doors": 4 } }), "rooms: doors"),
            (json!({ "t_maze": { "length": 0 } }), "t_maze: length"),
            (json!({ "random": { "obstacles": 100 } }), "at most 64 obstacles"),
            (json!({ "random": { "width": 100, "height": 41 }, "observation": "map" }), "take a window"),
            (json!({ "goals": { "G": 1 } }), "from a to z"),
            (json!({ "goals": { "long": 1 } }), "long"),
            (json!({ "slip": 1.5 }), "slip"),
            (json!({ "observation": { "window": 4 } }), "odd"),
            (json!({ "observation": { "window": 0 } }), "odd"),
            (json!({ "observation": "everything" }), "everything"),
        ] {
            let error = make(spec(kwargs.clone())).err().expect("this should have been refused");
            assert!(error.is_config() && error.to_string().contains(part), "{kwargs}: {error}");
        }
        for value in [f64::NAN, f64::INFINITY] {
            let default = GridWorldConfig::default;
            assert!(GridWorld::new(GridWorldConfig { slip: value, ..default() }).is_err());
            assert!(GridWorld::new(GridWorldConfig { lava_reward: value, ..default() }).is_err());
            assert!(GridWorld::new(GridWorldConfig { cliff_reward: value, ..default() }).is_err());
            assert!(GridWorld::new(GridWorldConfig { obstacle_reward: value, ..default() }).is_err());
            assert!(GridWorld::new(GridWorldConfig { wrong_goal_reward: value, ..default() }).is_err());
            assert!(GridWorld::new(GridWorldConfig { step_cost: Some(value), ..default() }).is_err());
            assert!(GridWorld::new(GridWorldConfig { goal_reward: Some(value), ..default() }).is_err());
        }
    }
}
