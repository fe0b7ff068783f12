//! Definitive answers: which files web seeds and directories do not have, and whether peers may
//! still provide them.

use std::collections::HashSet;
use std::time::Duration;

use super::SourceManager;
use crate::engine::sources::peer_queue::QueuedPeer;

/// A reachable peer reports its pieces within a few seconds.
const SAYS_WITHIN: Duration = Duration::from_secs(3);

/// The files that some web seed or directory does not have.
#[derive(Debug, Default)]
pub struct LackedFiles {
    files: HashSet<u32>,
    /// Files that may be missing everywhere. Each is checked once per change, so that 100,000 lost
    /// files do not slow down every tick.
    doubts: Vec<u32>,
    by_all: Option<u32>,
}

impl LackedFiles {
    /// Records that one source lacks this file.
    pub fn add(&mut self, file: u32) {
        self.files.insert(file);
        self.doubts.push(file);
    }

    /// Checks all files again after a source was added or lost.
    pub fn look_again(&mut self) {
        self.by_all = None;
        self.doubts = self.files.iter().copied().collect();
    }

    /// Whether `is_lacked` is true for any of the files. It may become true for a file only through
    /// [`LackedFiles::add`] or [`LackedFiles::look_again`].
    fn by_all(&mut self, is_lacked: impl Fn(u32) -> bool) -> bool {
        self.by_all = self.by_all.filter(|file| is_lacked(*file));
        while self.by_all.is_none() {
            let Some(file) = self.doubts.pop() else { break };
            self.by_all = Some(file).filter(|file| is_lacked(*file));
        }
        self.by_all.is_some()
    }
}

impl SourceManager {
    /// Whether web seeds and directories cannot provide everything that is needed: all of them are
    /// lost, or none of them has a certain file. False if there are none.
    pub fn lacks_a_file(&mut self) -> bool {
        let files = &self.swarm.partial.metainfo().files;
        let geometry = self.swarm.geometry();
        let is_needed = |file: u32| {
            let file = files.get(file as usize);
            file.is_some_and(|it| self.swarm.schedule().wants_any(geometry.pieces(it.range())))
        };
        if self.streams.is_empty() {
            return false;
        }
        let streams = self.streams.iter().filter(|it| !it.attempts.lost);
        let lost: Vec<_> = streams.map(|it| it.lost_files()).collect();
        lost.is_empty()
            || self.lacked.by_all(|file| is_needed(file) && lost.iter().all(|it| it.contains(file)))
    }

    /// Whether a peer may provide what web seeds and directories lack.
    pub fn peers_may_help(&self, now: Duration) -> bool {
        let says_within = self.swarm.phase.client.timing().connect + SAYS_WITHIN;
        let mut schedule = self.swarm.schedule();
        let mut peers = self.peers.iter();
        peers.any(|peer| may_help(peer, now, says_within, || schedule.is_useful(peer.id)))
    }
}

/// Whether this peer may provide something: it was not asked yet, the user named it, or it has a
/// needed piece. Between two connections, and until the next one reports its pieces, the result of
/// the last one counts: many peers close connections after a while, and a peer's pieces are known
/// only while it is connected. A dead peer is given up after a few failures.
fn may_help(
    peer: &QueuedPeer,
    now: Duration,
    within: Duration,
    is_useful: impl FnOnce() -> bool,
) -> bool {
    let it = &peer.attempts;
    let is_undecided = now.saturating_sub(it.begun) < within;
    !it.lost
        && match (it.tries, it.working) {
            _ if peer.named => true,
            (0, _) => true,
            (_, 0) => it.brought,
            (1, _) => is_undecided || is_useful(),
            _ => (it.brought && is_undecided) || is_useful(),
        }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::sync::Arc;

    use super::*;
    use crate::address::NamedBy;
    use crate::engine::budget::MAX_SOURCES;
    use crate::engine::sources::attempts::Attempts;
    use crate::engine::sources::event::WorkerOutcome;
    use crate::engine::tests::{Fixture, fixture, swarm_with_timeout};
    use crate::net::SourceError;
    use crate::picker::SourceId;
    use crate::url::Url;

    #[test]
    fn a_file_is_lacked_by_all_once_the_last_source_says_so_and_while_it_is_needed() {
        let mut lacked = LackedFiles::default();
        assert!(!lacked.by_all(|_| true));
        lacked.add(3);
        assert!(!lacked.by_all(|_| false));
        // Nothing has changed, so the file is not checked again.
        assert!(!lacked.by_all(|_| unreachable!()));
        lacked.add(5);
        lacked.add(3);
        assert!(lacked.by_all(|file| file == 3));
        // A peer has delivered the file.
        assert!(!lacked.by_all(|_| false));
        lacked.look_again();
        assert!(lacked.by_all(|file| file == 5));
    }

    /// A mirror may be a store, which is tried if it lacks a file. Others are not.
    #[test]
    fn a_mirror_beyond_the_limit_of_sources_changes_no_other_source() {
        let Fixture { _directory, partial, .. } = fixture();
        let infohash = partial.metainfo().infohash;
        let swarm = Arc::new(swarm_with_timeout(partial, Duration::from_secs(120)));
        let mut manager = SourceManager::new(swarm);
        let mirror = |n: usize| Url::from(format!("http://mirror-{n}.org/{infohash}/"));
        let may_be_stores = |manager: &SourceManager| {
            manager.streams.iter().filter(|source| source.as_store.is_some()).count()
        };
        for n in 0..MAX_SOURCES - 1 {
            manager.add_web_seed(mirror(n), NamedBy::User, n % 2 == 0);
        }
        assert_eq!(may_be_stores(&manager), MAX_SOURCES / 2);
        manager.add_web_seed(mirror(MAX_SOURCES), NamedBy::Torrent, false);
        for n in 0..2 {
            manager.add_web_seed(mirror(n), NamedBy::User, true);
        }
        assert_eq!(manager.streams.len(), MAX_SOURCES);
        assert_eq!(may_be_stores(&manager), MAX_SOURCES / 2);
    }

    #[test]
    fn a_peer_that_reconnects_may_help_if_it_has_just_delivered_or_the_user_named_it() {
        let Fixture { _directory, partial, .. } = fixture();
        let swarm = Arc::new(swarm_with_timeout(partial, Duration::from_secs(120)));
        let mut manager = SourceManager::new(swarm);
        let id = SourceId(0);
        let minute = Duration::from_secs(60);
        fn attempts(manager: &mut SourceManager) -> &mut Attempts {
            &mut manager.peers.get_mut(SourceId(0)).unwrap().attempts
        }
        let end = |manager: &mut SourceManager, brought_bytes| {
            manager.on_ended(id, WorkerOutcome::Failed(SourceError::Closed), brought_bytes);
        };
        let address = SocketAddr::from(([192, 0, 2, 1], 1));
        manager.peers.add_all(vec![address], NamedBy::Neighbor);
        assert!(manager.peers_may_help(minute), "it was not asked yet");
        attempts(&mut manager).begin(minute);
        assert!(manager.peers_may_help(minute), "it is asked for the first time");
        assert!(!manager.peers_may_help(2 * minute), "it has no pieces");
        for _ in 0..20 {
            end(&mut manager, 16_384);
            assert!(manager.peers_may_help(2 * minute), "it closed after some blocks");
            attempts(&mut manager).begin(2 * minute);
            assert!(manager.peers_may_help(2 * minute), "it is dialed again");
            assert!(!manager.peers_may_help(3 * minute), "it no longer has any piece");
        }
        end(&mut manager, 0);
        assert!(!manager.peers_may_help(2 * minute), "it closed without a block");

        // Once it has delivered, or if the user named it, only failures make it lost.
        for named in [false, true] {
            attempts(&mut manager).lost = false;
            manager.peers.get_mut(id).unwrap().named = named;
            attempts(&mut manager).begin(2 * minute);
            end(&mut manager, u64::from(!named));
            let mut dials = 0;
            while manager.peers_may_help(3 * minute) {
                attempts(&mut manager).begin(3 * minute);
                attempts(&mut manager).not_before = Duration::ZERO;
                manager.on_dialed(id, Err(SourceError::ConnectionRefused));
                dials += 1;
                assert!(dials < 10);
            }
            assert!(dials >= 2 && attempts(&mut manager).lost, "{dials}");
            attempts(&mut manager).failures = 0;
        }
    }
}
