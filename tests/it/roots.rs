//! The record of each build in its store, which `gc` reads.

use std::fs;
use std::path::PathBuf;

use crate::fixture::Fixture;
use crate::swarm::{Dataset, WebSeed, random_bytes};

fn notes(fixture: &Fixture) -> Vec<PathBuf> {
    let entries = fs::read_dir(fixture.store().join("v1/roots")).into_iter().flatten();
    entries.map(|entry| entry.unwrap().path()).collect()
}

fn touch(fixture: &Fixture) {
    let manifest = fs::File::open(fixture.path("Cargo.toml")).unwrap();
    manifest.set_modified(std::time::SystemTime::now()).unwrap();
}

#[test]
fn a_build_notes_once_which_manifest_uses_which_dataset() {
    let dataset = Dataset::single("data.bin", random_bytes(200, 300_000));
    let seed = WebSeed::serving(&dataset);
    let fixture = Fixture::new("fixture-roots", "data = { torrent = \"data.torrent\" }");
    let torrent = dataset.clone().url_list([seed.url()]).torrent();
    fs::write(fixture.path("data.torrent"), torrent).unwrap();
    for variable in ["DOCS_RS", "RA_RUSTC_WRAPPER"] {
        fixture.with_env(variable, "1").cargo(&["check"]).ok();
        assert_eq!(notes(&fixture), [""; 0].map(PathBuf::from), "{variable}");
    }
    // A build succeeds even if the record cannot be written.
    fs::create_dir_all(fixture.store().join("v1")).unwrap();
    fs::write(fixture.store().join("v1/roots"), b"").unwrap();
    dataset.assert_at(&fixture.cargo(&["run"]).ok().printed_path());
    fs::remove_file(fixture.store().join("v1/roots")).unwrap();
    touch(&fixture);
    assert!(fixture.cargo(&["build"]).ok().script_ran());
    let [note] = &notes(&fixture)[..] else { panic!("{:?}", notes(&fixture)) };
    let text = format!(
        "academictorrents root 1\nmanifest {}\nid {}\n",
        fixture.path("Cargo.toml").canonicalize().unwrap().display(),
        dataset.infohash_hex()
    );
    assert_eq!(fs::read_to_string(note).unwrap(), text);
    let modified = || fs::metadata(note).unwrap().modified().unwrap();
    let first = modified();
    touch(&fixture);
    assert!(fixture.cargo(&["build"]).ok().script_ran());
    assert_eq!(modified(), first);
    assert_eq!(seed.bytes_served(), 300_000);
}

#[test]
fn a_build_that_fails_has_noted_what_it_has_begun() {
    let dataset = Dataset::single("data.bin", random_bytes(201, 300_000));
    let fixture =
        Fixture::new("fixture-roots-begun", &format!("data = \"{}\"", dataset.infohash_hex()));
    assert!(!fixture.cargo(&["build"]).succeeded);
    let [note] = &notes(&fixture)[..] else { panic!("{:?}", notes(&fixture)) };
    let text = fs::read_to_string(note).unwrap();
    assert!(text.ends_with(&format!("\nid {}\n", dataset.infohash_hex())), "{text}");
}
