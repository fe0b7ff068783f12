//! Schedules announces and DHT searches over a bounded number of threads. Sans-IO.
//!
//! A task is a tier of a torrent's trackers, or the torrent's DHT searches. It becomes due at some
//! time and then waits for its turn. It can be done at one of several places (hosts), the first of
//! which is preferred. A place that kept a thread waiting and then failed *hangs* until it answers.
//!
//! Three rules ensure that hanging places leave threads for the others, however many they are, and
//! although their tasks are always due:
//!
//! - a place runs at most eight tasks at a time, or one if it hangs: the datasets of a store mostly
//!   share their trackers, and one answer is enough to show that such a tracker works again;
//! - all hanging places together use at most half of the threads;
//! - due tasks at places that do not hang go first, and a task with a choice of places uses one
//!   that does not hang.
//!
//! So a place that begins to hang delays the others by one timeout at most, and not at all while it
//! continues to hang.

use std::collections::HashMap;
use std::time::Duration;

#[cfg(test)]
mod tests;

/// How many tasks run at one place at a time: no tracker should see hundreds of our connections.
const AT_ONE_PLACE: usize = 8;

/// A place where tasks are done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlaceId(usize);

/// A task that was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskId(pub usize);

/// What a thread should do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Do this task, at its place with this index.
    Do(TaskId, usize),
    /// Wait until this time.
    Wait(Duration),
    /// Wait until a task is done or added.
    Nothing,
}

#[derive(Debug)]
struct AnnouncePlace {
    /// How many tasks run there now.
    running: usize,
    hangs: bool,
}

#[derive(Debug)]
enum TaskState {
    Waits { due: Duration, places: Vec<PlaceId> },
    Runs { at: PlaceId },
    Over,
}

/// Which task is due when, and where.
#[derive(Debug, Default)]
pub struct AnnounceQueue {
    threads: usize,
    places: Vec<AnnouncePlace>,
    /// A torrent may name 16,000 trackers.
    by_name: HashMap<String, PlaceId>,
    tasks: Vec<TaskState>,
}

impl AnnounceQueue {
    /// Creates a queue for at most this many threads.
    pub fn new(threads: usize) -> AnnounceQueue {
        AnnounceQueue { threads, ..AnnounceQueue::default() }
    }

    /// Returns the place with this name, adding it if necessary.
    pub fn place(&mut self, name: &str) -> PlaceId {
        if let Some(known) = self.by_name.get(name) {
            return *known;
        }
        let new = PlaceId(self.places.len());
        self.places.push(AnnouncePlace { running: 0, hangs: false });
        self.by_name.insert(name.to_owned(), new);
        new
    }

    /// Adds a task that is due at this time. Tasks are numbered from 0, in the order in which they
    /// are added.
    pub fn add(&mut self, due: Duration, places: Vec<PlaceId>) -> TaskId {
        self.tasks.push(TaskState::Waits { due, places });
        TaskId(self.tasks.len() - 1)
    }

    /// Returns what to do now. The queue does not change until [`AnnounceQueue::begin`].
    pub fn turn(&self, now: Duration) -> Turn {
        let hanging: usize = self.places.iter().filter(|it| it.hangs).map(|it| it.running).sum();
        let is_free = |place: &AnnouncePlace| match place.hangs {
            true => place.running == 0 && hanging < (self.threads / 2).max(1),
            false => place.running < AT_ONE_PLACE,
        };
        let (mut next, mut first, mut later) = (Turn::Nothing, None, None::<Duration>);
        for (index, task) in self.tasks.iter().enumerate() {
            let TaskState::Waits { due, places } = task else { continue };
            if *due > now {
                later = Some(later.map_or(*due, |later| later.min(*due)));
                continue;
            }
            let Some((nth, place)) = self.best(places) else { continue };
            let rank = (place.hangs, *due);
            if is_free(place) && first.is_none_or(|first| rank < first) {
                (next, first) = (Turn::Do(TaskId(index), nth), Some(rank));
            }
        }
        match (next, later) {
            (Turn::Nothing, Some(later)) => Turn::Wait(later),
            (next, _) => next,
        }
    }

    /// Records that the task runs, at its place with this index.
    pub fn begin(&mut self, task: TaskId, nth: usize) {
        let Some(task) = self.tasks.get_mut(task.0) else { return };
        let TaskState::Waits { places, .. } = task else { return };
        if let Some(at) = places.get(nth).copied() {
            *task = TaskState::Runs { at };
            self.places[at.0].running += 1;
        }
    }

    /// Records the end of a task, and whether its place hangs. `again` has the task's next time and
    /// places; `None` ends it for good.
    pub fn done(&mut self, task: TaskId, hangs: bool, again: Option<(Duration, Vec<PlaceId>)>) {
        let Some(task) = self.tasks.get_mut(task.0) else { return };
        if let TaskState::Runs { at } = task {
            let place = &mut self.places[at.0];
            place.running -= 1;
            place.hangs = hangs;
        }
        *task = again.map_or(TaskState::Over, |(due, places)| TaskState::Waits { due, places });
    }

    /// Whether the task waits for a place that hangs.
    pub fn hangs(&self, task: TaskId) -> bool {
        match self.tasks.get(task.0) {
            Some(TaskState::Waits { places, .. }) => {
                places.first().is_some_and(|place| self.places[place.0].hangs)
            }
            _ => false,
        }
    }

    /// Returns the first place that does not hang, or otherwise the first place.
    fn best(&self, places: &[PlaceId]) -> Option<(usize, &AnnouncePlace)> {
        let mut all = places.iter().map(|place| &self.places[place.0]).enumerate();
        let first = all.next()?;
        let rest = &mut all;
        Some(std::iter::once(first).chain(rest).find(|(_, it)| !it.hangs).unwrap_or(first))
    }
}
