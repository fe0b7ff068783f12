//! `cargo academictorrents fetch`.

use std::process::Stdio;

use super::desk::{Desk, Page};
use crate::swarm::web_seed::Fault;
use crate::swarm::{Catalogue, Dataset, Peer, WebSeed, random_bytes};

/// A desk whose pages hold nothing that depends on the time.
fn desk() -> Desk {
    Desk::new().env("ACADEMICTORRENTS_PROGRESS", "off")
}

fn crate_with(desk: &Desk, directory: &str, name: &str, more: &str, datasets: &str) {
    let manifest = format!(
        "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n{more}\n\n\
         [package.metadata.academictorrents]\n{datasets}\n"
    );
    desk.write(&format!("{directory}/Cargo.toml"), manifest);
    desk.write(&format!("{directory}/src/lib.rs"), "");
}

#[test]
fn fetch_brings_what_the_crate_and_its_dependencies_declare() {
    let desk = desk();
    let mnist = Dataset::single("mnist.bin", random_bytes(1, 300_000)).piece_length(1 << 15);
    let cifar = Dataset::single("cifar.bin", random_bytes(2, 2_000_000)).piece_length(1 << 15);
    let [mnist_seed, cifar_seed] = [&mnist, &cifar].map(WebSeed::serving);
    for (dataset, seed) in [(&mnist, &mnist_seed), (&cifar, &cifar_seed)] {
        let name = String::from_utf8(dataset.name().to_vec()).unwrap().replace(".bin", ".torrent");
        for directory in ["", "data/"] {
            let torrent = dataset.clone().url_list([seed.url()]).torrent();
            desk.write(&format!("{directory}{name}"), torrent);
        }
    }
    crate_with(
        &desk,
        "data",
        "data",
        "",
        "cifar = { torrent = \"cifar.torrent\" }\nmnist = { torrent = \"mnist.torrent\" }",
    );
    crate_with(
        &desk,
        ".",
        "model",
        "[dependencies]\ndata = { path = \"data\" }\n\n[features]\nextra = []",
        "mnist = { torrent = \"mnist.torrent\" }\n\
         huge = { torrent = \"cifar.torrent\", files = [\"*\"], required-features = [\"extra\"] }",
    );
    let mut page = Page::new("fetch");
    page.show(&desk, &["fetch", "--dry-run"]);
    assert!(!desk.store().exists(), "a dry run leaves nothing");
    page.show(&desk, &["fetch", "mnist"]);
    // Declared by two crates, and fetched once.
    assert_eq!((mnist_seed.bytes_served(), cifar_seed.bytes_served()), (300_000, 0));
    page.show(&desk, &["fetch", "-n"]);
    page.show(&desk, &["fetch"]);
    page.show(&desk, &["fetch"]);
    page.show(&desk, &["fetch", "--quiet", "--package", "data"]);
    page.show(&desk, &["fetch", "--dry-run", "--features", "extra"]);
    page.show(&desk, &["fetch", "minst"]);
    page.compare();
    assert_eq!((mnist_seed.bytes_served(), cifar_seed.bytes_served()), (300_000, 2_000_000));
    mnist.assert_at(desk.ok(&["path", "mnist", "-p", "model"]).trim_end().as_ref());
}

#[test]
fn fetch_tells_programs_what_it_did_and_would_do() {
    let desk = desk();
    let dataset = Dataset::single("mnist.bin", random_bytes(1, 300_000));
    let seed = WebSeed::serving(&dataset);
    let torrent = dataset.clone().url_list([seed.url()]).announce("udp://127.0.0.1:9/announce");
    desk.write("mnist.torrent", torrent.torrent());
    desk.declare(
        "mnist = { torrent = \"mnist.torrent\" }\n\
         gone = { infohash = \"323a0048d87ca79b68f12a6350a57776b6a3b7fb\", optional = true }",
    );
    let mut page = Page::new("fetch-json");
    page.show(&desk, &["fetch", "--json", "--dry-run", "--offline"]);
    page.show(&desk, &["fetch", "--json", "mnist"]);
    page.show(&desk, &["fetch", "--json", "--offline"]);
    page.compare();
}

#[test]
fn what_is_optional_is_a_warning_and_all_else_fails() {
    let desk = desk();
    let there = Dataset::single("mnist.bin", random_bytes(1, 300_000));
    let peer = Peer::seeding(&there);
    desk.write("mnist.torrent", there.torrent());
    desk.write("broken.torrent", "<html>");
    let mut page = Page::new("fetch-failures");
    page.show(&desk, &["fetch"]);
    desk.declare("");
    page.show(&desk, &["fetch"]);
    page.show(&desk, &["fetch", "--json"]);
    page.show(&desk, &["fetch", "--dry-run"]);
    let mnist = format!("mnist = {{ torrent = \"mnist.torrent\", peers = [\"{}\"] }}", peer.addr());
    desk.declare(&format!("{mnist}\nold = {{ torrent = \"broken.torrent\", optional = true }}"));
    page.show(&desk, &["fetch", "-n"]);
    page.show(&desk, &["fetch"]);
    desk.declare(&format!("{mnist}\nold = {{ torrent = \"broken.torrent\" }}"));
    page.show(&desk, &["fetch", "-n"]);
    page.show(&desk, &["fetch"]);
    desk.declare("mnist = { torrent = \"mnist.torrent\", required-features = [\"extra\"] }");
    page.show(&desk, &["fetch"]);
    page.compare();
}

#[test]
fn a_dry_run_looks_torrents_up_and_counts_what_is_there_in_part() {
    let dataset = Dataset::single("data.bin", random_bytes(1, 1_000_000)).piece_length(1 << 16);
    let slow = WebSeed::serving(&dataset).with(Fault::OnlyPieces(0..8));
    let catalogue = Catalogue::serving(&[&dataset.clone().url_list([slow.url()])]);
    let desk = desk()
        .env("ACADEMICTORRENTS_CATALOGUE", catalogue.url())
        .env("ACADEMICTORRENTS_TIMEOUT", "1s");
    desk.declare(&format!("data = \"{}\"", dataset.infohash_hex()));
    let plan = || -> serde_json::Value {
        serde_json::from_str(&desk.ok(&["fetch", "--dry-run", "--json"])).unwrap()
    };
    let before = plan();
    assert_eq!(
        (&before["missing_bytes"], &before["size_bytes"]),
        (&1_000_000.into(), &1_000_000.into())
    );
    assert_eq!(before["datasets"][0]["sources"][0]["place"], slow.url());
    assert!(!desk.store().exists(), "a dry run leaves nothing");
    assert_eq!(desk.run(&["fetch"]).status, Some(1));
    let after = plan();
    assert_eq!(after["datasets"][0]["state"], "partial");
    let missing = 1_000_000 - 8 * (1 << 16);
    assert_eq!(after["missing_bytes"], missing);
    slow.mend();
    let fetched: serde_json::Value = serde_json::from_str(&desk.ok(&["fetch", "--json"])).unwrap();
    assert_eq!(fetched["received_bytes"], missing);
}

#[test]
fn what_two_crates_ask_for_in_the_same_words_fails_once() {
    let catalogue = Catalogue::serving(&[]);
    let desk = desk().env("ACADEMICTORRENTS_CATALOGUE", catalogue.url());
    let gone = "gone = \"323a0048d87ca79b68f12a6350a57776b6a3b7fb\"";
    crate_with(&desk, "data", "data", "", gone);
    crate_with(&desk, ".", "model", "[dependencies]\ndata = { path = \"data\" }", gone);
    let run = desk.run(&["fetch"]);
    assert_eq!(run.status, Some(1));
    assert_eq!(catalogue.requests().len(), 1);
    assert_eq!(run.stderr.matches("error: ").count(), 1, "{}", run.stderr);
    assert!(run.stderr.ends_with("2 datasets could not be had\n"), "{}", run.stderr);
}

#[test]
fn a_log_tells_the_sources_where_that_is_asked_for_and_nothing_where_that_is() {
    let desk = Desk::new();
    let dataset = Dataset::single("data.bin", random_bytes(1, 300_000));
    let seed = WebSeed::serving(&dataset);
    desk.write("data.torrent", dataset.clone().url_list([seed.url()]).torrent());
    desk.declare("data = { torrent = \"data.torrent\" }");
    let quiet = desk.run(&["fetch", "--quiet"]);
    assert_eq!((quiet.status, &*quiet.stderr), (Some(0), ""));
    let other = desk.path("other").display().to_string();
    let plain = desk.run(&["fetch", "--store", &other]).stderr;
    let source = format!("academictorrents: data:   293.0 KiB from {}\n", seed.url());
    assert!(plain.contains("academictorrents: data: done: 293.0 KiB in 0 s\n"), "{plain}");
    assert!(!plain.contains(&source), "{plain}");
    let third = desk.path("third").display().to_string();
    let verbose = desk.run(&["fetch", "--verbose", "--store", &third]).stderr;
    assert!(verbose.contains(&source), "{verbose}");
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let desk = desk();
    let dataset = Dataset::single("data.bin", random_bytes(1, 300_000));
    let seed = WebSeed::serving(&dataset);
    desk.write("data.torrent", dataset.clone().url_list([seed.url()]).torrent());
    desk.declare("data = { torrent = \"data.torrent\" }");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut call = desk.command(&["fetch"]);
    call.stdout(writer.try_clone().unwrap()).stderr(writer).stdin(Stdio::null());
    assert_eq!(call.status().unwrap().code(), Some(0));
    dataset.assert_at(desk.ok(&["path", "data"]).trim_end().as_ref());
}
