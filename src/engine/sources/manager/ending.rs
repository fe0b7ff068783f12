//! What happens to a source when one of its connections ends.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{SourceManager, StreamPlace, StreamSource};
use crate::engine::sources::dial::Dialed;
use crate::engine::sources::event::{WorkerEvent, WorkerOutcome};
use crate::engine::sources::swarm::Swarm;
use crate::error::printable;
use crate::net::SourceError;
use crate::picker::{Blame, SourceId, WorkerId};
use crate::torrent::geometry::PieceIndex;
use crate::torrent::metainfo::{FileKind, Metainfo, TorrentFile};

impl SourceManager {
    /// Notes the transfer rate of connected sources for which the report has nothing else.
    pub fn note_silent(&self, now: Duration) {
        let streams = self.streams.iter().map(|it| (it.id, it.name.clone(), &it.attempts));
        let peers = self.peers.iter().map(|it| (it.id, it.name(), &it.attempts));
        let mut working: Vec<_> = streams.chain(peers).filter(|it| it.2.working > 0).collect();
        working.sort_unstable_by_key(|it| it.0);
        for (id, name, _) in working {
            let rate = self.swarm.schedule().rate_of(id, now);
            let said = match rate {
                Some(rate) => format!("sends {}/s", crate::size::display(rate)),
                None => "has sent nothing so far".to_owned(),
            };
            self.swarm.phase.report.note_first(&name, Ok(said));
        }
    }

    /// Records that a corrupt piece came from this source alone.
    pub fn on_bad_piece(&mut self, id: SourceId, piece: PieceIndex, verdict: Blame) {
        let banned = verdict == Blame::Banned;
        let (name, attempts, is_web_seed) = if let Some(peer) = self.peers.get_mut(id) {
            (peer.name(), &mut peer.attempts, false)
        } else if let Some(source) = self.stream_mut(id) {
            let is_web_seed = matches!(source.place, StreamPlace::Web(_));
            (source.name.clone(), &mut source.attempts, is_web_seed)
        } else {
            return;
        };
        if banned {
            attempts.lost = true;
            self.lacked.look_again();
        }
        let metainfo = self.swarm.partial.metainfo();
        let why = match verdict {
            Blame::OtherVersion(file) => {
                let file =
                    metainfo.files.get(file as usize).map(|file| metainfo.display_path(file));
                SourceError::OtherVersion(piece, printable(&file.unwrap_or_default()))
            }
            Blame::Warned | Blame::Banned => {
                let files = is_web_seed.then(|| printable(&files_of(metainfo, piece)));
                SourceError::Corrupt { piece, banned, files }
            }
        };
        self.swarm.phase.report.note(&name, Err(why));
    }

    /// Records the end of a dial.
    pub fn on_dialed(&mut self, id: SourceId, dialed: Dialed) {
        let is_wanted = self.swarm.schedule().wanted_bytes() > 0;
        self.peers.on_dialed(id, dialed, is_wanted);
    }

    /// Records the end of a worker.
    pub fn on_ended(&mut self, id: SourceId, outcome: WorkerOutcome, brought_bytes: u64) {
        let (now, policy, swarm) = (self.swarm.now(), self.policy, Arc::clone(&self.swarm));
        let is_wanted = swarm.schedule().wanted_bytes() > 0;
        let Some(source) = self.stream_mut(id) else {
            return self.peers.on_ended(id, outcome, brought_bytes, is_wanted);
        };
        let StreamSource { name, attempts, concurrency, .. } = source;
        let (failures, is_paused) =
            (attempts.failures, matches!(outcome, WorkerOutcome::Paused(..)));
        let is_done = outcome == WorkerOutcome::Ended && !swarm.schedule().is_useful(id);
        let said = attempts.end(outcome, brought_bytes, now, policy, is_wanted);
        attempts.lost |= is_done;
        if is_paused || attempts.failures > failures {
            concurrency.shrink();
        }
        swarm.counters.sources.set_works(id.0, attempts.working > 0);
        if attempts.working == 0 {
            swarm.counters.web_seeds.fetch_sub(1, Ordering::Relaxed);
        }
        if let Some(why) = said {
            swarm.phase.report.note(name, Err(why));
        }
        if attempts.lost {
            self.lacked.look_again();
        }
        self.streaming -= 1;
    }
}

/// Names the files that have part of a piece, in words.
fn files_of(metainfo: &Metainfo, piece: PieceIndex) -> String {
    let range = metainfo.geometry.range(piece);
    let is_part = |file: &&TorrentFile| {
        let is_data = file.kind == FileKind::Data && file.length > 0;
        is_data && file.offset < range.end && file.offset + file.length > range.start
    };
    let files: Vec<_> = metainfo.files.iter().filter(is_part).collect();
    let name = |file: &TorrentFile| format!("`{}`", metainfo.display_path(file));
    match files[..] {
        [] => "the file".to_owned(),
        [only] => name(only),
        [one, other] => format!("{} or {}", name(one), name(other)),
        [first, .., last] => {
            format!("one of {} files, {} to {}", files.len(), name(first), name(last))
        }
    }
}

/// Reports the end of a worker to the coordinator, even after a panic.
pub struct WorkerGuard {
    pub swarm: Arc<Swarm>,
    pub source: SourceId,
    pub worker: WorkerId,
    pub outcome: Option<WorkerOutcome>,
}

impl Drop for WorkerGuard {
    fn drop(&mut self) {
        let brought_bytes = self.swarm.schedule().end(self.worker);
        self.swarm.wake();
        let panicked = || WorkerOutcome::Lost(SourceError::WorkerFailed);
        let outcome = self.outcome.take().unwrap_or_else(panicked);
        self.swarm.tell(WorkerEvent::Ended { source: self.source, outcome, brought_bytes });
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::address::NamedBy;
    use crate::engine::tests::{Fixture, fixture, swarm_with_timeout};
    use crate::error::{Error, ErrorKind};

    #[test]
    fn of_a_connected_source_it_is_said_how_fast_it_sends_if_at_all() {
        let Fixture { _directory, partial, .. } = fixture();
        let swarm = Arc::new(swarm_with_timeout(partial, Duration::from_secs(120)));
        let mut manager = SourceManager::new(Arc::clone(&swarm));
        for (index, bytes) in [0, 300].into_iter().enumerate() {
            let address = SocketAddr::from(([192, 0, 2, index as u8], 1));
            manager.peers.add_all(vec![address], NamedBy::Neighbor);
            let id = SourceId(index as u32);
            manager.peers.get_mut(id).unwrap().attempts.begin(Duration::ZERO);
            let mut schedule = swarm.schedule();
            schedule.add_peer(id);
            let worker = schedule.begin(id, Duration::ZERO);
            if bytes > 0 {
                schedule.received(worker, bytes, Duration::from_secs(10));
            }
        }
        manager.note_silent(Duration::from_secs(20));
        let error =
            swarm.phase.report.explain(Error::new(ErrorKind::Network, "too slow")).to_string();
        assert!(error.contains("peer 192.0.2.0:1: has sent nothing so far"), "{error}");
        assert!(error.contains("peer 192.0.2.1:1: sends 15 B/s"), "{error}");
    }
}
