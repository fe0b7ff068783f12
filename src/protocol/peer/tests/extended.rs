//! Messages in the envelope of BEP 10.

use super::*;

#[test]
fn a_later_extension_handshake_changes_only_what_it_says() {
    let mut session = open(8);
    said(&mut session, &frame(20, b"\0d4:reqqi99e1:v4:abcde")).unwrap();
    assert_eq!(said(&mut session, &frame(20, b"\0de")), Ok(Event::Reqq(99)));
    assert_eq!(session.client(), Some("abcd"));
}

#[test]
fn a_later_extension_handshake_leaves_the_extensions_that_it_does_not_name() {
    let mut session = open(8);
    let metadata = |session: &PeerSession| session.theirs.id(b"ut_metadata");
    said(&mut session, &frame(20, b"\0d1:md11:ut_metadatai3e6:ut_pexi1eee")).unwrap();
    said(&mut session, &frame(20, b"\0d1:md6:ut_pexi2eee")).unwrap();
    assert_eq!((metadata(&session), session.theirs.id(b"ut_pex")), (Some(3), Some(2)));
    // 0 switches one off.
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
    check(b"\0\0\0\x07", Ok(Event::DontHave(7)));
    check(b"\0\0\0\x08", Err(PeerError::NoSuchPiece(8)));
    check(b"\0\0\x07", Ok(Event::Ignored));
    check(b"\0\0\0\x07\0", Ok(Event::Ignored));
    // Not offered by who has no extensions.
    let mut session = session(8);
    said(&mut session, &handshake(0, [7; 20], THEIRS)).unwrap();
    let bytes = frame(20, &[extension::DONT_HAVE_ID, 0, 0, 0, 7]);
    assert_eq!(said(&mut session, &bytes), Ok(Event::Ignored));
}

#[test]
fn peers_are_named_where_we_asked_for_that() {
    let message = [b"\x01d5:added6:", &[10, 0, 0, 1, 0x1a, 0xe1][..], b"e"].concat();
    let bytes = frame(20, &message);
    let mut session = open(8);
    assert_eq!(said(&mut session, &bytes), Ok(Event::PeersNamed));
    assert_eq!(session.take_named(), ["10.0.0.1:6881".parse().unwrap()]);
    assert_eq!(session.take_named(), []);
    let mut private = PeerSession::new(at(0), INFOHASH, OURS, 8, Offer { pex: false, ..OFFER });
    said(&mut private, &handshake(0x10, [7; 20], THEIRS)).unwrap();
    assert_eq!(said(&mut private, &bytes), Ok(Event::Ignored));
    assert_eq!(private.take_named(), []);
}
