use proptest::prelude::*;

use super::*;

const HEX: &str = "323a0048d87ca79b68f12a6350a57776b6a3b7fb";
const BASE32: &str = "GI5AASGYPSTZW2HRFJRVBJLXO23KHN73";

fn read(rest: &str) -> Magnet {
    Magnet::parse(&format!("magnet:?xt=urn:btih:{HEX}{rest}")).unwrap()
}

fn check_refused(link: &str, part: &str) {
    let why = Magnet::parse(link).unwrap_err().to_string();
    assert!(why.contains(part), "{why}");
}

#[test]
fn the_infohash_may_be_written_in_any_way_and_place() {
    let check = |link: &str| {
        assert!(Magnet::is_one(link), "{link:?}");
        assert_eq!(Magnet::parse(link).unwrap().infohash, HEX.parse().unwrap());
    };
    check(&format!("magnet:?xt=urn:btih:{HEX}"));
    check(&format!("\u{3000}\t magnet:?xt=urn:btih:{HEX}"));
    check(&format!(" MAGNET:?dn=x&XT=URN:BTIH:{}\n", HEX.to_uppercase()));
    check(&format!("magnet:?xt=urn:btih:{BASE32}&dn=x"));
    check(&format!("magnet:?dn=x&amp;xt.1=urn%3Abtih%3A{HEX}&amp;tr=http://a/"));
    check(&format!("magnet:?xt=urn:btih:{HEX}&xt=urn:btih:{BASE32}"));
    // Hybrid torrents, and links that also name the file in another network.
    check(&format!("magnet:?xt=urn:btmh:1220{}&xt=urn:btih:{HEX}", "ab".repeat(32)));
    check(&format!("magnet:?xt.1=urn:sha1:YNCKHTQC&xt.2=urn:btih:{HEX}"));
    check(&format!("magnet:/?xt=urn:btih:{HEX}"));
    check(&format!("Magnet://?xt=urn:btih:{HEX}&dn=x"));
    check(&format!("magnet:?&&=&x&xt=urn:btih:{HEX}&=&#tr=http://a/"));
    check(&format!("magnet:?xt=urn:btih:%20{HEX}+&dn=x").replace('+', "%0A"));
}

#[test]
fn what_is_copied_along_with_a_link_is_left_out() {
    let plain = format!("magnet:?xt=urn:btih:{HEX}&tr=http%3A%2F%2Fa%2F%3Fk%3D1");
    let around = ["\"", "'", "`", "\u{201c}\n", "\u{feff}", "\u{200b}", " \" "].map(|it| (it, it));
    for (before, after) in around.into_iter().chain([("<", ">"), ("", "\u{200b}\r\n")]) {
        let link = [before, &plain, after].concat();
        assert!(Magnet::is_one(&link), "{link:?}");
        let magnet = Magnet::parse(&link).unwrap();
        assert_eq!((magnet.link.exposed(), magnet.infohash), (&*plain, HEX.parse().unwrap()));
        assert_eq!(pasted(&[before, HEX, after].concat()), HEX);
        assert!(!Url::from(&*link).to_string().contains("k=1"), "{link:?}");
    }
}

#[test]
fn a_link_may_be_encoded_once_more() {
    let encoded = |text: &str| text.replace('%', "%25").replace(':', "%3A").replace('/', "%2F");
    let tracker = "http://a/?k=1%202";
    let values = |value: &dyn Fn(&str) -> String| {
        format!("magnet:?xt={}&tr={}", value(&format!("urn:btih:{HEX}")), value(tracker))
    };
    let plain = values(&encoded);
    let whole = encoded(&plain).replace('?', "%3F").replace('=', "%3D").replace('&', "%26");
    for link in
        [whole.replacen("%3A%3F", ":?", 1), whole, values(&|value| encoded(&encoded(value)))]
    {
        assert!(Magnet::is_one(&link), "{link}");
        assert!(!Url::from(&*link).to_string().contains("k="), "{link}");
        assert!(!masked(&link).contains("202"), "{link}");
        let magnet = Magnet::parse(&link).unwrap();
        assert_eq!(
            (magnet.infohash, &magnet.trackers[..]),
            (HEX.parse().unwrap(), &[tracker.into()][..])
        );
    }
    check_refused("magnet%3A%3Fdn%3Dx", "no infohash");
    check_refused("magnet:?dn%3Dx", "no infohash");
    // Nothing else is decoded twice.
    check_refused(&format!("%6Dagnet:?xt=urn:btih:{HEX}"), "does not begin");
    check_refused(&format!("magnet:?dn=a%26xt=urn:btih:{HEX}"), "no infohash");
    check_refused(&format!("magnet:?xt=urn:btih:{HEX}%23&xt=urn:btih:{HEX}"), "invalid `xt`");
    let padding = "%20".repeat(MAX_LINK_BYTES / 3);
    check_refused(&format!("magnet%3A%3Fxt%3Durn%3Abtih%3A{HEX}{padding}"), "over the limit");
}

#[test]
fn what_names_no_torrent_that_can_be_had_is_refused() {
    check_refused("urn:btih:", "does not begin with `magnet:?`");
    check_refused("", "does not begin");
    check_refused("magnét:?", "does not begin");
    check_refused("magnet:", "no `?` after `magnet:`");
    check_refused(&format!("magnet:xt=urn:btih:{HEX}"), "no `?` after `magnet:`");
    check_refused(&format!("magnet://host/?xt=urn:btih:{HEX}"), "no `?` after `magnet:`");
    check_refused("magnet:?dn=x", "no infohash");
    check_refused(&format!("magnet:?xt=urn:btmh:1220{}", "ab".repeat(32)), "v2-only");
    check_refused("magnet:?xt=urn:btih:beef", "found 4");
    check_refused("magnet:?xt=urn:btih:a%0Ab", "`ab` is not an infohash");
    check_refused(&format!("magnet:?xt=urn:btih:{HEX}&xt=urn:btih:{}", "0".repeat(40)), "two");
    let long = format!("magnet:?xt=urn:btih:{HEX}&dn={}", "x".repeat(70_000));
    check_refused(&long, "over the limit of 65536");
}

#[test]
fn places_are_decoded_and_each_is_there_once() {
    let magnet = read(
        "&tr=http%3A%2F%2Fa%2Fannounce%3Fkey%3D1&tr.1=udp://b:80&tr=udp://b:80&tr=&tr=nonsense\
         &ws=https://c/d%20e/&ws=https://c/d%2520e/&ws=ftp://c/&x.pe=1.2.3.4:5&x.pe=[2001:db8::1]:6881\
         &x.pe=host:0&x.pe=host&x.pe.2=host:6881&mt=http://f/&kt=word&x.y=z",
    );
    assert_eq!(magnet.trackers, ["http://a/announce?key=1", "udp://b:80"]);
    assert_eq!(magnet.web_seeds, ["https://c/d%20e/"]);
    let several = read(
        "&ws=http://a/&ws.1=https%3A%2F%2Fb%2F&ws=http://c/&xs=http://d/x.torrent&xs=urn:sha1:ABC\
         &xs.2=https%3A%2F%2Fe%2F%3Fid%3D1&xs=dchub://f/&xs=http://d/x.torrent",
    );
    assert_eq!(several.web_seeds, ["http://a/", "https://b/", "http://c/"]);
    assert_eq!(several.torrents, ["http://d/x.torrent", "https://e/?id=1"]);
    let sources = "&ws=http://a/&as=http://b/x.bin&as.1=http://c/X.TORRENT?k=1&as=urn:sha1:ABC&as=";
    let acceptable = read(sources);
    assert_eq!(acceptable.web_seeds, ["http://a/", "http://b/x.bin"]);
    assert_eq!(acceptable.torrents, ["http://c/X.TORRENT?k=1"]);
    assert_eq!(magnet.peers, ["1.2.3.4:5", "[2001:db8::1]:6881", "host:6881"]);
}

#[test]
fn the_number_and_length_of_places_are_bounded() {
    let many: String =
        (0..300).map(|n| format!("&tr=http://t{n}/&ws=http://w{n}/&x.pe=p:{}", n + 1)).collect();
    let magnet = read(&many);
    assert_eq!((magnet.trackers.len(), magnet.web_seeds.len(), magnet.peers.len()), (32, 32, 64));
    assert!(read(&format!("&tr=http://a/{}", "x".repeat(3_000))).trackers.is_empty());
}

#[test]
fn so_names_files_by_number() {
    assert_eq!(read("&so=0,2,4,6-8").files, [(0, 0), (2, 2), (4, 4), (6, 8)]);
    assert_eq!(read("&so=1%2C%203&so=5").files, [(1, 1), (3, 3), (5, 5)]);
    assert_eq!(read("&so=").files, []);
    for odd in ["x", "3-1", "-1", "1-", "1-2-3", "99999999999", "+1x"] {
        check_refused(&format!("magnet:?xt=urn:btih:{HEX}&so={odd}"), "invalid `so`");
    }
    let many = vec!["1"; 5_000].join(",");
    check_refused(&format!("magnet:?xt=urn:btih:{HEX}&so={many}"), "more than 4096");
}

#[test]
fn the_name_is_fit_for_a_line() {
    let check = |rest: &str, name: Option<&str>| assert_eq!(read(rest).name.as_deref(), name);
    check("", None);
    check("&dn=", None);
    check("&dn=MNIST+digits", Some("MNIST digits"));
    check("&dn=a%0Ab%1B%5B2J%E2%80%AEc", Some("ab[2Jc"));
    assert_eq!(read(&format!("&dn={}", "x".repeat(1_000))).name.unwrap().len(), 100);
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,80}", rest in "(&?(xt|tr|dn|so|x\\.pe|ws|amp;)?[.=%0-9a-zé,-]{0,6}){0,12}") {
        let _ = Magnet::parse(&text);
        let _ = Magnet::parse(&format!("magnet:?{text}"));
        if let Ok(magnet) = Magnet::parse(&format!("magnet:?xt=urn:btih:{HEX}{rest}")) {
            prop_assert_eq!(magnet.infohash, HEX.parse().unwrap());
        }
    }
}

#[test]
fn an_error_quotes_no_secret_of_a_link_with_other_separators() {
    let hash = "aa".repeat(20);
    // What is quoted is cut, before the end of the login.
    let long = format!("http://user:SECRET{}@t/", "x".repeat(40));
    for secret in ["http://t/?passkey=SECRET", "http://user:SECRET@t/", &long] {
        for link in [
            format!("magnet:?xt=urn:btih:{hash};tr={secret}"),
            format!("magnet:?xt=urn:btih:{hash}?tr={secret}"),
            format!("magnet:?xt=urn:btih:{hash}&so=1;{secret}"),
            format!("magnet:?xt=urn:btih:{secret}"),
        ] {
            let error = Magnet::parse(&link).unwrap_err().to_string();
            assert!(!error.contains("SEC"), "{error}");
        }
    }
}
