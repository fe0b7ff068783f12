//! Archives of all kinds, including hostile ones, unpacked into a store.

use std::io::{Cursor, Write as _};

use super::super::stops;
use super::*;
use crate::unpack::{Codec, Format, MemberGlobs, Members, UnpackBudget, unpack};

const ID: &str = "323a0048d87ca79b68f12a6350a57776b6a3b7fb+0123456789abcdef";

fn store() -> (tempfile::TempDir, Store) {
    let memory = Some("/dev/shm").filter(|path| std::path::Path::new(path).is_dir());
    let directory = memory.map_or_else(tempfile::tempdir, tempfile::tempdir_in).unwrap();
    let store = Store::at(&directory.path().join("store"));
    store.create().unwrap();
    (directory, store)
}

/// As in the tests of `unpack`, which are not compiled for those of this package.
fn tar_member(name: &[u8], kind: u8, link: &[u8], mode: u32, content: &[u8]) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.as_old_mut().linkname[..link.len()].copy_from_slice(link);
    header.set_entry_type(tar::EntryType::new(kind));
    header.set_mode(mode);
    header.set_size(content.len() as u64);
    header.set_cksum();
    let padding = vec![0; content.len().next_multiple_of(512) - content.len()];
    [header.as_bytes(), content, &padding].concat()
}

fn tar(members: &[Vec<u8>]) -> Vec<u8> {
    [members.concat(), vec![0; 1024]].concat()
}

/// A ZIP archive with one compressed file.
fn zip(name: &str, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut archive = rawzip::ZipArchiveWriter::new(&mut out);
    let file = archive.new_file(name).compression_method(rawzip::CompressionMethod::DEFLATE);
    let (mut entry, config) = file.start().unwrap();
    let encoder = flate2::write::DeflateEncoder::new(&mut entry, flate2::Compression::best());
    let mut writer = config.wrap(encoder);
    writer.write_all(content).unwrap();
    let (encoder, descriptor) = writer.finish().unwrap();
    encoder.finish().unwrap();
    entry.finish(descriptor).unwrap();
    archive.finish().unwrap();
    out
}

fn too_large(_: u64) -> Error {
    Error::new(ErrorKind::TooLarge, "too large")
}

/// Unpacks archives, each into a directory with the archive's name, and publishes the tree.
fn unpack_all(
    store: &Store,
    archives: &[(&str, Format, Vec<u8>)],
    limit: u64,
) -> Result<(), Error> {
    let names: Vec<String> = archives.iter().map(|(name, ..)| (*name).to_owned()).collect();
    let tree = TreeWriter::new(store, ID, b"root", &names, UnpackBudget::new(limit, &too_large))?;
    let globs = MemberGlobs::new(&[]);
    for (source, (name, format, bytes)) in archives.iter().enumerate() {
        let directory = name.split('.').next().unwrap();
        let members = Members::new(name, directory.as_bytes(), &globs, 0);
        let done = AtomicU64::new(0);
        let mut sink = tree.sink(source);
        unpack(&mut Cursor::new(bytes), *format, &members, (&done, &|| false), &mut sink)?;
    }
    tree.publish(&Pins::new())
}

/// Unpacks one archive, and returns what is in the tree.
fn unpacked(format: Format, bytes: Vec<u8>) -> Result<Vec<String>, String> {
    let (directory, store) = store();
    // A file that must not change.
    let outside = directory.path().join("outside");
    std::fs::write(&outside, "outside").unwrap();
    let before = std::fs::metadata(&outside).unwrap().modified().unwrap();
    let result = unpack_all(&store, &[("a.x", format, bytes)], u64::MAX);
    let names = |path: &std::path::Path| {
        let mut names: Vec<_> = std::fs::read_dir(path)
            .into_iter()
            .flatten()
            .map(|it| it.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    assert_eq!(names(directory.path()), ["outside", "store"], "nothing is outside of the store");
    assert_eq!(std::fs::read(&outside).unwrap(), b"outside");
    assert_eq!(std::fs::metadata(&outside).unwrap().modified().unwrap(), before);
    assert_eq!(names(&store.root.join("partial")), [""; 0], "nothing is left");
    match result {
        Ok(()) => {
            assert_eq!(names(&store.files_path(ID)), ["root"]);
            assert!(store.present(ID).is_some());
            Ok(listed(&store.files_path(ID).join("root")))
        }
        Err(error) => {
            assert_eq!(names(&store.root.join("data")), [""; 0], "nothing is published");
            Err(error.to_string())
        }
    }
}

/// Lists what is below a directory: directories end with a slash, links show their text, and
/// executable files have a `*`.
fn listed(root: &std::path::Path) -> Vec<String> {
    fn add(path: &std::path::Path, below: &str, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(path).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{below}{}", entry.file_name().to_str().unwrap());
            let metadata = std::fs::symlink_metadata(entry.path()).unwrap();
            if metadata.is_dir() {
                add(&entry.path(), &format!("{name}/"), found);
                found.push(format!("{name}/"));
            } else if metadata.is_symlink() {
                let text = std::fs::read_link(entry.path()).unwrap();
                found.push(format!("{name} -> {}", text.display()));
            } else {
                let mark = if is_executable(&metadata) { "*" } else { "" };
                let bytes = std::fs::read(entry.path()).unwrap();
                found.push(format!("{name}{mark} {}", bytes.escape_ascii()));
            }
        }
    }
    let mut found = Vec::new();
    add(root, "", &mut found);
    found.sort();
    found
}

#[cfg(unix)]
fn is_executable(metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    metadata.permissions().mode() & 0o111 != 0
}

#[cfg(not(unix))]
fn is_executable(_metadata: &std::fs::Metadata) -> bool {
    false
}

fn files_below(path: &std::path::Path) -> usize {
    let entries = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { files_below(&path) } else { 1 }).sum()
}

const TAR: Format = Format::Tar(None);

fn file(name: &str, content: &str) -> Vec<u8> {
    tar_member(name.as_bytes(), b'0', b"", 0o644, content.as_bytes())
}

fn link(name: &str, to: &str) -> Vec<u8> {
    tar_member(name.as_bytes(), b'2', to.as_bytes(), 0o777, b"")
}

fn hard(name: &str, to: &str) -> Vec<u8> {
    tar_member(name.as_bytes(), b'1', to.as_bytes(), 0o644, b"")
}

fn folder(name: &str) -> Vec<u8> {
    tar_member(name.as_bytes(), b'5', b"", 0o700, b"")
}

#[track_caller]
fn check(members: &[Vec<u8>], expected: &[&str]) {
    assert_eq!(unpacked(TAR, tar(members)).unwrap(), expected);
}

#[track_caller]
fn refused(members: &[Vec<u8>], says: &[&str]) {
    let error = unpacked(TAR, tar(members)).unwrap_err();
    assert!(says.iter().all(|says| error.contains(says)), "{error}");
}

#[test]
fn a_tree_is_published_whole_and_read_only_with_its_digests() {
    let (_directory, store) = store();
    let run = tar_member(b"bin/run", b'0', b"", 0o6755, b"#!");
    let members =
        [folder("bin"), run, file("data/x", "x"), folder("empty"), hard("again", "data/x")];
    unpack_all(&store, &[("a.tar", TAR, tar(&members))], 1 << 20).unwrap();
    let stamp = store.present(ID).unwrap();
    let paths: Vec<_> = stamp.files().collect();
    let expected = ["root/a/again", "root/a/bin/run", "root/a/data/x"].map(PathBuf::from);
    assert!(paths.iter().map(|(path, _)| path).eq(&expected), "{paths:?}");
    assert_eq!(stamp.name(), Some(PathBuf::from("root")));
    let place = store.files_path(ID);
    for (path, _) in &paths {
        let metadata = std::fs::metadata(place.join(path)).unwrap();
        assert!(metadata.permissions().readonly(), "{path:?}");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(metadata.permissions().mode() & 0o7000, 0, "{path:?}: no set-id bits");
        }
    }
    // `rm -rf` works, and so does creating files beside the tree's.
    std::fs::write(place.join("root/a/empty/mine"), "").unwrap();
    std::fs::remove_file(place.join("root/a/empty/mine")).unwrap();
    let hashed = AtomicU64::new(0);
    assert!(store.tree_faults(ID, DiskWork::counting(&hashed)).unwrap().unwrap().is_empty());
    assert_eq!(hashed.into_inner(), 4);
    // The same length and time, but other bytes.
    let damaged = place.join("root/a/data/x");
    let time = std::fs::metadata(&damaged).unwrap().modified().unwrap();
    fs::set_read_only(&damaged, false).unwrap();
    std::fs::write(&damaged, "y").unwrap();
    std::fs::File::options().write(true).open(&damaged).unwrap().set_modified(time).unwrap();
    assert!(store.present(ID).is_some());
    let found = store.tree_faults(ID, DiskWork::counting(&AtomicU64::new(0))).unwrap().unwrap();
    let found: Vec<_> = found.iter().map(|fault| fault.path.as_path()).collect();
    assert!(found.contains(&std::path::Path::new("root/a/data/x")), "{found:?}");
    // It is replaced as a whole.
    unpack_all(&store, &[("a.tar", TAR, tar(&[file("new", "1")]))], 1 << 20).unwrap();
    assert_eq!(listed(&place.join("root")), ["a/", "a/new 1"]);
    fs::remove_tree(&place).unwrap();
}

/// Unpacks nothing: the tree has the dataset's file `d/b`.
fn linked_tree(fixture: &Fixture, id: &str) -> String {
    let (tree, names) = (format!("{id}+0123456789abcdef"), ["d/b".to_owned()]);
    let budget = UnpackBudget::new(u64::MAX, &too_large);
    let writer = TreeWriter::new(&fixture.store, &tree, b"tree", &names, budget).unwrap();
    writer.plain(b"d/b", 0, &fixture.file(id, "d/b"), true).unwrap();
    writer.publish(&Pins::new()).unwrap();
    tree
}

/// Every file of a vfat or NTFS disk is executable. On other platforms std copies the bit.
#[cfg(target_os = "linux")]
#[test]
fn copies_of_a_users_files_are_not_executable() {
    use std::os::unix::fs::PermissionsExt as _;
    let fixture = Fixture::new();
    let layout = fixture.selected(&[]).1;
    let user = fixture.directory.path().join("user");
    fs::copy_tree(&fixture.store.files_path(&fixture.provide(&[])), &user, &user).unwrap();
    let from = user.join("tree/d/b");
    std::fs::set_permissions(&from, std::fs::Permissions::from_mode(0o755)).unwrap();
    let budget = UnpackBudget::new(u64::MAX, &too_large);
    let names = ["d/b".to_owned()];
    let writer = TreeWriter::new(&fixture.store, ID, b"tree", &names, budget).unwrap();
    writer.plain(b"d/b", 0, &from, false).unwrap();
    writer.publish(&Pins::new()).unwrap();
    let mirror = fixture.directory.path().join("mirror");
    let site = (&Site::In(user), false);
    inventory::mirror(site, &mirror, &fixture.metainfo, &layout, &layout.needed()).unwrap();
    for copy in [fixture.file(ID, "d/b"), mirror.join("tree/d/b")] {
        let mode = std::fs::metadata(&copy).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode & 0o333, 0, "{}: {mode:o}", copy.display());
    }
}

#[test]
fn a_tree_with_a_damaged_file_of_its_dataset_is_not_complete_any_more() {
    for globs in [&[][..], &["d/b", "c"]] {
        let fixture = Fixture::new();
        let id = fixture.provide(globs);
        let tree = linked_tree(&fixture, &id);
        let other = fixture.provide(&["d/b"]);
        let (infohash, store) = (fixture.metainfo.infohash, &fixture.store);
        let unstamp = |path: &str| store.unstamp_links(infohash, &id, &[path.into()]).unwrap();
        assert_eq!(unstamp("tree/c"), [""; 0], "it is in none of the others");
        // Trees of whole torrents and of selections alike, and other selections.
        let mut expected = [tree.clone(), other];
        expected.sort();
        // On other platforms files are taken for the same by their paths.
        assert_eq!(unstamp("tree/d/b"), expected, "{globs:?}");
        assert!(store.present(&tree).is_none());
    }
}

#[test]
fn a_damaged_edge_takes_the_stamps_of_trees_with_it() {
    for globs in [&[][..], &["d/b", "c"]] {
        let fixture = Fixture::new();
        let id = fixture.provide(globs);
        let tree = linked_tree(&fixture, &id);
        super::siblings::damage(&fixture, &id, "d/b", 11);
        assert!(fixture.store.present(&tree).is_some());
        fixture.open(&["d/b"]);
        assert!(fixture.store.present(&id).is_none());
        assert!(fixture.store.present(&tree).is_none(), "{globs:?}");
    }
}

/// `data` on another file system: neither the tree nor its files can be renamed or linked.
#[test]
fn a_tree_that_is_copied_to_its_place_is_what_it_was() {
    let (_directory, store) = store();
    let run = tar_member(b"bin/run", b'0', b"", 0o755, b"#!");
    let members = [run, file("x", "x"), link("l", "x")];
    stops::set_layers(true);
    stops::set_disks(true);
    let published = unpack_all(&store, &[("a.tar", TAR, tar(&members))], 1 << 20);
    stops::set_layers(false);
    stops::set_disks(false);
    published.unwrap();
    let place = store.files_path(ID).join("root/a");
    let run = std::fs::metadata(place.join("bin/run")).unwrap();
    assert_eq!(is_executable(&run), cfg!(unix));
    assert!(run.permissions().readonly());
    assert!(!is_executable(&std::fs::metadata(place.join("x")).unwrap()));
    assert_eq!(std::fs::read(place.join("l")).unwrap(), b"x");
    let faults = store.tree_faults(ID, DiskWork::counting(&AtomicU64::new(0)));
    assert!(store.present(ID).is_some() && faults.unwrap().unwrap().is_empty());
}

#[test]
fn what_archives_hold_is_where_they_say_below_the_root() {
    check(
        &[file("x", "1"), file("/abs/y", "2"), file("./d/../z", "")][..2],
        &["a/", "a/abs/", "a/abs/y 2", "a/x 1"],
    );
    refused(&[file("x", "1"), file("../outside", "2")], &["`a.x`", "`../outside`", "leaves"]);
    refused(&[file("d/../../../outside", "2")], &["leaves"]);
    refused(&[folder("../outside")], &["leaves"]);
    refused(&[link("../outside", "x")], &["leaves"]);
    refused(&[hard("../outside", "x")], &["leaves"]);
    refused(&[folder("d")], &["contain no files"]);
    refused(&[], &["contain no files"]);
}

#[cfg(unix)]
#[test]
fn links_lead_to_what_was_unpacked_and_are_never_written_through() {
    check(
        &[
            folder("d"),
            file("d/f", "1"),
            link("l", "d/f"),
            link("d/m", "../d/./f"),
            link("to-d", "d"),
        ],
        &["a/", "a/d/", "a/d/f 1", "a/d/m -> f", "a/l -> d/f", "a/to-d -> d"],
    );
    // Before its target.
    check(&[link("l", "f"), file("f", "1")], &["a/", "a/f 1", "a/l -> f"]);
    check(
        &[link("l", "empty"), folder("empty"), file("f", "1")],
        &["a/", "a/empty/", "a/f 1", "a/l -> empty"],
    );
    for target in ["../outside", "/etc/passwd", "..", "../../../../outside", "../b/x", "", "/"] {
        refused(
            &[file("f", "1"), link("l", target)],
            &["`a.x`", "`a/l`", "leads out", "add \"!a/l\""],
        );
    }
    refused(&[file("f", "1"), link("l", "nothing")], &["`a/l`", "`a/nothing`", "not unpacked"]);
    refused(&[file("f", "1"), link("l", "l")], &["leads back to itself"]);
    refused(&[file("f", "1"), link("k", "l"), link("l", "k")], &["leads back to itself"]);
    refused(&[file("d/f", "1"), link("d/l", "../d")], &["`a/d/l`", "contains it"]);
    // Through a link: the classic attack, and one in which the link's name is reserved first.
    refused(&[link("l", "/tmp"), file("l/evil", "2")], &["`a/l/evil`", "`a/l`", "not a directory"]);
    refused(&[link("l", "d"), folder("d"), file("l/evil", "2")], &["not a directory"]);
    refused(&[folder("d"), file("d/f", "1"), link("d", "/tmp")], &["it contains `a/d` twice"]);
    refused(&[link("l", "f"), file("l", "2")], &["it contains `a/l` twice"]);
    refused(&[file("l", "2"), link("l", "f")], &["it contains `a/l` twice"]);
    refused(&[link("l", "f"), file("f", "1"), hard("h", "l")], &["`a/h`", "not a file"]);
    let circle: Vec<_> =
        (0..50).map(|at| link(&format!("l{at}"), &format!("l{}", at + 1))).collect();
    refused(&circle, &["symbolic link"]);
}

#[test]
fn hard_links_are_of_files_that_were_unpacked_before() {
    check(&[file("f", "1"), hard("d/h", "f")], &["a/", "a/d/", "a/d/h 1", "a/f 1"]);
    check(&[file("f", "1"), hard("h", "./f"), hard("i", "/h")], &["a/", "a/f 1", "a/h 1", "a/i 1"]);
    for target in ["later", "d", "h", "/etc/passwd", "nothing"] {
        refused(
            &[folder("d"), file("f", "1"), hard("h", target), file("later", "")],
            &["`a/h`", "not a file", "add \"!a/h\""],
        );
    }
    refused(&[file("f", "1"), hard("h", "../outside")], &["`h`", "leads out"]);
    refused(&[file("f", "1"), file("h", "2"), hard("h", "f")], &["it contains `a/h` twice"]);
}

#[test]
fn two_of_one_path_are_an_error_that_names_both() {
    refused(&[file("d/f", "1"), file("./d//f", "2")], &["it contains `a/d/f` twice"]);
    refused(&[file("f", "1"), file("f/g", "2")], &["`a/f/g` is below `a/f`"]);
    refused(&[file("f/g", "2"), file("f", "1")], &["it contains `a/f` twice"]);
    check(&[folder("d"), folder("d/"), file("d/f", "1")], &["a/", "a/d/", "a/d/f 1"]);
    let (_directory, store) = store();
    let both = [("a.tar", TAR, tar(&[file("f", "1")])), ("a.zip", Format::Zip, zip("f", b"2"))];
    let error = unpack_all(&store, &both, u64::MAX).unwrap_err().to_string();
    assert!(error.contains("`a.zip`") && error.contains("is also in `a.tar`"), "{error}");
}

#[test]
fn names_that_the_file_system_takes_for_one_are_an_error_that_names_both() {
    for (one, two) in
        [("Data", "data"), ("d/Data", "d/data"), ("Data/x", "data/y"), ("Data/x", "data")]
    {
        let (_directory, store) = store();
        crate::storage::site::folding::below(&store.root, |name| name.to_lowercase());
        let archive = tar(&[file(one, "1"), file(two, "2")]);
        let error =
            unpack_all(&store, &[("a.tar", TAR, archive)], u64::MAX).unwrap_err().to_string();
        let names = [one, two]
            .map(|name| name.split('/').find(|it| it.eq_ignore_ascii_case("data")).unwrap());
        assert!(
            names
                .iter()
                .all(|name| error.contains(&format!("{name}`"))
                    || error.contains(&format!("{name}/"))),
            "{error}"
        );
        assert!(store.present(ID).is_none());
    }
}

#[test]
fn a_bomb_ends_where_the_limit_is_and_leaves_nothing() {
    let compress = |bytes: &[u8]| {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        out.write_all(bytes).unwrap();
        out.finish().unwrap()
    };
    let zeros = vec![0; 8 << 20];
    let many: Vec<_> = (0..1_000).map(|at| folder(&format!("{at}"))).collect();
    let nested = "d/".repeat(40);
    let mut wide = vec![file("f", "1")];
    wide.extend((0..1_000).map(|at| hard(&format!("h{at}"), "f")));
    for (name, format, bytes) in [
        ("a file", Format::File(Codec::Gzip), compress(&zeros)),
        (
            "a member",
            Format::Tar(Some(Codec::Gzip)),
            compress(&tar(&[tar_member(b"f", b'0', b"", 0o644, &zeros)])),
        ),
        ("a zip", Format::Zip, zip("f", &zeros)),
        ("directories", TAR, tar(&many)),
        (
            "directories that no member is",
            TAR,
            tar(&(0..30).map(|at| file(&format!("{at}/{nested}f"), "")).collect::<Vec<_>>()),
        ),
        ("hard links", TAR, tar(&wide)),
    ] {
        let (_directory, store) = store();
        let error = unpack_all(&store, &[("a.x", format, bytes)], 1 << 20).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge, "{name}: {error}");
        let left = files_below(&store.root);
        assert_eq!(left, 1, "{name}: nothing but the mark of a cache is left");
    }
    // An archive needs almost no space for a sparse file of an exabyte.
    let record = "GNU.sparse.realsize=1000000000000000000";
    let pax = |text: &str| format!("{} {text}\n", text.len() + 4);
    let records = [record, "GNU.sparse.major=1", "GNU.sparse.minor=0", "GNU.sparse.name=big"]
        .map(pax)
        .concat();
    let mut map = b"0\n".to_vec();
    map.resize(512, 0);
    let archive = tar(&[
        tar_member(b"", b'x', b"", 0o644, records.as_bytes()),
        tar_member(b"big", b'0', b"", 0o644, &map),
    ]);
    let (_directory, store) = store();
    let error = unpack_all(&store, &[("a.x", TAR, archive)], 1 << 20).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
}

#[test]
fn what_an_earlier_process_left_is_removed() {
    let (_directory, store) = store();
    let left = store.partial_path(ID).join("files/root/a");
    std::fs::create_dir_all(&left).unwrap();
    std::fs::write(left.join("f"), "half").unwrap();
    std::fs::write(left.join("more"), "").unwrap();
    unpack_all(&store, &[("a.tar", TAR, tar(&[file("f", "whole")]))], u64::MAX).unwrap();
    assert_eq!(listed(&store.files_path(ID).join("root")), ["a/", "a/f whole"]);
}
