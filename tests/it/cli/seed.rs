//! `cargo academictorrents seed`.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use super::desk::{Desk, Page};
use crate::swarm::{Dataset, WebSeed, random_bytes};

#[test]
fn seed_serves_the_store_until_its_time_is_over_and_prints_what_it_sent() {
    let desk = Desk::new();
    let dataset = Dataset::single("data.bin", random_bytes(1, 300_000));
    let web_seed = WebSeed::serving(&dataset);
    desk.write("data.torrent", dataset.clone().url_list([web_seed.url()]).torrent());
    desk.ok(&["get", "data.torrent"]);
    let mut seed = desk
        .command(&["seed", "--ratio", "1", "--for", "1m"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut said = BufReader::new(seed.stderr.take().unwrap());
    // Whoever runs the tests may ignore signals, of which it tells first.
    while !line.contains("listening on port ") {
        assert!(said.read_line(&mut line).unwrap() > 0, "{line}");
    }
    let port = line.trim_end().rsplit(' ').next().unwrap();
    let other = Desk::new().env("ACADEMICTORRENTS_PEERS", format!("127.0.0.1:{port}"));
    other.write("data.torrent", dataset.torrent());
    other.ok(&["get", "data.torrent"]);
    let output = seed.wait_with_output().unwrap();
    assert_eq!((output.status.code(), &*output.stdout), (Some(0), &b"300000\n"[..]));
}

#[test]
fn what_seed_cannot_do_it_tells() {
    let desk = Desk::new();
    let mut page = Page::new("seed");
    page.show(&desk, &["seed"]);
    page.show(&desk, &["seed", "--rate", "fast"]);
    page.show(&desk, &["seed", "--ratio", "0"]);
    page.show(&desk, &["seed", "--for", "ever"]);
    page.compare();
}
