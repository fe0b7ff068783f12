//! Extension messages (BEP 10).

use super::*;
use crate::protocol::pex::{self, Neighbour};

#[test]
fn a_peer_without_the_bit_is_sent_no_extension_handshake() {
    let mut session = session(1);
    session.output(at(0));
    let theirs = handshake(0, [7; 20], THEIRS);
    assert_eq!(
        said(&mut session, &theirs),
        Ok(PeerEvent::HandshakeDone { peer_id: THEIRS, extensions: false })
    );
    session.introduce(&PieceSet::none(1));
    assert_eq!(session.output(at(0)), None);
    assert_eq!(said(&mut session, &frame(20, b"\0d4:reqqi9ee")), Ok(PeerEvent::Ignored));
    assert_eq!(session.queue_depth(), 64);
}

#[test]
fn a_later_extension_handshake_changes_only_what_it_says() {
    let mut session = open(8);
    said(&mut session, &frame(20, b"\0d4:reqqi99e1:v4:abcde")).unwrap();
    assert_eq!(said(&mut session, &frame(20, b"\0de")), Ok(PeerEvent::Extensions));
    assert_eq!(session.theirs.reqq, Some(99));
    assert_eq!(session.client(), Some("abcd"));
}

#[test]
fn a_later_extension_handshake_leaves_the_extensions_that_it_does_not_name() {
    let mut session = open(8);
    let metadata = |session: &PeerSession| session.theirs.id(b"ut_metadata");
    said(&mut session, &frame(20, b"\0d1:md11:ut_metadatai3e6:ut_pexi1eee")).unwrap();
    said(&mut session, &frame(20, b"\0d1:md6:ut_pexi2eee")).unwrap();
    assert_eq!((metadata(&session), session.theirs.id(b"ut_pex")), (Some(3), Some(2)));
    // ID 0 disables an extension.
    said(&mut session, &frame(20, b"\0d1:md11:ut_metadatai0eee")).unwrap();
    assert_eq!((metadata(&session), session.theirs.id(b"ut_pex")), (None, Some(2)));
}

#[test]
fn a_peer_that_wants_nothing_may_change_its_mind() {
    let mut session = open(8);
    assert!(!session.is_upload_only());
    said(&mut session, &frame(20, b"\0d11:upload_onlyi1ee")).unwrap();
    assert!(session.is_upload_only());
    said(&mut session, &frame(20, b"\0d4:reqqi9ee")).unwrap();
    assert!(session.is_upload_only());
    said(&mut session, &frame(20, b"\0d11:upload_onlyi0ee")).unwrap();
    assert!(!session.is_upload_only());
}

#[test]
fn a_piece_that_a_peer_has_no_more() {
    let check = |payload: &[u8], expected| {
        let bytes = frame(20, &[&[extension::DONT_HAVE_ID], payload].concat());
        assert_eq!(said(&mut open(8), &bytes), expected);
    };
    check(b"\0\0\0\x07", Ok(PeerEvent::DontHave(7)));
    check(b"\0\0\0\x08", Err(PeerError::NoSuchPiece(8)));
    check(b"\0\0\x07", Ok(PeerEvent::Ignored));
    check(b"\0\0\0\x07\0", Ok(PeerEvent::Ignored));
    // A peer without extensions cannot send it.
    let mut session = session(8);
    said(&mut session, &handshake(0, [7; 20], THEIRS)).unwrap();
    let bytes = frame(20, &[extension::DONT_HAVE_ID, 0, 0, 0, 7]);
    assert_eq!(said(&mut session, &bytes), Ok(PeerEvent::Ignored));
}

#[test]
fn peers_are_named_where_we_asked_for_that() {
    let message = [b"\x01d5:added6:", &[10, 0, 0, 1, 0x1a, 0xe1][..], b"e"].concat();
    let bytes = frame(20, &message);
    let mut session = open(8);
    assert_eq!(said(&mut session, &bytes), Ok(PeerEvent::PeersNamed));
    assert_eq!(session.take_named(), ["10.0.0.1:6881".parse().unwrap()]);
    assert_eq!(session.take_named(), []);
    for offer in [Offer { pex: false, ..OFFER }, Offer { wants_peers: false, ..OFFER }] {
        let mut other = PeerSession::new(at(0), INFOHASH, OURS, 8, offer);
        said(&mut other, &handshake(0x10, [7; 20], THEIRS)).unwrap();
        assert_eq!(said(&mut other, &bytes), Ok(PeerEvent::Ignored));
        assert_eq!(other.take_named(), []);
    }
}

#[test]
fn peers_are_told_to_who_takes_that_where_we_offer_it() {
    let connected =
        [Neighbour { address: "10.0.0.1:6881".parse().unwrap(), flags: pex::REACHABLE }];
    let near = Some("10.0.0.2".parse().unwrap());
    let takes: &[u8] = b"\0d1:md6:ut_pexi7eee";
    let told = |offer: Offer, hello: &[u8]| {
        let mut session = PeerSession::new(at(0), INFOHASH, OURS, 8, offer);
        said(&mut session, &handshake(0x10, [7; 20], THEIRS)).unwrap();
        session.output(at(0));
        assert!(!session.may_be_told(at(0)));
        said(&mut session, &frame(20, hello)).unwrap();
        assert!(!session.may_be_told(at(0)), "first once others had time to connect, too");
        if session.may_be_told(at(1_000)) {
            session.tell_of(at(1_000), near, &connected);
        }
        session.output(at(1_000))
    };
    let message = b"\x07d5:added6:\x0a\0\0\x01\x1a\xe17:added.f1:\x106:added60:8:added6.f0:7:dropped0:8:dropped60:e";
    assert_eq!(told(OFFER, takes), Some(frame(20, message)));
    assert_eq!(told(OFFER, b"\0d1:md6:ut_pexi0eee"), None);
    assert_eq!(told(OFFER, b"\0d1:pi6881ee"), None);
    assert_eq!(told(Offer { pex: false, ..OFFER }, takes), None);
}

#[test]
fn where_a_peer_listens_holds_until_it_says_otherwise() {
    let mut session = open(8);
    assert_eq!(session.listen_port(), None);
    said(&mut session, &frame(20, b"\0d1:pi6881ee")).unwrap();
    said(&mut session, &frame(20, b"\0de")).unwrap();
    assert_eq!(session.listen_port(), Some(6881));
    said(&mut session, &frame(20, b"\0d1:pi6882ee")).unwrap();
    assert_eq!(session.listen_port(), Some(6882));
}
