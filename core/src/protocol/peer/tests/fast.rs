//! The fast extension (BEP 6).

use super::*;

/// A session after both handshakes, both with the fast extension.
pub(super) fn open_fast(piece_count: u32) -> PeerSession {
    let mut session = session(piece_count);
    session.output(at(0));
    said(&mut session, &fast_handshake([7; 20], THEIRS)).unwrap();
    session.introduce(&PieceSet::none(piece_count));
    session.output(at(0));
    assert!(session.is_fast());
    session
}

fn unchoked_fast(piece_count: u32) -> PeerSession {
    let mut session = open_fast(piece_count);
    said(&mut session, &frame(1, &[])).unwrap();
    session
}

pub(super) fn words(id: u8, words: &[u32]) -> Vec<u8> {
    frame(id, &words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<_>>())
}

pub(super) fn reject(request: BlockRequest) -> Vec<u8> {
    words(16, &[request.piece, request.begin, request.length])
}

#[test]
fn one_word_says_what_a_peer_has() {
    for (id, event) in [(14, PeerEvent::HaveAll), (15, PeerEvent::HaveNone)] {
        let mut session = open_fast(8);
        assert_eq!(said(&mut session, &frame(id, &[])), Ok(event));
        assert_eq!(said(&mut session, &frame(5, b"\0")), Ok(PeerEvent::Bitfield(b"\0")));
        for _ in 2..100 {
            assert_eq!(said(&mut session, &frame(id, &[])), Ok(event));
        }
        assert_eq!(said(&mut session, &frame(id, &[])), Err(PeerError::TooManyBitfields));
    }
}

#[test]
fn a_choke_drops_nothing_and_each_request_is_served_or_rejected() {
    let mut session = unchoked_fast(8);
    (0..3).for_each(|n| assert!(session.request(at(0), block(n))));
    assert_eq!(said(&mut session, &frame(0, &[])), Ok(PeerEvent::Choked));
    assert_eq!((session.outstanding(), session.take_dropped()), (3, vec![]));
    assert!(!session.request(at(0), block(4)));
    assert_eq!(said(&mut session, &reject(block(1))), Ok(PeerEvent::Rejected(block(1))));
    let data = &[b'x'; BLOCK as usize][..];
    let served = PeerEvent::Block { piece: 0, begin: 0, data };
    assert_eq!(said(&mut session, &block_frame(block(0))), Ok(served));
    assert_eq!(session.outstanding_requests().collect::<Vec<_>>(), [block(2)]);
}

#[test]
fn a_reject_of_what_is_not_outstanding_is_no_news() {
    let mut session = unchoked_fast(8);
    session.request(at(0), block(1));
    session.cancel(block(1));
    let other = BlockRequest { length: 1, ..block(2) };
    session.request(at(0), block(2));
    for request in [block(1), other, block(7)] {
        assert_eq!(said(&mut session, &reject(request)), Ok(PeerEvent::Ignored));
    }
    assert_eq!(session.outstanding(), 1);
}

#[test]
fn allowed_pieces_may_be_asked_for_while_choked() {
    let mut session = open_fast(100);
    assert!(!session.may_ask(7) && !session.request(at(0), block(7)));
    assert_eq!(said(&mut session, &words(17, &[7])), Ok(PeerEvent::AllowedFast(7)));
    assert_eq!(said(&mut session, &words(17, &[7])), Ok(PeerEvent::Ignored));
    assert!(session.request(at(0), block(7)) && !session.request(at(0), block(8)));
    assert_eq!(said(&mut session, &words(17, &[100])), Err(PeerError::NoSuchPiece(100)));
    (0..100).for_each(|piece| assert!(said(&mut session, &words(17, &[piece])).is_ok()));
    assert_eq!(session.allowed_fast().len(), 64);
}

#[test]
fn who_did_not_offer_it_is_not_heard() {
    let mut session = open(8);
    for bytes in
        [frame(14, &[]), frame(15, &[]), words(17, &[1]), words(17, &[9]), reject(block(0))]
    {
        assert_eq!(said(&mut session, &bytes), Ok(PeerEvent::Ignored));
    }
    assert!(!session.is_fast() && session.allowed_fast().is_empty());
}

#[test]
fn a_suggestion_is_passed_over() {
    assert_eq!(said(&mut open_fast(8), &words(13, &[3])), Ok(PeerEvent::Ignored));
}

proptest! {
    /// In any order of events, the outstanding requests are those whose block neither arrived nor
    /// was rejected or canceled.
    #[test]
    fn outstanding_requests_are_those_without_an_answer(
        steps in vec((0_u8..6, 0_u32..8), 0..60),
    ) {
        let mut session = unchoked_fast(8);
        let (mut asked, mut choked, mut allowed) = (Vec::new(), false, Vec::new());
        for (kind, n) in steps {
            match kind {
                0 if !asked.contains(&n) => {
                    let may = !choked || allowed.contains(&n);
                    prop_assert_eq!(session.request(at(0), block(n)), may);
                    asked.extend(may.then_some(n));
                }
                1 => {
                    let bytes = reject(block(n));
                    let event = said(&mut session, &bytes).unwrap();
                    prop_assert_eq!(event == PeerEvent::Rejected(block(n)), asked.contains(&n));
                    asked.retain(|asked| *asked != n);
                }
                2 => {
                    let bytes = block_frame(block(n));
                    let event = said(&mut session, &bytes).unwrap();
                    prop_assert_eq!(event != PeerEvent::Ignored, asked.contains(&n));
                    asked.retain(|asked| *asked != n);
                }
                3 => {
                    prop_assert_eq!(session.cancel(block(n)), asked.contains(&n));
                    asked.retain(|asked| *asked != n);
                }
                4 => {
                    choked = n < 4;
                    said(&mut session, &frame(u8::from(!choked), &[])).unwrap();
                }
                _ => {
                    said(&mut session, &words(17, &[n])).unwrap();
                    allowed.push(n);
                }
            }
            let outstanding: Vec<_> = session.outstanding_requests().map(|it| it.piece).collect();
            prop_assert_eq!(outstanding, &asked[..]);
        }
    }
}
