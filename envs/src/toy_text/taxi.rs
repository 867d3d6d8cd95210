//! Taxi: fetch the passenger and bring them where they want to go.

use super::{Direction, Grid, Table, Tabular, Transition, WorldState, check_probability, render, styled};
use crate::{Env, EnvInfo, Error, Frame, Generator, Registry, Space, Step};
use serde::{Deserialize, Serialize};

/// The town as it is drawn: cells at odd columns, and between them `|` where there is a wall.
const TOWN: [&[u8; 11]; 7] =
    [b"+---------+", b"|R: | : :G|", b"| : | : : |", b"| : : : : |", b"| | : | : |", b"|Y| : |B: |", b"+---------+"];
const GRID: Grid = Grid { rows: 5, columns: 5 };
/// The cells of R, G, Y and B.
const PLACES: [usize; 4] = [0, 4, 20, 23];
/// The place of a passenger who is in the taxi.
const IN_TAXI: usize = PLACES.len();

/// The directions of actions 0 to 3.
const DIRECTIONS: [Direction; 4] = [Direction::Down, Direction::Up, Direction::Right, Direction::Left];
const PICK_UP: usize = 4;
const ACTIONS: [&str; 6] = ["South", "North", "East", "West", "Pickup", "Dropoff"];

/// Weather and passenger. Gymnasium's values are the defaults.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TaxiConfig {
    /// Whether moves may go astray.
    pub is_rainy: bool,
    /// Whether passengers may change their mind, once, when the taxi first moves with them.
    pub fickle_passenger: bool,
    /// Probability, from 0 to 1, that a move in the rain goes where it was meant to; each side has half of the rest.
    pub rainy_probability: f64,
    /// Probability, from 0 to 1, that a fickle passenger does change their mind.
    pub fickle_probability: f64,
}

impl Default for TaxiConfig {
    fn default() -> Self {
        Self { is_rainy: false, fickle_passenger: false, rainy_probability: 0.8, fickle_probability: 0.3 }
    }
}

/// What a state's number encodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Situation {
    /// The taxi's cell, row by row from the top left.
    taxi: usize,
    /// The passenger's place: an index of [`PLACES`], or [`IN_TAXI`].
    passenger: usize,
    /// An index of [`PLACES`].
    destination: usize,
}

impl Situation {
    /// How many there are.
    const COUNT: usize = GRID.rows * GRID.columns * (IN_TAXI + 1) * PLACES.len();

    fn encode(self) -> usize {
        (self.taxi * (IN_TAXI + 1) + self.passenger) * PLACES.len() + self.destination
    }

    fn decode(state: usize) -> Self {
        let (rest, destination) = (state / PLACES.len(), state % PLACES.len());
        Self { taxi: rest / (IN_TAXI + 1), passenger: rest % (IN_TAXI + 1), destination }
    }

    /// Whether an episode may start so: the passenger waits, and not where they want to go.
    fn is_start(self) -> bool {
        self.passenger != IN_TAXI && self.passenger != self.destination
    }

    /// Whether an action changes anything, or would without rain.
    fn is_sensible(self, action: usize) -> bool {
        match DIRECTIONS.get(action) {
            Some(&direction) => neighbour(self.taxi, direction) != self.taxi,
            None if action == PICK_UP => PLACES.get(self.passenger) == Some(&self.taxi),
            None => self.passenger == IN_TAXI && PLACES.contains(&self.taxi),
        }
    }

    /// Where an action leads. The order of the outcomes is that of the draws, and part of the contract.
    fn outcomes(self, action: usize, config: &TaxiConfig) -> Vec<Transition> {
        let outcome = |probability, after: Self, reward, terminated| Transition {
            probability,
            state: after.encode(),
            reward,
            terminated,
        };
        if let Some(&direction) = DIRECTIONS.get(action) {
            let to = |probability, taxi| outcome(probability, Self { taxi, ..self }, -1.0, false);
            let intended = neighbour(self.taxi, direction);
            if !config.is_rainy {
                return vec![to(1.0, intended)];
            }
            // A taxi that cannot move where it wants to does not slide sideways either.
            let sides = if intended == self.taxi {
                [self.taxi; 2]
            } else {
                sides(direction).map(|side| neighbour(self.taxi, side))
            };
            let astray = (1.0 - config.rainy_probability) / 2.0;
            return vec![to(config.rainy_probability, intended), to(astray, sides[0]), to(astray, sides[1])];
        }
        let here = PLACES.iter().position(|&place| place == self.taxi);
        vec![match here {
            Some(here) if action == PICK_UP && self.passenger == here => {
                outcome(1.0, Self { passenger: IN_TAXI, ..self }, -1.0, false)
            }
            Some(here) if action != PICK_UP && self.passenger == IN_TAXI => {
                let arrived = here == self.destination;
                outcome(1.0, Self { passenger: here, ..self }, if arrived { 20.0 } else { -1.0 }, arrived)
            }
            _ => outcome(1.0, self, -10.0, false),
        }]
    }
}

/// The cell next to `cell` in a direction, or `cell` itself at a wall or the border.
fn neighbour(cell: usize, direction: Direction) -> usize {
    let (row, column) = picture(cell);
    let blocked = match direction {
        Direction::Right => TOWN[row][column + 1] == b'|',
        Direction::Left => TOWN[row][column - 1] == b'|',
        Direction::Up | Direction::Down => false,
    };
    if blocked { cell } else { GRID.neighbour(cell, direction) }
}

/// Left and right of a driver who looks in a direction.
fn sides(direction: Direction) -> [Direction; 2] {
    match direction {
        Direction::Up => [Direction::Left, Direction::Right],
        Direction::Right => [Direction::Up, Direction::Down],
        Direction::Down => [Direction::Right, Direction::Left],
        Direction::Left => [Direction::Down, Direction::Up],
    }
}

/// Row and column of a cell in [`TOWN`].
fn picture(cell: usize) -> (usize, usize) {
    (cell / GRID.columns + 1, 2 * (cell % GRID.columns) + 1)
}

/// Gymnasium's taxi, bit for bit.
///
#[doc = include_str!("taxi.md")]
#[derive(Clone, Debug)]
pub struct Taxi {
    config: TaxiConfig,
    world: Tabular,
    /// Whether the passenger of this episode is going to change their mind.
    fickle: bool,
    /// The direction of the episode's last move, for drawing.
    heading: Direction,
}

impl Taxi {
    /// A taxi in the given weather with the given passengers.
    ///
    /// # Errors
    /// If a probability does not lie from 0 to 1.
    pub fn new(config: TaxiConfig) -> Result<Self, Error> {
        check_probability("rainy_probability", config.rainy_probability)?;
        check_probability("fickle_probability", config.fickle_probability)?;
        let starts = (0..Situation::COUNT).filter(|&state| Situation::decode(state).is_start()).collect();
        let outcomes = |state, action| Situation::decode(state).outcomes(action, &config);
        let world = Tabular::new(Table::new(Situation::COUNT, ACTIONS.len(), starts, outcomes));
        Ok(Self { config, world, fickle: false, heading: Direction::Right })
    }

    /// What the action (0 south, 1 north, 2 east, 3 west, 4 pick up, 5 drop off) can lead to from a state, with
    /// probabilities that sum to 1.
    ///
    /// This is the table that [`step`](Env::step) draws from, in the order of the draws; two entries may lead to
    /// the same state. A fickle passenger's change of mind is not in it, as it depends on more than the state.
    /// Empty for a state or an action that does not exist.
    pub fn transitions(&self, state: usize, action: i64) -> &[Transition] {
        self.world.table.transitions(state, action)
    }
}

impl Env for Taxi {
    type Observation = i64;
    type Action = i64;
    type State = (WorldState, bool);

    fn observation_space(&self) -> Space {
        Space::discrete(Situation::COUNT as u32)
    }

    fn action_space(&self) -> Space {
        Space::discrete(ACTIONS.len() as u32)
    }

    fn reset(&mut self, rng: &mut Generator) -> i64 {
        let observation = self.world.reset(rng);
        self.heading = Direction::Right;
        self.fickle = self.config.fickle_passenger && rng.random() < self.config.fickle_probability;
        observation
    }

    fn step(&mut self, action: &i64, rng: &mut Generator) -> Step<i64> {
        let before = Situation::decode(self.world.state);
        let mut step = self.world.step(*action, rng);
        self.heading = DIRECTIONS.get(*action as usize).copied().unwrap_or(self.heading);
        let after = Situation::decode(self.world.state);
        if self.fickle && before.passenger == IN_TAXI && after.taxi != before.taxi {
            self.fickle = false;
            // One of the other three places.
            let other = rng.integers(3) as usize;
            let destination = if other < before.destination { other } else { other + 1 };
            self.world.state = Situation { destination, ..after }.encode();
            step.observation = self.world.state as i64;
        }
        step
    }

    fn state(&self) -> (WorldState, bool) {
        (self.world.state(), self.fickle)
    }

    fn set_state(&mut self, state: (WorldState, bool)) -> Result<(), Error> {
        let (world, fickle) = state;
        self.world.set_state(world)?;
        self.fickle = fickle;
        Ok(())
    }

    /// Gymnasium's mask: moves against no wall, and pick-ups and drop-offs that are possible.
    fn action_mask(&self, mask: &mut [bool]) {
        let situation = Situation::decode(self.world.state);
        mask.iter_mut().enumerate().for_each(|(action, sensible)| *sensible = situation.is_sensible(action));
    }

    /// The town and the last action: Gymnasium's text, byte for byte.
    ///
    /// The taxi has a yellow background; with the passenger in it a green one, and an underscore where nothing else
    /// stands. The waiting passenger is blue, the destination magenta.
    fn render_ansi(&self) -> Option<String> {
        let Situation { taxi, passenger, destination } = Situation::decode(self.world.state);
        let mut town = TOWN.map(|row| row.map(|character| char::from(character).to_string()));
        let (row, column) = picture(taxi);
        if passenger == IN_TAXI && town[row][column] == " " {
            town[row][column] = "_".to_owned();
        }
        let mut style = |cell, style| {
            let (row, column) = picture(cell);
            town[row][column] = styled(&town[row][column], style);
        };
        if passenger == IN_TAXI {
            style(taxi, "42");
        } else {
            style(taxi, "43");
            style(PLACES[passenger], "34;1");
        }
        style(PLACES[destination], "35");
        let town: String = town.iter().map(|row| row.concat() + "\n").collect();
        let action = self.world.last_action.map_or(String::new(), |action| format!("  ({})", ACTIONS[action]));
        Some(town + &action + "\n")
    }

    fn render_rgb(&self) -> Option<Frame> {
        let Situation { taxi, passenger, destination } = Situation::decode(self.world.state);
        Some(render::taxi::frame(&render::taxi::Town {
            grid: GRID,
            places: PLACES,
            wall: &|cell| neighbour(cell, Direction::Right) == cell,
            taxi,
            heading: self.heading,
            passenger: PLACES.get(passenger).copied(),
            destination: PLACES[destination],
        }))
    }
}

pub(super) fn register(registry: &mut Registry) {
    let info = EnvInfo {
        id: "Taxi-v4".to_owned(),
        max_episode_steps: Some(200),
        reward_threshold: Some(8.0),
        render_fps: 4,
        physics: Vec::new(),
        page: include_str!("taxi.md"),
    };
    registry.register(info, Taxi::new);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EnvSpec, make};

    #[test]
    fn states_survive_encoding() {
        for state in 0..500 {
            assert_eq!(Situation::decode(state).encode(), state);
        }
        // Row 3, column 1, passenger at Y, to R: the example of Gymnasium's documentation.
        assert_eq!(Situation { taxi: 3 * 5 + 1, passenger: 2, destination: 0 }.encode(), 328);
    }

    #[test]
    fn probabilities_sum_to_one_in_every_state() {
        for (is_rainy, rainy_probability) in [(false, 0.8), (true, 0.8), (true, 0.0), (true, 1.0)] {
            let env = Taxi::new(TaxiConfig { is_rainy, rainy_probability, ..TaxiConfig::default() }).unwrap();
            super::super::tests::check_model(500, 6, |state, action| env.transitions(state, action));
            assert_eq!(env.world.table.starts.len(), 300);
        }
    }

    #[test]
    fn an_action_is_masked_out_if_it_changes_nothing() {
        let mut env = Taxi::new(TaxiConfig::default()).unwrap();
        let mut masked = 0;
        for state in 0..500 {
            env.world.state = state;
            let mut mask = [true; 6];
            env.action_mask(&mut mask);
            for (action, sensible) in mask.into_iter().enumerate() {
                let [outcome] = env.transitions(state, action as i64)[..] else { panic!("not deterministic") };
                assert_eq!(sensible, outcome.state != state, "state {state}, action {action}");
                masked += usize::from(!sensible);
            }
        }
        // At 20 borders and on both sides of 6 walls; where the passenger is elsewhere, or not in the taxi at a place.
        assert_eq!(masked, 20 * (20 + 12) + 2 * (500 - 16));
    }

    #[test]
    fn bad_parameters_are_refused_with_their_name() {
        for (parameter, value) in [("rainy_probability", 1.5), ("fickle_probability", -0.1), ("snowy", 0.5)] {
            let error = make(EnvSpec::new("Taxi-v4").with(parameter, value)).err().expect("to be refused");
            assert!(error.is_config() && error.to_string().contains(parameter), "{error}");
        }
        assert!(Taxi::new(TaxiConfig { rainy_probability: f64::NAN, ..TaxiConfig::default() }).is_err());
    }

    #[test]
    fn text_is_that_of_gymnasium() {
        let mut env = Taxi::new(TaxiConfig::default()).unwrap();
        let mut text = |taxi, passenger, destination, last_action| {
            env.world.state = Situation { taxi, passenger, destination }.encode();
            env.world.last_action = last_action;
            env.render_ansi().unwrap()
        };
        let rows = |first: &str, third: &str, last: &str| {
            format!(
                "+---------+\n|{first}: | : :\x1b[35mG\x1b[0m|\n| : | : : |\n|{third}: : : : |\n| | : | : |\n\
                 |Y| : |B: |\n+---------+\n{last}\n"
            )
        };
        assert_eq!(text(0, 0, 1, None), rows("\x1b[34;1m\x1b[43mR\x1b[0m\x1b[0m", " ", ""));
        assert_eq!(text(10, 0, 1, Some(3)), rows("\x1b[34;1mR\x1b[0m", "\x1b[43m \x1b[0m", "  (West)"));
        assert_eq!(text(10, 4, 1, Some(0)), rows("R", "\x1b[42m_\x1b[0m", "  (South)"));
    }

    #[test]
    fn the_picture_shows_the_walls_and_the_situation() {
        let mut env = Taxi::new(TaxiConfig::default()).unwrap();
        let mut draw = |taxi, passenger, destination| {
            env.world.state = Situation { taxi, passenger, destination }.encode();
            env.render_rgb().unwrap()
        };
        let frame = draw(12, 0, 1);
        for cell in 0..25 {
            let (row, column) = picture(cell);
            let edge = frame.pixel(28 + 96 * (cell % 5 + 1), 68 + 80 * (cell / 5));
            let is_wall = cell % 5 == 4 || TOWN[row][column + 1] == b'|';
            assert_eq!(edge == [158, 86, 68], is_wall, "right of cell {cell}");
        }
        let pictures = [frame, draw(13, 0, 1), draw(12, 2, 1), draw(12, IN_TAXI, 1), draw(12, 0, 3)];
        for i in 0..pictures.len() {
            assert!(!pictures[..i].contains(&pictures[i]), "picture {i}");
        }
    }
}
