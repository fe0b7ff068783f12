//! Build scripts that cannot download: the library without its feature `fetch`, with the real
//! Cargo.

use std::process::Command;

use crate::fixture::{Fixture, library};
use crate::support::Project;
use crate::swarm::{Dataset, Tracker, WebSeed, random_bytes};

const BYTES: usize = 300_000;

fn data(seed: u64) -> Dataset {
    Dataset::multi("set", [("a", random_bytes(seed, BYTES)), ("b/c", random_bytes(seed + 1, 10))])
}

/// A fixture whose build script is compiled without network code.
fn fixture(name: &'static str, datasets: &str) -> Fixture {
    let fixture = Fixture::new(name, datasets);
    let manifest = std::fs::read_to_string(fixture.path("Cargo.toml")).unwrap();
    let path = format!("path = {:?}", library());
    let local = format!("{path}, default-features = false");
    assert!(manifest.contains(&path));
    fixture.write("Cargo.toml", &manifest.replace(&path, &local));
    fixture
}

#[test]
fn what_is_on_this_machine_is_used() {
    let dataset = data(701);
    let infohash = dataset.infohash_hex();
    let declared = format!("data = \"{infohash}\"");
    // From a directory mirror, with the .torrent.
    let by_mirror = fixture("fixture-local-mirror", &declared);
    dataset.write_mirror(&by_mirror.path("mirror"));
    let mirror = by_mirror.path("mirror").display().to_string();
    let by_mirror = by_mirror.env("ACADEMICTORRENTS_MIRRORS", &mirror);
    dataset.assert_at(&by_mirror.cargo(&["run"]).ok().printed_path());
    by_mirror.cargo(&["build"]).ok().assert_fresh();
    // The first fixture's store can be another's mirror.
    let by_store_as_mirror = fixture("fixture-local-store-mirror", &declared)
        .env("ACADEMICTORRENTS_MIRRORS", by_mirror.store().display());
    dataset.assert_at(&by_store_as_mirror.cargo(&["run"]).ok().printed_path());
    // It can also be on another's `LOAD_PATH`.
    let by_store = fixture("fixture-local-store", &declared)
        .env("ACADEMICTORRENTS_LOAD_PATH", by_mirror.store().display());
    dataset.assert_at(&by_store.cargo(&["run"]).ok().printed_path());
    let torrent = "data = { torrent = \"data.torrent\" }";
    let by_path = fixture("fixture-local-path", torrent);
    std::fs::write(by_path.path("data.torrent"), dataset.torrent()).unwrap();
    dataset.write_to(&by_path.path("copy"));
    let copy = by_path.path("copy/set").display().to_string();
    let by_path = by_path.env("ACADEMICTORRENTS_PATH_DATA", copy);
    dataset.assert_at(&by_path.cargo(&["run"]).ok().printed_path());
}

#[test]
fn mirrors_and_copies_complete_one_another_and_what_is_wrong_is_not_taken() {
    let dataset = data(703);
    let torrent = "data = { torrent = \"data.torrent\", mirrors = [\"one\", \"two\"] }";
    let fixture = fixture("fixture-local-parts", torrent);
    std::fs::write(fixture.path("data.torrent"), dataset.torrent()).unwrap();
    let place = |mirror: &str| fixture.path(mirror).join(dataset.infohash_hex());
    for mirror in ["one", "two"] {
        dataset.write_to(&place(mirror));
    }
    let flip = |path: &std::path::Path, at: usize| {
        let mut bytes = std::fs::read(path).unwrap();
        bytes[at] ^= 1;
        std::fs::write(path, bytes).unwrap();
    };
    flip(&place("one").join("set/a"), 5);
    flip(&place("two").join("set/a"), BYTES - 5);
    dataset.assert_at(&fixture.cargo(&["run"]).ok().printed_path());
    // Where all copies have damage in the same piece, that piece is missing and nothing is
    // published.
    std::fs::remove_dir_all(fixture.store()).unwrap();
    flip(&place("two").join("set/a"), 5);
    let errors = fixture.cargo(&["build"]).errors().join("\n");
    assert!(errors.contains("are not on this machine"), "{errors}");
}

#[test]
fn what_is_missing_is_an_error_that_names_the_command_and_nobody_is_asked() {
    let dataset = data(705);
    let seed = WebSeed::serving(&dataset);
    let tracker = Tracker::start(Vec::new());
    let served = dataset.clone().url_list([seed.url()]).announce(&tracker.url());
    let torrent = "data = { torrent = \"data.torrent\" }";
    let by_torrent = fixture("fixture-local-missing", torrent);
    std::fs::write(by_torrent.path("data.torrent"), served.torrent()).unwrap();
    let by_infohash =
        fixture("fixture-local-unknown", &format!("data = \"{}\"", dataset.infohash_hex()));
    for (fixture, what) in [
        (&by_torrent, "293.0 KiB are not on this machine"),
        (&by_infohash, "is not on this machine"),
    ] {
        let errors = fixture.cargo(&["build"]).errors().join("\n");
        for part in [what, "without its feature `fetch`", "cargo academictorrents fetch"] {
            assert!(errors.contains(part), "{errors}");
        }
    }
    assert_eq!(seed.http().server().connections() + tracker.announces().len(), 0);
    // Data that another program fetched into the store is used by the next build.
    let project = Project::new(torrent);
    std::fs::write(project.path("data.torrent"), served.torrent()).unwrap();
    dataset.assert_at(&project.path_of("data"));
    let fetched = by_torrent.with_env("ACADEMICTORRENTS_STORE", project.store().display());
    dataset.assert_at(&fetched.cargo(&["run"]).ok().printed_path());
}

#[test]
fn optional_datasets_and_docs_rs_are_as_always() {
    let dataset = data(707);
    let declared =
        format!("data = {{ infohash = \"{}\", optional = true }}", dataset.infohash_hex());
    let optional = fixture("fixture-local-optional", &declared)
        .main("fn main() { println!(\"{}\", option_env!(\"AT_DATA_PATH\").is_none()) }");
    let run = optional.cargo(&["run"]).ok();
    assert_eq!(run.stdout.trim(), "true", "{}", run.stdout);
    assert!(run.stderr.contains("without its feature `fetch`"), "{}", run.stderr);
    let docs = fixture("fixture-local-docs", &format!("data = \"{}\"", dataset.infohash_hex()));
    docs.with_env("DOCS_RS", "1").cargo(&["build"]).ok();
}

/// Crates that a build script without network code must not compile, and the maximum number of
/// crates.
#[test]
fn no_crate_that_opens_a_socket_is_compiled() {
    let tree = |features: &[&str]| {
        let output = Command::new(env!("CARGO"))
            .args(["tree", "--offline", "-e", "normal,build", "--prefix", "none", "-p"])
            .arg("academictorrents")
            .args(features)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        let names = text.lines().filter_map(|line| line.split(' ').next().map(str::to_owned));
        names.collect::<std::collections::BTreeSet<String>>()
    };
    let (whole, local) = (tree(&[]), tree(&["--no-default-features"]));
    for name in ["ureq", "rustls", "ring", "httparse", "serde_bencode", "rayon", "indicatif"] {
        assert!(whole.contains(name) && !local.contains(name), "{name}: {local:?}");
    }
    assert!(local.len() <= 21, "{} crates: {local:?}", local.len());
}

/// Inspects the imported libc functions: a socket cannot be opened otherwise.
#[test]
#[cfg(target_os = "linux")]
fn the_build_script_has_no_function_that_opens_a_socket() {
    let opens_sockets = |fixture: &Fixture, name: &str| {
        let scripts = std::fs::read_dir(fixture.target().join("debug/build")).unwrap();
        let is_ours = |path: &std::path::Path| {
            let directory = path.file_name().unwrap().to_string_lossy().into_owned();
            directory.starts_with(&format!("{name}-")) && path.join("build-script-build").exists()
        };
        let mut scripts = scripts.map(|entry| entry.unwrap().path()).filter(|path| is_ours(path));
        let script = scripts.next().unwrap().join("build-script-build");
        let output = Command::new("nm").args(["-D", "--undefined-only"]).arg(script).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let symbols = String::from_utf8(output.stdout).unwrap();
        let functions = ["socket", "connect", "getaddrinfo", "bind", "listen", "sendto"];
        let is_one = |line: &str| {
            let name = line.rsplit(' ').next().unwrap_or_default();
            functions.contains(&name.split('@').next().unwrap_or_default())
        };
        symbols.lines().any(is_one)
    };
    let dataset = data(709);
    let declared = format!("data = \"{}\"", dataset.infohash_hex());
    let built = |fixture: Fixture| {
        dataset.write_mirror(&fixture.path("mirror"));
        let mirror = fixture.path("mirror").display().to_string();
        let fixture = fixture.env("ACADEMICTORRENTS_MIRRORS", mirror);
        fixture.cargo(&["build"]).ok();
        fixture
    };
    let local = built(fixture("fixture-local-symbols", &declared));
    assert!(!opens_sockets(&local, "fixture-local-symbols"));
    let whole = built(Fixture::new("fixture-whole-symbols", &declared));
    assert!(opens_sockets(&whole, "fixture-whole-symbols"));
}
