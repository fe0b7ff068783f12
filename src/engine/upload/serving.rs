//! Serving one peer, whoever opened the connection: verified pieces, and the `info` dictionary.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::budget::AHEAD;
use crate::engine::upload::manager::Served;
use crate::net::timing::SLOT_LOOK;
use crate::net::{PeerConnection, SourceError, WriteJob};
use crate::protocol::extension::Offer;
use crate::protocol::peer::{PeerError, PeerSession};
use crate::protocol::upload::{Bucket, UploadRequest};
use crate::protocol::ut_metadata::{METADATA_PIECE_BYTES, MetadataMessage};
use crate::protocol::wire::{BlockRequest, Message, block_head};
use crate::torrent::pieces::PieceSet;

/// The state of serving one peer. Dropping it gives up the peer's slot.
pub struct Serving {
    served: Arc<dyn Served>,
    /// The ID of the peer's connection.
    id: u32,
    /// The host of a peer that connected to us, which may return with another ID.
    host: Option<IpAddr>,
    /// The peer has all pieces, so that it need not hear of ours.
    pub has_all: bool,
    /// The position in the log up to which the peer was told of our pieces.
    told: usize,
    /// Whether the peer was interested at the last check, and when to check its slot again.
    interested: bool,
    look_at: Duration,
    /// The peer's own share of the rate: otherwise the peer that is checked most often would get
    /// everything.
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

    /// Sets the host of a peer that connected to us.
    #[cfg(feature = "seed")]
    pub fn from(mut self, host: IpAddr) -> Serving {
        self.host = Some(host);
        self
    }

    /// Sets how many blocks are queued ahead for the writer.
    #[cfg(feature = "seed")]
    pub fn ahead(mut self, blocks: usize) -> Serving {
        self.ahead = blocks;
        self
    }

    /// Introduces us to a peer whose handshake has arrived.
    pub fn introduce(&mut self, session: &mut PeerSession) {
        let (pieces, told) = self.served.uploads().pieces();
        self.told = told;
        session.introduce(&pieces);
    }

    /// Like [`Serving::introduce`], for a session that began before `info` was known. Returns the
    /// peer's pieces.
    ///
    /// # Errors
    /// See [`PeerSession::begin_data`].
    pub fn begin_data(
        &mut self,
        session: &mut PeerSession,
        offer: Offer,
    ) -> Result<PieceSet, PeerError> {
        let (pieces, told) = self.served.uploads().pieces();
        self.told = told;
        let count = self.served.metainfo().geometry.piece_count();
        session.begin_data(self.served.now(), &pieces, count, offer)
    }

    /// Announces new pieces to the peer, and queues what it may be sent now.
    ///
    /// # Errors
    /// The connection is closed, or the peer does not read.
    pub fn serve(
        &mut self,
        session: &mut PeerSession,
        connection: &PeerConnection,
    ) -> Result<(), SourceError> {
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
                UploadRequest::Block(request) => u64::from(request.length),
                UploadRequest::Metadata(_) => METADATA_PIECE_BYTES as u64,
            };
            let job = match wanted {
                UploadRequest::Block(request) => self.block(request),
                UploadRequest::Metadata(piece) => self.metadata(session, piece),
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
            self.look_at = now + SLOT_LOOK;
        } else if !wants && self.interested {
            self.served.uploads().rest(self.id);
            session.set_choking(true);
        }
        self.interested = wants;
    }

    /// A job that sends a block; `None` if the piece is not verified, or the request exceeds the
    /// piece.
    fn block(&self, request: BlockRequest) -> Option<WriteJob> {
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

    /// A job that sends a piece of `info`; `None` if there is no such piece, or the peer does not
    /// support the extension.
    fn metadata(&self, session: &PeerSession, piece: u32) -> Option<WriteJob> {
        let id = session.metadata_id()?;
        MetadataMessage::data_of(self.served.metainfo().raw_info(), piece)?;
        let served = Arc::clone(&self.served);
        Some(Box::new(move |to| {
            let data = MetadataMessage::data_of(served.metainfo().raw_info(), piece);
            let payload = data.ok_or(std::io::ErrorKind::NotFound)?.encode();
            let mut message = Vec::new();
            Message::Extended { id, payload: &payload }.encode(&mut message);
            to.write_all(&message)
        }))
    }
}

impl Drop for Serving {
    /// Runs even after a panic: otherwise a disconnected peer would keep getting turns.
    fn drop(&mut self) {
        self.served.uploads().leave(self.id);
    }
}
