//! MountainCar as a picture, laid out as Gymnasium draws it.

use super::{MAX_POSITION, MIN_POSITION};
use crate::Frame;
use crate::draw::{BLACK, Canvas, WHITE, circle, line, polygon, rectangle, upright};

const WIDTH: u32 = 600;
const HEIGHT: u32 = 400;
const CAR: (f32, f32) = (40.0, 20.0);
const WHEEL_RADIUS: f32 = 8.0;
/// Height of the wheels' axles above the road, pixels.
const CLEARANCE: f32 = 10.0;
const FLAGPOLE: f32 = 50.0;

/// Pixels from the lower left corner. The road from wall to end fills the width, and its height is 0.55 + 0.45 sin 3x.
fn on_road(position: f64) -> [f32; 2] {
    let scale = f64::from(WIDTH) / (MAX_POSITION - MIN_POSITION);
    let height = 0.55 + 0.45 * (3.0 * position).sin();
    [(position - MIN_POSITION) * scale, height * scale].map(|pixels| pixels as f32)
}

/// The car on its road, and the flag at the goal.
pub(super) fn frame(position: f64, goal: f64) -> Frame {
    const PARTS: u32 = 100;
    let step = (MAX_POSITION - MIN_POSITION) / f64::from(PARTS);
    let road: Vec<[f32; 2]> = (0..=PARTS).map(|i| on_road(MIN_POSITION + step * f64::from(i))).collect();

    let mut canvas = Canvas::new(WIDTH, HEIGHT, WHITE);
    // Through the middles of the pixels.
    canvas.at(upright(HEIGHT).pre_translate(0.5, 0.5)).stroke(line(&road), BLACK, 1.0);

    let [x, y] = on_road(position);
    // Gymnasium tilts the car by the cosine itself, which looks right.
    let tilt = (3.0 * position).cos().to_degrees() as f32;
    canvas
        .at(upright(HEIGHT).pre_translate(x, y + CLEARANCE).pre_rotate(tilt))
        .fill(rectangle(-CAR.0 / 2.0, 0.0, CAR.0, CAR.1), BLACK)
        .fill(circle(-CAR.0 / 4.0, 0.0, WHEEL_RADIUS), [128; 3])
        .fill(circle(CAR.0 / 4.0, 0.0, WHEEL_RADIUS), [128; 3]);

    let [x, y] = on_road(goal);
    canvas
        .at(upright(HEIGHT).pre_translate(x.floor(), y.floor()))
        .fill(rectangle(0.0, 0.0, 1.0, FLAGPOLE), BLACK)
        .fill(polygon(&[[0.0, FLAGPOLE], [0.0, FLAGPOLE - 10.0], [25.0, FLAGPOLE - 5.0]]), [204, 204, 0]);
    canvas.into_frame()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHEEL: [u8; 3] = [128; 3];

    #[test]
    fn everything_is_where_gymnasium_draws_it() {
        let valley = frame(-std::f64::consts::PI / 6.0, 0.5);
        assert_eq!((valley.width, valley.height), (600, 400));
        assert_eq!(valley.pixel(10, 10), WHITE);
        assert!(valley.pixel(300, 333)[0] < 100, "the road");
        // The bottom is 226 pixels from the left and 33 from below, and the car level.
        assert_eq!(valley.pixel(225, 345), BLACK, "the car");
        assert_eq!([valley.pixel(216, 357), valley.pixel(235, 357)], [WHEEL; 2]);
        assert_eq!(valley.pixel(566, 40), BLACK, "the flag's pole");
        assert_eq!(valley.pixel(570, 22), [204, 204, 0], "the flag");
        assert_eq!(frame(0.0, 0.45).pixel(553, 24), [204, 204, 0], "the other goal");
    }

    #[test]
    fn the_car_follows_the_road_and_its_slope() {
        let wheels = |position| {
            let frame = &frame(position, 0.5);
            let wheel = |x: usize| (0..400).rev().filter(move |&y| frame.pixel(x, y) == WHEEL);
            // A smooth road has single pixels of the wheels' colour.
            let inked = |x: usize| wheel(x).nth(3).and(wheel(x).next());
            let columns: Vec<usize> = (0..600).filter(|&x| inked(x).is_some()).collect();
            let ends = (columns[0], columns[columns.len() - 1]);
            (ends.0, inked(ends.0).unwrap(), ends.1, inked(ends.1).unwrap())
        };
        let (left, rear, right, front) = wheels(0.0);
        assert!((left + right).abs_diff(800) <= 2, "{left} {right}: the middle is 400 pixels from the left");
        assert!(front + 10 < rear, "{front} {rear}: uphill to the right");
        let (_, rear, _, front) = wheels(-1.0);
        assert!(rear + 10 < front, "{front} {rear}: downhill to the right");
    }

    #[test]
    fn extreme_states_leave_the_road() {
        for position in [f64::NAN, f64::INFINITY, -1e300, 1e30, 1e9] {
            assert!(frame(position, 0.5).pixel(300, 333)[0] < 100);
        }
    }
}
