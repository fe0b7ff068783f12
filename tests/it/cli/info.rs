//! `cargo academictorrents info`.

use super::desk::{Desk, Page};
use crate::swarm::bencode::B;
use crate::swarm::{Catalogue, Dataset, Tracker, UdpTracker, WebSeed, random_bytes};
use crate::swarm::{tracker, udp_tracker, web_seed};

fn desk() -> Desk {
    Desk::new().env("ACADEMICTORRENTS_PROGRESS", "off")
}

fn peers(count: u16) -> Vec<std::net::SocketAddr> {
    (0..count).map(|at| ([127, 0, 0, 1], 10_000 + at).into()).collect()
}

fn tree(files: usize) -> Dataset {
    let names: Vec<_> = (0..files).map(|at| format!("train/{at:03}.png")).collect();
    let mut given =
        vec![("README", random_bytes(1, 700)), ("test/x/a.png", random_bytes(2, 90_000))];
    given.extend(names.iter().map(|name| (name.as_str(), random_bytes(3, 1_000))));
    Dataset::multi("images", given)
}

#[test]
fn info_tells_what_a_torrent_holds_and_who_has_it() {
    let desk = desk();
    let dataset = tree(3);
    let (http, udp) = (Tracker::start(peers(3)), UdpTracker::start(peers(1)));
    let (alive, gone) =
        (WebSeed::serving(&dataset), WebSeed::serving(&dataset).with(web_seed::Fault::NotFound));
    let stale = WebSeed::serving(&dataset).with(web_seed::Fault::WrongLength);
    let refuses =
        Tracker::start(peers(3)).with(tracker::Fault::Failure("unregistered torrent".into()));
    let dataset = dataset
        .announce_list(&[
            &[&http.url(), &udp.url()],
            &[&refuses.url(), "http://127.0.0.1:9/announce"],
        ])
        .url_list([alive.url(), gone.url(), stale.url()])
        .comment("Images, for a test.\nTheir licence is in README.")
        .outer("created by", B::bytes("mktorrent \u{1b}[31m1.1"))
        .outer("creation date", B::Int(1_411_423_377))
        .outer("license", B::bytes("CC-BY-4.0"));
    desk.write("images.torrent", dataset.torrent());
    desk.declare("images = { torrent = \"images.torrent\", files = [\"train/*\"] }");
    let mut page = Page::new("info");
    page.show(&desk, &["info", "images"]);
    // Nobody took part in the swarm.
    assert_eq!((http.announces().len(), udp.announces().len()), (0, 0));
    assert!(alive.bytes_served() <= 1);
    page.show(&desk, &["info", "images.torrent", "--json"]);
    page.show(&desk, &["info", "images.torrent", "--offline"]);
    page.show(&desk, &["info", "imagse"]);
    page.show(&desk, &["info", "323a0048d87ca79b68f12a6350a57776b6a3b7fb"]);
    page.show(&desk, &["info", "323a0048d87ca79b68f12a6350a57776b6a3b7fb", "--offline"]);
    page.compare();
}

#[test]
fn who_has_no_scrape_is_announced_to_and_told_that_we_leave() {
    let desk = desk();
    let dataset = tree(3);
    let http = Tracker::start(peers(3)).with(tracker::Fault::NoScrape);
    let udp = UdpTracker::start(peers(2)).with(udp_tracker::Fault::NoScrape);
    let dataset = dataset.announce_list(&[&[&http.url()], &[&udp.url()]]);
    desk.write("images.torrent", dataset.torrent());
    let said = desk.ok(&["info", "images.torrent"]);
    assert!(said.contains(&format!("2 seeds, 0 leeches  {}", udp.url())), "{said}");
    let length = dataset.stream().len() as u64;
    for announces in [http.announces(), udp.announces()] {
        let told: Vec<_> = announces.iter().map(|it| (it.left, it.event.as_deref())).collect();
        assert_eq!(told, [(Some(length), None), (Some(length), Some("stopped"))]);
    }
}

#[test]
fn long_lists_are_cut_and_sources_that_are_left_out_are_not_asked() {
    let dataset = tree(100);
    let (tracker, seed) = (Tracker::start(peers(3)), WebSeed::serving(&dataset));
    let dataset = dataset.announce(&tracker.url()).url_list([seed.url()]).private();
    let desk = desk().env("ACADEMICTORRENTS_SOURCES", "web-seeds");
    desk.write("images.torrent", dataset.torrent());
    let mut page = Page::new("info-long");
    page.show(&desk, &["info", "images.torrent"]);
    page.compare();
    assert_eq!(tracker.http().requests().len(), 0);
    let all = desk.ok(&["info", "images.torrent", "-v"]);
    assert!(all.contains("099.png") && !all.contains("more: -v"), "{all}");
}

#[test]
fn a_torrent_that_is_not_at_hand_comes_from_the_catalogue() {
    let dataset = Dataset::single("data.bin", random_bytes(1, 70_000));
    let seed = WebSeed::serving(&dataset);
    let dataset = dataset.url_list([seed.url()]);
    let catalogue = Catalogue::serving(&[&dataset]);
    let desk = desk().env("ACADEMICTORRENTS_CATALOGUE", catalogue.url());
    let said = desk.ok(&["info", &dataset.infohash_hex()]);
    assert!(said.contains("has it  http://"), "{said}");
    assert!(seed.bytes_served() <= 1);
    let line = said.lines().find(|line| line.starts_with("magnet")).unwrap();
    let by_magnet = desk.ok(&["info", line.split_whitespace().last().unwrap()]);
    assert!(by_magnet.contains("has it  http://"), "{by_magnet}");
    // It was only looked at.
    assert!(!desk.store().join("v1/torrents").exists());
}

#[test]
fn who_does_not_answer_is_waited_for_no_longer_than_the_others_together() {
    let dataset = Dataset::single("data.bin", random_bytes(1, 70_000));
    let stalls: Vec<_> =
        (0..4).map(|_| Tracker::start(peers(1)).with(tracker::Fault::Stall)).collect();
    let silent = UdpTracker::start(peers(1)).with(udp_tracker::Fault::Silent);
    let lossy = UdpTracker::start(peers(1)).with(udp_tracker::Fault::Loses(1));
    let mut urls: Vec<_> = stalls.iter().map(Tracker::url).collect();
    urls.extend([silent.url(), lossy.url()]);
    let tiers: Vec<&str> = urls.iter().map(String::as_str).collect();
    let desk = desk().env("ACADEMICTORRENTS_TIMEOUT", "120s");
    desk.write("data.torrent", dataset.announce_list(&[&tiers]).torrent());
    let begun = std::time::Instant::now();
    let said = desk.ok(&["info", "data.torrent"]);
    assert!(begun.elapsed() < std::time::Duration::from_secs(9), "{:?}", begun.elapsed());
    assert!(said.contains(&format!("1 seed, 0 leeches  {}", lossy.url())), "{said}");
    assert_eq!(said.matches("within 5 s").count() + said.matches("timed out").count(), 5, "{said}");
}
