//! The worker of a connection to a peer that may have the metainfo (BEP 9).

use std::time::Duration;

use super::MetadataFetch;
use crate::engine::budget::MetadataPermit;
use crate::engine::sources::dial::Greeting;
use crate::engine::sources::event::{WorkerEvent, WorkerOutcome};
use crate::engine::sources::peer_loop;
use crate::engine::sources::peer_loop::PeerHandler;
use crate::net::timing::LOOK_AROUND;
use crate::net::{Awaited, PeerConnection, SourceError};
use crate::picker::SourceId;
use crate::protocol::peer::{PeerEvent, PeerSession};
use crate::protocol::socks::Destination;
use crate::protocol::ut_metadata::blocks::Brought;
use crate::protocol::ut_metadata::{MetadataError, MetadataMessage};
use crate::torrent::pieces::PieceSet;

struct MetadataWorker<'a> {
    fetch: &'a MetadataFetch,
    id: u32,
    session: PeerSession,
    ready: bool,
    /// The time from which the peer must give up its place if others wait.
    until: Duration,
    /// When the peer last did what was expected, or was first asked.
    useful_at: Duration,
}

/// Asks a peer that answered the handshake for blocks until all are there. After `slice`, the peer
/// gives up its place if others wait.
pub fn work(
    fetch: &MetadataFetch,
    (id, target): (SourceId, &Destination),
    greeting: Greeting,
    slice: Duration,
    permit: MetadataPermit,
) -> WorkerOutcome {
    let (mut link, _) = greeting.end_dial();
    fetch.phase.client.release(&link.connection);
    let now = fetch.phase.now();
    let mut session = PeerSession::without_info(now, fetch.phase.infohash, fetch.phase.peer_id);
    session.output(now); // discards our handshake, which the peer already has
    let until = now + slice;
    let mut worker =
        MetadataWorker { fetch, id: id.0, session, ready: false, until, useful_at: now };
    let outcome = peer_loop::run(&mut worker, &mut link);
    let session = worker.session;
    let mut progress = fetch.progress.lock();
    if outcome != WorkerOutcome::Ended {
        progress.blocks.leave(id.0);
    } else if progress.blocks.is_done() && session.is_open() {
        fetch.open.put(target, Greeting::going_on(link, session, permit));
    }
    outcome
}

impl PeerHandler for MetadataWorker<'_> {
    fn session(&mut self) -> &mut PeerSession {
        &mut self.session
    }

    fn now(&self) -> Duration {
        self.fetch.phase.now()
    }

    fn on_event(&mut self, event: PeerEvent<'_>, _end: usize) -> Result<(), WorkerOutcome> {
        match event {
            PeerEvent::HandshakeDone { extensions: false, .. } => {
                Err(MetadataError::NotOffered.into())
            }
            PeerEvent::HandshakeDone { .. } => {
                self.session.introduce(&PieceSet::none(0));
                Ok(())
            }
            // Further extension handshakes are ignored.
            PeerEvent::Extensions if !self.ready => {
                let bytes = self.session.offered_metadata(self.fetch.max_bytes)?;
                self.fetch.progress.lock().blocks.join(self.id, bytes);
                (self.ready, self.useful_at) = (true, self.fetch.phase.now());
                Ok(())
            }
            PeerEvent::Metadata(message) => self.on_metadata(message),
            _ => Ok(()),
        }
    }

    fn turn(&mut self, _connection: &PeerConnection) -> Result<Duration, WorkerOutcome> {
        let mut progress = self.fetch.progress.lock();
        if self.fetch.phase.is_over() || progress.blocks.is_done() {
            return Err(WorkerOutcome::Ended);
        }
        let asked = progress.blocks.ask(self.id);
        drop(progress);
        if let Some(block) = asked {
            self.useful_at = self.fetch.phase.now();
            self.session.send_metadata(MetadataMessage::Request(block));
        }
        self.judge().map(|()| LOOK_AROUND)
    }
}

impl MetadataWorker<'_> {
    fn on_metadata(&mut self, message: MetadataMessage<'_>) -> Result<(), WorkerOutcome> {
        let mut progress = self.fetch.progress.lock();
        match message {
            MetadataMessage::Data { piece, total_bytes, data } => {
                let was_asked = progress.blocks.awaits(self.id);
                let brought = progress.blocks.brought(self.id, piece, total_bytes, data)?;
                // Even if other peers were faster, the peer sent what it was asked for.
                if was_asked && !progress.blocks.awaits(self.id) {
                    self.useful_at = self.fetch.phase.now();
                }
                match brought {
                    Brought::Nothing => {}
                    Brought::Block => progress.useful = self.useful_at,
                    Brought::Whole(info) => {
                        progress.found = Some(info);
                        self.fetch.phase.tell(WorkerEvent::Done);
                    }
                    Brought::Wrong(liars) if liars.contains(&self.id) => {
                        return Err(MetadataError::Wrong.into());
                    }
                    Brought::Wrong(_) => {}
                }
            }
            MetadataMessage::Reject(piece) if progress.blocks.rejected(self.id, piece) => {
                return Err(MetadataError::Rejected.into());
            }
            MetadataMessage::Reject(_) | MetadataMessage::Request(_) => {}
        }
        Ok(())
    }

    /// Fails if the peer is not worth waiting for any longer.
    fn judge(&self) -> Result<(), WorkerOutcome> {
        let timing = self.fetch.phase.client.timing();
        let waited = self.fetch.phase.now().saturating_sub(self.useful_at);
        let late = |awaited| match waited > timing.silence {
            true => Err(WorkerOutcome::Failed(SourceError::Silent(awaited, timing.silence))),
            false => Ok(()),
        };
        if self.fetch.phase.now() >= self.until && self.fetch.phase.gives_up_place() {
            return Err(WorkerOutcome::GaveWay(SourceError::MadeRoom));
        }
        if !self.ready {
            late(Awaited::ExtensionHandshake)
        } else if self.fetch.progress.lock().blocks.awaits(self.id) {
            late(Awaited::TorrentBlock)
        } else {
            Ok(())
        }
    }
}
