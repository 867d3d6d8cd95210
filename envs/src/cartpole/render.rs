//! CartPole as a picture, laid out as Gymnasium draws it.

use super::{State, X_THRESHOLD};
use crate::Frame;
use crate::draw::{BLACK, Canvas, WHITE, circle, rectangle, upright};

const WIDTH: u32 = 600;
const HEIGHT: u32 = 400;
/// Height of the track and of the cart's middle above the lower edge, pixels.
const TRACK: f32 = 100.0;
const CART: (f32, f32) = (50.0, 30.0);
const POLE_WIDTH: f32 = 10.0;
/// Height of the hinge above the cart's middle, pixels.
const AXLE: f32 = CART.1 / 4.0;

/// The cart on its track; `length` is half the pole's, in metres. The track from −2.4 m to 2.4 m fills the width.
pub(super) fn frame([x, _, theta, _]: State, length: f64) -> Frame {
    let scale = f64::from(WIDTH) / (2.0 * X_THRESHOLD);
    let cart_x = (x * scale) as f32 + WIDTH as f32 / 2.0;
    let pole_length = (scale * 2.0 * length) as f32;

    let mut canvas = Canvas::new(WIDTH, HEIGHT, WHITE);
    let cart = upright(HEIGHT).pre_translate(cart_x, TRACK);
    let pole = cart.pre_translate(0.0, AXLE).pre_rotate((-theta).to_degrees() as f32);
    canvas.at(cart).fill(rectangle(-CART.0 / 2.0, -CART.1 / 2.0, CART.0, CART.1), BLACK);
    canvas
        .at(pole)
        .fill(rectangle(-POLE_WIDTH / 2.0, -POLE_WIDTH / 2.0, POLE_WIDTH, pole_length), [202, 152, 101])
        .fill(circle(0.0, 0.0, POLE_WIDTH / 2.0), [129, 132, 203]);
    canvas.at(upright(HEIGHT)).fill(rectangle(0.0, TRACK, WIDTH as f32, 1.0), BLACK);
    canvas.into_frame()
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLE: [u8; 3] = [202, 152, 101];

    /// The mean column of the pole's pixels, and the row of its tip.
    fn pole(frame: &Frame) -> (f64, usize) {
        let positions: Vec<(usize, usize)> = (0..HEIGHT as usize)
            .flat_map(|y| (0..WIDTH as usize).map(move |x| (x, y)))
            .filter(|&(x, y)| frame.pixel(x, y) == POLE)
            .collect();
        let mean = positions.iter().map(|&(x, _)| x as f64).sum::<f64>() / positions.len() as f64;
        (mean, positions[0].1)
    }

    #[test]
    fn everything_is_where_gymnasium_draws_it() {
        let frame = frame([0.0; 4], 0.5);
        assert_eq!((frame.width, frame.height, frame.rgb.len()), (600, 400, 600 * 400 * 3));
        assert_eq!(frame.pixel(10, 10), [255; 3]);
        assert_eq!(frame.pixel(10, 299), [0; 3], "the track");
        assert_eq!(frame.pixel(280, 310), [0; 3], "the cart");
        assert_eq!(frame.pixel(300, 292), [129, 132, 203], "the axle");
        assert_eq!(frame.pixel(300, 200), POLE);
    }

    #[test]
    fn the_pole_follows_the_cart_and_the_angle() {
        let at = |x, theta| pole(&frame([x, 0.0, theta, 0.0], 0.5));
        let (middle, tip) = at(0.0, 0.0);
        assert!((middle - 299.5).abs() < 1.0 && (170..175).contains(&tip), "{middle} {tip}");
        let (right, lower_tip) = at(0.0, 0.2);
        assert!(right > middle + 8.0 && lower_tip > tip);
        assert!(at(0.0, -0.2).0 < middle - 8.0);
        assert!((at(1.0, 0.0).0 - middle - 125.0).abs() < 1.0);
    }

    #[test]
    fn extreme_states_do_not_panic() {
        for state in [[1e30, 0.0, 1e30, 0.0], [f64::NAN; 4], [f64::INFINITY, 0.0, f64::NEG_INFINITY, 0.0]] {
            frame(state, 0.5);
        }
        frame([0.0; 4], 1e300);
        frame([0.0; 4], 1e-300);
    }
}
