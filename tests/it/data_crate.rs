//! A crate whose `links` key passes its dataset to the build scripts of dependents, and a crate
//! without `build.rs`.

use std::fs;

use crate::cargo::seeded;
use crate::fixture::Fixture;
use crate::swarm::{Dataset, WebSeed, random_bytes};

const BYTES: u64 = 200_000;

fn data(seed: u64) -> Dataset {
    Dataset::single("data.bin", random_bytes(seed, BYTES as usize))
}

/// The build script of a dependent: it reads the dataset and exports it to its own crate.
const READS: &str = r#"fn main() {
    let path = std::env::var("DEP_SAMPLES_AT_DATA_PATH").expect("`links` hands it over");
    let infohash = std::env::var("DEP_SAMPLES_AT_DATA_INFOHASH").expect("`links` hands it over");
    let length = std::fs::metadata(&path).expect("the file is there").len();
    println!("cargo:rustc-env=SAMPLES={path}\ncargo:rustc-env=OF={infohash} {length}");
    // Else each change in this package, here the store in it, would run the script again.
    println!("cargo:rerun-if-changed=build.rs");
}
"#;

/// Builds a program and the data crate that it depends on.
fn check_handed_over(name: &'static str, data_crate: &'static str, number: u64, package: &str) {
    let dataset = data(number);
    let seed = WebSeed::serving(&dataset);
    let fixture = Fixture::new(name, "")
        .main("fn main() { println!(\"{}\\n{}\", env!(\"SAMPLES\"), env!(\"OF\")) }");
    fixture.library("samples", data_crate, &seeded(&seed, ""));
    let manifest = fs::read_to_string(fixture.path("samples/Cargo.toml")).unwrap();
    let links = format!("[package]\nlinks = \"samples\"\n{package}");
    fixture.write("samples/Cargo.toml", &manifest.replacen("[package]", &links, 1));
    fs::write(fixture.path("samples/data.torrent"), dataset.torrent()).unwrap();
    fixture.declare(&format!(
        "[dependencies.{data_crate}]\npath = \"samples\"\n\
         [patch.crates-io.academictorrents]\npath = {:?}",
        env!("CARGO_MANIFEST_DIR")
    ));
    fixture.write("build.rs", READS);
    let run = fixture.cargo(&["run"]).ok();
    dataset.assert_at(&run.printed_path());
    let of = format!("{} {BYTES}", dataset.infohash_hex());
    assert_eq!(run.stdout.lines().nth(1), Some(&*of));
    fixture.cargo(&["build"]).ok().assert_fresh();
    // After a change of the store, the dependent's script gets the new path.
    let moved = fixture.path("moved");
    let fixture = fixture.env("ACADEMICTORRENTS_STORE", moved.display());
    let path = fixture.cargo(&["run"]).ok().printed_path();
    assert!(path.starts_with(&moved), "{}", path.display());
    assert_eq!(seed.bytes_served(), 2 * BYTES);
}

#[test]
fn a_dependents_build_script_reads_the_dataset_of_a_crate_with_links() {
    check_handed_over("fixture-dependent", "fixture-data-crate", 201, "");
}

#[test]
fn a_data_crate_for_an_older_rust_hands_its_dataset_over_too() {
    let package = "rust-version = \"1.70\"\n";
    check_handed_over("fixture-older-dependent", "fixture-older-data", 202, package);
}

#[test]
fn with_metabuild_no_build_script_is_written() {
    let dataset = data(203);
    let seed = WebSeed::serving(&dataset);
    let fixture = Fixture::new("fixture-metabuild", "")
        .package("metabuild = [\"academictorrents\"]")
        // Makes stable Cargo accept a nightly feature.
        .env("RUSTC_BOOTSTRAP", "1");
    fixture.declare(&seeded(&seed, ""));
    let manifest = fs::read_to_string(fixture.path("Cargo.toml")).unwrap();
    fixture.write("Cargo.toml", &format!("cargo-features = [\"metabuild\"]\n{manifest}"));
    fs::write(fixture.path("data.torrent"), dataset.torrent()).unwrap();
    fs::remove_file(fixture.path("build.rs")).unwrap();
    dataset.assert_at(&fixture.cargo(&["run"]).ok().printed_path());
    fixture.cargo(&["build"]).ok().assert_fresh();
    fs::write(fixture.path("data.torrent"), "no torrent").unwrap();
    let errors = fixture.cargo(&["build"]).errors();
    assert!(errors[0].starts_with("dataset `data`: "), "{errors:#?}");
}
