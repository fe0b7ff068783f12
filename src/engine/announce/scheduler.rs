//! The threads that announce and search the DHT: as many as there are due tasks, up to a limit.
//!
//! [`crate::protocol::tracker::announce_queue`] decides which task runs when, and at which place.
//! At most one thread waits for the next due task; other idle threads end, because starting a
//! thread takes only microseconds. The threads are detached: a dead tracker may block one for any
//! amount of time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, MutexGuard};
use std::time::{Duration, Instant};

use crate::engine::announce::target::Goodbye;
use crate::engine::thread::start_thread;
use crate::mutex::{Mutex, wait};
use crate::protocol::tracker::announce_queue::{AnnounceQueue, PlaceId, TaskId, Turn};

/// Limit on threads: enough to ask all tiers of a download side by side. The thousands of tiers of
/// a seed share them.
pub const THREADS: usize = 32;

/// The limit while saying goodbye, which takes a second at most: the thousands of tiers of a store
/// share that second, and each needs one to four round trips.
const THREADS_AT_END: usize = 512;

/// A task that is repeated.
pub trait AnnounceTask: Send {
    /// Runs the task once, at the `nth` of the places that it returned.
    fn run(&mut self, nth: usize) -> TaskOutcome;
    /// Tells the trackers that know us that we leave.
    fn say_goodbye(&mut self, goodbye: Goodbye);
}

/// The result of a run.
pub struct TaskOutcome {
    pub failed: bool,
    /// The pause before the next run, and the places where it may run; `None` if the task is over.
    pub again: Option<(Duration, Vec<PlaceId>)>,
}

/// State shared by the threads.
pub struct AnnounceScheduler {
    state: Mutex<SchedulerState>,
    changed: Condvar,
    begun: Instant,
    /// A task that fails only after at least this long is considered to hang.
    long: Duration,
}

#[derive(Default)]
struct SchedulerState {
    announce_queue: AnnounceQueue,
    /// Indexed by task.
    slots: Vec<Slot>,
    threads: usize,
    busy: usize,
    /// Set once the scheduler has ended: the events to send.
    goodbye: Option<Goodbye>,
    farewells: Vec<Box<dyn AnnounceTask>>,
    saying: usize,
}

struct Slot {
    /// `None` while the task is running, and once it is over.
    task: Option<Box<dyn AnnounceTask>>,
    is_under_way: bool,
    /// Whether a tracker has answered, and so must get a goodbye.
    known: Arc<AtomicBool>,
}

impl SchedulerState {
    /// Whether no goodbye is outstanding.
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

    /// The place with this name.
    pub fn place(&self, name: &str) -> PlaceId {
        self.state.lock().announce_queue.place(name)
    }

    /// Adds a task to be run from now on. `known` is set by the task once it must say goodbye.
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

    /// Ends all tasks, and waits for the goodbyes for at most `patience`.
    pub fn end(self: &Arc<AnnounceScheduler>, goodbye: Goodbye, patience: Duration) {
        let deadline = Instant::now() + patience;
        let mut left = Vec::new();
        let mut state = self.state.lock();
        state.goodbye = Some(goodbye);
        left.append(&mut state.farewells); // tasks left over from an earlier call
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
        // Threads take tasks from the end, so hanging trackers are placed first and do not delay
        // the others.
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
        drop(left); // dropped without the lock, because dropping may run arbitrary code
    }

    #[cfg(test)]
    pub fn threads(&self) -> usize {
        self.state.lock().threads
    }

    /// Starts a thread if none is waiting for the next due task.
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
        // If the system refuses, the existing threads do the work.
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
