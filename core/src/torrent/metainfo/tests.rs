use std::collections::HashMap;
use std::path::{Component, Path};

use proptest::prelude::*;

use super::*;
use crate::torrent::bencode::variants;

fn entry(path: &[&[u8]], length: u64) -> String {
    let components: String =
        path.iter().map(|c| format!("{}:{}", c.len(), String::from_utf8_lossy(c))).collect();
    format!("d6:lengthi{length}e4:pathl{components}ee")
}

fn multi(files: &[(&[&[u8]], u64)]) -> Vec<u8> {
    let total: u64 = files.iter().map(|(_, length)| length).sum();
    let entries: String = files.iter().map(|(path, length)| entry(path, *length)).collect();
    let pieces = "x".repeat(total.div_ceil(8) as usize * 20);
    format!(
        "d4:infod5:filesl{entries}e4:name4:root12:piece lengthi8e6:pieces{}:{pieces}ee",
        pieces.len()
    )
    .into_bytes()
}

fn single(info: &str) -> Vec<u8> {
    format!("d4:info{info}e").into_bytes()
}

#[test]
fn a_single_file_torrent() {
    let info = "d6:lengthi10e4:name5:a.bin12:piece lengthi7e6:pieces40:aaaaaaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbbbbbe";
    let metainfo = Metainfo::parse(&single(info)).unwrap();
    assert_eq!(metainfo.infohash, Infohash::from_bytes(Sha1::digest(info.as_bytes())));
    assert_eq!(metainfo.raw_info().len() as u64, info.len() as u64);
    let torrent = format!("d8:announce1:x4:info{info}e");
    assert_eq!(Metainfo::parse(torrent.as_bytes()).unwrap().raw_info(), info.as_bytes());
    assert!(!metainfo.multi);
    assert_eq!(metainfo.layout_path(&metainfo.files[0]), PathBuf::from("a.bin"));
    assert_eq!(metainfo.display_path(&metainfo.files[0]), "a.bin");
    assert_eq!(metainfo.geometry.len(1), 3);
    assert_eq!(metainfo.piece_hash(1), Some([b'b'; 20]));
    assert_eq!(metainfo.piece_hash(2), None);
}

#[test]
fn a_private_torrent_says_so_within_info() {
    let check = |key: &str, expected| {
        let info = format!("d6:lengthi0e4:name1:a12:piece lengthi7e6:pieces0:{key}e");
        // Outside of `info`, anyone could have added the key.
        let torrent = format!("d4:info{info}7:privatei1ee");
        assert_eq!(Metainfo::parse(torrent.as_bytes()).unwrap().private, expected, "{key}");
    };
    check("", false);
    check("7:privatei1e", true);
    check("7:privatei0e", false);
    check("7:private1:1", false);
}

#[test]
fn one_file_in_a_folder_stays_in_its_folder() {
    let metainfo = Metainfo::parse(&multi(&[(&[b"a"], 3)])).unwrap();
    assert!(metainfo.multi);
    assert_eq!(metainfo.layout_path(&metainfo.files[0]), PathBuf::from("root/a"));
}

#[test]
fn files_lie_one_behind_the_other() {
    let metainfo =
        Metainfo::parse(&multi(&[(&[b"d", b"a"], 3), (&[b"e"], 0), (&[b"b"], 9)])).unwrap();
    let ranges: Vec<_> = metainfo.files.iter().map(TorrentFile::range).collect();
    assert_eq!(ranges, [0..3, 3..3, 3..12]);
    assert_eq!(metainfo.display_path(&metainfo.files[0]), "d/a");
}

#[test]
fn paths_that_leave_the_directory_make_the_torrent_malformed() {
    let check = |path: &[&[u8]], part: &str| {
        let error = Metainfo::parse(&multi(&[(path, 3)])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Metainfo);
        assert!(error.to_string().contains(part), "{error}");
    };
    check(&[b"..", b"etc"], "leaves its directory");
    check(&[b"."], "is empty");
    check(&[b"/etc/passwd"], "`/` inside");
    check(&[b""], "is empty");
    check(&[b"", b".."], "leaves its directory");
    check(&[], "is empty");
    check(&[b"a\0b"], "NUL");
    // Too long to be split.
    check(&[b"a", &[&b"d"[..], &[b'/'; 2_047], b"a"].concat()], "`/` inside");
    check(&vec![&b"n"[..]; 65], "more than 64 components");
}

/// A torrent of empty files with these paths.
fn of_paths(paths: &[Vec<Vec<u8>>]) -> Vec<u8> {
    let mut torrent = b"d4:infod5:filesl".to_vec();
    for path in paths {
        torrent.extend(b"d6:lengthi0e4:pathl");
        for component in path {
            torrent.extend(format!("{}:", component.len()).bytes());
            torrent.extend(component);
        }
        torrent.extend(b"ee");
    }
    torrent.extend(b"e4:name4:root12:piece lengthi8e6:pieces0:ee");
    torrent
}

/// Returns the result of [`check_storable`] for all paths on Windows.
fn portable(paths: &[Vec<Vec<u8>>]) -> Result<u64, paths::OddPath> {
    if paths.is_empty() {
        return check_storable(Vec::new(), Platform::Windows);
    }
    let metainfo = Metainfo::parse(&of_paths(paths)).unwrap();
    for (file, path) in metainfo.files.iter().zip(paths) {
        assert_eq!(metainfo.components(file).collect::<Vec<_>>(), *path);
    }
    let components = metainfo.files.iter().map(|file| metainfo.components(file));
    check_storable(components.collect(), Platform::Windows)
}

#[test]
fn names_that_other_platforms_cannot_store_are_refused_where_selected() {
    let check = |paths: &[&[&[u8]]], expected: Result<u64, &str>| {
        let paths: Vec<Vec<Vec<u8>>> =
            paths.iter().map(|path| path.iter().map(|c| c.to_vec()).collect()).collect();
        match (portable(&paths), expected) {
            (Err(why), Err(part)) => assert!(why.to_string().contains(part), "{why}"),
            (found, expected) => assert_eq!(found.ok(), expected.ok(), "{paths:?}"),
        }
    };
    check(&[&[b"a", b"b"], &[b"a", b"c"], &[b"a b.txt"], &["é".as_bytes()]], Ok(1));
    check(&[&[b"a", b"x", b"b"], &[b"b", b"x", b"c"], &[b"a", b"y"], &[b"a", b"x", b"z"]], Ok(4));
    check(&[&[b"a", b"b"], &[b"ab"], &[b"a", b"bc"], &[b"abc", b"d"]], Ok(2));
    check(&[&[b"a\\b"]], Err(r"`\\`"));
    check(&[&[b"a:b"]], Err("`:`"));
    check(&[&[b"a."]], Err("dot"));
    check(&[&[b"d", b"a "]], Err("dot or a space"));
    check(&[&[b"a"], &[b"b"], &[b"a"]], Err("twice"));
    check(&[&[b"a"], &[b"aa"], &[b"a", b"b"]], Err("twice"));
    check(&[&[b"a", b"b"], &[b"a"]], Err("twice"));
    check(&[&[b"d", b"a", b"b"], &[b"d", b"c"], &[b"d", b"a"]], Err("`d/a` occurs twice"));
}

#[test]
fn names_of_windows_devices_are_refused() {
    let check = |name: &str, is_device: bool| {
        for name in [name.to_owned(), name.to_lowercase(), format!("d/{name}"), format!("{name}/d")]
        {
            let path = name.split('/').map(|it| it.as_bytes().to_vec()).collect();
            let found = portable(&[path]);
            assert_eq!(
                found.is_err_and(|why| why.to_string().contains("device")),
                is_device,
                "{name}"
            );
        }
    };
    let numbered = ["COM", "LPT"]
        .iter()
        .flat_map(|port| "0123456789¹²³".chars().map(move |digit| format!("{port}{digit}")));
    let others = ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"].map(str::to_owned);
    for device in numbered.chain(others) {
        for end in ["", ".txt", ".tar.gz", " .txt", "  .a b", ".¹", ". x"] {
            check(&format!("{device}{end}"), true);
        }
        for end in ["x", "1", "-1.txt", "_", "¹", " x"] {
            check(&format!("{device}{end}"), false);
        }
        check(&format!("x{device}"), false);
        check(&format!("x.{device}"), false);
    }
    for name in
        ["COM", "LPT", "COM⁴", "COM½", "LPT⁰", "¹", "CONIN", "CONOUT", "CONERR$", "NU", "²³"]
    {
        check(name, false);
    }
    assert!(check_storable_name("CONOUT$.x".as_bytes(), Platform::Windows).is_err());
    assert!(check_storable_name("COM²".as_bytes(), Platform::Windows).is_err());
}

#[test]
fn each_platform_stores_what_it_can() {
    use Platform::{Linux, MacOs, Windows};
    let check = |name: &[u8], stored_on: &[Platform]| {
        for on in [Windows, MacOs, Linux] {
            let found = check_storable_name(name, on);
            assert_eq!(found.is_ok(), stored_on.contains(&on), "{} on {on}", name.escape_ascii());
        }
    };
    for name in ["a", "a b.txt", "é", "数据", ".hidden", "!x", "[a]", "..a", "a..b"] {
        check(name.as_bytes(), &[Windows, MacOs, Linux]);
    }
    for name in [
        "a:b",
        "why?",
        "\"q\"",
        "a|b",
        "<a>",
        "*",
        "a.",
        "a...",
        "a ",
        "aux.txt",
        "COM1",
        "NUL",
        "Orbits: High Res",
    ] {
        check(name.as_bytes(), &[MacOs, Linux]);
    }
    check(b"caf\xe9", &[Linux]);
    check(&[b'n'; 255], &[Windows, MacOs, Linux]);
    for name in
        [&[b'n'; 256][..], "é".repeat(128).as_bytes(), b"a\\b", b"a\nb", b"\x1b[2J", b"\x01"]
    {
        check(name, &[]);
    }
    let long = vec![vec![b'n'; 200]; 11];
    let metainfo = Metainfo::parse(&of_paths(&[long])).unwrap();
    let path = metainfo.components(&metainfo.files[0]);
    let why = check_storable(vec![path], Linux).unwrap_err().to_string();
    assert!(why.contains("longer than 2048 bytes") && why.len() < 160, "{why}");
}

#[test]
fn a_name_is_proposed_that_any_platform_stores() {
    let check = |name: &[u8], proposed: &str| {
        assert_eq!(storable_name(name), proposed);
        assert!(check_given_name(proposed).is_ok(), "{proposed}");
    };
    check(b"Orbits: High Res", "Orbits_ High Res");
    check(b"why?.", "why_");
    check(b"aux.txt", "_aux.txt");
    check(b"caf\xe9", "caf");
    check(b"...", "data");
    check(b"\xff", "data");
    check(b"a/\n\\b", "a___b");
    check("é".repeat(200).as_bytes(), &"é".repeat(50));
    for odd in ["", ".", "..", "a/b", "a\\b", "a:b", "aux", "a.", "a ", "a\n", "a\0"] {
        assert!(check_given_name(odd).is_err(), "{odd:?}");
    }
}

#[test]
fn empty_components_are_none_and_empty_files_may_stand_for_directories() {
    let check = |paths: &[(&[&str], u64)], expected: &[(&str, FileKind)]| {
        let files: Vec<(Vec<&[u8]>, u64)> = paths
            .iter()
            .map(|(path, length)| (path.iter().map(|it| it.as_bytes()).collect(), *length))
            .collect();
        let files: Vec<(&[&[u8]], u64)> =
            files.iter().map(|(path, length)| (&path[..], *length)).collect();
        let torrent = multi(&files);
        let metainfo = Metainfo::parse(&torrent).map_err(|why| why.to_string()).unwrap();
        let found: Vec<_> = metainfo
            .files
            .iter()
            .map(|file| (String::from_utf8(metainfo.components(file).joined()).unwrap(), file.kind))
            .collect();
        let expected: Vec<_> =
            expected.iter().map(|(path, kind)| ((*path).to_owned(), *kind)).collect();
        assert_eq!(found, expected, "{paths:?}");
        assert_eq!(
            metainfo.layout_path(&metainfo.files[0]),
            ["root", expected[0].0.as_str()]
                .iter()
                .filter(|it| !it.is_empty())
                .collect::<PathBuf>()
        );
        // `info` is unchanged.
        assert!(torrent.windows(metainfo.raw_info().len()).any(|it| it == metainfo.raw_info()));
    };
    use FileKind::{Data, Directory};
    check(&[(&["", "a"], 3)], &[("a", Data)]);
    // Not split by the program that wrote the torrent.
    check(&[(&["a/b"], 3), (&["d", "e//f/./c"], 5)], &[("a/b", Data), ("d/e/f/c", Data)]);
    check(&[(&["d/"], 0), (&["d/", "a"], 3)], &[("d", Directory), ("d/a", Data)]);
    check(&[(&["d"], 0), (&["d/a"], 3)], &[("d", Directory), ("d/a", Data)]);
    let longest = format!("d{}a", "/".repeat(2_046));
    check(&[(&[&longest], 3)], &[("d/a", Data)]);
    check(&[(&["a", "", "b"], 3), (&["", "", "c", ""], 5)], &[("a/b", Data), ("c", Data)]);
    check(&[(&[".", "a"], 3), (&["b", ".", "c"], 5)], &[("a", Data), ("b/c", Data)]);
    check(&[(&["d", "."], 0), (&["d", "a"], 3)], &[("d", Directory), ("d/a", Data)]);
    check(&[(&["d", ""], 0), (&["d", "a"], 3)], &[("d", Directory), ("d/a", Data)]);
    check(&[(&["a"], 3), (&["e", "f", ""], 0)], &[("a", Data), ("e/f", Directory)]);
    check(
        &[(&["d"], 0), (&["d", "e"], 0), (&["d", "e", "a"], 3)],
        &[("d", Directory), ("d/e", Directory), ("d/e/a", Data)],
    );
    check(
        &[(&["d", "e", "a"], 3), (&["x"], 1), (&["d"], 0)],
        &[("d/e/a", Data), ("x", Data), ("d", Directory)],
    );
    check(
        &[(&["d"], 0), (&["da"], 3), (&["d b", "c"], 3)],
        &[("d", Data), ("da", Data), ("d b/c", Data)],
    );
    check(&[(&[], 0), (&[""], 0), (&["a"], 3)], &[("", Directory), ("", Directory), ("a", Data)]);
}

/// The expected result of [`check_storable`], from a map of all entries: the number of directories,
/// or `None` if something occurs twice.
fn twice(paths: &[Vec<Vec<u8>>]) -> Option<u64> {
    let mut entries: HashMap<&[Vec<u8>], bool> = HashMap::new();
    for path in paths {
        for depth in 1..=path.len() {
            let is_file = depth == path.len();
            match entries.insert(&path[..depth], is_file) {
                Some(was_file) if is_file || was_file => return None,
                _ => {}
            }
        }
    }
    Some(entries.values().filter(|is_file| !**is_file).count() as u64)
}

proptest! {
    #[test]
    fn directories_are_counted_and_twins_found_however_the_paths_are_sorted(
        paths in proptest::collection::vec(proptest::collection::vec("[ab]{1,2}|[1é]{1,12}", 1..5), 0..12),
        sorted: bool,
    ) {
        let mut paths: Vec<Vec<Vec<u8>>> =
            paths.into_iter().map(|path| path.into_iter().map(String::into_bytes).collect()).collect();
        if sorted {
            paths.sort();
        }
        prop_assert_eq!(portable(&paths).ok(), twice(&paths));
    }
}

#[test]
fn what_is_no_torrent_is_refused_with_the_reason() {
    let check = |bytes: &[u8], part: &str| {
        let error = Metainfo::parse(bytes).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    };
    check(b"", "it is empty");
    check(b" \n<html>\n<body>", "it begins with `<html>`, as a web page does");
    check(b"<!DOCTYPE html PUBLIC", "it begins with `<!DOCTYPE html PUBLI`");
    check(b"\x1f\x8b\x08", "it begins with ``, as a file compressed with gzip does");
    check(b"\x1f\x8b\x08", "help: decompress it");
    check(b"4:info", "it begins with `4:info`");
    check(b"<html>", "help: download it again");
    let whole = single("d6:lengthi7e4:name1:a12:piece lengthi7e6:pieces20:aaaaaaaaaaaaaaaaaaaae");
    Metainfo::parse(&whole).unwrap();
    (1..whole.len()).for_each(|cut| check(&whole[..cut], "the file is truncated"));
    check(&whole[..9], "help: download it again");
    check(b"de", "no `info`");
    check(b"d4:infoi1ee", "`info` is not a dictionary");
    check(&single("d4:name1:a12:piece lengthi7e6:pieces0:e"), "`length` is missing");
    check(&single("d6:lengthi-1e4:name1:ae"), "negative");
    check(&single("d6:lengthi1e4:name1:a12:piece lengthi0e6:pieces0:e"), "piece length of 0");
    check(&single("d6:lengthi1e4:name1:a12:piece lengthi7e6:pieces0:e"), "`pieces` has 0 bytes");
    for v2 in ["12:meta versioni2e", "9:file treede", "12:meta versioni2e6:pieces0:"] {
        check(&single(&format!("d{v2}4:name1:ae")), "v2-only");
    }
    check(&multi(&[]), "`files` is empty");
    let huge = entry(&[b"a"], i64::MAX as u64).repeat(3);
    check(&single(&format!("d5:filesl{huge}e4:name1:re")), "2^64");
}

/// Such a name is never used on disk; the user has to choose another.
#[test]
fn a_name_that_is_no_file_name_is_stored_under_another() {
    for (name, why) in [
        ("..", "leaves its directory"),
        (".", "leaves its directory"),
        ("", "has an empty component"),
        ("a/b", "has a `/` inside a component"),
        ("/etc/passwd", "has a `/` inside a component"),
        ("a\0b", "has a NUL byte"),
    ] {
        let info = format!(
            "d6:lengthi10e4:name{}:{name}12:piece lengthi16e6:pieces20:aaaaaaaaaaaaaaaaaaaae",
            name.len()
        );
        let metainfo = Metainfo::parse(&single(&info)).unwrap();
        let error = metainfo.check_stored_name(Platform::HERE).unwrap_err().to_string();
        assert!(error.contains(why), "{name:?}: {error}");
        let is_one = |path: PathBuf| path.components().all(|it| matches!(it, Component::Normal(_)));
        let file = metainfo.files[0];
        assert!(is_one(metainfo.root_path()) && is_one(metainfo.layout_path(&file)), "{name:?}");
        assert!(is_one(metainfo.path_in_mirror(&file)), "{name:?}");
        let metainfo = metainfo.renamed(Some("other"));
        metainfo.check_stored_name(Platform::HERE).unwrap();
        assert_eq!(metainfo.root_path(), Path::new("other"));
    }
}

const SMALL: &str = "d6:lengthi10e4:name5:a.bin12:piece lengthi16e6:pieces20:aaaaaaaaaaaaaaaaaaaae";

#[test]
fn what_is_outside_of_info_is_read_with_tolerance() {
    let outer = format!("d8:announce3:u:a4:info{SMALL}8:url-list3:u:we");
    for torrent in variants::of(outer.as_bytes()) {
        let shown = torrent.escape_ascii().to_string();
        let metainfo = Metainfo::parse(&torrent);
        if torrent.windows(6).filter(|it| it == b"4:info").count() > 1 {
            let why = metainfo.unwrap_err().to_string();
            assert!(why.contains("`info` occurs twice, at byte 1"), "{why}");
            continue;
        }
        let metainfo = metainfo.map_err(|why| format!("{shown}: {why}")).unwrap();
        assert_eq!(
            metainfo.infohash,
            Infohash::from_bytes(Sha1::digest(SMALL.as_bytes())),
            "{shown}"
        );
        assert_eq!(metainfo.raw_info(), SMALL.as_bytes());
        assert_eq!(metainfo.trackers, [["u:a"]], "{shown}");
        assert_eq!(metainfo.web_seeds, ["u:w"], "{shown}");
        assert_eq!(Metainfo::infohash_of(&torrent).unwrap(), metainfo.infohash);
        assert!(Metainfo::comment_of(&torrent).is_none());
        Metainfo::without_passkeys(&torrent).unwrap();
    }
    // Optional keys with values of any type, also inside lists.
    let values = variants::ODD_VALUES.iter().copied().chain(["le", "de", "llllleeeee"]);
    for value in values {
        for key in [
            "13:creation date",
            "7:comment",
            "10:created by",
            "8:encoding",
            "5:nodes",
            "8:announce",
            "13:announce-list",
            "8:url-list",
            "9:httpseeds",
        ] {
            for value in [value.to_owned(), format!("l{value}3:u:bl{value}3:u:cee")] {
                let torrent = format!("d{key}{value}4:info{SMALL}7:comment1:x7:comment1:ye");
                let metainfo = Metainfo::parse(torrent.as_bytes())
                    .map_err(|why| format!("{torrent}: {why}"))
                    .unwrap();
                assert_eq!(metainfo.raw_info(), SMALL.as_bytes());
                if key == "8:url-list"
                    && value.starts_with('l')
                    && value != "le"
                    && !value.starts_with("lll")
                {
                    assert!(metainfo.web_seeds.contains(&"u:b".into()), "{torrent}");
                }
            }
        }
    }
}

#[test]
fn unknown_keys_of_info_may_hold_anything() {
    let deep = [b"l".repeat(5_000), b"e".repeat(5_000)].concat();
    let deep = String::from_utf8(deep).unwrap();
    for value in variants::ODD_VALUES.iter().copied().chain([&deep[..]]) {
        for key in ["0:", "6:~extra", "01:z", "9:file tree", "6:source", "12:meta version"] {
            let info = format!("d{key}{value}{}", &SMALL[1..]);
            let twice = format!("d{key}{value}{}{key}{value}e", &SMALL[1..SMALL.len() - 1]);
            let file = format!("d{key}{value}6:lengthi1e{key}{value}4:pathl1:aee");
            let files = format!(
                "d5:filesl{file}e4:name1:r12:piece lengthi16e6:pieces20:aaaaaaaaaaaaaaaaaaaae"
            );
            for info in [info, twice, files] {
                let found = Metainfo::parse(&single(&info))
                    .map_err(|why| format!("{info}: {why}"))
                    .unwrap();
                assert_eq!(found.infohash, Infohash::from_bytes(Sha1::digest(info.as_bytes())));
            }
        }
    }
}

#[test]
fn what_info_says_of_the_data_is_exact() {
    let check = |info: &str, key: &str| {
        let why = Metainfo::parse(&single(info)).unwrap_err().to_string();
        assert!(why.contains(&format!("`{key}` in `info`: ")), "{info}: {why}");
    };
    let pieces = "6:pieces20:aaaaaaaaaaaaaaaaaaaa";
    for length in ["i010e", "i-0e", "i+10e", "i10.0e", "i99999999999999999999e", "ie"] {
        check(&format!("d6:length{length}4:name1:a12:piece lengthi16e{pieces}e"), "length");
        check(&format!("d6:lengthi1e4:name1:a12:piece length{length}{pieces}e"), "piece length");
        check(
            &format!("d6:lengthi1e4:name1:a12:piece lengthi16e{pieces}7:private{length}e"),
            "private",
        );
        let file = format!("d6:length{length}4:pathl1:aee");
        check(&format!("d5:filesl{file}e4:name1:a12:piece lengthi16e{pieces}e"), "length");
    }
    check(&format!("d6:lengthi1e4:name01:a12:piece lengthi16e{pieces}e"), "name");
    check("d6:lengthi1e4:name1:a12:piece lengthi16e6:pieces020:aaaaaaaaaaaaaaaaaaaae", "pieces");
    // A second copy of any of these keys could describe another torrent.
    for twice in [
        "4:name1:b",
        "6:lengthi1e",
        "12:piece lengthi16e",
        pieces,
        "7:privatei1e7:privatei0e",
        "5:filesle5:filesle",
        "10:name.utf-81:b10:name.utf-81:c",
        "4:attr1:x4:attr1:l",
        "4:attr1:l4:attr1:x",
    ] {
        let key = twice[twice.find(':').unwrap() + 1..].split(['i', 'l', '1', '2']).next();
        let info = format!("d6:lengthi1e4:name1:a12:piece lengthi16e{pieces}{twice}e");
        let why = Metainfo::parse(&single(&info)).unwrap_err().to_string();
        assert!(why.contains("in `info`: a duplicate key"), "{key:?}: {why}");
    }
    for file in [
        "d6:lengthi1e6:lengthi2e4:pathl1:aee",
        "d6:lengthi1e4:pathl1:ae4:pathl1:bee",
        "d6:lengthi1e4:pathl01:aee",
        "d4:attr1:x4:attr1:p6:lengthi1e4:pathl1:aee",
    ] {
        let info = format!("d5:filesl{file}e4:name1:a12:piece lengthi16e{pieces}e");
        let why = Metainfo::parse(&single(&info)).unwrap_err().to_string();
        assert!(why.contains("` in `info`: a "), "{file}: {why}");
    }
}

#[test]
fn each_key_that_is_read_is_exact() {
    let reads = [include_str!("mod.rs"), include_str!("files.rs")];
    let keys = reads.iter().flat_map(|code| code.split("info.get(b\"").skip(1));
    let mut keys: std::collections::BTreeSet<_> =
        keys.filter_map(|rest| Some(rest.split_once('"')?.0.as_bytes())).collect();
    // Only chooses the error of a torrent without `pieces`.
    assert!([&b"meta version"[..], b"file tree"].iter().all(|key| keys.remove(key)));
    assert_eq!(keys, INFO_KEYS.into_iter().collect());
}

#[test]
fn bytes_behind_an_info_that_peers_send_are_part_of_its_hash() {
    let info = [SMALL.as_bytes(), b"\n"].concat();
    let declared = Infohash::from_bytes(Sha1::digest(&info));
    let found = Metainfo::parse(&Metainfo::wrap(&info, &[]));
    assert!(found.and_then(|found| found.expect(declared)).is_err());
}

/// A hybrid v1 and v2 torrent, whose file tree is this many directories deep.
fn hybrid(depth: usize) -> Vec<u8> {
    let v1: String = (0..depth).map(|n| format!("{}:d{n}", 1 + n.to_string().len())).collect();
    let v2: String = (0..depth).map(|n| format!("d{}:d{n}", 1 + n.to_string().len())).collect();
    let tree = format!(
        "d4:root{v2}d1:fd0:d6:lengthi7e11:pieces root32:{}eee{}e",
        "r".repeat(32),
        "e".repeat(depth)
    );
    single(&format!(
        "d9:file tree{tree}5:filesld6:lengthi7e4:pathl{v1}1:feee12:meta versioni2e4:name4:root12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaae"
    ))
}

#[test]
fn a_hybrid_torrent_is_read_wherever_its_v1_part_is() {
    for depth in [0, 1, 5, 11, 12, 13, 20, 40, 63] {
        let found =
            Metainfo::parse(&hybrid(depth)).map_err(|why| format!("{depth}: {why}")).unwrap();
        assert_eq!(found.components(&found.files[0]).count(), depth + 1);
    }
    // Then the v1 path is too deep.
    assert!(
        Metainfo::parse(&hybrid(64)).unwrap_err().to_string().contains("more than 64 components")
    );
}

/// An `info` of a folder with one file, whose entry has these keys; `after` has the other keys of
/// `info`.
fn folder_of(file: &[u8], after: &[u8]) -> Vec<u8> {
    let (begin, end) =
        (b"d4:infod5:filesld6:lengthi1e", b"12:piece lengthi16e6:pieces20:aaaaaaaaaaaaaaaaaaaaee");
    [&begin[..], file, b"ee", after, end].concat()
}

#[test]
fn names_in_utf_8_win_where_they_are_valid() {
    let check = |file: &[u8], info: &[u8], path: &str| {
        let found = Metainfo::parse(&folder_of(file, info)).map_err(|why| why.to_string()).unwrap();
        let components = found.components(&found.files[0]).map(|it| it.escape_ascii().to_string());
        let own = found.name.escape_ascii().to_string();
        let whole: Vec<_> = std::iter::once(own).chain(components).collect();
        assert_eq!(whole.join("/"), path);
    };
    let (old_name, old_path) = (&b"4:name1:\xe9"[..], &b"4:pathl1:d2:\xe9.e"[..]);
    let old = r"\xe9/d/\xe9.";
    check(old_path, old_name, old);
    check(
        &[old_path, b"10:path.utf-8l1:e1:fe"].concat(),
        &[old_name, b"10:name.utf-81:n"].concat(),
        "n/e/f",
    );
    check(&[old_path, b"10:path.utf-8l3:e/fe"].concat(), b"10:name.utf-81:n", "n/e/f");
    // Without the legacy key, and in either order.
    check(b"10:path.utf-8l1:fe", b"10:name.utf-81:n", "n/f");
    check(
        &[b"10:path.utf-8l1:fe", old_path].concat(),
        &[b"10:name.utf-81:n", old_name].concat(),
        "n/f",
    );
    for none in [
        &b"i7e"[..],
        b"le",
        b"1:f",
        b"l2:\xe9.e",
        b"li7ee",
        b"l2:..e",
        b"l4:a/..e",
        b"l1:\0e",
        b"de",
        b"ll1:fee",
    ] {
        check(&[old_path, b"10:path.utf-8", none].concat(), old_name, old);
    }
    for none in [&b"i7e"[..], b"0:", b"le", b"2:..", b"3:a/b", b"1:\0", b"1:\xe9", b"l1:ne"] {
        check(old_path, &[old_name, b"10:name.utf-8", none].concat(), old);
    }
    // A valid `path.utf-8` is used although `path` is unsafe.
    let unsafe_path = folder_of(b"4:pathl2:..e10:path.utf-8l1:fe", b"4:name1:n");
    assert_eq!(
        Metainfo::parse(&unsafe_path)
            .unwrap()
            .layout_path(&Metainfo::parse(&unsafe_path).unwrap().files[0]),
        PathBuf::from("n/f")
    );
    let single = b"d4:infod6:lengthi1e4:name1:\xe910:name.utf-82:\xc3\xa912:piece lengthi16e6:pieces20:aaaaaaaaaaaaaaaaaaaaee";
    assert_eq!(Metainfo::parse(single).unwrap().name, "é".as_bytes());
}

#[test]
fn pad_files_are_marked_and_their_names_do_not_matter() {
    let bytes = b"d4:infod5:filesld6:lengthi3e4:pathl1:aeed4:attr1:p6:lengthi5e4:pathl4:.pad1:5eed6:lengthi8e4:pathl1:beee\
        4:name4:root12:piece lengthi8e6:pieces40:aaaaaaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbbbbbee";
    let metainfo = Metainfo::parse(bytes).unwrap();
    assert_eq!(
        metainfo.files.iter().map(|file| file.is_pad()).collect::<Vec<_>>(),
        [false, true, false]
    );
}

#[test]
fn sources_as_real_torrents_hold_them() {
    let info = "4:infod6:lengthi0e4:name1:a12:piece lengthi7e6:pieces0:e";
    let check = |before: &str, after: &str, trackers: &[&[&str]], web_seeds: &[&str]| {
        let metainfo = Metainfo::parse(format!("d{before}{info}{after}e").as_bytes()).unwrap();
        assert_eq!(metainfo.trackers, trackers);
        assert_eq!(metainfo.web_seeds, web_seeds);
    };
    check("8:announce3:u:a13:announce-listll0:ee", "", &[&["u:a"]], &[]);
    check("8:announce3:u:a13:announce-listll3:u:b0:el3:u:cee", "", &[&["u:b"], &["u:c"]], &[]);
    // A string in place of a list or tier, several URLs in one string, nested lists, and values of
    // other types.
    check("13:announce-list3:u:b", "", &[&["u:b"]], &[]);
    check("8:announce3:u:a13:announce-list0:", "", &[&["u:a"]], &[]);
    check("8:announce3:u:a13:announce-listi1e", "", &[&["u:a"]], &[]);
    check("13:announce-list11:x://b,x://c", "", &[&["x://b"], &["x://c"]], &[]);
    check("13:announce-listl3:u:b3:u:ce", "", &[&["u:b"], &["u:c"]], &[]);
    check("13:announce-listl11:x://b\nx://ce", "", &[&["x://b", "x://c"]], &[]);
    check("13:announce-listlll3:u:bel3:u:cei1eee", "", &[&["u:b", "u:c"]], &[]);
    check("8:announcel3:u:a3:u:be", "", &[&["u:a"], &["u:b"]], &[]);
    check("8:announce11:x://a x://b", "", &[&["x://a"], &["x://b"]], &[]);
    check("", "8:url-listl0:e", &[], &[]);
    check("", "8:url-list3:u:w", &[], &["u:w"]);
    check("", "8:url-listl3:u:v3:u:we", &[], &["u:v", "u:w"]);
    check("", "8:url-listll3:u:vel3:u:w0:ei7ed1:a3:u:xee", &[], &["u:v", "u:w"]);
    // Several in one string. A space that is not before a URL belongs to a path.
    check("", "8:url-list14:u://v\n\nu://w x", &[], &["u://v", "u://w x"]);
    check("", "8:url-listl12:u://v, u://w3:u:xe", &[], &["u://v", "u://w", "u:x"]);
    check("", "8:url-list11:u://v,u://w", &[], &["u://v", "u://w"]);
    check("", "8:url-list11:u://v/a,b,c", &[], &["u://v/a,b,c"]);
}

#[test]
fn another_torrent_than_the_declared_one_is_refused() {
    let metainfo = Metainfo::parse(&multi(&[(&[b"a"], 3)])).unwrap();
    let declared = Infohash::from_bytes([7; 20]);
    let error = metainfo.clone().expect(declared).unwrap_err().to_string();
    assert!(
        error.contains(&declared.to_string()) && error.contains(&metainfo.infohash.to_string()),
        "{error}"
    );
}

#[test]
fn a_comment_is_read_so_far_as_it_is_of_use() {
    let with = |comment: &str| format!("d7:comment{comment}4:infodee");
    let comment = |torrent: String| Metainfo::comment_of(torrent.as_bytes());
    assert_eq!(comment(with("3:a\"b")), Some("a\"b".to_owned()));
    assert_eq!(comment(with("i7e")), None);
    assert_eq!(comment("d4:infodee".to_owned()), None);
    assert_eq!(comment("no torrent".to_owned()), None);
    let long = format!("{}:{}", 20_000, "x".repeat(20_000));
    assert_eq!(comment(with(&long)).unwrap().len(), 16 << 10);
}

/// Public tracker lists often consist of a single tier.
#[test]
fn of_a_long_tier_all_trackers_are_read() {
    let urls: Vec<String> = (0..150).map(|n| format!("http://t{n}/a")).collect();
    let tier: String = urls.iter().map(|url| format!("{}:{url}", url.len())).collect();
    let info =
        "4:infod6:lengthi10e4:name5:a.bin12:piece lengthi16e6:pieces20:aaaaaaaaaaaaaaaaaaaaee";
    let torrent = format!("d13:announce-listll{tier}el3:u:bee{info}");
    let metainfo = Metainfo::parse(torrent.as_bytes()).unwrap();
    let lengths: Vec<usize> = metainfo.trackers.iter().map(Vec::len).collect();
    assert_eq!(lengths, [64, 64, 22, 1]);
    assert_eq!(metainfo.trackers[2][21].exposed(), "http://t149/a");
}

#[test]
fn an_info_dictionary_is_wrapped_with_trackers_that_fit() {
    let info = "d6:lengthi10e4:name5:a.bin12:piece lengthi16e6:pieces20:aaaaaaaaaaaaaaaaaaaae";
    let wrap = |tiers: &[Vec<Url>]| Metainfo::wrap(info.as_bytes(), tiers);
    assert_eq!(wrap(&[]), single(info));
    let tier = |urls: &[&str]| urls.iter().map(|url| Url::from(*url)).collect::<Vec<_>>();
    let long = format!("http://a/{}", "x".repeat(3_000));
    let torrent = wrap(&[tier(&[&long]), tier(&["http://a/", "udp://b:1"]), tier(&["http://c/"])]);
    let head =
        "d8:announce9:http://a/13:announce-listll9:http://a/9:udp://b:1el9:http://c/ee4:info";
    assert_eq!(torrent, format!("{head}{info}e").into_bytes());
    let metainfo = Metainfo::parse(&torrent).unwrap();
    assert_eq!(metainfo.infohash, Infohash::from_bytes(Sha1::digest(info.as_bytes())));
    assert_eq!(metainfo.trackers, [tier(&["http://a/", "udp://b:1"]), tier(&["http://c/"])]);
    let many: Vec<_> =
        (0..1_000).map(|n| vec![format!("http://{n}/{}", "x".repeat(2_000)).into()]).collect();
    assert!(wrap(&many).len() < MAX_TORRENT_BYTES - MAX_INFO_BYTES);
}

#[test]
fn passkeys_are_removed_and_nothing_else_is_touched() {
    let text = |text: &str| format!("{}:{text}", text.len());
    let torrent = |announce: &str, list: &str, seeds: &str, comment: &str| {
        let [announce, list, seeds, comment] = [announce, list, seeds, comment].map(text);
        // `info` is the dataset's identity and stays unchanged, even if it seems to contain a
        // passkey.
        format!(
            "d8:announce{announce}13:announce-listll{list}el9:udp://b:1ee7:comment{comment}\
             4:infod4:name30:http://t/announce?passkey=0000e8:url-listl{seeds}0:ee"
        )
    };
    let check = |given: [&str; 4], expected: [&str; 4], removed: usize, fixed: usize| {
        let [a, b, c, d] = given;
        let found = Metainfo::without_passkeys(torrent(a, b, c, d).as_bytes()).unwrap();
        let [a, b, c, d] = expected;
        assert_eq!(String::from_utf8(found.bytes).unwrap(), torrent(a, b, c, d));
        assert_eq!((found.removed.len(), found.fixed.len()), (removed, fixed), "{given:?}");
    };
    let (clean, seed) = ("https://a/announce.php", "http://s/?file=x");
    check([clean, clean, seed, "é"], [clean, clean, seed, "é"], 0, 0);
    let mine = "https://a/announce.php?passkey=00112233445566778899aabbccddeeff";
    check([mine, mine, seed, mine], [clean, clean, seed, clean], 1, 0);
    check([clean, mine, "http://s/?file=x&token=1", ""], [clean, clean, seed, ""], 2, 0);
    let fixed = "http://t/00112233445566778899aabbccddeeff/announce";
    check([mine, fixed, seed, fixed], [clean, fixed, seed, fixed], 1, 1);
    check([clean, clean, "http://u:p@s/", ""], [clean, clean, "http://u:p@s/", ""], 0, 1);
    // Several trackers in one string.
    let (several, left) =
        ([clean, "udp://b:1", mine].join(" "), [clean, "udp://b:1", clean].join(" "));
    check([&several, clean, seed, ""], [&left, clean, seed, ""], 1, 0);
    let (several, left) =
        ([mine, fixed, "http://c/a"].join(", "), [clean, fixed, "http://c/a"].join(", "));
    check([&several, clean, seed, ""], [&left, clean, seed, ""], 1, 1);
    let several = format!("{clean}?x=1\n{fixed}");
    check([&several, clean, seed, ""], [&several, clean, seed, ""], 0, 1);
    assert!(Metainfo::without_passkeys(b"no torrent").is_err());
}

#[test]
fn passkeys_of_very_many_trackers_are_removed_in_time() {
    let urls = |count: usize, passkey: &str| -> String {
        let url = |n| format!("http://t{n}.example/announce{passkey}");
        (0..count).map(url).map(|url| format!("{}:{url}", url.len())).collect()
    };
    let torrent = |urls: String| format!("d13:announce-listll{urls}ee4:info{SMALL}e");
    crate::tests::assert_linear(|count| {
        let found =
            Metainfo::without_passkeys(torrent(urls(count, "?passkey=1")).as_bytes()).unwrap();
        assert_eq!(found.bytes, torrent(urls(count, "")).into_bytes());
        assert_eq!((found.removed.len(), found.fixed.len()), (count, 0));
    });
}
