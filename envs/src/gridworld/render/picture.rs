//! A grid world as a picture.

use super::super::keys::{Colour, Keys};
use super::super::map::Cell;
use super::{GridWorld, what_is_left};
use crate::Frame;
use crate::draw::{
    self, Board, Drawing, Figure, Transform, WHITE, circle, flag, ice, letter, line, polygon, rectangle, rock, rounded,
};

const GROUT: draw::Colour = [208, 204, 194];
const FLOOR: draw::Colour = [238, 235, 226];
const CARVED: draw::Colour = [170, 164, 150];
const WALL: draw::Colour = [104, 108, 120];
const MORTAR: draw::Colour = [74, 77, 88];
const LAVA: draw::Colour = [204, 62, 44];
const GLOW: draw::Colour = [250, 176, 66];
const CLIFF: draw::Colour = [163, 114, 73];
const ICE: draw::Colour = [188, 220, 240];
const GREEN: draw::Colour = [60, 160, 86];
const SHIRT: draw::Colour = [40, 90, 200];
const OBSTACLE: draw::Colour = [82, 60, 98];
const DARK: draw::Colour = [56, 50, 60];

fn rgb(colour: Colour) -> draw::Colour {
    match colour {
        Colour::Red => [214, 69, 65],
        Colour::Yellow => [235, 184, 50],
        Colour::Blue => [90, 130, 215],
        Colour::Purple => [148, 84, 178],
    }
}

/// A tile a cell with what is on it. The agent carries its keys; a door that it has the key of stands open.
pub(in crate::gridworld) fn frame(env: &GridWorld) -> Frame {
    let mut board = Board::new(env.width(), env.height(), GROUT);
    let (keys, cue) = (env.state.keys, env.state.cue);
    for i in 0..env.cells().len() {
        let cell = what_is_left(env, i);
        board.tile(i, if board.is_detailed() { ground(cell) } else { spot(cell, cue) });
        if board.is_detailed() {
            furnish(&mut board.cell(i), i, cell, keys, cue);
        }
    }
    for i in env.obstacle_cells() {
        if board.is_detailed() { obstacle(&mut board.cell(i)) } else { board.tile(i, OBSTACLE) }
    }
    let agent = env.agent_cell();
    if board.is_detailed() {
        let on = &mut board.cell(agent);
        Figure { shirt: SHIRT, hat: None, looks: [0.0, 0.0] }.draw(on);
        for (i, colour) in keys.colours().enumerate() {
            let place = Transform::from_row(0.36, 0.0, 0.0, 0.36, [0.0, 0.64][i % 2], [0.62, 0.3][i / 2]);
            key(&mut on.at(place), colour);
        }
    } else {
        board.tile(agent, SHIRT);
    }
    board.into_frame()
}

/// What a cell's furniture stands on.
fn ground(cell: Cell) -> draw::Colour {
    match cell {
        Cell::Wall => WALL,
        Cell::Lava => LAVA,
        Cell::Cliff => CLIFF,
        Cell::Slippery => ICE,
        _ => FLOOR,
    }
}

/// What is left of a cell that is too small for anything but a colour.
fn spot(cell: Cell, cue: Option<Colour>) -> draw::Colour {
    match cell {
        Cell::Goal(_) => GREEN,
        Cell::Key(colour) | Cell::Door(colour) | Cell::CuedGoal(colour) => rgb(colour),
        Cell::Cue => cue.map_or(FLOOR, rgb),
        cell => ground(cell),
    }
}

fn furnish(on: &mut Drawing<'_>, i: usize, cell: Cell, keys: Keys, cue: Option<Colour>) {
    match cell {
        Cell::Floor => {}
        Cell::Start => letter(on, 'S', [0.17, 0.2], 0.2, CARVED),
        Cell::Wall => bricks(on),
        Cell::Goal('G') => flag(on, GREEN),
        Cell::Goal(name) => {
            flag(on, GREEN);
            letter(on, name, [0.53, 0.33], 0.15, WHITE);
        }
        Cell::CuedGoal(colour) => flag(on, rgb(colour)),
        Cell::Cue => sign(on, cue),
        Cell::Key(colour) => key(on, colour),
        Cell::Door(colour) => door(on, colour, keys.contains(colour)),
        Cell::Lava => lava(on),
        Cell::Cliff => rock(on, i),
        Cell::Slippery => ice(on, i),
    }
}

/// Three courses of bricks that go on in the next cell.
fn bricks(on: &mut Drawing<'_>) {
    on.fill(rectangle(0.0, 0.0, 1.0, 1.0), WALL);
    for (course, joints) in [[0.25, 0.75].as_slice(), &[0.5], &[0.25, 0.75]].into_iter().enumerate() {
        let top = course as f32 / 3.0;
        on.fill(rectangle(0.0, top, 1.0, 0.05), MORTAR);
        for &x in joints {
            on.fill(rectangle(x - 0.025, top, 0.05, 1.0 / 3.0), MORTAR);
        }
    }
}

fn lava(on: &mut Drawing<'_>) {
    for y in [0.26, 0.52, 0.78] {
        let wave = line(&[[0.12, y], [0.3, y - 0.09], [0.5, y], [0.7, y - 0.09], [0.88, y]]);
        on.stroke(wave, GLOW, 0.06);
    }
}

fn key(on: &mut Drawing<'_>, colour: Colour) {
    let metal = rgb(colour);
    on.stroke(circle(0.3, 0.5, 0.14), metal, 0.1)
        .fill(rounded(0.42, 0.45, 0.44, 0.1, 0.03), metal)
        .fill(rounded(0.62, 0.5, 0.08, 0.18, 0.02), metal)
        .fill(rounded(0.76, 0.5, 0.08, 0.22, 0.02), metal);
}

fn door(on: &mut Drawing<'_>, colour: Colour, open: bool) {
    on.fill(rounded(0.08, 0.04, 0.84, 0.94, 0.05), DARK);
    if open {
        on.fill(rectangle(0.16, 0.12, 0.68, 0.86), FLOOR)
            .fill(polygon(&[[0.16, 0.12], [0.34, 0.2], [0.34, 0.98], [0.16, 0.98]]), rgb(colour));
    } else {
        on.fill(rectangle(0.16, 0.12, 0.68, 0.86), rgb(colour))
            .fill(circle(0.68, 0.54, 0.07), DARK)
            .fill(polygon(&[[0.68, 0.54], [0.74, 0.74], [0.62, 0.74]]), DARK);
    }
}

/// A board on a post, in the colour of the right goal.
fn sign(on: &mut Drawing<'_>, cue: Option<Colour>) {
    on.fill(rounded(0.46, 0.5, 0.08, 0.42, 0.02), DARK)
        .fill(rounded(0.16, 0.14, 0.68, 0.44, 0.06), DARK)
        .fill(rounded(0.21, 0.19, 0.58, 0.34, 0.03), cue.map_or(CARVED, rgb))
        .fill(
            polygon(&[[0.36, 0.31], [0.54, 0.31], [0.54, 0.24], [0.7, 0.36], [0.54, 0.48], [0.54, 0.41], [0.36, 0.41]]),
            WHITE,
        );
}

/// Something round with spikes and an evil eye.
fn obstacle(on: &mut Drawing<'_>) {
    for spike in 0..8 {
        let on = &mut on.at(Transform::from_rotate_at(45.0 * spike as f32, 0.5, 0.5));
        on.fill(polygon(&[[0.4, 0.24], [0.6, 0.24], [0.5, 0.06]]), OBSTACLE);
    }
    on.fill(circle(0.5, 0.5, 0.3), OBSTACLE);
    for x in [0.39, 0.61] {
        on.fill(circle(x, 0.48, 0.085), WHITE).fill(circle(x, 0.5, 0.04), DARK);
    }
    on.stroke(line(&[[0.4, 0.66], [0.5, 0.62], [0.6, 0.66]]), WHITE, 0.04);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gridworld::GridState;
    use crate::{Env, Generator, GridWorldConfig};

    fn env(map: &str) -> GridWorld {
        let goals = map.contains('a').then_some(('a', 0.5)).into_iter().collect();
        GridWorld::new(GridWorldConfig { map: Some(map.to_owned()), goals, ..GridWorldConfig::default() }).unwrap()
    }

    fn picture(env: &GridWorld) -> impl Fn(usize, [usize; 2]) -> draw::Colour + use<> {
        let (frame, columns) = (env.render_rgb().unwrap(), env.width());
        assert_eq!((frame.width as usize, frame.height as usize), (columns * 64, env.height() * 64));
        move |cell, [x, y]| frame.pixel(cell % columns * 64 + x, cell / columns * 64 + y)
    }

    #[test]
    fn every_kind_of_cell_shows() {
        let pixel = picture(&env("S#!L~\nrRGC.\na.b..\n....y"));
        let cue = env("S?1\n..2");
        let cued = picture(&cue);
        for (name, got, expected) in [
            ("the agent's shirt", pixel(0, [32, 42]), SHIRT),
            ("a brick", pixel(1, [32, 10]), WALL),
            ("mortar", pixel(1, [16, 10]), MORTAR),
            ("an obstacle", pixel(2, [32, 46]), OBSTACLE),
            ("the corner of its cell", pixel(2, [4, 4]), FLOOR),
            ("lava", pixel(3, [32, 6]), LAVA),
            ("ice", pixel(4, [4, 58]), ICE),
            ("a key's shaft", pixel(5, [34, 32]), rgb(Colour::Red)),
            ("a door", pixel(6, [20, 20]), rgb(Colour::Red)),
            ("its keyhole", pixel(6, [43, 35]), DARK),
            ("a goal's flag", pixel(7, [32, 20]), GREEN),
            ("a cliff", pixel(8, [32, 4]), CLIFF),
            ("floor", pixel(9, [32, 32]), FLOOR),
            ("another goal's flag", pixel(10, [28, 16]), GREEN),
            ("a sign", cued(1, [16, 30]), rgb(Colour::Red)),
            ("the red goal", cued(2, [32, 20]), rgb(Colour::Red)),
            ("the yellow goal", cued(5, [32, 20]), rgb(Colour::Yellow)),
        ] {
            assert_eq!(got, expected, "{name}");
        }
    }

    #[test]
    fn a_key_goes_with_the_agent_and_its_door_opens() {
        let mut env = env("SrR.G");
        env.step(&1, &mut Generator::new(0));
        let pixel = picture(&env);
        assert_eq!(pixel(1, [32, 42]), SHIRT);
        assert_eq!(pixel(1, [12, 51]), rgb(Colour::Red), "the key beside the agent");
        assert_eq!([pixel(2, [13, 40]), pixel(2, [40, 40])], [rgb(Colour::Red), FLOOR], "the open door");
        env.step(&1, &mut Generator::new(0));
        assert_eq!(picture(&env)(1, [32, 32]), FLOOR, "no key is left");
    }

    #[test]
    fn the_sign_has_the_colour_of_the_right_goal() {
        let mut env = env("S?1\n..2");
        for colour in [Colour::Red, Colour::Yellow] {
            env.set_state(GridState { cue: Some(colour), ..env.state() }).unwrap();
            assert_eq!(picture(&env)(1, [16, 30]), rgb(colour));
        }
    }

    #[test]
    fn large_maps_are_spots_of_colour() {
        let long = format!("S{}rRG", ".".repeat(60_000));
        let frame = env(&long).render_rgb().unwrap();
        assert_eq!((frame.width, frame.height), (60_004, 1));
        let expected = [SHIRT, FLOOR, rgb(Colour::Red), rgb(Colour::Red), GREEN];
        assert_eq!([0, 1, 60_001, 60_002, 60_003].map(|x| frame.pixel(x, 0)), expected);
    }
}
