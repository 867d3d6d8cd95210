//! Blackjack as a picture, in Gymnasium's size.

use crate::Frame;
use crate::draw::{Canvas, Colour, Drawing, Transform, WHITE, circle, polygon, rounded, text};

const WIDTH: f32 = 600.0;
const HEIGHT: f32 = 500.0;
const FELT: Colour = [38, 104, 74];
const SEAM: Colour = [58, 128, 94];
const LETTERING: Colour = [222, 236, 226];
const BLACK_SUIT: Colour = [40, 42, 52];
const RED_SUIT: Colour = [200, 54, 56];
const BACK: Colour = [70, 98, 168];
const BACK_PATTERN: Colour = [108, 136, 204];

/// A card's size, pixels.
const CARD: (f32, f32) = (96.0, 134.0);
/// Between the cards of a hand, as long as there is room.
const GAP: f32 = 14.0;
/// From a hand to the sides of the picture, at least.
const MARGIN: f32 = 30.0;

/// What is to be seen of a card.
pub(crate) enum Card {
    /// What it counts, as it is printed on it.
    Open(String),
    /// The same with its suit: 0 clubs, 1 diamonds, 2 hearts, 3 spades.
    Suited(String, u8),
    /// Its back.
    Hidden,
}

/// A hand and what is known of its sum.
pub(crate) struct Hand {
    pub(crate) cards: Vec<Card>,
    pub(crate) summary: String,
}

/// The dealer above, the player below.
pub(crate) fn frame(dealer: &Hand, player: &Hand) -> Frame {
    let mut canvas = Canvas::new(WIDTH as u32, HEIGHT as u32, FELT);
    let table = &mut canvas.at(Transform::identity());
    table.stroke(rounded(10.0, 10.0, WIDTH - 20.0, HEIGHT - 20.0, 24.0), SEAM, 3.0);
    table.fill(rounded(MARGIN, HEIGHT / 2.0 - 1.0, WIDTH - 2.0 * MARGIN, 2.0, 1.0), SEAM);
    for (who, hand, top) in [("Dealer", dealer, 0.0), ("Player", player, HEIGHT / 2.0 - 2.0)] {
        text(table, &format!("{who}  {}", hand.summary), [WIDTH / 2.0, top + 42.0], 17.0, LETTERING);
        row(table, &hand.cards, top + 78.0);
    }
    canvas.into_frame()
}

/// Cards side by side, from the left to the right; many of them overlap.
fn row(on: &mut Drawing<'_>, cards: &[Card], top: f32) {
    let steps = (cards.len().max(2) - 1) as f32;
    let step = (CARD.0 + GAP).min((WIDTH - 2.0 * MARGIN - CARD.0) / steps);
    let left = (WIDTH - CARD.0 - step * (cards.len() as f32 - 1.0)) / 2.0;
    for (i, card) in cards.iter().enumerate() {
        draw(&mut on.at(Transform::from_translate(left + step * i as f32, top)), card);
    }
}

fn draw(on: &mut Drawing<'_>, card: &Card) {
    let (width, height) = CARD;
    let (print, ink, suit) = match card {
        Card::Hidden => {
            on.fill(rounded(-1.0, -1.0, width + 2.0, height + 2.0, 11.0), FELT)
                .fill(rounded(0.0, 0.0, width, height, 10.0), WHITE)
                .fill(rounded(6.0, 6.0, width - 12.0, height - 12.0, 6.0), BACK);
            for (row, column) in (0..5).flat_map(|row| (0..3).map(move |column| (row, column))) {
                let (x, y) = (width / 2.0 + 24.0 * (column as f32 - 1.0), height / 2.0 + 23.0 * (row as f32 - 2.0));
                on.fill(polygon(&[[x, y - 8.0], [x + 8.0, y], [x, y + 8.0], [x - 8.0, y]]), BACK_PATTERN);
            }
            return;
        }
        Card::Open(print) => (print, BLACK_SUIT, None),
        Card::Suited(print, suit @ (1 | 2)) => (print, RED_SUIT, Some(*suit)),
        Card::Suited(print, suit) => (print, BLACK_SUIT, Some(*suit)),
    };
    // A rim, so that cards which overlap can be told apart.
    on.fill(rounded(-1.0, -1.0, width + 2.0, height + 2.0, 11.0), FELT)
        .fill(rounded(0.0, 0.0, width, height, 10.0), WHITE);
    let corner = if print.chars().count() == 1 { 15.0 } else { 20.0 };
    text(on, print, [corner, 21.0], 16.0, ink);
    match suit {
        None => text(on, print, [width / 2.0, height / 2.0], 44.0, ink),
        Some(suit) => {
            pip(&mut on.at(Transform::from_row(9.0, 0.0, 0.0, 9.0, 15.0, 44.0)), suit, ink);
            pip(&mut on.at(Transform::from_row(27.0, 0.0, 0.0, 27.0, width / 2.0, height / 2.0)), suit, ink);
        }
    }
}

/// The sign of a suit, around the origin and between −1 and 1.
fn pip(on: &mut Drawing<'_>, suit: u8, ink: Colour) {
    let stem = polygon(&[[-0.08, 0.0], [0.08, 0.0], [0.34, 0.95], [-0.34, 0.95]]);
    match suit {
        0 => on
            .fill(circle(0.0, -0.48, 0.44), ink)
            .fill(circle(-0.5, 0.22, 0.44), ink)
            .fill(circle(0.5, 0.22, 0.44), ink)
            .fill(stem, ink),
        1 => on.fill(polygon(&[[0.0, -0.95], [0.7, 0.0], [0.0, 0.95], [-0.7, 0.0]]), ink),
        2 => on
            .fill(circle(-0.41, -0.36, 0.45), ink)
            .fill(circle(0.41, -0.36, 0.45), ink)
            .fill(polygon(&[[-0.8, -0.13], [0.0, -0.4], [0.8, -0.13], [0.0, 0.92]]), ink),
        _ => on
            .fill(circle(-0.41, 0.2, 0.43), ink)
            .fill(circle(0.41, 0.2, 0.43), ink)
            .fill(polygon(&[[-0.8, 0.0], [0.0, -0.95], [0.8, 0.0], [0.0, 0.3]]), ink)
            .fill(stem, ink),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hand(cards: Vec<Card>) -> Hand {
        Hand { cards, summary: "10".to_owned() }
    }

    fn pair() -> Hand {
        hand(vec![Card::Open("7".to_owned()), Card::Hidden])
    }

    #[test]
    fn cards_lie_in_the_middle_and_the_hidden_one_shows_its_back() {
        let frame = frame(&pair(), &pair());
        assert_eq!((frame.width, frame.height), (600, 500));
        // Two cards and the gap between them: from 197 to 293 and from 307 to 403.
        for top in [78, 326] {
            assert_eq!(frame.pixel(196, top + 60), FELT);
            assert_eq!(frame.pixel(200, top + 60), WHITE);
            assert_eq!(frame.pixel(300, top + 60), FELT);
            assert_eq!(frame.pixel(314, top + 12), BACK);
            assert_eq!(frame.pixel(404, top + 60), FELT);
        }
    }

    #[test]
    fn suits_have_their_colours() {
        for (suit, ink) in [(0, BLACK_SUIT), (1, RED_SUIT), (2, RED_SUIT), (3, BLACK_SUIT)] {
            let frame = frame(&hand(vec![Card::Suited("K".to_owned(), suit)]), &pair());
            assert_eq!(frame.pixel(300, 78 + 67), ink, "suit {suit}");
        }
    }

    /// No hand has more cards than 22.
    #[test]
    fn many_cards_overlap_and_stay_on_the_table() {
        let cards = (0..22).map(|_| Card::Open("A".to_owned())).collect();
        let frame = frame(&pair(), &hand(cards));
        for y in 326..460 {
            assert_eq!([frame.pixel(20, y), frame.pixel(579, y)], [FELT; 2]);
        }
        assert_eq!([frame.pixel(34, 400), frame.pixel(560, 450)], [WHITE; 2]);
    }
}
