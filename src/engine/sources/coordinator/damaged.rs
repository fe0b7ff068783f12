//! Damaged pieces of an earlier download, which are fetched again if that is allowed.
//!
//! Checking whether that is allowed involves all files. A damaged disk can have thousands of
//! damaged pieces, so they are collected first: the cost of the check must not grow with their
//! number.

use std::sync::mpsc::Receiver;
use std::time::Duration;

use super::{Coordinator, WorkerEvent};
use crate::error::Error;
use crate::torrent::geometry::PieceIndex;

/// The minimum pause between two checks.
const ASK: Duration = Duration::from_millis(200);

/// Limit on events handled in one turn.
const TURN: usize = 10_000;

#[derive(Debug, Default)]
pub(super) struct Damaged {
    pieces: Vec<PieceIndex>,
    /// The bytes of all damaged pieces taken so far.
    bytes: u64,
    answered: Option<Duration>,
}

impl Damaged {
    pub(super) fn add(&mut self, piece: PieceIndex) {
        self.pieces.push(piece);
    }

    /// Takes the pieces to check now.
    fn take(&mut self, now: Duration) -> Vec<PieceIndex> {
        match self.answered {
            Some(answered) if now < answered + ASK => Vec::new(),
            _ => std::mem::take(&mut self.pieces),
        }
    }

    /// Records the time after a check, which may itself have taken longer than [`ASK`].
    fn answered(&mut self, now: Duration) {
        self.answered = Some(now);
    }
}

impl Coordinator<'_> {
    /// Schedules the damaged pieces to be fetched again, if that is allowed.
    pub(super) fn fetch_damaged(&mut self) -> Result<(), Error> {
        let pieces = self.damaged.take(self.swarm.now());
        if pieces.is_empty() {
            return Ok(());
        }
        let layout = self.swarm.partial.layout();
        let bytes: u64 = pieces.iter().map(|piece| layout.bytes_of_piece(*piece)).sum();
        self.damaged.bytes += bytes;
        let missing = layout.without_padding(self.swarm.schedule().wanted_bytes()) + bytes;
        (self.may_fetch)(self.damaged.bytes, missing)?;
        self.damaged.answered(self.swarm.now());
        self.swarm.fetch_damaged(&pieces);
        self.manager.is_wanted_again();
        Ok(())
    }
}

/// Returns the next event that arrives within `wait`. If it reports a damaged piece, the events
/// queued behind it are returned too.
pub(super) fn next_events(events: &Receiver<WorkerEvent>, wait: Duration) -> Vec<WorkerEvent> {
    let mut next: Vec<WorkerEvent> = events.recv_timeout(wait).into_iter().collect();
    if matches!(next.first(), Some(WorkerEvent::Damaged(_))) {
        next.extend(events.try_iter().take(TURN));
    }
    next
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_wait_for_the_next_question_however_long_an_answer_takes() {
        let ms = Duration::from_millis;
        let mut damaged = Damaged::default();
        assert!(damaged.take(ms(0)).is_empty());
        damaged.add(3);
        assert_eq!(damaged.take(ms(1)), [3]);
        damaged.answered(ms(5_000));
        (4..1_000).for_each(|piece| damaged.add(piece));
        assert!(damaged.take(ms(5_001)).is_empty());
        assert!(damaged.take(ms(5_199)).is_empty());
        assert_eq!(damaged.take(ms(5_200)), (4..1_000).collect::<Vec<_>>());
    }

    #[test]
    fn all_damaged_pieces_that_wait_are_heard_of_in_one_turn_and_in_order() {
        let (tell, heard) = std::sync::mpsc::channel();
        assert!(next_events(&heard, Duration::ZERO).is_empty());
        (0..1_000).for_each(|piece| tell.send(WorkerEvent::Damaged(piece)).unwrap());
        tell.send(WorkerEvent::Done).unwrap();
        let events = next_events(&heard, Duration::ZERO);
        let in_order = (0..).zip(&events).take(1_000);
        assert!(
            in_order
                .into_iter()
                .all(|(at, it)| matches!(it, WorkerEvent::Damaged(it) if *it == at))
        );
        assert!(events.len() == 1_001 && matches!(events.last(), Some(WorkerEvent::Done)));
        tell.send(WorkerEvent::Done).unwrap();
        tell.send(WorkerEvent::Done).unwrap();
        assert_eq!(next_events(&heard, Duration::ZERO).len(), 1);
    }
}
