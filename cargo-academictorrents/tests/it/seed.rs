//! `cargo academictorrents seed`.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use crate::cli_fixture::{CliFixture, Page};
use crate::support::files::PIECE;
use crate::swarm::{Dataset, Tracker, WebSeed, random_bytes};

#[test]
fn seed_serves_the_store_until_its_time_is_over_and_prints_what_it_sent() {
    let cli = CliFixture::new();
    let dataset = Dataset::single("data.bin", random_bytes(1, 300_000));
    let web_seed = WebSeed::serving(&dataset);
    cli.write("data.torrent", dataset.clone().url_list([web_seed.url()]).torrent());
    cli.ok(&["get", "data.torrent"]);
    let mut seed = cli
        .command(&["seed", "--ratio", "1", "--for", "1m"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut said = BufReader::new(seed.stderr.take().unwrap());
    // If the test runner ignores signals, `seed` first prints a note about them.
    while !line.contains("listening on port ") {
        assert!(said.read_line(&mut line).unwrap() > 0, "{line}");
    }
    let port = line.trim_end().rsplit(' ').next().unwrap();
    let other = CliFixture::new().env("ACADEMICTORRENTS_PEERS", format!("127.0.0.1:{port}"));
    other.write("data.torrent", dataset.torrent());
    other.ok(&["get", "data.torrent"]);
    let output = seed.wait_with_output().unwrap();
    assert_eq!((output.status.code(), &*output.stdout), (Some(0), &b"300000\n"[..]));
}

#[test]
fn a_dataset_is_seeded_by_its_key_and_a_tracker_that_fails_is_told_once() {
    let cli = CliFixture::new();
    let dataset = Dataset::single("data.bin", random_bytes(1, 300_000));
    let web_seed = WebSeed::serving(&dataset);
    let torrent =
        dataset.clone().url_list([web_seed.url()]).announce("http://127.0.0.1:9/announce");
    cli.write("data.torrent", torrent.torrent());
    cli.declare("mnist = { torrent = \"data.torrent\" }");
    cli.ok(&["fetch"]);
    let run = cli.run(&["seed", "mnist", "--for", "2s", "--json"]);
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    let told = "data.bin: http://127.0.0.1:9/announce: connection refused\n";
    assert_eq!(run.stderr.matches(told).count(), 1, "{}", run.stderr);
    let json: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(json["uploaded_bytes"], 0);
    assert_eq!(json["datasets"][0]["infohash"], torrent.infohash_hex());
    assert_eq!(json["datasets"][0]["done_bytes"], 300_000);
}

#[test]
fn a_declared_dataset_is_fetched_and_announced_as_its_manifest_says() {
    let cli = CliFixture::new();
    let file = |seed| random_bytes(seed, 4 * PIECE);
    let dataset = Dataset::multi("tree", [("a", file(1)), ("b", file(2))]);
    let (web_seed, tracker) = (WebSeed::serving(&dataset), Tracker::start(Vec::new()));
    cli.write("data.torrent", dataset.torrent());
    cli.declare(&format!(
        "tree = {{ torrent = \"data.torrent\", files = [\"b\"], web-seeds = [\"{}\"], trackers = [\"{}\"] }}",
        web_seed.url(),
        tracker.url()
    ));
    let run = cli.run(&["seed", "tree", "--fetch", "--for", "3s", "--json"]);
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    let json: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(json["datasets"][0]["done_bytes"], 4 * PIECE);
    // Unlike the download, a seed asks for no peers.
    let announces = tracker.announces();
    assert!(announces.iter().any(|it| it.numwant == Some(0)), "{announces:?}");
}

#[test]
fn trackers_that_are_never_asked_are_told_once_and_good_answers_where_one_asks_for_them() {
    let cli = CliFixture::new();
    let good = Tracker::start(Vec::new());
    let dataset = Dataset::single("data.bin", random_bytes(1, 300_000));
    let web_seed = WebSeed::serving(&dataset);
    let (good, odd) = (good.url(), "wss://tracker.example/\x1b[2Jannounce");
    let torrent = dataset.url_list([web_seed.url()]).announce_list(&[&[&good], &[odd]]);
    cli.write("data.torrent", torrent.torrent());
    cli.ok(&["get", "data.torrent"]);
    let never = "data.bin: wss://tracker.example/\\u{1b}[2Jannounce: only http, https and udp";
    let answer = format!("data.bin: {good}: knows no peers\n");
    let check = |arguments: &[&str], answers| {
        let run = cli.run(&[&["seed", "data.torrent", "--for", "3s"], arguments].concat());
        let told = |text: &str| run.stderr.matches(text).count();
        assert_eq!((told(never), told(&answer), told("\x1b")), (1, answers, 0), "{}", run.stderr);
    };
    check(&[], 0);
    check(&["-v"], 1);
}

#[test]
fn what_seed_cannot_do_it_tells() {
    let cli = CliFixture::new();
    let mut page = Page::new("seed");
    page.show(&cli, &["seed"]);
    page.show(&cli, &["seed", "--rate", "fast"]);
    page.show(&cli, &["seed", "--ratio", "0"]);
    page.show(&cli, &["seed", "--for", "ever"]);
    cli.declare("mnist = \"323a0048d87ca79b68f12a6350a57776b6a3b7fb\"");
    page.show(&cli, &["seed", "minst"]);
    page.show(&cli, &["seed", "mnist"]);
    page.compare();
}

#[test]
fn a_seed_follows_the_option_offline_and_cargos_configuration_as_other_commands_do() {
    let cli = CliFixture::new();
    let dataset = Dataset::single("data.bin", random_bytes(1, 40_000));
    cli.write("data.torrent", dataset.torrent());
    let seed = |arguments: &[&str], said: &str| {
        let from = ["seed", "data.torrent", "--from", ".", "--for", "1s"];
        let run = cli.run(&[&from, arguments].concat());
        assert_eq!(run.status, Some(1), "{}", run.stderr);
        assert!(run.stderr.contains(said), "{}", run.stderr);
    };
    let offline = "error: seeding requires the network\n  offline: ";
    seed(&["--offline"], &format!("{offline}`--offline` is set\n"));
    seed(&["--offline", "--json"], offline);
    cli.write(".cargo/config.toml", "net.offline = true\n");
    seed(&[], &format!("{offline}`net.offline` in "));
    cli.write(
        ".cargo/config.toml",
        "[env]\nACADEMICTORRENTS_STORE = { value = \"other\", relative = true, force = true }\n",
    );
    let other = cli.path("other").join("v1").display().to_string();
    let run = cli.run(&["seed", "--for", "1s"]);
    assert!(run.stderr.contains(&format!("nothing to seed in {other}\n")), "{}", run.stderr);
}

#[test]
fn a_directory_that_does_not_exist_is_an_error() {
    let cli = CliFixture::new();
    std::fs::create_dir_all(cli.path("store")).unwrap();
    let run = cli.run(&["seed", "--from", "nowhere", "--for", "1s"]);
    assert_eq!(run.status, Some(1), "{}", run.stderr);
    assert!(run.stderr.contains("error: could not read the directory nowhere\n"), "{}", run.stderr);
}
