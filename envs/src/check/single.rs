//! The checks of a scalar environment.

use super::calls::guarded;
use super::finding::{Finding, Findings, Mistake};
use super::play::{Event, Player, compare};
use crate::RowEnv;

/// How many calls a play has: some episodes of a quick task, and a good part of one of a long task.
const CALLS: usize = 300;
/// How many calls show whether two environments go on alike.
const GO_ON: usize = 100;
/// After how many calls environments are copied, saved and reset: at the start, early and late.
const POINTS: [usize; 4] = [1, 2, 17, 150];

type Build<'a> = &'a dyn Fn() -> Box<dyn RowEnv>;

/// Why the spaces are not sound.
pub(super) fn flaw(env: &dyn RowEnv) -> Option<Finding> {
    let flaw = guarded("its spaces", || env.observation_space().flaw().or_else(|| env.action_space().flaw()));
    let finding = |flaw| Finding {
        mistake: Mistake::Spaces,
        place: "its spaces".to_owned(),
        expected: "sound spaces".to_owned(),
        got: flaw,
    };
    flaw.map_or_else(Some, |flaw| flaw.map(finding))
}

/// Everything; `build` makes the environment anew.
pub(super) fn check(build: Build<'_>) -> Findings {
    let mut findings = Findings::default();
    for seed in 0..3 {
        if let Err(finding) = check_seed(build, seed, &mut findings) {
            findings.add(finding);
        }
        if !findings.is_empty() {
            break;
        }
    }
    findings
}

/// With one seed. The checks come in an order in which each relies on those before it.
fn check_seed(build: Build<'_>, seed: u64, findings: &mut Findings) -> Result<(), Finding> {
    let mut player = Player::new(build(), seed);
    let events = player.play(CALLS)?;
    events.iter().for_each(|event| findings.all(player.look_at(event)));
    player.spaces_changed().into_iter().for_each(|finding| findings.add(finding));
    if !findings.is_empty() {
        return Ok(());
    }
    let again = Player::new(build(), seed).with_blank(0.0).play(CALLS)?;
    compare(Mistake::Determinism, "the second time", &events, &again).map_or(Ok(()), Err)?;
    for calls in POINTS {
        copies(build, seed, calls, &events)?;
    }
    for calls in POINTS {
        let mut player = Player::new(build(), seed);
        player.play(calls)?;
        // These two can come from one cause, and then both help to find it.
        for finding in [reset(build, &player), snapshot(build, &player)] {
            finding.err().into_iter().for_each(|finding| findings.add(finding));
        }
    }
    Ok(())
}

/// Whether a copy that goes its own way leaves the original alone.
fn copies(build: Build<'_>, seed: u64, calls: usize, events: &[Event]) -> Result<(), Finding> {
    let mut player = Player::new(build(), seed);
    player.play(calls)?;
    Player::new(player.env.clone(), seed + 1000).play(GO_ON)?;
    let got = player.play(GO_ON)?;
    compare(Mistake::Copies, "after a copy was stepped", &events[calls..], &got).map_or(Ok(()), Err)
}

/// Whether an environment that has been used starts the episode that a new one starts.
fn reset(build: Build<'_>, player: &Player) -> Result<(), Finding> {
    let expected = player.starting(build()).play(GO_ON)?;
    let got = player.starting(player.env.clone()).play(GO_ON)?;
    compare(Mistake::Reset, "in an environment that was used before", &expected, &got).map_or(Ok(()), Err)
}

/// Whether a state that was saved is gone on from, by a new environment and by one that was elsewhere.
fn snapshot(build: Build<'_>, player: &Player) -> Result<(), Finding> {
    let place = player.place();
    let wrong = |expected: &str, got: String| {
        Err(Finding { mistake: Mistake::Snapshot, place: place.clone(), expected: expected.to_owned(), got })
    };
    let state = guarded(&place, || player.env.save())?;
    if guarded(&place, || player.env.save())? != state {
        return wrong("a state that is saved twice to give the same bytes", "others".to_owned());
    }
    let expected = player.clone().play(GO_ON)?;
    let mut elsewhere = Player::new(build(), 77);
    elsewhere.play(30)?;
    for (mut env, what) in [(build(), "restored in a new one"), (elsewhere.env, "restored in a used one")] {
        if let Err(error) = guarded(&place, || env.load(&state))? {
            return wrong("its own state to be taken back", format!("{:?}", error.to_string()));
        }
        if guarded(&place, || env.save())? != state {
            return wrong("a restored state to be saved as the same bytes", "others".to_owned());
        }
        compare(Mistake::Snapshot, what, &expected, &player.going_on(env).play(GO_ON)?).map_or(Ok(()), Err)?;
    }
    if let Some((_, cut)) = state.split_last()
        && guarded(&place, || build().load(cut))?.is_ok()
    {
        return wrong("a state without its last byte to be refused", "it taken".to_owned());
    }
    Ok(())
}
