//! The lock of a torrent: waiting for its holder, and showing waiting processes that this one is
//! alive.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant, SystemTime};

use crate::counters::Phase;
use crate::engine::dataset::Provided;
use crate::engine::session::{Session, SharedCounters};
use crate::error::{Error, ErrorKind};
use crate::storage::{Lock, LockHolder, Store, Target};
use crate::torrent::infohash::Infohash;

/// How often a waiting process checks whether the lock is free.
const LOCK_POLL: Duration = Duration::from_millis(50);

/// How often a process that hashes or syncs shows that it is alive.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// Waits for the lock while its holder makes progress, and after the last progress for as long as
/// the user's timeout.
///
/// # Errors
/// [`ErrorKind::Locked`] after the timeout; [`ErrorKind::Stopped`]; [`ErrorKind::Disk`] for the
/// lock file.
pub fn lock(
    session: &Session<'_>,
    target: Target<'_>,
    infohash: Infohash,
    counters: &SharedCounters,
) -> Result<Lock, Error> {
    let mut wait = Wait::new(session, target.workplace(), infohash, counters);
    loop {
        match target.try_lock(infohash)? {
            Ok(lock) => {
                if wait.told {
                    counters.set_phase(Phase::Checking);
                }
                return Ok(lock);
            }
            Err(waiting) => wait.a_moment(&waiting)?,
        }
    }
}

/// Creates the target and waits for the lock, like [`lock`]. If the target is read-only, waits while
/// another process fetches the dataset there, and then returns what `look` finds. `look` gets the
/// error to return if it finds nothing.
///
/// # Errors
/// As [`lock`], and those of `look`.
pub fn lock_or_look(
    session: &Session<'_>,
    target: Target<'_>,
    infohash: Infohash,
    counters: &SharedCounters,
    look: &dyn Fn(Error) -> Result<Provided, Error>,
) -> Result<Result<Lock, Provided>, Error> {
    match target.create().and_then(|()| lock(session, target, infohash, counters)) {
        Err(error) if error.is_read_only() => {
            wait_while_locked(session, target.workplace(), infohash, counters)?;
            look(error).map(Err)
        }
        locked => locked.map(Ok),
    }
}

/// Waits while another process fetches the torrent into a store that this process only reads.
///
/// # Errors
/// As [`lock`].
pub fn wait_while_locked(
    session: &Session<'_>,
    store: &Store,
    infohash: Infohash,
    counters: &SharedCounters,
) -> Result<(), Error> {
    let mut wait = Wait::new(session, store, infohash, counters);
    while let Some(waiting) = store.locked(infohash) {
        wait.a_moment(&waiting)?;
    }
    if wait.told {
        counters.set_phase(Phase::Metainfo);
    }
    Ok(())
}

/// The state of a process that waits for another.
struct Wait<'a> {
    session: &'a Session<'a>,
    store: &'a Store,
    infohash: Infohash,
    counters: &'a SharedCounters,
    last_signs: Vec<(u64, SystemTime)>,
    since: Instant,
    told: bool,
}

impl<'a> Wait<'a> {
    fn new(
        session: &'a Session<'a>,
        store: &'a Store,
        infohash: Infohash,
        counters: &'a SharedCounters,
    ) -> Wait<'a> {
        let last_signs = store.signs_of_life(infohash);
        Wait { session, store, infohash, counters, last_signs, since: Instant::now(), told: false }
    }

    /// Sleeps briefly. Fails once the holder has made no progress for the user's timeout.
    fn a_moment(&mut self, holder: &LockHolder) -> Result<(), Error> {
        let Wait { session, counters, .. } = self;
        session.stop().check()?;
        let by = holder.process.map_or_else(String::new, |_| format!(" ({holder})"));
        if !self.told {
            self.told = true;
            counters.set_phase(Phase::Waiting);
            session.counters.say_while_waiting(
                &counters.name,
                format!("{}: waiting for another build{by} that is downloading it", counters.name),
            );
        }
        let signs = self.store.signs_of_life(self.infohash);
        if signs != self.last_signs {
            (self.last_signs, self.since) = (signs, Instant::now());
        }
        let patience = session.settings.patience();
        if self.since.elapsed() >= patience {
            return Err(Error::new(
                ErrorKind::Locked,
                format!(
                    "another build{by} has locked the dataset and made no progress for {}",
                    crate::size::seconds(patience)
                ),
            )
            .help("stop that process, or set ACADEMICTORRENTS_TIMEOUT to wait longer"));
        }
        std::thread::sleep(LOCK_POLL);
        Ok(())
    }
}

/// Runs work that writes no records (hashing, syncing), and meanwhile shows processes that wait for
/// the lock that this one is alive.
///
/// Not generic: otherwise each caller would compile the thread machinery anew, a tenth of the whole
/// crate.
pub fn while_alive(lock: &Lock, work: &mut dyn FnMut()) {
    let (working, ended) = channel::<()>();
    std::thread::scope(|scope| {
        let beat = move || {
            while ended.recv_timeout(HEARTBEAT) == Err(RecvTimeoutError::Timeout) {
                lock.alive(SystemTime::now());
            }
        };
        // If no thread can be created, waiting processes may give up; the work is done all the
        // same.
        let _ = std::thread::Builder::new().spawn_scoped(scope, beat);
        work();
        drop(working);
    });
}
