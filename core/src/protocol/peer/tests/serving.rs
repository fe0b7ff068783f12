//! Serving blocks and metadata.

use super::fast::{open_fast, reject, words};
use super::*;
use crate::protocol::upload::UploadRequest;
use crate::protocol::wire::block_head;

const INTERESTED: u8 = 2;

fn request(request: BlockRequest) -> Vec<u8> {
    words(6, &[request.piece, request.begin, request.length])
}

/// Returns what the session sends in response.
fn answer(session: &mut PeerSession, bytes: &[u8]) -> Vec<u8> {
    let event = said(session, bytes);
    assert!(matches!(event, Ok(PeerEvent::Ignored | PeerEvent::Extensions)), "{event:?}");
    session.output(at(0)).unwrap_or_default()
}

/// Makes the peer interested, and unchokes it.
fn serving(mut session: PeerSession) -> PeerSession {
    answer(&mut session, &frame(INTERESTED, &[]));
    assert!(session.wants_blocks());
    session.set_choking(false);
    assert_eq!(session.output(at(0)), Some(frame(1, &[])));
    session
}

#[test]
fn what_we_have_comes_before_all_else() {
    let check = |fast: bool, pieces: &[u32], expected: Vec<u8>| {
        let mut session = session(10);
        session.output(at(0));
        let mut theirs = handshake(0x10, [7; 20], THEIRS);
        theirs[27] = if fast { 0x04 } else { 0 };
        said(&mut session, &theirs).unwrap();
        let mut set = PieceSet::none(10);
        set.extend(pieces.iter().copied());
        session.introduce(&set);
        let sent = session.output(at(0)).unwrap();
        let rest = sent.strip_prefix(&expected[..]).unwrap_or_else(|| panic!("{sent:?}"));
        assert_eq!(rest[4..6], [20, 0], "{sent:?}");
    };
    let all: Vec<u32> = (0..10).collect();
    check(true, &[], frame(15, &[]));
    check(false, &[], Vec::new());
    check(true, &all, frame(14, &[]));
    check(false, &all, frame(5, &[0xff, 0xc0]));
    check(true, &[0, 9], frame(5, &[0x80, 0x40]));
    check(false, &[8], frame(5, &[0x00, 0x80]));
}

#[test]
fn requests_wait_in_order_and_a_cancelled_one_does_not() {
    let mut session = serving(open(8));
    for n in [2, 0, 1] {
        assert_eq!(answer(&mut session, &request(block(n))), [0_u8; 0]);
    }
    let [piece, begin, length] = [0, 0, BLOCK];
    assert_eq!(answer(&mut session, &words(8, &[piece, begin, length])), [0_u8; 0]);
    for n in [2, 1] {
        assert_eq!(session.first_wanted(), Some(UploadRequest::Block(block(n))));
        session.served(UploadRequest::Block(block(n)));
    }
    assert_eq!(session.first_wanted(), None);
}

#[test]
fn who_is_choked_and_asks_is_refused() {
    for (mut session, no) in [(open(8), vec![]), (open_fast(8), reject(block(1)))] {
        answer(&mut session, &frame(INTERESTED, &[]));
        assert_eq!(answer(&mut session, &request(block(1))), no);
        assert_eq!(session.first_wanted(), None);
    }
}

#[test]
fn a_choke_rejects_what_waits_where_the_peer_understands_that() {
    let choke = frame(0, &[]);
    let rejects = [reject(block(1)), reject(block(2))].concat();
    for (session, rejects) in [(open(8), vec![]), (open_fast(8), rejects)] {
        let mut session = serving(session);
        answer(&mut session, &request(block(1)));
        answer(&mut session, &request(block(2)));
        session.set_choking(true);
        session.set_choking(true);
        assert_eq!(session.output(at(0)), Some([choke.clone(), rejects].concat()));
        assert_eq!(session.first_wanted(), None);
    }
}

#[test]
fn what_cannot_be_served_is_rejected() {
    let mut session = serving(open_fast(8));
    let odd = [
        BlockRequest { piece: 8, ..block(0) },
        BlockRequest { length: 0, ..block(0) },
        BlockRequest { length: MAX_BLOCK_BYTES + 1, ..block(0) },
        BlockRequest { length: u32::MAX, ..block(0) },
    ];
    for odd in odd {
        assert_eq!(answer(&mut session, &request(odd)), reject(odd));
    }
    // The caller finds that the block is beyond the piece, or not verified.
    answer(&mut session, &request(block(3)));
    session.refuse(UploadRequest::Block(block(3)));
    assert_eq!(session.output(at(0)), Some(reject(block(3))));
    assert_eq!(session.first_wanted(), None);
    // A cancel is answered too.
    answer(&mut session, &request(block(4)));
    let cancel = words(8, &[4, 0, BLOCK]);
    assert_eq!(answer(&mut session, &cancel), reject(block(4)));
    assert_eq!(answer(&mut session, &cancel), [0_u8; 0]);
}

#[test]
fn no_more_than_we_said_waits() {
    let mut session = serving(open_fast(1_000));
    for n in 0..250 {
        assert_eq!(answer(&mut session, &request(block(n))), [0_u8; 0]);
    }
    assert_eq!(answer(&mut session, &request(block(250))), reject(block(250)));
    session.served(UploadRequest::Block(block(0)));
    assert_eq!(answer(&mut session, &request(block(250))), [0_u8; 0]);
}

#[test]
fn who_wants_nothing_or_only_uploads_needs_no_slot() {
    let mut session = serving(open(8));
    answer(&mut session, &frame(20, b"\0d11:upload_onlyi1ee"));
    assert!(!session.wants_blocks());
    answer(&mut session, &frame(20, b"\0d11:upload_onlyi0ee"));
    assert!(session.wants_blocks());
    answer(&mut session, &frame(3, &[]));
    assert!(!session.wants_blocks());
}

#[test]
fn who_does_not_serve_refuses_all() {
    let offer = Offer { serves: false, metadata_bytes: None, ..OFFER };
    let mut session = PeerSession::new(at(0), INFOHASH, OURS, 8, offer);
    session.output(at(0));
    said(&mut session, &fast_handshake([7; 20], THEIRS)).unwrap();
    answer(&mut session, &frame(INTERESTED, &[]));
    assert!(!session.wants_blocks());
    assert_eq!(answer(&mut session, &request(block(1))), reject(block(1)));
    said(&mut session, &frame(20, b"\0d1:md11:ut_metadatai9eee")).unwrap();
    let no = frame(20, b"\x09d8:msg_typei2e5:piecei0ee");
    assert_eq!(answer(&mut session, &frame(20, b"\x02d8:msg_typei0e5:piecei0ee")), no);
}

#[test]
fn parts_of_the_metadata_wait_whether_choked_or_not() {
    let mut session = open(8);
    let ask = |part: i64| frame(20, format!("\x02d8:msg_typei0e5:piecei{part}ee").as_bytes());
    // A peer that named no message ID cannot be answered.
    assert_eq!(answer(&mut session, &ask(7)), [0_u8; 0]);
    assert_eq!(session.metadata_id(), None);
    answer(&mut session, &frame(20, b"\0d1:md11:ut_metadatai9eee"));
    // A later handshake without the extension leaves it enabled.
    answer(&mut session, &frame(20, b"\0d11:upload_onlyi0ee"));
    // 40,000 bytes are three parts.
    assert_eq!(answer(&mut session, &ask(2)), [0_u8; 0]);
    assert_eq!(session.first_wanted(), Some(UploadRequest::Metadata(2)));
    for part in [3, 4_000_000_000] {
        let no = format!("\x09d8:msg_typei2e5:piecei{part}ee");
        assert_eq!(answer(&mut session, &ask(part)), frame(20, no.as_bytes()));
    }
    for odd in [ask(-1), ask(1 << 40)] {
        assert_eq!(answer(&mut session, &odd), [0_u8; 0]);
    }
    session.served(UploadRequest::Metadata(2));
    assert_eq!(session.first_wanted(), None);
}

#[test]
fn the_head_of_a_block_is_what_comes_before_its_bytes() {
    let asked = BlockRequest { piece: 3, begin: BLOCK, length: 100 };
    let whole = block_frame(asked);
    assert_eq!(whole[..13], block_head(asked));
    assert_eq!(whole.len(), 13 + 100);
}

proptest! {
    /// Each request is served, rejected or still queued, in any order of requests, cancels and
    /// chokes.
    #[test]
    fn a_fast_peer_has_one_answer_to_each_request(steps in vec((0_u8..5, 0_u32..10), 0..80)) {
        let mut session = open_fast(8);
        said(&mut session, &frame(INTERESTED, &[])).unwrap();
        let (mut asked, mut answered) = (0, 0);
        for (kind, n) in steps {
            match kind {
                0 => {
                    asked += 1;
                    said(&mut session, &request(block(n))).unwrap();
                }
                1 => drop(said(&mut session, &words(8, &[n, 0, BLOCK])).unwrap()),
                2 => session.set_choking(n < 5),
                _ => {
                    if let Some(wanted) = session.first_wanted() {
                        session.served(wanted);
                        answered += 1;
                    }
                }
            }
            let sent = session.output(at(0)).unwrap_or_default();
            answered += sent.windows(5).filter(|it| *it == [0, 0, 0, 13, 16]).count();
        }
        let mut waits = 0;
        while let Some(wanted) = session.first_wanted() {
            session.served(wanted);
            waits += 1;
        }
        prop_assert_eq!(asked, answered + waits);
    }
}
