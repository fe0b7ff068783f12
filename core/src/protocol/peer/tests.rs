use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::protocol::extension;
use crate::protocol::wire::WireError;
use crate::torrent::pieces::PieceSet;

mod early;
mod extended;
mod fast;
mod limit;
mod serving;

const INFOHASH: Infohash = Infohash::from_bytes([7; 20]);
const OURS: [u8; 20] = *b"-AT0100-ourselvesxyz";
const THEIRS: [u8; 20] = *b"-TR3000-themselvesxy";
const OFFER: Offer = Offer {
    pex: true,
    wants_peers: true,
    serves: true,
    metadata_bytes: Some(40_000),
    wants_metadata: false,
    upload_only: false,
    port: Some(6881),
};
const BLOCK: u32 = 16 << 10;

fn at(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn session(piece_count: u32) -> PeerSession {
    PeerSession::new(at(0), INFOHASH, OURS, piece_count, OFFER)
}

/// A session after both handshakes, with nothing left to send.
fn open(piece_count: u32) -> PeerSession {
    let mut session = session(piece_count);
    session.output(at(0));
    let theirs = handshake(0x10, [7; 20], THEIRS);
    let (event, _) = session.next(at(0), &theirs).unwrap().unwrap();
    assert_eq!(event, PeerEvent::HandshakeDone { peer_id: THEIRS, extensions: true });
    session.introduce(&PieceSet::none(piece_count));
    session.output(at(0));
    session
}

fn unchoked(piece_count: u32) -> PeerSession {
    let mut session = open(piece_count);
    assert_eq!(said(&mut session, &frame(1, &[])), Ok(PeerEvent::Unchoked));
    session
}

/// Written by hand, so that a mistake in `wire` is not repeated here.
fn handshake(flag: u8, infohash: [u8; 20], peer_id: [u8; 20]) -> Vec<u8> {
    let reserved = [0, 0, 0, 0, 0, flag, 0, 0];
    [b"\x13BitTorrent protocol".as_slice(), &reserved, &infohash, &peer_id].concat()
}

/// With the flags of both extensions.
fn fast_handshake(infohash: [u8; 20], peer_id: [u8; 20]) -> Vec<u8> {
    let mut bytes = handshake(0x10, infohash, peer_id);
    bytes[27] = 0x04;
    bytes
}

fn frame(id: u8, payload: &[u8]) -> Vec<u8> {
    [&(payload.len() as u32 + 1).to_be_bytes(), [id].as_slice(), payload].concat()
}

fn block_frame(request: BlockRequest) -> Vec<u8> {
    let head = [request.piece.to_be_bytes(), request.begin.to_be_bytes()].concat();
    frame(7, &[head, vec![b'x'; request.length as usize]].concat())
}

fn said<'b>(session: &mut PeerSession, bytes: &'b [u8]) -> Result<PeerEvent<'b>, PeerError> {
    said_at(session, 0, bytes)
}

fn said_at<'b>(
    session: &mut PeerSession,
    millis: u64,
    bytes: &'b [u8],
) -> Result<PeerEvent<'b>, PeerError> {
    let (event, used) = session.next(at(millis), bytes)?.expect("a whole message");
    assert_eq!(used, bytes.len());
    Ok(event)
}

fn block(n: u32) -> BlockRequest {
    BlockRequest { piece: n, begin: 0, length: BLOCK }
}

#[test]
fn our_handshake_comes_first_and_the_extension_handshake_after_theirs() {
    let mut session = session(1);
    assert_eq!(session.output(at(0)), Some(fast_handshake([7; 20], OURS)));
    assert_eq!(session.output(at(0)), None);
    let theirs = handshake(0x10, [7; 20], THEIRS);
    assert_eq!(session.next(at(0), &theirs[..67]), Ok(None));
    assert_eq!(
        said(&mut session, &theirs),
        Ok(PeerEvent::HandshakeDone { peer_id: THEIRS, extensions: true })
    );
    session.introduce(&PieceSet::none(1));
    assert_eq!(
        session.output(at(0)),
        Some(frame(20, &[b"\0", extension::encode_ours(&OFFER).as_slice()].concat()))
    );
}

#[test]
fn handshakes_that_end_the_session() {
    let check = |bytes: &[u8], expected: PeerError| {
        assert_eq!(said(&mut session(1), bytes), Err(expected));
    };
    let other = Infohash::from_bytes([8; 20]);
    check(&handshake(0, [8; 20], THEIRS), PeerError::OtherTorrent(other));
    check(&handshake(0, [7; 20], OURS), PeerError::Ourselves);
    check(b"SSH-2.0-OpenSSH", PeerError::Wire(WireError::NotBitTorrent));
}

#[test]
fn bitfields_are_checked_against_the_piece_count() {
    let check = |piece_count, bits: &[u8], expected| {
        assert_eq!(said(&mut open(piece_count), &frame(5, bits)), expected);
    };
    check(8, b"\xff", Ok(PeerEvent::Bitfield(b"\xff")));
    check(9, b"\xff\x80", Ok(PeerEvent::Bitfield(b"\xff\x80")));
    // Some peers set the bits beyond the last piece, and some bitfields are too long.
    check(9, b"\xff\x40", Ok(PeerEvent::Bitfield(b"\xff\x40")));
    check(9, b"\xff", Err(PeerError::BitfieldLength { bytes: 1, expected_bytes: 2 }));
    check(9, b"\xff\x80\x01", Ok(PeerEvent::Bitfield(b"\xff\x80\x01")));
    // Two million pieces need 250,000 bytes, more than the longest block.
    let bits = vec![0xff; 250_000];
    check(2_000_000, &bits, Ok(PeerEvent::Bitfield(&bits)));
}

#[test]
fn a_bitfield_may_come_late_and_again_but_not_without_end() {
    let check = |before: &[u8], expected| {
        let mut session = open(8);
        said(&mut session, before).unwrap();
        assert_eq!(said(&mut session, &frame(5, b"\x01")), expected);
    };
    // aria2 sends a bitfield in place of many `have` messages.
    check(&frame(5, b"\0"), Ok(PeerEvent::Bitfield(b"\x01")));
    check(&frame(4, b"\0\0\0\x01"), Ok(PeerEvent::Bitfield(b"\x01")));
    // Transmission sends its extension handshake first.
    check(&frame(20, b"\0de"), Ok(PeerEvent::Bitfield(b"\x01")));
    check(&frame(9, b"\x1a\xe1"), Ok(PeerEvent::Bitfield(b"\x01")));
    check(&[0; 4], Ok(PeerEvent::Bitfield(b"\x01")));
    let mut session = open(8);
    for _ in 0..100 {
        assert_eq!(said(&mut session, &frame(5, b"\x01")), Ok(PeerEvent::Bitfield(b"\x01")));
    }
    assert_eq!(said(&mut session, &frame(5, b"\x01")), Err(PeerError::TooManyBitfields));
}

#[test]
fn a_have_beyond_the_last_piece_ends_the_session() {
    let mut session = open(8);
    assert_eq!(said(&mut session, &frame(4, b"\0\0\0\x07")), Ok(PeerEvent::Have(7)));
    assert_eq!(said(&mut session, &frame(4, b"\0\0\0\x08")), Err(PeerError::NoSuchPiece(8)));
}

#[test]
fn what_a_leecher_asks_us_is_ignored() {
    let mut session = open(8);
    let check = |session: &mut PeerSession, bytes: &[u8]| {
        assert_eq!(said(session, bytes), Ok(PeerEvent::Ignored));
        assert_eq!(session.output(at(0)), None);
    };
    check(&mut session, &frame(2, &[]));
    check(&mut session, &frame(3, &[]));
    check(&mut session, &frame(6, &[0; 12]));
    check(&mut session, &frame(8, &[0; 12]));
    check(&mut session, &frame(0x11, &[0; 4]));
    check(&mut session, &frame(20, b"\x07whatever"));
    assert_eq!(said(&mut session, &frame(20, b"\0not bencode")), Ok(PeerEvent::Extensions));
}

#[test]
fn a_message_over_the_longest_bitfield_and_block_is_refused_from_its_prefix() {
    let mut session = open(8);
    let max = session.max_message_bytes() as u32;
    assert_eq!(max, 4 + 9 + (128 << 10));
    assert_eq!(session.next(at(0), &(max - 4).to_be_bytes()), Ok(None));
    assert!(matches!(session.next(at(0), &(max - 3).to_be_bytes()), Err(PeerError::Wire(_))));
    assert!(open(2_000_000).max_message_bytes() > 250_000);
}

#[test]
fn only_blocks_that_were_asked_for_count_to_the_byte() {
    let mut session = unchoked(8);
    let asked = BlockRequest { piece: 3, begin: BLOCK, length: BLOCK };
    assert!(session.request(at(0), asked));
    let wire = [3_u32.to_be_bytes(), BLOCK.to_be_bytes(), BLOCK.to_be_bytes()].concat();
    assert_eq!(session.output(at(0)), Some(frame(6, &wire)));
    let ignored = |session: &mut PeerSession, other| {
        assert_eq!(said(session, &block_frame(other)), Ok(PeerEvent::Ignored));
    };
    ignored(&mut session, BlockRequest { piece: 2, ..asked });
    ignored(&mut session, BlockRequest { begin: 0, ..asked });
    ignored(&mut session, BlockRequest { length: BLOCK - 1, ..asked });
    assert_eq!((session.outstanding(), session.ignored_blocks()), (1, 3));
    let bytes = block_frame(asked);
    let data = &bytes[13..];
    assert_eq!(said(&mut session, &bytes), Ok(PeerEvent::Block { piece: 3, begin: BLOCK, data }));
    ignored(&mut session, asked);
    assert_eq!(session.outstanding(), 0);
}

#[test]
fn nothing_is_asked_of_a_peer_that_chokes_nor_beyond_the_longest_block() {
    assert!(!open(8).request(at(0), block(0)));
    assert!(!unchoked(8).request(at(0), BlockRequest { length: 0, ..block(0) }));
    assert!(!unchoked(8).request(at(0), BlockRequest { length: MAX_BLOCK_BYTES + 1, ..block(0) }));
    assert!(unchoked(8).request(at(0), BlockRequest { length: MAX_BLOCK_BYTES, ..block(0) }));
}

#[test]
fn a_choke_drops_what_is_outstanding_and_says_what() {
    let mut session = unchoked(8);
    (0..3).for_each(|n| assert!(session.request(at(0), block(n))));
    assert_eq!(said(&mut session, &frame(0, &[])), Ok(PeerEvent::Choked));
    assert_eq!(session.outstanding(), 0);
    assert_eq!(session.take_dropped(), [block(0), block(1), block(2)]);
    assert_eq!(session.take_dropped(), []);
    assert!(session.is_choked());
    // Blocks that were in flight when the peer choked us are not counted as unrequested.
    (0..3).for_each(|n| {
        assert_eq!(said(&mut session, &block_frame(block(n))), Ok(PeerEvent::Ignored))
    });
}

#[test]
fn a_cancelled_block_that_comes_all_the_same_is_ignored() {
    let mut session = unchoked(8);
    session.request(at(0), block(1));
    session.output(at(0));
    assert!(session.cancel(block(1)));
    assert!(!session.cancel(block(1)));
    let wire = [1_u32.to_be_bytes(), 0_u32.to_be_bytes(), BLOCK.to_be_bytes()].concat();
    assert_eq!(session.output(at(0)), Some(frame(8, &wire)));
    assert_eq!(said(&mut session, &block_frame(block(1))), Ok(PeerEvent::Ignored));
}

#[test]
fn a_peer_that_floods_us_with_blocks_is_shown_the_door() {
    let mut session = unchoked(8);
    session.request(at(0), block(0));
    session.cancel(block(0));
    let bytes = block_frame(BlockRequest { length: 1, ..block(1) });
    (0..65).for_each(|_| assert_eq!(said(&mut session, &bytes), Ok(PeerEvent::Ignored)));
    assert_eq!(said(&mut session, &bytes), Err(PeerError::Flood));
}

#[test]
fn interest_is_said_once() {
    let mut session = open(8);
    session.interested(false);
    assert_eq!(session.output(at(0)), None);
    session.interested(true);
    session.interested(true);
    assert_eq!(session.output(at(0)), Some(frame(2, &[])));
    session.interested(false);
    assert_eq!(session.output(at(0)), Some(frame(3, &[])));
}

#[test]
fn a_keep_alive_is_due_after_100_seconds_without_sending() {
    let mut session = open(8);
    session.poll(at(99_999));
    assert_eq!(session.output(at(99_999)), None);
    session.poll(at(100_000));
    session.poll(at(100_000));
    assert_eq!(session.output(at(100_000)), Some(vec![0; 4]));
    session.interested(true);
    session.output(at(150_000));
    session.poll(at(249_999));
    assert_eq!(session.output(at(249_999)), None);
    assert_eq!(session.keep_alive_at(), at(250_000));
}

#[test]
fn silence_ends_with_each_new_byte_even_within_a_message() {
    let mut session = unchoked(8);
    let bytes = block_frame(block(0));
    session.request(at(0), block(0));
    assert_eq!(session.next(at(1_000), &bytes[..5]), Ok(None));
    assert_eq!(session.next(at(5_000), &bytes[..5]), Ok(None));
    assert_eq!(session.silent_for(at(5_000)), at(4_000));
    assert_eq!(session.next(at(6_000), &bytes[..6]), Ok(None));
    assert_eq!(session.silent_for(at(6_000)), at(0));
}

#[test]
fn the_oldest_request_tells_its_age() {
    let mut session = unchoked(8);
    assert_eq!(session.oldest_request_age(at(0)), None);
    session.request(at(1_000), block(0));
    session.request(at(2_000), block(1));
    assert_eq!(session.oldest_request_age(at(5_000)), Some(at(4_000)));
    said_at(&mut session, 5_000, &block_frame(block(0))).unwrap();
    assert_eq!(session.oldest_request_age(at(5_000)), Some(at(3_000)));
    assert_eq!(session.outstanding_requests().collect::<Vec<_>>(), [block(1)]);
}

/// Checks the queue depth after five seconds with a block every `interval_ms`.
fn check_depth(reqq: Option<u32>, interval_ms: u64, expected: usize) {
    let mut session = unchoked(100_000);
    if let Some(reqq) = reqq {
        let payload = format!("\0d4:reqqi{reqq}ee");
        assert_eq!(said(&mut session, &frame(20, payload.as_bytes())), Ok(PeerEvent::Extensions));
    }
    for n in 0..5_000 / interval_ms {
        session.request(at(n * interval_ms), block(n as u32));
        said_at(&mut session, n * interval_ms, &block_frame(block(n as u32))).unwrap();
    }
    assert_eq!(session.queue_depth(), expected, "reqq {reqq:?}, every {interval_ms} ms");
}

#[test]
fn the_queue_is_three_seconds_deep_between_64_and_what_the_peer_keeps() {
    check_depth(None, 100, 64);
    check_depth(None, 20, 150);
    check_depth(Some(2_000), 10, 300);
    check_depth(None, 10, 250);
    check_depth(Some(2_000), 2, 500);
    check_depth(Some(100), 10, 100);
    check_depth(Some(10), 10, 10);
}

#[test]
fn the_queue_grows_with_each_block_until_the_rate_is_known() {
    let mut session = unchoked(100_000);
    for n in 0..100 {
        assert_eq!(session.queue_depth(), 64 + n as usize);
        session.request(at(0), block(n));
        said_at(&mut session, u64::from(n), &block_frame(block(n))).unwrap();
    }
}

#[test]
fn time_spent_choked_is_not_counted_as_slow() {
    let mut session = unchoked(8);
    let receive = |session: &mut PeerSession, from_ms: u64| {
        for n in 0..100 {
            session.request(at(from_ms + n * 10), block(0));
            said_at(session, from_ms + n * 10, &block_frame(block(0))).unwrap();
        }
    };
    receive(&mut session, 0);
    let before = session.bytes_per_second();
    said_at(&mut session, 1_000, &frame(0, &[])).unwrap();
    said_at(&mut session, 60_000, &frame(1, &[])).unwrap();
    receive(&mut session, 60_000);
    assert_eq!((before, session.bytes_per_second()), (1_638_400, 1_638_400));
}

proptest! {
    #[test]
    fn a_stream_means_the_same_however_it_is_cut(cuts in vec(1_usize..40, 1..60)) {
        let mut stream = handshake(0x10, [7; 20], THEIRS);
        stream.extend(frame(5, b"\xa0"));
        stream.extend(frame(1, &[]));
        stream.extend(frame(4, b"\0\0\0\x07"));
        stream.extend([0; 4]);
        stream.extend(frame(0, &[]));
        let mut session = session(8);
        let (mut read, mut used, mut events) = (0, 0, 0);
        for cut in cuts.into_iter().chain([stream.len()]) {
            read = (read + cut).min(stream.len());
            while let Some((_, took)) = session.next(at(0), &stream[used..read]).unwrap() {
                used += took;
                events += 1;
            }
        }
        prop_assert_eq!((used, events), (stream.len(), 6));
    }

    #[test]
    fn random_messages_never_panic(
        messages in vec((0_u8..22, vec(any::<u8>(), 0..20)), 0..20),
    ) {
        let mut session = open(20);
        for (id, payload) in messages {
            let _ = session.next(at(0), &frame(id, &payload));
        }
    }
}
