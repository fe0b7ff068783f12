use super::*;

const NOTHING: Duration = Duration::ZERO;
const SECOND: Duration = Duration::from_secs(1);

#[test]
fn each_tracker_is_asked_once_in_a_round_in_whatever_order() {
    let mut rounds = Rounds::new(3);
    assert_eq!(rounds.failed(1, NOTHING, None, SECOND), After::Next);
    assert_eq!(rounds.left(), [0, 2]);
    assert_eq!(rounds.failed(0, NOTHING, None, SECOND), After::Next);
    assert_eq!(rounds.failed(0, NOTHING, None, SECOND), After::Pause(SECOND * 2));
    assert_eq!(rounds.left(), [0, 1, 2]);
    rounds.failed(0, NOTHING, None, SECOND);
    rounds.answered();
    assert_eq!((rounds.left(), rounds.is_known()), (&[0, 1, 2][..], true));
}

#[test]
fn pauses_are_doubled_up_to_half_an_hour_and_begin_anew_after_an_answer() {
    let mut rounds = Rounds::new(1);
    let failed = |rounds: &mut Rounds| rounds.failed(0, NOTHING, None, SECOND);
    assert_eq!(failed(&mut rounds), After::Pause(SECOND * 2));
    assert_eq!(failed(&mut rounds), After::Pause(SECOND * 4));
    // The tier has never answered.
    assert_eq!(failed(&mut rounds), After::PauseOrLost(SECOND * 8));
    let last = (0..100).map(|_| failed(&mut rounds)).last();
    assert_eq!(last, Some(After::PauseOrLost(MAX_TIER_PAUSE)));
    rounds.answered();
    let pauses: Vec<_> = (0..4).map(|_| failed(&mut rounds)).collect();
    assert_eq!(pauses, [2, 4, 8, 16].map(|seconds| After::Pause(SECOND * seconds)));
}

#[test]
fn who_has_waited_has_paused_and_who_is_told_to_wait_does() {
    let mut rounds = Rounds::new(2);
    let failed = |rounds: &mut Rounds, took, retry_after: Option<u32>| {
        rounds.failed(0, SECOND * took, retry_after.map(|seconds| SECOND * seconds), SECOND)
    };
    failed(&mut rounds, 1, Some(7));
    assert_eq!(failed(&mut rounds, 0, Some(3)), After::Pause(SECOND * 7));
    // A requested wait applies only to its own round.
    failed(&mut rounds, 1, None);
    assert_eq!(failed(&mut rounds, 2, None), After::Pause(SECOND));
    failed(&mut rounds, 15, None);
    assert_eq!(failed(&mut rounds, 15, None), After::PauseOrLost(NOTHING));
}
