//! Serves one client of the test peer.
//!
//! Each connection has two threads: one reads messages and the other answers, so that requests and
//! cancels are counted while blocks are being sent.

use std::collections::VecDeque;
use std::io::{Result, Write as _};
use std::net::Shutdown;
use std::ops::Range;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use super::super::bencode::B;
use super::super::server::Conn;
use super::super::wire::{self, Block, Handshake, Message};
use super::exchange::OUR_PEX_ID;
use super::leeching::Leech;
use super::{Fault, Shared};

/// The message id that the peer's extension handshake assigns to `ut_metadata`.
const OUR_METADATA_ID: u8 = 3;

/// The block length of BEP 9.
pub const METADATA_BLOCK_BYTES: usize = 16 << 10;

pub fn serve(conn: &mut Conn, shared: &Shared) -> Result<()> {
    let Some(theirs) = Handshake::read(&mut conn.stream)? else { return Ok(()) };
    shared.stats(|stats| stats.handshakes.push(theirs.clone()));
    if theirs.infohash != shared.dataset.infohash() {
        return Ok(());
    }
    if shared.has(Fault::GarbageHandshake) {
        conn.stream.write_all(
            b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\nand more, to fill a handshake's length\r\n",
        )?;
        conn.stall();
        return Ok(());
    }
    let mut ours = Handshake::new(theirs.infohash, true);
    if shared.state.lock().unwrap().fast {
        ours = ours.with_fast();
    }
    let fast = ours.fast() && theirs.fast();
    if shared.has(Fault::WrongInfohash) {
        ours.infohash[0] ^= 0xFF;
    }
    conn.stream.write_all(&ours.write())?;
    if shared.has(Fault::SilentAfterHandshake) {
        conn.stall();
        return Ok(());
    }
    greet(conn, shared, theirs.extensions(), fast)?;

    let (reading, mut stream) = (conn.stream.try_clone()?, conn.stream.try_clone()?);
    let (sender, messages) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            while let Ok(message) = Message::read(&mut stream) {
                shared.stats(|stats| *stats.received.entry(message.id).or_default() += 1);
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        let pending = VecDeque::new();
        let client = Client {
            conn,
            shared,
            fast,
            messages,
            pending,
            choked: true,
            choked_once: false,
            sent: 0,
            leech: Leech::default(),
            metadata_id: None,
            dont_have_id: None,
        };
        let outcome = client.run();
        let _ = reading.shutdown(Shutdown::Both); // unblocks the reading thread
        outcome
    })
}

/// Sends the extension handshake and the pieces that the peer has, after the handshake.
fn greet(conn: &mut Conn, shared: &Shared, extensions: bool, fast: bool) -> Result<()> {
    let (have, haves, reqq, allowed) = {
        let state = shared.state.lock().unwrap();
        (state.have.clone(), state.haves, state.reqq, state.allowed.clone())
    };
    if extensions {
        let size = match shared.has(Fault::HugeMetadata) {
            true => 2 << 30,
            false => i64::try_from(shared.dataset.info_bytes().len()).unwrap(),
        };
        let more = shared.faults().into_iter().find_map(|fault| match fault {
            Fault::LongMetadata(more) => Some(more),
            Fault::TrickleMetadata => Some((50 << 20) - size),
            _ => None,
        });
        let mut hello = match shared.has(Fault::NoMetadata) {
            true => B::dict([("m", B::dict::<&str>([]))]),
            false => B::dict([
                ("m", B::dict([("ut_metadata", B::Int(OUR_METADATA_ID.into()))])),
                ("metadata_size", B::Int(size + more.unwrap_or(0))),
            ]),
        };
        if shared.state.lock().unwrap().hears {
            let ids = hello.at("m").unwrap().clone();
            hello = hello.with("m", ids.with("ut_pex", B::Int(OUR_PEX_ID.into())));
        }
        if shared.state.lock().unwrap().upload_only {
            hello = hello.with("upload_only", B::Int(1));
        }
        if let Some(reqq) = reqq {
            hello = hello.with("reqq", B::Int(reqq));
        }
        conn.stream.write_all(&wire::extended(0, &hello.write()))?;
    }
    // BEP 6: exactly one of bitfield, have-all and have-none, before any other message of BEP 3.
    let all_or_none = match have.iter().filter(|have| **have).count() {
        _ if !fast => None,
        0 => Some(wire::HAVE_NONE),
        count if count == have.len() => Some(wire::HAVE_ALL),
        _ => None,
    };
    let held = (0_u32..).zip(&have).filter(|(_, have)| **have);
    if let Some(id) = all_or_none {
        conn.stream.write_all(&wire::message(id, &[]))?;
    } else if haves {
        let messages: Vec<u8> = held.flat_map(|(piece, _)| wire::have(piece)).collect();
        conn.stream.write_all(&messages)?;
    } else {
        let mut bits = wire::bitfield(&have);
        for fault in shared.faults() {
            match fault {
                Fault::LongBitfield => bits.push(0),
                Fault::SpareBits => {
                    assert!(have.len() % 8 != 0, "{} pieces leave no spare bits", have.len());
                    *bits.last_mut().unwrap() |= 1;
                }
                _ => {}
            }
        }
        conn.stream.write_all(&wire::message(wire::BITFIELD, &bits))?;
    }
    for piece in allowed.iter().filter(|_| fast) {
        conn.stream.write_all(&wire::message(wire::ALLOWED_FAST, &piece.to_be_bytes()))?;
    }
    for fault in shared.faults() {
        match fault {
            Fault::HaveOutOfRange => {
                conn.stream.write_all(&wire::have(u32::try_from(have.len()).unwrap() + 5))?;
            }
            Fault::OversizedMessage => conn.stream.write_all(b"\xFF\xFF\xFF\xF0\x07 and so on")?,
            _ => {}
        }
    }
    Ok(())
}

/// One client, as the answering thread sees it.
pub struct Client<'a> {
    pub conn: &'a mut Conn,
    pub shared: &'a Shared,
    pub leech: Leech,
    /// Both sides support BEP 6: requests that are not served are rejected.
    fast: bool,
    messages: Receiver<Message>,
    pending: VecDeque<Block>,
    choked: bool,
    choked_once: bool,
    sent: usize,
    /// The client's message id of `ut_metadata`.
    pub metadata_id: Option<u8>,
    /// The client's message id of `lt_donthave`.
    dont_have_id: Option<u8>,
}

impl Client<'_> {
    fn run(mut self) -> Result<()> {
        loop {
            let faults = if self.choked { Vec::new() } else { self.shared.faults() };
            for fault in faults {
                match fault {
                    Fault::StallAfter(blocks) if self.sent >= blocks => return self.ignore(),
                    Fault::CloseAfter(blocks) if self.sent >= blocks => return Ok(()),
                    Fault::HalfCloseAfter(blocks) if self.sent >= blocks => {
                        self.conn.stream.shutdown(Shutdown::Write)?;
                        return self.ignore();
                    }
                    Fault::ChokeAfter(blocks) if self.sent >= blocks && !self.choked_once => {
                        self.choke_for_a_while()?;
                    }
                    _ => {}
                }
            }
            if self.pending.is_empty() {
                // The message may be the `interested` that ends the choke, so check the faults
                // again.
                let Ok(message) = self.messages.recv() else { return Ok(()) };
                self.handle(&message)?;
                continue;
            }
            self.take_what_came()?;
            let next = match self.shared.has(Fault::OutOfOrder) {
                true => self.pending.pop_back(),
                false => self.pending.pop_front(),
            };
            if let Some(block) = next {
                self.send(block)?;
            }
        }
    }

    /// Handles the messages received so far: requests and cancels. A client that closed its sending
    /// half still receives the blocks that it requested.
    fn take_what_came(&mut self) -> Result<()> {
        // Reordering needs several requests: give the client time to send them.
        while self.shared.has(Fault::OutOfOrder) && (1..8).contains(&self.pending.len()) {
            let Ok(message) = self.messages.recv_timeout(Duration::from_millis(100)) else { break };
            self.handle(&message)?;
        }
        while let Ok(message) = self.messages.try_recv() {
            self.handle(&message)?;
        }
        let outstanding = self.pending.len();
        self.shared.stats(|stats| {
            stats.most_outstanding = stats.most_outstanding.max(outstanding);
        });
        Ok(())
    }

    fn handle(&mut self, message: &Message) -> Result<()> {
        match message.id {
            wire::INTERESTED if self.choked && !self.shared.has(Fault::NeverUnchoke) => {
                self.choked = false;
                self.conn.stream.write_all(&wire::message(wire::UNCHOKE, &[]))?;
            }
            wire::REQUEST => {
                let block = message.block();
                let refused = self.shared.has(Fault::RejectPiece(block.piece));
                let allowed = self.shared.state.lock().unwrap().allowed.contains(&block.piece);
                if self.shared.has(Fault::LostPiece(block.piece)) {
                    let id = self.dont_have_id.expect("the client takes lt_donthave");
                    self.conn.stream.write_all(&wire::extended(id, &block.piece.to_be_bytes()))?;
                    self.reject(block)?;
                } else if self.range(block).is_none() {
                    self.shared.stats(|stats| stats.bad_requests.push(block));
                    self.reject(block)?;
                } else if !refused && (!self.choked || (self.fast && allowed)) {
                    self.pending.push_back(block);
                } else {
                    self.reject(block)?;
                }
            }
            wire::CANCEL => {
                let cancelled = message.block();
                let before = self.pending.len();
                self.pending.retain(|block| *block != cancelled);
                if self.pending.len() < before {
                    self.reject(cancelled)?;
                }
            }
            wire::EXTENDED => self.handle_extended(&message.payload)?,
            _ => self.leech(message)?,
        }
        Ok(())
    }

    fn handle_extended(&mut self, payload: &[u8]) -> Result<()> {
        let (id, body) = payload.split_first().expect("an extended message has an id");
        let (said, rest) = B::read(body).expect("an extended message is bencode");
        if *id == 0 {
            let id = |name| {
                let id = said.at("m").and_then(|ids| ids.int_at(name));
                id.map(|id| u8::try_from(id).unwrap())
            };
            self.metadata_id = id("ut_metadata");
            self.dont_have_id = id("lt_donthave");
            self.leech_metadata(&said)?;
            let pex_id = id("ut_pex");
            self.shared.stats(|stats| stats.extended_handshakes.push(said));
            return self.name_others(pex_id);
        }
        if *id == OUR_PEX_ID {
            self.shared.stats(|stats| stats.told.push(said));
            return Ok(());
        }
        if let (Some(1), Some(piece)) = (said.int_at("msg_type"), said.int_at("piece")) {
            self.shared.stats(|stats| stats.metadata.insert(piece, rest.to_vec()));
        }
        let (Some(reply_id), Some(0), Some(piece)) =
            (self.metadata_id, said.int_at("msg_type"), said.int_at("piece"))
        else {
            return Ok(());
        };
        self.shared.stats(|stats| stats.metadata_requests.push(piece));
        if self.shared.has(Fault::WithholdMetadata(piece)) {
            return Ok(());
        }
        if self.shared.has(Fault::OneMetadataRequest) {
            self.conn.pause(Duration::from_millis(50));
            if self.messages.try_recv().is_ok() {
                return self.ignore();
            }
        }
        if self.shared.has(Fault::TrickleMetadata) {
            if !self.conn.pause(Duration::from_millis(100)) {
                return Ok(());
            }
            let head = B::dict([("msg_type", B::Int(1)), ("piece", B::Int(piece))]).write();
            let reply = [head, vec![0; METADATA_BLOCK_BYTES]].concat();
            return self.conn.stream.write_all(&wire::extended(reply_id, &reply));
        }
        let info = self.shared.dataset.info_bytes();
        let block = info.chunks(METADATA_BLOCK_BYTES).nth(usize::try_from(piece).unwrap());
        let reply = match block {
            Some(block) if !self.shared.has(Fault::RejectMetadata) => {
                let head = B::dict([
                    ("msg_type", B::Int(1)),
                    ("piece", B::Int(piece)),
                    ("total_size", B::Int(i64::try_from(info.len()).unwrap())),
                ]);
                let mut block = block.to_vec();
                block[0] ^= if self.shared.has(Fault::CorruptMetadata) { 0xFF } else { 0 };
                [head.write(), block].concat()
            }
            _ => B::dict([("msg_type", B::Int(2)), ("piece", B::Int(piece))]).write(),
        };
        self.conn.stream.write_all(&wire::extended(reply_id, &reply))
    }

    /// The block's range of the stream, if this peer has the piece and the piece is that long.
    fn range(&self, block: Block) -> Option<Range<usize>> {
        let dataset = &self.shared.dataset;
        let (piece, begin) = (block.piece as usize, block.begin as usize);
        let start = piece * dataset.piece_bytes();
        let end = (start + dataset.piece_bytes()).min(dataset.stream().len());
        let range = start + begin..start + begin + block.length as usize;
        let had = self.shared.state.lock().unwrap().have.get(piece) == Some(&true);
        (had && !range.is_empty() && range.end <= end).then_some(range)
    }

    fn send(&mut self, block: Block) -> Result<()> {
        let Some(range) = self.range(block) else { return Ok(()) };
        let mut bytes = self.shared.dataset.stream()[range.clone()].to_vec();
        let (mut message, mut slow) = (Vec::new(), None);
        for fault in self.shared.faults() {
            match fault {
                Fault::CorruptAll => bytes[0] ^= 0xFF,
                Fault::CorruptPiece(piece) if piece == block.piece => bytes[0] ^= 0xFF,
                Fault::Slow { bytes_per_second } => slow = Some(bytes_per_second),
                Fault::Unrequested => {
                    let pieces = u32::try_from(self.shared.dataset.piece_count()).unwrap();
                    message = wire::piece((block.piece + 1) % pieces, block.begin, &bytes);
                }
                _ => {}
            }
        }
        message.extend(wire::piece(block.piece, block.begin, &bytes));
        self.shared.stats(|stats| {
            stats.coverage.record(range.start as u64..range.end as u64);
            stats.blocks_sent += 1;
        });
        self.sent += 1;
        match slow {
            Some(bytes_per_second) => self.conn.write_slowly(&message, bytes_per_second),
            None => self.conn.stream.write_all(&message),
        }
    }

    /// Rejects a request, if the client supports that (BEP 6).
    fn reject(&mut self, block: Block) -> Result<()> {
        if !self.fast {
            return Ok(());
        }
        self.shared.stats(|stats| stats.rejected.push(block));
        self.conn.stream.write_all(&wire::message(wire::REJECT, &wire::block(block)))
    }

    /// Chokes once. Requests received before the unchoke are dropped (BEP 3) or rejected (BEP 6).
    fn choke_for_a_while(&mut self) -> Result<()> {
        self.conn.stream.write_all(&wire::message(wire::CHOKE, &[]))?;
        self.conn.pause(Duration::from_millis(50));
        (self.choked, self.choked_once) = (true, true);
        while let Ok(message) = self.messages.try_recv() {
            self.handle(&message)?;
        }
        for block in std::mem::take(&mut self.pending) {
            self.reject(block)?;
        }
        self.choked = false;
        self.conn.stream.write_all(&wire::message(wire::UNCHOKE, &[]))
    }

    /// Reads without answering until the client hangs up.
    fn ignore(&mut self) -> Result<()> {
        while self.messages.recv().is_ok() {}
        Ok(())
    }
}
