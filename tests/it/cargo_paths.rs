//! Paths that cannot be passed to Cargo are an error before the download. Programs at run time may
//! use them.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

use academictorrents::{ErrorKind, Get};

use crate::support::Project;
use crate::swarm::{Dataset, WebSeed, random_bytes};

fn named(name: &str) -> Dataset {
    Dataset::single(name, random_bytes(7, 100_000))
}

/// Suffixes of a valid path with which Cargo loses the whole line, or the end of the path.
const LINE_BREAKS: [&[u8]; 3] = [b"\nx", b"\r\nx", b"\xff"];
const ENDS: [&[u8]; 6] = [b" ", b"\t", b"\n", b"\r", "\u{a0}".as_bytes(), "\u{3000}".as_bytes()];

fn with(path: &Path, end: &[u8]) -> OsString {
    OsString::from_vec([path.as_os_str().as_bytes(), end].concat())
}

#[track_caller]
fn refused(project: &Project, seed: &WebSeed, env: Option<(&str, &OsStr)>, named: &str) {
    let build = project.build();
    let build = match env {
        Some((name, value)) => build.env(name, value),
        None => build,
    };
    let error = build.run().unwrap_err();
    let shown = error.to_string();
    assert_eq!(error.kind(), ErrorKind::Manifest, "{shown}");
    assert!(shown.contains("cannot be passed to Cargo") && shown.contains("help: "), "{shown}");
    assert!(shown.contains(named), "{named}: {shown}");
    assert!(!shown.contains(['\r', '\u{a0}', '\u{3000}']), "{shown:?}");
    assert_eq!(seed.http().server().connections(), 0, "{shown}");
    assert!(!project.store().join("v1/data").exists(), "{shown}");
}

#[test]
fn a_directory_that_cargo_cannot_be_told_is_refused_before_anything_is_fetched() {
    let dataset = named("data.bin");
    let seed = WebSeed::serving(&dataset);
    let project = Project::of(&dataset, "");
    let lines = format!("web-seeds = [\"{}\"]", seed.url());
    for end in LINE_BREAKS {
        project.declare_data(&lines);
        let check = |name: &str| {
            let value = with(&project.path("other"), end);
            let named = if name == "OUT_DIR" { "CARGO_TARGET_DIR" } else { name };
            refused(&project, &seed, Some((name, &value)), named);
        };
        check("ACADEMICTORRENTS_STORE");
        check("ACADEMICTORRENTS_LOAD_PATH");
        check("ACADEMICTORRENTS_PATH_DATA");
        project.declare_data(&format!("store = \"out-dir\"\n{lines}"));
        check("OUT_DIR");
    }
    project.declare_data(&lines);
    for end in ENDS {
        let value = with(&project.path("copy"), end);
        dataset.write_to(&project.path("copies"));
        std::fs::copy(project.path("copies/data.bin"), &value).unwrap();
        let name = "ACADEMICTORRENTS_PATH_DATA";
        refused(&project, &seed, Some((name, &value)), name);
    }
    // The end of a store's directory is not at the end of the dataset's path, so it is allowed.
    let store = with(&project.path("spaced"), b" ");
    let build = project.build().env("ACADEMICTORRENTS_STORE", &store);
    dataset.assert_at(build.run().unwrap().dataset("data").unwrap().path());
}

#[test]
fn a_torrents_name_that_cargo_would_cut_is_refused_before_anything_is_fetched_and_fine_at_run_time()
{
    for end in ["\u{a0}", "\u{3000}", "\u{2028}", "\u{85}"] {
        let dataset = named(&format!("data{end}"));
        let seed = WebSeed::serving(&dataset);
        let project = Project::of(&dataset, &format!("web-seeds = [\"{}\"]", seed.url()));
        refused(&project, &seed, None, "Get");
        project.declare_data(&format!("store = \"out-dir\"\nweb-seeds = [\"{}\"]", seed.url()));
        refused(&project, &seed, None, "Get");
        let path = Get::new(project.path("data.torrent").to_str().unwrap())
            .env_clear()
            .env("ACADEMICTORRENTS_STORE", with(&project.path("sto\nre"), b" "))
            .env("ACADEMICTORRENTS_CATALOGUE", "http://127.0.0.1:9")
            .env("ACADEMICTORRENTS_DHT_BOOTSTRAP", "off")
            .env("ACADEMICTORRENTS_PROGRESS", "off")
            .web_seed(seed.url())
            .run()
            .unwrap();
        dataset.assert_at(&path);
    }
}
