//! Rounds through a tier's trackers (BEP 12): who of them is asked next, and when.
//!
//! In a round each is asked until one answers. Then it is that one's interval until the next; after a round in vain a pause
//! that is doubled each time.

use std::time::Duration;

#[cfg(test)]
mod tests;

/// A tier that never answered may be given up after so many rounds.
const ROUNDS: u32 = 3;

/// A tier that does not answer is asked at least so often.
const MAX_TIER_PAUSE: Duration = Duration::from_secs(30 * 60);

/// Where a tier stands in its round.
#[derive(Debug)]
pub struct Rounds {
    trackers: usize,
    /// Those that are still to be asked, by their index in the tier, the one that is meant next at the front.
    left: Vec<usize>,
    is_known: bool,
    failed_rounds: u32,
    /// What the round has cost, and how long its trackers want to be left alone.
    waited: Duration,
    retry_after: Duration,
}

/// What comes after a tracker that did not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// The round's next tracker, at once.
    Next,
    /// The next round, after this pause.
    Pause(Duration),
    /// The same, unless it is enough that so many rounds were in vain.
    PauseOrLost(Duration),
}

impl Rounds {
    pub fn new(trackers: usize) -> Rounds {
        let (left, waited) = ((0..trackers).collect(), Duration::ZERO);
        Rounds {
            trackers,
            left,
            is_known: false,
            failed_rounds: 0,
            waited,
            retry_after: Duration::ZERO,
        }
    }

    /// The trackers that may be asked now, as indexes into the tier; in order, which need not be kept.
    pub fn left(&self) -> &[usize] {
        &self.left
    }

    /// Whether one has answered: then the others need not be told that we started.
    pub fn is_known(&self) -> bool {
        self.is_known
    }

    /// One has answered, and the round is over. Who answers is asked first from then on: its place is the tier's first.
    pub fn answered(&mut self) {
        *self = Rounds { is_known: true, ..Rounds::new(self.trackers) };
    }

    /// This one of [`Rounds::left`] did not answer, which took so long, and wants to be left alone.
    pub fn failed(
        &mut self,
        nth: usize,
        took: Duration,
        retry_after: Option<Duration>,
        back_off: Duration,
    ) -> After {
        if nth < self.left.len() {
            self.left.remove(nth);
        }
        self.waited += took;
        self.retry_after = self.retry_after.max(retry_after.unwrap_or_default());
        if !self.left.is_empty() {
            return After::Next;
        }
        self.failed_rounds = self.failed_rounds.saturating_add(1);
        let pause =
            back_off.saturating_mul(2_u32.saturating_pow(self.failed_rounds)).min(MAX_TIER_PAUSE);
        // Who waited for an answer for longer than that has paused enough.
        let pause = self.retry_after.max(pause.saturating_sub(self.waited));
        self.left = (0..self.trackers).collect();
        (self.waited, self.retry_after) = (Duration::ZERO, Duration::ZERO);
        match self.failed_rounds >= ROUNDS && !self.is_known {
            true => After::PauseOrLost(pause),
            false => After::Pause(pause),
        }
    }
}
