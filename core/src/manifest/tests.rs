//! Manifests, and the expected requests or problems.

use std::path::Path;

use super::*;

mod keys;
mod workspace;

const HASH: &str = "323a0048d87ca79b68f12a6350a57776b6a3b7fb";
const PIN: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn line(request: &Request) -> Option<usize> {
    request.origin.manifest().map(|(_, line)| line)
}

#[cfg(windows)]
const DIR: &str = r"C:\work\crate";
#[cfg(not(windows))]
const DIR: &str = "/project/crate";

/// Replaces `HASH` and `PIN` in the text by a valid infohash and a valid SHA-256.
fn parse(text: &str) -> Result<Manifest, Error> {
    let text = text.replace("HASH", HASH).replace("PIN", PIN);
    Manifest::parse(&text, &Path::new(DIR).join("Cargo.toml"))
}

fn requests(text: &str) -> Vec<Request> {
    parse(text).unwrap_or_else(|error| panic!("{text}\n{error}")).requests
}

/// The only request of a table `m` with these lines.
fn request(lines: &str) -> Request {
    let text = format!("[features]\nfull = []\n[package.metadata.academictorrents.m]\n{lines}");
    let mut requests = requests(&text);
    assert_eq!(requests.len(), 1, "{text}");
    requests.remove(0)
}

/// All problems, each as `Cargo.toml:LINE: …` without the directory.
fn findings(text: &str) -> Vec<String> {
    let error = parse(text).expect_err(text);
    let alone = |error: &Error| {
        assert_eq!(error.kind(), ErrorKind::Manifest);
        error.to_string()
    };
    // The first error's Display includes the others.
    let mut first = error.to_string();
    let others: Vec<String> = error.others().iter().map(alone).collect();
    for other in others.iter().rev() {
        first = first.strip_suffix(&format!("\n{other}")).unwrap().to_owned();
    }
    let dir = format!("{DIR}{}", std::path::MAIN_SEPARATOR);
    [vec![first], others].concat().iter().map(|finding| finding.replacen(&dir, "", 1)).collect()
}

/// Expects one problem that begins with `start` and contains each of the `parts`.
fn check(text: &str, start: &str, parts: &[&str]) {
    let findings = findings(text);
    assert_eq!(findings.len(), 1, "{text}\n{findings:#?}");
    assert!(findings[0].starts_with(start), "{text}\n{}", findings[0]);
    for part in parts {
        assert!(findings[0].contains(part), "{text}\n{}\nhas no {part}", findings[0]);
    }
}

/// Expects one problem with a line of an otherwise valid dataset `m`; it is the third line.
fn check_key(line: &str, start: &str, parts: &[&str]) {
    let text = format!("[package.metadata.academictorrents.m]\ninfohash = \"HASH\"\n{line}\n");
    check(&text, &format!("Cargo.toml:3: {start}"), parts);
}

/// Expects one problem with a line of the section itself; it is the second line.
fn check_section(line: &str, start: &str, parts: &[&str]) {
    let text = format!("[package.metadata.academictorrents]\n{line}\n");
    check(&text, &format!("Cargo.toml:2: {start}"), parts);
}

#[test]
fn the_short_form_is_an_infohash_and_all_else_built_in() {
    let requests = requests("# x\n[package.metadata.academictorrents]\nmnist-small = \"HASH\"\n");
    let [request] = &*requests else { panic!("{requests:?}") };
    assert_eq!((request.name.as_str(), &*request.name.variable()), ("mnist-small", "MNIST_SMALL"));
    assert_eq!(request.identity, Identity { infohash: HASH.parse().ok(), ..Identity::default() });
    assert_eq!((request.sources, request.store), (SourceSet::default(), StoreKind::Shared));
    assert_eq!((request.max_size_bytes, request.optional, line(request)), (None, false, Some(3)));
    assert!(request.files.is_empty() && request.sha256.is_empty() && request.mirrors.is_empty());
}

#[test]
fn each_key_is_read() {
    let read = request(
        r#"
        infohash = "HASH"
        torrent = "data/m.torrent"
        files = ["train/*.gz", "labels.gz", "labels.gz"]
        web-seeds = ["HTTPS://a.example/x%20y", "http://[::1]:80/"]
        trackers = ["udp://t.example:6969/announce", "udp://[::1]:1", "http://t.example/a"]
        peers = ["p.example:6881", "[2001:db8::1]:1", "192.0.2.1:65535", "p.example:6881"]
        mirrors = ["https://m.example/at//", "../mirror"]
        sources = ["peers", "mirrors"]
        max-size = "2GiB"
        required-features = ["full"]
        sha256 = { "train/labels.gz" = "PIN" }
        store = "out-dir"
        optional = true
        "#,
    );
    let globs: Vec<String> = read.files.iter().map(ToString::to_string).collect();
    let dir = Path::new(DIR);
    assert_eq!(read.identity.torrent, Some(dir.join("data/m.torrent")));
    assert_eq!(globs, ["train/*.gz", "labels.gz"]);
    assert_eq!(read.web_seeds, ["HTTPS://a.example/x%20y", "http://[::1]:80/"]);
    assert_eq!(read.trackers.len(), 3);
    assert_eq!(read.peers, ["p.example:6881", "[2001:db8::1]:1", "192.0.2.1:65535"]);
    let url = Mirror::Url("https://m.example/at".into());
    assert_eq!(read.mirrors, [url, Mirror::Directory(dir.join("../mirror"))]);
    assert_eq!(Ok(read.sources), SourceSet::parse(["mirrors", "peers"]));
    assert_eq!(read.max_size_bytes, Some(2 << 30));
    assert_eq!(read.required_features, ["full"]);
    assert_eq!(read.sha256["train/labels.gz"][..3], [0xe3, 0xb0, 0xc4]);
    assert_eq!((read.store, read.optional, line(&read)), (StoreKind::Own, true, Some(3)));
}

#[test]
fn other_ways_to_write_the_same() {
    assert_eq!(request("torrent = 'm.torrent'").identity.infohash, None);
    assert_eq!(request("infohash = 'HASH'\nmax-size = 1_000").max_size_bytes, Some(1000));
    assert_eq!(request("infohash = 'HASH'\nmax-size = 0x10").max_size_bytes, Some(16));
    assert_eq!(request("infohash = 'HASH'\nstore = 'shared'").store, StoreKind::Shared);
    assert_eq!(
        request("infohash = 'HASH'\n[package.metadata.academictorrents.m.sha256]\n'a' = 'PIN'")
            .sha256
            .len(),
        1
    );
    let dotted = requests("[package.metadata]\nacademictorrents.m.infohash = 'HASH'\n");
    assert_eq!(line(&dotted[0]), Some(2));
    let inline = requests("\u{feff}package = { metadata = { academictorrents = { m = 'HASH' } } }");
    assert_eq!(line(&inline[0]), Some(1));
    let crlf = requests("[package.metadata.academictorrents]\r\n\r\nm = 'HASH'\r\n");
    assert_eq!(line(&crlf[0]), Some(3));
}

#[test]
fn without_a_section_nothing_is_asked_for() {
    for text in ["", "[package]\nname = 'x'\n", "[package.metadata.docs.rs]\nall-features = true\n"]
    {
        assert!(requests(text).is_empty());
    }
    assert!(requests("[package.metadata.academictorrents]\n").is_empty());
}

#[test]
fn requests_are_in_order_of_name() {
    let requests = requests("[package.metadata.academictorrents]\nb = 'HASH'\na = 'HASH'\n");
    assert_eq!(requests.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn defaults_hold_where_a_dataset_does_not_say() {
    let requests = requests(
        r#"
        [package.metadata.academictorrents]
        a = "HASH"
        b = { infohash = "HASH", web-seeds = ["http://b/"], optional = false, sources = ["peers"] }
        [package.metadata.academictorrents.defaults]
        web-seeds = ["http://a/"]
        trackers = ["http://t/"]
        optional = true
        store = "out-dir"
        max-size = "1KiB"
        "#,
    );
    let [a, b] = &*requests else { panic!("{requests:?}") };
    assert_eq!(
        (&*a.web_seeds, &*b.web_seeds),
        (&["http://a/".into()][..], &["http://b/".into()][..])
    );
    assert_eq!((a.optional, b.optional), (true, false));
    assert_eq!((a.trackers.len(), b.trackers.len()), (1, 1));
    assert_eq!((a.store, a.max_size_bytes), (StoreKind::Own, Some(1024)));
    assert_eq!((a.sources, b.sources.mirrors), (SourceSet::default(), false));
}

#[test]
fn a_dataset_is_asked_for_when_all_its_features_are_on() {
    let text = "infohash = 'HASH'\nrequired-features = ['full']";
    assert!(request(text).asked_for(|feature| feature == "full"));
    assert!(!request(text).asked_for(|_| false));
    assert!(request("infohash = 'HASH'").asked_for(|_| false));
}

#[test]
fn names_are_checked() {
    check_section("Mnist = 'HASH'", "invalid dataset name `Mnist`", &["name it `mnist`"]);
    check_section(
        "'2d shapes' = 'HASH'",
        "invalid dataset name `2d shapes`",
        &["name it `d-shapes`"],
    );
    check_section("'' = 'HASH'", "invalid dataset name ``", &["a-z"]);
    check_section("defaults = 'HASH'", "invalid `defaults`", &["reserved"]);
    check_section(
        "a_b = 'HASH'\na-b = 'HASH'",
        "datasets `a-b` and `a_b` both map to AT_A_B_PATH",
        &["`a-b` is on line 3", "`a_b` on line 2"],
    );
    assert!(checks::name("a-1_").is_ok() && checks::name("é").is_err());
}

#[test]
fn a_section_in_the_wrong_place_is_an_error_only_when_the_right_one_is_missing() {
    for place in ["metadata", "package"] {
        let text = format!("\n[{place}.academictorrents]\nm = 'HASH'\n");
        let start = format!("Cargo.toml:2: [{place}.academictorrents] is ignored");
        check(&text, &start, &["rename it to [package.metadata.academictorrents]"]);
        assert_eq!(requests(&format!("{text}[package.metadata.academictorrents]\n")), []);
    }
    // The section of a workspace is for its members.
    assert_eq!(requests("[workspace.metadata.academictorrents]\nm = 'HASH'"), []);
    check("[academictorrents]", "Cargo.toml:1: [academictorrents] is ignored", &[]);
    check("[package.metadata.academic-torrents]", "Cargo.toml:1: ", &["did you mean [package"]);
    check("package.metadata.academictorrents = 1", "Cargo.toml:1: ", &["found an integer"]);
    check("[[package.metadata.academictorrents]]", "Cargo.toml:1: ", &["found a list"]);
}

#[test]
fn required_features_are_features_of_the_package() {
    let of = |feature: &str| {
        format!(
            "[features]\nfull = ['dep:hidden']\n[dependencies]\nplain = '1'\n\
             opt = {{ version = '1', optional = true }}\n\
             hidden = {{ version = '1', optional = true }}\n\
             [target.'cfg(unix)'.dependencies.unixish]\noptional = true\n\
             [build_dependencies.old]\noptional = true\n\
             [package.metadata.academictorrents.m]\ninfohash = 'HASH'\nrequired-features = ['{feature}']"
        )
    };
    for good in ["full", "opt", "unixish", "old"] {
        assert_eq!(requests(&of(good))[0].required_features, [good]);
    }
    let start = "Cargo.toml:13: invalid `required-features` in dataset `m`";
    check(&of("ful"), start, &["no feature `ful`", "did you mean \"full\"?"]);
    check(&of("plain"), start, &["no feature `plain`"]);
    check(&of("hidden"), start, &["optional dependency but not a feature", "`dep:`"]);
}

#[test]
fn all_findings_are_reported_in_the_order_of_the_file() {
    let found = findings(
        "[package.metadata.academictorrents.z]\ninfohash = 'x'\nweb-seeds = [\n  '',\n  'a',\n]\n\
         [package.metadata.academictorrents.a]\nstore = 1\ncolour = 1\n\
         [package.metadata.academictorrents.defaults]\nmagnet = ''\n",
    );
    let lines: Vec<&str> = found.iter().map(|finding| &finding[..14]).collect();
    let expected = [2, 4, 5, 8, 9, 11].map(|line| format!("{:14}", format!("Cargo.toml:{line}:")));
    for (line, expected) in lines.iter().zip(&expected) {
        assert!(line.starts_with(expected.trim()), "{found:#?}");
    }
    assert_eq!(lines.len(), expected.len(), "{found:#?}");
}

#[test]
fn what_is_not_toml_is_named_with_file_and_line() {
    check("[package]\nname = \n", "Cargo.toml:2: invalid TOML\n", &[]);
    check("[a]\n[a]\n", "Cargo.toml:2: invalid TOML\n", &["duplicate key"]);
    check(&format!("a = {}", "[".repeat(10_000)), "Cargo.toml:1: invalid TOML", &[]);
}

#[test]
fn a_file_is_read_and_a_missing_one_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("Cargo.toml");
    let error = Manifest::read(&path).unwrap_err();
    assert!(error.to_string().starts_with(&format!("could not read {}", path.display())));
    assert_eq!(error.kind(), ErrorKind::Manifest);
    std::fs::write(&path, format!("[package.metadata.academictorrents]\nm = '{HASH}'")).unwrap();
    assert_eq!(Manifest::read(&path).unwrap().requests.len(), 1);
}

#[test]
fn a_mirror_from_elsewhere_is_read_alike() {
    let dir = Path::new(DIR);
    assert_eq!(Mirror::parse("http://m/", dir).unwrap(), Mirror::Url("http://m".into()));
    assert_eq!(Mirror::parse("x", dir).unwrap(), Mirror::Directory(dir.join("x")));
    let error = Mirror::parse("FILE:///x", dir).unwrap_err().to_string();
    assert!(error.contains("write the directory itself: \"/x\""), "{error}");
}
