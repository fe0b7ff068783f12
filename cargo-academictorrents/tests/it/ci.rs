//! Runs the commands of the guide's chapter on CI, step by step, as a CI service does. They need a
//! shell, so not on Windows.

use std::fs;
use std::path::Path;

use crate::fixture::{Fixture, Run, library};
use crate::swarm::web_seed::Fault;
use crate::swarm::{Dataset, WebSeed, random_bytes};

/// The steps of the workflow, and the lines of the shell script.
fn steps() -> [Vec<String>; 2] {
    let chapter = fs::read_to_string(library().join("docs/guide/ci.md")).unwrap();
    let lines = |mark: &str, prefix: &str| {
        let (_, block) = chapter.split_once(&format!("```{mark}\n")).unwrap();
        let (block, _) = block.split_once("\n```").unwrap();
        let lines = block.lines().filter_map(|line| line.trim().strip_prefix(prefix));
        lines.map(str::to_owned).collect()
    };
    [lines("yaml", "- run: "), lines("sh", "")]
}

#[test]
fn the_steps_of_the_chapter_install_fetch_visibly_and_build_without_a_download() {
    let dataset = Dataset::single("data.bin", random_bytes(72, 200_000));
    // Slow, so that progress lines appear between the start and the end.
    let seed = WebSeed::serving(&dataset).with(Fault::Slow { bytes_per_second: 100_000 });
    let datasets =
        format!("data = {{ torrent = \"data.torrent\", web-seeds = [\"{}\"] }}", seed.url());
    let fixture = Fixture::new("fixture-ci", &datasets).env("CI", "true");
    fs::write(fixture.path("data.torrent"), dataset.torrent()).unwrap();
    // Creates the lock file, which a real project checks in.
    fixture.with_env("DOCS_RS", "1").cargo(&["check"]).ok();
    let program = Path::new(env!("CARGO_BIN_EXE_cargo-academictorrents"));
    let mut path = vec![program.parent().unwrap().to_owned()];
    path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap()));
    let path = std::env::join_paths(path).unwrap();
    let run = |line: &str| {
        let mut shell = fixture.command("sh");
        Run::of(shell.args(["-c", line]).env("PATH", &path).output().unwrap()).ok()
    };
    for steps in steps() {
        let [install, fetch, build] = <[String; 3]>::try_from(steps).unwrap();
        assert_eq!(install, "cargo install --locked cargo-academictorrents");
        if fixture.store().exists() {
            fs::remove_dir_all(fixture.store()).unwrap();
        }
        let log = run(&fetch).stderr;
        for line in ["data: fetching 195.3 KiB", "data: fetched 195.3 KiB in "] {
            assert!(log.contains(&format!("academictorrents: {line}")), "{log}");
        }
        let before = seed.bytes_served();
        run(&build);
        assert_eq!(seed.bytes_served(), before);
        // Without the fetch step, the build fails.
        fs::remove_dir_all(fixture.store()).unwrap();
        let mut shell = fixture.command("sh");
        let failed = Run::of(shell.args(["-c", &build]).env("PATH", &path).output().unwrap());
        assert!(!failed.succeeded && failed.stderr.contains("is `never`"), "{}", failed.stderr);
    }
}
