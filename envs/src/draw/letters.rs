//! Capital letters and digits of straight lines.

use super::{Colour, Drawing, Transform, line};

/// The strokes of the letters A to Z: points on a grid three wide and five high, each as its column and row from the
/// upper left corner; a bar lifts the pen.
const LETTERS: [&str; 26] = [
    "04 01 10 21 24|02 22",
    "00 04 14 23 12 02|12 21 10 00",
    "20 10 01 03 14 24",
    "00 04 14 23 21 10 00",
    "20 00 04 24|02 12",
    "20 00 04|02 12",
    "20 10 01 03 14 24 22 12",
    "00 04|20 24|02 22",
    "00 20|10 14|04 24",
    "20 23 14 03",
    "00 04|20 02 24",
    "00 04 24",
    "04 00 12 20 24",
    "04 00 24 20",
    "10 01 03 14 23 21 10",
    "04 00 10 21 12 02",
    "10 01 03 14 23 21 10|13 24",
    "04 00 10 21 12 02|12 24",
    "20 10 01 02 22 23 14 04",
    "00 20|10 14",
    "00 03 14 23 20",
    "00 14 20",
    "00 04 12 24 20",
    "00 24|20 04",
    "00 12 20|12 14",
    "00 20 04 24",
];

/// The strokes of the digits 0 to 9.
const DIGITS: [&str; 10] = [
    "00 04 24 20 00",
    "01 10 14|04 24",
    "01 10 21 04 24",
    "00 20 12 23 14 03",
    "14 10 03 23",
    "20 00 02 12 23 14 04",
    "20 10 01 03 14 23 12 02",
    "00 20 14",
    "10 01 12 23 14 03 12 21 10",
    "04 14 23 21 10 01 12 22",
];

/// Writes a word around (x, y), in capitals, with a letter's width between the beginnings of two letters and half of it
/// more. What is neither a letter nor a digit leaves a space.
pub(crate) fn text(on: &mut Drawing<'_>, word: &str, [x, y]: [f32; 2], height: f32, colour: Colour) {
    let advance = height * 0.75;
    let first = x - advance * (word.chars().count() as f32 - 1.0) / 2.0;
    for (i, name) in word.chars().enumerate() {
        letter(on, name, [first + advance * i as f32, y], height, colour);
    }
}

/// Writes a letter or a digit around (x, y), in capitals; anything else leaves no mark.
pub(crate) fn letter(on: &mut Drawing<'_>, name: char, [x, y]: [f32; 2], height: f32, colour: Colour) {
    let name = name.to_ascii_uppercase();
    let strokes = match name {
        'A'..='Z' => LETTERS[(name as u8 - b'A') as usize],
        '0'..='9' => DIGITS[(name as u8 - b'0') as usize],
        _ => return,
    };
    let unit = height / 4.0;
    let mut on = on.at(Transform::from_row(unit, 0.0, 0.0, unit, x - unit, y - 2.0 * unit));
    for stroke in strokes.split('|') {
        let point = |point: &str| {
            let digit = |i: usize| f32::from(point.as_bytes()[i] - b'0');
            [digit(0), digit(1)]
        };
        let points: Vec<[f32; 2]> = stroke.split(' ').map(point).collect();
        on.stroke(line(&points), colour, 0.8);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{BLACK, Canvas, WHITE};
    use super::*;
    use crate::Frame;

    fn written(name: char) -> Frame {
        let mut canvas = Canvas::new(24, 40, WHITE);
        letter(&mut canvas.at(Transform::identity()), name, [12.0, 20.0], 32.0, BLACK);
        canvas.into_frame()
    }

    #[test]
    fn letters_differ_and_anything_else_leaves_no_mark() {
        let blank = written(' ');
        assert!(blank.rgb.iter().all(|&byte| byte == 255));
        let mut seen = vec![blank];
        for name in ('A'..='Z').chain('0'..='9') {
            let picture = written(name);
            assert!(!seen.contains(&picture), "{name}");
            assert_eq!(written(name.to_ascii_lowercase()), picture);
            seen.push(picture);
        }
        for other in ['@', '[', '/', ':', 'é', '漢', char::MAX] {
            assert_eq!(written(other), seen[0], "{other}");
        }
    }

    #[test]
    fn an_l_stands_upright() {
        let frame = written('L');
        assert_eq!([frame.pixel(4, 10), frame.pixel(18, 36)], [BLACK; 2]);
        assert_eq!(frame.pixel(18, 10), WHITE);
    }
}
