//! Which store a call uses: its own, that of [`academictorrents::set_store`], or the environment's.

use std::path::{Path, PathBuf};
use std::process::Command;

use academictorrents::{Get, set_store};

use crate::get::{GetFixture, single};
use crate::support::build_in;
use crate::swarm::{Dataset, WebSeed};

/// Makes [`child`] act, in the directory that the variable names.
const CHILD: &str = "AT_TEST_STORE_CHILD";

/// The first component of the dataset's path below the directory, which names the store.
fn store_of(path: PathBuf, directory: &Path) -> String {
    let below = path.strip_prefix(directory).unwrap();
    below.iter().next().unwrap().to_str().unwrap().to_owned()
}

/// Not a test by itself: `set_store` acts on the whole process, so another test runs this function
/// in a new process.
#[test]
fn child() {
    let Some(directory) = std::env::var_os(CHILD).map(PathBuf::from) else { return };
    let torrent = directory.join("data.torrent");
    let get = || Get::new(torrent.to_str().unwrap());
    let check = |get: Get, store: &str| {
        assert_eq!(store_of(get.run().unwrap(), &directory), store);
    };
    check(get(), "environment");
    let before = get();
    set_store(directory.join("process"));
    check(get(), "process");
    // An existing call keeps the store of its creation.
    check(before, "environment");
    assert_eq!(
        store_of(academictorrents::get(torrent.to_str().unwrap()).unwrap(), &directory),
        "process"
    );
    check(get().store(directory.join("call")), "call");
    check(get().env("ACADEMICTORRENTS_STORE", directory.join("other")), "other");
    // A relative path is resolved against the current directory at the time of the call to
    // `set_store`.
    std::env::set_current_dir(&directory).unwrap();
    // Without the symbolic link that macOS has above temporary directories.
    let here = std::env::current_dir().unwrap();
    set_store("relative");
    std::env::set_current_dir(directory.join("process")).unwrap();
    assert_eq!(store_of(get().run().unwrap(), &here), "relative");
    // Build scripts ignore `set_store`.
    let built = build_in(&directory).run().unwrap();
    assert_eq!(store_of(built.dataset("data").unwrap().path().to_owned(), &directory), "store");
    set_store("");
    check(get(), "environment");
}

#[test]
fn the_store_of_the_process_is_between_those_of_the_call_and_the_environment() {
    let dataset: Dataset = single();
    let fixture = GetFixture::new();
    let mirror = fixture.path("mirror");
    dataset.write_mirror(&mirror);
    std::fs::write(fixture.path("data.torrent"), dataset.torrent()).unwrap();
    let manifest = format!(
        "[package]\nname = \"a\"\nversion = \"0.0.0\"\n[package.metadata.academictorrents.data]\n\
         torrent = \"data.torrent\"\nmirrors = [{mirror:?}]\n"
    );
    std::fs::write(fixture.path("Cargo.toml"), manifest).unwrap();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "get_store::child", "--nocapture"])
        .env(CHILD, fixture.path(""))
        .env("ACADEMICTORRENTS_STORE", fixture.path("environment"))
        .env("ACADEMICTORRENTS_MIRRORS", &mirror)
        .env("ACADEMICTORRENTS_CATALOGUE", "http://127.0.0.1:9")
        .env("ACADEMICTORRENTS_DHT_BOOTSTRAP", "off")
        .env("ACADEMICTORRENTS_PROGRESS", "off")
        .env("XDG_CONFIG_HOME", fixture.path("config"))
        .output()
        .unwrap();
    assert!(child.status.success(), "{child:?}");
}

/// A [`Get`] that clears the environment also ignores `set_store`, so other tests of this process
/// are not affected.
#[test]
fn a_call_without_the_environment_is_without_the_store_of_the_process() {
    let dataset = single();
    let seed = WebSeed::serving(&dataset);
    let (fixture, torrent) = crate::get_options::fixture(&dataset);
    set_store(fixture.path("process"));
    let path = fixture.ask(&torrent).web_seed(seed.url()).run().unwrap();
    set_store("");
    assert!(path.starts_with(fixture.path("store")), "{path:?}");
}
