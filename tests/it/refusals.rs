//! What is refused although the sources are good: the disk, the pins, the limits.

use crate::support::Project;
use crate::swarm::{Dataset, WebSeed, random_bytes};

fn dataset() -> Dataset {
    Dataset::single("data.bin", random_bytes(31, 1_500_000))
}

/// The SHA-256 of the bytes, in hexadecimal.
fn sha256(bytes: &[u8]) -> String {
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

    // A file where a directory of the store should be.
    std::fs::remove_file(project.store()).unwrap();
    std::fs::create_dir_all(project.store().join("v1")).unwrap();
    std::fs::write(project.store().join("v1/partial"), "a file").unwrap();
    assert!(project.error().contains("v1/partial"));
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
    // What was fetched is kept: with the right pin nothing is fetched again.
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
fn too_much_is_refused_before_the_first_byte_with_the_line_to_add() {
    let dataset = dataset();
    let seed = WebSeed::serving(&dataset);
    let seeds = format!("web-seeds = [\"{}\"]", seed.url());
    let project = Project::of(&dataset, &format!("max-size = \"1MiB\"\n{seeds}"));
    let error = project.error();
    assert!(error.contains("[package.metadata.academictorrents.data]"), "{error}");
    assert_eq!(seed.http().server().connections(), 0);
    project.assert_nothing_published();
    let line = error.lines().map(str::trim).find(|line| line.starts_with("max-size = "));
    project.declare_data(&format!("{}\n{seeds}", line.unwrap()));
    // The user's word caps the manifest's.
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
