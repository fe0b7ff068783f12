//! Unusable torrents, and what the machine denies or lacks.

use std::fs;

use super::Page;
use crate::fixture::Fixture;
use crate::refusals::sha256;
use crate::swarm::bencode::B;
use crate::swarm::{Dataset, random_bytes};

/// The manifest's table of `data`, with a vendored torrent and these lines.
fn vendored(lines: &str) -> String {
    format!("[package.metadata.academictorrents.data]\ntorrent = \"data.torrent\"\n{lines}")
}

fn data() -> Dataset {
    Dataset::single("data.bin", random_bytes(201, 200_000))
}

fn folder(files: &[&str]) -> Dataset {
    Dataset::multi("root", files.iter().map(|path| (*path, b"content".to_vec())))
}

#[test]
fn in_the_torrent() {
    let mut page = Page::new("torrent");
    let fixture = Fixture::new("torrent-errors", "");
    let mut check = |case: &str, torrent: &[u8], lines: &str| {
        fs::write(fixture.path("data.torrent"), torrent).unwrap();
        fixture.declare(&vendored(lines));
        page.check(case, &fixture, &["build"]);
    };
    let torrent = data().torrent();
    check("a web page", b"<!DOCTYPE html>\n<html><body>Not found</body></html>", "");
    check("other bytes", &random_bytes(1, 300), "");
    check("empty", b"", "");
    check("truncated", &torrent[..torrent.len() - 20], "");
    check("another torrent than declared", &torrent, &format!("infohash = \"{}\"", "1".repeat(40)));
    check("a glob that matches nothing", &torrent, "files = [\"*.csv\"]");
    let many: Vec<_> = (0..30).map(|n| format!("train/{n:02}.csv")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    check(
        "a glob that matches none of many files",
        &folder(&many).torrent(),
        "files = [\"*.csv\"]",
    );
    let pin = |path: &str| format!("sha256 = {{ \"{path}\" = \"{}\" }}", sha256(b""));
    check("a pin of a missing file", &torrent, &pin("labels.gz"));
    let up = vec![(vec![b"..".to_vec(), b"x".to_vec()], b"content".to_vec())];
    check("a path that leaves the directory", &Dataset::multi_raw(b"root", up).torrent(), "");
    check("a name that cannot be stored", &folder(&["a", "b\\c.txt"]).torrent(), "");
    let version_2 = B::dict([(
        "info",
        B::dict([
            ("meta version", B::Int(2)),
            ("name", B::bytes("x")),
            ("piece length", B::Int(16384)),
        ]),
    )]);
    check("BitTorrent v2 alone", &version_2.write(), "");
    // 192 pieces of 16 MiB.
    let large = format!(
        "d4:infod6:lengthi3221225472e4:name8:data.bin12:piece lengthi16777216e6:pieces3840:{}ee",
        "x".repeat(192 * 20)
    );
    check("over the built-in limit", large.as_bytes(), "");
    check("over the manifest's limit", large.as_bytes(), "max-size = \"2GiB\"");
    check("no source at all", &torrent, "");
    page.compare();
}

#[test]
fn on_this_machine() {
    let mut page = Page::new("machine");
    let dataset = data();
    let fixture = Fixture::new("machine-errors", &vendored("mirrors = [\"mirror\"]"));
    fs::write(fixture.path("data.torrent"), dataset.torrent()).unwrap();
    dataset.write_mirror(&fixture.path("mirror"));
    let fixture = fixture.env("ACADEMICTORRENTS_TIMEOUT", "3s");
    let mut check = |case: &str, fixture: &Fixture| page.check(case, fixture, &["build"]);
    let with =
        |name: &str, value: &str| fixture.with_env(&format!("ACADEMICTORRENTS_{name}"), value);
    let here = |below: &str| fixture.path(below).display().to_string();

    check("more than ACADEMICTORRENTS_MAX_SIZE", &with("MAX_SIZE", "100kB"));
    check("a missing copy", &with("PATH_DATA", &here("gone.bin")));
    let mut wrong = dataset.stream().to_vec();
    fs::write(fixture.path("short.bin"), &wrong[1..]).unwrap();
    check("a copy of another length", &with("PATH_DATA", &here("short.bin")));
    wrong[100_000] ^= 1;
    fs::write(fixture.path("wrong.bin"), &wrong).unwrap();
    check("a copy with a wrong byte", &with("PATH_DATA", &here("wrong.bin")));

    fs::write(fixture.path("file"), "").unwrap();
    check("a store that is a file", &with("STORE", &here("file")));
    // Root, which runs the tests in containers, can write anywhere else.
    check("a store that cannot be written", &with("STORE", "/proc/academictorrents"));

    let lock = fixture.store().join(format!("v1/locks/{}.lock", dataset.infohash_hex()));
    fs::create_dir_all(lock.parent().unwrap()).unwrap();
    let lock = fs::File::create(lock).unwrap();
    lock.lock().unwrap();
    std::io::Write::write_all(&mut &lock, b"1234 build-7").unwrap();
    check("another build holds the dataset", &fixture);
    drop(lock);

    let declare = |lines: &str| fixture.declare(&vendored(lines));
    declare(&format!("mirrors = [\"mirror\"]\nsha256 = {{ \"data.bin\" = \"{}\" }}", sha256(b"x")));
    check("a wrong pin", &fixture);
    fs::remove_file(fixture.path("data.torrent")).unwrap();
    check("a missing vendored torrent", &fixture);
    fs::create_dir(fixture.path("datasets")).unwrap();
    fs::write(fixture.path("datasets/data.torrent"), dataset.torrent()).unwrap();
    check("a vendored torrent in another directory", &fixture);
    page.compare();
}
