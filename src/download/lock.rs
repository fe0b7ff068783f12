//! The lock of a torrent: waiting for whoever holds it, and showing those who wait that its holder lives.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant, SystemTime};

use super::{Session, SharedCounters};
use crate::counters::Phase;
use crate::error::{Error, ErrorKind};
use crate::metainfo::Metainfo;
use crate::net::Timing;
use crate::store::{Lock, Store};

/// How often a process that waits for a lock looks whether it is free.
const LOCK_POLL: Duration = Duration::from_millis(50);

/// How often a process that hashes or syncs shows that it lives.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// Waits for the lock while its holder makes progress, and then for as long as the user waits without data.
pub fn lock(
    session: &Session<'_>,
    store: &Store,
    metainfo: &Metainfo,
    counters: &SharedCounters,
) -> Result<Lock, Error> {
    let patience = Timing::for_timeout(session.settings.timeout).give_up;
    let signs_of_life = || store.signs_of_life(metainfo.infohash);
    let (mut last_signs, mut since, mut told) = (signs_of_life(), Instant::now(), false);
    loop {
        let waiting = match store.try_lock(metainfo.infohash)? {
            Ok(lock) => {
                if told {
                    counters.set_phase(Phase::Checking);
                }
                return Ok(lock);
            }
            Err(waiting) => waiting,
        };
        let process =
            waiting.process.map_or_else(String::new, |process| format!(" (process {process})"));
        if session.host.is_stopped() {
            return Err(Error::new(ErrorKind::Locked, "the download was stopped"));
        }
        if !told {
            told = true;
            counters.set_phase(Phase::Waiting);
            session.counters.say_while_waiting(
                &counters.name,
                format!("{}: waiting for another build{process} that fetches it", counters.name),
            );
        }
        let signs = signs_of_life();
        if signs != last_signs {
            (last_signs, since) = (signs, Instant::now());
        }
        if since.elapsed() >= patience {
            return Err(Error::new(
                ErrorKind::Locked,
                format!(
                    "another build{process} holds the dataset, and made no progress for {}",
                    crate::size::seconds(patience)
                ),
            )
            .help("end that process, or set ACADEMICTORRENTS_TIMEOUT to wait longer"));
        }
        std::thread::sleep(LOCK_POLL);
    }
}

/// Does work that moves no record (hashing, syncing), and tells those who wait for the lock that we live.
///
/// Not generic: else each caller would have the threads' machinery compiled anew, a tenth of the whole crate.
pub fn while_alive(lock: &Lock, pool: &rayon::ThreadPool, work: &mut (dyn FnMut() + Send)) {
    let (working, ended) = channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            while ended.recv_timeout(HEARTBEAT) == Err(RecvTimeoutError::Timeout) {
                lock.alive(SystemTime::now());
            }
        });
        pool.install(work);
        drop(working);
    });
}
