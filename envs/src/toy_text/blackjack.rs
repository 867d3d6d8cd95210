//! Blackjack: come closer to 21 than the dealer, without going beyond it.

use super::render::blackjack::{self as picture, Card};
use super::styled;
use crate::{Env, EnvInfo, Error, Frame, Generator, Registry, Space, Step};
use arrayvec::ArrayVec;
use serde::{Deserialize, Serialize};

/// The cards by their value: an ace, 2 to 10, and jack, queen and king. It never runs out.
const DECK: [u8; 13] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10, 10, 10];
const ACE: u8 = 1;
const TEN: u8 = 10;
const STICK: i64 = 0;
/// The dealer takes cards until they have this much.
const DEALER_STANDS: u32 = 17;
const LIMIT: u32 = 21;

const SUITS: [char; 4] = ['♣', '♦', '♥', '♠'];
const FACES: [char; 3] = ['J', 'Q', 'K'];

/// The rules. The defaults are those that Gymnasium registers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BlackjackConfig {
    /// Whether a win with a natural (an ace and a ten, and nothing else) earns 1.5. Without effect if `sab` is true.
    pub natural: bool,
    /// Whether the rules are those of Sutton and Barto: a natural wins unless the dealer has one too, even against
    /// another 21.
    pub sab: bool,
}

impl Default for BlackjackConfig {
    fn default() -> Self {
        Self { natural: false, sab: true }
    }
}

/// As many cards as a hand can have: 21 aces and the one that goes beyond.
type Hand = ArrayVec<u8, 22>;

/// The cards on the table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BlackjackState {
    /// The dealer's cards; the first is the open one.
    dealer: Hand,
    player: Hand,
    /// Of the open card, an index of [`SUITS`].
    suit: u8,
    /// Of the open card if it is a ten, an index of [`FACES`].
    face: u8,
    /// Whether the player has taken the last card, so that the dealer's cards are all open.
    stuck: bool,
}

impl BlackjackState {
    /// Whether the game can come to this.
    fn is_possible(&self) -> bool {
        let cards = |hand: &[u8]| hand.len() >= 2 && hand.iter().all(|card| (ACE..=TEN).contains(card));
        // Every card but the first two was taken by a hand that could take one.
        let taken = |hand: &[u8], below: u32| (2..hand.len()).all(|n| total(&hand[..n]).0 < below);
        cards(&self.dealer)
            && cards(&self.player)
            && taken(&self.dealer, DEALER_STANDS)
            && taken(&self.player, LIMIT + 1)
            && usize::from(self.suit) < SUITS.len()
            && usize::from(self.face) < FACES.len()
            && match self.stuck {
                true => total(&self.dealer).0 >= DEALER_STANDS && total(&self.player).0 <= LIMIT,
                false => self.dealer.len() == 2,
            }
    }
}

/// What a hand counts, and whether that is with an ace as 11.
fn total(hand: &[u8]) -> (u32, bool) {
    let sum: u32 = hand.iter().map(|&card| u32::from(card)).sum();
    if hand.contains(&ACE) && sum + 10 <= LIMIT { (sum + 10, true) } else { (sum, false) }
}

/// What a hand is worth in the end: nothing if it is beyond 21.
fn score(hand: &[u8]) -> u32 {
    Some(total(hand).0).filter(|&total| total <= LIMIT).unwrap_or(0)
}

/// Whether a hand is an ace and a ten.
fn is_natural(hand: &[u8]) -> bool {
    matches!(hand, [ACE, TEN] | [TEN, ACE])
}

fn draw_card(rng: &mut Generator) -> u8 {
    DECK[rng.integers(DECK.len() as u32) as usize]
}

/// Gives a hand a card. A full hand is beyond 21, and another card does not change that.
fn take(hand: &mut Hand, rng: &mut Generator) {
    let _ = hand.try_push(draw_card(rng));
}

/// Gymnasium's Blackjack, bit for bit.
///
#[doc = include_str!("blackjack.md")]
#[derive(Clone, Debug)]
pub struct Blackjack {
    config: BlackjackConfig,
    state: BlackjackState,
}

impl Blackjack {
    /// A table with the given rules.
    pub fn new(config: BlackjackConfig) -> Self {
        let pair = || Hand::from_iter([TEN, TEN]);
        Self { config, state: BlackjackState { dealer: pair(), player: pair(), suit: 0, face: 0, stuck: false } }
    }

    fn observation(&self) -> (i64, i64, i64) {
        let (total, usable_ace) = total(&self.state.player);
        (total.into(), self.state.dealer[0].into(), usable_ace.into())
    }

    /// What is printed on the dealer's open card.
    fn open_card(&self) -> String {
        match self.state.dealer[0] {
            TEN => FACES[usize::from(self.state.face)].to_string(),
            card => name(card),
        }
    }

    /// The dealer's cards that the player can see.
    fn seen(&self) -> &[u8] {
        let dealer = &self.state.dealer;
        if self.state.stuck { dealer } else { &dealer[..1] }
    }

    /// Plays the dealer's hand out and compares.
    fn stick(&mut self, rng: &mut Generator) -> f64 {
        let BlackjackState { dealer, player, stuck, .. } = &mut self.state;
        *stuck = true;
        while total(dealer).0 < DEALER_STANDS {
            take(dealer, rng);
        }
        let reward = f64::from(score(player).cmp(&score(dealer)) as i8);
        match self.config {
            BlackjackConfig { sab: true, .. } if is_natural(player) && !is_natural(dealer) => 1.0,
            BlackjackConfig { sab: false, natural: true } if is_natural(player) && reward == 1.0 => 1.5,
            _ => reward,
        }
    }
}

impl Env for Blackjack {
    type Observation = (i64, i64, i64);
    type Action = i64;
    type State = BlackjackState;

    fn observation_space(&self) -> Space {
        Space::tuple([Space::discrete(32), Space::discrete(11), Space::discrete(2)])
    }

    fn action_space(&self) -> Space {
        Space::discrete(2)
    }

    fn reset(&mut self, rng: &mut Generator) -> (i64, i64, i64) {
        let BlackjackState { dealer, player, suit, face, stuck } = &mut self.state;
        for hand in [&mut *dealer, player] {
            hand.clear();
            hand.extend([draw_card(rng), draw_card(rng)]);
        }
        // How the open card looks is drawn even when nobody looks.
        *suit = rng.integers(SUITS.len() as u32) as u8;
        *face = if dealer[0] == TEN { rng.integers(FACES.len() as u32) as u8 } else { 0 };
        *stuck = false;
        self.observation()
    }

    fn step(&mut self, action: &i64, rng: &mut Generator) -> Step<(i64, i64, i64)> {
        let (reward, terminated) = if *action == STICK {
            (self.stick(rng), true)
        } else {
            take(&mut self.state.player, rng);
            if score(&self.state.player) == 0 { (-1.0, true) } else { (0.0, false) }
        };
        Step { observation: self.observation(), reward, terminated, truncated: false }
    }

    fn state(&self) -> BlackjackState {
        self.state.clone()
    }

    fn set_state(&mut self, state: BlackjackState) -> Result<(), Error> {
        if !state.is_possible() {
            return Err(Error::snapshot(format!("no game of Blackjack comes to {state:?}")));
        }
        self.state = state;
        Ok(())
    }

    /// Both hands and what they count. The dealer's second card is hidden until the player sticks.
    fn render_ansi(&self) -> Option<String> {
        let BlackjackState { dealer, player, suit, stuck, .. } = &self.state;
        let style = if matches!(suit, 1 | 2) { "31;1" } else { "1" };
        let names = |hand: &[u8]| hand.iter().copied().map(name).collect::<Vec<_>>();
        let mut cards = vec![styled(&format!("{}{}", self.open_card(), SUITS[usize::from(*suit)]), style)];
        cards.extend(if *stuck { names(&dealer[1..]) } else { vec![styled("??", "2")] });
        let line = |who: &str, cards: Vec<String>, hand| format!("{who}: {}  ({})\n", cards.join(" "), summary(hand));
        Some(line("Dealer", cards, self.seen()) + &line("Player", names(player), player))
    }

    fn render_rgb(&self) -> Option<Frame> {
        let BlackjackState { dealer, player, suit, stuck, .. } = &self.state;
        let open = |card: &u8| Card::Open(name(*card));
        let rest = dealer[1..].iter().map(|card| if *stuck { open(card) } else { Card::Hidden });
        let dealer = std::iter::once(Card::Suited(self.open_card(), *suit)).chain(rest).collect();
        let hand = |cards, seen| picture::Hand { cards, summary: summary(seen) };
        Some(picture::frame(&hand(dealer, self.seen()), &hand(player.iter().map(open).collect(), player)))
    }
}

/// A card whose suit nobody knows. Any of four cards counts ten.
fn name(card: u8) -> String {
    if card == ACE { "A".to_owned() } else { card.to_string() }
}

fn summary(hand: &[u8]) -> String {
    match total(hand) {
        (total, true) => format!("{total}, usable ace"),
        (total, false) if total > LIMIT => format!("{total}, bust"),
        (total, false) => total.to_string(),
    }
}

pub(super) fn register(registry: &mut Registry) {
    let info = EnvInfo::new("Blackjack-v1").page(include_str!("blackjack.md"));
    registry.register(info, |config| Ok(Blackjack::new(config)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EnvSpec, Value, make};

    fn state(dealer: &[u8], player: &[u8], stuck: bool) -> BlackjackState {
        BlackjackState {
            dealer: dealer.iter().copied().collect(),
            player: player.iter().copied().collect(),
            suit: 2,
            face: 1,
            stuck,
        }
    }

    fn table(natural: bool, sab: bool) -> Blackjack {
        Blackjack::new(BlackjackConfig { natural, sab })
    }

    #[test]
    fn an_ace_is_11_unless_that_busts() {
        for (hand, expected) in [
            (&[10, 7][..], (17, false)),
            (&[1, 6], (17, true)),
            (&[1, 6, 5], (12, false)),
            (&[1, 1], (12, true)),
            (&[1, 1, 9], (21, true)),
            (&[10, 10, 2], (22, false)),
        ] {
            assert_eq!(total(hand), expected, "{hand:?}");
        }
    }

    /// The dealer has 17 or more, so that no card is drawn.
    #[test]
    fn the_closer_hand_wins_and_naturals_count_by_the_rules() {
        let reward = |natural, sab, dealer: &[u8], player: &[u8]| {
            let mut env = table(natural, sab);
            env.set_state(state(dealer, player, false)).unwrap();
            env.step(&STICK, &mut Generator::new(0)).reward
        };
        for (dealer, player, book, casino, plain) in [
            ([10, 7], &[10, 8][..], 1.0, 1.0, 1.0),
            ([10, 8], &[10, 7], -1.0, -1.0, -1.0),
            ([10, 8], &[9, 9], 0.0, 0.0, 0.0),
            ([10, 9], &[1, 10], 1.0, 1.5, 1.0),
            ([1, 10], &[10, 1], 0.0, 0.0, 0.0),
            ([1, 10], &[10, 9, 2], 0.0, 0.0, 0.0),
        ] {
            assert_eq!(reward(false, true, &dealer, player), book, "{dealer:?} {player:?}");
            assert_eq!(reward(true, true, &dealer, player), book, "{dealer:?} {player:?}");
            assert_eq!(reward(true, false, &dealer, player), casino, "{dealer:?} {player:?}");
            assert_eq!(reward(false, false, &dealer, player), plain, "{dealer:?} {player:?}");
        }
        // Only the book lets a natural win against a 21 of more cards.
        let against = |sab| {
            (0..).find_map(|seed| {
                let mut env = table(true, sab);
                env.set_state(state(&[6, 5], &[1, 10], false)).unwrap();
                let reward = env.step(&STICK, &mut Generator::new(seed)).reward;
                (total(&env.state.dealer).0 == LIMIT).then_some(reward)
            })
        };
        assert_eq!((against(true), against(false)), (Some(1.0), Some(0.0)));
    }

    #[test]
    fn states_that_no_game_comes_to_are_refused() {
        let mut env = table(false, true);
        for possible in [
            state(&[2, 3], &[10, 10], false),
            state(&[2, 3], &[10, 6, 10], false),
            state(&[2, 3], &[1; 22], false),
            state(&[1, 5, 10, 10], &[4, 4], true),
        ] {
            env.set_state(possible.clone()).unwrap();
            assert_eq!(env.state(), possible);
        }
        for impossible in [
            state(&[], &[], false),
            state(&[2, 3], &[10], false),
            state(&[2, 3], &[10, 0], false),
            state(&[11, 3], &[10, 2], false),
            state(&[2, 3], &[255; 22], false),
            state(&[2, 3], &[10, 10, 2, 1], false),
            state(&[2, 3, 10], &[10, 2], false),
            state(&[2, 3], &[10, 2], true),
            state(&[10, 10], &[10, 6, 10], true),
            // The dealer stands on an ace and a six.
            state(&[1, 6, 9, 3], &[10, 2], true),
            BlackjackState { suit: 4, ..state(&[2, 3], &[4, 5], false) },
            BlackjackState { face: 3, ..state(&[2, 3], &[4, 5], false) },
        ] {
            assert!(env.set_state(impossible.clone()).unwrap_err().is_snapshot(), "{impossible:?}");
        }
    }

    #[test]
    fn every_game_is_possible_and_its_text_shows_the_hands() {
        let mut env = table(false, true);
        let mut rng = Generator::new(5);
        for _ in 0..2000 {
            env.reset(&mut rng);
            while !env.step(&rng.integers(2).into(), &mut rng).done() {
                assert!(env.state.is_possible(), "{:?}", env.state);
            }
            assert!(env.state.is_possible(), "{:?}", env.state);
            assert!(env.render_ansi().is_some_and(|text| text.lines().count() == 2));
        }
        let mut text = |state| {
            env.set_state(state).unwrap();
            env.render_ansi().unwrap()
        };
        assert_eq!(
            text(state(&[10, 6], &[1, 7], false)),
            "Dealer: \x1b[31;1mQ♥\x1b[0m \x1b[2m??\x1b[0m  (10)\nPlayer: A 7  (18, usable ace)\n"
        );
        assert_eq!(
            text(state(&[5, 6, 3, 10], &[10, 7], true)),
            "Dealer: \x1b[31;1m5♥\x1b[0m 6 3 10  (24, bust)\nPlayer: 10 7  (17)\n"
        );
    }

    #[test]
    fn an_observation_is_a_tuple_and_reads_as_one() {
        let mut env = make("Blackjack-v1").unwrap();
        let observation = env.reset(Some(0)).unwrap();
        assert!(matches!(&observation, Value::Tuple(parts) if parts.len() == 3), "{observation:?}");
        let json = serde_json::to_value(&observation).unwrap();
        assert_eq!(env.observation_space().value_from_json(&json).unwrap(), observation);
        assert!(make(EnvSpec::new("Blackjack-v1").with("sap", true)).is_err());
    }
}
