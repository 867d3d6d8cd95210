//! Acrobot as a picture, laid out as Gymnasium draws it.

use super::{L1, State};
use crate::Frame;
use crate::draw::{BLACK, Canvas, Transform, WHITE, circle, rectangle, upright};

/// Both sides of the picture, pixels.
const SIDE: u32 = 500;
/// The length of the second link, m. It enters no equation.
const L2: f64 = 1.0;
/// A metre, pixels: the links reach almost to the edges.
const SCALE: f32 = SIDE as f32 / (2.0 * (L1 + L2 + 0.2) as f32);
/// Half the width of the links, and the radius of the joints.
const HALF_WIDTH: f32 = 0.1 * SCALE;
const LINK: [u8; 3] = [0, 204, 204];
const JOINT: [u8; 3] = [204, 204, 0];

/// Both links, and the height that the free end has to reach as a line.
pub(super) fn frame([theta1, theta2, ..]: State) -> Frame {
    let mut canvas = Canvas::new(SIDE, SIDE, WHITE);
    let centre = upright(SIDE).pre_translate(SIDE as f32 / 2.0, SIDE as f32 / 2.0);
    let goal = (L1 as f32 * SCALE).floor();
    canvas.at(centre).fill(rectangle(-(SIDE as f32) / 2.0, goal, SIDE as f32, 1.0), BLACK);

    let mut link = |joint: Transform, length: f64| {
        let length = length as f32 * SCALE;
        canvas
            .at(joint)
            .fill(rectangle(-HALF_WIDTH, -length, 2.0 * HALF_WIDTH, length), LINK)
            .fill(circle(0.0, 0.0, HALF_WIDTH), JOINT);
        joint.pre_translate(0.0, -length)
    };
    let elbow = link(centre.pre_rotate(theta1.to_degrees() as f32), L1);
    link(elbow.pre_rotate(theta2.to_degrees() as f32), L2);
    canvas.into_frame()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::{FRAC_PI_2, PI};

    #[test]
    fn everything_is_where_gymnasium_draws_it() {
        let hanging = frame([0.0; 4]);
        assert_eq!((hanging.width, hanging.height), (500, 500));
        assert_eq!(hanging.pixel(10, 10), WHITE);
        assert_eq!(hanging.pixel(10, 136), BLACK, "the height to reach");
        assert_eq!([hanging.pixel(250, 250), hanging.pixel(250, 363)], [JOINT; 2]);
        assert_eq!([hanging.pixel(250, 300), hanging.pixel(250, 470)], [LINK; 2]);
        assert_eq!([hanging.pixel(250, 480), hanging.pixel(250, 200)], [WHITE; 2]);
    }

    #[test]
    fn the_second_angle_is_relative_to_the_first_link() {
        let level = frame([FRAC_PI_2, 0.0, 0.0, 0.0]);
        assert_eq!([level.pixel(300, 250), level.pixel(440, 250)], [LINK; 2]);
        let bent = frame([FRAC_PI_2, FRAC_PI_2, 0.0, 0.0]);
        assert_eq!([bent.pixel(300, 250), bent.pixel(363, 180)], [LINK; 2]);
        let upright = frame([PI, 0.0, 0.0, 0.0]);
        assert_eq!([upright.pixel(250, 200), upright.pixel(250, 60)], [LINK; 2]);
    }

    #[test]
    fn extreme_states_leave_the_line() {
        for extreme in [f64::NAN, f64::INFINITY, -1e300, 1e30] {
            for state in [[extreme; 4], [extreme, 0.0, 0.0, 0.0], [0.0, extreme, 0.0, 0.0]] {
                assert_eq!(frame(state).pixel(10, 136), BLACK);
            }
        }
    }
}
