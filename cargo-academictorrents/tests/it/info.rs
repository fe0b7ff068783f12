//! `cargo academictorrents info`.

use crate::cli_fixture::{CliFixture, Page};
use crate::swarm::bencode::B;
use crate::swarm::http::HttpServer;
use crate::swarm::{Catalogue, Dataset, Tracker, UdpTracker, WebSeed, random_bytes};
use crate::swarm::{tracker, udp_tracker, web_seed};

fn cli() -> CliFixture {
    CliFixture::new().env("ACADEMICTORRENTS_PROGRESS", "off")
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
    let cli = cli();
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
    cli.write("images.torrent", dataset.torrent());
    cli.declare("images = { torrent = \"images.torrent\", files = [\"train/*\"] }");
    let mut page = Page::new("info");
    page.show(&cli, &["info", "images"]);
    // `info` did not join the swarm.
    assert_eq!((http.announces().len(), udp.announces().len()), (0, 0));
    assert!(alive.bytes_served() <= 1);
    page.show(&cli, &["info", "images.torrent", "--json"]);
    page.show(&cli, &["info", "images.torrent", "--offline"]);
    page.show(&cli, &["info", "imagse"]);
    page.show(&cli, &["info", "323a0048d87ca79b68f12a6350a57776b6a3b7fb"]);
    page.show(&cli, &["info", "323a0048d87ca79b68f12a6350a57776b6a3b7fb", "--offline"]);
    page.compare();
}

#[test]
fn who_has_no_scrape_is_announced_to_and_told_that_we_leave() {
    let cli = cli();
    let dataset = tree(3);
    let http = Tracker::start(peers(3)).with(tracker::Fault::NoScrape);
    let udp = UdpTracker::start(peers(2)).with(udp_tracker::Fault::NoScrape);
    let dataset = dataset.announce_list(&[&[&http.url()], &[&udp.url()]]);
    cli.write("images.torrent", dataset.torrent());
    let said = cli.ok(&["info", "images.torrent"]);
    assert!(said.contains(&format!("2 seeds, 0 leechers  {}", udp.url())), "{said}");
    let length = dataset.stream().len() as u64;
    for announces in [http.announces(), udp.announces()] {
        let told: Vec<_> = announces.iter().map(|it| (it.left, it.event.as_deref())).collect();
        assert_eq!(told, [(Some(length), None), (Some(length), Some("stopped"))]);
    }
}

#[test]
fn many_files_are_shown_by_directory_and_sources_that_are_left_out_are_not_asked() {
    let dataset = tree(100);
    let (tracker, seed) = (Tracker::start(peers(3)), WebSeed::serving(&dataset));
    let dataset = dataset.announce(&tracker.url()).url_list([seed.url()]).private();
    let cli = cli().env("ACADEMICTORRENTS_SOURCES", "web-seeds");
    cli.write("images.torrent", dataset.torrent());
    let mut page = Page::new("info-long");
    page.show(&cli, &["info", "images.torrent"]);
    page.compare();
    assert_eq!(tracker.http().requests().len(), 0);
    let all = cli.ok(&["info", "images.torrent", "-v"]);
    assert!(all.contains("099.png") && !all.contains("-v lists"), "{all}");
}

/// The tree is at most 24 lines long, and every file is counted in one of them.
#[test]
fn the_directories_of_any_torrent_fit_the_screen() {
    let check = |files: Vec<String>, shows: &[&str]| {
        let count = files.len();
        let cli = cli();
        let files = files.iter().map(|name| (name.as_str(), vec![1]));
        cli.write("x.torrent", Dataset::multi("x", files.collect::<Vec<_>>()).torrent());
        let said = cli.ok(&["info", "x.torrent", "--offline"]);
        let (_, tree) = said.split_once("\nFiles\n").unwrap();
        let (tree, _) = tree.split_once("\n\n").unwrap();
        assert!(tree.lines().count() <= 24, "{tree}");
        let root = format!("x/  {count} files");
        for part in shows.iter().chain([&root.as_str()]) {
            assert!(tree.lines().any(|line| line.trim_start().ends_with(part)), "{part}: {tree}");
        }
    };
    let files = |below: &str, count| (0..count).map(|at| format!("{below}{at:03}")).collect();
    let all = |parts: Vec<Vec<String>>| parts.concat();
    check(
        files("", 500),
        &["018", "and 481 more files next to the directories: -v lists all 500 files"],
    );
    check(
        all(vec![files("a/", 30), files("b/c/", 1), files("", 2)]),
        &["a/  30 files", "b/  1 file", "c/  1 file", "001", "-v lists all 33 files"],
    );
    // Directories that do not fit are counted in their parent directories.
    let deep = (0..90).map(|at| format!("a/{}/{at}/f", at % 3)).collect();
    check(deep, &["a/  90 files", "2/  30 files", "…  -v lists all 90 files"]);
    let wide = (0..90).map(|at| format!("{at:02}/f")).collect();
    check(wide, &["00/  1 file", "and 71 more directories: -v lists all 90 files"]);
}

#[test]
fn a_web_seed_has_a_dataset_in_each_form_that_a_download_tries() {
    let cli = cli();
    let one_file = vec![("table.csv", random_bytes(5, 1_000))];
    let datasets = [
        // The directory itself, not its parent.
        (tree(3), "images"),
        // The directory that contains the file, without a trailing slash.
        (Dataset::single("data.bin", random_bytes(4, 1_000)), ""),
        // The only file of a directory.
        (Dataset::multi("lab", one_file), "lab/table.csv"),
    ];
    for (dataset, below) in datasets {
        let seed = WebSeed::serving(&dataset);
        let url = [&seed.folder_url(), below].concat();
        let url = url.trim_end_matches('/');
        cli.write("data.torrent", dataset.url_list([url]).torrent());
        let said = cli.ok(&["info", "data.torrent"]);
        assert!(said.contains(&format!("has it  {url}")), "{said}");
    }
}

/// What a download cannot use is not proof, and the reason is shown.
#[test]
fn a_web_seed_has_a_dataset_if_a_download_accepts_its_replies() {
    let data = random_bytes(6, 100_000);
    let no_range = "without a valid Content-Range";
    for (kind, why) in [
        ("proper", None),
        ("whole", None),
        ("chunked", None),
        ("without a total", None),
        ("without a range", None),
        ("shorter", Some("it refuses bytes 99999-99999")),
        ("from the start", Some("it was asked for bytes 99999-99999 but sends 0-0")),
        ("one byte", Some(no_range)),
        ("other unit", Some(no_range)),
        ("everything", Some(no_range)),
        ("nothing", Some("it announced 1 bytes but sends 0")),
        ("cut off", Some("1 bytes before the end")),
    ] {
        let bytes = data.clone();
        let seed = HttpServer::start(move |request, responder| {
            let total = if kind == "shorter" { bytes.len() as u64 / 2 } else { bytes.len() as u64 };
            let Some((start, end)) = request.range(total).unwrap() else {
                return responder.status(416);
            };
            let part = &bytes[start as usize..end as usize];
            let range = |total: &str| format!("bytes {start}-{}/{total}", end - 1);
            let proper = range("100000");
            let (range, body) = match kind {
                "whole" => return responder.respond(200, &[], &bytes),
                "chunked" => {
                    responder.head(200, &[("transfer-encoding", "chunked")]);
                    responder.body(format!("{:x}\r\n", bytes.len()).as_bytes());
                    responder.body(&bytes);
                    return responder.body(b"\r\n0\r\n\r\n");
                }
                "without a total" | "shorter" => (range("*"), part),
                "from the start" => (format!("bytes 0-{}/*", end - start - 1), part),
                "one byte" => (String::new(), &part[..1]),
                "other unit" => ("pages 1-2/3".to_owned(), &part[..1]),
                "everything" => (String::new(), &bytes[..]),
                "without a range" => (String::new(), part),
                "nothing" => (proper, &part[..0]),
                "cut off" => {
                    let length = part.len().to_string();
                    let headers = [("content-range", &*proper), ("content-length", &length)];
                    responder.head(206, &headers);
                    return responder.half_close();
                }
                _ => (proper, part),
            };
            let headers = [("content-range", &*range)];
            responder.respond(206, if range.is_empty() { &[] } else { &headers }, body);
        });
        let cli = cli();
        let url = format!("{}/data.bin", seed.url());
        let dataset = Dataset::single("data.bin", data.clone()).piece_length(16 << 10);
        cli.write("data.torrent", dataset.url_list([&*url]).torrent());
        let json = cli.ok(&["info", "data.torrent", "--json"]);
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        let found = &json["web_seeds"][0];
        assert_eq!(found["answers"], why.is_none(), "{kind}: {found}");
        let said = found["why"].as_str().unwrap_or_default();
        assert!(said.contains(why.unwrap_or_default()), "{kind}: {found}");
        // This download asks for everything at once; one that resumes would fail.
        let suits = why.is_none() || matches!(kind, "everything" | "from the start");
        let run = cli.run(&["get", "data.torrent"]);
        assert_eq!(run.status == Some(0), suits, "{kind}: {}", run.stderr);
    }
}

#[test]
fn a_torrent_that_is_not_at_hand_comes_from_the_catalogue() {
    let dataset = Dataset::single("data.bin", random_bytes(1, 70_000));
    let seed = WebSeed::serving(&dataset);
    let dataset = dataset.url_list([seed.url()]);
    let catalogue = Catalogue::serving(&[&dataset]);
    let cli = cli().env("ACADEMICTORRENTS_CATALOGUE", catalogue.url());
    let said = cli.ok(&["info", &dataset.infohash_hex()]);
    assert!(said.contains("has it  http://"), "{said}");
    assert!(seed.bytes_served() <= 1);
    let line = said.lines().find(|line| line.starts_with("magnet")).unwrap();
    let by_magnet = cli.ok(&["info", line.split_whitespace().last().unwrap()]);
    assert!(by_magnet.contains("has it  http://"), "{by_magnet}");
    // `info` keeps no torrent.
    assert!(!cli.store().join("v1/torrents").exists());
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
    let cli = cli().env("ACADEMICTORRENTS_TIMEOUT", "120s");
    cli.write("data.torrent", dataset.announce_list(&[&tiers]).torrent());
    let begun = std::time::Instant::now();
    let said = cli.ok(&["info", "data.torrent"]);
    assert!(begun.elapsed() < std::time::Duration::from_secs(25), "{:?}", begun.elapsed());
    assert!(said.contains(&format!("1 seed, 0 leechers  {}", lossy.url())), "{said}");
    assert_eq!(said.matches("within 5 s").count() + said.matches("timed out").count(), 5, "{said}");
}

#[test]
fn add_and_info_warn_which_platforms_cannot_build_it() {
    let check = |names: &[&str], platforms: &[&str]| {
        let cli = cli();
        let files = names.iter().map(|name| (*name, random_bytes(1, 100)));
        cli.write("x.torrent", Dataset::multi("set", files).torrent());
        cli.declare("");
        for verb in
            [&["info", "x.torrent", "--offline"][..], &["add", "x.torrent", "x", "--dry-run"]]
        {
            let run = cli.run(verb);
            assert_eq!(run.status, Some(0), "{}", run.stderr);
            let warned: Vec<_> =
                run.stderr.lines().filter(|line| line.contains("warning: a build on ")).collect();
            assert_eq!(warned.len(), platforms.len(), "{verb:?}: {warned:?}");
            for (line, on) in warned.iter().zip(platforms) {
                assert!(line.contains(&format!("a build on {on} fails: its path `")), "{line}");
            }
            let run = cli.run(&[verb, &["--json"]].concat());
            let warnings =
                serde_json::from_str::<serde_json::Value>(&run.stdout).unwrap()["warnings"].clone();
            let of_names = warnings
                .as_array()
                .unwrap()
                .iter()
                .filter(|it| it.as_str().unwrap().contains(" fails: its path"));
            assert_eq!(of_names.count(), platforms.len());
        }
    };
    check(&["a.bin", "d/b c.txt", "数据"], &[]);
    if cfg!(target_os = "linux") {
        for name in
            ["Orbits: x", "why?", "\"q\"", "a|b", "dots...", "d/aux.txt", "<a>", "*", "end "]
        {
            check(&["a.bin", name], &["Windows"]);
        }
    }
    // A path that no platform can have: `info` reports it, and selecting other files is the way
    // out.
    let cli = cli();
    let long = "x".repeat(300);
    cli.write("x.torrent", Dataset::multi("set", [("a", vec![1]), (&long, vec![2])]).torrent());
    let run = cli.run(&["info", "x.torrent", "--offline"]);
    assert!(
        run.stderr.contains("a build on Windows, macOS, Linux fails: its path `xxx"),
        "{}",
        run.stderr
    );
    cli.declare("");
    let run = cli.run(&["add", "x.torrent", "x", "--dry-run"]);
    assert!(run.status != Some(0) && run.stderr.contains("to `files`"), "{}", run.stderr);
    let added = cli.ok(&["add", "x.torrent", "x", "--files", "!xxx*", "--rename", "orbits"]);
    assert!(
        added.contains("files = [\"!xxx*\"]") && added.contains("rename = \"orbits\""),
        "{added}"
    );
}
