//! Unusual torrents: hostile paths, odd names and lengths, selections.

use std::path::{Path, is_separator};

#[cfg(unix)]
use crate::get::GetFixture;
use crate::support::{Project, files_below, side_by_side, slashes};
use crate::swarm::bencode::B;
use crate::swarm::dataset::{hex, infohash_of};
use crate::swarm::{Catalogue, Dataset, Peer, WebSeed, random_bytes};

/// A torrent whose `files` have these paths, with 100 bytes each.
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
    let long_path = vec![&[b'd'; 200][..]; 12];
    let deep = vec![&b"directory"[..]; 300];
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("leaves its directory", hostile(b"root", &[&[b"..", b"escaped"]])),
        ("leaves its directory", hostile(b"root", &[&[b"a", b"..", b"..", b"escaped"]])),
        ("is empty", hostile(b"root", &[&[b"."]])),
        ("leaves its directory", hostile(b"..", &[&[b"escaped"]])),
        ("has a `/`", hostile(b"root", &[&[b"/tmp/escaped"]])),
        ("has a `/`", hostile(b"root", &[&[b"../escaped"]])),
        ("has a `/`", hostile(b"/tmp", &[&[b"escaped"]])),
        ("leaves its directory", hostile(b"root", &[&[b"", b"..", b"escaped"]])),
        ("is empty", hostile(b"root", &[&[b"", b""]])),
        ("empty component", hostile(b"", &[&[b"escaped"]])),
        ("is empty", hostile(b"root", &[&[]])),
        ("NUL", hostile(b"root", &[&[b"a\0b"]])),
        ("not safe", hostile(b"root", &[&[b"..\\escaped"]])),
        ("not safe", hostile(b"root", &[&[b"a\x1b[2J"]])),
        ("not safe", hostile(b"a\\b", &[&[b"a"]])),
        ("300 bytes", hostile(b"root", &[&[&long]])),
        ("longer than", hostile(b"root", &[&long_path])),
        ("more than 64", hostile(b"root", &[&deep])),
        ("occurs twice", hostile(b"root", &[&[b"a"], &[b"a"]])),
        ("occurs twice", hostile(b"root", &[&[b"a"], &[b"a", b"b"]])),
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
    // This name can be stored on every platform, so the build goes on to search for the data.
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
    let long = format!("{}.txt", "数".repeat(84));
    for name in ["a\tb", &long, &format!("{long}/c"), "a\\b"] {
        let files = [(name, vec![1; 100]), ("good.bin", random_bytes(2, 70_000))];
        let dataset = Dataset::multi("root", files);
        let seed = WebSeed::serving(&dataset);
        let first: String = name.chars().take(1).collect();
        for files in ["*.bin".to_owned(), format!("!{first}*"), format!("!{first}*/*")] {
            let lines = format!("files = [{files:?}]\nweb-seeds = [\"{}\"]", seed.url());
            let project = Project::of(&dataset, &lines);
            if files.starts_with('!') && files.contains('/') != name.contains(is_separator) {
                assert!(project.error().contains("matches no file"));
                continue;
            }
            assert_eq!(files_below(&project.path_of("data")), [Path::new("good.bin")]);
        }
    }
}

#[test]
#[cfg(target_os = "linux")]
fn names_that_only_others_cannot_store_are_stored() {
    let names = ["High: Res/a?.bin", "\"q\"|x", "dots...", "d./a.", "aux.txt", "<a>*", "end "];
    let files: Vec<_> = names.iter().map(|name| (*name, random_bytes(1, 1_000))).collect();
    let dataset = Dataset::multi("Orbits: High Res?", files);
    check_each_source(&dataset);
    check_each_source(&Dataset::single("a:b?.bin", random_bytes(2, 50_000)));
}

#[test]
fn a_torrent_whose_own_name_cannot_be_stored_is_stored_under_another() {
    let long = "x".repeat(300);
    let files = [("a.bin", random_bytes(1, 50_000)), ("d/b.bin", random_bytes(2, 40_000))];
    for name in [long.as_str(), "two\nlines", "a\\b", "a/b", "/a/", "..", ""] {
        for dataset in
            [Dataset::multi(name, files.clone()), Dataset::single(name, random_bytes(3, 60_000))]
        {
            let seed = WebSeed::serving(&dataset);
            let lines = |more: &str| format!("web-seeds = [\"{}\"]\n{more}", seed.url());
            let error = Project::of(&dataset, &lines("")).error();
            assert!(
                error.contains("its own name")
                    && error.contains("help: store it under another name: rename = \""),
                "{error}"
            );
            assert!(error.lines().all(|line| line.chars().count() < 200), "{error}");
            // The proposed line works.
            let line = error.split_once("another name: ").unwrap().1.lines().next().unwrap();
            let path = Project::of(&dataset, &lines(line)).path_of("data");
            assert_eq!(line, format!("rename = {:?}", path.file_name().unwrap()), "{error}");
            let project = Project::of(&dataset, &lines("rename = \"orbits\""));
            let path = project.path_of("data");
            assert!(path.ends_with("orbits"), "{path:?}");
            dataset.assert_at(&path);
        }
    }
}

#[test]
fn a_renamed_dataset_is_another_one_and_comes_from_each_source() {
    let files = [("a.bin", random_bytes(1, 50_000)), ("d/b.bin", random_bytes(2, 40_000))];
    let dataset = Dataset::multi("own name", files);
    let seed = WebSeed::serving(&dataset);
    let peer = Peer::seeding(&dataset);
    let lines = [
        format!("web-seeds = [\"{}\"]", seed.url()),
        format!("peers = [\"{}\"]", peer.addr()),
        "mirrors = [\"mirror\"]".to_owned(),
    ];
    for lines in lines {
        let project = Project::of(&dataset, &format!("{lines}\nrename = \"other\""));
        dataset.write_mirror(&project.path("mirror"));
        let path = project.path_of("data");
        dataset.assert_at(&path);
        assert!(path.ends_with("other"), "{path:?}");
        // The data now exists and no source is needed.
        project.declare_data("rename = \"other\"");
        assert_eq!(project.path_of("data"), path);
        // Under another name it is copied from there, without a source.
        for name in ["third", "fourth"] {
            project.declare_data(&format!("rename = \"{name}\""));
            let copy = project.build().env("ACADEMICTORRENTS_OFFLINE", "1").run().unwrap();
            let copy = copy.dataset("data").unwrap().path().to_owned();
            dataset.assert_at(&copy);
            assert!(copy.ends_with(name), "{copy:?}");
        }
        // The torrent's own name and a selection have other paths.
        project.declare_data(&lines);
        let own = project.path_of("data");
        assert!(own.ends_with("own name") && own.parent() != path.parent(), "{own:?}");
        project.declare_data(&format!("{lines}\nrename = \"other\"\nfiles = [\"!d/*\"]"));
        let some = project.path_of("data");
        assert!(some.ends_with("other") && some != path, "{some:?}");
        assert_eq!(files_below(&some), [Path::new("a.bin")]);
    }
    let single = Dataset::single("a.bin", random_bytes(3, 60_000));
    let seed = WebSeed::serving(&single);
    let lines =
        format!("web-seeds = [\"{}\"]\nrename = \"b.bin\"\nfiles = [\"a.bin\"]", seed.url());
    let project = Project::of(&single, &lines);
    let path = project.path_of("data");
    assert!(path.ends_with("b.bin"), "{path:?}");
    single.assert_at(&path);
    for odd in ["", "..", "a/b", "a:b", "aux", "a."] {
        let error = Project::of(&single, &format!("rename = {odd:?}")).error();
        assert!(error.contains("invalid `rename` in dataset `data`"), "{error}");
    }
}

#[test]
fn placeholders_of_directories_are_made_and_empty_components_are_none() {
    let part = |parts: &[&str]| parts.iter().map(|it| it.as_bytes().to_vec()).collect::<Vec<_>>();
    let given = vec![
        (part(&["", "a.bin"]), random_bytes(1, 50_000)),
        (part(&["d"]), Vec::new()),
        (part(&["d", "", "b.bin"]), random_bytes(2, 40_000)),
        (part(&["empty", "inner", ""]), Vec::new()),
        (part(&["none"]), Vec::new()),
    ];
    let torrent = Dataset::multi_raw(b"set", given);
    let files = [
        ("a.bin", random_bytes(1, 50_000)),
        ("d/b.bin", random_bytes(2, 40_000)),
        ("none", Vec::new()),
    ];
    let seed = WebSeed::serving(&Dataset::multi("set", files));
    let lines = |more: &str| format!("web-seeds = [\"{}\"]\n{more}", seed.url());
    let project = Project::of(&torrent, &lines(""));
    let path = project.path_of("data");
    assert_eq!(files_below(&path), ["a.bin", "d/b.bin", "none"].map(Path::new));
    assert!(path.join("empty/inner").is_dir());
    // Also from peers, whose blocks belong to the same stream.
    let peer = Peer::seeding(&torrent);
    let project = Project::of(&torrent, &format!("peers = [\"{}\"]", peer.addr()));
    assert!(project.path_of("data").join("empty/inner").is_dir());
    // Directories are not files: globs need not match them, and may exclude them.
    let project = Project::of(&torrent, &lines("files = [\"a.bin\", \"d/*\", \"none\"]"));
    let path = project.path_of("data");
    assert!(files_below(&path).len() == 3 && !path.join("empty").exists());
}

/// Names that URLs, shells and manifests interpret, files that share pieces, and empty files.
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

/// Downloads the dataset from each kind of source alone.
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

/// Windows limits paths to 260 characters for programs without long path support; the test's
/// directory is shorter.
#[test]
fn paths_of_more_than_260_characters_are_stored() {
    let deep = ["d", "e", "f"].map(|name| name.repeat(120)).join("/");
    let files = [
        (format!("{deep}/a.bin"), random_bytes(1, 90_000)),
        (format!("{deep}/b.bin"), random_bytes(2, 50_000)),
        ("c.bin".to_owned(), random_bytes(3, 40_000)),
    ];
    let files = files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice()));
    check_each_source(&Dataset::multi("set", files));
}

#[test]
fn odd_names_empty_files_and_files_that_share_a_piece() {
    check_each_source(&odd_names());
}

#[test]
fn pad_files_are_neither_fetched_nor_stored() {
    let files = [("a", 10_000), ("b/c", 70_000), ("empty", 0), ("d", 1)];
    let files = files.map(|(path, length)| (path, random_bytes(3, length)));
    let bit_comet =
        "_____padding_file_{}_if you see this file, please update to BitComet 0.85 or above____";
    let forms = [
        (Some(".pad/{}"), true),
        (Some("any/name/../is\0/fine"), true),
        (None, true),
        (Some(bit_comet), false),
        (Some("d/_____padding_file_{}"), false),
        (Some(".____padding_file/{}"), false),
        (Some("d/.____padding_file/e/{}"), false),
    ];
    for (path, marked) in forms {
        let dataset = Dataset::multi("padded", files.clone()).padded_as(path, marked);
        check_each_source(&dataset);
        // The limit excludes pad files: each file and directory counts 4 KiB, and the pads have
        // 50,000 bytes or more.
        let limit = 80_001 + 6 * 4096;
        let seed = WebSeed::serving(&dataset);
        let lines = format!("web-seeds = [\"{}\"]\nmax-size = \"{limit} B\"", seed.url());
        let project = Project::of(&dataset, &lines);
        assert_eq!(files_below(&project.path_of("data")).len(), 4);
        assert_eq!(seed.bytes_served(), 80_001);
        // From peers, only blocks with other bytes are requested: one for 10,000 bytes, five for
        // 70,000.
        let peer = Peer::seeding(&dataset);
        let project = Project::of(&dataset, &format!("peers = [\"{}\"]", peer.addr()));
        dataset.assert_at(&project.path_of("data"));
        assert_eq!(peer.bytes_served(), (1 + 5) * 16_384 + 1, "{path:?}");
    }
    // Names that merely resemble those of pad files belong to regular files.
    for path in [
        "_____padding_file",
        "____padding_file_1",
        ".____padding_file",
        ".pad/3",
        "d_____padding_file_1",
    ] {
        let dataset = Dataset::multi("named", [("a", vec![1; 10]), (path, vec![0; 3])]);
        let project = Project::of(
            &dataset,
            &format!("web-seeds = [\"{}\"]", WebSeed::serving(&dataset).url()),
        );
        dataset.write_mirror(&project.path("mirror"));
        project.declare_data("mirrors = [\"mirror\"]");
        assert_eq!(files_below(&project.path_of("data")).len(), 2, "{path}");
    }
}

#[test]
fn a_pad_file_may_be_at_the_front_of_a_piece() {
    // The pad file covers the rest of a piece, the whole next piece, and more than a block of the
    // third.
    let stream = [random_bytes(1, 25_536), vec![0; 60_000], random_bytes(2, 70_000)].concat();
    let files = [
        ("a", stream[..25_536].to_vec()),
        ("_____padding_file_0", vec![0; 60_000]),
        ("b", stream[85_536..].to_vec()),
    ];
    let dataset = Dataset::multi("front", files);
    let wanted = Dataset::multi(
        "front",
        [("a", stream[..25_536].to_vec()), ("b", stream[85_536..].to_vec())],
    );
    let peer = Peer::seeding(&dataset);
    let project = Project::of(&dataset, &format!("peers = [\"{}\"]\nfiles = [\"b\"]", peer.addr()));
    assert_eq!(files_below(&project.path_of("data")), [Path::new("b")]);
    let project = Project::of(&dataset, &format!("peers = [\"{}\"]", peer.addr()));
    wanted.assert_at(&project.path_of("data"));
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

/// Files of 100,000 bytes with pieces of 32 KiB, so that neighbors share a piece.
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
    // The selected bytes, and at most two more pieces for each contiguous run.
    let served = seed.bytes_served();
    assert!((300_000..=300_000 + 4 * 32_768).contains(&served), "{served}");

    // Another selection of the torrent reuses existing files and downloads its other files.
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

    // The whole dataset reuses the files of both selections.
    let served = seed.bytes_served();
    project.declare_data(&format!("web-seeds = [\"{}\"]", seed.url()));
    dataset.assert_at(&project.path_of("data"));
    let more = seed.bytes_served() - served;
    assert!((500_000..=500_000 + 6 * 32_768).contains(&more), "{more}");
}

#[test]
fn a_selection_whose_neighbour_is_served_wrong_is_not_published() {
    let dataset = ten_files();
    // Piece 9 begins in the unselected `part-2.bin` and ends in `part-3.bin`.
    let fault = crate::swarm::web_seed::Fault::CorruptPiece(9);
    let seed = WebSeed::serving(&dataset).with(fault);
    let lines = format!("files = [\"part-3.bin\"]\nweb-seeds = [\"{}\"]", seed.url());
    let project = Project::of(&dataset, &lines);
    let error = project.error();
    let files =
        "(piece 9); banned; the server may hold another version of `part-2.bin` or `part-3.bin`";
    assert!(error.contains(files), "{error}");
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

    // A mirror's wrong .torrent is skipped.
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
    // The next build does not retry, although the dataset is now available.
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

#[test]
fn a_git_lfs_pointer_is_named_in_a_copy_that_the_environment_names() {
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n";
    let dataset = Dataset::multi("set", [("a", random_bytes(1, 90_000)), ("b", vec![1; 10])]);
    for variable in ["PATH_DATA", "LOAD_PATH"] {
        let project = Project::of(&dataset, "");
        let place = project.path("copies");
        dataset.write_to(&place);
        std::fs::write(place.join("set/a"), pointer).unwrap();
        let named = if variable == "LOAD_PATH" { place } else { place.join("set") };
        let error = project.env(&format!("ACADEMICTORRENTS_{variable}"), named.display()).error();
        assert!(slashes(&error).contains("set/a is a Git LFS pointer"), "{error}");
        assert!(error.contains("run `git lfs pull` there"), "{error}");
    }
}

#[test]
fn a_git_lfs_pointer_is_named_in_place_of_a_torrent_or_of_a_file() {
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n";
    let project = Project::of_torrent(pointer.as_bytes(), "");
    let error = project.error();
    assert!(error.contains("Git LFS pointer") && error.contains("git lfs pull"), "{error}");
    let dataset = Dataset::single("data.bin", random_bytes(77, 100_000));
    let project = Project::of(&dataset, "mirrors = [\"mirror\"]");
    let mirror = project.path("mirror");
    dataset.write_mirror(&mirror);
    std::fs::write(mirror.join(dataset.infohash_hex()).join("data.bin"), pointer).unwrap();
    let error = project.error();
    assert!(error.contains("Git LFS pointer") && error.contains("git lfs pull"), "{error}");
    let project = Project::new(&format!(
        "data = {{ infohash = \"{}\", mirrors = [\"mirror\"] }}",
        dataset.infohash_hex()
    ));
    std::fs::create_dir(project.path("mirror")).unwrap();
    std::fs::write(
        project.path("mirror").join(format!("{}.torrent", dataset.infohash_hex())),
        pointer,
    )
    .unwrap();
    let error = project.error();
    assert!(error.contains("Git LFS pointer"), "{error}");
}

#[test]
fn names_that_are_there_in_utf_8_too_are_used_in_utf_8() {
    let files = [("目录/数据.bin", random_bytes(1, 50_000)), ("b.bin", random_bytes(2, 40_000))];
    let dataset = Dataset::multi("数据集", files);
    // The same names in GB 2312, as Chinese Windows writes them.
    let old = |part: &[u8]| match part {
        b"b.bin" => B::bytes(part),
        _ => B::bytes([0xCA, 0xFD, 0xBE, part.len() as u8 | 0x80]),
    };
    let entries = dataset.layout().iter().map(|file| {
        B::dict([("length", B::Int(i64::try_from(file.length).unwrap()))])
            .with("path", B::list(file.path.iter().map(|part| old(part))))
            .with("path.utf-8", B::list(file.path.iter().map(B::bytes)))
    });
    let info = dataset.info().with("files", B::list(entries));
    let info = info.with("name", old(b"")).with("name.utf-8", B::bytes(dataset.name()));
    let torrent = dataset.torrent_with_info(info);
    let seed = WebSeed::serving(&dataset);
    let lines = |more: &str| format!("web-seeds = [\"{}\"]\n{more}", seed.url());
    let project = Project::of_torrent(&torrent, &lines(""));
    let path = project.path_of("data");
    assert!(path.ends_with("数据集"), "{path:?}");
    dataset.assert_at(&path);
    let project = Project::of_torrent(&torrent, &lines("files = [\"目录/数*\"]"));
    assert_eq!(files_below(&project.path_of("data")), [Path::new("目录/数据.bin")]);
}

#[test]
fn an_own_name_that_is_not_utf_8_is_an_error_of_a_build_before_the_download() {
    let dataset = Dataset::multi("data", [("a.bin", random_bytes(1, 50_000))]);
    let seed = WebSeed::serving(&dataset);
    let stores_utf_8_alone = cfg!(any(windows, target_os = "macos"));
    for name in [&b"caf\xE9"[..], b"caf\xE9.utf-8"] {
        let torrent = dataset.torrent_with_info(dataset.info().with("name", B::bytes(name)));
        let lines = format!("web-seeds = [\"{}\"]", seed.url());
        let error = Project::of_torrent(&torrent, &lines).error();
        let why = if stores_utf_8_alone {
            "which Windows and macOS cannot store"
        } else {
            "cannot be passed to Cargo"
        };
        assert!(error.contains(why), "{error}");
    }
    assert!(seed.requests().is_empty());
}

/// Reading a pipe would wait without end, and a device would fill the memory.
#[cfg(unix)]
#[test]
fn what_is_not_a_regular_file_in_a_mirror_is_not_read() {
    let dataset = Dataset::single("data.bin", vec![7; 1_000]);
    let infohash = dataset.infohash_hex();
    let pipe: fn(&Path) = |path| {
        assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
    };
    let device: fn(&Path) = |path| std::os::unix::fs::symlink("/dev/zero", path).unwrap();
    for make in [pipe, device] {
        let fixture = GetFixture::new();
        let mirror = fixture.path("mirror");
        std::fs::create_dir(&mirror).unwrap();
        make(&mirror.join(format!("{infohash}.torrent")));
        let error = || {
            let get = fixture.ask(&infohash).mirror(mirror.to_str().unwrap());
            get.env("ACADEMICTORRENTS_OFFLINE", "1").run().unwrap_err().to_string()
        };
        let of_torrent = error();
        assert!(of_torrent.contains("it is not a regular file"), "{of_torrent}");
        std::fs::remove_file(mirror.join(format!("{infohash}.torrent"))).unwrap();
        dataset.write_mirror(&mirror);
        let data = mirror.join(&infohash).join("data.bin");
        std::fs::remove_file(&data).unwrap();
        make(&data);
        let of_data = error();
        assert!(of_data.contains("`data.bin`: is not a regular file"), "{of_data}");
    }
}
