use proptest::prelude::*;

use super::*;

const MAX: usize = 1 << 20;

/// Checks that the bytes decode to this message, and that no shorter prefix decodes.
fn check(bytes: &[u8], message: Message<'_>) {
    assert_eq!(decode(bytes, MAX), Ok(Some((message, bytes.len()))));
    for cut in 0..bytes.len() {
        assert_eq!(decode(&bytes[..cut], MAX), Ok(None), "{message:?} cut at {cut}");
    }
    let mut encoded = Vec::new();
    message.encode(&mut encoded);
    assert_eq!(encoded, bytes);
}

#[test]
fn each_message_as_bep_3_writes_it() {
    let request = BlockRequest { piece: 1, begin: 0x4000, length: 0x4000 };
    check(b"\0\0\0\0", Message::KeepAlive);
    check(b"\0\0\0\x01\0", Message::Choke);
    check(b"\0\0\0\x01\x01", Message::Unchoke);
    check(b"\0\0\0\x01\x02", Message::Interested);
    check(b"\0\0\0\x01\x03", Message::NotInterested);
    check(b"\0\0\0\x05\x04\0\0\x01\x02", Message::Have(0x102));
    check(b"\0\0\0\x03\x05\xff\x80", Message::Bitfield(b"\xff\x80"));
    check(b"\0\0\0\x0d\x06\0\0\0\x01\0\0\x40\0\0\0\x40\0", Message::Request(request));
    check(
        b"\0\0\0\x0c\x07\0\0\0\x01\0\0\x40\0abc",
        Message::Piece { piece: 1, begin: 0x4000, block: b"abc" },
    );
    check(b"\0\0\0\x0d\x08\0\0\0\x01\0\0\x40\0\0\0\x40\0", Message::Cancel(request));
    check(b"\0\0\0\x03\x09\x1a\xe1", Message::Port(6881));
    check(b"\0\0\0\x04\x14\0de", Message::Extended { id: 0, payload: b"de" });
    check(b"\0\0\0\x01\x15", Message::Unknown { id: 21 });
}

#[test]
fn each_message_as_bep_6_writes_it() {
    let request = BlockRequest { piece: 1, begin: 0x4000, length: 0x4000 };
    check(b"\0\0\0\x05\x0d\0\0\x01\x02", Message::Suggest(0x102));
    check(b"\0\0\0\x01\x0e", Message::HaveAll);
    check(b"\0\0\0\x01\x0f", Message::HaveNone);
    check(b"\0\0\0\x0d\x10\0\0\0\x01\0\0\x40\0\0\0\x40\0", Message::Reject(request));
    check(b"\0\0\0\x05\x11\0\0\x01\x02", Message::AllowedFast(0x102));
}

#[test]
fn messages_that_we_do_not_know_are_passed_over_with_their_payload() {
    let check = |id: u8, payload: &[u8]| {
        let bytes = [&(payload.len() as u32 + 1).to_be_bytes(), [id].as_slice(), payload].concat();
        assert_eq!(decode(&bytes, MAX), Ok(Some((Message::Unknown { id }, bytes.len()))));
    };
    check(0x0a, &[0; 4]);
    check(0x15, &[]);
    check(0xff, &[0; 1000]);
}

#[test]
fn a_length_that_does_not_fit_the_id_is_an_error() {
    let check = |id: u8, payload_bytes: usize| {
        let mut bytes = (payload_bytes as u32 + 1).to_be_bytes().to_vec();
        bytes.push(id);
        bytes.resize(bytes.len() + payload_bytes, 0);
        assert_eq!(decode(&bytes, MAX), Err(WireError::Length { id, payload_bytes }));
    };
    (0..4).for_each(|id| check(id, 1));
    check(4, 3);
    check(4, 5);
    check(6, 11);
    check(6, 13);
    check(7, 7);
    check(8, 4);
    check(9, 1);
    check(9, 3);
    check(13, 3);
    check(14, 1);
    check(15, 1);
    check(16, 4);
    check(17, 5);
    check(20, 0);
}

#[test]
fn an_oversized_message_is_refused_from_its_prefix_alone() {
    let error = decode(b"\xff\xff\xff\xff", 1 << 17).unwrap_err();
    assert_eq!(error, WireError::Oversized { length_bytes: u32::MAX, max_bytes: 1 << 17 });
    assert!(error.to_string().contains("4294967295 bytes"), "{error}");
    assert_eq!(decode(b"\0\0\0\x05\x04", 5), Ok(None));
    assert!(decode(b"\0\0\0\x06\x04", 5).is_err());
}

#[test]
fn a_handshake_is_68_bytes_and_says_the_bits_of_both_extensions() {
    let ours = Handshake::ours(Infohash::from_bytes([7; 20]), *b"-AT0100-abcdefghijkl");
    let mut bytes = Vec::new();
    ours.encode(&mut bytes);
    let expected = [
        b"\x13BitTorrent protocol\0\0\0\0\0\x10\0\x04".as_slice(),
        &[7; 20],
        b"-AT0100-abcdefghijkl",
    ];
    assert_eq!(bytes, expected.concat());
    assert_eq!(bytes.len(), Handshake::BYTES);
    assert_eq!(Handshake::decode(&bytes), Ok(Some(ours)));
    assert!(ours.extension_bit() && ours.fast_bit());
    (0..68).for_each(|cut| assert_eq!(Handshake::decode(&bytes[..cut]), Ok(None)));
    bytes[25] = 0;
    let theirs = Handshake::decode(&bytes).unwrap().unwrap();
    assert!(!theirs.extension_bit() && theirs.fast_bit());
    bytes[27] = 0x03;
    assert!(!Handshake::decode(&bytes).unwrap().unwrap().fast_bit());
}

#[test]
fn what_is_not_bittorrent_is_known_from_the_first_byte_that_differs() {
    assert_eq!(Handshake::decode(b"HTTP"), Err(WireError::NotBitTorrent));
    assert_eq!(Handshake::decode(b"\x13BitTorrenX"), Err(WireError::NotBitTorrent));
}

proptest! {
    #[test]
    fn every_message_survives_the_wire(
        kind in 0_u8..18, a: u32, b: u32, c: u32, id: u8,
        payload in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let request = BlockRequest { piece: a, begin: b, length: c };
        let message = match kind {
            0 => Message::KeepAlive,
            1 => Message::Choke,
            2 => Message::Unchoke,
            3 => Message::Interested,
            4 => Message::NotInterested,
            5 => Message::Have(a),
            6 => Message::Bitfield(&payload),
            7 => Message::Request(request),
            8 => Message::Piece { piece: a, begin: b, block: &payload },
            9 => Message::Cancel(request),
            10 => Message::Port(a as u16),
            11 => Message::Suggest(a),
            12 => Message::HaveAll,
            13 => Message::HaveNone,
            14 => Message::Reject(request),
            15 => Message::AllowedFast(a),
            16 => Message::Extended { id, payload: &payload },
            _ => Message::Unknown { id: id | 0x40 },
        };
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        prop_assert_eq!(decode(&bytes, MAX), Ok(Some((message, bytes.len()))));
    }

    #[test]
    fn random_bytes_never_panic(length in 0_u32..40, bytes in proptest::collection::vec(any::<u8>(), 0..50)) {
        let _ = decode(&bytes, MAX);
        let _ = Handshake::decode(&bytes);
        let framed = [length.to_be_bytes().as_slice(), &bytes].concat();
        if let Ok(Some((_, used))) = decode(&framed, MAX) {
            prop_assert!(used <= framed.len());
        }
    }
}
