//! A connection to a peer that may have the metainfo (BEP 9).

use std::time::Duration;

use super::Hunt;
use crate::net::PeerConnection;
use crate::protocol::metadata::blocks::Brought;
use crate::protocol::metadata::{Event, MetadataError, MetadataSession};
use crate::protocol::socks::Target;
use crate::size;

/// Enough for a block; it grows for a long bitfield.
const BUFFER_BYTES: usize = 32 << 10;

/// How long a read waits at most before the worker looks around.
const LOOK_AROUND: Duration = Duration::from_millis(50);

/// Why a connection ended.
#[derive(Debug)]
pub struct Ended {
    pub why: String,
    /// Another time it may go better.
    pub may_pass: bool,
}

impl Ended {
    pub fn later(why: String) -> Ended {
        Ended { why, may_pass: true }
    }
}

impl From<MetadataError> for Ended {
    fn from(error: MetadataError) -> Ended {
        Ended { why: error.to_string(), may_pass: error.may_pass() }
    }
}

struct Worker<'a> {
    hunt: &'a Hunt,
    id: u32,
    session: MetadataSession,
    ready: bool,
    /// When the peer last did what it should, or was first asked to.
    useful_at: Duration,
}

/// Connects, and asks for blocks until all are there.
pub fn work(hunt: &Hunt, id: u32, target: &Target) -> Result<(), Ended> {
    let time = || (!hunt.is_over()).then(|| hunt.now());
    let mut connection = hunt.client.connect_peer(target, &time).map_err(Ended::later)?;
    let session = MetadataSession::new(hunt.infohash, hunt.peer_id, hunt.max_bytes);
    let mut worker = Worker { hunt, id, session, ready: false, useful_at: hunt.now() };
    worker.run(&mut connection)
}

impl Worker<'_> {
    fn run(&mut self, connection: &mut PeerConnection) -> Result<(), Ended> {
        let mut buffer = vec![0; BUFFER_BYTES];
        let mut filled = 0;
        while !self.hunt.is_over() {
            if let Some(bytes) = self.session.output() {
                connection.send(bytes).map_err(Ended::later)?;
            }
            if filled == buffer.len() {
                let most = MetadataSession::MAX_BUFFER_BYTES;
                buffer.resize((2 * filled).min(most.max(filled + 1)), 0);
            }
            let is_open = self.session.is_open();
            let closed = |why: String| {
                Ended::later(if is_open { why } else { format!("no handshake: {why}") })
            };
            let read = connection.read(&mut buffer[filled..], LOOK_AROUND).map_err(closed)?;
            filled += read.unwrap_or(0);
            let mut used = 0;
            while let Some((event, bytes)) = self.session.next(&buffer[used..filled])? {
                self.on_event(event)?;
                used += bytes;
            }
            buffer.copy_within(used..filled, 0);
            filled -= used;
            self.ask();
            self.judge()?;
        }
        Ok(())
    }

    fn on_event(&mut self, event: Event<'_>) -> Result<(), Ended> {
        let mut state = self.hunt.state();
        match event {
            Event::Ready { bytes } => {
                state.blocks.join(self.id, bytes);
                (self.ready, self.useful_at) = (true, self.hunt.now());
            }
            Event::Block { block, total_bytes, data } => {
                let was_asked = state.blocks.awaits(self.id);
                let brought = state.blocks.brought(self.id, block, total_bytes, data)?;
                // Others may have been quicker: it did what it was asked to.
                if was_asked && !state.blocks.awaits(self.id) {
                    self.useful_at = self.hunt.now();
                }
                match brought {
                    Brought::Nothing => {}
                    Brought::Block => state.useful = self.useful_at,
                    Brought::Whole(info) => {
                        state.found = Some(info);
                        drop(state);
                        self.hunt.ring();
                    }
                    Brought::Wrong(liars) if liars.contains(&self.id) => {
                        return Err(MetadataError::Wrong.into());
                    }
                    Brought::Wrong(_) => {}
                }
            }
            Event::Rejected(block) => {
                if state.blocks.rejected(self.id, block) {
                    return Err(MetadataError::Rejected.into());
                }
            }
            Event::Ignored => {}
        }
        Ok(())
    }

    fn ask(&mut self) {
        let asked = self.hunt.state().blocks.ask(self.id);
        if let Some(block) = asked {
            self.useful_at = self.hunt.now();
            self.session.request(block);
        }
    }

    /// Whether the peer is worth waiting for any longer.
    fn judge(&self) -> Result<(), Ended> {
        let timing = self.hunt.client.timing();
        let waited = self.hunt.now().saturating_sub(self.useful_at);
        let late = |what: &str, patience: Duration| {
            let why = format!("sent no {what} within {}", size::seconds(patience));
            if waited > patience { Err(Ended::later(why)) } else { Ok(()) }
        };
        if !self.session.is_open() {
            late("handshake", timing.connect)
        } else if !self.ready {
            late("extension handshake", timing.silence)
        } else if self.hunt.state().blocks.awaits(self.id) {
            late("block of the torrent that it was asked for", timing.silence)
        } else {
            Ok(())
        }
    }
}
