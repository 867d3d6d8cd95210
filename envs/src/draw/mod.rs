//! Flat pictures: coloured shapes with smooth edges, for every environment that draws itself.
//!
//! ```text
//! canvas.at(place).fill(circle(0.0, 0.0, 5.0), RED).stroke(line(&path), BLACK, 1.0);
//! ```
//!
//! Nothing here fails. A state may be anything, and a shape without a size, with a coordinate that is not finite or
//! far outside is simply not in the picture.

mod letters;
mod tiles;

use crate::Frame;
use tiny_skia::{Color, FillRule, LineCap, LineJoin, Paint, Path, PathBuilder, Pixmap, Rect, Stroke};

pub(crate) use letters::{letter, text};
pub(crate) use tiles::{Board, Figure, flag, ice, rock};
pub(crate) use tiny_skia::Transform;

/// Red, green, blue.
pub(crate) type Colour = [u8; 3];

/// A shape, or None if there is nothing to draw.
pub(crate) type Shape = Option<Path>;

pub(crate) const BLACK: Colour = [0; 3];
pub(crate) const WHITE: Colour = [255; 3];

/// How far outside of the picture a shape may reach, in pixels.
const FAR: f32 = 1e6;

/// A picture that is being drawn.
pub(crate) struct Canvas(Pixmap);

impl Canvas {
    /// An empty picture with at least a pixel.
    pub(crate) fn new(width: u32, height: u32, background: Colour) -> Self {
        let mut pixels = Pixmap::new(width.max(1), height.max(1)).expect("pictures are far smaller than 2^29 pixels");
        let [red, green, blue] = background;
        pixels.fill(Color::from_rgba8(red, green, blue, 255));
        Self(pixels)
    }

    /// Draws with the coordinates of `place`. Those of the canvas itself are pixels from the upper left corner.
    pub(crate) fn at(&mut self, place: Transform) -> Drawing<'_> {
        Drawing { canvas: self, place }
    }

    /// The finished picture.
    pub(crate) fn into_frame(self) -> Frame {
        let (width, height, rgba) = (self.0.width(), self.0.height(), self.0.data());
        // Everything is opaque, so that the fourth channel has nothing to say.
        let mut rgb = vec![0; rgba.len() / 4 * 3];
        rgb.chunks_exact_mut(3).zip(rgba.chunks_exact(4)).for_each(|(rgb, rgba)| rgb.copy_from_slice(&rgba[..3]));
        Frame { width, height, rgb }
    }
}

/// A canvas with the coordinates in which shapes are given.
pub(crate) struct Drawing<'a> {
    canvas: &'a mut Canvas,
    place: Transform,
}

impl Drawing<'_> {
    /// The same canvas with coordinates within the present ones.
    pub(crate) fn at(&mut self, place: Transform) -> Drawing<'_> {
        Drawing { canvas: self.canvas, place: self.place.pre_concat(place) }
    }

    /// Fills a shape.
    pub(crate) fn fill(&mut self, shape: Shape, colour: Colour) -> &mut Self {
        let path = self.place(shape);
        self.paint(path, colour)
    }

    /// Draws the outline of a shape, or a line, with round ends. The place must not distort it.
    pub(crate) fn stroke(&mut self, shape: Shape, colour: Colour, width: f32) -> &mut Self {
        let width = width * self.place.get_scale().0;
        let stroke = Stroke { width, line_cap: LineCap::Round, line_join: LineJoin::Round, ..Stroke::default() };
        let path = self.place(shape).and_then(|path| path.stroke(&stroke, 1.0));
        self.paint(path, colour)
    }

    /// The shape in pixels, unless it reaches too far.
    fn place(&self, shape: Shape) -> Shape {
        let path = shape?.transform(self.place)?;
        let bounds = path.bounds();
        let edges = [bounds.left(), bounds.top(), bounds.right(), bounds.bottom()];
        edges.iter().all(|edge| edge.abs() < FAR).then_some(path)
    }

    fn paint(&mut self, path: Shape, [red, green, blue]: Colour) -> &mut Self {
        if let Some(path) = path {
            let mut paint = Paint::default();
            paint.set_color_rgba8(red, green, blue, 255);
            self.canvas.0.fill_path(&path, &paint, FillRule::Winding, Transform::identity(), None);
        }
        self
    }
}

/// Coordinates in pixels from the lower left corner, upwards, of a picture with this height.
pub(crate) fn upright(height: u32) -> Transform {
    Transform::from_row(1.0, 0.0, 0.0, -1.0, 0.0, height as f32)
}

pub(crate) fn rectangle(x: f32, y: f32, width: f32, height: f32) -> Shape {
    Some(PathBuilder::from_rect(Rect::from_xywh(x, y, width, height)?))
}

/// A rectangle with round corners.
pub(crate) fn rounded(x: f32, y: f32, width: f32, height: f32, radius: f32) -> Shape {
    let bounds = Rect::from_xywh(x, y, width, height)?;
    let (right, bottom) = (bounds.right(), bounds.bottom());
    let mut path = PathBuilder::new();
    path.move_to(x + radius, y);
    path.line_to(right - radius, y);
    path.quad_to(right, y, right, y + radius);
    path.line_to(right, bottom - radius);
    path.quad_to(right, bottom, right - radius, bottom);
    path.line_to(x + radius, bottom);
    path.quad_to(x, bottom, x, bottom - radius);
    path.line_to(x, y + radius);
    path.quad_to(x, y, x + radius, y);
    path.close();
    path.finish()
}

pub(crate) fn circle(x: f32, y: f32, radius: f32) -> Shape {
    PathBuilder::from_circle(x, y, radius)
}

pub(crate) fn ellipse(x: f32, y: f32, x_radius: f32, y_radius: f32) -> Shape {
    PathBuilder::from_oval(Rect::from_ltrb(x - x_radius, y - y_radius, x + x_radius, y + y_radius)?)
}

/// The area between points that are joined in turn, and the last with the first.
pub(crate) fn polygon(points: &[[f32; 2]]) -> Shape {
    let mut path = through(points);
    path.close();
    path.finish()
}

/// Points that are joined in turn, to be stroked.
pub(crate) fn line(points: &[[f32; 2]]) -> Shape {
    through(points).finish()
}

fn through(points: &[[f32; 2]]) -> PathBuilder {
    let mut path = PathBuilder::new();
    for (i, &[x, y]) in points.iter().enumerate() {
        if i == 0 { path.move_to(x, y) } else { path.line_to(x, y) }
    }
    path
}

/// Part of a circle around the origin, from one angle to another (radians, from the x axis towards the y axis).
pub(crate) fn arc(radius: f32, from: f32, to: f32) -> Shape {
    const PARTS: usize = 48;
    let angle = |i: usize| from + (to - from) * i as f32 / PARTS as f32;
    let points: Vec<[f32; 2]> = (0..=PARTS).map(|i| [radius * angle(i).cos(), radius * angle(i).sin()]).collect();
    line(&points)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::make;

    #[test]
    fn pictures_have_the_sizes_of_gymnasium() {
        for (id, width, height) in [
            ("CartPole-v1", 600, 400),
            ("MountainCar-v0", 600, 400),
            ("MountainCarContinuous-v0", 600, 400),
            ("Pendulum-v1", 500, 500),
            ("Acrobot-v1", 500, 500),
            ("FrozenLake-v1", 256, 256),
            ("FrozenLake8x8-v1", 512, 512),
            ("CliffWalking-v1", 768, 256),
            ("Taxi-v4", 536, 456),
            ("Blackjack-v1", 600, 500),
        ] {
            let mut env = make(id).unwrap();
            // Whatever was not reset yet can be drawn as well.
            assert!(env.render_rgb().is_some(), "{id}");
            env.reset(Some(0)).unwrap();
            let frame = env.render_rgb().unwrap();
            assert_eq!((frame.width, frame.height, frame.rgb.len()), (width, height, (width * height * 3) as usize));
        }
    }

    #[test]
    fn what_is_too_large_or_not_a_number_is_left_out() {
        let empty = Canvas::new(20, 20, WHITE).into_frame();
        for extreme in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN, 1e30, 1e7, 0.0] {
            let shapes = || {
                [
                    rectangle(extreme, 0.0, extreme, 5.0),
                    rounded(0.0, extreme, 5.0, extreme, 1.0),
                    circle(5.0, extreme, extreme),
                    ellipse(extreme, 5.0, extreme, 2.0),
                    polygon(&[[0.0, 0.0], [extreme, 0.0], [extreme, extreme]]),
                    line(&[[extreme, 0.0], [extreme, extreme]]),
                    arc(extreme, 0.0, extreme),
                ]
            };
            let places = [
                Transform::from_translate(extreme, 1.0),
                Transform::from_scale(extreme, 1.0),
                Transform::from_rotate(extreme),
                Transform::identity(),
            ];
            for place in places {
                for i in 0..shapes().len() {
                    let mut canvas = Canvas::new(20, 20, WHITE);
                    canvas.at(place).fill(shapes()[i].clone(), BLACK);
                    assert_eq!(canvas.0.width(), 20);
                    canvas.at(place).stroke(shapes()[i].clone(), BLACK, extreme);
                }
                if extreme != 0.0 && place != Transform::identity() && !place.is_valid() {
                    let mut canvas = Canvas::new(20, 20, WHITE);
                    canvas.at(place).fill(rectangle(0.0, 0.0, 5.0, 5.0), BLACK);
                    assert_eq!(canvas.into_frame(), empty, "{place:?}");
                }
            }
        }
    }

    #[test]
    fn shapes_are_where_they_are_said_to_be() {
        let drawn = |draw: fn(&mut Drawing<'_>)| {
            let mut canvas = Canvas::new(20, 20, WHITE);
            draw(&mut canvas.at(Transform::identity()));
            let frame = canvas.into_frame();
            move |x, y| frame.pixel(x, y) == BLACK
        };
        let inside = drawn(|on| _ = on.fill(rounded(2.0, 4.0, 10.0, 12.0, 4.0), BLACK));
        assert!(inside(7, 4) && inside(2, 10) && inside(11, 10) && inside(7, 15));
        assert!(!inside(2, 4) && !inside(11, 15) && !inside(7, 3) && !inside(12, 10));
        let inside = drawn(|on| _ = on.at(upright(20)).fill(ellipse(10.0, 4.0, 8.0, 3.0), BLACK));
        assert!(inside(10, 14) && inside(3, 15) && !inside(10, 4) && !inside(3, 18));
        let inside = drawn(|on| _ = on.stroke(line(&[[2.0, 10.0], [18.0, 10.0]]), BLACK, 2.0));
        assert!(inside(2, 9) && inside(17, 10) && !inside(10, 11) && !inside(10, 7));
    }
}
