use proptest::prelude::*;

use super::*;

const LIMITS: Limits = Limits { max_bytes: 30 << 20, max_values: 10_000 };

#[test]
fn canonical_values_pass() {
    let check = |bytes: &[u8]| {
        let scan = scan(bytes, &LIMITS).map_err(|error| error.to_string()).unwrap();
        assert_eq!(scan.used(), bytes.len());
        decode(bytes, &LIMITS).unwrap();
    };
    check(b"i0e");
    check(b"i-1e");
    check(b"i9223372036854775807e");
    check(b"i-9223372036854775808e");
    check(b"0:");
    check(b"11:hello world");
    check(b"le");
    check(b"de");
    check(b"lli1eed1:a0:ee");
    check(b"d1:bi1e1:ai2ee"); // unsorted keys exist in the wild
    check(b"d3:\xff\xfe\xfd2:\x80\x81e"); // text need not be UTF-8
    check(b"ld1:ai1eed1:ai1eee"); // the same key in two dictionaries
    check(b"d1:ad1:bi1eee");
}

#[test]
fn what_is_refused_says_why_and_where() {
    let check = |bytes: &[u8], what: &str, at: usize| {
        let error = scan(bytes, &LIMITS).unwrap_err();
        assert!(error.to_string().contains(what), "{error}");
        assert_eq!(error.at(), at, "{error}");
        assert!(decode(bytes, &LIMITS).is_err());
    };
    check(b"", "unexpected end", 0);
    check(b"ixe", "an invalid integer", 0);
    check(b"i1:ae", "an invalid integer", 0);
    check(b"i1", "unexpected end", 2);
    check(b"2:a", "longer than the remaining data", 0);
    check(b"1x", "an invalid string length", 0);
    check(b"99999999999999999999999:a", "too large", 0);
    check(b"18446744073709551615:a", "longer than the remaining data", 0);
    check(b"-1:a", "unexpected byte", 0);
    check(b"<html>", "unexpected byte", 0);
    check(b"e", "unmatched end", 0);
    check(b"l", "unexpected end", 1);
    check(b"d1:a", "unexpected end", 4);
    check(b"d1:ae", "key without a value", 4);
    check(b"di1ei2ee", "key that is not a string", 1);
    check(b"dlei2ee", "key that is not a string", 1);
    check(b"\xef\xbb\xbf", "unexpected end", 3);
    check(b"\xef\xbbi1e", "unexpected byte", 0);
    let deep = Limits { max_values: 1_000_000, ..LIMITS };
    for begin in [&b"l"[..], b"d1:a"] {
        let error = scan(&begin.repeat(100_000), &deep).unwrap_err();
        assert_eq!(error.to_string(), format!("nested too deeply, at byte {}", begin.len() << 16));
    }
    check(
        &[b"l".as_slice(), &b"0:".repeat(10_000), b"e"].concat(),
        "too many values",
        1 + 2 * 9_999,
    );
}

#[test]
fn what_other_programs_write_is_read_as_it_is_meant() {
    let check = |bytes: &[u8], canonical: &[u8], exact: bool| {
        let scan = scan(bytes, &LIMITS).map_err(|why| why.to_string()).unwrap();
        assert_eq!(
            scan.canonical().escape_ascii().to_string(),
            canonical.escape_ascii().to_string()
        );
        assert_eq!((scan.is_exact(), scan.oddity(scan.root()).is_none()), (exact, exact));
        decode(bytes, &LIMITS).unwrap();
    };
    for around in [
        &b"i1ei2e"[..],
        b"i1e\n",
        b"i1e\0\0",
        b"i1ee",
        b" \r\n\ti1e",
        b"\xef\xbb\xbfi1e",
        b"\xef\xbb\xbf\ni1e\n",
    ] {
        check(around, b"i1e", true);
    }
    check(b"i01e", b"i1e", false);
    check(b"i-0e", b"i0e", false);
    check(b"i-007e", b"i-7e", false);
    check(b"i+7e", b"i7e", false);
    check(b"i000e", b"i0e", false);
    check(b"i9223372036854775807e", b"i9223372036854775807e", true);
    check(b"i-9223372036854775808e", b"i-9223372036854775808e", true);
    for none in [
        "",
        "-",
        "--1",
        "1-",
        "+-1",
        "1.5",
        " 1",
        "1E9",
        "9223372036854775808",
        "-9223372036854775809",
        "99999999999999999999999999999999",
    ] {
        check(format!("d1:ai{none}e1:bi7ee").as_bytes(), b"d1:ale1:bi7ee", false);
        check(format!("i{none}e").as_bytes(), b"le", false);
    }
    check(b"01:a", b"1:a", false);
    check(b"00:", b"0:", false);
    check(b"d01:a01:be", b"d1:a1:be", false);
    check(b"d1:ai1e1:ai2ee", b"d1:ai1ee", false);
    check(b"d1:bi1e1:ai2e1:bi3ee", b"d1:bi1e1:ai2ee", false);
    check(b"ld1:bi1e1:ai2e1:bi3eei-0ee", b"ld1:bi1e1:ai2eei0ee", false);
    check(b"d1:a1:x01:ad1:bi-0ee1:ai01e1:ci02ee", b"d1:a1:x1:ci2ee", false);
    let deep = |depth: usize| [b"l".repeat(depth), b"e".repeat(depth)].concat();
    check(&deep(32), &deep(32), true);
    check(&deep(33), &deep(33), true);
    check(&deep(5_000), &deep(33), true);
    let beside = [b"d1:a", &deep(5_000)[..], b"1:bi7ee"].concat();
    check(&beside, &[b"d1:a", &deep(32)[..], b"1:bi7ee"].concat(), true);
}

#[test]
fn a_place_that_is_not_exact_is_found_in_the_value_that_has_it() {
    let bytes = b"d1:ai1e1:bi02e1:ai3e1:cd1:xi-0eee";
    let scan = scan(bytes, &LIMITS).unwrap();
    let said = |key: &[u8]| scan.oddity(scan.root().get(key)?).map(|why| why.to_string());
    assert_eq!(said(b"a"), None);
    assert!(said(b"b").unwrap().ends_with("at byte 10"), "{:?}", said(b"b"));
    assert!(said(b"c").unwrap().ends_with("at byte 27"), "{:?}", said(b"c"));
    let twins = scan.root().entries().step_by(2).filter_map(|key| scan.oddity(key));
    assert_eq!(
        twins.map(|why| why.to_string()).collect::<Vec<_>>(),
        ["a duplicate key, at byte 14"]
    );
}

#[test]
fn the_size_limit_counts_bytes_before_they_are_read() {
    let limits = Limits { max_bytes: 4, ..LIMITS };
    assert!(scan(b"2:ab", &limits).is_ok());
    assert!(scan(b"3:abc", &limits).unwrap_err().to_string().contains("too many bytes"));
    assert!(scan_prefix(b"3:abc", &limits).is_err());
    assert_eq!(scan_prefix(b"2:abcdefgh", &limits).unwrap().used(), 4);
}

#[test]
fn the_raw_span_of_a_top_level_value_is_found() {
    let bytes = b"d8:announce3:url4:infod4:infoi7e4:name1:xe1:ali1eee";
    let scan = scan(bytes, &LIMITS).unwrap();
    let raw = |key: &[u8]| scan.root().get(key).map(Node::raw);
    assert_eq!(raw(b"info"), Some(b"d4:infoi7e4:name1:xe".as_slice()));
    assert_eq!(raw(b"announce"), Some(b"3:url".as_slice()));
    assert_eq!(raw(b"a"), Some(b"li1ee".as_slice()));
    assert_eq!(raw(b"name"), None);
}

#[test]
fn only_the_outermost_value_has_a_top_level() {
    assert!(scan(b"ld4:infoi7eee", &LIMITS).unwrap().root().get(b"info").is_none());
}

#[test]
fn a_prefix_may_be_followed_by_raw_data() {
    let scan = scan_prefix(b"d5:piecei0eeee\xff\xff", &LIMITS).unwrap();
    assert_eq!(scan.used(), 12);
}

#[test]
fn a_long_string_is_skipped_whole() {
    let mut bytes = b"d4:infod6:pieces20971520:".to_vec();
    bytes.resize(bytes.len() + (20 << 20), b'x');
    bytes.extend(b"ee");
    let scan = scan(&bytes, &LIMITS).unwrap();
    assert_eq!(scan.root().get(b"info").map(Node::raw), bytes.get(7..bytes.len() - 1));
}

#[test]
fn typed_look_ups_ignore_other_types() {
    let value = decode(b"d1:b1:x1:dd1:ii7ee1:ii-3e1:lli1eee", &LIMITS).unwrap();
    assert_eq!(bytes(&value, b"b"), Some(b"x".as_slice()));
    assert_eq!(int(&value, b"i"), Some(-3));
    assert_eq!(get(&value, b"l"), Some(&Value::List(vec![Value::Int(1)])));
    assert_eq!(dict(&value, b"d").and_then(|inner| int(inner, b"i")), Some(7));
    assert_eq!((bytes(&value, b"i"), int(&value, b"b")), (None, None));
    assert_eq!(dict(&value, b"l"), None);
    assert_eq!(get(&Value::Int(1), b"b"), None);
}

#[test]
fn a_node_is_what_it_is_and_nothing_else() {
    let scan = scan(b"d1:b1:x1:dd1:ii7ee1:ii-3e1:lli1e0:ee", &LIMITS).unwrap();
    let get = |key: &[u8]| scan.root().get(key).unwrap();
    assert_eq!((get(b"b").bytes(), get(b"i").int()), (Some(b"x".as_slice()), Some(-3)));
    assert_eq!(get(b"d").get(b"i").and_then(Node::int), Some(7));
    assert_eq!(get(b"l").list().unwrap().map(Node::raw).collect::<Vec<_>>(), [&b"i1e"[..], b"0:"]);
    assert!(get(b"d").is_dict() && !get(b"l").is_dict() && get(b"d").list().is_none());
    assert_eq!((get(b"i").bytes(), get(b"b").int()), (None, None));
    assert!(get(b"l").get(b"i").is_none() && scan.root().get(b"x").is_none());
}

/// Converts a node to what the decoder should return for it.
fn value_of(node: Node<'_>) -> Value {
    if let Some(bytes) = node.bytes() {
        Value::Bytes(bytes.to_vec())
    } else if let Some(int) = node.int() {
        Value::Int(int)
    } else if let Some(list) = node.list() {
        Value::List(list.map(value_of).collect())
    } else {
        let scanned = scan(node.raw(), &LIMITS).unwrap();
        let Value::Dict(entries) = serde_bencode::from_bytes(node.raw()).unwrap() else { panic!() };
        let value = |key: &Vec<u8>| value_of(scanned.root().get(key).unwrap());
        Value::Dict(entries.keys().map(|key| (key.clone(), value(key))).collect())
    }
}

/// Generates any value, encoded by this test itself so that it does not repeat a mistake of the
/// scanner.
fn any_bencode() -> impl Strategy<Value = Vec<u8>> {
    let text = |bytes: Vec<u8>| [bytes.len().to_string().as_bytes(), b":", &bytes].concat();
    let string = proptest::collection::vec(any::<u8>(), 0..12).prop_map(text);
    let integer = any::<i64>().prop_map(|int| format!("i{int}e").into_bytes());
    prop_oneof![string, integer].prop_recursive(5, 60, 6, move |inner| {
        let key = proptest::collection::vec(any::<u8>(), 0..4);
        let list = proptest::collection::vec(inner.clone(), 0..6)
            .prop_map(|values| [b"l".as_slice(), &values.concat(), b"e"].concat());
        let dict = proptest::collection::hash_map(key, inner, 0..6).prop_map(move |entries| {
            let entries = entries.into_iter().map(|(key, value)| [text(key), value].concat());
            [b"d".as_slice(), &entries.collect::<Vec<_>>().concat(), b"e"].concat()
        });
        prop_oneof![list, dict]
    })
}

proptest! {
    #[test]
    fn every_value_is_passed_and_every_cut_is_refused(bytes in any_bencode(), cut in 0_usize..400) {
        let decoded = decode(&bytes, &LIMITS);
        prop_assert_eq!(decoded, Ok(value_of(scan(&bytes, &LIMITS).unwrap().root())));
        prop_assert!(scan(&bytes, &LIMITS).unwrap().is_exact());
        prop_assert!(scan(&bytes[..cut.min(bytes.len() - 1)], &LIMITS).is_err());
    }

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(&bytes, &LIMITS);
    }

    #[test]
    fn random_tokens_never_panic(tokens in "([ilde0-9:-]|1:a|i1e|01:a|i-0e|d1:a){0,60}") {
        let _ = decode(tokens.as_bytes(), &LIMITS);
        if let Ok(scan) = scan_prefix(tokens.as_bytes(), &LIMITS) {
            prop_assert!(decode(&tokens.as_bytes()[..scan.used()], &LIMITS).is_ok());
        }
    }
}
