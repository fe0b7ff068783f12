//! What a peer is served on the connection that we opened: verified pieces, and the `info` dictionary.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Worker;
use crate::net::{Job, PeerConnection};
use crate::protocol::peer::METADATA_PART_BYTES;
use crate::protocol::upload::{Bucket, Wanted};
use crate::protocol::wire::{Request, block_head};

/// Blocks that are handed to the writer ahead: what we ask the peer for has to wait behind them.
const AHEAD: usize = 8;

/// How often it is looked whether the peer has, or still has, one of the slots.
const LOOK: Duration = Duration::from_secs(1);

/// How far it came with serving the peer.
#[derive(Debug, Default)]
pub(super) struct Serving {
    /// The peer has all pieces: it need not hear of ours.
    pub(super) has_all: bool,
    /// The verified pieces that it has heard of, as a place in the log.
    told: usize,
    /// It was last interested, and when its slot is to be looked at.
    interested: bool,
    look_at: Duration,
    /// The peer's own part of the rate: else who is looked at more often would take all of it.
    share: Option<Bucket>,
    sharers: u64,
}

impl Worker<'_> {
    /// Tells the peer, whose handshake came, who we are.
    pub(super) fn introduce(&mut self) {
        let (pieces, told) = self.swarm.uploads.pieces();
        self.serving.told = told;
        self.session.introduce(&pieces);
    }

    /// Tells the peer what is new, and hands on what it may be sent now.
    ///
    /// # Errors
    /// The connection is closed, or the peer does not read.
    pub(super) fn serve(&mut self, connection: &PeerConnection) -> Result<(), String> {
        let uploads = &self.swarm.uploads;
        if !uploads.is_on() || !self.session.is_open() {
            return Ok(());
        }
        if !self.serving.has_all {
            for piece in uploads.news(&mut self.serving.told) {
                self.session.have(piece);
            }
        }
        self.look_for_a_slot();
        while connection.waiting_jobs() < AHEAD {
            let Some(wanted) = self.session.first_wanted() else { break };
            let bytes = match wanted {
                Wanted::Block(request) => u64::from(request.length),
                Wanted::Metadata(_) => METADATA_PART_BYTES,
            };
            let job = match wanted {
                Wanted::Block(request) => self.block(request),
                Wanted::Metadata(part) => self.metadata(part),
            };
            let Some(job) = job else {
                self.session.refuse(wanted);
                continue;
            };
            let now = self.swarm.now();
            let rate = uploads.bytes_per_second();
            let share = self.serving.share.get_or_insert_with(|| Bucket::new(rate));
            if !share.is_free(now) || !uploads.may_send(bytes) {
                break;
            }
            share.charge(now, bytes * self.serving.sharers.max(1));
            self.session.served(wanted);
            connection.send_job(job)?;
        }
        Ok(())
    }

    fn look_for_a_slot(&mut self) {
        let wants = self.session.wants_blocks();
        let now = self.swarm.now();
        if wants && (!self.serving.interested || now >= self.serving.look_at) {
            let (unchoked, sharers) = self.swarm.uploads.is_unchoked(self.source, now);
            self.serving.sharers = sharers;
            self.session.set_choking(!unchoked);
            self.serving.look_at = now + LOOK;
        } else if !wants && self.serving.interested {
            self.swarm.uploads.rest(self.source);
            self.session.set_choking(true);
        }
        self.serving.interested = wants;
    }

    /// Sends a block; `None` where it is not verified, or reaches beyond its piece.
    fn block(&self, request: Request) -> Option<Job> {
        let geometry = self.swarm.geometry();
        let end = request.begin.checked_add(request.length)?;
        if !self.swarm.uploads.has(request.piece) || end > geometry.len(request.piece) {
            return None;
        }
        let offset = geometry.start(request.piece) + u64::from(request.begin);
        let swarm = Arc::clone(self.swarm);
        Some(Box::new(move |to| {
            let head = block_head(request);
            let mut message = vec![0; head.len() + request.length as usize];
            let (start, data) = message.split_at_mut(head.len());
            start.copy_from_slice(&head);
            swarm.read(offset, data)?;
            to.write_all(&message)?;
            swarm.counters.uploaded_bytes.fetch_add(request.length.into(), Ordering::Relaxed);
            Ok(())
        }))
    }

    /// Sends a part of `info`; `None` where there is no such part, or the peer takes none.
    fn metadata(&self, part: u32) -> Option<Job> {
        let start = u64::from(part) * METADATA_PART_BYTES;
        let end = (start + METADATA_PART_BYTES).min(self.swarm.partial.metainfo().info_bytes);
        let length = u32::try_from(end.checked_sub(start)?).ok()?;
        let mut message = self.session.metadata_head(part, length)?;
        let swarm = Arc::clone(self.swarm);
        Some(Box::new(move |to| {
            let info = swarm.uploads.info(&swarm.partial);
            let data = info.and_then(|info| info.get(start as usize..end as usize));
            let data = data.ok_or(std::io::ErrorKind::NotFound)?;
            message.extend_from_slice(data);
            to.write_all(&message)
        }))
    }
}
