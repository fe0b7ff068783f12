//! The threads that announce, and search the DHT: as many as there is to do at a time, within a bound.
//!
//! What is done when, and where, is [`crate::protocol::tracker::announce_queue`]'s matter. One thread at most waits for the next that will be due;
//! who has nothing to do beside it ends, since another is started within microseconds. Nobody joins them: a tracker may keep one
//! for as long as it likes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, MutexGuard};
use std::time::{Duration, Instant};

use crate::engine::announce::target::Goodbye;
use crate::engine::thread::start_thread;
use crate::mutex::{Mutex, wait};
use crate::protocol::tracker::announce_queue::{AnnounceQueue, PlaceId, TaskId, Turn};

/// Threads at a time: of a download's tiers all are asked side by side, of a seed's thousands these many.
pub const THREADS: usize = 32;

/// The same while goodbye is said, which takes a second at most: a store's thousands of tiers have that second in common, and
/// each waits for a round trip or four.
const THREADS_AT_END: usize = 512;

/// Something that is done again and again.
pub trait AnnounceTask: Send {
    /// Does it once, at this one of the places that it gave.
    fn run(&mut self, nth: usize) -> TaskOutcome;
    /// Tells those that know us that we leave.
    fn say_goodbye(&mut self, goodbye: Goodbye);
}

/// How it went.
pub struct TaskOutcome {
    pub failed: bool,
    /// After what pause, and at which places, it is to be done again; `None`: never.
    pub again: Option<(Duration, Vec<PlaceId>)>,
}

/// What the threads share.
pub struct AnnounceScheduler {
    state: Mutex<SchedulerState>,
    changed: Condvar,
    begun: Instant,
    /// Who failed only after so long kept a thread waiting.
    long: Duration,
}

#[derive(Default)]
struct SchedulerState {
    announce_queue: AnnounceQueue,
    /// By task.
    slots: Vec<Slot>,
    threads: usize,
    busy: usize,
    /// It is over; and what is said to whom.
    goodbye: Option<Goodbye>,
    farewells: Vec<Box<dyn AnnounceTask>>,
    saying: usize,
}

struct Slot {
    /// `None` while it is under way, and once it is over.
    task: Option<Box<dyn AnnounceTask>>,
    is_under_way: bool,
    /// Someone has answered, and is to be told that we leave.
    known: Arc<AtomicBool>,
}

impl SchedulerState {
    /// Nobody is to be told goodbye any more.
    fn is_said(&self) -> bool {
        let may_be_owed = |slot: &Slot| slot.is_under_way && slot.known.load(Ordering::Relaxed);
        self.farewells.is_empty() && self.saying == 0 && !self.slots.iter().any(may_be_owed)
    }
}

impl AnnounceScheduler {
    pub fn new(long: Duration) -> Arc<AnnounceScheduler> {
        let announce_queue = AnnounceQueue::new(THREADS);
        let state = SchedulerState { announce_queue, ..SchedulerState::default() };
        let (state, changed) = (Mutex::new(state), Condvar::new());
        Arc::new(AnnounceScheduler { state, changed, begun: Instant::now(), long })
    }

    /// The place of this name.
    pub fn place(&self, name: &str) -> PlaceId {
        self.state.lock().announce_queue.place(name)
    }

    /// Has this done from now on. `known` says whether goodbye is to be said.
    pub fn add(
        self: &Arc<AnnounceScheduler>,
        task: Box<dyn AnnounceTask>,
        places: Vec<PlaceId>,
        known: Arc<AtomicBool>,
    ) {
        let now = self.begun.elapsed();
        let mut state = self.state.lock();
        state.announce_queue.add(now, places);
        state.slots.push(Slot { task: Some(task), is_under_way: false, known });
        self.staff(&mut state);
        drop(state);
        self.changed.notify_all();
    }

    /// Ends it, and waits for so long until goodbye is said.
    pub fn end(self: &Arc<AnnounceScheduler>, goodbye: Goodbye, patience: Duration) {
        let deadline = Instant::now() + patience;
        let mut left = Vec::new();
        let mut state = self.state.lock();
        state.goodbye = Some(goodbye);
        left.append(&mut state.farewells); // it was over before
        let mut farewells = Vec::new();
        for task in 0..state.slots.len() {
            let hangs = state.announce_queue.hangs(TaskId(task));
            let slot = &mut state.slots[task];
            let Some(task) = slot.task.take() else { continue };
            match slot.known.load(Ordering::Relaxed) {
                true => farewells.push((hangs, task)),
                false => left.push(task),
            }
        }
        // Taken from the end: who does not answer keeps nobody from hearing it who does.
        farewells.sort_by_key(|(hangs, _)| !hangs);
        state.farewells = farewells.into_iter().map(|(_, task)| task).collect();
        let wanted = state.farewells.len().min(THREADS_AT_END);
        let idle = state.threads - state.busy;
        for _ in idle..wanted {
            self.start("at-goodbye", &mut state);
        }
        self.changed.notify_all();
        while !state.is_said() {
            let within = deadline.saturating_duration_since(Instant::now());
            if within.is_zero() {
                break;
            }
            state = wait(&self.changed, state, within);
        }
        drop(state);
        drop(left); // whatever they hold, not under the lock
    }

    #[cfg(test)]
    pub fn threads(&self) -> usize {
        self.state.lock().threads
    }

    /// Starts a thread where nobody waits for what is due next.
    fn staff(self: &Arc<AnnounceScheduler>, state: &mut SchedulerState) {
        if state.threads == state.busy
            && state.threads < THREADS
            && state.goodbye.is_none()
            && state.announce_queue.turn(self.begun.elapsed()) != Turn::Nothing
        {
            self.start("at-announcer", state);
        }
    }

    fn start(self: &Arc<AnnounceScheduler>, name: &str, state: &mut SchedulerState) {
        let scheduler = Arc::clone(self);
        // Where the system gives no more, those that are there do it.
        if start_thread(name, Box::new(move || scheduler.work())).is_ok() {
            state.threads += 1;
        }
    }

    fn work(self: &Arc<AnnounceScheduler>) {
        let mut state = self.state.lock();
        loop {
            if let Some(goodbye) = state.goodbye {
                let Some(mut task) = state.farewells.pop() else { break };
                state.saying += 1;
                drop(state);
                task.say_goodbye(goodbye);
                drop(task);
                state = self.state.lock();
                state.saying -= 1;
                if state.is_said() {
                    self.changed.notify_all();
                }
                continue;
            }
            let now = self.begun.elapsed();
            match state.announce_queue.turn(now) {
                Turn::Do(task, nth) => state = self.run(state, task, nth),
                Turn::Wait(until) if state.threads - state.busy == 1 => {
                    state = wait(&self.changed, state, until.saturating_sub(now));
                }
                Turn::Wait(_) | Turn::Nothing => break,
            }
        }
        state.threads -= 1;
    }

    fn run<'a>(
        self: &'a Arc<AnnounceScheduler>,
        mut state: MutexGuard<'a, SchedulerState>,
        id: TaskId,
        nth: usize,
    ) -> MutexGuard<'a, SchedulerState> {
        state.announce_queue.begin(id, nth);
        let slot = &mut state.slots[id.0];
        let Some(mut task) = slot.task.take() else { return state };
        slot.is_under_way = true;
        state.busy += 1;
        self.staff(&mut state);
        drop(state);
        let begun = self.begun.elapsed();
        let TaskOutcome { failed, again } = task.run(nth);
        let now = self.begun.elapsed();
        let mut over = None;
        let mut state = self.state.lock();
        state.busy -= 1;
        let slot = &mut state.slots[id.0];
        slot.is_under_way = false;
        let is_known = slot.known.load(Ordering::Relaxed);
        match (&again, state.goodbye) {
            (Some(_), None) => state.slots[id.0].task = Some(task),
            (_, Some(_)) if is_known => state.farewells.push(task),
            _ => over = Some(task),
        }
        let hangs = failed && now.saturating_sub(begun) >= self.long;
        let again = again.map(|(pause, places)| (now.saturating_add(pause), places));
        state.announce_queue.done(id, hangs, again);
        self.changed.notify_all();
        if over.is_some() {
            drop(state);
            drop(over);
            state = self.state.lock();
        }
        state
    }
}
