//! Torrents as they come: hostile paths, odd names and lengths, selections.

use std::path::Path;

use crate::support::{Project, files_below, side_by_side};
use crate::swarm::bencode::B;
use crate::swarm::dataset::{hex, infohash_of};
use crate::swarm::{Catalogue, Dataset, Peer, WebSeed, random_bytes};

/// A torrent whose `files` have these paths, of 100 bytes each.
fn hostile(name: &[u8], paths: &[&[&[u8]]]) -> Vec<u8> {
    let file = |path: &&[&[u8]]| {
        let parts = path.iter().map(|part| part.to_vec()).collect();
        (parts, random_bytes(path.len() as u64, 100))
    };
    Dataset::multi_raw(name, paths.iter().map(file).collect()).torrent()
}

#[test]
fn unsafe_paths_are_refused_and_nothing_is_written() {
    let long = [b'a'; 300];
    let deep = vec![&b"directory"[..]; 300];
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("leaves its directory", hostile(b"root", &[&[b"..", b"escaped"]])),
        ("leaves its directory", hostile(b"root", &[&[b"a", b"..", b"..", b"escaped"]])),
        ("leaves its directory", hostile(b"root", &[&[b"."]])),
        ("leaves its directory", hostile(b"..", &[&[b"escaped"]])),
        ("has a `/`", hostile(b"root", &[&[b"/tmp/escaped"]])),
        ("has a `/`", hostile(b"root", &[&[b"../escaped"]])),
        ("has a `/`", hostile(b"/tmp", &[&[b"escaped"]])),
        ("empty component", hostile(b"root", &[&[b"", b"escaped"]])),
        ("empty component", hostile(b"", &[&[b"escaped"]])),
        ("is empty", hostile(b"root", &[&[]])),
        ("NUL", hostile(b"root", &[&[b"a\0b"]])),
        ("Windows", hostile(b"root", &[&[b"..\\escaped"]])),
        ("Windows", hostile(b"root", &[&[b"C:"]])),
        ("Windows", hostile(b"root", &[&[b"what?"]])),
        ("reserves", hostile(b"root", &[&[b"aux.txt"]])),
        ("reserves", hostile(b"root", &[&[b"d", b"COM1"]])),
        ("Windows", hostile(b"nul.", &[&[b"a"]])),
        ("300 bytes", hostile(b"root", &[&[&long]])),
        ("longer than", hostile(b"root", &[&deep])),
        ("in case alone", hostile(b"root", &[&[b"Data"], &[b"data"]])),
        ("in case alone", hostile(b"root", &[&[b"D", b"a"], &[b"d", b"b"]])),
        ("there twice", hostile(b"root", &[&[b"a"], &[b"a"]])),
        ("there twice", hostile(b"root", &[&[b"a"], &[b"a", b"b"]])),
    ];
    side_by_side(&cases, |(said, torrent)| {
        let project = Project::of_torrent(torrent, "mirrors = [\"mirror\"]");
        let error = project.error();
        assert!(error.contains(said), "{said}: {error}");
        project.assert_nothing_published();
        let below = files_below(project.dir.path());
        assert!(below.iter().all(|path| !path.ends_with("escaped")), "{below:?}");
        assert!(!Path::new("/tmp/escaped").exists());
    });
}

#[test]
fn what_a_torrent_says_moves_no_cursor_where_an_error_quotes_it() {
    let names = [&b"\x1b[2Jgone"[..], b"two\nerror: lines", "\u{9b}2J\u{202e}txt".as_bytes()];
    let paths: Vec<&[&[u8]]> = names.iter().map(std::slice::from_ref).collect();
    let check = |lines: &str, said: &str| {
        let error = Project::of_torrent(&hostile(b"root", &paths), lines).error();
        assert!(error.contains(said), "{error:?}");
        let odd = |c: char| c != '\n' && c.is_control() || c == '\u{202e}';
        assert!(!error.contains(odd), "{error:?}");
        assert!(error.lines().all(|line| !line.starts_with("error: ")), "{error:?}");
    };
    check("files = [\"none\"]", "[2Jgone");
    // That one can be stored everywhere, and is looked for.
    check("files = [\"*txt\"]\nmirrors = [\"mirror\"]\nsources = [\"mirrors\"]", "");
    let one = Dataset::single("\u{9b}2J\u{202e}txt", "x");
    let project = Project::of(&one, "");
    let copy = project.path("copy");
    std::fs::create_dir_all(copy.join("\u{9b}2J\u{202e}txt")).unwrap();
    let error = project.env("ACADEMICTORRENTS_LOAD_PATH", copy.display()).error();
    assert!(!error.contains(['\u{9b}', '\u{202e}']), "{error:?}");
}

#[test]
fn a_name_that_other_platforms_cannot_store_may_be_left_out() {
    let files = [("aux", vec![1; 100]), ("good.bin", random_bytes(2, 70_000))];
    let dataset = Dataset::multi("root", files);
    let seed = WebSeed::serving(&dataset);
    let lines = format!("files = [\"*.bin\"]\nweb-seeds = [\"{}\"]", seed.url());
    let project = Project::of(&dataset, &lines);
    assert_eq!(files_below(&project.path_of("data")), [Path::new("good.bin")]);
}

/// Names that URLs, shells and manifests read in their own way, files that share pieces, empty ones.
fn odd_names() -> Dataset {
    let names: [&[&[u8]]; 10] = [
        &[b"a b.txt"],
        &[b"100%.txt"],
        &[b"100%25.txt"],
        &[b"#1", b"x+y&z=1.csv"],
        &[b"caf\xC3\xA9", b"\xC3\xA9t\xC3\xA9.txt"],
        &[b"empty"],
        &[b".hidden"],
        &[b"[0-9]", b"{a,b}'"],
        &[b"d", b"e", b"f", b"~;,@!$()"],
        if cfg!(unix) { &[b"latin\xE9.txt"] } else { &[b"latin.txt"] },
    ];
    let file = |(index, parts): (usize, &&[&[u8]])| {
        let length = if parts[0] == b"empty" { 0 } else { 1_000 * (index * index + 1) };
        let parts = parts.iter().map(|part| part.to_vec()).collect();
        (parts, random_bytes(index as u64, length))
    };
    Dataset::multi_raw("the köln #1 set".as_bytes(), names.iter().enumerate().map(file).collect())
        .piece_length(16 << 10)
}

/// The dataset from each kind of source alone.
fn check_each_source(dataset: &Dataset) {
    let directory = Project::of(dataset, "mirrors = [\"mirror\"]");
    dataset.write_mirror(&directory.path("mirror"));
    dataset.assert_at(&directory.path_of("data"));
    let seed = WebSeed::serving(dataset);
    let by_web = Project::of(dataset, &format!("web-seeds = [\"{}\"]", seed.url()));
    dataset.assert_at(&by_web.path_of("data"));
    assert_eq!(seed.coverage().most_times(), 1);
    let peer = Peer::seeding(dataset);
    let by_peer = Project::of(dataset, &format!("peers = [\"{}\"]", peer.addr()));
    dataset.assert_at(&by_peer.path_of("data"));
    let data = |project: &Project| {
        let path = project.path_of("data");
        if path.is_dir() { files_below(&path) } else { Vec::new() }
    };
    assert_eq!(data(&directory), data(&by_web));
    assert_eq!(data(&directory), data(&by_peer));
}

#[test]
fn odd_names_empty_files_and_files_that_share_a_piece() {
    check_each_source(&odd_names());
}

#[test]
fn pad_files_are_neither_fetched_nor_stored() {
    let files = [("a", 10_000), ("b/c", 70_000), ("empty", 0), ("d", 1)];
    let files = files.map(|(path, length)| (path, random_bytes(3, length)));
    let dataset = Dataset::multi("padded", files).padded();
    check_each_source(&dataset);
    let seed = WebSeed::serving(&dataset);
    let project = Project::of(&dataset, &format!("web-seeds = [\"{}\"]", seed.url()));
    assert_eq!(files_below(&project.path_of("data")).len(), 4);
    assert_eq!(seed.bytes_served(), 80_001);
}

#[test]
fn odd_piece_lengths() {
    for piece_length in [33_333, 16_384, 1_000_000] {
        let bytes = random_bytes(4, 200_000);
        check_each_source(&Dataset::single("x.bin", bytes.clone()).piece_length(piece_length));
        let (a, b) = bytes.split_at(77_777);
        let files = [("a", a.to_vec()), ("b", b.to_vec())];
        check_each_source(&Dataset::multi("x", files).piece_length(piece_length));
    }
}

#[test]
fn one_file_in_a_folder_is_a_folder() {
    let dataset = Dataset::multi("folder", [("only.bin", random_bytes(5, 50_000))]);
    check_each_source(&dataset);
}

#[test]
fn a_torrent_of_empty_files_needs_no_source() {
    for dataset in [
        Dataset::single("empty", Vec::new()),
        Dataset::multi("folder", [("a", Vec::new()), ("b/c", Vec::new())]),
    ] {
        dataset.assert_at(&Project::of(&dataset, "").path_of("data"));
    }
}

/// Files of 100,000 bytes over pieces of 32 KiB, so that neighbours share a piece.
fn ten_files() -> Dataset {
    let name = |index: u64| (format!("part-{index}.bin"), random_bytes(index, 100_000));
    let files: Vec<_> = (0..10).map(name).collect();
    Dataset::multi("ten", files.iter().map(|(name, bytes)| (&name[..], bytes.clone())))
}

#[test]
fn a_selection_keeps_and_fetches_only_what_it_needs() {
    let dataset = ten_files();
    let seed = WebSeed::serving(&dataset);
    let lines = |files: &str| format!("files = [{files}]\nweb-seeds = [\"{}\"]", seed.url());
    let project = Project::of(&dataset, &lines("\"part-3.bin\", \"part-[78].bin\""));
    let path = project.path_of("data");
    let kept: Vec<_> = files_below(&path).iter().map(|it| it.display().to_string()).collect();
    assert_eq!(kept, ["part-3.bin", "part-7.bin", "part-8.bin"]);
    for (name, bytes) in dataset.files().iter().filter(|(name, _)| kept.contains(name)) {
        assert!(std::fs::read(path.join(name)).unwrap() == *bytes, "{name}");
    }
    // The selected bytes, and at most two pieces' worth around each stretch.
    let served = seed.bytes_served();
    assert!((300_000..=300_000 + 4 * 32_768).contains(&served), "{served}");

    // Another selection of the same torrent takes over what is here, and fetches its own files.
    project.declare_data(&lines("\"part-[2-4].bin\""));
    let other = project.path_of("data");
    assert_ne!(path, other);
    assert_eq!(files_below(&other).len(), 3);
    for (name, bytes) in &dataset.files()[2..5] {
        assert!(std::fs::read(other.join(name)).unwrap() == *bytes, "{name}");
    }
    let more = seed.bytes_served() - served;
    assert!((200_000..=200_000 + 4 * 32_768).contains(&more), "{more}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        assert_eq!(std::fs::metadata(path.join("part-3.bin")).unwrap().nlink(), 2);
    }

    // All files: what the selections have is not fetched again.
    let served = seed.bytes_served();
    project.declare_data(&format!("web-seeds = [\"{}\"]", seed.url()));
    dataset.assert_at(&project.path_of("data"));
    let more = seed.bytes_served() - served;
    assert!((500_000..=500_000 + 6 * 32_768).contains(&more), "{more}");
}

#[test]
fn a_selection_whose_neighbour_is_served_wrong_is_not_published() {
    let dataset = ten_files();
    // Piece 9 begins in `part-2.bin`, which is not selected, and ends in `part-3.bin`.
    let fault = crate::swarm::web_seed::Fault::CorruptPiece(9);
    let seed = WebSeed::serving(&dataset).with(fault);
    let lines = format!("files = [\"part-3.bin\"]\nweb-seeds = [\"{}\"]", seed.url());
    let project = Project::of(&dataset, &lines);
    assert!(project.error().contains("piece 9"));
    project.assert_nothing_published();
}

#[test]
fn a_store_in_out_dir_is_filled_from_the_shared_one_or_from_sources() {
    let dataset = Dataset::multi("set", [("a", random_bytes(6, 90_000)), ("b/c", vec![7; 10])]);
    let seed = WebSeed::serving(&dataset);
    let lines = format!("web-seeds = [\"{}\"]", seed.url());
    let own = format!("store = \"out-dir\"\n{lines}");
    let project = Project::of(&dataset, &own);
    let path = project.path_of("data");
    assert!(path.starts_with(project.path("out")), "{path:?}");
    dataset.assert_at(&path);
    assert!(!project.store().join("v1/data").exists());

    let project = Project::of(&dataset, &lines);
    project.path_of("data");
    let served = seed.bytes_served();
    project.declare_data(&own);
    let path = project.path_of("data");
    assert!(path.starts_with(project.path("out")), "{path:?}");
    dataset.assert_at(&path);
    assert_eq!(seed.bytes_served(), served);
}

#[test]
fn another_torrent_than_the_declared_one_is_refused() {
    let (declared, other) = (Dataset::single("a", "declared"), Dataset::single("a", "other"));
    let line = format!("infohash = \"{}\"", declared.infohash_hex());
    let error = Project::of(&other, &line).error();
    assert!(error.contains("not the declared one"), "{error}");
    assert!(error.contains(&other.infohash_hex()) && error.contains(&declared.infohash_hex()));

    // A mirror's is passed over.
    let catalogue = Catalogue::serving(&[&declared]);
    let project = Project::new(&format!("data = \"{}\"", declared.infohash_hex()))
        .env("ACADEMICTORRENTS_CATALOGUE", catalogue.url());
    let mirror = project.path("mirror");
    declared.write_mirror(&mirror);
    std::fs::write(mirror.join(format!("{}.torrent", declared.infohash_hex())), other.torrent())
        .unwrap();
    let project = project.env("ACADEMICTORRENTS_MIRRORS", mirror.display());
    declared.assert_at(&project.path_of("data"));
}

#[test]
fn a_private_torrent_is_fetched_from_its_own_tracker() {
    let dataset = || Dataset::single("private", random_bytes(10, 50_000)).private();
    let peer = Peer::seeding(&dataset());
    let tracker = crate::swarm::Tracker::start(vec![peer.addr()]);
    let dataset = dataset().announce(&tracker.url());
    dataset.assert_at(&Project::of(&dataset, "").path_of("data"));
}

#[test]
fn an_optional_dataset_that_cannot_be_had_is_missing_and_no_error() {
    let dataset = Dataset::single("a", "bytes");
    let seed = WebSeed::serving(&dataset).with(crate::swarm::web_seed::Fault::NotFound);
    let lines = format!("optional = true\nweb-seeds = [\"{}\"]", seed.url());
    let project = Project::of(&dataset, &lines);
    let is_there = || {
        let datasets = project.run().unwrap_or_else(|error| panic!("{error}"));
        datasets.dataset("data").is_some()
    };
    assert!(!is_there());
    project.assert_nothing_published();
    // The next build does not try it again, though it could be had now.
    seed.mend();
    let asked = seed.requests().len();
    assert!(!is_there());
    assert_eq!(seed.requests().len(), asked);
    std::fs::remove_dir_all(project.path("out")).unwrap();
    assert!(is_there());
    dataset.assert_at(&project.path_of("data"));
}

#[test]
fn an_optional_dataset_that_was_missing_offline_is_tried_once_there_is_a_network() {
    let dataset = Dataset::single("a", "bytes");
    let seed = WebSeed::serving(&dataset);
    let project =
        Project::of(&dataset, &format!("optional = true\nweb-seeds = [\"{}\"]", seed.url()));
    let offline = project.build().env("ACADEMICTORRENTS_OFFLINE", "1").run().unwrap();
    assert!(offline.dataset("data").is_none());
    dataset.assert_at(&project.path_of("data"));
}

#[test]
fn an_info_dictionary_with_unknown_keys_keeps_its_infohash() {
    let dataset = Dataset::single("a", random_bytes(11, 1_000));
    let info = dataset.info().with("source", B::bytes("lab")).with("x", B::list([B::Int(-1)]));
    let torrent = dataset.torrent_with_info(info.clone());
    let project = Project::of_torrent(&torrent, "");
    let infohash = hex(&infohash_of(&info));
    project.declare_data(&format!("infohash = \"{infohash}\"\nmirrors = [\"mirror\"]"));
    dataset.write_to(&project.path("mirror").join(infohash));
    dataset.assert_at(&project.path_of("data"));
}
