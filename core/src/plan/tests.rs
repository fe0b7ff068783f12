use super::*;
use crate::error::{Error, ErrorKind};
use crate::manifest::FileGlob;
use crate::origin::Origin;
use crate::torrent::metainfo::Metainfo;
use crate::torrent::pieces::PieceSet;

fn declared(is_dependency: bool) -> Origin {
    Origin::Manifest { path: "Cargo.toml".into(), line: 1, is_dependency }
}

/// A torrent with pieces of 10 bytes and files with these names and lengths. Names with `.pad` are
/// pad files.
fn torrent(files: &[(&str, u64)]) -> Metainfo {
    let total: u64 = files.iter().map(|(_, length)| length).sum();
    let mut entries = String::new();
    for (path, length) in files {
        let attr = if path.starts_with(".pad") { "4:attr1:p" } else { "" };
        let components: String = path.split('/').map(|c| format!("{}:{c}", c.len())).collect();
        entries += &format!("d{attr}6:lengthi{length}e4:pathl{components}ee");
    }
    let pieces = "x".repeat(total.div_ceil(10) as usize * 20);
    let text = format!(
        "d4:infod5:filesl{entries}e4:name4:root12:piece lengthi10e6:pieces{}:{pieces}ee",
        pieces.len()
    );
    Metainfo::parse(text.as_bytes()).unwrap()
}

pub(super) fn select(metainfo: &Metainfo, globs: &[&str]) -> Result<Selection, Error> {
    let globs: Vec<_> = globs.iter().map(|glob| FileGlob::parse(glob).unwrap()).collect();
    Selection::of(metainfo, &globs, &[])
}

#[test]
fn globs_stop_at_slashes_unless_doubled() {
    let metainfo = torrent(&[("a.txt", 3), ("d/b.txt", 3), ("d/e/c.txt", 3), (".pad/1", 1)]);
    let check = |globs: &[&str], files: &[u32]| {
        assert_eq!(select(&metainfo, globs).unwrap().files(), files, "{globs:?}")
    };
    check(&[], &[0, 1, 2]);
    check(&["*.txt"], &[0]);
    check(&["d/*"], &[1]);
    check(&["d/**"], &[1, 2]);
    check(&["**/*.txt"], &[0, 1, 2]);
    check(&["d/b.txt", "a.txt"], &[0, 1]);
}

#[test]
fn a_glob_that_covers_nothing_is_an_error_with_examples() {
    let error = select(&torrent(&[("a.txt", 3)]), &["a.txt", "*.csv"]).unwrap_err().to_string();
    assert!(error.contains("`*.csv` matches no file") && error.contains("a.txt"), "{error}");
}

#[test]
fn the_id_depends_on_the_files_and_not_on_the_globs() {
    let metainfo = torrent(&[("a.txt", 3), ("b.txt", 3), ("c", 1)]);
    let id = |globs: &[&str]| select(&metainfo, globs).unwrap().id().to_owned();
    assert_eq!(id(&[]), metainfo.infohash.to_string());
    assert_eq!(id(&["**"]), metainfo.infohash.to_string());
    assert_eq!(id(&["*.txt"]), id(&["b.txt", "a.txt"]));
    assert_ne!(id(&["a.txt"]), id(&["b.txt"]));
    assert!(id(&["a.txt"]).starts_with(&format!("{}-", metainfo.infohash)));
}

#[test]
fn the_id_depends_on_empty_directories() {
    let metainfo = torrent(&[("a", 3), ("b", 3), ("d/", 0), ("e/", 0)]);
    let id = |globs: &[&str]| select(&metainfo, globs).unwrap().id().to_owned();
    assert_eq!(id(&["**"]), metainfo.infohash.to_string());
    let selections = [&["a", "b"][..], &["[abd]"], &["a"], &["[ad]"], &["[ae]"]];
    let mut ids: Vec<_> = selections.iter().map(|globs| id(globs)).collect();
    for (globs, id) in selections.iter().zip(&ids) {
        assert_ne!(*id, metainfo.infohash.to_string(), "{globs:?}");
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), selections.len(), "{ids:?}");
    let of = |numbers| Selection::of(&metainfo, &[], numbers).unwrap().id().to_owned();
    assert_eq!(of(&[(0, 1)]), id(&["a", "b"]));
}

#[test]
fn numbers_cannot_select_one_of_two_files_with_the_same_path() {
    // Both would have the same ID in the store, and one would be used for the other.
    let metainfo = torrent(&[("a", 10), ("b", 10), ("a", 10), ("d/a", 10)]);
    for one in [0, 2] {
        let error = Selection::of(&metainfo, &[], &[(one, one)]).unwrap_err().to_string();
        assert!(error.contains("same path"), "{error}");
    }
    assert_eq!(Selection::of(&metainfo, &[], &[(1, 1), (3, 3)]).unwrap().files(), [1, 3]);
}

#[test]
fn a_magnet_links_numbers_select_like_globs() {
    let metainfo = torrent(&[("a", 3), ("b", 3), ("c", 3), ("d", 1)]);
    let of = |numbers: &[(u32, u32)]| Selection::of(&metainfo, &[], numbers);
    assert_eq!(of(&[(0, 0), (2, 3), (3, 3)]).unwrap().files(), [0, 2, 3]);
    assert_eq!(of(&[(1, 2)]).unwrap().id(), select(&metainfo, &["b", "c"]).unwrap().id());
    assert_eq!(of(&[(0, 3)]).unwrap().id(), metainfo.infohash.to_string());
    let error = of(&[(1, 1), (2, 4)]).unwrap_err().to_string();
    assert!(
        error.contains("selects file 4") && error.contains("4 files, numbers 0 to 3"),
        "{error}"
    );
    let globs = [FileGlob::parse("a").unwrap()];
    let error = Selection::of(&metainfo, &globs, &[(0, 0)]).unwrap_err().to_string();
    assert!(error.contains("both `files` and"), "{error}");
}

#[test]
fn unselected_files_may_have_names_that_cannot_be_stored_everywhere() {
    let long = "数".repeat(86);
    for name in ["a\\b", "a\tb", &long, &format!("d/{long}/c"), &format!("{long}.txt")] {
        let metainfo = torrent(&[("a", 3), (name, 3)]);
        let error = select(&metainfo, &[]).unwrap_err().to_string();
        assert!(error.contains("`files`"), "{error}");
        assert!(error.lines().all(|line| line.chars().count() < 160), "{error}");
        assert!(select(&metainfo, &["a"]).is_ok());
        // The suggested glob works.
        if let Some((_, glob)) = error.split_once("add \"") {
            let glob = glob.split('"').next().unwrap().replace("\\\\", "\\");
            assert_eq!(select(&metainfo, &[&glob]).unwrap().files(), [0], "{glob}");
        } else {
            assert!(name.contains('\t'), "{error}");
        }
    }
    // A directory is excluded with everything below it.
    let below = (0..20).map(|n| format!("d/{long}/x{n}")).collect::<Vec<_>>();
    let mut files: Vec<(&str, u64)> = below.iter().map(|path| (&**path, 3)).collect();
    files.insert(0, ("a", 3));
    let metainfo = torrent(&files);
    let error = select(&metainfo, &[]).unwrap_err().to_string();
    assert!(error.contains("leave the directory out"), "{error}");
    let glob = error.split_once("add \"").unwrap().1.split('"').next().unwrap();
    assert_eq!(select(&metainfo, &[glob]).unwrap().files(), [0], "{glob}");
    if cfg!(target_os = "linux") {
        let names = ["Orbits: High Res", "why?", "\"q\"", "a|b", "dots...", "aux.txt"];
        assert_eq!(select(&torrent(&names.map(|name| (name, 3))), &[]).unwrap().files().len(), 6);
    }
}

#[test]
fn a_glob_after_an_exclamation_mark_excludes() {
    let metainfo = torrent(&[("a.txt", 3), ("d/b.txt", 3), ("d/c.bin", 3), ("!x", 3)]);
    let check = |globs: &[&str], files: &[u32]| {
        assert_eq!(select(&metainfo, globs).unwrap().files(), files, "{globs:?}")
    };
    check(&["!a.txt"], &[1, 2, 3]);
    check(&["!**/*.txt"], &[2, 3]);
    check(&["d/*", "!d/c*"], &[1]);
    check(&["!d/c*", "d/*"], &[1]);
    check(&["!d/*", "!a*"], &[3]);
    check(&["?x"], &[3]);
    check(&["!?x"], &[0, 1, 2]);
    check(&[&FileGlob::escape("!x")], &[3]);
    let error = |globs: &[&str]| select(&metainfo, globs).unwrap_err().to_string();
    assert!(
        error(&["!none"]).contains("the glob `!none` matches no file"),
        "{}",
        error(&["!none"])
    );
    assert!(error(&["a.txt", "!**"]).contains("nothing to download"));
    // The same files have the same ID.
    let id = |globs: &[&str]| select(&metainfo, globs).unwrap().id().to_owned();
    assert_eq!(id(&["!d/**"]), id(&["a.txt", "?x"]));
}

#[test]
fn another_name_is_part_of_the_id() {
    let renamed = |name: &str, globs: &[&str]| {
        let metainfo = torrent(&[("a", 3), ("b", 3)]).renamed(Some(name));
        let selection = select(&metainfo, globs).unwrap();
        let layout = Layout::new(&metainfo, &selection);
        let path = layout.files().next().unwrap().path();
        (selection.id().to_owned(), path.display().to_string().replace('\\', "/"))
    };
    let (whole, path) = renamed("root", &[]);
    assert_eq!((whole.len(), path.as_str()), (40, "root/a"));
    let (other, path) = renamed("data", &[]);
    assert_eq!((other.len(), path.as_str()), (57, "data/a"));
    assert!(other.starts_with(&whole));
    let ids = [
        renamed("data", &["a"]).0,
        renamed("date", &["a"]).0,
        renamed("root", &["a"]).0,
        renamed("a", &[]).0,
        other,
    ];
    let distinct: std::collections::HashSet<_> = ids.iter().collect();
    assert_eq!(distinct.len(), ids.len());
}

fn layout(files: &[(&str, u64)], globs: &[&str]) -> Layout {
    let metainfo = torrent(files);
    Layout::new(&metainfo, &select(&metainfo, globs).unwrap())
}

/// Each segment as `start-end place`, for short tests.
fn shown(layout: &Layout, range: std::ops::Range<u64>) -> Vec<String> {
    layout
        .segments(range)
        .map(|segment| {
            let place = match segment.place {
                SegmentPlace::File { file, offset } => format!("file {file}+{offset}"),
                SegmentPlace::Scratch { offset } => format!("scratch+{offset}"),
                SegmentPlace::Zeros => "zeros".into(),
            };
            format!(
                "{}-{} of {}+{}: {place}",
                segment.range.start, segment.range.end, segment.torrent_file, segment.file_offset
            )
        })
        .collect()
}

#[test]
fn a_whole_torrent_lies_in_its_files() {
    let layout = layout(&[("a", 4), ("empty", 0), (".pad/6", 6), ("b", 15)], &[]);
    assert_eq!(layout.needed(), PieceSet::all(3));
    // Without the pad file.
    assert_eq!(layout.needed_bytes(), 19);
    assert_eq!(layout.bytes_of(&PieceSet::all(3)), 19);
    let pieces: Vec<_> = (0..3).map(|piece| layout.bytes_of_piece(piece)).collect();
    assert_eq!(pieces.iter().sum::<u64>(), 19, "{pieces:?}");
    assert_eq!(layout.padding(2..12).next(), Some(4..10));
    assert_eq!((layout.without_padding(25), layout.without_padding(0)), (19, 0));
    assert_eq!(
        shown(&layout, 0..25),
        ["0-4 of 0+0: file 0+0", "4-10 of 2+0: zeros", "10-25 of 3+0: file 2+0"]
    );
    assert_eq!(
        shown(&layout, 2..12),
        ["2-4 of 0+2: file 0+2", "4-10 of 2+0: zeros", "10-12 of 3+0: file 2+0"]
    );
    // An empty range has no segments, neither at the edge of a file nor within it.
    for at in 0..=25 {
        assert_eq!(shown(&layout, at..at), [""; 0], "{at}");
    }
    assert!(layout.is_kept(0));
}

#[test]
fn what_shares_a_piece_with_a_selected_file_goes_to_the_scratch_file() {
    let layout = layout(&[("a", 14), ("b", 12), ("c", 30), ("d", 4)], &["b", "d"]);
    assert_eq!(layout.needed().iter().collect::<Vec<_>>(), [1, 2, 5]);
    assert_eq!(layout.needed_bytes(), 30);
    assert_eq!(layout.scratch_bytes(), 4 + 4 + 6);
    assert_eq!(
        shown(&layout, 0..60),
        [
            "10-14 of 0+10: scratch+0",
            "14-26 of 1+0: file 0+0",
            "26-30 of 2+0: scratch+4",
            "50-56 of 2+24: scratch+8",
            "56-60 of 3+0: file 1+0",
        ]
    );
    assert!(!layout.is_kept(1) && !layout.is_kept(2));
}

#[test]
fn the_limit_that_counts_is_the_users_over_the_manifests_over_the_default() {
    const GIB: u64 = 1 << 30;
    let check = |bytes, requested, user, parts: &[&str]| {
        let result = Limit { requested, user, origin: &declared(false), foreign: false }
            .check("big", bytes, 0, "the user");
        assert_eq!(result.is_ok(), parts.is_empty());
        for part in parts {
            let error = result.clone().unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    };
    check(GIB, None, None, &[]);
    check(GIB + 1, None, None, &["the default", "big = { infohash", "max-size = \"2GiB\""]);
    check(GIB + 1, Some(2 * GIB), None, &[]);
    check(
        3 * GIB,
        Some(2 * GIB),
        None,
        &["`max-size` in the manifest", "change `max-size` to \"3GiB\""],
    );
    check(3 * GIB, Some(4 * GIB), Some(2 * GIB), &["ACADEMICTORRENTS_MAX_SIZE=3GiB"]);
    check(3 * GIB, None, Some(4 * GIB), &[]);
    check(2 * GIB, None, Some(GIB), &["set by the user", "ACADEMICTORRENTS_MAX_SIZE=2GiB"]);
    let origin = &declared(false);
    let capped = Limit { requested: None, user: Some(GIB), origin, foreign: false };
    let error = capped.check("big", 2 * GIB, 0, "the user").unwrap_err().to_string();
    assert!(!error.contains("add this line"), "it would not help: {error}");
}

#[test]
fn the_manifest_of_a_dependency_lowers_the_limit_and_does_not_raise_it() {
    const GIB: u64 = 1 << 30;
    let check = |bytes, requested, user, part: &str| {
        let result = Limit { requested, user, origin: &declared(true), foreign: true }
            .check("big", bytes, 0, "the user");
        assert_eq!(result.is_ok(), part.is_empty());
        let error = result.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains(part) && !error.contains("add this line"), "{error}");
    };
    check(GIB, Some(9 * GIB), None, "");
    check(
        2 * GIB,
        Some(9 * GIB),
        None,
        "to allow it, run: ACADEMICTORRENTS_MAX_SIZE=2GiB cargo build",
    );
    check(2 * GIB, Some(9 * GIB), None, "dependency cannot raise");
    check(2 * GIB, None, None, "ACADEMICTORRENTS_MAX_SIZE=2GiB");
    check(2 * GIB, Some(9 * GIB), Some(3 * GIB), "");
    check(
        2 * GIB,
        Some(GIB),
        Some(3 * GIB),
        "run: cargo academictorrents fetch big --max-size 2GiB",
    );
    let both =
        "run: ACADEMICTORRENTS_MAX_SIZE=2GiB cargo academictorrents fetch big --max-size 2GiB";
    check(2 * GIB, Some(GIB), Some(GIB), both);
}

#[test]
#[cfg(feature = "fetch")]
fn of_one_host_eight_trackers_and_web_seeds_are_left_and_all_that_the_user_names() {
    let settings = crate::settings::Context::default().settings().unwrap();
    let mut metainfo = torrent(&[("a", 3)]);
    let spellings =
        ["http://1.2.3.4/", "http://1.2.3.4:81/", "https://x@16909060/", "http://0x1.2.3.4./"];
    metainfo.web_seeds =
        (0..40).map(|n| format!("{}{n}", spellings[n % spellings.len()]).into()).collect();
    metainfo.trackers = (0..40)
        .map(|n| {
            vec![
                format!("udp://Victim.example:{}/announce", n + 1).into(),
                format!("http://other.example/{n}").into(),
            ]
        })
        .collect();
    let mut request = crate::manifest::Request::of_call(
        "x",
        crate::manifest::Identity::default(),
        crate::manifest::StoreKind::Shared,
        &crate::manifest::CallOptions::default(),
    )
    .unwrap();
    request.web_seeds = (0..20).map(|n| format!("http://lab.example/{n}").into()).collect();
    let check = |request: &crate::manifest::Request, named: usize| {
        let mut per_host = std::collections::HashMap::new();
        for source in sources(request, &settings, &[], &metainfo) {
            match source.kind {
                SourceKind::WebSeed(url) => {
                    *per_host.entry(crate::address::host_of_url(url.exposed())).or_insert(0) += 1;
                }
                SourceKind::Trackers(tiers) => {
                    assert!(tiers.iter().all(|tier| !tier.is_empty()));
                    for url in tiers.iter().flatten() {
                        *per_host.entry(crate::address::host_of_url(url.exposed())).or_insert(0) +=
                            1;
                    }
                }
                _ => {}
            }
        }
        assert_eq!(per_host["1.2.3.4"], 8);
        assert_eq!(per_host["victim.example"], 8);
        assert_eq!(per_host["other.example"], 8);
        assert_eq!(per_host["lab.example"], named);
    };
    check(&request, 20);
    request.origin = declared(true);
    check(&request, 8);
}

#[test]
#[cfg(feature = "fetch")]
fn a_bare_infohash_has_the_trackers_of_the_catalogs_site_and_of_the_user() {
    let site = [
        "https://academictorrents.com/announce.php",
        "https://ipv6.academictorrents.com/announce.php",
    ];
    let check =
        |variables: &[(&str, &str)], request: &crate::manifest::Request, expected: &[&str]| {
            let mut context = crate::settings::Context::default();
            variables.iter().for_each(|(name, value)| context.set(name, value));
            let tiers = default_tiers(request, &context.settings().unwrap());
            let urls: Vec<_> = tiers.iter().flat_map(|(_, tiers)| tiers.concat()).collect();
            assert_eq!(urls, expected, "{variables:?}");
        };
    const SETTING: &str = "ACADEMICTORRENTS_DEFAULT_TRACKERS";
    let mut request = crate::manifest::Request::of_call(
        "x",
        crate::manifest::Identity::default(),
        crate::manifest::StoreKind::Shared,
        &crate::manifest::CallOptions::default(),
    )
    .unwrap();
    check(&[], &request, &site);
    let same = ("ACADEMICTORRENTS_CATALOGUE", "https://academictorrents.com/");
    let other = ("ACADEMICTORRENTS_CATALOGUE", "https://catalog.example.org");
    check(&[same], &request, &site);
    check(&[other], &request, &[]);
    check(&[(SETTING, "off")], &request, &[]);
    check(&[(SETTING, "udp://t:1")], &request, &["udp://t:1", site[0], site[1]]);
    check(&[(SETTING, "off udp://t:1")], &request, &["udp://t:1"]);
    check(&[(SETTING, "udp://t:1"), other], &request, &["udp://t:1"]);
    check(&[(SETTING, site[1])], &request, &[site[1], site[0]]);
    check(&[("ACADEMICTORRENTS_SOURCES", "catalogue")], &request, &[]);
    // Users who disable the catalog do not want its trackers, either.
    check(&[("ACADEMICTORRENTS_SOURCES", "peers")], &request, &[]);
    request.trackers.push("udp://named:1".into());
    check(&[], &request, &[]);
}

#[test]
fn files_and_directories_count_towards_the_limit() {
    let check = |requested, bytes, entries, said: &[&str]| {
        let origin = match requested {
            Some(u64::MAX) => Origin::CommandLine,
            _ => declared(false),
        };
        let limit = Limit { requested, user: None, origin: &origin, foreign: false };
        match limit.check("small", bytes, entries, "the user") {
            Ok(()) => assert_eq!(said, [""; 0]),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::TooLarge);
                let text = error.to_string();
                assert!(said.iter().all(|part| text.contains(part)), "{text}");
            }
        }
    };
    check(None, 0, 262_144, &[]);
    check(None, 1, 262_144, &["counts as 4.0 KiB: 1.0 GiB for 262144 of them"]);
    check(None, 0, 1_500_000, &["download of 5.7 GiB exceeds the limit", "max-size = \"6GiB\""]);
    check(Some(6 << 30), 1 << 20, 1_500_000, &[]);
    // A call without a limit.
    check(Some(u64::MAX), u64::MAX, 1_000_000, &[]);
    let said = ["1000001 files and directories", "set `--max-size` to at least 4096004097 bytes"];
    check(Some(u64::MAX), 1, 1_000_001, &said);
    check(Some(u64::MAX - 1), u64::MAX - 1, 0, &[]);
    check(Some(u64::MAX - 1), 1, 1_000_001, &[]);
}

#[test]
fn directories_of_the_selected_files_count() {
    let metainfo = torrent(&[("a/b/c", 3), ("a/b/d", 15), ("e", 0), ("f/g", 2)]);
    let layout = |globs: &[&str]| Layout::new(&metainfo, &select(&metainfo, globs).unwrap());
    let all = layout(&[]);
    assert_eq!(all.entries_of(&PieceSet::all(2)), 8);
    // Piece 1 contains the end of `a/b/d`, and `f/g`.
    let mut second = PieceSet::none(2);
    second.insert(1);
    assert_eq!(all.entries_of(&second), 7);
    assert_eq!(all.entries_of(&PieceSet::none(2)), 5);
    assert_eq!(layout(&["e"]).entries_of(&PieceSet::none(2)), 2);
    assert_eq!(layout(&["a/b/c"]).entries_of(&PieceSet::all(2)), 4);
}

/// A torrent with data files of 3 bytes each, and links; `None` for a link without a target.
#[cfg(unix)]
pub(super) fn linked(files: &[&str], links: &[(&str, Option<&[&str]>)]) -> Metainfo {
    let list = |path: &[&str]| -> String {
        path.iter().map(|component| format!("{}:{component}", component.len())).collect()
    };
    let split = |path: &str| list(&path.split('/').collect::<Vec<_>>());
    let mut entries: String =
        files.iter().map(|path| format!("d6:lengthi3e4:pathl{}ee", split(path))).collect();
    for (path, target) in links {
        let target = target.map(|it| format!("12:symlink pathl{}e", list(it))).unwrap_or_default();
        // The length of a link is ignored.
        entries += &format!("d4:attr2:xl6:lengthi7e4:pathl{}e{target}e", split(path));
    }
    let pieces = "x".repeat((files.len() * 3).div_ceil(10) * 20);
    let text = format!(
        "d4:infod5:filesl{entries}e4:name4:root12:piece lengthi10e6:pieces{}:{pieces}ee",
        pieces.len()
    );
    Metainfo::parse(text.as_bytes()).unwrap()
}

#[test]
#[cfg(unix)]
fn links_lead_relatively_to_what_they_resolve_to() {
    let check = |links: &[(&str, Option<&[&str]>)], expected: &[(&str, &str)]| {
        let metainfo = linked(&["a", "d/b", "d/e/c"], links);
        let layout = Layout::new(&metainfo, &select(&metainfo, &[]).unwrap());
        let found: Vec<_> = layout
            .links()
            .map(|(path, link)| (path.display().to_string(), link.text.display().to_string()))
            .collect();
        let found: Vec<_> = found.iter().map(|(path, text)| (&path[5..], &**text)).collect();
        assert_eq!(found, expected);
        assert_eq!((layout.file_count(), layout.needed_bytes()), (3, 9));
        assert_eq!(select(&metainfo, &[]).unwrap().id(), metainfo.infohash.to_string());
    };
    check(&[("l", Some(&["a"]))], &[("l", "a")]);
    check(&[("d/e/l", Some(&["a"]))], &[("d/e/l", "../../a")]);
    check(&[("d/e/l", Some(&["d", "b"]))], &[("d/e/l", "../b")]);
    check(&[("x/y/l", Some(&["d"]))], &[("x/y/l", "../../d")]);
    check(&[("l", Some(&["d", "e"]))], &[("l", "d/e")]);
    // Through other links, to files and directories.
    check(&[("k", Some(&["l"])), ("l", Some(&["a"]))], &[("k", "a"), ("l", "a")]);
    check(&[("k", Some(&["l", "e", "c"])), ("l", Some(&["d"]))], &[("k", "d/e/c"), ("l", "d")]);
    check(
        &[("x/k", Some(&["x", "l", "c"])), ("x/l", Some(&["m", "e"])), ("m", Some(&["d"]))],
        &[("x/k", "../d/e/c"), ("x/l", "../d/e"), ("m", "d")],
    );
    // Components that name nothing, as in paths.
    check(&[("l", Some(&[".", "d", "", "e", "."]))], &[("l", "d/e")]);
    // Relative to the directory of the link.
    check(&[("d/l", Some(&["b"]))], &[("d/l", "b")]);
    check(&[("d/l", Some(&["e", "c"]))], &[("d/l", "e/c")]);
    check(&[("d/e/l", Some(&["..", "b"]))], &[("d/e/l", "../b")]);
    check(&[("d/e/l", Some(&["..", "..", "a"]))], &[("d/e/l", "../../a")]);
    check(&[("l", Some(&["d", "..", "a"]))], &[("l", "a")]);
    check(&[("d/k", Some(&["l"])), ("d/l", Some(&["e"]))], &[("d/k", "e"), ("d/l", "e")]);
    check(&[("d/k", Some(&["l", "c"])), ("d/l", Some(&["e"]))], &[("d/k", "e/c"), ("d/l", "e")]);
    // Not split by the program that wrote the torrent.
    check(&[("l", Some(&["d/e/c"])), ("d/k", Some(&["../a"]))], &[("l", "d/e/c"), ("d/k", "../a")]);
    check(&[("d/e/l", Some(&["./c"]))], &[("d/e/l", "c")]);
    // What is there below the root comes first.
    check(
        &[("x/l", Some(&["a"])), ("x/a", Some(&["d", "b"]))],
        &[("x/l", "../a"), ("x/a", "../d/b")],
    );
}

#[test]
#[cfg(unix)]
fn links_that_lead_to_nothing_that_is_selected_are_refused() {
    let check = |links: &[(&str, Option<&[&str]>)], globs: &[&str], said: &str| {
        let metainfo = linked(&["a", "d/b", "d/e/c"], links);
        let error = select(&metainfo, globs).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("symbolic link `") && text.contains("`files` takes globs"), "{text}");
        assert!(text.contains(said), "{said}: {text}");
        // Without the links, the selection is valid.
        assert!(select(&metainfo, &["a", "d/**"]).is_ok());
    };
    let out = "leads out of the torrent";
    for target in [
        &["..", "a"][..],
        &["d", "..", "..", "x"],
        &["d", "..", "..", "root", "a"],
        &["/etc/passwd"],
        &["../a"],
        &["d/../../x"],
        &["..", "/etc/passwd"],
    ] {
        check(&[("l", Some(target))], &[], out);
    }
    check(&[("x/l", Some(&["..", "..", "etc", "passwd"]))], &[], out);
    check(&[("x/l", Some(&["..", "x/y"]))], &[], out);
    check(&[("l", Some(&["", "etc"]))], &[], out);
    check(&[("l", Some(&["", "a"]))], &[], out);
    check(&[("x/l", Some(&["", "a"]))], &[], out);
    // Behind a link, the parent is not that of the link.
    check(&[("x/l", Some(&["..", "k", "..", "a"])), ("k", Some(&["d", "e"]))], &[], out);
    check(&[("x/l", Some(&["..", "etc"]))], &[], "`etc` is not in the torrent");
    check(&[("x/l", Some(&["b"]))], &[], "`b` is not in the torrent");
    // The link states one that is below the root; it is not replaced by another that is selected.
    check(
        &[("x/l", Some(&["a"])), ("x/a", Some(&["d", "b"]))],
        &["x/*", "d/b"],
        "`a` is not selected",
    );
    check(&[("x/y/l", Some(&[".."]))], &[], "contains it");
    for target in [&[][..], &["."], &[""], &["d", ".."]] {
        check(&[("l", Some(target))], &[], "contains it");
    }
    check(&[("x/y/l", Some(&["x"]))], &[], "contains it");
    check(&[("l", None)], &[], "does not name its target");
    check(&[("k", Some(&["l"])), ("l", None)], &[], "has no target");
    check(&[("l", Some(&["b"]))], &[], "is not in the torrent");
    check(&[("l", Some(&["a", "b"]))], &[], "is not in the torrent");
    check(&[("l", Some(&["root", "a"]))], &[], "is not in the torrent");
    check(&[("l", Some(&["d", "b"]))], &["l", "a"], "`d/b` is not selected");
    check(&[("l", Some(&["d"]))], &["l", "a"], "`d` is not selected");
    check(&[("k", Some(&["l", "b"])), ("l", Some(&["d"]))], &["k", "d/**"], "is not selected");
    // Cycles.
    check(&[("l", Some(&["l"]))], &[], "leads back to itself");
    check(&[("k", Some(&["l"])), ("l", Some(&["k"]))], &[], "leads back to itself");
    check(&[("l", Some(&["l", "x"]))], &[], "leads back to itself");
}

#[test]
fn what_only_looks_like_a_link_is_none() {
    let text = "d4:infod5:filesld6:lengthi3e4:pathl1:ae12:symlink pathl1:xeed4:attr2:lp6:lengthi5e4:pathl1:pee\
        e4:name4:root12:piece lengthi10e6:pieces20:xxxxxxxxxxxxxxxxxxxxee";
    let metainfo = Metainfo::parse(text.as_bytes()).unwrap();
    let layout = Layout::new(&metainfo, &select(&metainfo, &[]).unwrap());
    assert!(!layout.has_links());
    assert_eq!((layout.file_count(), layout.needed_bytes()), (1, 3));
    let single = "d4:infod4:attr1:l6:lengthi3e4:name1:a12:piece lengthi10e6:pieces20:xxxxxxxxxxxxxxxxxxxx12:symlink pathl1:xeee";
    let error = Metainfo::parse(single.as_bytes()).unwrap_err().to_string();
    assert!(error.contains("symbolic link"), "{error}");
}

#[cfg(feature = "unpack")]
#[test]
fn what_may_be_unpacked_is_ten_times_the_download_and_capped_as_that_is() {
    const GIB: u64 = 1 << 30;
    let check = |requested, user, foreign, unpack, expected| {
        let limit = Limit { requested, user, origin: &Origin::default(), foreign };
        assert_eq!(limit.unpacked_bytes(unpack), expected, "{limit:?} {unpack:?}");
    };
    check(None, None, false, None, 10 * GIB);
    check(Some(2 * GIB), None, false, None, 20 * GIB);
    check(Some(u64::MAX), None, false, None, u64::MAX);
    // The manifest's own limit, higher and lower.
    check(None, None, false, Some(100 * GIB), 100 * GIB);
    check(None, None, false, Some(5), 5);
    // The user's limit caps it, and so does the limit for dependencies.
    check(None, Some(3 * GIB), false, None, 30 * GIB);
    check(None, Some(3 * GIB), false, Some(100 * GIB), 30 * GIB);
    check(Some(2 * GIB), None, true, None, 10 * GIB);
    check(None, None, true, Some(100 * GIB), 10 * GIB);
    check(None, None, true, Some(5), 5);
}
