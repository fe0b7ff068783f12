//! A problem with a key is reported on its line, with help.

use super::super::keys::KEYS;
use super::*;

#[test]
fn bad_values_are_refused_on_their_line() {
    let cases: &[(&str, &[&str])] = &[
        ("torrent = ''", &["empty"]),
        ("torrent = 'https://a/m.torrent'", &["is a URL", "vendor"]),
        ("torrent = 1", &["expected a path, found an integer"]),
        ("files = ['a***']", &["`a***` is not a valid glob"]),
        ("files = ['']", &["empty glob"]),
        ("files = '*.gz'", &["expected a list of strings, found a string", "`files = [\"*.gz\"]`"]),
        ("files = [1]", &["expected a list of strings, found an integer"]),
        ("web-seeds = ['']", &["empty"]),
        ("web-seeds = ['a.example/x']", &["did you mean \"https://a.example/x\"?"]),
        ("web-seeds = ['ftp://a/']", &["does not begin with http:// or https://"]),
        ("web-seeds = ['http://a/x y']", &["whitespace", "%20"]),
        ("web-seeds = ['http:///x']", &["names no host"]),
        ("web-seeds = { a = 1 }", &["found a table"]),
        ("trackers = ['udp://t.example']", &["has no port", "udp://host:port"]),
        ("trackers = ['udp://t.example:0/']", &["a port that is not a number from 1 to 65535"]),
        ("trackers = ['udp://t.example:1e3/']", &["a port that is not a number from 1 to 65535"]),
        ("trackers = ['udp://t!x:1/']", &["has an invalid host", "udp://host:port"]),
        ("trackers = ['udp://[::1:1/']", &["has an invalid host"]),
        ("trackers = ['udp://user@t.example:1/']", &["before `@`", "udp://host:port"]),
        ("trackers = ['udp://user:word@t.example/']", &["before `@`"]),
        ("peers = ['user@p.example:1']", &["before `@`"]),
        ("trackers = ['wss://t.example']", &["https:// or udp://"]),
        ("trackers = ['']", &["empty"]),
        ("peers = ['p.example']", &["has no port", "host:port"]),
        ("peers = ['p.example:0']", &["1 to 65535"]),
        ("peers = ['p.example:65536']", &["1 to 65535"]),
        ("peers = [':6881']", &["host"]),
        ("peers = ['::1:6881']", &["[2001:db8::1]:6881"]),
        ("peers = ['[::1:6881']", &["host"]),
        ("peers = ['http://p:1']", &["host"]),
        (
            "mirrors = ['file:///data/a%20b']",
            &["file://", "write the directory itself: \"/data/a b\""],
        ),
        ("mirrors = ['ftp://m/']", &["does not begin with http"]),
        ("mirrors = ['']", &["empty"]),
        ("sources = ['peer']", &["is not one of", "did you mean \"peers\"?"]),
        ("sources = ['cloud']", &["`web-seeds`"]),
        ("max-size = 'big'", &["`big` is not a size"]),
        ("max-size = -1", &["-1 is not a size"]),
        ("max-size = 0x1_0000_0000_0000_0000", &["0x10000000000000000 is not a size"]),
        ("max-size = 1.5", &["found a float"]),
        ("required-features = ['x']", &["no feature `x`", "add it to [features]: `x = []`"]),
        ("sha256 = 'PIN'", &["expected a table of paths"]),
        ("sha256 = { 'a' = 'beef' }", &["`beef` is not a SHA-256 digest of 64"]),
        ("sha256 = { '/a' = 'PIN' }", &["not a path in a torrent"]),
        ("sha256 = { '../a' = 'PIN' }", &["not a path in a torrent"]),
        ("sha256 = { labels.gz = 'PIN' }", &["found a table", "in quotes: \"labels."]),
        ("sha256 = { 'a' = true }", &["expected a SHA-256 in quotes, found a boolean"]),
        ("store = 'out_dir'", &["did you mean \"out-dir\"?"]),
        ("store = 'here'", &["neither \"shared\" nor \"out-dir\""]),
        ("store = 2024-01-01", &["found a date"]),
        ("optional = 'yes'", &["expected true or false, found a string"]),
    ];
    for (line, parts) in cases {
        let key = line.split(' ').next().unwrap();
        check_key(line, &format!("invalid `{key}` in dataset `m`\n"), parts);
    }
}

#[test]
fn unknown_keys_name_the_nearest() {
    check_key(
        "web-seed = []",
        "unknown key `web-seed` in dataset `m`\n  help: did you mean `web-seeds`?",
        &[],
    );
    check_key("web_seeds = []", "unknown key", &["did you mean `web-seeds`?"]);
    check_key("size = 1", "unknown key", &["did you mean `max-size`?"]);
    check_key("colour = 1", "unknown key", &["the keys are infohash, magnet", "optional"]);
    check_key("defaults = {}", "unknown key", &["[package.metadata.academictorrents.defaults]"]);
    check_key("zzz = 'HASH'", "unknown key", &["cannot contain dots", "`m-zzz`"]);
    check_section("m.info_hash = 'HASH'", "unknown key", &["did you mean `infohash`?"]);
    check_section(
        "defaults.optinal = true",
        "unknown key `optinal` in `defaults`",
        &["`optional`"],
    );
}

#[test]
fn a_magnet_link_is_an_identity_and_names_sources() {
    let of = |lines: &str| {
        let lines = format!("[package.metadata.academictorrents]\n{lines}");
        parse(&lines.replace("HASH", HASH)).unwrap().requests.remove(0)
    };
    let link = "magnet:?xt=urn:btih:HASH&tr=http://t/&ws=http://w/&x.pe=p:1&so=1-2";
    let request = of(&format!("m = {{ magnet = '{link}', trackers = ['http://u/'] }}"));
    assert_eq!(request.identity.infohash, HASH.parse().ok());
    // The link's sources count as the torrent's, not as the manifest's.
    assert_eq!(request.trackers, ["http://u/"]);
    assert!(request.web_seeds.is_empty() && request.peers.is_empty());
    let magnet = request.identity.magnet.as_ref().unwrap();
    assert_eq!(
        (&magnet.trackers[..], &magnet.peers[..]),
        (&["http://t/".into()][..], &["p:1".into()][..])
    );
    assert_eq!((request.file_numbers(), request.is_whole()), (&[(1, 2)][..], false));
    // The dataset's own selection replaces the default.
    let request = of(&format!("m.magnet = '{link}'\ndefaults.files = ['*.csv']"));
    assert!(request.files.is_empty());
    let request = of("m.magnet = 'magnet:?xt=urn:btih:HASH'\ndefaults.files = ['*.csv']");
    assert_eq!((request.files.len(), request.is_whole()), (1, false));
    check_section(
        &format!("m = {{ magnet = '{link}', files = ['a'] }}"),
        "invalid `magnet` in dataset `m`",
        &["`so=`", "remove one"],
    );
}

#[test]
fn a_dataset_has_one_identity() {
    let magnet = "magnet = 'magnet:?dn=x&xt=urn:btih:HASH'";
    check_section("m = {}", "dataset `m` has no infohash", &["infohash ="]);
    check_section("m = { infohash = 'HASHa' }", "invalid `infohash` in dataset `m`", &["41"]);
    check_section(&format!("m = {{ infohash = '{PIN}' }}"), "invalid `infohash` in", &["v2"]);
    check_section(&format!("m = '{PIN}'"), "invalid infohash in dataset `m`", &["v2-only"]);
    check_section(
        "m = 'm.torrent'",
        "invalid infohash in dataset `m`",
        &["{ torrent = \"m.torrent\" }"],
    );
    check_section(
        "m = 'https://a/details/HASH'",
        "invalid infohash in dataset `m`",
        &["did you mean", HASH],
    );
    check_section("m = 5", "invalid dataset `m`", &["found an integer", "m = \"<infohash>\""]);
    check_section("m = \"a\\nb\"", "invalid infohash in dataset `m`", &["`a\\nb`"]);
    check_key(magnet, "`magnet` is not allowed in dataset `m`", &["line 2", "remove `magnet`"]);
    check_section(
        "m.magnet = 'HASH'",
        "invalid `magnet`",
        &["begin with `magnet:?`", "infohash = \"323a"],
    );
    check_section("m.magnet = 'urn:btih:HASH'", "invalid `magnet`", &["begin with `magnet:?`"]);
    check_section("m.magnet = 'magnet:?dn=x'", "invalid `magnet`", &["no infohash"]);
    check_section("m.magnet = 'magnet:?xt=urn:btmh:1220PIN'", "invalid `magnet`", &["v2-only"]);
    check_section("m.magnet = 'magnet:?xt=urn:btih:beef'", "invalid `magnet`", &["found 4"]);
    for key in ["infohash", "magnet", "torrent"] {
        check_section(
            &format!("defaults.{key} = 'HASH'"),
            &format!("`{key}` is not allowed in `defaults`"),
            &[],
        );
    }
}

#[test]
fn a_key_at_the_wrong_level_says_where_it_belongs() {
    let defaults = "[package.metadata.academictorrents.defaults]";
    check_section("max-size = '2GiB'", "`max-size` is not a dataset name", &[defaults]);
    check_section("web_seeds = []", "`web_seeds`", &["did you mean `web-seeds`?", defaults]);
    check_section("optional = true", "`optional`", &[defaults]);
    check_section("sha256.a = 'PIN'", "`sha256`", &[defaults]);
    check_section("infohash = 'HASH'", "`infohash`", &["academictorrents.<name>]"]);
    check_section("torrent = 'm.torrent'", "`torrent`", &["academictorrents.<name>]"]);
    let good = "[package.metadata.academictorrents]\nfiles = 'HASH'\nstore = { infohash = 'HASH' }\nfile.torrent = 'a'";
    assert_eq!(requests(good).len(), 3);
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "(\\[package\\.metadata\\.academictorrents(\\.[a-z]{1,2})?\\]\n)?([a-z]{1,3} ?= ?[\\PC\n]{0,20}\n){0,3}") {
        drop(parse(&text));
    }

    #[test]
    fn no_value_makes_it_panic(key in 3..14_usize, value in "\\PC{0,20}") {
        let value = format!("{value:?}").replace("\\'", "'");
        let key = KEYS[key].name;
        drop(parse(&format!("[package.metadata.academictorrents.defaults]\n{key} = [{value}]")));
        drop(parse(&format!("[package.metadata.academictorrents.defaults]\n{key} = {value}")));
        drop(parse(&format!("[package.metadata.academictorrents]\nm = {{ magnet = {value}, torrent = {value} }}")));
    }
}

#[test]
fn each_example_is_one() {
    // Inherited datasets are read from the disk: see tests/workspace.rs.
    let is_on = |key: &str| key != "workspace" && (key != "unpack" || cfg!(feature = "unpack"));
    for key in KEYS.iter().filter(|key| is_on(key.name)) {
        let infohash = "infohash = \"323a0048d87ca79b68f12a6350a57776b6a3b7fb\"\n";
        let text = format!(
            "[features]\nlarge-tests = []\n[package.metadata.academictorrents.m]\n{}{} = {}\n",
            if key.read.is_some() { infohash } else { "" },
            key.name,
            key.doc[2]
        );
        Manifest::parse(&text, Path::new("Cargo.toml")).unwrap_or_else(|error| panic!("{error}"));
        assert!(key.doc[3].ends_with('.'), "{}", key.name);
    }
}
