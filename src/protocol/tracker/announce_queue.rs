//! When who is asked that names peers (trackers, the DHT), by a bounded number of threads. Sans-IO.
//!
//! A task is a tier of a torrent's trackers, or its searches of the DHT. It waits for its time, and then for its turn. It can be
//! done at one of several places (hosts), the first of which is meant. A place that kept a thread waiting and then failed *hangs*,
//! until it answers.
//!
//! Three rules see to it that places which hang leave room for those that answer, however many they are and though what they
//! are asked is always due:
//!
//! - at a place eight tasks are done at a time, where it hangs one: a store's datasets have mostly the same trackers, and one
//!   answer is enough to know that such a tracker is back;
//! - places that hang have half of the threads in all;
//! - what is due at one that does not hang goes first, and a task that may be done at one of those is done there.
//!
//! So it costs the others one wait at most that a place begins to hang, and nothing that it goes on so.

use std::time::Duration;

#[cfg(test)]
mod tests;

/// Tasks that are done at one place at a time: no tracker should see hundreds of connections of ours.
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
    /// This task, at so many-th of its places.
    Do(TaskId, usize),
    /// Nothing before this time.
    Wait(Duration),
    /// Nothing until a task is done, or added.
    Nothing,
}

#[derive(Debug)]
struct AnnouncePlace {
    name: String,
    /// Tasks that are done there now.
    running: usize,
    hangs: bool,
}

#[derive(Debug)]
enum TaskState {
    Waits { due: Duration, places: Vec<PlaceId> },
    Runs { at: PlaceId },
    Over,
}

/// Which task is to be done when, and where.
#[derive(Debug, Default)]
pub struct AnnounceQueue {
    threads: usize,
    places: Vec<AnnouncePlace>,
    tasks: Vec<TaskState>,
}

impl AnnounceQueue {
    /// For so many threads at most.
    pub fn new(threads: usize) -> AnnounceQueue {
        AnnounceQueue { threads, ..AnnounceQueue::default() }
    }

    /// The place of this name.
    pub fn place(&mut self, name: &str) -> PlaceId {
        let known = self.places.iter().position(|place| place.name == name);
        PlaceId(known.unwrap_or_else(|| {
            self.places.push(AnnouncePlace { name: name.to_owned(), running: 0, hangs: false });
            self.places.len() - 1
        }))
    }

    /// Adds a task that is due then. Tasks are numbered as they come, from 0.
    pub fn add(&mut self, due: Duration, places: Vec<PlaceId>) -> TaskId {
        self.tasks.push(TaskState::Waits { due, places });
        TaskId(self.tasks.len() - 1)
    }

    /// What to do now. Nothing has changed before [`AnnounceQueue::begin`].
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

    /// The task is being done, at this one of its places.
    pub fn begin(&mut self, task: TaskId, nth: usize) {
        let Some(task) = self.tasks.get_mut(task.0) else { return };
        let TaskState::Waits { places, .. } = task else { return };
        if let Some(at) = places.get(nth).copied() {
            *task = TaskState::Runs { at };
            self.places[at.0].running += 1;
        }
    }

    /// The task was done, and its place hangs, or does not. It is to be done again at this time, at these places; or never.
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

    /// The first place that does not hang, or else the first.
    fn best(&self, places: &[PlaceId]) -> Option<(usize, &AnnouncePlace)> {
        let mut all = places.iter().map(|place| &self.places[place.0]).enumerate();
        let first = all.next()?;
        let rest = &mut all;
        Some(std::iter::once(first).chain(rest).find(|(_, it)| !it.hangs).unwrap_or(first))
    }
}
