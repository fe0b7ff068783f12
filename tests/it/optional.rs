//! The manual's examples of optional datasets, with the real Cargo: a skipped test, and bytes that
//! are compiled in.

use std::fs;

use crate::fixture::Fixture;
use crate::support::Project;
use crate::swarm::{Dataset, random_bytes};

/// The dataset `data`, from a mirror directory that does not exist yet.
fn fixture(name: &'static str, dataset: &Dataset) -> Fixture {
    let fixture = Fixture::new(name, &declared(true));
    fs::write(fixture.path("data.torrent"), dataset.torrent()).unwrap();
    // `deny(warnings)` fails on a `cfg` that was not declared to Cargo.
    fixture.main(&format!("#![deny(warnings)]\n#![allow(dead_code)]\n{}", manual()))
}

fn declared(optional: bool) -> String {
    format!(
        "data = {{ torrent = \"data.torrent\", mirrors = [\"mirror\"], optional = {optional} }}"
    )
}

/// As the warning suggests, to retry at once.
fn touch_manifest(fixture: &Fixture) {
    let now = std::time::SystemTime::now();
    fs::File::open(fixture.path("Cargo.toml")).unwrap().set_modified(now).unwrap();
}

/// The code of the manual's chapter, for the dataset `data`.
fn manual() -> String {
    let chapter = include_str!("../../docs/guide/optional-datasets.md");
    let blocks = chapter.split("```rust,ignore\n").skip(1);
    let code: String = blocks.map(|block| block.split_once("```").unwrap().0).collect();
    assert!(code.contains("ignore = ") && code.contains("include_bytes!"), "{code}");
    let code = code.replace("\"digits\"", "\"data\"").replace("AT_DIGITS_", "AT_DATA_");
    format!(
        "{code}\nfn main() {{ println!(\"{{:?}} {{}}\", DIGITS.is_some(), BYTES.len()) }}\n\
         pub fn accuracy(_: &std::path::Path) -> f64 {{ 1.0 }}\n"
    )
}

#[test]
fn a_test_is_skipped_while_its_dataset_is_missing() {
    let dataset = Dataset::single("data.bin", random_bytes(201, 70_000));
    let fixture = fixture("fixture-skipped", &dataset);
    let without = fixture.cargo(&["test"]).ok();
    for part in ["ignored, digits are not here", "0 passed; 0 failed; 1 ignored"] {
        assert!(without.stdout.contains(part), "{part}\n{}", without.stdout);
    }
    dataset.write_mirror(&fixture.path("mirror"));
    touch_manifest(&fixture);
    let with = fixture.cargo(&["test"]).ok();
    assert!(with.stdout.contains("1 passed; 0 failed; 0 ignored"), "{}", with.stdout);
}

#[test]
fn bytes_are_compiled_in_where_the_dataset_is_there_and_docs_rs_does_without() {
    let dataset = Dataset::single("data.bin", random_bytes(202, 70_000));
    let fixture = fixture("fixture-included", &dataset);
    assert_eq!(fixture.cargo(&["run"]).ok().stdout, "false 0\n");
    // docs.rs has no data. `cfg(docsrs)` is set for rustdoc only, not for dependencies.
    fs::remove_dir_all(fixture.store()).unwrap();
    let docs_rs = fixture.with_env("DOCS_RS", "1");
    let without = |optional: bool| {
        docs_rs.declare(&declared(optional));
        docs_rs.with_env("RUSTDOCFLAGS", "--cfg docsrs").cargo(&["doc", "--no-deps"]).ok();
        assert_eq!(docs_rs.cargo(&["run"]).ok().stdout, "false 0\n", "{optional}");
        assert!(!fixture.store().exists());
    };
    without(true);
    without(false);
    dataset.write_mirror(&fixture.path("mirror"));
    assert_eq!(fixture.cargo(&["run"]).ok().stdout, "true 70000\n");
    // With docs.rs's variable, but with the data available.
    touch_manifest(&fixture);
    let again = docs_rs.cargo(&["run"]).ok();
    assert!(again.script_ran() && again.stdout == "true 70000\n", "{}", again.stderr);
}

#[test]
fn what_docs_rs_documents_all_the_same_has_the_path() {
    let dataset = Dataset::single("data.bin", random_bytes(203, 70_000));
    let fixture = fixture("fixture-documented", &dataset).env("DOCS_RS", "1").main(
        "#[cfg(any(unix, windows, at_dataset = \"data\"))]\nconst DATA: &str = env!(\"AT_DATA_PATH\");\n\
         fn main() { println!(\"{DATA}\") }",
    );
    let run = fixture.cargo(&["run"]).ok();
    assert!(run.printed_path().starts_with(fixture.store()), "{}", run.stdout);
}

#[test]
fn without_out_dir_nothing_is_written_into_the_current_directory() {
    let dataset = Dataset::single("data.bin", random_bytes(1, 40_000));
    let name = "nowhere-in-this-directory";
    let run = |lines: &str| {
        let project = Project::new(&format!("{name} = {{ torrent = \"data.torrent\", {lines} }}"));
        std::fs::write(project.path("data.torrent"), dataset.torrent()).unwrap();
        project.build().env("OUT_DIR", "").run()
    };
    let datasets = run("optional = true, web-seeds = [\"http://127.0.0.1:9/\"]").unwrap();
    assert!(datasets.dataset(name).is_none());
    let note = format!("academictorrents-missing-{name}");
    assert!(!std::path::Path::new(&note).exists());
    let error = run("store = \"out-dir\", web-seeds = [\"http://127.0.0.1:9/\"]").unwrap_err();
    assert_eq!(error.kind(), academictorrents::ErrorKind::Manifest);
    assert!(error.to_string().contains("because OUT_DIR is not set"), "{error}");
    assert!(!std::path::Path::new("academictorrents").exists());
}
