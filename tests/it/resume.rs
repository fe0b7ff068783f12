//! What an earlier build left: interrupted, killed, damaged, copied, or still running.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::support::files::{remove, remove_tree};
use crate::support::{Project, build_in, files_below};
use crate::swarm::web_seed::Fault;
use crate::swarm::{Dataset, WebSeed, eventually, random_bytes};

const PIECE: u64 = 32 << 10;
const LENGTH: u64 = 3_000_000;

/// The most that an interruption may cost: a piece on each of four connections, and data in flight.
const UNFINISHED: u64 = 4 * PIECE + 4 * (1 << 20);

fn dataset() -> Dataset {
    Dataset::single("data.bin", random_bytes(21, LENGTH as usize))
}

fn web_seeds(seed: &WebSeed) -> String {
    format!("web-seeds = [\"{}\"]", seed.url())
}

/// A project that has the dataset, and a seed that counts later downloads.
fn complete(dataset: &Dataset) -> (Project, PathBuf, WebSeed) {
    let project = Project::of(dataset, "mirrors = [\"mirror\"]");
    dataset.write_mirror(&project.path("mirror"));
    let path = project.path_of("data");
    let seed = WebSeed::serving(dataset);
    project.declare_data(&web_seeds(&seed));
    (project, path, seed)
}

/// Changes a byte, even of a read-only file.
fn damage(path: &Path, offset: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[offset] ^= 0xFF;
    // A new file has a new time; replacing it only needs a writable directory.
    remove(path);
    std::fs::write(path, bytes).unwrap();
}

fn partial_of(project: &Project, dataset: &Dataset) -> PathBuf {
    project.store().join("v1/partial").join(dataset.infohash_hex())
}

#[test]
fn a_second_build_fetches_only_what_the_first_could_not() {
    let dataset = dataset();
    let half = WebSeed::serving(&dataset).with(Fault::OnlyPieces(0..50));
    let project = Project::of(&dataset, &web_seeds(&half));
    project.error();
    project.assert_nothing_published();
    let whole = WebSeed::serving(&dataset);
    project.declare_data(&web_seeds(&whole));
    dataset.assert_at(&project.path_of("data"));
    assert_eq!(half.bytes_served(), 50 * PIECE);
    assert_eq!(whole.bytes_served(), LENGTH - 50 * PIECE);
    assert!(!partial_of(&project, &dataset).exists());
}

#[test]
fn a_server_that_dies_in_the_middle_costs_little() {
    let dataset = dataset();
    let dying = WebSeed::serving(&dataset).with(Fault::Slow { bytes_per_second: 2_000_000 });
    let project = Project::of(&dataset, &web_seeds(&dying));
    let served = std::thread::scope(|scope| {
        let build = scope.spawn(|| project.error());
        eventually("half of the data was served", || dying.bytes_served() > LENGTH / 2);
        let url = dying.url();
        let coverage = dying.coverage();
        drop(dying);
        let error = build.join().unwrap();
        assert!(error.contains(&url), "{error}");
        coverage.bytes()
    });
    let whole = WebSeed::serving(&dataset);
    project.declare_data(&web_seeds(&whole));
    dataset.assert_at(&project.path_of("data"));
    let total = served + whole.bytes_served();
    assert!(total <= LENGTH + 8 * PIECE, "{total}");
}

#[test]
fn two_builds_at_once_fetch_once() {
    let dataset = dataset();
    let seed = WebSeed::serving(&dataset).with(Fault::Slow { bytes_per_second: 3_000_000 });
    let project = Project::of(&dataset, &web_seeds(&seed));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| dataset.assert_at(&project.path_of("data")));
        }
    });
    assert_eq!(seed.bytes_served(), LENGTH);
}

#[test]
fn a_build_does_not_wait_for_ever_for_another_that_does_not_move() {
    let dataset = dataset();
    let seed = WebSeed::serving(&dataset).with(Fault::Stall { after_bytes: 0 });
    let project = Project::of(&dataset, &web_seeds(&seed));
    std::thread::scope(|scope| {
        let holder = || project.build().env("ACADEMICTORRENTS_TIMEOUT", "8s").run();
        let holder = scope.spawn(holder);
        eventually("the first download has started", || !seed.requests().is_empty());
        let error = project.error();
        assert!(error.contains("has locked the dataset"), "{error}");
        assert!(error.contains(&std::process::id().to_string()), "{error}");
        drop(seed);
        assert!(holder.join().unwrap().is_err());
    });
}

#[test]
fn a_removed_dataset_is_fetched_again() {
    let dataset = dataset();
    let (project, path, seed) = complete(&dataset);
    remove(&path);
    dataset.assert_at(&project.path_of("data"));
    assert_eq!(seed.bytes_served(), LENGTH);
    remove_tree(&project.store().join("v1/data"));
    dataset.assert_at(&project.path_of("data"));
    assert_eq!(seed.bytes_served(), 2 * LENGTH);
    remove_tree(&project.store());
    dataset.assert_at(&project.path_of("data"));
    assert_eq!(seed.bytes_served(), 3 * LENGTH);
}

#[test]
fn a_dataset_without_its_stamp_is_hashed_and_not_fetched() {
    let dataset = dataset();
    let (project, path, seed) = complete(&dataset);
    let stamp = path.parent().unwrap().with_file_name("stamp");
    std::fs::remove_file(&stamp).unwrap();
    dataset.assert_at(&project.path_of("data"));
    assert!(stamp.exists());
    assert_eq!(seed.http().server().connections(), 0);
}

#[test]
fn a_damaged_piece_is_repaired_and_only_that() {
    let dataset = dataset();
    let (project, path, seed) = complete(&dataset);
    damage(&path, 40 * PIECE as usize + 5);
    dataset.assert_at(&project.path_of("data"));
    assert_eq!(seed.bytes_served(), PIECE);
    assert!(std::fs::metadata(&path).unwrap().permissions().readonly());
}

#[test]
fn repair_does_not_write_into_a_file_that_another_selection_links() {
    let files = [("a", random_bytes(1, 100_000)), ("b", random_bytes(2, 100_000))];
    let dataset = Dataset::multi("set", files);
    let (project, path, seed) = complete(&dataset);
    let lines = web_seeds(&seed);
    project.declare_data(&format!("files = [\"b\"]\n{lines}"));
    let other = project.path_of("data").join("b");
    // Written in place, so that both hard links have the damage.
    let shared = path.join("b");
    let mut permissions = std::fs::metadata(&shared).unwrap().permissions();
    #[expect(clippy::permissions_set_readonly_false, reason = "a file of the test's own")]
    permissions.set_readonly(false);
    std::fs::set_permissions(&shared, permissions).unwrap();
    let mut bytes = std::fs::read(&shared).unwrap();
    bytes[50_000] ^= 0xFF;
    std::fs::write(&shared, &bytes).unwrap();
    assert!(std::fs::read(&other).unwrap() == bytes);

    project.declare_data(&lines);
    dataset.assert_at(&project.path_of("data"));
    assert!(std::fs::read(&other).unwrap() == bytes, "the other selection's file was written");
    project.declare_data(&format!("files = [\"b\"]\n{lines}"));
    assert!(std::fs::read(project.path_of("data").join("b")).unwrap() == dataset.files()[1].1);
}

#[test]
fn a_copied_store_is_hashed_and_not_fetched() {
    let dataset = Dataset::multi("set", [("a", random_bytes(1, 90_000)), ("b/c", vec![7; 10])]);
    let (project, _, seed) = complete(&dataset);
    let copy = project.path("copy");
    for file in files_below(&project.store()) {
        let to = copy.join(&file);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::write(to, std::fs::read(project.store().join(file)).unwrap()).unwrap();
    }
    let project = project.env("ACADEMICTORRENTS_STORE", copy.display());
    let path = project.path_of("data");
    assert!(path.starts_with(&copy));
    dataset.assert_at(&path);
    assert_eq!(seed.http().server().connections(), 0);
}

#[test]
fn damage_to_an_unfinished_dataset_is_found_and_only_that_is_fetched_again() {
    let dataset = dataset();
    let half = WebSeed::serving(&dataset).with(Fault::OnlyPieces(0..50));
    let project = Project::of(&dataset, &web_seeds(&half));
    project.error();
    damage(&partial_of(&project, &dataset).join("files/data.bin"), 20 * PIECE as usize);
    let whole = WebSeed::serving(&dataset);
    project.declare_data(&web_seeds(&whole));
    dataset.assert_at(&project.path_of("data"));
    assert_eq!(whole.bytes_served(), LENGTH - 49 * PIECE);
}

#[test]
fn a_repair_that_was_killed_while_it_copied_leaves_nothing_wrong() {
    let dataset = dataset();
    let (project, path, seed) = complete(&dataset);
    damage(&path, 40 * PIECE as usize);
    // The beginning of a copy, without a resume record.
    let copy = partial_of(&project, &dataset).join("files/data.bin");
    std::fs::create_dir_all(copy.parent().unwrap()).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&copy, &bytes[..30 * PIECE as usize]).unwrap();
    dataset.assert_at(&project.path_of("data"));
    assert!(seed.bytes_served() <= LENGTH);
}

/// Makes [`child`] build the project that the variable names.
const CHILD: &str = "ACADEMICTORRENTS_TEST_CHILD";

/// Not a test by itself: other tests run this function in a new process, to kill it.
#[test]
fn child() {
    if let Some(project) = std::env::var_os(CHILD) {
        build_in(Path::new(&project)).run().unwrap_or_else(|error| panic!("{error}"));
    }
}

fn start_child(project: &Project) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "resume::child"])
        .env(CHILD, project.dir.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn two_processes_at_once_fetch_once() {
    let dataset = dataset();
    let seed = WebSeed::serving(&dataset).with(Fault::Slow { bytes_per_second: 3_000_000 });
    let project = Project::of(&dataset, &web_seeds(&seed));
    let children = [start_child(&project), start_child(&project)];
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    dataset.assert_at(&project.path_of("data"));
    assert_eq!(seed.bytes_served(), LENGTH);
}

#[test]
fn a_build_that_is_killed_anywhere_is_gone_on_with() {
    let dataset = dataset();
    let seed = WebSeed::serving(&dataset).with(Fault::Slow { bytes_per_second: 2_000_000 });
    let project = Project::of(&dataset, &web_seeds(&seed));
    let mut kills = 0;
    for percent in [0, 1, 10, 30, 60, 90] {
        let mut child = start_child(&project);
        let enough = LENGTH * percent / 100;
        eventually("enough data was served", || seed.bytes_served() > enough);
        child.kill().unwrap();
        kills += u64::from(!child.wait().unwrap().success());
        project.assert_nothing_published();
    }
    seed.mend();
    dataset.assert_at(&project.path_of("data"));
    let served = seed.bytes_served();
    assert!(served <= LENGTH + kills * UNFINISHED, "{served} bytes served after {kills} kills");
    assert_eq!(seed.coverage().distinct_bytes(), LENGTH);
}
