use proptest::prelude::*;

use super::*;
use crate::torrent::bencode::variants;

fn check(payload: &[u8], expected: &ExtendedHandshake) {
    assert_eq!(&ExtendedHandshake::decode(payload).unwrap(), expected);
}

#[test]
fn a_real_handshake_is_read() {
    let payload = b"d1:md11:ut_metadatai2e6:ut_pexi1ee13:metadata_sizei31235e1:pi51413e\
                    4:reqqi512e1:v17:Transmission 3.006:yourip4:\x7f\x00\x00\x01e";
    let theirs = ExtendedHandshake::decode(payload).unwrap();
    assert_eq!(theirs.reqq, Some(512));
    assert_eq!(theirs.client.as_deref(), Some("Transmission 3.00"));
    assert_eq!(theirs.metadata_size_bytes, Some(31235));
    assert_eq!((theirs.id(b"ut_pex"), theirs.id(b"ut_metadata")), (Some(1), Some(2)));
    assert_eq!(theirs.id(b"ut_holepunch"), None);
}

#[test]
fn odd_types_and_values_are_as_good_as_not_there() {
    let nothing = ExtendedHandshake::default();
    check(b"de", &nothing);
    check(b"le", &nothing);
    check(b"d1:mle4:reqq3:abc1:vi1ee", &nothing);
    check(b"d1:md1:ai256e1:bi-1e1:c1:xe4:reqqi0ee", &nothing);
    assert_eq!(ExtendedHandshake::decode(b"d1:md6:ut_pexi0eee").unwrap().id(b"ut_pex"), None);
    check(b"d13:metadata_sizei-5e4:reqqi-1e1:v2:\r\ne", &nothing);
    check(b"d4:reqqi99999999999ee", &ExtendedHandshake { reqq: Some(u32::MAX), ..nothing });
}

#[test]
fn the_number_of_extensions_and_the_name_are_bounded() {
    let ids: String = (100..300).map(|n| format!("3:{n}i1e")).collect();
    let payload = format!("d1:md{ids}e1:v1000:{}e", "x".repeat(1000));
    let theirs = ExtendedHandshake::decode(payload.as_bytes()).unwrap();
    assert_eq!(theirs.extensions.len(), 64);
    assert_eq!(theirs.client.unwrap().len(), 64);
}

#[test]
fn what_is_not_bencode_or_too_deep_is_an_error() {
    assert!(ExtendedHandshake::decode(b"").is_err());
    assert!(ExtendedHandshake::decode(b"hello").is_err());
    assert!(ExtendedHandshake::decode(&b"l".repeat(2_000)).is_err());
}

#[test]
fn ours_says_who_we_are_and_what_we_take() {
    let ours = ExtendedHandshake::decode(&encode_ours(&Offer::default())).unwrap();
    assert_eq!(ours.reqq, Some(250));
    assert_eq!(ours.client.as_deref(), Some(CLIENT));
    assert_eq!(ours.extensions, [(b"lt_donthave".to_vec(), DONT_HAVE_ID)]);
    assert_eq!((ours.upload_only, ours.listen_port), (None, None));
    let metadata_bytes = Some(70_000);
    let offer = Offer { pex: true, metadata_bytes, port: Some(51_413), ..Offer::default() };
    let all = ExtendedHandshake::decode(&encode_ours(&offer)).unwrap();
    let ids = [(&b"lt_donthave"[..], 3), (b"ut_metadata", 2), (b"ut_pex", 1)];
    assert_eq!(all.extensions, ids.map(|(name, id)| (name.to_vec(), id)));
    assert_eq!((all.metadata_size_bytes, all.listen_port), (Some(70_000), Some(51_413)));
}

#[test]
fn a_peer_that_wants_nothing_says_so() {
    let check = |payload: &[u8], expected| {
        assert_eq!(ExtendedHandshake::decode(payload).unwrap().upload_only, expected);
    };
    check(b"d11:upload_onlyi1ee", Some(true));
    check(b"d11:upload_onlyi0ee", Some(false));
    check(b"d11:upload_only1:1e", None);
    check(b"de", None);
}

#[test]
fn a_port_is_one_where_somebody_may_listen() {
    let check = |payload: &[u8], expected| {
        assert_eq!(ExtendedHandshake::decode(payload).unwrap().listen_port, expected);
    };
    check(b"d1:pi6881ee", Some(6881));
    check(b"d1:pi0ee", None);
    check(b"d1:pi65536ee", None);
    check(b"d1:pi-1ee", None);
    check(b"d1:p2:\x1a\xe1e", None);
}

#[test]
fn our_peer_id_is_bep_20s() {
    let id = peer_id(|| b'x');
    let version = env!("CARGO_PKG_VERSION").replace('.', "");
    assert_eq!(id.as_slice(), format!("-AD{version}0-xxxxxxxxxxxx").as_bytes());
    let digits = ["0", "9", "10", "35", "36", "100"].map(digit);
    assert_eq!(&digits, b"09AZZZ");
}

#[test]
fn handshakes_are_read_as_other_programs_write_them() {
    let handshake = b"d1:md11:ut_metadatai2ee13:metadata_sizei31235e4:reqqi512e1:v1:xe";
    let expected = ExtendedHandshake::decode(handshake).unwrap();
    for payload in variants::of(handshake) {
        check(&payload, &expected);
    }
    for value in variants::ODD_VALUES {
        let payload = format!(
            "d1:md11:ut_metadatai02e6:ut_foo{value}11:ut_metadatai9ee12:complete_ago{value}\
             13:metadata_sizei031235e4:reqqi512e1:v1:x6:yourip{value}e"
        );
        let found = ExtendedHandshake::decode(payload.as_bytes()).unwrap();
        assert_eq!(found.id(b"ut_metadata"), Some(2), "{payload}");
        assert_eq!(
            ExtendedHandshake { extensions: expected.extensions.clone(), ..found },
            expected
        );
    }
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        let _ = ExtendedHandshake::decode(&bytes);
    }

    #[test]
    fn random_dictionaries_never_panic(
        ids in "((1:m|1:v|4:reqq|6:ut_pex)(i-?[0-9]{1,20}e|3:abc|de|le|d)){0,5}e{0,4}",
    ) {
        let _ = ExtendedHandshake::decode(format!("d{ids}e").as_bytes());
    }
}
