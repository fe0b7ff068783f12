use proptest::prelude::*;

use super::mask::stray_login;
use super::*;

const KEY: &str = "0123456789abcdef0123456789ABCDEF";
const INFOHASH: &str = "ce990b28668abf16480b8b906640a6cd7e3b8b21";

#[test]
fn a_url_prints_without_its_secrets() {
    let check = |url: &str, expected: &str| {
        let url = url.replace("KEY", KEY).replace("INFOHASH", INFOHASH);
        let expected = expected.replace("INFOHASH", INFOHASH);
        assert_eq!(Url::from(&url).to_string(), expected);
        assert_eq!(format!("{:?}", Url::from(&url)), format!("\"{expected}\""));
        // Masking is idempotent, alone and in a text that quotes the URL.
        assert_eq!(Url::from(&expected).to_string(), expected);
        let quoted = |url: &str| format!("from `{url}` and {url}, then {url}: 404");
        if stray_login(&url).is_none() && url.contains(":/") && !url.starts_with("u:") {
            assert_eq!(masked(&quoted(&url)), quoted(&expected));
        }
    };
    for harmless in [
        "http://h",
        "https://h.example:8080/a/b.zip",
        "udp://t.example:80/announce",
        "HTTP://H/",
        "http://[::1]:80/x.zip",
        "https://m/INFOHASH/",
        "http://h/?file=a/b.zip&format=raw",
        "http://h/x?download",
        "http://h/pkg@1.2/x",
        "http://h:80/pkg@1.2/x",
        "http://h/?a=&b",
        "/mnt/data",
        "/mnt/a@b?c=d",
        "C:\\a@b",
        "20 GiB?",
        "",
        "announce",
        "file:///x/y",
    ] {
        check(harmless, harmless);
    }
    // Logins, in any spelling.
    check("http://u:p@h/x", "http://…@h/x");
    check("http://u@h", "http://…@h");
    check("http://u:p@q@h:80/x", "http://…@h:80/x");
    check("socks5h://u:p%40@h:1080", "socks5h://…@h:1080");
    check("u:p@h:3128", "…@h:3128");
    check("u:p/q@h:3128", "…@h:3128");
    check("token@h", "…@h");
    check("http://u:p/a?s#s@h/x", "http://…@h/x");
    check("http://u:p s\"s@h/x", "http://…@h/x");
    check("udp://u:p@t:80/", "udp://…@t:80/");
    // Passkeys in a path, a host, a parameter of a path.
    check("http://t/KEY/announce", "http://t/…/announce");
    check("http://t/announce/KEY", "http://t/announce/…");
    check("http://t/KEY.php", "http://t/….php");
    check("http://KEY.t:80/x", "http://….t:80/x");
    check("http://t/%30123456789abcdef0123456789abcdef/x", "http://t/…/x");
    check("http://t/a1b2c3d4e5/announce", "http://t/…/announce");
    check("http://t/zqgtkvjwpxhmnbrd/announce.php", "http://t/…/announce.php");
    check("udp://t:80/announce/q1w2e3r4t5y6", "udp://t:80/announce/…");
    check("http://t/passkey=abc/announce", "http://t/passkey=…/announce");
    check("http://t/x;jsessionid=abc?file=y", "http://t/x;jsessionid=…?file=y");
    // All parameters except harmless ones.
    check("http://t/announce?passkey=abc", "http://t/announce?passkey=…");
    check(
        "http://t/a.php?uid=1;authkey=a&torrent_pass=b",
        "http://t/a.php?uid=…;authkey=…&torrent_pass=…",
    );
    check(
        "https://s/x?X-Amz-Signature=a&X-Amz-Credential=b",
        "https://s/x?X-Amz-Signature=…&X-Amz-Credential=…",
    );
    check("https://s/x?sv=1&sig=a%2Fb%3D", "https://s/x?sv=…&sig=…");
    check("https://s/x?whatever=abc", "https://s/x?whatever=…");
    check("https://s/x?aB3dE5fG7hI9kL1mN", "https://s/x?…");
    check("https://s/x?KEY=1", "https://s/x?…=…");
    check("https://s/x?file=http://u:p@h/", "https://s/x?file=…");
    check("https://s/x?name=KEY", "https://s/x?name=…");
    check("https://s/x#access_token=abc", "https://s/x#…");
    check("https://s?token=abc", "https://s?token=…");
    // Magnet links.
    check(
        "magnet:?xt=urn:btih:INFOHASH&dn=A+b&tr=http%3A%2F%2Ft%2Fannounce%3Fpasskey%3Dabc%2526&ws=http://u:p@h/",
        "magnet:?xt=urn:btih:INFOHASH&dn=A+b&tr=http://t/announce?passkey=…&ws=http://…@h/",
    );
    check(
        "MAGNET:?xt=urn:btih:INFOHASH&x.key=abc&tr.1=udp%3A%2F%2Ft%3A80",
        "MAGNET:?xt=urn:btih:INFOHASH&x.key=…&tr.1=udp%3A%2F%2Ft%3A80",
    );
}

#[test]
fn urls_in_a_text_are_masked_and_the_rest_of_it_stays() {
    let check = |text: &str, expected: &str| assert_eq!(masked(text), expected);
    check("nothing at all", "nothing at all");
    check("(see http://u:p@h/x).", "(see http://…@h/x).");
    check("`http://h/?token=a`: odd", "`http://h/?token=…`: odd");
    check("http://u:p@h/, https://v@i", "http://…@h/, https://…@i");
    check("http://u:p@h/,https://v@i", "http://…@h/,https://…@i");
    check("http://h/web/http://u:p@i/x", "http://h/web/http://…@i/x");
    check("a://b c://d", "a://b c://d");
    check("ü://x?y=z", "ü://x?y=…");
    check("://", "://");
    check("say magnet:?tr=http%3A%2F%2Fu%3Ap%40h now", "say magnet:?tr=http://…@h now");
    check("say \"Magnet%3A%3Ftr%3Dhttp%253A%252F%252Fu\" now", "say \"Magnet%3A…\" now");
    check("http://u:p q@h/x: no", "http://…@h/x: no");
}

#[test]
fn what_a_server_said_is_cut_by_what_it_was_told() {
    let check = |url: &str, said: &str, expected: &str| {
        assert_eq!(Url::from(url).redacted(said), expected);
    };
    check("http://t/a?passkey=abcdef", "unknown passkey abcdef", "unknown passkey …");
    check("http://me:s%C3%A9same@t/a", "user me:sésame, sésame", "user …, …");
    check("http://t/zqgtkvjwpxhmnbrd/announce", "zqgtkvjwpxhmnbrd?", "…?");
    check("http://t/a?x=1", "1 peer at http://u:p@h/", "1 peer at http://…@h/");
    // A long text is cut before it is masked.
    check("http://t/a?passkey=abcdef", "unknown passkey abcde", "unknown passkey …");
    check("http://t/a?passkey=abcdef", "unknown passkey abcd", "unknown passkey …");
    check("http://t/a?passkey=abcdef", "unknown passkey abc", "unknown passkey abc");
    check("http://me:s%C3%A9same@t/a", "user me:sésam", "user …");
}

#[test]
fn a_login_is_decoded_and_goes_to_its_own_server_alone() {
    let check = |url: &str, authorization: Option<&str>, without: &str| {
        assert_eq!(Url::from(url).authorization().as_deref(), authorization, "{url}");
        assert_eq!(Url::from(url).without_login(), without, "{url}");
    };
    check("http://h/x#f", None, "http://h/x");
    check("http://u:s3cr3t@h/x", Some("Basic dTpzM2NyM3Q="), "http://h/x");
    check("http://u%40x:p%3A%2F%25@h:1?q", Some("Basic dUB4OnA6LyU="), "http://h:1?q");
    check("http://token@h", Some("Basic dG9rZW46"), "http://h");
    check("http://:p@h", Some("Basic OnA="), "http://h");
    check("http://@h/", None, "http://h/");
    check("http://u:p+%C3%A9@h/", Some("Basic dTpwK8Op"), "http://h/");
    let handed = |from: &str, to: &str, expected: &str| {
        assert_eq!(Url::from(from).hand_login_to(to.into()).exposed(), expected, "{from} {to}");
    };
    handed("http://u:p@h/x", "http://h/y", "http://u:p@h/y");
    handed("http://u:p@h/x", "http://H:80/y", "http://u:p@H:80/y");
    handed("http://u:p@h/x", "http://v@h/y", "http://v@h/y");
    for elsewhere in
        ["http://i/y", "http://h:8080/y", "https://h/y", "http://h.i/y", "http://i@j/h"]
    {
        handed("http://u:p@h/x", elsewhere, elsewhere);
    }
    handed("https://u:p@h/x", "http://h:443/y", "http://h:443/y");
}

#[test]
fn an_origin_has_its_port_and_no_login() {
    let check = |url: &str, expected: Option<&str>| {
        assert_eq!(Url::from(url).origin().as_deref(), expected, "{url}");
    };
    check("HTTP://u@A:1/b", Some("http://a:1"));
    check("https://a?b", Some("https://a:443"));
    check("http://[::1]/", Some("http://[::1]:80"));
    check("http://[::1]:8/", Some("http://[::1]:8"));
    check("http://a:/x", Some("http://a:80"));
    check("ftp://a/b", None);
    check("http:///b", None);
}

#[test]
fn a_passkey_in_a_query_can_be_removed_and_one_in_a_path_cannot() {
    let check = |url: &str, expected: Passkey| {
        assert_eq!(Url::from(&url.replace("KEY", KEY)).passkey(), expected, "{url}");
    };
    let without = |url: &str| Passkey::InQuery(url.into());
    check("https://academictorrents.com/announce.php", Passkey::None);
    check("udp://tracker.opentrackr.org:1337/announce", Passkey::None);
    check("http://h/d41d8cd98f00b204e9800998ecf8427e/x.zip", Passkey::None);
    check("http://h/x?file=a&passkey=", Passkey::None);
    check("https://a/announce.php?passkey=KEY", without("https://a/announce.php"));
    check("https://a/announce.php?PassKey=abc&x=1", without("https://a/announce.php?x=1"));
    check("https://a/announce.php?x=1;pass%6bey=abc#f", without("https://a/announce.php?x=1#f"));
    check("https://a/announce?KEY", without("https://a/announce"));
    check("https://s/x.zip?X-Amz-Signature=a&X-Amz-Date=b", without("https://s/x.zip"));
    check("http://t/KEY/announce", Passkey::Fixed);
    check("http://t/announce/KEY?passkey=a", Passkey::Fixed);
    check("http://t/announce.php/a1b2c3d4e5f6a7b8c9d0", Passkey::Fixed);
    check("udp://t:80/KEY", Passkey::Fixed);
    check("http://u:p@h/", Passkey::Fixed);
    check("http://KEY.t/announce", Passkey::Fixed);
}

proptest! {
    #[test]
    fn no_text_makes_us_panic_and_a_login_is_never_shown(
        text in "(ht|magnet:[?]|://|[?]|&|=|/|@|:|#|%4|é| |,|…){0,20}",
        login in "[a-zA-Z0-9é:@%!$]{8,20}",
    ) {
        let url = Url::from(&text);
        let _ = (url.to_string(), url.origin(), url.authorization(), url.passkey(), masked(&text));
        let _ = (url.redacted(&text), url.hand_login_to(Url::from(&text)));
        let login = login.replace('%', "%25");
        let url = Url::from(format!("http://{login}@h{text}"));
        prop_assert!(!url.to_string().contains(&login));
        prop_assert!(!masked(url.exposed()).contains(&login));
    }
}

#[test]
fn what_a_request_cannot_hold_is_encoded_behind_the_host() {
    let check = |text: &str, expected: &str| {
        let encoded = Url::from(text).encoded();
        assert_eq!(encoded.exposed(), expected);
        assert_eq!(encoded.encoded(), encoded);
    };
    check("http://t/announce", "http://t/announce");
    check(" \thttp://t/announce\r\n", "http://t/announce");
    check("http://t/my tracker/announce?key=a b", "http://t/my%20tracker/announce?key=a%20b");
    check("http://t/ann\nounce", "http://t/announce");
    check("http://t?a b", "http://t?a%20b");
    check("http://t/é\"<>{}|^`\\\u{1}", "http://t/%C3%A9%22%3C%3E%7B%7D%7C%5E%60%5C%01");
    // Existing percent-encoding is kept.
    check("http://t/%20%", "http://t/%20%");
    check("udp://t:1/a b", "udp://t:1/a%20b");
    // The host is not encoded.
    check("http://t t/a b", "http://t t/a%20b");
    check("", "");
    check("é", "é");
}

#[test]
fn several_urls_in_one_text_are_told_apart() {
    let check = |text: &str, expected: &[&str]| assert_eq!(several(text), expected, "{text}");
    check("", &[]);
    check(" , ", &[]);
    check("http://a/", &["http://a/"]);
    check("http://a/b c, d", &["http://a/b c, d"]);
    check("http://a/ udp://b:1", &["http://a/", "udp://b:1"]);
    check("\nHTTP://a/\r\n\r\nudp://b:1,wss://c\n", &["HTTP://a/", "udp://b:1", "wss://c"]);
    check("http://a/?x=,http://b/", &["http://a/?x=", "http://b/"]);
    check("odd http://a/", &["odd", "http://a/"]);
    check("http://a/?to=http://b/", &["http://a/?to=http://b/"]);
}

#[test]
fn a_text_of_separators_is_read_once() {
    let began = super::several(&",a://".repeat(20_000)).len();
    assert_eq!(began, 20_000);
    // Quadratic time would take minutes here.
    assert_eq!(super::several(&", ".repeat(4_000_000)), [""; 0]);
    assert_eq!(super::several(&"a,".repeat(2_000_000)).len(), 1);
}
