//! Builds by the real Cargo: what runs again, what the compiler gets, and what users see.

use std::fs;
use std::io::{BufRead as _, BufReader};

use crate::fixture::{Fixture, Run};
use crate::support::files_below;
use crate::swarm::{Dataset, WebSeed, random_bytes};
use crate::swarm::{eventually, web_seed::Fault};

/// A different dataset for each test.
fn data(seed: u64) -> Dataset {
    Dataset::single("data.bin", random_bytes(seed, 200_000))
}

/// Declares `data` by its infohash, as in the manual, with a directory mirror.
fn by_infohash(name: &'static str, dataset: &Dataset) -> Fixture {
    let fixture = Fixture::new(name, &format!("data = \"{}\"", dataset.infohash_hex()));
    dataset.write_mirror(&fixture.path("mirror"));
    let mirror = fixture.path("mirror").display().to_string();
    fixture.env("ACADEMICTORRENTS_MIRRORS", mirror)
}

/// The manifest's table of `data`, with a vendored torrent, a web seed and these lines.
pub fn seeded(seed: &WebSeed, lines: &str) -> String {
    format!(
        "[package.metadata.academictorrents.data]\ntorrent = \"data.torrent\"\nweb-seeds = [\"{}\"]\n{lines}",
        seed.url()
    )
}

/// A crate that fetches `data` by a vendored torrent from a web seed.
pub fn from_web_seed(
    name: &'static str,
    dataset: &Dataset,
    seed: &WebSeed,
    lines: &str,
) -> Fixture {
    let fixture = Fixture::new(name, &seeded(seed, lines));
    fs::write(fixture.path("data.torrent"), dataset.torrent()).unwrap();
    fixture
}

#[test]
fn two_lines_and_the_program_reads_the_dataset() {
    let dataset = data(1);
    let fixture = by_infohash("fixture-two-lines", &dataset);
    let run = fixture.cargo(&["run"]).ok();
    dataset.assert_at(&run.printed_path());
    assert_eq!(run.stdout.lines().nth(1), Some(&*dataset.infohash_hex()));
    assert!(run.printed_path().starts_with(fixture.store()));
    fixture.cargo(&["build"]).ok().assert_fresh();
}

#[test]
fn what_is_deleted_comes_back_with_the_next_build() {
    let dataset = data(2);
    let seed = WebSeed::serving(&dataset);
    let fixture = from_web_seed("fixture-heals", &dataset, &seed, "");
    let path = fixture.cargo(&["run"]).ok().printed_path();
    // If only the stamp is missing, the data is hashed and not fetched.
    let stamp = path.ancestors().nth(2).unwrap().join("stamp");
    fs::remove_file(&stamp).unwrap();
    assert!(fixture.cargo(&["build"]).ok().script_ran());
    assert!(stamp.exists());
    assert_eq!(seed.bytes_served(), 200_000);
    fixture.cargo(&["build"]).ok().assert_fresh();
    fs::remove_dir_all(fixture.store()).unwrap();
    assert!(fixture.cargo(&["build"]).ok().script_ran());
    dataset.assert_at(&path);
    assert_eq!(seed.bytes_served(), 400_000);
    fixture.cargo(&["build"]).ok().assert_fresh();
}

#[test]
fn a_changed_manifest_is_read_again() {
    let (dataset, more) = (data(3), Dataset::single("more.bin", random_bytes(4, 1_000)));
    let fixture = by_infohash("fixture-manifest", &dataset);
    fixture.cargo(&["build"]).ok();
    more.write_mirror(&fixture.path("mirror"));
    let [one, two] = [&dataset, &more].map(Dataset::infohash_hex);
    fixture.declare(&format!("data = \"{one}\"\nmore-data = \"{two}\""));
    let fixture = fixture.main(r#"fn main() { println!("{}", env!("AT_MORE_DATA_PATH")) }"#);
    more.assert_at(&fixture.cargo(&["run"]).ok().printed_path());
    fixture.cargo(&["build"]).ok().assert_fresh();
}

#[test]
fn a_changed_vendored_torrent_is_read_again() {
    let (before, after) = (data(5), data(6));
    let fixture = Fixture::new(
        "fixture-torrent",
        "data = { torrent = \"data.torrent\", mirrors = [\"mirror\"] }",
    );
    for dataset in [before, after] {
        dataset.write_mirror(&fixture.path("mirror"));
        fs::write(fixture.path("data.torrent"), dataset.torrent()).unwrap();
        let run = fixture.cargo(&["run"]).ok();
        dataset.assert_at(&run.printed_path());
        assert_eq!(run.stdout.lines().nth(1), Some(&*dataset.infohash_hex()));
    }
}

#[test]
fn check_build_test_clippy_and_release_share_one_download() {
    let dataset = data(7);
    let seed = WebSeed::serving(&dataset);
    let fixture = from_web_seed("fixture-commands", &dataset, &seed, "").main(
        "fn main() {}\n#[test]\nfn reads() { assert_eq!(std::fs::read(env!(\"AT_DATA_PATH\")).unwrap().len(), 200_000) }",
    );
    fixture.cargo(&["check"]).ok();
    // These three commands share one run of the build script.
    assert!(!fixture.cargo(&["build"]).ok().script_ran());
    assert!(!fixture.cargo(&["test"]).ok().script_ran());
    fixture.cargo(&["build", "--release"]).ok();
    // Not every toolchain has clippy.
    if fixture.cargo(&["clippy", "--version"]).succeeded {
        fixture.cargo(&["clippy"]).ok();
    }
    assert_eq!(seed.bytes_served(), 200_000);
    fixture.cargo(&["build"]).ok().assert_fresh();
}

#[test]
fn an_infohash_of_a_wrong_length_is_shown_with_its_line() {
    let fixture = Fixture::new("fixture-infohash", "data = \"323a0048\"");
    let errors = fixture.cargo(&["build"]).errors();
    assert!(errors[0].contains("dataset `data`"), "{errors:#?}");
    let text = errors.join("\n");
    assert!(text.contains("Cargo.toml:") && text.contains("40"), "{text}");
}

#[test]
fn that_nobody_has_the_data_is_told_within_the_timeout() {
    let dataset = data(8);
    let seed = WebSeed::serving(&dataset).with(Fault::NotFound);
    let fixture =
        from_web_seed("fixture-nobody", &dataset, &seed, "").env("ACADEMICTORRENTS_TIMEOUT", "1s");
    let errors = fixture.cargo(&["build"]).errors();
    assert!(errors[0].starts_with("dataset `data`: "), "{errors:#?}");
    let text = errors.join("\n");
    assert!(text.contains("404") && text.contains("help: "), "{text}");
}

#[test]
fn more_than_the_limit_is_refused_before_the_first_byte() {
    let dataset = data(9);
    let seed = WebSeed::serving(&dataset);
    let fixture = from_web_seed("fixture-limit", &dataset, &seed, "max-size = \"100kB\"");
    let errors = fixture.cargo(&["build"]).errors();
    assert!(errors[0].starts_with("dataset `data`: "), "{errors:#?}");
    assert!(errors.join("\n").contains("change `max-size` to "), "{errors:#?}");
    assert_eq!(seed.bytes_served(), 0);
    // The fix that the error suggests.
    fixture.declare(&seeded(&seed, "max-size = \"205kB\""));
    dataset.assert_at(&fixture.cargo(&["run"]).ok().printed_path());
}

/// A program that can do without the dataset. `deny(warnings)` fails on an undeclared `cfg`.
const WITH_OR_WITHOUT: &str = r#"#![deny(warnings)]
fn main() {
    #[cfg(at_dataset = "data")]
    println!("{}", env!("AT_DATA_PATH"));
    #[cfg(not(at_dataset = "data"))]
    println!("without");
}"#;

#[test]
fn a_cfg_tells_that_the_dataset_is_there() {
    let dataset = data(10);
    let fixture = by_infohash("fixture-cfg", &dataset).main(WITH_OR_WITHOUT);
    dataset.assert_at(&fixture.cargo(&["run"]).ok().printed_path());
}

#[test]
fn an_optional_dataset_may_be_missing() {
    let dataset = data(11);
    let seed = WebSeed::serving(&dataset).with(Fault::NotFound);
    let fixture = from_web_seed("fixture-optional", &dataset, &seed, "optional = true")
        .env("ACADEMICTORRENTS_TIMEOUT", "1s")
        .main(WITH_OR_WITHOUT);
    let run = fixture.cargo(&["run"]).ok();
    assert_eq!(run.stdout, "without\n");
    let warning = run.stderr.lines().find(|line| line.starts_with("warning: "));
    assert!(warning.is_some_and(|line| line.contains("`data`")), "{}", run.stderr);
    // For ten minutes no source is asked again, and the build continues at once.
    let asked = seed.requests().len();
    seed.mend();
    let again = fixture.cargo(&["run"]).ok();
    assert_eq!(again.stdout, "without\n");
    assert_eq!(seed.requests().len(), asked);
    let reason = format!("{}: ", seed.url());
    for part in ["no source could provide the data", &reason, "to try again now, touch Cargo.toml"]
    {
        assert!(again.stderr.contains(part), "{part}\n{}", again.stderr);
    }
    // The dataset is found once another build has put it into the store.
    let other = from_web_seed("fixture-optional-other", &dataset, &seed, "")
        .env("ACADEMICTORRENTS_STORE", fixture.store().display());
    other.cargo(&["build"]).ok();
    dataset.assert_at(&fixture.cargo(&["run"]).ok().printed_path());
}

#[test]
fn a_package_for_an_older_rust_gets_the_older_directives() {
    let dataset = data(12);
    let fixture = by_infohash("fixture-older", &dataset)
        .package("rust-version = \"1.70\"")
        .main(WITH_OR_WITHOUT);
    fixture.declare(&format!("data = \"{}\"", dataset.infohash_hex()));
    dataset.assert_at(&fixture.cargo(&["run"]).ok().printed_path());
    fixture.declare("data = \"323a0048\"");
    let run = fixture.cargo(&["build"]);
    assert!(!run.succeeded && run.stderr.contains("dataset `data`"), "{}", run.stderr);
}

#[test]
fn docs_rs_gets_a_path_and_fetches_nothing() {
    let dataset = data(13);
    let seed = WebSeed::serving(&dataset);
    let docs_rs = from_web_seed("fixture-docs-rs", &dataset, &seed, "").env("DOCS_RS", "1");
    let run = docs_rs.cargo(&["run"]).ok();
    assert!(run.printed_path().starts_with(docs_rs.store()));
    assert_eq!(seed.requests().len(), 0);
    assert!(!docs_rs.store().exists());
    let real = docs_rs.env("DOCS_RS", "");
    dataset.assert_at(&real.cargo(&["run"]).ok().printed_path());
    real.cargo(&["build"]).ok().assert_fresh();
}

#[test]
fn a_path_given_to_docs_rs_is_corrected_when_another_build_has_brought_the_data() {
    let dataset = data(19);
    let docs_rs = by_infohash("fixture-docs-rs-path", &dataset).env("DOCS_RS", "1");
    docs_rs.cargo(&["build"]).ok();
    let other = by_infohash("fixture-docs-rs-other", &dataset)
        .env("ACADEMICTORRENTS_STORE", docs_rs.store().display());
    other.cargo(&["build"]).ok();
    let real = docs_rs.env("DOCS_RS", "");
    dataset.assert_at(&real.cargo(&["run"]).ok().printed_path());
}

#[test]
fn an_optional_dataset_is_tried_again_when_the_manifest_has_changed() {
    let dataset = data(20);
    let seed = WebSeed::serving(&dataset);
    let fixture = from_web_seed("fixture-mended", &dataset, &seed, "")
        .env("ACADEMICTORRENTS_TIMEOUT", "1s")
        .main(WITH_OR_WITHOUT);
    let declared = "data = { torrent = \"data.torrent\", optional = true, ";
    fixture.declare(&format!("{declared} web-seeds = [] }}"));
    assert_eq!(fixture.cargo(&["run"]).ok().stdout, "without\n");
    fixture.declare(&format!("{declared} web-seeds = [\"{}\"] }}", seed.url()));
    dataset.assert_at(&fixture.cargo(&["run"]).ok().printed_path());
}

#[test]
fn a_package_is_verified_and_nothing_is_written_into_it() {
    let dataset = data(14);
    let fixture = Fixture::new(
        "fixture-package",
        "data = { torrent = \"data.torrent\", mirrors = [\"mirror\"] }",
    )
    .package("license = \"MIT\"\ndescription = \"\"\nexclude = [\"store\"]");
    fixture.declare("data = { torrent = \"data.torrent\", mirrors = [\"mirror\"] }");
    dataset.write_mirror(&fixture.path("mirror"));
    fs::write(fixture.path("data.torrent"), dataset.torrent()).unwrap();
    fixture.cargo(&["build"]).ok();
    // Each build records its manifest in the store, which is inside the package only in this test.
    let files = || {
        let mut files = files_below(&fixture.path(""));
        files.retain(|path| !path.starts_with("store/v1/roots"));
        files
    };
    let before = files();
    // The crate is not in the registry, so patch in this checkout.
    let patch = format!("patch.crates-io.academictorrents.path={:?}", env!("CARGO_MANIFEST_DIR"));
    // Cargo fails if a build script changes the unpacked sources.
    let run = fixture.cargo(&["package", "--allow-dirty", "--config", &patch]).ok();
    assert!(run.script_ran(), "{}", run.stderr);
    assert_eq!(files(), before);
}

#[test]
fn a_copy_of_ones_own_lies_in_out_dir() {
    let dataset = data(15);
    let seed = WebSeed::serving(&dataset);
    let fixture = from_web_seed("fixture-out-dir", &dataset, &seed, "store = \"out-dir\"");
    let path = fixture.cargo(&["run"]).ok().printed_path();
    dataset.assert_at(&path);
    assert!(!path.starts_with(fixture.store()) && path.iter().any(|part| part == "out"));
    fixture.cargo(&["build"]).ok().assert_fresh();
}

#[test]
fn a_dataset_of_a_feature_is_fetched_with_that_feature_alone() {
    let dataset = data(16);
    let seed = WebSeed::serving(&dataset);
    let fixture =
        from_web_seed("fixture-feature", &dataset, &seed, "required-features = [\"extra\"]")
            .main(WITH_OR_WITHOUT);
    assert_eq!(fixture.cargo(&["run"]).ok().stdout, "without\n");
    assert_eq!(seed.requests().len(), 0);
    let run = fixture.cargo(&["run", "--features", "extra"]).ok();
    dataset.assert_at(&run.printed_path());
}

#[test]
fn offline_with_nothing_here_names_the_mend() {
    let dataset = data(17);
    let seed = WebSeed::serving(&dataset);
    let fixture =
        from_web_seed("fixture-offline", &dataset, &seed, "").env("CARGO_NET_OFFLINE", "true");
    let errors = fixture.cargo(&["build"]).errors();
    assert!(errors[0].starts_with("dataset `data`: "), "{errors:#?}");
    let text = errors.join("\n");
    assert!(text.contains("CARGO_NET_OFFLINE") && text.contains("help: "), "{text}");
    assert_eq!(seed.http().requests().len(), 0);
}

#[test]
fn two_builds_at_once_make_one_download() {
    let dataset = data(18);
    let seed = WebSeed::serving(&dataset);
    let one = from_web_seed("fixture-at-once-1", &dataset, &seed, "").env("DOCS_RS", "1");
    let two = from_web_seed("fixture-at-once-2", &dataset, &seed, "")
        .env("DOCS_RS", "1")
        .env("ACADEMICTORRENTS_STORE", one.store().display());
    // Two profiles, because builds of one profile wait for each other in the target directory. Both
    // are compiled first, so that neither still compiles when the other is done.
    one.cargo(&["build", "--release"]).ok();
    two.cargo(&["build"]).ok();
    let (one, two) = (one.env("DOCS_RS", ""), two.env("DOCS_RS", ""));
    seed.fault(Fault::Slow { bytes_per_second: 5_000 });
    let first = one.start(&["build", "--release"]);
    eventually("the first build downloads", || !seed.requests().is_empty());
    // `start` adds another `-v`; `-vv` shows a build script's output while it runs.
    let mut second = two.start(&["build", "-v"]);
    let mut said = BufReader::new(second.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(said.any(|line| line.contains("waiting for another build")));
    seed.mend();
    let rest: Vec<_> = said.collect();
    assert!(second.wait().unwrap().success(), "{rest:#?}");
    Run::of(first.wait_with_output().unwrap()).ok();
    dataset.assert_at(&two.cargo(&["run"]).ok().printed_path());
    assert_eq!(seed.bytes_served(), 200_000);
}
