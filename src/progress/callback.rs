//! Reports progress to a function of the program.
//!
//! A separate thread calls it at each change of phase (which [`Counters`] queue) and ten times a
//! second. Providing the dataset never waits for it. The last call comes after the end, on the
//! thread that called us. If the function panics, it is not called again, and the panic becomes the
//! error.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::thread::{Builder, JoinHandle};
use std::time::Instant;

use super::TICK;
use super::rate::Rate;
use crate::counters::{Counters, Phase, PhaseChange, Reading};
use crate::error::{Error, ErrorKind};

/// The progress of a dataset, for [`Get::on_progress`](crate::Get::on_progress).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// The current phase.
    pub phase: Phase,
    /// How many of `total_bytes` are done: verified while downloading, read while checking or
    /// unpacking. Starts at zero in each phase, and decreases if existing data turns out to be
    /// damaged.
    pub done_bytes: u64,
    /// Bytes to process in this phase, including those that already exist. `None` until known. At
    /// the end, the size of the dataset.
    pub total_bytes: Option<u64>,
    /// Bytes per second received from sources, averaged over five seconds.
    pub bytes_per_second: u64,
    /// Number of connected sources: mirrors, web seeds and peers.
    pub sources: usize,
}

impl Snapshot {
    fn of(reading: &Reading, bytes_per_second: u64) -> Snapshot {
        Snapshot {
            phase: reading.phase,
            done_bytes: reading.done_bytes.min(reading.total_bytes),
            total_bytes: Some(reading.total_bytes).filter(|bytes| *bytes > 0),
            bytes_per_second,
            sources: reading.peers as usize + reading.web_seeds as usize,
        }
    }

    /// Returns the last report. `size_bytes` is the dataset's size, or `None` if it could not be
    /// provided.
    pub(crate) fn at_end(counters: &Counters, size_bytes: Option<u64>) -> Snapshot {
        let reading = counters.datasets().first().map(|dataset| dataset.reading());
        let last = Snapshot::of(&reading.unwrap_or_default(), 0);
        match size_bytes {
            None => Snapshot { phase: Phase::Failed, sources: 0, ..last },
            Some(size_bytes) => {
                let total = last.total_bytes.unwrap_or(size_bytes);
                let total_bytes = Some(total);
                Snapshot { phase: Phase::Done, done_bytes: total, total_bytes, sources: 0, ..last }
            }
        }
    }
}

/// A function of the program that receives progress reports.
#[derive(Clone)]
pub struct ProgressCallback(Arc<dyn Fn(&Snapshot) + Send + Sync>);

impl fmt::Debug for ProgressCallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProgressCallback")
    }
}

/// A running progress report.
#[derive(Debug)]
pub struct Watch {
    end: Sender<PhaseChange>,
    /// If the thread could not be created, only the last call is made.
    thread: Option<JoinHandle<Result<(), Error>>>,
}

impl ProgressCallback {
    pub fn new(function: impl Fn(&Snapshot) + Send + Sync + 'static) -> ProgressCallback {
        ProgressCallback(Arc::new(function))
    }

    /// Starts calling the function, for the first dataset that is added. `panicked` is called if it
    /// panics.
    pub fn watch(&self, counters: &Arc<Counters>, panicked: Box<dyn FnOnce() + Send>) -> Watch {
        let (changes, end) = counters.listen();
        let (callback, counters) = (self.clone(), Arc::clone(counters));
        let run = move || {
            let result = callback.follow(&counters, &changes);
            if result.is_err() {
                panicked();
            }
            result
        };
        let thread = Builder::new().name("academictorrents-callback".to_owned()).spawn(run);
        Watch { end, thread: thread.ok() }
    }

    /// Calls the function until the end. The caller makes the last call.
    fn follow(&self, counters: &Counters, changes: &Receiver<PhaseChange>) -> Result<(), Error> {
        let (begun, mut rate) = (Instant::now(), Rate::default());
        let (mut phase, mut due) = (Phase::Queued, TICK);
        loop {
            let reading = match changes.recv_timeout(due.saturating_sub(begun.elapsed())) {
                Ok(PhaseChange::To(reading)) => {
                    phase = reading.phase;
                    Some(reading)
                }
                // The phase has changed, and its event is still in the queue.
                Err(RecvTimeoutError::Timeout) => {
                    let reading = counters.datasets().first().map(|dataset| dataset.reading());
                    reading.filter(|reading| reading.phase == phase)
                }
                Ok(PhaseChange::End) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
            };
            let now = begun.elapsed();
            due = now + TICK;
            if let Some(reading) = reading.filter(|reading| !reading.phase.is_over()) {
                let bytes_per_second = rate.push(now, reading.received_bytes);
                self.call(&Snapshot::of(&reading, bytes_per_second))?;
            }
        }
    }

    /// Calls the function.
    ///
    /// # Errors
    /// [`ErrorKind::Callback`] if it panics.
    fn call(&self, snapshot: &Snapshot) -> Result<(), Error> {
        catch_unwind(AssertUnwindSafe(|| (self.0)(snapshot))).map_err(|panic| panicked(&*panic))
    }

    /// Waits for pending calls, then makes the last one.
    ///
    /// # Errors
    /// [`ErrorKind::Callback`] if the function panics now or has panicked before.
    pub fn finish(&self, watch: Option<Watch>, last: &Snapshot) -> Result<(), Error> {
        if let Some(Watch { end, thread }) = watch {
            let _ = end.send(PhaseChange::End); // an error means that its thread has ended
            if let Some(thread) = thread {
                thread.join().unwrap_or_else(|panic| Err(panicked(&*panic)))?;
            }
        }
        self.call(last)
    }
}

fn panicked(panic: &(dyn Any + Send)) -> Error {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    Error::new(ErrorKind::Callback, "the function passed to `Get::on_progress` panicked")
        .why(text.unwrap_or_default())
        .why("verified data is kept, and the next run resumes")
}
