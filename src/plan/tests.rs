use super::*;
use crate::metainfo::Metainfo;
use crate::pieces::PieceSet;
use glob::Pattern;

/// A torrent of pieces of 10 bytes whose files have these names and lengths; `.pad` marks a pad file.
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

fn select(metainfo: &Metainfo, globs: &[&str]) -> Result<Selection, Error> {
    let globs: Vec<_> = globs.iter().map(|glob| Pattern::new(glob).unwrap()).collect();
    Selection::new(metainfo, &globs)
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
    assert!(error.contains("`*.csv` covers no file") && error.contains("a.txt"), "{error}");
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
fn a_magnet_links_numbers_select_like_globs() {
    let metainfo = torrent(&[("a", 3), ("b", 3), ("c", 3), ("d", 1)]);
    let of = |numbers: &[(u32, u32)]| Selection::of(&metainfo, &[], numbers);
    assert_eq!(of(&[(0, 0), (2, 3), (3, 3)]).unwrap().files(), [0, 2, 3]);
    assert_eq!(of(&[(1, 2)]).unwrap().id(), select(&metainfo, &["b", "c"]).unwrap().id());
    assert_eq!(of(&[(0, 3)]).unwrap().id(), metainfo.infohash.to_string());
    let error = of(&[(1, 1), (2, 4)]).unwrap_err().to_string();
    assert!(error.contains("names file 4") && error.contains("4 files, numbers 0 to 3"), "{error}");
    let globs = [Pattern::new("a").unwrap()];
    let error = Selection::of(&metainfo, &globs, &[(0, 0)]).unwrap_err().to_string();
    assert!(error.contains("both select files"), "{error}");
}

#[test]
fn unselected_files_may_have_names_that_cannot_be_stored_everywhere() {
    let metainfo = torrent(&[("a", 3), ("A", 3)]);
    let error = select(&metainfo, &[]).unwrap_err().to_string();
    assert!(error.contains("case alone") && error.contains("`files`"), "{error}");
    assert!(select(&metainfo, &["a"]).is_ok());
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
                Place::File { file, offset } => format!("file {file}+{offset}"),
                Place::Scratch { offset } => format!("scratch+{offset}"),
                Place::Zeros => "zeros".into(),
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
    assert_eq!(layout.needed_bytes(), 25);
    assert_eq!(
        shown(&layout, 0..25),
        ["0-4 of 0+0: file 0+0", "4-10 of 2+0: zeros", "10-25 of 3+0: file 2+0"]
    );
    assert_eq!(
        shown(&layout, 2..12),
        ["2-4 of 0+2: file 0+2", "4-10 of 2+0: zeros", "10-12 of 3+0: file 2+0"]
    );
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
    let check = |bytes, manifest, user, parts: &[&str]| {
        let result =
            Limit { manifest, user, call: None, foreign: false }.check("big", bytes, "the user");
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
    let capped = Limit { manifest: None, user: Some(GIB), call: None, foreign: false };
    let error = capped.check("big", 2 * GIB, "the user").unwrap_err().to_string();
    assert!(!error.contains("add this line"), "it would not help: {error}");
}

#[test]
fn the_manifest_of_a_dependency_lowers_the_limit_and_does_not_raise_it() {
    const GIB: u64 = 1 << 30;
    let check = |bytes, manifest, user, part: &str| {
        let result =
            Limit { manifest, user, call: None, foreign: true }.check("big", bytes, "the user");
        assert_eq!(result.is_ok(), part.is_empty());
        let error = result.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains(part) && !error.contains("add this line"), "{error}");
    };
    check(GIB, Some(9 * GIB), None, "");
    check(2 * GIB, Some(9 * GIB), None, "to allow it: ACADEMICTORRENTS_MAX_SIZE=2GiB cargo build");
    check(2 * GIB, Some(9 * GIB), None, "dependency cannot raise");
    check(2 * GIB, None, None, "ACADEMICTORRENTS_MAX_SIZE=2GiB");
    check(2 * GIB, Some(9 * GIB), Some(3 * GIB), "");
    check(2 * GIB, Some(GIB), Some(3 * GIB), "ask the package's authors");
}
