use proptest::prelude::*;

use super::verdict::{Verdict, judge};
use super::*;

fn head(text: &str) -> Head {
    let bytes = text.replace('\n', "\r\n") + "\r\n\r\n";
    let (head, used) = parse_head(bytes.as_bytes()).unwrap().unwrap();
    assert_eq!(used, bytes.len());
    head
}

fn refused(text: &str) -> String {
    let bytes = text.replace('\n', "\r\n") + "\r\n\r\n";
    parse_head(bytes.as_bytes()).unwrap_err().to_string()
}

#[test]
fn a_ranged_reply_is_read() {
    let head = head(
        "HTTP/1.1 206 Partial Content\nServer: nginx\ncontent-LENGTH: 100\n\
         Content-Range: bytes 100-199/1000",
    );
    let expected = Head {
        status: 206,
        version_1_1: true,
        keep_alive: true,
        content_length: Some(100),
        chunked: false,
        content_range: Some(ContentRange { start: 100, end_exclusive: 200, total: Some(1000) }),
        actual_length: None,
        retry_after: None,
        location: None,
        content_encoding_identity: true,
        takes_basic_login: true,
        is_html: false,
        is_bot_check: false,
    };
    assert_eq!(head, expected);
}

#[test]
fn a_head_is_none_until_its_last_byte() {
    let bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    (0..38).for_each(|cut| assert_eq!(parse_head(&bytes[..cut]), Ok(None), "{cut}"));
    assert_eq!(parse_head(bytes).unwrap().unwrap().1, 38);
}

#[test]
fn interim_responses_are_passed_over() {
    let bytes = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 404 No\r\n\r\n";
    let (head, used) = parse_head(bytes).unwrap().unwrap();
    assert_eq!((head.status, used), (404, bytes.len()));
    assert_eq!(parse_head(&bytes[..30]), Ok(None));
}

#[test]
fn the_connection_is_kept_by_version_and_word() {
    let check = |text: &str, keep_alive| assert_eq!(head(text).keep_alive, keep_alive, "{text}");
    check("HTTP/1.1 200 OK", true);
    check("HTTP/1.1 200 OK\nConnection: close", false);
    check("HTTP/1.1 200 OK\nConnection: Upgrade, CLOSE", false);
    check("HTTP/1.1 200 OK\nConnection: close\nConnection: keep-alive", false);
    check("HTTP/1.0 200 OK", false);
    check("HTTP/1.0 200 OK\nConnection: Keep-Alive", true);
    check("HTTP/1.1 200 OK\nTransfer-Encoding: chunked", true);
    check("HTTP/1.1 200 OK\nTransfer-Encoding: chunked\nContent-Length: 5", false);
}

#[test]
fn lengths_that_agree_are_read_and_others_are_an_error() {
    let check = |text: &str, length| {
        assert_eq!(head(&format!("HTTP/1.1 200 OK\n{text}")).content_length, length, "{text}");
    };
    check("X: y", None);
    check("Content-Length: 0", Some(0));
    check("Content-Length: 5\nContent-Length: 5", Some(5));
    check("Content-Length: 5, 5", Some(5));
    check("Content-Length: 18446744073709551615", Some(u64::MAX));
    check("Transfer-Encoding: Chunked\nContent-Length: 5", None);
    let check = |text: &str, name: &str| {
        let error = refused(&format!("HTTP/1.1 200 OK\n{text}"));
        assert!(error.contains(name), "{error}");
    };
    check("Content-Length: 5\nContent-Length: 6", "invalid Content-Length: `6`");
    check("Content-Length: 5, 6", "Content-Length");
    check("Content-Length: +5", "Content-Length");
    check("Content-Length: -5", "Content-Length");
    check("Content-Length:", "Content-Length");
    check("Content-Length: 18446744073709551616", "Content-Length");
    check("Transfer-Encoding: gzip, chunked", "Transfer-Encoding");
    check("Transfer-Encoding: chunked, chunked", "Transfer-Encoding");
}

#[test]
fn content_ranges_that_cannot_be_are_as_good_as_none() {
    let check = |text: &str, expected: Option<(u64, u64, Option<u64>)>| {
        let head = head(&format!("HTTP/1.1 206 OK\nContent-Range: {text}"));
        let range = head.content_range.map(|r| (r.start, r.end_exclusive, r.total));
        assert_eq!(range, expected, "{text}");
    };
    check("bytes 0-0/1", Some((0, 1, Some(1))));
    check("Bytes 5-9/*", Some((5, 10, None)));
    for text in ["bytes=5-9/10", "bytes: 5-9/10", "5-9/10", "bytes  5 - 9 / 10 "] {
        check(text, Some((5, 10, Some(10))));
    }
    for text in ["bytes 5-9/-1", "bytes 5-9", "5-9"] {
        check(text, Some((5, 10, None)));
    }
    check("bytes 5-4/10", None);
    check("bytes 5-10/10", None);
    check("bytes -5/10", None);
    check("bytes 5-/10", None);
    check("bytes 5-9/ten", None);
    check("bytes 5-9/", None);
    check("items 5-9/10", None);
    check("bytes", None);
    check("bytes 0-18446744073709551615/*", None);
    check("bytes */10", None);
    check("", None);
    assert_eq!(head("HTTP/1.1 416 No\nContent-Range: bytes */10").actual_length, Some(10));
}

#[test]
fn retry_after_is_seconds_or_some_date_and_bounded() {
    let check = |text: &str, seconds: Option<u64>| {
        let head = head(&format!("HTTP/1.1 503 No\nRetry-After: {text}"));
        assert_eq!(head.retry_after, seconds.map(Duration::from_secs), "{text}");
    };
    check("120", Some(120));
    check("0", Some(0));
    check("99999999999999999999999", Some(86_400));
    check("Fri, 31 Dec 1999 23:59:59 GMT", Some(60));
    check("-1", None);
    check("soon", None);
    check("", None);
    // With the server's own time, a date is as exact as seconds.
    let with_date = |date: &str, until: &str, seconds: u64| {
        for text in [
            format!("Date: {date}\nRetry-After: {until}"),
            format!("Retry-After: {until}\nDate: {date}"),
        ] {
            let head = head(&format!("HTTP/1.1 503 No\n{text}"));
            assert_eq!(head.retry_after, Some(Duration::from_secs(seconds)), "{text}");
        }
    };
    let date = "Sun, 06 Nov 1994 08:49:37 GMT";
    with_date(date, "Sun, 06 Nov 1994 08:49:42 GMT", 5);
    with_date(date, "Sun, 06 Nov 1994 09:00:00 GMT", 623);
    with_date(date, "Sun, 06 Nov 1994 08:49:30 GMT", 0);
    with_date(date, "Mon, 07 Nov 2011 08:49:37 GMT", 86_400);
    with_date("Sat, 31 Dec 2022 23:59:59 GMT", "Sun, 01 Jan 2023 00:00:01 GMT", 2);
    with_date("Wed, 28 Feb 2024 23:59:50 GMT", "Thu, 29 Feb 2024 00:00:00 GMT", 10);
    with_date("Thu, 29 Feb 2024 23:59:50 GMT", "Fri, 01 Mar 2024 00:00:00 GMT", 10);
    with_date("Tue, 28 Feb 2023 23:59:50 GMT", "Wed, 01 Mar 2023 00:00:00 GMT", 10);
    with_date(date, "7", 7);
    // An invalid one says as little as none.
    for date in ["yesterday", "Sun, 06 Nov 99999 08:49:37 GMT", "Sun, 06 Now 1994 08:49:37 GMT", ""]
    {
        with_date(date, "Fri, 31 Dec 1999 23:59:59 GMT", 60);
    }
}

#[test]
fn location_and_encoding_are_read() {
    let check = |text: &str, location: Option<&str>| {
        let head = head(&format!("HTTP/1.1 302 Found\n{text}"));
        assert_eq!(head.location.as_deref(), location);
    };
    check("Location: http://other/x", Some("http://other/x"));
    check("Location: /é", Some("/é"));
    check("Location:", None);
    // A value that is not UTF-8 is sent back byte for byte.
    let latin = parse_head(b"HTTP/1.1 302 Found\r\nLocation: /caf\xe9?a=b%20c\r\n\r\n").unwrap();
    assert_eq!(latin.unwrap().0.location.as_deref(), Some("/caf%E9?a=b%20c"));
    // Whether it is too long is decided later, so that the error can say so.
    let long = "x".repeat(9_000);
    check(&format!("Location: {long}"), Some(&long));
    let check = |text: &str, identity| {
        let head = head(&format!("HTTP/1.1 200 OK\n{text}"));
        assert_eq!(head.content_encoding_identity, identity);
    };
    check("Content-Encoding: identity", true);
    check("Content-Encoding:", true);
    check("Content-Encoding: gzip", false);
    check("Content-Encoding: identity, br", false);
    for encoding in ["X-GZIP", "deflate", "zstd", "compress", "aws-chunked,gzip"] {
        check(&format!("Content-Encoding: {encoding}"), false);
    }
    for other in ["utf-8", "UTF-8", "none", "binary", "aws-chunked"] {
        check(&format!("Content-Encoding: {other}"), true);
    }
}

#[test]
fn what_is_not_http_or_too_long_is_an_error() {
    assert!(refused("SSH-2.0-OpenSSH").contains("not HTTP"));
    assert!(refused("HTTP/1.1 2x0 OK").contains("not HTTP"));
    let check = |headers: String| {
        let error = parse_head(format!("HTTP/1.1 200 OK\r\n{headers}").as_bytes());
        assert_eq!(error, Err(HttpError::TooLong));
    };
    check("A: b\r\n".repeat(200));
    check(format!("A: {}", "x".repeat(70_000)));
    let interim = "HTTP/1.1 100 Continue\r\n\r\n".repeat(10_000);
    assert_eq!(parse_head(interim.as_bytes()), Err(HttpError::TooLong));
}

#[test]
fn heads_from_parts_and_from_bytes_are_the_same() {
    let headers = [("Content-Length", "7"), ("CONNECTION", "close"), ("location", "/x")];
    let parts = headers.iter().map(|&(name, value)| (name, value.as_bytes()));
    let from_parts = Head::from_parts(302, true, parts).unwrap();
    let from_bytes = head("HTTP/1.1 302 Found\nContent-Length: 7\nConnection: close\nLocation: /x");
    assert_eq!(from_parts, from_bytes);
}

#[test]
fn a_get_asks_for_the_range_as_it_is_and_nothing_can_be_smuggled_in() {
    let check = |host: &str, path: &str, range: Option<Range<u64>>, expected: &str| {
        let mut out = Vec::new();
        encode_get(host, path, range, "at/1 (x)", None, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), expected.replace('\n', "\r\n"));
    };
    let tail = "User-Agent: at/1 (x)\nAccept: */*\nAccept-Encoding: identity\n";
    check("h:81", "/a?b", None, &format!("GET /a?b HTTP/1.1\nHost: h:81\n{tail}\n"));
    check(
        "h",
        "/a%20b",
        Some(0..10),
        &format!("GET /a%20b HTTP/1.1\nHost: h\n{tail}Range: bytes=0-9\n\n"),
    );
    check("h", "", None, &format!("GET / HTTP/1.1\nHost: h\n{tail}\n"));
    check(
        "h\r\nX: y",
        "/a b\r\nX: y",
        None,
        &format!("GET /a%20b%0D%0AX:%20y HTTP/1.1\nHost: h%0D%0AX:%20y\n{tail}\n"),
    );
    let mut out = Vec::new();
    encode_get("h", "/", None, "at", Some(("Authorization", "Basic dTpw\r\nX: y")), &mut out);
    let out = String::from_utf8(out).unwrap();
    assert!(out.contains("\r\nAuthorization: Basic dTpw%0D%0AX: y\r\n"), "{out}");
}

/// Judges the reply to a request for bytes 100–199 of a file of 1,000.
fn judged(text: &str) -> Verdict {
    judge(&head(&format!("HTTP/1.1 {text}")), &(100..200), 1000)
}

#[test]
fn bodies_are_used_where_they_hold_what_was_asked_for() {
    let check =
        |text: &str, skip, len| assert_eq!(judged(text), Verdict::Body { skip, len }, "{text}");
    check("206 P\nContent-Range: bytes 100-199/1000\nContent-Length: 100", 0, 100);
    check("206 P\nContent-Range: bytes 100-199/*", 0, 100);
    check("206 P\nContent-Range: bytes 100-149/1000", 0, 50);
    check("206 P\nContent-Range: bytes 64-255/1000", 36, 100);
    check("206 P\nContent-Length: 100", 0, 100);
    check("200 OK\nContent-Length: 1000", 100, 100);
    // The file is itself compressed.
    for encoding in ["gzip", "x-gzip", "X-GZIP", "br", "zstd", "compress", "identity, gzip"] {
        let encoding = format!("Content-Encoding: {encoding}");
        check(&format!("200 OK\nContent-Length: 1000\n{encoding}"), 100, 100);
        check(&format!("206 P\nContent-Range: bytes 100-199/1000\n{encoding}"), 0, 100);
    }
    check("200 OK\nTransfer-Encoding: chunked", 100, 100);
    check("200 OK", 100, 100);
    // From a proxy that changed the reply's head.
    check("203 Non-Authoritative Information\nContent-Length: 1000", 100, 100);
    let whole = judge(&head("HTTP/1.1 200 OK\nContent-Length: 1000"), &(0..1000), 1000);
    assert_eq!(whole, Verdict::Body { skip: 0, len: 1000 });
}

#[test]
fn a_file_that_is_not_the_torrents_is_stale() {
    let check = |text: &str, part: &str| match judged(text) {
        Verdict::Stale(why) => assert!(why.contains(part), "{why}"),
        other => panic!("{text}: {other:?}"),
    };
    check("200 OK\nContent-Length: 999", "999 bytes, the torrent's has 1000");
    check("200 OK\nContent-Encoding: gzip", "compresses");
    check("206 P\nContent-Range: bytes 100-199/2000", "2000 bytes");
    check("206 P\nContent-Range: bytes 100-199/1000\nContent-Length: 7", "announced 100 bytes");
    check("206 P\nContent-Range: bytes 101-199/1000", "sends 101-199");
    check("206 P\nContent-Range: bytes 0-99/1000", "sends 0-99");
    check("206 P\nContent-Range: bytes 100-1000/*", "sends 100-1000");
    check("206 P\nContent-Range: bytes 100-199/2000\nContent-Encoding: br", "compresses");
    check("206 P\nContent-Range: bytes 100-199/*\nContent-Encoding: gzip", "compresses");
    check("200 OK\nContent-Length: 999\nContent-Encoding: gzip", "compresses");
    check("200 OK\nTransfer-Encoding: chunked\nContent-Encoding: x-gzip", "compresses");
    let no_range = "without a valid Content-Range";
    check("206 P\nContent-Type: multipart/byteranges; boundary=x", no_range);
    check("206 P\nContent-Length: 99", no_range);
    check("206 P\nContent-Length: 100\nContent-Encoding: gzip", no_range);
    check("416 No", "refuses bytes 100-199");
    check("416 No\nContent-Range: bytes */7", "7 bytes");
}

#[test]
fn other_statuses_say_what_to_do() {
    let check = |text: &str, expected| assert_eq!(judged(text), expected, "{text}");
    for status in [301, 302, 303, 307, 308] {
        check(&format!("{status} X\nLocation: /y"), Verdict::Redirect("/y".to_owned()));
        check(&format!("{status} X"), Verdict::Refused(status));
    }
    for status in [403, 404, 410, 451] {
        check(&format!("{status} X"), Verdict::Gone(status));
    }
    for status in [408, 500, 502, 504, 599] {
        check(&format!("{status} X"), Verdict::Retry(status));
    }
    for status in [101, 201, 204, 304, 400, 401, 407, 600] {
        check(&format!("{status} X"), Verdict::Refused(status));
    }
    check("429 X", Verdict::Pause(None));
    check("503 X\nRetry-After: 7", Verdict::Pause(Some(Duration::from_secs(7))));
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse_head(&bytes);
        let begin = b"HTTP/1.1 206 X\r\nContent-Range: bytes ".as_slice();
        let _ = parse_head(&[begin, &bytes, b"\r\n\r\n"].concat());
    }

    #[test]
    fn a_body_is_never_more_than_was_asked_for(
        (start, last, total) in (0_u64..1000, 0_u64..1000, 999_u64..1001),
        (from, length) in (0_u64..1000, 1_u64..1000),
    ) {
        let asked = from..(from + length).min(1000);
        let text = format!("HTTP/1.1 206 X\nContent-Range: bytes {start}-{last}/{total}");
        if let Verdict::Body { skip, len } = judge(&head(&text), &asked, 1000) {
            prop_assert!(len >= 1 && start + skip == asked.start && asked.start + len <= asked.end);
            prop_assert!(skip + len <= last + 1 - start && total == 1000);
        }
    }
}
