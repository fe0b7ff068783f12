//! Sessions that start before `info` is known.

use super::fast::words;
use super::*;
use crate::protocol::ut_metadata::{MetadataError, MetadataMessage};

const MAX_INFO: usize = 1 << 20;
const HELLO: &[u8] = b"\0d1:md11:ut_metadatai3ee13:metadata_sizei40000ee";

fn dont_have(piece: u32) -> Vec<u8> {
    frame(20, &[&[extension::DONT_HAVE_ID][..], &piece.to_be_bytes()].concat())
}

/// A session after both handshakes.
pub(super) fn early() -> PeerSession {
    let mut session = PeerSession::without_info(at(0), INFOHASH, OURS);
    assert_eq!(session.output(at(0)), Some(fast_handshake([7; 20], OURS)));
    said(&mut session, &fast_handshake([7; 20], THEIRS)).unwrap();
    session.introduce(&PieceSet::none(0));
    let sent = session.output(at(0)).unwrap();
    // BEP 6 requires stating first that we have no pieces.
    let hello = sent.strip_prefix(&frame(15, &[])[..]).unwrap();
    assert!(hello.windows(20).any(|part| part == b"e11:ut_metadatai2ee4"), "{sent:?}");
    session
}

/// The pieces that a peer has, after these messages arrived while their number was unknown.
fn known(messages: &[Vec<u8>], piece_count: u32) -> Result<Vec<u32>, PeerError> {
    let mut session = early();
    for message in messages {
        assert_eq!(said(&mut session, message), Ok(PeerEvent::Ignored));
    }
    let none = PieceSet::none(piece_count);
    let pieces = session.begin_data(at(0), &none, piece_count, OFFER)?;
    Ok(pieces.iter().collect())
}

#[test]
fn what_a_peer_says_of_its_pieces_is_kept_until_their_number_is_known() {
    let (all, none) = (frame(14, &[]), frame(15, &[]));
    let have = |piece: u32| words(4, &[piece]);
    let bits = |bits: &[u8]| frame(5, bits);
    let check = |messages: &[Vec<u8>], expected: &[u32]| {
        assert_eq!(known(messages, 10).as_deref(), Ok(expected), "{messages:?}");
    };
    check(&[], &[]);
    check(&[none.clone(), have(9), have(0)], &[0, 9]);
    check(&[bits(b"\xc0\x40"), have(4), dont_have(1)], &[0, 4, 9]);
    check(&[none.clone(), all.clone()], &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    check(&[all.clone(), dont_have(0), dont_have(9), have(9)], &[1, 2, 3, 4, 5, 6, 7, 8, 9]);
    check(&[all.clone(), bits(b"\x80\0")], &[0]);
    // Bits beyond the last piece, and a piece that fits into the last byte.
    check(&[bits(b"\x80\x3f")], &[0]);
    check(&[bits(b"\x80\x3f\xff")], &[0]);
    check(&[bits(&[0xff; 400_000])], &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    check(&[have(10), have(9)], &[9]);
    check(&[all, none], &[]);
}

#[test]
fn what_does_not_fit_the_torrent_ends_the_session_once_that_is_known() {
    let check = |message: &[u8], expected| {
        assert_eq!(known(&[message.to_vec()], 10), Err(expected));
    };
    check(&frame(5, b"\xff"), PeerError::BitfieldLength { bytes: 1, expected_bytes: 2 });
    check(&words(4, &[16]), PeerError::NoSuchPiece(10));
    let mut session = early();
    assert_eq!(said(&mut session, &words(17, &[10])), Ok(PeerEvent::AllowedFast(10)));
    let none = PieceSet::none(10);
    assert_eq!(session.begin_data(at(0), &none, 10, OFFER), Err(PeerError::NoSuchPiece(10)));
    // More pieces than any torrent may have.
    let piece = 4_000_000_000;
    assert_eq!(said(&mut early(), &words(4, &[piece])), Err(PeerError::NoSuchPiece(piece)));
    assert!(matches!(early().next(at(0), &[0, 9, 0, 0]), Err(PeerError::Wire(_))));
}

#[test]
fn metadata_is_requested_and_comes_among_other_messages() {
    let mut session = early();
    assert_eq!(said(&mut session, &frame(20, HELLO)), Ok(PeerEvent::Extensions));
    assert_eq!(session.offered_metadata(MAX_INFO), Ok(40_000));
    session.send_metadata(MetadataMessage::Request(2));
    let request = frame(20, b"\x03d8:msg_typei0e5:piecei2ee");
    assert_eq!(session.output(at(0)), Some(request));
    assert_eq!(said(&mut session, &frame(1, &[])), Ok(PeerEvent::Unchoked));
    let data = frame(20, b"\x02d8:msg_typei1e5:piecei2e10:total_sizei40000eeabc");
    let message = MetadataMessage::Data { piece: 2, total_bytes: Some(40_000), data: b"abc" };
    assert_eq!(said(&mut session, &data), Ok(PeerEvent::Metadata(message)));
    let reject = frame(20, b"\x02d8:msg_typei2e5:piecei1ee");
    let rejected = PeerEvent::Metadata(MetadataMessage::Reject(1));
    assert_eq!(said(&mut session, &reject), Ok(rejected));
    // A request for metadata is answered with a reject.
    assert_eq!(
        said(&mut session, &frame(20, b"\x02d8:msg_typei0e5:piecei0ee")),
        Ok(PeerEvent::Ignored)
    );
    let no = frame(20, b"\x03d8:msg_typei2e5:piecei0ee");
    assert_eq!(session.output(at(0)), Some(no));
}

#[test]
fn a_peer_that_offers_no_metadata_is_known_by_its_extension_handshake() {
    let check = |hello: &[u8], expected| {
        let mut session = early();
        let hello = frame(20, &[b"\0", hello].concat());
        assert_eq!(said(&mut session, &hello), Ok(PeerEvent::Extensions));
        assert_eq!(session.offered_metadata(MAX_INFO), Err(expected));
    };
    check(b"d1:md6:ut_pexi1eee", MetadataError::NotOffered);
    check(b"nonsense", MetadataError::NotOffered);
    check(b"d1:md11:ut_metadatai3eee", MetadataError::NotThere);
    check(b"d1:md11:ut_metadatai3ee13:metadata_sizei0ee", MetadataError::NotThere);
    let (bytes, max_bytes) = (2 << 30, MAX_INFO);
    let size = format!("d1:md11:ut_metadatai3ee13:metadata_sizei{bytes}ee");
    check(size.as_bytes(), MetadataError::TooLong { bytes, max_bytes });
}

#[test]
fn with_info_it_goes_on_as_any_other_at_another_clock() {
    let mut session = early();
    said(&mut session, &frame(20, HELLO)).unwrap();
    said(&mut session, &frame(1, &[])).unwrap();
    let mut ours = PieceSet::none(10);
    ours.insert(3);
    session.begin_data(at(5), &ours, 10, OFFER).unwrap();
    let hello = frame(20, &[b"\0", extension::encode_ours(&OFFER).as_slice()].concat());
    assert_eq!(session.output(at(5)), Some([hello, words(4, &[3])].concat()));
    assert_eq!(session.keep_alive_at(), at(100_005));
    assert!(session.request(at(6), block(9)));
    assert_eq!(said(&mut session, &words(4, &[9])), Ok(PeerEvent::Have(9)));
    assert_eq!(said(&mut session, &words(4, &[10])), Err(PeerError::NoSuchPiece(10)));
}

proptest! {
    #[test]
    fn random_messages_never_panic(
        messages in vec((0_u8..22, vec(any::<u8>(), 0..20)), 0..20),
        piece_count in 1_u32..200,
    ) {
        let mut session = early();
        for (id, payload) in messages {
            let _ = session.next(at(0), &frame(id, &payload));
        }
        let none = PieceSet::none(piece_count);
        if let Ok(pieces) = session.begin_data(at(0), &none, piece_count, OFFER) {
            prop_assert!(pieces.iter().all(|piece| piece < piece_count));
        }
    }
}
