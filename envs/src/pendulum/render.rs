//! Pendulum as a picture, laid out as Gymnasium draws it.

use super::LENGTH;
use crate::Frame;
use crate::draw::{BLACK, Canvas, Transform, WHITE, arc, circle, polygon, rectangle, upright};
use std::f32::consts::{FRAC_PI_2, PI};

/// Both sides of the picture, pixels.
const SIDE: u32 = 500;
/// How far the picture reaches from the hinge, m.
const BOUND: f32 = 2.2;
/// A metre, pixels.
const SCALE: f32 = SIDE as f32 / (2.0 * BOUND);
const ROD_WIDTH: f32 = 0.2 * SCALE;
const ROD: [u8; 3] = [204, 77, 77];

/// The rod at the angle `theta`, and the torque of the last step (N m) as an arrow around the hinge: the larger the
/// torque, the larger the arrow.
pub(super) fn frame(theta: f64, torque: Option<f32>) -> Frame {
    let mut canvas = Canvas::new(SIDE, SIDE, WHITE);
    let hinge = upright(SIDE).pre_translate(SIDE as f32 / 2.0, SIDE as f32 / 2.0);
    let (length, half) = (LENGTH as f32 * SCALE, ROD_WIDTH / 2.0);
    canvas
        .at(hinge.pre_rotate(theta.to_degrees() as f32))
        .fill(rectangle(-half, 0.0, ROD_WIDTH, length), ROD)
        .fill(circle(0.0, 0.0, half), ROD)
        .fill(circle(0.0, length, half), ROD);

    if let Some(torque) = torque {
        // Three quarters of a turn from the top, drawn for a torque of 1; a negative one mirrors it.
        const RADIUS: f32 = 0.23 * SCALE;
        const HEAD: f32 = RADIUS / 3.0;
        let size = torque.abs();
        canvas
            .at(hinge.pre_concat(Transform::from_scale(torque, size)))
            .stroke(arc(RADIUS, FRAC_PI_2, 2.0 * PI), BLACK, 1.5)
            .fill(
                polygon(&[
                    [RADIUS, HEAD],
                    [RADIUS - HEAD / 2.0, -HEAD / 2.0],
                    [RADIUS, -HEAD / 5.0],
                    [RADIUS + HEAD / 2.0, -HEAD / 2.0],
                ]),
                BLACK,
            );
    }
    canvas.at(hinge).fill(circle(0.0, 0.0, 0.05 * SCALE), BLACK);
    canvas.into_frame()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::PI;

    #[test]
    fn the_rod_turns_anticlockwise_from_the_top() {
        for (theta, x, y) in [(0.0, 250, 150), (PI / 2.0, 150, 250), (PI, 250, 350), (-PI / 2.0, 350, 250)] {
            let frame = frame(theta, None);
            assert_eq!((frame.width, frame.height), (500, 500));
            assert_eq!(frame.pixel(x, y), ROD, "θ = {theta}");
            assert_eq!(frame.pixel(500 - x, 500 - y), WHITE, "θ = {theta}");
            assert_eq!(frame.pixel(250, 250), BLACK, "the axle");
        }
    }

    #[test]
    fn an_arrow_shows_the_torque() {
        // The largest torques: the arrow's circle is 52 pixels wide. Its upper quarter on the head's side is open.
        let [left, right, none] = [Some(2.0), Some(-2.0), None].map(|torque| frame(PI, torque));
        assert_eq!((left.pixel(250 - 52, 250), right.pixel(250 + 52, 250)), (BLACK, BLACK));
        assert_eq!((left.pixel(250 - 37, 250 - 37), right.pixel(250 + 37, 250 - 37)), (BLACK, BLACK));
        assert_eq!((left.pixel(250 + 37, 250 - 37), right.pixel(250 - 37, 250 - 37)), (WHITE, WHITE));
        // The head's point is narrower than its barbs.
        assert!(left.pixel(250 + 59, 257)[0] < 100);
        assert_eq!(left.pixel(250 + 59, 240), WHITE);
        assert_eq!(none.pixel(250 - 52, 250), WHITE);
        assert!(frame(PI, Some(1.0)).pixel(250 - 27, 250)[0] < 100, "half as wide");
        assert_eq!(frame(PI, Some(0.0)), none);
    }

    #[test]
    fn extreme_states_leave_the_axle() {
        for extreme in [f64::NAN, f64::INFINITY, -1e300, 1e30] {
            assert_eq!(frame(extreme, Some(extreme as f32)).pixel(250, 250), BLACK);
            assert_eq!(frame(0.0, Some(extreme as f32)).pixel(250, 150), ROD);
        }
    }
}
