//! Scrape URLs and replies.

use super::*;
use crate::torrent::bencode::variants;

fn infohash() -> Infohash {
    Infohash::from_bytes(*b"0123456789abcdefghij")
}

#[test]
fn the_last_part_of_the_path_says_whether_there_is_a_scrape() {
    let check = |announce: &str, expected: Option<&str>| {
        let expected = expected.map(|start| format!("{start}info_hash=0123456789abcdefghij"));
        let found = scrape_url(&announce.into(), infohash());
        assert_eq!(found.as_ref().map(Url::exposed), expected.as_deref(), "{announce}");
    };
    // The examples in BEP 48.
    check("http://example.com/announce", Some("http://example.com/scrape?"));
    check("http://example.com/x/announce", Some("http://example.com/x/scrape?"));
    check("http://example.com/announce.php", Some("http://example.com/scrape.php?"));
    check("http://example.com/announce?x2%0644", Some("http://example.com/scrape?x2%0644&"));
    check("http://example.com/a", None);
    check("http://example.com/announce?x=2/4", Some("http://example.com/scrape?x=2/4&"));
    check("http://example.com/x%064announce", None);
    check("http://example.com", None);
    check("", None);
}

#[test]
fn a_reply_tells_of_this_torrent_or_of_none() {
    let check = |reply: &str, expected: Option<(Option<u64>, Option<u64>)>| {
        let found = parse_scrape(reply.as_bytes(), infohash());
        assert_eq!(found.map(|counts| (counts.seeds, counts.leechers)), expected, "{reply}");
    };
    let of = |hash: &str, counts: &str| format!("d5:filesd20:{hash}d{counts}eee");
    let mine = "0123456789abcdefghij";
    check(&of(mine, "8:completei3e10:incompletei5e"), Some((Some(3), Some(5))));
    check(&of(mine, "8:completei3e"), Some((Some(3), None)));
    check(&of(mine, "8:completei-1e"), Some((None, None)));
    check(&of("ABCDEFGHIJ0123456789", "8:completei3e"), None);
    for nothing in
        ["d5:filesdee", "d8:completei3ee", "d14:failure reason5:\u{1b}[2mxe", "<html>", ""]
    {
        check(nothing, None);
    }
}

#[test]
fn replies_are_read_as_other_programs_write_them() {
    let reply = b"d5:filesd20:0123456789abcdefghijd8:completei3eeee";
    let expected = parse_scrape(reply, infohash());
    assert!(expected.is_some());
    for body in variants::of(reply) {
        assert_eq!(parse_scrape(&body, infohash()), expected, "{}", body.escape_ascii());
    }
    for value in variants::ODD_VALUES {
        let counts =
            format!("d10:downloaded{value}8:completei03e8:complete{value}6:~extra{value}e");
        let body =
            format!("d5:filesd20:ABCDEFGHIJ0123456789{counts}20:0123456789abcdefghij{counts}ee");
        assert_eq!(parse_scrape(body.as_bytes(), infohash()), expected, "{body}");
    }
}
