//! [`academictorrents::Get::into`] leaves files alone that do not belong to the dataset.
#![cfg(unix)]

use std::path::{Path, PathBuf};

use academictorrents::{Error, ErrorKind, Get};

use crate::get::{GetFixture, folder, single};
use crate::support::files::{PIECE, flip, inode};
use crate::support::files_below;
use crate::swarm::web_seed::Fault;
use crate::swarm::{Dataset, WebSeed, random_bytes};

/// A call by a .torrent that names this web seed.
fn ask(fixture: &GetFixture, dataset: &Dataset, seed: &WebSeed) -> Get {
    let torrent = fixture.path("data.torrent");
    std::fs::write(&torrent, dataset.clone().url_list([seed.url()]).torrent()).unwrap();
    fixture.ask(torrent.to_str().unwrap()).into(fixture.data())
}

/// All entries below a directory: path and content or kind.
fn entries(directory: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten().map(Result::unwrap) {
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        let what = match kind.is_file() {
            true => format!("{} {:?}", inode(&path), std::fs::read(&path).unwrap()),
            false => format!("{kind:?} {:?}", std::fs::read_link(&path).ok()),
        };
        if kind.is_dir() {
            found.extend(entries(&path));
        }
        found.push((path, what));
    }
    found.sort();
    found
}

/// Asserts that the call is refused without a request and changes nothing.
#[track_caller]
fn is_refused(fixture: &GetFixture, seed: &WebSeed, get: Get, parts: &[&str]) -> Error {
    let before = entries(&fixture.data());
    let error = get.run().unwrap_err();
    let text = error.to_string();
    assert!(parts.iter().all(|part| text.contains(part)), "{text}");
    assert!(seed.requests().is_empty(), "{:?}", seed.requests());
    assert!(entries(&fixture.data()) == before, "the directory was changed: {text}");
    error
}

fn write(path: &Path, bytes: impl AsRef<[u8]>) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

const FORCE: &str = "--force` (`Get::overwrite(true)`)";

#[test]
fn a_foreign_file_stays_and_only_overwriting_replaces_it() {
    let small = || Dataset::single("config", random_bytes(5, 92));
    // Files that begin with common bytes.
    let begins = |with: &[u8], length| [with, &random_bytes(9, length - with.len())].concat();
    let disk = || Dataset::single("disk.img", [vec![0; PIECE], random_bytes(5, PIECE)].concat());
    let tiny = |piece| Dataset::single("tiny", random_bytes(5, 300)).piece_length(piece);
    let first = random_bytes(5, 300);
    let pad = || Dataset::multi("set", [("a", random_bytes(5, 50)), ("b", random_bytes(6, 50))]);
    let cases: [(Dataset, &str, Vec<u8>); 15] = [
        // Of the same length, longer and shorter; with and without whole pieces.
        (single(), "data.bin", random_bytes(9, 100 * PIECE)),
        (single(), "data.bin", random_bytes(9, 100 * PIECE + 1)),
        (single(), "data.bin", b"mine".to_vec()),
        (small(), "config", random_bytes(9, 92)),
        (small(), "config", random_bytes(9, 91)),
        (small(), "config", [&random_bytes(5, 92)[..], b"and more"].concat()),
        (folder(), "tree/d/b", random_bytes(9, 7 * PIECE / 2)),
        (
            Dataset::multi("tree", [("a", vec![1; 10]), ("empty", vec![])]),
            "tree/empty",
            b"mine".to_vec(),
        ),
        (tiny(1), "tiny", begins(&first[..1], 300)),
        (tiny(1), "tiny", begins(&first[..150], 4000)),
        (tiny(16), "tiny", begins(&first[..16], 300)),
        (tiny(16), "tiny", begins(&first[..288], 299)),
        (disk(), "disk.img", begins(&[0; PIECE], 2 * PIECE)),
        (disk(), "disk.img", begins(&[0; PIECE], 5 * PIECE)),
        // The zeros of a pad file are not evidence.
        (pad().piece_length(PIECE).padded(), "set/a", begins(&first[..50], 51)),
    ];
    for (dataset, path, mine) in cases {
        let (fixture, seed) = (GetFixture::new(), WebSeed::serving(&dataset));
        write(&fixture.data().join(path), &mine);
        let parts = [path, "has different content", FORCE];
        let error = is_refused(&fixture, &seed, ask(&fixture, &dataset, &seed), &parts);
        assert_eq!(error.kind(), ErrorKind::Disk);
        dataset.assert_at(&ask(&fixture, &dataset, &seed).overwrite(true).run().unwrap());
        assert!(!fixture.workplace().exists());
    }
}

#[test]
fn all_foreign_files_are_named_in_one_error_up_to_a_limit() {
    let dataset = folder();
    let (fixture, path, _) = GetFixture::complete(&dataset);
    let seed = WebSeed::serving(&dataset);
    for file in ["a", "d/b", "e"] {
        std::fs::write(path.join(file), random_bytes(77, 7 * PIECE / 2)).unwrap();
    }
    let get = ask(&fixture, &dataset, &seed);
    let text = is_refused(&fixture, &seed, get, &["tree/a ", "tree/d/b ", "tree/e "]).to_string();
    assert!(!text.contains("tree/d/c "), "{text}");
    let names: Vec<String> = (0..300).map(|at| format!("{at:03}")).collect();
    let dataset = Dataset::multi("many", names.iter().map(|name| (name.as_str(), vec![7; 50])));
    let (fixture, seed) = (GetFixture::new(), WebSeed::serving(&dataset));
    names.iter().for_each(|name| write(&fixture.data().join("many").join(name), "mine"));
    let get = ask(&fixture, &dataset, &seed);
    let text =
        is_refused(&fixture, &seed, get, &["many/000 ", "many/009 ", "and 290 more"]).to_string();
    assert!(!text.contains("many/010"), "{text}");
}

/// Other clients preallocate such files, sparse or not.
#[test]
fn empty_and_all_zero_files_count_as_absent() {
    for dataset in [single(), folder(), Dataset::single("small", random_bytes(6, 50))] {
        for length in [0_u64, 50, 100 * PIECE as u64] {
            let (fixture, seed) = (GetFixture::new(), WebSeed::serving(&dataset));
            for (at, (file, _)) in dataset.files().iter().enumerate() {
                let mut path = fixture.data().join(std::str::from_utf8(dataset.name()).unwrap());
                if dataset.is_multi() {
                    path.push(file);
                }
                write(&path, vec![0; if at % 2 == 0 { length.min(100) as usize } else { 0 }]);
                std::fs::File::options().write(true).open(path).unwrap().set_len(length).unwrap();
            }
            dataset.assert_at(&ask(&fixture, &dataset, &seed).run().unwrap());
            assert!(!fixture.workplace().exists());
        }
    }
}

/// Two files share a piece, and only one exists: whether it is correct is unknown until the piece
/// is downloaded.
#[test]
fn a_file_that_cannot_be_judged_is_compared_with_the_downloaded_bytes() {
    let dataset = Dataset::multi("set", [("a", random_bytes(1, 500)), ("b", random_bytes(2, 500))]);
    let right = random_bytes(1, 500);
    let seed = WebSeed::serving(&dataset);
    let fixture = GetFixture::new();
    let a = fixture.data().join("set/a");
    write(&a, &right);
    let before = inode(&a);
    dataset.assert_at(&ask(&fixture, &dataset, &seed).run().unwrap());
    assert_eq!(inode(&a), before, "identical bytes stay");

    let mut wrong = right;
    wrong[499] ^= 1;
    let fixture = GetFixture::new();
    let a = fixture.data().join("set/a");
    write(&a, &wrong);
    let seed = WebSeed::serving(&dataset);
    for _ in 0..2 {
        let error = ask(&fixture, &dataset, &seed).run().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Disk, "{error}");
        let text = error.to_string();
        for part in
            [a.to_str().unwrap(), "has different content", FORCE, "verified data is kept in"]
        {
            assert!(text.contains(part), "{text}");
        }
        // Each error says where the other, incomplete file is.
        assert!(text.contains("set/b is kept in "), "{text}");
        assert!(std::fs::read(&a).unwrap() == wrong);
        assert!(!fixture.data().join("set/b").exists());
    }
    assert_eq!(seed.bytes_served(), 1000, "verified data is kept");
    dataset.assert_at(&ask(&fixture, &dataset, &seed).overwrite(true).run().unwrap());
    assert_eq!(seed.bytes_served(), 1000);
    assert!(!fixture.workplace().exists());
}

/// Common content, such as a tiny file or a run of one byte, is not evidence.
#[test]
fn a_different_file_is_damage_only_beside_enough_right_bytes() {
    for (beside, is_damage) in [
        (random_bytes(2, 1), false),
        (vec![7; 20_000], false),
        (random_bytes(2, 10_000), false),
        (random_bytes(2, 20_000), true),
    ] {
        let dataset = Dataset::multi("set", [("a", random_bytes(1, 500)), ("b", beside)]);
        let (fixture, seed) = (GetFixture::new(), WebSeed::serving(&dataset));
        dataset.write_to(&fixture.data());
        let a = fixture.data().join("set/a");
        flip(&a, 3);
        let mine = std::fs::read(&a).unwrap();
        let result = ask(&fixture, &dataset, &seed).run();
        if is_damage {
            dataset.assert_at(&result.unwrap());
        } else {
            let text = result.unwrap_err().to_string();
            assert!(text.contains("set/a has different content") && text.contains(FORCE), "{text}");
            assert!(std::fs::read(&a).unwrap() == mine);
        }
    }
}

/// The piece before the damaged one is correct, and so is its small part of the file between them.
#[test]
fn a_small_file_between_two_pieces_stays_where_a_neighbor_is_repaired() {
    let (large, small) = (PIECE - 4000, 8000);
    let dataset = Dataset::multi(
        "set",
        [
            ("a", random_bytes(1, large)),
            ("s", random_bytes(2, small)),
            ("z", random_bytes(3, large)),
        ],
    );
    let (fixture, seed) = (GetFixture::new(), WebSeed::serving(&dataset));
    dataset.write_to(&fixture.data());
    let path = fixture.data().join("set");
    let before = ["a", "s"].map(|name| inode(&path.join(name)));
    flip(&path.join("z"), 20_000);
    dataset.assert_at(&ask(&fixture, &dataset, &seed).run().unwrap());
    assert_eq!(["a", "s"].map(|name| inode(&path.join(name))), before);
    assert!(seed.bytes_served() <= 2 * PIECE as u64);
    assert!(!fixture.workplace().exists());
}

/// Also if the piece extends into an unselected file.
#[test]
fn a_selected_file_that_cannot_be_judged_stays_if_it_is_right() {
    let dataset = Dataset::multi("set", [("a", random_bytes(1, 500)), ("b", random_bytes(2, 500))]);
    let (fixture, seed) = (GetFixture::new(), WebSeed::serving(&dataset));
    let a = fixture.data().join("set/a");
    let get = || ask(&fixture, &dataset, &seed).files(["a"]).run();
    get().unwrap();
    let before = inode(&a);
    get().unwrap();
    assert_eq!(inode(&a), before);
    flip(&a, 3);
    let text = get().unwrap_err().to_string();
    assert!(text.contains("set/a has different content") && text.contains(FORCE), "{text}");
}

/// Its own pieces are right, but too short, too small or too uniform to show whose it is.
#[test]
fn a_selected_file_with_few_pieces_of_its_own_stays_if_it_is_right() {
    let uniform = [random_bytes(2, PIECE - 500), vec![0; PIECE], random_bytes(3, 100)].concat();
    for (piece, bytes, behind) in [
        (PIECE, random_bytes(2, PIECE + 5_000), 0),
        (PIECE, uniform, 500),
        (1_000, random_bytes(2, 20_000), 500),
    ] {
        let (a, c) = (random_bytes(1, 500), random_bytes(4, behind));
        let dataset = Dataset::multi("set", [("a", a), ("b", bytes), ("c", c)]);
        let dataset = dataset.piece_length(piece);
        let (fixture, seed) = (GetFixture::new(), WebSeed::serving(&dataset));
        let b = fixture.data().join("set/b");
        let get = || ask(&fixture, &dataset, &seed).files(["b"]).run();
        get().unwrap();
        let before = inode(&b);
        get().unwrap();
        assert_eq!(inode(&b), before);
        // A wrong piece of its own, and a wrong part of a piece that other files share.
        for at in [piece as u64 + 100, 3] {
            flip(&b, at);
            let text = get().unwrap_err().to_string();
            assert!(text.contains("set/b has different content"), "{text}");
            flip(&b, at);
        }
        dataset.assert_at(&ask(&fixture, &dataset, &seed).run().unwrap());
        assert_eq!(inode(&b), before);
    }
}

#[test]
fn one_of_300_small_files_is_repaired_by_its_piece_alone() {
    let files: Vec<_> = (0..300).map(|at| (format!("{at:03}"), random_bytes(at, 100))).collect();
    let files = || files.iter().map(|(name, bytes)| (name.as_str(), bytes.clone()));
    let dataset = Dataset::multi("many", files().chain([("large", random_bytes(1000, 3 * PIECE))]));
    let remove = |path: &Path| std::fs::remove_file(path).unwrap();
    let damage = |path: &Path| flip(path, 50);
    let empty = |path: &Path| std::fs::write(path, "").unwrap();
    let zeros = |path: &Path| std::fs::write(path, [0; 100]).unwrap();
    for harm in [&remove as &dyn Fn(&Path), &damage, &empty, &zeros] {
        let (fixture, seed) = (GetFixture::new(), WebSeed::serving(&dataset));
        dataset.write_to(&fixture.data());
        let path = fixture.data().join("many");
        let before = inode(&path.join("124"));
        harm(&path.join("123"));
        dataset.assert_at(&ask(&fixture, &dataset, &seed).run().unwrap());
        assert_eq!(seed.bytes_served(), PIECE as u64);
        assert_eq!(inode(&path.join("124")), before, "its neighbors stay");
        assert!(!fixture.workplace().exists());
    }
    // If nothing in the piece is correct, nothing shows that the files belong to the dataset.
    let dataset = Dataset::multi("many", files());
    let (fixture, seed) = (GetFixture::new(), WebSeed::serving(&dataset));
    dataset.write_to(&fixture.data());
    files().for_each(|(name, _)| flip(&fixture.data().join("many").join(name), 50));
    let text = ask(&fixture, &dataset, &seed).run().unwrap_err().to_string();
    assert!(text.contains("many/000 has different content"), "{text}");
}

/// A file, and an entry that only creates a directory.
fn with_directory(path: &str) -> Dataset {
    let mut directory: Vec<Vec<u8>> = path.split('/').map(|it| it.as_bytes().to_vec()).collect();
    directory.push(Vec::new());
    Dataset::multi_raw(
        b"set",
        vec![(directory, Vec::new()), (vec![b"b".to_vec()], random_bytes(2, 90_000))],
    )
}

#[test]
fn names_that_programs_act_on_are_refused_before_the_download() {
    let spellings = [
        ".git",
        ".GIT",
        ".Git",
        "git~1",
        "GIT~1",
        ".g\u{200c}it",
        ".git\u{200d}",
        "\u{feff}.git",
        ".cargo",
        ".CARGO",
        "CARGO~1",
        ".c\u{2060}argo",
    ];
    let files = |path: &str| {
        Dataset::multi_raw(
            b"set",
            vec![
                (path.split('/').map(|it| it.as_bytes().to_vec()).collect(), b"hostile".to_vec()),
                (vec![b"fine".to_vec()], b"fine".to_vec()),
            ],
        )
    };
    let mut cases = Vec::new();
    for name in spellings {
        cases.push((files(&format!("{name}/config")), name == ".git"));
        cases.push((files(&format!("a/b/{name}")), name == ".CARGO"));
        cases.push((Dataset::multi(name, [("config", b"x".to_vec())]), false));
    }
    for name in [".bashrc", ".config", "\u{200b}.profile", "BASHRC~1"] {
        cases.push((Dataset::single(name, b"hostile".to_vec()), false));
        cases.push((Dataset::multi(name, [("x", b"x".to_vec())]), false));
    }
    for directory in [".git/hooks", "a/.Git", ".cargo"] {
        cases.push((with_directory(directory), false));
    }
    for (dataset, has_fine) in cases {
        let (fixture, seed) = (GetFixture::new(), WebSeed::serving(&dataset));
        std::fs::create_dir_all(fixture.data()).unwrap();
        let get = || ask(&fixture, &dataset, &seed);
        let parts = ["not safe to download into a directory", FORCE];
        assert_eq!(is_refused(&fixture, &seed, get(), &parts).kind(), ErrorKind::Metainfo);
        if has_fine {
            get().overwrite(true).run().unwrap();
            let other = fixture.path("other");
            get().into(&other).files(["fine"]).run().unwrap();
            assert_eq!(files_below(&other), [Path::new("set/fine")]);
        }
    }
    // These names are harmless in the store.
    let dataset = Dataset::multi(".git", [("config", b"x".to_vec())]);
    let (fixture, seed) = (GetFixture::new(), WebSeed::serving(&dataset));
    std::fs::write(fixture.path("x.torrent"), dataset.clone().url_list([seed.url()]).torrent())
        .unwrap();
    dataset.assert_at(&fixture.ask(fixture.path("x.torrent").to_str().unwrap()).run().unwrap());
}

/// Not even with `overwrite`: the dataset would mix with unfinished downloads.
#[test]
fn the_workplace_is_never_part_of_a_dataset() {
    for name in [".academictorrents", ".AcademicTorrents", ".academic\u{200c}torrents"] {
        let dataset = Dataset::multi(name, [("v1/x", b"x".to_vec())]);
        let (fixture, seed) = (GetFixture::new(), WebSeed::serving(&dataset));
        std::fs::create_dir_all(fixture.data()).unwrap();
        let get = ask(&fixture, &dataset, &seed).overwrite(true);
        is_refused(&fixture, &seed, get, &["reserved for unfinished downloads"]);
    }
}

#[test]
fn what_cannot_be_replaced_is_reported_before_the_first_byte() {
    let dataset =
        Dataset::multi("set", [("sub/a", random_bytes(1, 500)), ("b", random_bytes(2, 90_000))]);
    let make_directory = |path: &Path| std::fs::create_dir_all(path.join("mine")).unwrap();
    let make_fifo = |path: &Path| {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
    };
    let make_socket = |path: &Path| {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        drop(std::os::unix::net::UnixListener::bind(path).unwrap());
    };
    let make_file = |path: &Path| write(path, "mine");
    let link_to = |to: &'static str| {
        move |path: &Path| {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::os::unix::fs::symlink(to, path).unwrap();
        }
    };
    type Put<'a> = &'a dyn Fn(&Path);
    let cases: [(&str, Put<'_>, &str); 12] = [
        ("set", &make_file, "is a file, and the dataset has a directory there"),
        ("set/sub", &make_file, "is a file, and the dataset has a directory there"),
        ("set", &make_fifo, "is a file, and the dataset has a directory there"),
        ("set", &link_to("/"), "is a symbolic link, and the dataset has a directory there"),
        ("set/sub", &link_to("."), "is a symbolic link, and the dataset has a directory there"),
        (
            "set/sub",
            &link_to("nowhere"),
            "is a symbolic link, and the dataset has a directory there",
        ),
        ("set/b", &make_directory, "is a directory, and the dataset has a file there"),
        ("set/sub/a", &make_directory, "is a directory, and the dataset has a file there"),
        ("set/b", &make_fifo, "is not a regular file"),
        ("set/sub/a", &make_socket, "is not a regular file"),
        ("set/b", &link_to("/dev/null"), "is a symbolic link"),
        ("set/b", &link_to("nowhere"), "is a symbolic link"),
    ];
    for (place, make, why) in cases {
        let (fixture, seed) = (GetFixture::new(), WebSeed::serving(&dataset));
        make(&fixture.data().join(place));
        let said = format!("{} {why}", fixture.data().join(place).display());
        is_refused(&fixture, &seed, ask(&fixture, &dataset, &seed), &[&said]);
        if why != "is a symbolic link" {
            // `overwrite` applies to files only.
            let error = is_refused(
                &fixture,
                &seed,
                ask(&fixture, &dataset, &seed).overwrite(true),
                &[&said],
            );
            assert!(!error.to_string().contains("--force"), "{error}");
        }
    }
    // In the place of a directory without files.
    let dataset = with_directory("sub/empty");
    type Make<'a> = (&'a dyn Fn(&Path), &'a str);
    let makes: [Make<'_>; 3] = [
        (&make_file, "is a file"),
        (&make_fifo, "is a file"),
        (&link_to("/"), "is a symbolic link"),
    ];
    for place in ["set/sub", "set/sub/empty"] {
        for (make, why) in makes {
            let (fixture, seed) = (GetFixture::new(), WebSeed::serving(&dataset));
            make(&fixture.data().join(place));
            let place = fixture.data().join(place);
            let said = format!("{} {why}, and the dataset has a directory", place.display());
            for overwrite in [false, true] {
                let get = ask(&fixture, &dataset, &seed).overwrite(overwrite);
                is_refused(&fixture, &seed, get, &[&said]);
            }
        }
    }
    // In the place of a single file.
    let dataset = single();
    let (fixture, seed) = (GetFixture::new(), WebSeed::serving(&dataset));
    make_directory(&fixture.data().join("data.bin"));
    is_refused(
        &fixture,
        &seed,
        ask(&fixture, &dataset, &seed).overwrite(true),
        &["data.bin is a directory"],
    );
}

#[test]
fn through_a_link_nothing_is_written() {
    let dataset = single();
    for (right, overwrite) in [(true, false), (true, true), (false, false), (false, true)] {
        let (fixture, path, _) = GetFixture::complete(&dataset);
        let seed = WebSeed::serving(&dataset);
        let outside = fixture.path("outside.bin");
        std::fs::rename(&path, &outside).unwrap();
        std::os::unix::fs::symlink(&outside, &path).unwrap();
        if !right {
            flip(&outside, 5);
        }
        let (before, bytes) = (inode(&outside), std::fs::read(&outside).unwrap());
        let get = ask(&fixture, &dataset, &seed).overwrite(overwrite);
        if right || overwrite {
            dataset.assert_at(&get.run().unwrap());
            assert_eq!(seed.bytes_served(), if right { 0 } else { PIECE as u64 });
            assert_eq!(std::fs::symlink_metadata(&path).unwrap().is_symlink(), right);
        } else {
            is_refused(&fixture, &seed, get, &["data.bin is a symbolic link", FORCE]);
        }
        assert_eq!(inode(&outside), before);
        assert!(std::fs::read(&outside).unwrap() == bytes);
    }
    // A link in the place of the dataset's directory is not followed for writing; a complete
    // dataset behind it needs no writing.
    let dataset = folder();
    let (fixture, path, _) = GetFixture::complete(&dataset);
    let seed = WebSeed::serving(&dataset);
    let outside = fixture.path("outside");
    std::fs::rename(&path, &outside).unwrap();
    std::os::unix::fs::symlink(&outside, &path).unwrap();
    dataset.assert_at(&ask(&fixture, &dataset, &seed).run().unwrap());
    std::fs::remove_file(outside.join("e")).unwrap();
    for overwrite in [false, true] {
        let get = ask(&fixture, &dataset, &seed).overwrite(overwrite);
        is_refused(
            &fixture,
            &seed,
            get,
            &["tree is a symbolic link, and the dataset has a directory"],
        );
    }
    assert!(!outside.join("e").exists());
}

/// Data of an unfinished download does not replace what the user put there since.
#[test]
fn what_is_unfinished_does_not_replace_a_right_file() {
    let dataset = folder();
    let fixture = GetFixture::new();
    let half = WebSeed::serving(&dataset).with(Fault::OnlyPieces(0..2));
    ask(&fixture, &dataset, &half).run().unwrap_err();
    let begun = files_below(&fixture.data());
    assert!(begun.iter().any(|file| file.ends_with("files/tree/a")), "{begun:?}");
    let a = fixture.data().join("tree/a");
    // With the beginning of the next file, so that all pieces of `a` can be judged.
    for (file, bytes) in dataset.files().iter().take(2) {
        write(&fixture.data().join("tree").join(file), bytes);
    }
    let before = inode(&a);
    let whole = WebSeed::serving(&dataset);
    dataset.assert_at(&ask(&fixture, &dataset, &whole).run().unwrap());
    assert_eq!(inode(&a), before);
}

/// The user may change files during a download.
#[test]
fn what_appears_or_changes_during_the_download_is_not_replaced() {
    let dataset = folder();
    let check = |change: &dyn Fn(&Path), prepare: &dyn Fn(&Path), said: &str| {
        let fixture = GetFixture::new();
        let tree = fixture.data().join("tree");
        prepare(&tree);
        let seed = WebSeed::serving(&dataset).with(Fault::Stall { after_bytes: 0 });
        let get = ask(&fixture, &dataset, &seed);
        let get = std::thread::spawn(move || get.run());
        crate::swarm::eventually("the download has started", || !seed.requests().is_empty());
        change(&tree);
        seed.mend();
        let error = get.join().unwrap().unwrap_err();
        let text = error.to_string();
        assert_eq!(error.kind(), ErrorKind::Disk, "{text}");
        let whys = [
            "was created or changed during the download",
            "is a symbolic link, and the dataset has",
        ];
        assert!(whys.iter().any(|why| text.contains(&format!("{said} {why}"))), "{text}");
        (fixture, seed)
    };
    let nothing = |_: &Path| {};
    let (fixture, seed) = check(&|tree| write(&tree.join("d/b"), "mine"), &nothing, "tree/d/b");
    assert_eq!(std::fs::read(fixture.data().join("tree/d/b")).unwrap(), b"mine");
    // The downloaded data is kept, so nothing is downloaded twice.
    let before = seed.bytes_served();
    dataset.assert_at(&ask(&fixture, &dataset, &seed).overwrite(true).run().unwrap());
    assert_eq!(seed.bytes_served(), before);
    let blank = |tree: &Path| write(&tree.join("e"), "");
    let (fixture, _) = check(&|tree| write(&tree.join("e"), "mine"), &blank, "tree/e");
    assert_eq!(std::fs::read(fixture.data().join("tree/e")).unwrap(), b"mine");
    // A directory replaced by a link is not followed.
    let (fixture, _) = check(
        &|tree| {
            std::fs::create_dir_all(tree.parent().unwrap().join("other/d")).unwrap();
            std::os::unix::fs::symlink("other", tree).unwrap();
        },
        &nothing,
        "tree",
    );
    assert!(files_below(&fixture.data().join("other")).is_empty());
    // A complete file disappears: the incomplete dataset must not be reported as complete.
    let all = dataset.files();
    let right =
        |tree: &Path| all.iter().take(2).for_each(|(file, bytes)| write(&tree.join(file), bytes));
    check(&|tree| std::fs::remove_file(tree.join("a")).unwrap(), &right, "tree/a");
}

#[test]
fn an_error_leaves_no_empty_workplace_and_the_next_one_says_again_where_files_are() {
    let dataset = single();
    let (fixture, path, _) = GetFixture::complete(&dataset);
    // A correct file whose pin does not match.
    let seed = WebSeed::serving(&dataset);
    let pinned = ask(&fixture, &dataset, &seed).sha256("data.bin", "0".repeat(64));
    is_refused(&fixture, &seed, pinned, &["data.bin"]);
    assert!(!fixture.workplace().exists());
    for piece in [0, 60] {
        flip(&path, (piece * PIECE) as u64);
    }
    let half = WebSeed::serving(&dataset).with(Fault::OnlyPieces(0..50));
    for _ in 0..2 {
        let text = ask(&fixture, &dataset, &half).run().unwrap_err().to_string();
        let said = format!("{} is kept in ", path.display());
        assert!(text.contains(&said), "{text}");
    }
    let text = ask(&fixture, &dataset, &half).offline(true).run().unwrap_err().to_string();
    assert!(text.contains("data.bin is kept in "), "{text}");
}

#[test]
fn a_read_only_file_is_repaired() {
    let dataset = single();
    let (fixture, path, seed) = GetFixture::complete(&dataset);
    flip(&path, 5);
    let mut permissions = std::fs::metadata(&path).unwrap().permissions();
    permissions.set_readonly(true);
    std::fs::set_permissions(&path, permissions).unwrap();
    dataset.assert_at(&ask(&fixture, &dataset, &seed).run().unwrap());
    assert_eq!(seed.bytes_served(), PIECE as u64);
}
