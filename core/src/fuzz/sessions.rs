//! Sessions that receive their input in chunks: peers, datagrams, proxies.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

#[cfg(feature = "dht")]
use crate::protocol::dht;
use crate::protocol::extension::Offer;
use crate::protocol::peer::{PeerEvent, PeerSession};
use crate::protocol::socks::{self, Destination};
use crate::protocol::tracker::Announce;
use crate::protocol::udp_tracker::{self, TrackerPoll};
use crate::protocol::ut_metadata::MetadataMessage;
use crate::protocol::ut_metadata::blocks::{Blocks, Brought};
use crate::protocol::wire::BlockRequest;
use crate::torrent::infohash::Infohash;
use crate::torrent::pieces::PieceSet;

use super::Input;

/// The infohash of all sessions, which the seeds contain.
pub const INFOHASH: [u8; 20] = [7; 20];

/// Maximum number of rounds: longer inputs reach no new states.
const ROUNDS: usize = 256;

fn address(last: u8, port: u16) -> SocketAddr {
    (Ipv4Addr::new(192, 0, 2, last), port).into()
}

/// A connection to a peer, in both directions. Each round feeds a chunk, or does what a caller may
/// do in between.
pub fn peer(data: &[u8]) {
    let mut input = Input(data);
    let piece_count = 1 + input.below(300);
    let flags = input.byte();
    let offer = Offer {
        pex: flags & 1 != 0,
        wants_peers: flags & 2 != 0,
        serves: flags & 4 != 0,
        metadata_bytes: (flags & 8 != 0).then_some(20_000),
        wants_metadata: flags & 64 != 0,
        upload_only: flags & 16 != 0,
        port: (flags & 32 != 0).then_some(6881),
    };
    let infohash = Infohash::from_bytes(INFOHASH);
    let mut now = Duration::ZERO;
    let mut session = PeerSession::new(now, infohash, [1; 20], piece_count, offer);
    let (mut buffer, mut asked) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        if input.is_empty() {
            break;
        }
        let action = input.byte();
        now += Duration::from_secs(u64::from(action >> 3));
        match action & 7 {
            0 => {
                let request =
                    BlockRequest { piece: input.below(piece_count), begin: 0, length: 16_384 };
                if session.request(now, request) {
                    asked.push(request);
                }
            }
            1 => session.interested(input.byte() & 1 == 0),
            2 => session.set_choking(input.byte() & 1 == 0),
            3 => {
                if let Some(wanted) = session.first_wanted() {
                    if input.byte() & 1 == 0 {
                        session.served(wanted);
                    } else {
                        session.refuse(wanted);
                    }
                }
            }
            _ => buffer.extend_from_slice(input.chunk()),
        }
        session.poll(now);
        let mut at = 0;
        loop {
            let rest = &buffer[at..];
            match session.next(now, rest) {
                Ok(Some((event, used))) => {
                    assert!(used > 0 && used <= rest.len());
                    match event {
                        PeerEvent::Block { piece, begin, data } => {
                            let length = data.len() as u32;
                            let block = BlockRequest { piece, begin, length };
                            assert!(asked.contains(&block), "{block:?} was not asked for");
                        }
                        PeerEvent::Have(piece) | PeerEvent::DontHave(piece) => {
                            assert!(piece < piece_count)
                        }
                        PeerEvent::Bitfield(bits) => {
                            assert!(bits.len() >= piece_count.div_ceil(8) as usize);
                            assert!(
                                PieceSet::from_bitfield(bits, piece_count).len() <= piece_count
                            );
                        }
                        _ => {}
                    }
                    at += used;
                }
                Ok(None) => break,
                Err(_) => return,
            }
        }
        buffer.drain(..at);
        assert!(buffer.len() <= session.max_message_bytes() + usize::from(u16::MAX));
        let _ = (session.output(now), session.take_named(), session.take_dropped());
    }
}

/// Peers that are asked for metadata (BEP 9): the blocks that they provide together, and their
/// messages about pieces meanwhile.
pub fn metadata(data: &[u8]) {
    const MAX_BYTES: usize = 100_000;
    let infohash = Infohash::from_bytes(INFOHASH);
    let now = Duration::ZERO;
    let mut input = Input(data);
    let mut blocks = Blocks::new(infohash, MAX_BYTES);
    let new = || PeerSession::without_info(now, infohash, [1; 20]);
    let mut sessions: Vec<_> = (0..3).map(|_| (new(), Vec::new())).collect();
    for _ in 0..ROUNDS {
        if input.is_empty() {
            break;
        }
        let id = u32::from(input.byte()) % 3;
        let (session, buffer) = &mut sessions[id as usize];
        buffer.extend_from_slice(input.chunk());
        let mut at = 0;
        loop {
            let rest = &buffer[at..];
            let (event, used) = match session.next(now, rest) {
                Ok(Some(found)) => found,
                Ok(None) => break,
                Err(_) => {
                    blocks.leave(id);
                    (*session, at) = (new(), 0);
                    buffer.clear();
                    break;
                }
            };
            assert!(used > 0 && used <= rest.len());
            match event {
                PeerEvent::Extensions if !blocks.has(id) => {
                    if let Ok(bytes) = session.offered_metadata(MAX_BYTES) {
                        blocks.join(id, bytes);
                    }
                }
                PeerEvent::Metadata(MetadataMessage::Data { piece, total_bytes, data }) => {
                    match blocks.brought(id, piece, total_bytes, data) {
                        Ok(Brought::Whole(_)) => return, // nobody can find data with this SHA-1
                        Ok(_) => {}
                        Err(_) => blocks.leave(id),
                    }
                }
                PeerEvent::Metadata(MetadataMessage::Reject(piece)) => {
                    blocks.rejected(id, piece);
                }
                other => assert!(!matches!(
                    other,
                    PeerEvent::Have(_)
                        | PeerEvent::Bitfield(_)
                        | PeerEvent::HaveAll
                        | PeerEvent::DontHave(_)
                )),
            }
            at += used;
            if let Some(block) = blocks.ask(id) {
                session.send_metadata(MetadataMessage::Request(block));
            }
            let _ = session.output(now);
        }
        buffer.drain(..at);
    }
    let piece_count = 1 + input.below(300);
    for (mut session, _) in sessions {
        let none = PieceSet::none(piece_count);
        if let Ok(pieces) = session.begin_data(now, &none, piece_count, Offer::default()) {
            assert!(pieces.iter().all(|piece| piece < piece_count));
        }
    }
}

/// A UDP tracker that answers with any bytes.
pub fn udp_tracker(data: &[u8]) {
    let mut input = Input(data);
    let announce = Announce {
        infohash: Infohash::from_bytes(INFOHASH),
        peer_id: [1; 20],
        port: 1,
        uploaded_bytes: 0,
        downloaded_bytes: 0,
        left_bytes: 1,
        event: None,
        numwant: 50,
        key: 1,
    };
    let ipv6 = input.byte() & 1 == 0;
    let mut session = udp_tracker::UdpTrackerSession::new(ipv6, Duration::from_secs(15), 7);
    session.announce(&announce, "/announce");
    let mut now = Duration::ZERO;
    let mut sent = Vec::new();
    for _ in 0..ROUNDS {
        match session.poll(now) {
            TrackerPoll::Send(datagram) => sent = datagram,
            TrackerPoll::Wait(until) => assert!(until > now),
            TrackerPoll::Silent | TrackerPoll::Idle => {}
        }
        if input.is_empty() {
            break;
        }
        now += Duration::from_secs(u64::from(input.byte()));
        let mut answer = input.chunk().to_vec();
        // A fuzzer does not guess transaction IDs, so most answers get that of the request.
        if input.byte() & 3 != 0 && answer.len() >= 8 && sent.len() >= 16 {
            answer[4..8].copy_from_slice(&sent[12..16]);
        }
        if session.handle(&answer, now).is_some() {
            session.announce(&announce, "/announce");
        }
    }
    let _ = session.silence();
}

/// A DHT lookup whose nodes answer with any bytes.
#[cfg(feature = "dht")]
pub fn dht(data: &[u8]) {
    let mut input = Input(data);
    let infohash = Infohash::from_bytes(INFOHASH);
    let mut search = dht::DhtSearch::new([2; 20], infohash, Duration::from_secs(2), 7);
    for last in 1..=3 {
        search.add(dht::Contact { id: None, address: address(last, 6881) });
    }
    let (mut now, mut asked) = (Duration::ZERO, None);
    let mut peers = std::collections::HashSet::new();
    for _ in 0..ROUNDS {
        match search.poll(now) {
            dht::DhtPoll::Send(to, datagram) => asked = Some((to, datagram)),
            dht::DhtPoll::Wait(until) => assert!(until > now),
            dht::DhtPoll::Done => break,
        }
        if input.is_empty() {
            break;
        }
        now += Duration::from_millis(u64::from(input.byte()) * 20);
        let Some((to, query)) = &asked else { continue };
        let mut answer = input.chunk().to_vec();
        // Four bytes after `1:t4:`, which get the transaction ID as above.
        let transaction = |bytes: &[u8]| {
            let at = bytes.windows(5).position(|window| window == b"1:t4:")?;
            (bytes.len() >= at + 9).then_some(at + 5..at + 9)
        };
        if let (Some(at), Some(asked_at)) = (transaction(&answer), transaction(query)) {
            answer[at].copy_from_slice(&query[asked_at]);
        }
        for peer in search.handle(*to, &answer) {
            assert!(peers.insert(peer), "{peer} was named twice");
        }
    }
    let _ = (search.answered(), search.announce(6881));
}

/// A SOCKS proxy that answers with any bytes.
pub fn socks(data: &[u8]) {
    let mut input = Input(data);
    let login = (input.byte() & 1 == 0).then_some(("user", "password"));
    let text = String::from_utf8_lossy(input.chunk());
    let target = Destination::parse(&text).unwrap_or(Destination::Address(address(1, 80)));
    let Ok((mut session, greeting)) = socks::SocksSession::new(&target, login) else { return };
    assert!(!greeting.is_empty());
    while session.wants() > 0 {
        let answer = input.take(session.wants());
        if answer.len() < session.wants() || session.handle(answer).is_err() {
            return;
        }
    }
    assert!(session.has_asked());
}
