//! The command line, as Cargo runs it: `cargo-academictorrents academictorrents …`.

use std::process::{Command, Output};

use crate::swarm::{Dataset, WebSeed, random_bytes};

#[cfg(unix)]
mod signals;

/// Runs the program in a directory, with nothing of this machine's in the environment.
fn run(dir: &std::path::Path, arguments: &[&str]) -> Output {
    command(dir, arguments).output().unwrap()
}

fn command(dir: &std::path::Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cargo-academictorrents"));
    command
        .arg("academictorrents")
        .args(arguments)
        .current_dir(dir)
        .env_clear()
        .env("ACADEMICTORRENTS_STORE", dir.join("store"))
        .env("ACADEMICTORRENTS_CATALOGUE", "http://127.0.0.1:9")
        .env("ACADEMICTORRENTS_DHT_BOOTSTRAP", "off")
        .env("ACADEMICTORRENTS_TIMEOUT", "3s");
    command
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn get_prints_the_path_alone_on_stdout() {
    let dir = tempfile::tempdir().unwrap();
    let dataset = Dataset::single("data.bin", random_bytes(1, 300_000));
    let seed = WebSeed::serving(&dataset);
    let torrent = dataset.clone().url_list([seed.url()]).torrent();
    std::fs::write(dir.path().join("data.torrent"), torrent).unwrap();
    for _ in 0..2 {
        let output = run(dir.path(), &["get", "data.torrent", "--into", "here"]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        // Absolute, so that a script can go elsewhere.
        let path = dir.path().canonicalize().unwrap().join("here/data.bin");
        let printed = std::path::Path::new(text(&output.stdout).trim_end());
        assert_eq!(printed.canonicalize().unwrap(), path);
        assert!(printed.is_absolute(), "{printed:?}");
        dataset.assert_at(&path);
    }
    assert_eq!(seed.bytes_served(), 300_000);
}

#[test]
fn a_failure_is_told_on_stderr_and_by_the_exit_status() {
    let dir = tempfile::tempdir().unwrap();
    let check = |arguments: &[&str], status, parts: &[&str]| {
        let output = run(dir.path(), arguments);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {said}");
        assert_eq!(text(&output.stdout), "");
        assert!(parts.iter().all(|part| said.contains(part)), "{arguments:?}: {said}");
    };
    check(&["get", "mnist"], 1, &["error: ", "`mnist`", "neither an infohash", "help: "]);
    check(&["seed"], 1, &["error: there is nothing to seed in", "help: "]);
    check(&["seed", "--rate", "fast"], 2, &["'fast'", "--rate", "4MiB"]);
    check(&["seed", "--ratio", "0"], 2, &["above 0"]);
    check(&["seed", "--for", "ever"], 2, &["`30m`"]);
    check(&["get"], 2, &["<ID>", "Usage: cargo academictorrents get"]);
    check(&["got", "mnist"], 2, &["unrecognized subcommand 'got'", "'get'"]);
    check(&[], 2, &["Usage: cargo academictorrents <COMMAND>"]);
}

#[test]
fn seed_serves_the_store_until_its_time_is_over_and_prints_what_it_sent() {
    let dir = tempfile::tempdir().unwrap();
    let dataset = Dataset::single("data.bin", random_bytes(1, 300_000));
    let web_seed = WebSeed::serving(&dataset);
    let torrent = dataset.clone().url_list([web_seed.url()]).torrent();
    std::fs::write(dir.path().join("data.torrent"), torrent).unwrap();
    assert_eq!(run(dir.path(), &["get", "data.torrent"]).status.code(), Some(0));
    let mut seed = command(dir.path(), &["seed", "--ratio", "1", "--for", "1m"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut said = std::io::BufReader::new(seed.stderr.take().unwrap());
    std::io::BufRead::read_line(&mut said, &mut line).unwrap();
    let port = line.trim_end().rsplit(' ').next().unwrap();
    assert!(line.starts_with("listening on port "), "{line}");
    let other = tempfile::tempdir().unwrap();
    std::fs::write(other.path().join("data.torrent"), dataset.torrent()).unwrap();
    let taken = command(other.path(), &["get", "data.torrent"])
        .env("ACADEMICTORRENTS_PEERS", format!("127.0.0.1:{port}"))
        .output()
        .unwrap();
    assert_eq!(taken.status.code(), Some(0), "{}", text(&taken.stderr));
    let output = seed.wait_with_output().unwrap();
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), "300000\n"));
}

#[test]
fn help_says_what_there_is_and_has_examples() {
    let dir = tempfile::tempdir().unwrap();
    for (arguments, parts) in [
        (&["--help"] as &[_], ["get", "Fetch one dataset"]),
        (&["get", "--help"], ["--into <DIR>", "cargo academictorrents get mnist.torrent"]),
        (&["--help"], ["seed", "Serve datasets of the store to peers"]),
        (
            &["seed", "--help"],
            ["--rate <SIZE>", "cargo academictorrents seed mnist.torrent --fetch"],
        ),
    ] {
        let output = run(dir.path(), arguments);
        let said = text(&output.stdout);
        assert_eq!(output.status.code(), Some(0));
        assert!(parts.iter().all(|part| said.contains(part)), "{said}");
    }
}
