//! `cargo academictorrents doctor`.

use super::desk::{Desk, Page};
use crate::get::PIECE;
use crate::get_options::damage_unseen;
use crate::swarm::{Catalogue, Dataset, Peer, Tracker, UdpTracker, WebSeed, random_bytes};
use crate::swarm::{tracker, udp_tracker, web_seed};

fn desk() -> Desk {
    Desk::new().env("ACADEMICTORRENTS_PROGRESS", "off")
}

/// A file system, and how much of it is free, are the machine's.
fn machine(line: &str) -> String {
    let line = &line.replace(&["[DIR]/", "home/"].concat(), "[HOME]/");
    let after = "writes, locks, hard links, times work";
    match (line.find(after), line.find(" free")) {
        (Some(at), Some(free)) => {
            format!("{}{after}, [FILE SYSTEM], [SIZE]{}", &line[..at], &line[free..])
        }
        _ => line.to_owned(),
    }
}

fn page(name: &str, desk: &Desk, calls: &[&[&str]]) {
    let mut page = Page::new(name);
    for call in calls {
        page.show(desk, call);
    }
    page.redact(machine);
    page.compare();
}

#[test]
fn all_is_in_order_where_all_answer() {
    let dataset = Dataset::single("data.bin", random_bytes(1, 10 * PIECE));
    let seed = WebSeed::serving(&dataset);
    let peer = Peer::seeding(&dataset);
    let (http, udp) = (Tracker::start(vec![peer.addr()]), UdpTracker::start(vec![peer.addr()]));
    let dataset = dataset.announce_list(&[&[&http.url(), &udp.url()]]).url_list([seed.url()]);
    let catalogue = Catalogue::serving(&[&dataset]);
    let desk = desk()
        .env("ACADEMICTORRENTS_CATALOGUE", catalogue.url())
        .env("ACADEMICTORRENTS_PEERS", peer.addr());
    desk.write("data.torrent", dataset.torrent());
    desk.declare("mnist = { torrent = \"data.torrent\" }\nother = \"323a0048d87ca79b68f12a6350a57776b6a3b7fb\"");
    page(
        "doctor",
        &desk,
        &[&["doctor"], &["doctor", "--offline"], &["doctor", "--offline", "--json"]],
    );
    assert_eq!(seed.bytes_served() / 2, 0, "no data is fetched");
    assert!(!desk.store().exists(), "nothing is left behind");
    desk.ok(&["get", "data.torrent"]);
    let said = desk.ok(&["doctor"]);
    assert!(said.contains("1 dataset is complete, 320.0 KiB"), "{said}");
    assert!(!said.contains("can be had from"), "{said}");
}

#[test]
fn what_is_wrong_is_told_with_what_to_do() {
    let dataset = Dataset::single("data.bin", random_bytes(1, 10 * PIECE));
    let seed = WebSeed::serving(&dataset).with(web_seed::Fault::Status(503));
    let refuses = Tracker::start(Vec::new()).with(tracker::Fault::Failure("unregistered".into()));
    let silent = UdpTracker::start(Vec::new()).with(udp_tracker::Fault::Silent);
    let dataset = dataset.announce_list(&[&[&refuses.url(), &silent.url()]]).url_list([seed.url()]);
    let desk = desk();
    desk.write("data.torrent", dataset.torrent());
    desk.declare("mnist = { torrent = \"data.torrent\" }");
    page("doctor-network", &desk, &[&["doctor"]]);
}

#[test]
fn settings_that_cannot_be_used_are_told() {
    let desk = desk()
        .env("ACADEMICTORRENTS_STROE", "x")
        .env("ACADEMICTORRENTS_API_KEY", "x")
        .env("SSL_CERT_FILE", "/nowhere/ca.pem")
        .env("HTTPS_PROXY", "http://me:secret@127.0.0.1:9");
    page("doctor-names", &desk, &[&["doctor"]]);
    let mut shown = Page::new("doctor-settings");
    for (name, value) in [
        ("ACADEMICTORRENTS_TIMEOUT", "long"),
        ("SSL_CERT_FILE", "/nowhere/ca.pem"),
        ("HTTPS_PROXY", "http://me:secret@127.0.0.1:9"),
        ("ACADEMICTORRENTS_OFFLINE", "1"),
    ] {
        let desk = self::desk().env(name, value);
        desk.declare("mnist = { torrent = \"data.torrent\", files = 1 }");
        let run = shown.show(&desk, &["doctor"]);
        assert!(!run.stdout.contains("secret"), "{}", run.stdout);
    }
    let nowhere = self::desk();
    let below_a_file = nowhere.write("file", "").join("store");
    let nowhere = nowhere.env("ACADEMICTORRENTS_STORE", below_a_file.display());
    shown.show(&nowhere, &["doctor", "--offline"]);
    let broken = self::desk();
    broken.write("home/.config/academictorrents/config.toml", "stroe = \"/x\"\n");
    shown.show(&broken, &["doctor", "--offline"]);
    shown.redact(machine);
    shown.compare();
}

#[test]
fn a_store_that_is_not_sound_is_told() {
    let dataset = Dataset::single("data.bin", random_bytes(1, 10 * PIECE));
    let seed = WebSeed::serving(&dataset);
    let other = Dataset::single("other.bin", random_bytes(2, 3 * PIECE));
    let of_other = WebSeed::serving(&other);
    let desk = desk();
    desk.write("data.torrent", dataset.clone().url_list([seed.url()]).torrent());
    desk.write("other.torrent", other.clone().url_list([of_other.url()]).torrent());
    let path = desk.ok(&["get", "data.torrent"]);
    let path = std::path::Path::new(path.trim_end());
    let path_of_other = desk.ok(&["get", "other.torrent"]);
    damage_unseen(std::path::Path::new(path_of_other.trim_end()), 1);
    assert_eq!(desk.run(&["verify", "other.torrent"]).status, Some(1));
    let file = std::fs::File::open(path).unwrap();
    file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    desk.write("store/v1/partial/323a0048d87ca79b68f12a6350a57776b6a3b7fb/files/a", "");
    desk.write("store/v1/torrents/.tmp-1-2", "");
    page("doctor-store", &desk, &[&["doctor", "--offline"]]);
    // As it says.
    desk.ok(&["verify", "--stored", "--repair"]);
    let said = desk.ok(&["doctor", "--offline"]);
    assert!(said.contains("2 datasets are complete") && !said.contains("not known"), "{said}");
}
