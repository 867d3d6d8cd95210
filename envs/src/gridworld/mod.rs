//! GridWorld: an agent walks over a map of cells to a goal.
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
mod map;
mod model;
mod observation;
mod render;
mod source;
mod values;

use crate::{Env, EnvInfo, Error, Frame, Generator, Registry, Space, Step, Value};
use std::sync::Arc;

pub use config::{GridWorldConfig, MapName, Observation, RandomMap, Slippery};
pub use map::Cell;
pub use model::Transition;

use model::World;

/// A grid world. Its map and its rules are fixed; only the agent moves.
#[derive(Clone, Debug)]
pub struct GridWorld {
    /// Shared by the copies of a batch.
    world: Arc<World>,
    cell: usize,
}

impl GridWorld {
    /// A grid world with the given map and rules.
    ///
    /// # Errors
    /// If there are several sources of the map, the map cannot be read or not be played (no start, no goal,
    /// unequal rows, an unknown character, no way to a goal, more than 65,536 cells), the letters of `goals` are
    /// not those on the map, a reward is not finite, or `slip` or the window is out of range.
    pub fn new(config: GridWorldConfig) -> Result<Self, Error> {
        let world = config.world()?;
        Ok(Self { cell: world.map.starts[0], world: Arc::new(world) })
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
        self.cell
    }
}

impl Env for GridWorld {
    type Observation = Value;
    type Action = i64;
    type State = usize;

    fn observation_space(&self) -> Space {
        self.world.observation_space()
    }

    fn action_space(&self) -> Space {
        Space::discrete(4)
    }

    fn reset(&mut self, rng: &mut Generator) -> Value {
        let starts = &self.world.map.starts;
        self.cell = starts[rng.integers(starts.len() as u32) as usize];
        self.world.observe(self.cell)
    }

    fn step(&mut self, action: &i64, rng: &mut Generator) -> Step<Value> {
        let transition = self.world.draw(self.cell, *action as usize, rng);
        self.cell = transition.cell;
        Step {
            observation: self.world.observe(self.cell),
            reward: transition.reward,
            terminated: transition.terminated,
            truncated: false,
        }
    }

    fn state(&self) -> usize {
        self.cell
    }

    fn set_state(&mut self, state: usize) -> Result<(), Error> {
        let cells = self.cells().len();
        if state >= cells {
            return Err(Error::snapshot(format!("the map has {cells} cells: no agent can be on cell {state}")));
        }
        self.cell = state;
        Ok(())
    }

    fn render_ansi(&self) -> Option<String> {
        Some(render::ansi(self))
    }

    fn render_rgb(&self) -> Option<Frame> {
        Some(render::frame(self))
    }
}

pub(crate) fn register(registry: &mut Registry) {
    let info = EnvInfo {
        id: "GridWorld-v0".to_owned(),
        max_episode_steps: Some(200),
        reward_threshold: None,
        page: include_str!("page.md"),
    };
    registry.register(info, GridWorld::new);
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
            spec(json!({ "map": "S~L\nS~b\n~~G", "goals": { "b": 2.5 }, "slip": 0.7 })),
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
    fn episodes_start_on_every_start() {
        let config = GridWorldConfig { map: Some("SSSG".to_owned()), ..GridWorldConfig::default() };
        let mut env = GridWorld::new(config).unwrap();
        let mut rng = Generator::new(0);
        let mut counts = [0; 3];
        for _ in 0..3000 {
            let Value::Discrete(cell) = env.reset(&mut rng) else { panic!("not a cell") };
            counts[cell as usize] += 1;
        }
        assert!(counts.iter().all(|count| (900..1100).contains(count)), "{counts:?}");
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
            assert!(GridWorld::new(GridWorldConfig { step_cost: Some(value), ..default() }).is_err());
            assert!(GridWorld::new(GridWorldConfig { goal_reward: Some(value), ..default() }).is_err());
        }
    }
}
