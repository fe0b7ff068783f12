//! Rounds through the trackers of a tier (BEP 12): which one is asked next, and when.
//!
//! In a round, the trackers are asked until one answers; its interval decides when the next round
//! starts. A round without an answer is followed by a pause, which doubles each time.

use std::time::Duration;

#[cfg(test)]
mod tests;

/// The number of failed rounds after which a tier that never answered may be given up.
const ROUNDS: u32 = 3;

/// The longest pause between two rounds.
const MAX_TIER_PAUSE: Duration = Duration::from_secs(30 * 60);

/// The state of a tier's current round.
#[derive(Debug)]
pub struct Rounds {
    trackers: usize,
    /// The trackers that are still to be asked, as indexes into the tier; the preferred one is
    /// first.
    left: Vec<usize>,
    is_known: bool,
    failed_rounds: u32,
    /// The time spent in this round, and the longest wait that its trackers asked for.
    waited: Duration,
    retry_after: Duration,
}

/// What to do after a tracker did not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// Ask the round's next tracker at once.
    Next,
    /// Start the next round after this pause.
    Pause(Duration),
    /// The same; but so many rounds have failed that the tier may be given up.
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

    /// Returns the trackers that may be asked now, as indexes into the tier. The order is only a
    /// preference.
    pub fn left(&self) -> &[usize] {
        &self.left
    }

    /// Whether a tracker has answered: then the others need no `started` event.
    pub fn is_known(&self) -> bool {
        self.is_known
    }

    /// Ends the round with an answer. The caller moves the tracker that answered to the tier's
    /// first place (BEP 12).
    pub fn answered(&mut self) {
        *self = Rounds { is_known: true, ..Rounds::new(self.trackers) };
    }

    /// Records that the tracker at index `nth` of [`Rounds::left`] did not answer, how long that
    /// took, and how long it asked us to wait.
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
        // Time spent waiting for answers counts towards the pause.
        let pause = self.retry_after.max(pause.saturating_sub(self.waited));
        self.left = (0..self.trackers).collect();
        (self.waited, self.retry_after) = (Duration::ZERO, Duration::ZERO);
        match self.failed_rounds >= ROUNDS && !self.is_known {
            true => After::PauseOrLost(pause),
            false => After::Pause(pause),
        }
    }
}
