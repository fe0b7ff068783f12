//! Read-only shared stores: readers wait while another process fetches into the store.

use crate::load_path::LOAD_PATH;
use crate::support::Project;
use crate::support::fetching::Fetching;
use crate::swarm::{Dataset, WebSeed, random_bytes};

fn dataset() -> Dataset {
    Dataset::single("data.bin", random_bytes(61, 100_000))
}

/// A project whose store has the dataset.
fn complete(dataset: &Dataset) -> Project {
    let seed = WebSeed::serving(dataset);
    let project = Project::of(dataset, &format!("web-seeds = [\"{}\"]", seed.url()));
    project.path_of("data");
    project
}

#[test]
fn a_build_waits_for_whoever_fetches_into_a_store_on_the_load_path() {
    let dataset = dataset();
    let (source, seed) = (complete(&dataset), WebSeed::serving(&dataset));
    let theirs = source.path("theirs");
    let ours = Project::of(&dataset, &format!("web-seeds = [\"{}\"]", seed.url()))
        .env(LOAD_PATH, theirs.display())
        .env("ACADEMICTORRENTS_TIMEOUT", "60s");
    let fetching = Fetching::begin(&source.store(), &theirs, &dataset);
    std::thread::scope(|scope| {
        let path = scope.spawn(|| ours.path_of("data"));
        fetching.complete(|| seed.http().server().connections() > 0);
        assert!(path.join().unwrap().starts_with(&theirs));
    });
    ours.assert_nothing_published();
    assert_eq!(seed.http().server().connections(), 0);
}

#[test]
fn whoever_makes_no_progress_in_a_store_on_the_load_path_is_not_waited_for() {
    let dataset = dataset();
    let (source, seed) = (complete(&dataset), WebSeed::serving(&dataset));
    let theirs = source.path("theirs");
    let ours = Project::of(&dataset, &format!("web-seeds = [\"{}\"]", seed.url()))
        .env(LOAD_PATH, theirs.display())
        .env("ACADEMICTORRENTS_TIMEOUT", "500ms");
    let fetching = Fetching::begin(&source.store(), &theirs, &dataset);
    dataset.assert_at(&ours.path_of("data"));
    drop(fetching);
}
