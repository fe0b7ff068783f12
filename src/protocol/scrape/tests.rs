//! Scrape URLs, and replies.

use super::*;

fn infohash() -> Infohash {
    Infohash::from_bytes(*b"0123456789abcdefghij")
}

#[test]
fn the_last_part_of_the_path_says_whether_there_is_a_scrape() {
    let check = |announce: &str, expected: Option<&str>| {
        let expected = expected.map(|start| format!("{start}info_hash=0123456789abcdefghij"));
        assert_eq!(scrape_url(announce, infohash()), expected, "{announce}");
    };
    // BEP 48's own examples.
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
fn a_reply_tells_of_this_torrent_or_why_not() {
    let check = |reply: &str, expected: Result<(Option<u64>, Option<u64>), &str>| {
        let found = parse_scrape(reply.as_bytes(), infohash());
        let found = found.map(|counts| (counts.seeds, counts.leeches));
        match (found, expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{reply}"),
            (Err(why), Err(part)) => assert!(why.contains(part), "{reply}: {why}"),
            other => panic!("{reply}: {other:?}"),
        }
    };
    let of = |hash: &str, counts: &str| format!("d5:filesd20:{hash}d{counts}eee");
    let mine = "0123456789abcdefghij";
    check(&of(mine, "8:completei3e10:incompletei5e"), Ok((Some(3), Some(5))));
    check(&of(mine, "8:completei3e"), Ok((Some(3), None)));
    check(&of(mine, "8:completei-1e"), Ok((None, None)));
    check(&of("ABCDEFGHIJ0123456789", "8:completei3e"), Err("does not know"));
    check("d5:filesdee", Err("does not know"));
    check("d8:completei3ee", Err("no scrape"));
    check("d14:failure reason5:\u{1b}[2mxe", Err("it refuses: "));
    check("<html>", Err("byte"));
    check("", Err(""));
}
