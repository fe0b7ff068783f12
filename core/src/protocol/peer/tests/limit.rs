//! Floods of messages.

use super::*;
use crate::protocol::upload::UploadRequest;

/// Returns how many of these messages are read at `millis` before the session ends; at most `most`
/// are sent.
fn read(session: &mut PeerSession, millis: u64, message: &[u8], most: u32) -> u32 {
    for read in 0..most {
        match said_at(session, millis, message) {
            Ok(_) => drop(session.output(at(millis))),
            Err(PeerError::TooManyMessages) => return read,
            Err(other) => panic!("{other}"),
        }
    }
    most
}

#[test]
fn a_peer_that_floods_us_is_let_go_whatever_it_sends() {
    let have = frame(4, &7_u32.to_be_bytes());
    let ask_while_choked = frame(6, &[0; 12]);
    let kinds: [&[u8]; 10] = [
        &[0, 0, 0, 0],
        &frame(0, &[]),
        &frame(1, &[]),
        &frame(2, &[]),
        &frame(3, &[]),
        &have,
        &ask_while_choked,
        &frame(8, &[0; 12]),
        &frame(20, &[0, b'd', b'e']),
        &frame(99, &[1, 2, 3]),
    ];
    for message in kinds {
        let mut session = open(100);
        assert_eq!(read(&mut session, 0, message, 20_000), 10_100, "{message:?}");
        // The allowance recovers with time.
        let mut session = open(100);
        read(&mut session, 0, message, 10_000);
        assert_eq!(read(&mut session, 3_000, message, 20_000), 3_100, "{message:?}");
    }
}

#[test]
fn before_info_is_known_the_messages_of_a_peer_are_bounded_in_all() {
    let keep_alive = [0, 0, 0, 0];
    let mut session = super::early::early();
    assert_eq!(read(&mut session, 0, &keep_alive, 99_999), 99_999);
    assert_eq!(read(&mut session, 3_600_000, &keep_alive, 2), 1);
}

#[test]
fn who_serves_us_or_is_served_by_us_is_no_flood() {
    let mut session = open(200_000);
    assert_eq!(read(&mut session, 0, &frame(4, &7_u32.to_be_bytes()), 200_000), 200_000);
    let mut session = unchoked(100);
    let block = BlockRequest { piece: 3, begin: 0, length: 16 };
    for _ in 0..30_000 {
        assert!(session.request(at(0), block));
        assert_eq!(read(&mut session, 0, &block_frame(block), 1), 1);
    }
    said(&mut session, &frame(2, &[])).unwrap();
    session.set_choking(false);
    let ask = [block.piece, block.begin, block.length].map(u32::to_be_bytes).concat();
    for _ in 0..30_000 {
        assert_eq!(read(&mut session, 0, &frame(6, &ask), 1), 1);
        session.served(UploadRequest::Block(block));
    }
}
