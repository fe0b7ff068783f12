use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

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
    assert_eq!(metainfo.info_bytes, info.len() as u64);
    let torrent = format!("d8:announce1:x4:info{info}e");
    assert_eq!(metainfo.raw_info(torrent.as_bytes()), Some(info.as_bytes().to_vec()));
    assert_eq!(metainfo.raw_info(&single(&info.replace("a.bin", "b.bin"))), None);
    assert_eq!(metainfo.raw_info(b""), None);
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
        // Outside of `info` it would be anyone's word.
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
    check(&[b"."], "leaves its directory");
    check(&[b"/etc/passwd"], "`/` inside");
    check(&[b""], "empty component");
    check(&[], "is empty");
    check(&[b"a\0b"], "NUL");
    check(&[&[b'n'; 300]], "300 bytes");
    check(&vec![&[b'n'; 200][..]; 20], "longer than");
    check(&vec![&b"n"[..]; 65], "more than 64 components");
}

#[test]
fn names_that_other_platforms_cannot_store_are_refused_where_selected() {
    let check = |paths: &[&[&[u8]]], part: &str| {
        let paths: Vec<Vec<Vec<u8>>> =
            paths.iter().map(|path| path.iter().map(|c| c.to_vec()).collect()).collect();
        let result = check_portable(&mut paths.iter().map(Vec::as_slice));
        if part.is_empty() {
            assert_eq!(result, Ok(()));
        } else {
            assert!(result.clone().unwrap_err().contains(part), "{result:?}");
        }
    };
    check(&[&[b"a", b"b"], &[b"a", b"c"], &[b"a b.txt"], &["é".as_bytes()]], "");
    check(&[&[b"a\\b"]], r"`\\`");
    check(&[&[b"aux.txt"]], "device");
    check(&[&[b"COM1"]], "device");
    check(&[&[b"lpt9 .txt"]], "device");
    check(&[&[b"Con.tar.gz"]], "device");
    check(&[&[b"COM"], &[b"COM12"], &[b"CONS"], &[b"NU"], &[b"x.aux"], &[b""]], "");
    check(&[&[b"a:b"]], "`:`");
    check(&[&[b"a."]], "dot");
    check(&[&[b"Data"], &[b"data"]], "case alone");
    check(&[&[b"D", b"a"], &[b"d", b"b"]], "case alone");
    check(&[&["É".as_bytes()], &["é".as_bytes()]], "case alone");
    check(&[&[b"a"], &[b"a"]], "twice");
    check(&[&[b"a"], &[b"a", b"b"]], "twice");
    check(&[&[b"a", b"b"], &[b"a"]], "twice");
}

/// What [`check_portable`] says of clashes, with a map of all entries.
fn clashes(paths: &[Vec<Vec<u8>>]) -> Result<(), String> {
    let mut entries: HashMap<String, (String, bool)> = HashMap::new();
    for path in paths {
        for depth in 1..=path.len() {
            let exact = String::from_utf8(path[..depth].join(&b'/')).unwrap();
            let is_file = depth == path.len();
            if exact.ends_with('.') {
                let path = path.join(&b'/').escape_ascii().to_string();
                return Err(format!(
                    "its path `{path}` ends in a dot or a space, which Windows drops"
                ));
            }
            let shown = |path: &str| path.as_bytes().escape_ascii().to_string();
            match entries.get(&exact.to_lowercase()) {
                None => {
                    entries.insert(exact.to_lowercase(), (exact, is_file));
                }
                Some((other, _)) if *other != exact => {
                    return Err(format!(
                        "its paths `{}` and `{}` differ in case alone: many file systems take them for one",
                        shown(other),
                        shown(&exact)
                    ));
                }
                Some((_, other_is_file)) if is_file || *other_is_file => {
                    return Err(format!("its path `{}` is there twice", shown(&exact)));
                }
                Some(_) => {}
            }
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn the_first_clash_is_found_however_the_paths_are_sorted(
        paths in proptest::collection::vec(proptest::collection::vec("[abcAéÉ]{1,2}|[abcdefgh]{2}|a\\.", 1..4), 0..12),
        sorted: bool,
    ) {
        let mut paths: Vec<Vec<Vec<u8>>> =
            paths.into_iter().map(|path| path.into_iter().map(String::into_bytes).collect()).collect();
        if sorted {
            paths.sort();
        }
        prop_assert_eq!(check_portable(&mut paths.iter().map(Vec::as_slice)), clashes(&paths));
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
    check(b"\x1f\x8b\x08", "it begins with ``");
    check(b"4:info", "it begins with `4:info`");
    check(b"<html>", "help: download it again");
    let whole = single("d6:lengthi7e4:name1:a12:piece lengthi7e6:pieces20:aaaaaaaaaaaaaaaaaaaae");
    Metainfo::parse(&whole).unwrap();
    (1..whole.len()).for_each(|cut| check(&whole[..cut], "the file is cut short"));
    check(&whole[..9], "help: download it again");
    check(b"d1:ai01ee", "begins with 0");
    check(b"de", "no `info`");
    check(b"d4:infoi1ee", "`info` is not a dictionary");
    check(&single("d4:name1:a12:piece lengthi7e6:pieces0:e"), "`length` is missing");
    check(&single("d6:lengthi-1e4:name1:ae"), "negative");
    check(&single("d6:lengthi1e4:name1:a12:piece lengthi0e6:pieces0:e"), "piece length of 0");
    check(&single("d6:lengthi1e4:name1:a12:piece lengthi7e6:pieces0:e"), "`pieces` has 0 bytes");
    check(&single("d6:lengthi1e4:name2:..12:piece lengthi7e6:pieces0:e"), "leaves its directory");
    check(&single("d12:meta versioni2e4:name1:ae"), "v2-only");
    check(&multi(&[]), "`files` is empty");
    let huge = entry(&[b"a"], i64::MAX as u64).repeat(3);
    check(&single(&format!("d5:filesl{huge}e4:name1:re")), "2^64");
}

#[test]
fn pad_files_are_marked_and_their_names_do_not_matter() {
    let bytes = b"d4:infod5:filesld6:lengthi3e4:pathl1:aeed4:attr1:p6:lengthi5e4:pathl4:.pad1:5eed6:lengthi8e4:pathl1:beee\
        4:name4:root12:piece lengthi8e6:pieces40:aaaaaaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbbbbbee";
    let metainfo = Metainfo::parse(bytes).unwrap();
    assert_eq!(
        metainfo.files.iter().map(|file| file.pad).collect::<Vec<_>>(),
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
    check("", "8:url-listl0:e", &[], &[]);
    check("", "8:url-list3:u:w", &[], &["u:w"]);
    check("", "8:url-listl3:u:v3:u:we", &[], &["u:v", "u:w"]);
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

#[test]
fn an_info_dictionary_is_wrapped_with_trackers_that_fit() {
    let info = "d6:lengthi10e4:name5:a.bin12:piece lengthi16e6:pieces20:aaaaaaaaaaaaaaaaaaaae";
    let wrap = |tiers: &[Vec<String>]| Metainfo::wrap(info.as_bytes(), tiers);
    assert_eq!(wrap(&[]), single(info));
    let tier = |urls: &[&str]| urls.iter().map(|url| (*url).to_owned()).collect::<Vec<_>>();
    let long = format!("http://a/{}", "x".repeat(3_000));
    let torrent = wrap(&[tier(&[&long]), tier(&["http://a/", "udp://b:1"]), tier(&["http://c/"])]);
    let head =
        "d8:announce9:http://a/13:announce-listll9:http://a/9:udp://b:1el9:http://c/ee4:info";
    assert_eq!(torrent, format!("{head}{info}e").into_bytes());
    let metainfo = Metainfo::parse(&torrent).unwrap();
    assert_eq!(metainfo.infohash, Infohash::from_bytes(Sha1::digest(info.as_bytes())));
    assert_eq!(metainfo.trackers, [tier(&["http://a/", "udp://b:1"]), tier(&["http://c/"])]);
    let many: Vec<_> =
        (0..1_000).map(|n| vec![format!("http://{n}/{}", "x".repeat(2_000))]).collect();
    assert!(wrap(&many).len() < MAX_TORRENT_BYTES - MAX_INFO_BYTES);
}
