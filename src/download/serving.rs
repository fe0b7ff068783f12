//! What a peer is served, whoever opened the connection: verified pieces, and the `info` dictionary.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::uploads::Served;
use crate::net::{Job, PeerConnection};
use crate::protocol::peer::{METADATA_PART_BYTES, PeerSession};
use crate::protocol::upload::{Bucket, Wanted};
use crate::protocol::wire::{Request, block_head};

/// Blocks that are handed to the writer ahead: what we ask the peer for has to wait behind them.
const AHEAD: usize = 8;

/// How often it is looked whether the peer has, or still has, one of the slots.
const LOOK: Duration = Duration::from_secs(1);

/// How far it came with serving one peer, which is gone where this is dropped.
pub struct Serving {
    served: Arc<dyn Served>,
    /// Who of the dataset's peers it is.
    id: u32,
    /// Of one that connected to us: it may come again under another id.
    host: Option<IpAddr>,
    /// The peer has all pieces: it need not hear of ours.
    pub has_all: bool,
    /// The verified pieces that it has heard of, as a place in the log.
    told: usize,
    /// It was last interested, and when its slot is to be looked at.
    interested: bool,
    look_at: Duration,
    /// The peer's own part of the rate: else who is looked at more often would take all of it.
    share: Option<Bucket>,
    sharers: u64,
    ahead: usize,
}

impl Serving {
    pub fn new(served: Arc<dyn Served>, id: u32) -> Serving {
        Serving {
            served,
            id,
            host: None,
            has_all: false,
            told: 0,
            interested: false,
            look_at: Duration::ZERO,
            share: None,
            sharers: 0,
            ahead: AHEAD,
        }
    }

    /// The peer connected to us, from this host.
    #[cfg(feature = "seed")]
    pub fn from(mut self, host: IpAddr) -> Serving {
        self.host = Some(host);
        self
    }

    /// So many blocks are handed to the writer ahead.
    #[cfg(feature = "seed")]
    pub fn ahead(mut self, blocks: usize) -> Serving {
        self.ahead = blocks;
        self
    }

    /// Tells the peer, whose handshake came, who we are.
    pub fn introduce(&mut self, session: &mut PeerSession) {
        let (pieces, told) = self.served.uploads().pieces();
        self.told = told;
        session.introduce(&pieces);
    }

    /// Tells the peer what is new, and hands on what it may be sent now.
    ///
    /// # Errors
    /// The connection is closed, or the peer does not read.
    pub fn serve(
        &mut self,
        session: &mut PeerSession,
        connection: &PeerConnection,
    ) -> Result<(), String> {
        let served = Arc::clone(&self.served);
        let uploads = served.uploads();
        if !uploads.is_on() || !session.is_open() {
            return Ok(());
        }
        if !self.has_all {
            for piece in uploads.news(&mut self.told) {
                session.have(piece);
            }
        }
        self.look_for_a_slot(session);
        while connection.waiting_jobs() < self.ahead {
            let Some(wanted) = session.first_wanted() else { break };
            let bytes = match wanted {
                Wanted::Block(request) => u64::from(request.length),
                Wanted::Metadata(_) => METADATA_PART_BYTES,
            };
            let job = match wanted {
                Wanted::Block(request) => self.block(request),
                Wanted::Metadata(part) => self.metadata(session, part),
            };
            let Some(job) = job else {
                session.refuse(wanted);
                continue;
            };
            let now = served.now();
            let rate = uploads.bytes_per_second();
            let share = self.share.get_or_insert_with(|| Bucket::new(rate));
            if !share.is_free(now) || !uploads.may_send(bytes) {
                break;
            }
            share.charge(now, bytes * self.sharers.max(1));
            session.served(wanted);
            connection.send_job(job)?;
        }
        Ok(())
    }

    fn look_for_a_slot(&mut self, session: &mut PeerSession) {
        let wants = session.wants_blocks();
        let now = self.served.now();
        if wants && (!self.interested || now >= self.look_at) {
            let (unchoked, sharers) = self.served.uploads().is_unchoked(self.id, self.host, now);
            self.sharers = sharers;
            session.set_choking(!unchoked);
            self.look_at = now + LOOK;
        } else if !wants && self.interested {
            self.served.uploads().rest(self.id);
            session.set_choking(true);
        }
        self.interested = wants;
    }

    /// Sends a block; `None` where it is not verified, or reaches beyond its piece.
    fn block(&self, request: Request) -> Option<Job> {
        let geometry = self.served.metainfo().geometry;
        let end = request.begin.checked_add(request.length)?;
        if !self.served.uploads().has(request.piece) || end > geometry.len(request.piece) {
            return None;
        }
        let offset = geometry.start(request.piece) + u64::from(request.begin);
        let served = Arc::clone(&self.served);
        Some(Box::new(move |to| {
            let head = block_head(request);
            let mut message = vec![0; head.len() + request.length as usize];
            let (start, data) = message.split_at_mut(head.len());
            start.copy_from_slice(&head);
            served.read(offset, data)?;
            to.write_all(&message)?;
            served.sent(request.length.into());
            Ok(())
        }))
    }

    /// Sends a part of `info`; `None` where there is no such part, or the peer takes none.
    fn metadata(&self, session: &PeerSession, part: u32) -> Option<Job> {
        let start = u64::from(part) * METADATA_PART_BYTES;
        let end = (start + METADATA_PART_BYTES).min(self.served.metainfo().info_bytes);
        let length = u32::try_from(end.checked_sub(start)?).ok()?;
        let mut message = session.metadata_head(part, length)?;
        let served = Arc::clone(&self.served);
        Some(Box::new(move |to| {
            let info = served.uploads().info(&*served);
            let data = info.and_then(|info| info.get(start as usize..end as usize));
            let data = data.ok_or(std::io::ErrorKind::NotFound)?;
            message.extend_from_slice(data);
            to.write_all(&message)
        }))
    }
}

impl Drop for Serving {
    /// Also where its thread panicked: a peer that is gone would have its turns as before.
    fn drop(&mut self) {
        self.served.uploads().leave(self.id);
    }
}
