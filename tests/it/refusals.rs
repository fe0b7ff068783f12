//! Failures despite good sources: the disk, pins and limits.

use crate::support::{Project, slashes};
use crate::swarm::{Dataset, WebSeed, random_bytes};

fn dataset() -> Dataset {
    Dataset::single("data.bin", random_bytes(31, 1_500_000))
}

/// The SHA-256 of the bytes in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    crate::swarm::dataset::hex(&sha2::Sha256::digest(bytes))
}

#[test]
fn a_store_that_cannot_be_written_is_named() {
    let dataset = dataset();
    let project = Project::of(&dataset, "mirrors = [\"mirror\"]");
    dataset.write_mirror(&project.path("mirror"));
    std::fs::write(project.store(), "a file").unwrap();
    let error = project.error();
    assert!(error.contains(&project.store().display().to_string()), "{error}");
    assert!(error.contains("ACADEMICTORRENTS_STORE"), "{error}");

    // A file in the place of a directory of the store.
    std::fs::remove_file(project.store()).unwrap();
    std::fs::create_dir_all(project.store().join("v1")).unwrap();
    std::fs::write(project.store().join("v1/partial"), "a file").unwrap();
    assert!(slashes(&project.error()).contains("v1/partial"));

    // A lock that cannot be opened.
    std::fs::remove_file(project.store().join("v1/partial")).unwrap();
    let infohash = crate::swarm::dataset::hex(&dataset.infohash());
    let lock = project.store().join(format!("v1/locks/{infohash}.lock"));
    std::fs::create_dir_all(lock.join("full")).unwrap();
    let error = project.error();
    assert!(error.contains("could not lock") && error.contains("remove it"), "{error}");
    // An empty directory in the place of the lock is removed.
    std::fs::remove_dir(lock.join("full")).unwrap();
    dataset.assert_at(&project.path_of("data"));
}

#[test]
fn what_is_found_after_the_manifest_was_read_names_its_line() {
    let check = |torrent: &[u8], lines: &str, parts: &[&str]| {
        let project = Project::of_torrent(torrent, lines);
        let error = project.error();
        let declared = format!("declared at {}:6", project.path("Cargo.toml").display());
        for part in parts.iter().chain([&declared.as_str()]) {
            assert!(error.contains(part), "{part}: {error}");
        }
    };
    let torrent = dataset().torrent();
    check(&torrent, "files = [\"x\"]", &["matches no file", "the torrent has 1 file: data.bin"]);
    check(&torrent, "files = [\"data.bin,x\"]", &["a comma is part of a glob"]);
    let pin = format!("sha256 = {{ x = \"{}\" }}", sha256(b""));
    check(&torrent, &pin, &["pins `x`"]);
    let other = format!("infohash = \"{}\"", "0".repeat(40));
    check(&torrent, &other, &["not the declared one", "help: correct one of the two"]);
    // `optional` covers missing data, but not a mistake.
    let optional = format!("{other}, optional = true").replace(", ", "\n");
    check(&torrent, &optional, &["not the declared one"]);
    check(
        b"<html>\n<body>",
        "",
        &["begins with `<html>`, as a web page does", "help: download it again"],
    );
    check(&torrent[..torrent.len() - 9], "", &["the file is truncated"]);
}

/// Globs and pins are relative to the torrent's root, but users see its name in the dataset's path.
#[test]
fn paths_that_begin_with_the_torrents_own_name_are_answered_with_those_that_were_meant() {
    let files = [("train/a.gz", vec![1]), ("b", vec![2])];
    let torrent = Dataset::multi("lab [v1]", files).torrent();
    let check = |lines: &str, meant: Option<&str>| {
        let error = Project::of_torrent(&torrent, lines).error();
        let said = error.lines().find_map(|line| line.split_once("did you mean "));
        let expected = meant.map(|meant| format!("{meant:?}?"));
        assert_eq!(said.map(|(_, said)| said), expected.as_deref(), "{lines}: {error}");
    };
    let glob = |glob: &str, meant| check(&format!("files = ['{glob}']"), meant);
    glob("lab [v1]/train/**", Some("train/**"));
    glob("lab [[]v1[]]/train/**", Some("train/**"));
    glob("!lab [v1]/b", Some("!b"));
    glob("./lab [v1]/b", Some("b"));
    glob("/train/*", Some("train/*"));
    glob("./b", Some("b"));
    glob("lab [v1]", Some("**"));
    glob("lab [v1]/", Some("**"));
    glob("lab [v1]/c", None);
    glob("lab/train/**", None);
    glob("c", None);
    let pin = |path: &str, meant| {
        check(&format!("sha256 = {{ '{path}' = \"{}\" }}", sha256(b"")), meant);
    };
    pin("lab [v1]/train/a.gz", Some("train/a.gz"));
    pin("lab [v1]/c", None);
    pin("c", None);
    // The renamed root is recognized, too.
    check("rename = 'x'\nfiles = ['x/train/**']", Some("train/**"));
}

/// All problems at once, so that the user has to copy data to an offline machine only once.
#[test]
fn offline_all_that_is_missing_is_named_at_once_and_more_than_was_selected_is_explained() {
    let files = [("a", random_bytes(1, 1_000)), ("b", random_bytes(2, 99_000))];
    let lab = Dataset::multi("lab", files).piece_length(1 << 15);
    let gone = "1".repeat(40);
    let project = Project::new(&format!(
        "gone = \"{gone}\"\nlab = {{ torrent = \"data.torrent\", files = [\"a\"] }}\n\
         whole = {{ torrent = \"data.torrent\" }}"
    ));
    std::fs::write(project.path("data.torrent"), lab.torrent()).unwrap();
    let error = project.env("ACADEMICTORRENTS_OFFLINE", "1").error();
    for part in [
        &*format!("dataset `gone`: the torrent {gone} is not on this machine"),
        "its data is missing as well",
        "help: or provide both:",
        "dataset `lab`: 32.0 KiB are missing",
        "31.0 KiB of 32.0 KiB belong to other files, as pieces are downloaded whole",
        "dataset `whole`: 97.7 KiB are missing",
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }
    assert_eq!(error.matches("belong to other files").count(), 1, "{error}");
}

#[test]
fn a_failure_through_a_proxy_names_it() {
    let infohash = "1".repeat(40);
    let error = |name: &str, value: &str| {
        let project = Project::new(&format!("data = \"{infohash}\""))
            .env("ACADEMICTORRENTS_TIMEOUT", "500ms")
            .env("CARGO_HTTP_PROXY", "127.0.0.1:1")
            .env(name, value);
        project.error()
    };
    let refused = error("NO_PROXY", "");
    let said = "the proxy 127.0.0.1:1 cannot be reached: connection refused";
    assert!(refused.contains(said), "{refused}");
    let direct = error("NO_PROXY", "127.0.0.1");
    assert!(!direct.contains("the proxy"), "{direct}");
    let certificates = error("SSL_CERT_FILE", "/nowhere/ca.pem");
    assert!(certificates.contains("set by SSL_CERT_FILE"), "{certificates}");
    assert!(certificates.contains("help: correct SSL_CERT_FILE"), "{certificates}");
    assert!(!certificates.contains("declared at"), "{certificates}");
}

#[test]
fn a_pin_that_holds_is_checked_before_the_file_is_published() {
    let dataset = dataset();
    let seed = WebSeed::serving(&dataset);
    let pinned = |pin: &str| {
        format!("web-seeds = [\"{}\"]\nsha256 = {{ \"data.bin\" = \"{pin}\" }}", seed.url())
    };
    let right = sha256(&dataset.stream());
    let project = Project::of(&dataset, &pinned(&sha256(b"other bytes")));
    let error = project.error();
    assert!(error.contains("pinned SHA-256") && error.contains(&right), "{error}");
    project.assert_nothing_published();
    // Downloaded data is kept: with the correct pin, nothing is fetched again.
    project.declare_data(&pinned(&right));
    dataset.assert_at(&project.path_of("data"));
    assert_eq!(seed.bytes_served(), 1_500_000);
}

#[test]
fn a_pin_on_a_file_that_is_not_there_is_found_before_the_download() {
    let dataset = dataset();
    let seed = WebSeed::serving(&dataset);
    let pin = sha256(b"");
    let lines = format!("web-seeds = [\"{}\"]\nsha256 = {{ \"x\" = \"{pin}\" }}", seed.url());
    let error = Project::of(&dataset, &lines).error();
    assert!(error.contains("pins `x`"), "{error}");
    assert_eq!(seed.http().server().connections(), 0);
}

#[test]
fn too_much_is_refused_before_the_first_byte_with_the_size_to_write() {
    let dataset = dataset();
    let seed = WebSeed::serving(&dataset);
    let seeds = format!("web-seeds = [\"{}\"]", seed.url());
    let project = Project::of(&dataset, &format!("max-size = \"1MiB\"\n{seeds}"));
    let error = project.error();
    assert!(error.contains("[package.metadata.academictorrents.data]"), "{error}");
    assert_eq!(seed.http().server().connections(), 0);
    project.assert_nothing_published();
    // The manifest has the key already, so adding the line would duplicate it.
    assert!(!error.contains("max-size = "), "{error}");
    let (_, size) = error.split_once("change `max-size` to ").unwrap();
    let size = size.split_whitespace().next().unwrap();
    project.declare_data(&format!("max-size = {size}\n{seeds}"));
    // The environment's limit caps the manifest's.
    let capped = project.build().env("ACADEMICTORRENTS_MAX_SIZE", "1MiB").run().unwrap_err();
    assert!(capped.to_string().contains("ACADEMICTORRENTS_MAX_SIZE="), "{capped}");
    assert_eq!(seed.http().server().connections(), 0);
    dataset.assert_at(&project.path_of("data"));
}

#[test]
fn the_limit_is_on_what_is_still_to_be_fetched() {
    let dataset = dataset();
    let fault = crate::swarm::web_seed::Fault::OnlyPieces(0..40);
    let most = WebSeed::serving(&dataset).with(fault);
    let project = Project::of(&dataset, &format!("web-seeds = [\"{}\"]", most.url()));
    project.error();
    let seed = WebSeed::serving(&dataset);
    project.declare_data(&format!("max-size = \"200kB\"\nweb-seeds = [\"{}\"]", seed.url()));
    dataset.assert_at(&project.path_of("data"));
}
