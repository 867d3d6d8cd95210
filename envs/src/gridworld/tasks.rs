//! The ids: grid worlds, and the tasks that are grid worlds with a map and an observation of their own.

use super::rows::GridRows;
use super::{GridWorld, GridWorldConfig, MapName, Observation, RoomsMap, TMaze};
use crate::{Copies, EnvInfo, Error, Registry};

pub(crate) fn register(registry: &mut Registry) {
    let mut add = |id: &str, limit, page, build: fn(GridWorldConfig) -> Result<GridWorld, Error>| {
        let info = EnvInfo::new(id).max_episode_steps(limit).page(page);
        registry.register_native::<Copies<GridRows>, _, _>(info, build);
    };
    add("GridWorld-v0", 200, include_str!("page.md"), GridWorld::new);
    add("KeyDoor-v0", 300, include_str!("key_door.md"), |config| GridWorld::new(config.or(key_door())));
    add("Memory-v0", 100, include_str!("memory.md"), |config| GridWorld::new(config.or(memory())));
    add("Obstacles-v0", 200, include_str!("obstacles.md"), |config| GridWorld::new(config.or(obstacles())));
}

fn key_door() -> GridWorldConfig {
    let rooms = Some(RoomsMap::default());
    GridWorldConfig { rooms, observation: Some(Observation::Cell), ..GridWorldConfig::default() }
}

fn memory() -> GridWorldConfig {
    let t_maze = Some(TMaze::default());
    GridWorldConfig { t_maze, observation: Some(Observation::Window(3)), ..GridWorldConfig::default() }
}

fn obstacles() -> GridWorldConfig {
    let map_name = Some(MapName::Crossing);
    GridWorldConfig { map_name, observation: Some(Observation::Window(5)), ..GridWorldConfig::default() }
}

#[cfg(test)]
mod tests {
    use crate::gridworld::{GridState, GridWorld, GridWorldConfig, Observation, TMaze};
    use crate::{Env, EnvSpec, Generator, Space, Value, make};
    use std::collections::BTreeMap;

    #[test]
    fn each_task_has_its_map_and_its_observation_unless_others_are_given() {
        let space = |spec: EnvSpec| make(spec).unwrap().observation_space().clone();
        let window = |k| Space::Box { low: vec![0.0; k * k * 14], high: vec![1.0; k * k * 14], shape: vec![k, k, 14] };
        assert_eq!(space(EnvSpec::new("KeyDoor-v0")), Space::discrete(7 * 7 * 4));
        assert_eq!(space(EnvSpec::new("KeyDoor-v0").with("map", "S.G")), Space::discrete(3));
        assert_eq!(space(EnvSpec::new("Memory-v0")), window(3));
        assert_eq!(space(EnvSpec::new("Memory-v0").with("map", "S.G")), window(3));
        assert_eq!(space(EnvSpec::new("Memory-v0").with("observation", "cell")), Space::discrete(8 * 3));
        assert_eq!(space(EnvSpec::new("Obstacles-v0")), window(5));
        assert_eq!(space(EnvSpec::new("GridWorld-v0")), Space::discrete(64));
    }

    /// What the pages say.
    #[test]
    fn the_best_returns_are_known() {
        for (config, expected) in [(super::key_door(), 0.79), (super::memory(), 0.93), (super::obstacles(), 0.848)] {
            let optimum = GridWorld::new(config.clone()).unwrap().optimal_return(1.0).unwrap();
            assert!((optimum - expected).abs() < 5e-4, "{config:?}: {optimum}");
        }
    }

    /// A T-maze in which an agent that does not remember can do one of 4096 things.
    struct Enumeration {
        env: GridWorld,
        /// A number for each observation of a state in which there is something to do.
        observations: BTreeMap<GridState, usize>,
        count: u32,
    }

    const LIMIT: usize = 100;

    impl Enumeration {
        fn new(wrong_goal_reward: f64) -> Self {
            let env = GridWorld::new(GridWorldConfig {
                t_maze: Some(TMaze { length: 2 }),
                observation: Some(Observation::Window(3)),
                wrong_goal_reward,
                ..GridWorldConfig::default()
            });
            let env = env.unwrap();
            let mut seen: Vec<Value> = Vec::new();
            let mut observations = BTreeMap::new();
            for state in
                env.optimal_values(1.0).unwrap().into_keys().filter(|state| env.cells()[state.cell].is_walkable())
            {
                let observation = env.world.observe(&state);
                let number = seen.iter().position(|other| *other == observation).unwrap_or(seen.len());
                if number == seen.len() {
                    seen.push(observation);
                }
                observations.insert(state, number);
            }
            Self { env, observations, count: seen.len() as u32 }
        }

        /// The return of a policy from a start up to the time limit; two bits of its number are the action for each
        /// observation.
        fn earns(&mut self, policy: u32, start: &GridState) -> f64 {
            self.env.set_state(start.clone()).unwrap();
            let (mut total, mut rng) = (0.0, Generator::new(0));
            for _ in 0..LIMIT {
                let observation = self.observations[&self.env.state()];
                let step = self.env.step(&i64::from(policy >> (2 * observation) & 3), &mut rng);
                total += step.reward;
                if step.terminated {
                    break;
                }
            }
            total
        }
    }

    #[test]
    fn without_memory_the_t_maze_cannot_be_solved_and_with_it_it_can() {
        for (wrong, bound) in [(-1.0, 0.0), (0.0, 0.5)] {
            let mut maze = Enumeration::new(wrong);
            // The cue is seen at the start and beside it, and nowhere else.
            assert_eq!((maze.observations.len(), maze.count), (8, 6));
            let starts: Vec<GridState> = maze.env.start_states().collect();
            let (mut without, mut with) = (f64::MIN, [f64::MIN; 2]);
            for policy in 0..4_u32.pow(maze.count) {
                let earned = [0, 1].map(|cue| maze.earns(policy, &starts[cue]));
                without = without.max((earned[0] + earned[1]) / 2.0);
                // Whoever remembers the cue can do what is best for it.
                with = [with[0].max(earned[0]), with[1].max(earned[1])];
            }
            let optimum = maze.env.optimal_return(1.0).unwrap();
            assert!(without <= bound, "{without} without memory");
            assert!(((with[0] + with[1]) / 2.0 - optimum).abs() < 1e-9 && (optimum - 0.97).abs() < 1e-9, "{with:?}");
        }
    }
}
