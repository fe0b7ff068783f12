//! Datasets with unpacked archives.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use academictorrents::{ErrorKind, Get, Unpack, Verify};

use crate::fixture::Fixture;
use crate::get::GetFixture;
use crate::load_path::LOAD_PATH;
use crate::support::files::{damage_unseen, inode, remove, remove_tree, set_writable};
use crate::support::{Project, files_below};
use crate::swarm::{Dataset, WebSeed, eventually};

fn tar(members: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, content) in members {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        // A time in the far future, which unpacked files must not take.
        header.set_mtime(20_000_000_000);
        archive.append_data(&mut header, path, content.as_bytes()).unwrap();
    }
    archive.into_inner().unwrap()
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

fn zip(members: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut archive = rawzip::ZipArchiveWriter::new(&mut out);
    for (path, content) in members {
        let file = archive.new_file(*path).compression_method(rawzip::CompressionMethod::STORE);
        let (mut entry, config) = file.start().unwrap();
        let mut writer = config.wrap(&mut entry);
        writer.write_all(content.as_bytes()).unwrap();
        let (_, descriptor) = writer.finish().unwrap();
        entry.finish(descriptor).unwrap();
    }
    archive.finish().unwrap();
    out
}

const MEMBERS: [(&str, &str); 3] = [("top/a", "1"), ("top/d/b.csv", "2"), ("top/d/c.txt", "3")];

fn single() -> Dataset {
    Dataset::single("images.tar.gz", gz(&tar(&MEMBERS)))
}

fn folder() -> Dataset {
    Dataset::multi(
        "lab",
        [
            ("README", b"read me".to_vec()),
            ("raw/images.tar.gz", gz(&tar(&MEMBERS))),
            ("raw/more.zip", zip(&[("z", "4")])),
            ("table.csv.gz", gz(b"x,y")),
            ("model.npz", zip(&[("w.npy", "5")])),
        ],
    )
}

/// A project that unpacks the dataset, and a seed that counts requests.
fn project(dataset: &Dataset, lines: &str) -> (Project, WebSeed) {
    let seed = WebSeed::serving(dataset);
    let lines = format!("web-seeds = [\"{}\"]\n{lines}", seed.url());
    (Project::of(dataset, &lines), seed)
}

/// The files below a directory, with their contents.
fn contents(root: &Path) -> Vec<(String, String)> {
    let content = |path: PathBuf| {
        let name = path.to_str().unwrap().replace('\\', "/");
        (name, String::from_utf8_lossy(&std::fs::read(root.join(&path)).unwrap()).into_owned())
    };
    files_below(root).into_iter().map(content).collect()
}

#[track_caller]
fn check(root: &Path, expected: &[(&str, &str)]) {
    let found = contents(root);
    let found: Vec<_> = found.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    assert_eq!(found, expected);
}

#[test]
fn the_path_of_a_single_archive_is_what_it_holds() {
    let dataset = single();
    let (project, seed) = project(&dataset, "unpack = true");
    let datasets = project.run().unwrap();
    let data = datasets.dataset("data").unwrap();
    check(data.path(), &MEMBERS);
    assert_eq!(data.path().file_name().unwrap(), "images");
    dataset.assert_at(data.archive().unwrap());
    let fetched = seed.requests().len();
    // Everything exists: nothing is fetched or written.
    let file = data.path().join("top/a");
    let before = inode(&file);
    assert_eq!(project.path_of("data"), data.path());
    assert_eq!((seed.requests().len(), inode(&file)), (fetched, before));
    let age = std::fs::metadata(&file).unwrap().modified().unwrap();
    assert!(age <= std::time::SystemTime::now(), "the archive's time is not the file's");
    // Without `unpack`, the path is the archive's.
    project.declare_data("unpack = false");
    assert_eq!(project.path_of("data"), data.archive().unwrap());
    assert!(project.run().unwrap().dataset("data").unwrap().archive().is_none());
}

#[test]
fn the_tree_of_a_folder_mirrors_it() {
    let dataset = folder();
    let (project, _seed) = project(&dataset, "unpack = true");
    let datasets = project.run().unwrap();
    let data = datasets.dataset("data").unwrap();
    assert_eq!(data.path().file_name().unwrap(), "lab");
    let npz = String::from_utf8_lossy(&zip(&[("w.npy", "5")])).into_owned();
    check(
        data.path(),
        &[
            ("README", "read me"),
            ("model.npz", &npz),
            ("raw/images/top/a", "1"),
            ("raw/images/top/d/b.csv", "2"),
            ("raw/images/top/d/c.txt", "3"),
            ("raw/more/z", "4"),
            ("table.csv", "x,y"),
        ],
    );
    dataset.assert_at(data.archive().unwrap());
    // Files that are not archives are hard-linked, not copied.
    assert_eq!(inode(&data.path().join("README")), inode(&data.archive().unwrap().join("README")));
    // A selection does not change the layout of the tree.
    project.declare_data("unpack = true\nfiles = ['raw/*.zip']");
    let path = project.path_of("data");
    check(&path, &[("raw/more/z", "4")]);
    // A compressed single file.
    let (project, _seed) = self::project(&Dataset::single("t.csv.gz", gz(b"x,y")), "unpack = true");
    let path = project.path_of("data");
    assert_eq!(
        (path.file_name().unwrap().to_str(), std::fs::read(&path).unwrap()),
        (Some("t.csv"), b"x,y".to_vec())
    );
}

#[test]
fn archives_members_and_strip_choose_what_is_in_the_tree() {
    let (project, seed) = project(&folder(), "");
    let seed = format!("web-seeds = [\"{}\"]", seed.url());
    let path_with = |unpack: &str| {
        project.declare_data(&format!("{seed}\nfiles = ['raw/**']\nunpack = {unpack}"));
        project.path_of("data")
    };
    check(
        &path_with("{ strip = 1, archives = ['raw/*.gz', 'raw/more.zip'] }"),
        &[("raw/images/a", "1"), ("raw/images/d/b.csv", "2"), ("raw/images/d/c.txt", "3")],
    );
    check(
        &path_with("{ strip = 1, members = ['**', '!**/*.csv'] }"),
        &[("raw/images/a", "1"), ("raw/images/d/c.txt", "3")],
    );
    let packed = String::from_utf8_lossy(&gz(&tar(&MEMBERS))).into_owned();
    check(
        &path_with("{ archives = ['**/*.zip'] }"),
        &[("raw/images.tar.gz", &packed), ("raw/more/z", "4")],
    );
    let first = path_with("true");
    // Only options that change the tree change its path.
    assert_eq!(first, path_with("{ max-size = '1GiB' }"));
    assert_eq!(first, path_with("{}"));
    for (unpack, kind, says) in [
        ("{ archives = ['*.rar'] }", ErrorKind::Manifest, "the glob `*.rar` matches no archive"),
        ("{ members = ['nothing'] }", ErrorKind::Manifest, "the glob `nothing` matches no member"),
        ("{ archives = ['lab/raw/*.gz'] }", ErrorKind::Manifest, "did you mean \"raw/*.gz\"?"),
        ("{ members = ['lab/raw/**'] }", ErrorKind::Manifest, "did you mean \"raw/**\"?"),
        ("{ max-size = 5000, strip = 2 }", ErrorKind::TooLarge, "exceed the size limit"),
        ("{ strip = 65 }", ErrorKind::Manifest, "not a number from 0 to 64"),
        ("{ stripp = 1 }", ErrorKind::Manifest, "did you mean `strip`?"),
        ("{ colour = 1 }", ErrorKind::Manifest, "the keys are archives, members"),
        ("1", ErrorKind::Manifest, "expected true, false or a table"),
    ] {
        project.declare_data(&format!("{seed}\nfiles = ['raw/**']\nunpack = {unpack}"));
        let error = project.run().unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[test]
fn what_cannot_be_unpacked_is_told_before_it_is_fetched() {
    let check = |files: Vec<(&str, Vec<u8>)>, unpack: &str, says: &[&str]| {
        let (project, seed) = project(&Dataset::multi("lab", files), &format!("unpack = {unpack}"));
        let error = project.error();
        assert!(says.iter().all(|says| error.contains(says)), "{error}");
        assert_eq!(seed.requests().len(), 0, "{error}");
    };
    check(
        vec![("a.csv", vec![1])],
        "true",
        &["none of the selected files is an archive", ".tar.gz", "a.csv"],
    );
    check(
        vec![("a.7z", vec![1]), ("b.zip", zip(&[]))],
        "true",
        &["could not unpack `a.7z`", "7-Zip"],
    );
    check(vec![("a.rar", vec![1])], "true", &["RAR"]);
    check(vec![("a.tar.gz.aa", vec![1])], "true", &["split archive"]);
    check(vec![("a.zip", zip(&[])), ("a.z01", vec![1])], "true", &["`a.z01`", "split archive"]);
    check(
        vec![("a.zip", zip(&[])), ("a.tar", tar(&[]))],
        "true",
        &["`a.zip`", "`a.tar`", "unpacked as `a`"],
    );
    check(
        vec![("a.zip", zip(&[])), ("a/b", vec![1])],
        "true",
        &["`a.zip`", "`a/b`", "unpacked as `a`"],
    );
    check(vec![("a.zip", zip(&[])), ("a/b.gz", vec![1])], "true", &["`a.zip`", "`a/b.gz`"]);
    check(vec![("a.gz", gz(b"1")), ("a", vec![1])], "true", &["`a.gz`", "`a`"]);
}

/// Cargo can take the archive's path, which ends in `.gz`.
#[cfg(unix)]
#[test]
fn a_tree_whose_path_cargo_cannot_take_is_refused_before_anything_is_fetched() {
    let (project, seed) = project(&Dataset::single("a .gz", gz(b"1")), "unpack = true");
    let error = project.run().unwrap_err().to_string();
    assert!(error.contains("ends with whitespace"), "{error}");
    assert_eq!(seed.requests().len(), 0);
}

#[test]
fn a_damaged_archive_is_named_with_its_member_and_leaves_no_tree() {
    let whole = tar(&[("first", "1"), ("second", &"2".repeat(2000))]);
    for (name, bytes, says) in [
        ("a.tar", whole[..2048].to_vec(), "`second`"),
        ("a.zip", b"not a zip".to_vec(), "its content is not"),
        ("a.tar.gz", whole, "its content is not gzip"),
    ] {
        let (project, _seed) = project(&Dataset::single(name, bytes), "unpack = true");
        let error = project.run().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Archive);
        let text = error.to_string();
        assert!(
            text.contains(&format!("could not unpack `{name}`")) && text.contains(says),
            "{text}"
        );
        let published = files_below(&project.store().join("v1/data"));
        // The archive matches the torrent, so it stays.
        assert!(
            published.iter().all(|path| !path.to_str().unwrap().contains('+')),
            "{published:?}"
        );
        assert!(files_below(&project.store().join("v1/partial")).is_empty());
    }
}

#[test]
fn an_archive_that_is_not_kept_goes_once_it_is_unpacked() {
    let dataset = single();
    let (project, seed) = project(&dataset, "unpack = { keep-archive = false }");
    let datasets = project.run().unwrap();
    let data = datasets.dataset("data").unwrap();
    check(data.path(), &MEMBERS);
    assert_eq!(data.archive(), None);
    let id = dataset.infohash_hex();
    let kept = project.store().join("v1/data").join(&id);
    assert!(!kept.exists());
    let fetched = seed.requests().len();
    assert_eq!(project.path_of("data"), data.path());
    assert_eq!(seed.requests().len(), fetched, "the tree is enough");
    // A project that keeps the archive fetches it again; from then on it stays.
    project.declare_data(&format!("web-seeds = [\"{}\"]\nunpack = true", seed.url()));
    assert_eq!(project.path_of("data"), data.path());
    assert!(kept.exists() && seed.requests().len() > fetched);
    remove_tree(data.path());
    project.declare_data(&format!(
        "web-seeds = [\"{}\"]\nunpack = {{ keep-archive = false }}",
        seed.url()
    ));
    assert_eq!(project.path_of("data"), data.path());
    assert!(kept.exists(), "it was there before, and not fetched to be unpacked");
}

/// Another process unpacks other members of the same archive and then removes it, because it had
/// downloaded it.
#[test]
fn an_archive_that_another_process_removes_meanwhile_is_fetched_again() {
    let dataset = single();
    let seed = WebSeed::serving(&dataset);
    let (fixture, torrent) = crate::get_progress::fixture(&dataset, &seed);
    let archive = fixture.ask(&torrent).run().unwrap();
    let id = dataset.infohash_hex();
    let lock_file = fixture.path(&format!("store/v1/locks/{id}.lock"));
    for keeps in [true, false] {
        let lock = std::fs::File::options().write(true).open(&lock_file).unwrap();
        lock.lock().unwrap();
        let told = crate::get_progress::Told::default();
        let unpack = Unpack::new().members(["top/a"]).keep_archive(keeps);
        let get = told.by(fixture.ask(&torrent).unpack(unpack));
        let waiting = std::thread::spawn(move || get.run());
        eventually("it waits", || told.phases().contains(&academictorrents::Phase::Waiting));
        remove_tree(&fixture.path(&format!("store/v1/data/{id}")));
        drop(lock);
        let tree = waiting.join().unwrap().unwrap();
        check(&tree, &[("top/a", "1")]);
        assert_eq!(archive.exists(), keeps);
        remove_tree(&tree);
        fixture.ask(&torrent).run().unwrap();
    }
}

#[test]
fn what_is_missing_or_damaged_of_a_tree_is_unpacked_again_without_fetching() {
    let dataset = single();
    let (project, seed) = project(&dataset, "unpack = true");
    let path = project.path_of("data");
    let fetched = seed.requests().len();
    let again = |change: &dyn Fn(&Path)| {
        change(&path);
        assert_eq!(project.path_of("data"), path);
        check(&path, &MEMBERS);
        assert_eq!(seed.requests().len(), fetched);
    };
    again(&|path| remove(&path.join("top/a")));
    again(&|path| {
        set_writable(&path.join("top/a"));
        std::fs::write(path.join("top/a"), "longer").unwrap();
    });
    again(&remove_tree);
    // `Verify::Always` finds damage that `stat` does not show.
    damage_unseen(&path.join("top/d/b.csv"), 0);
    assert_eq!(project.path_of("data"), path);
    let get = |verify| {
        Get::new(project.path("data.torrent").to_str().unwrap())
            .env_clear()
            .env("ACADEMICTORRENTS_STORE", project.store())
            .env("ACADEMICTORRENTS_OFFLINE", "true")
            .env("ACADEMICTORRENTS_PROGRESS", "off")
            .unpack(Unpack::new())
            .verify(verify)
            .run()
    };
    assert_eq!(get(Verify::Stat).unwrap(), path);
    assert_ne!(std::fs::read(path.join("top/d/b.csv")).unwrap(), b"2");
    assert_eq!(get(Verify::Always).unwrap(), path);
    check(&path, &MEMBERS);
    // Correct files stay in place.
    let before = inode(&path.join("top/a"));
    assert_eq!(get(Verify::Always).unwrap(), path);
    assert_eq!(inode(&path.join("top/a")), before);
}

/// The damage cannot be seen by `stat`, and the archive is not there.
#[test]
fn a_selection_that_shares_a_damaged_file_with_a_tree_is_not_complete() {
    let dataset = folder();
    let (project, seed) = project(&dataset, "files = ['README']");
    let web_seeds = format!("web-seeds = [\"{}\"]", seed.url());
    let selection = project.path_of("data").join("README");
    project.declare_data(&format!("{web_seeds}\nunpack = {{ keep-archive = false }}"));
    let tree = project.path_of("data");
    assert_eq!(inode(&tree.join("README")), inode(&selection));
    damage_unseen(&selection, 0);
    let unpacked = Get::new(project.path("data.torrent").to_str().unwrap())
        .env_clear()
        .env("ACADEMICTORRENTS_STORE", project.store())
        .env("ACADEMICTORRENTS_OFFLINE", "true")
        .env("ACADEMICTORRENTS_PROGRESS", "off")
        .unpack(Unpack::new().keep_archive(false))
        .verify(Verify::Always)
        .run();
    assert_eq!(unpacked.unwrap_err().kind(), ErrorKind::Offline);
    project.declare_data(&format!("{web_seeds}\nfiles = ['README']"));
    assert_eq!(std::fs::read(project.path_of("data").join("README")).unwrap(), b"read me");
}

#[test]
fn a_selection_is_never_linked_from_what_an_archive_unpacks_to() {
    let dataset = Dataset::multi(
        "lab",
        [("data.zip", zip(&[("x.csv", "evil")])), ("data/x.csv", b"good".to_vec())],
    );
    let (project, seed) = project(&dataset, "unpack = true\nfiles = ['data.zip']");
    check(&project.path_of("data"), &[("data/x.csv", "evil")]);
    project.declare_data(&format!("web-seeds = [\"{}\"]\nfiles = ['data/x.csv']", seed.url()));
    check(&project.path_of("data"), &[("data/x.csv", "good")]);
}

#[test]
fn archives_elsewhere_are_unpacked_into_the_own_store_and_trees_of_other_stores_are_used() {
    let dataset = folder();
    let copies = tempfile::tempdir().unwrap();
    dataset.write_to(copies.path());
    let project = Project::of(&dataset, "unpack = true").env(LOAD_PATH, copies.path().display());
    let datasets = project.run().unwrap();
    let data = datasets.dataset("data").unwrap();
    assert!(data.path().starts_with(project.store()) && data.path().join("raw/more/z").exists());
    assert_eq!(data.archive().unwrap(), copies.path().join("lab"));
    // The copy belongs to someone else: its files are neither linked nor changed.
    assert_ne!(inode(&data.path().join("README")), inode(&copies.path().join("lab/README")));
    assert!(!std::fs::metadata(copies.path().join("lab/README")).unwrap().permissions().readonly());
    // A copy named by its variable.
    let named = Project::of(&dataset, "unpack = true")
        .env("ACADEMICTORRENTS_PATH_DATA", copies.path().join("lab").display());
    let path = named.path_of("data");
    assert!(path.starts_with(named.store()) && path.join("table.csv").exists());
    assert_eq!(named.path_of("data"), path);
    // A store that has the tree.
    let (other, _seed) = self::project(&dataset, "unpack = true");
    let tree = other.path_of("data");
    let user = Project::of(&dataset, "unpack = true").env(LOAD_PATH, other.store().display());
    assert_eq!(user.path_of("data"), tree);
    assert!(files_below(&user.store().join("v1/data")).is_empty());
}

#[test]
fn a_call_unpacks_too() {
    let fixture = GetFixture::new();
    let dataset = folder();
    let torrent = fixture.path("data.torrent");
    let seed = WebSeed::serving(&dataset);
    std::fs::write(&torrent, dataset.clone().url_list([seed.url()]).torrent()).unwrap();
    let unpack = Unpack::new().archives(["raw/images*"]).members(["**/*.txt"]).strip(2);
    let get =
        || fixture.ask(torrent.to_str().unwrap()).files(["raw/images*"]).unpack(unpack.clone());
    let path = get().run().unwrap();
    check(&path, &[("raw/images/c.txt", "3")]);
    let error = get().unpack(Unpack::new().max_size(10)).run().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
    let error = get().unpack(Unpack::new().members(["["])).run().unwrap_err();
    assert!(error.to_string().contains("`Get::unpack`"), "{error}");
}

#[test]
fn docs_rs_has_the_path_where_the_tree_would_be() {
    let dataset = single();
    let (project, seed) = project(&dataset, "unpack = true");
    let build = || project.build().env("DOCS_RS", "1").run().unwrap();
    let datasets = build();
    let would_be = datasets.dataset("data").unwrap().path().to_owned();
    assert_eq!(seed.requests().len(), 0);
    assert_eq!(project.path_of("data"), would_be);
}

#[test]
fn an_optional_dataset_that_cannot_be_unpacked_is_a_warning() {
    let dataset = Dataset::single("a.zip", b"not a zip".to_vec());
    let (project, _seed) = project(&dataset, "unpack = true\noptional = true");
    let datasets = project.run().unwrap();
    assert!(datasets.dataset("data").is_none());
}

/// Prints what a program sees of the unpacked dataset, and includes a file at compile time.
const MAIN: &str = r#"
mod datasets {
    include!(concat!(env!("OUT_DIR"), "/datasets.rs"));
}
const A: &[u8] = include_bytes!(concat!(env!("AT_DATA_PATH"), "/top/a"));
fn main() {
    println!("{}", env!("AT_DATA_ARCHIVE"));
    println!("{:?} {:?}", A, datasets::data::FILES);
    println!("{}", std::fs::read_to_string(datasets::data::path().join(datasets::data::file::TOP_D_B_CSV)).unwrap());
}
"#;

#[test]
fn a_build_script_unpacks_once_and_a_build_without_the_feature_prints_the_line_that_turns_it_on() {
    let dataset = single();
    let seed = WebSeed::serving(&dataset);
    let lines = format!(
        "data = {{ torrent = \"data.torrent\", unpack = true, web-seeds = [\"{}\"] }}",
        seed.url()
    );
    let fixture = Fixture::new("unpacking", &lines).main(MAIN);
    std::fs::write(fixture.path("data.torrent"), dataset.torrent()).unwrap();
    let run = fixture.cargo(&["build"]);
    let says = "academictorrents = { version = \"0.1\", features = [\"unpack\"] }";
    assert!(!run.succeeded && run.stderr.contains(says), "{}", run.stderr);
    let fixture = fixture.feature("unpack");
    fixture.declare(&lines);
    let run = fixture.cargo(&["run"]).ok();
    let mut said = run.stdout.lines();
    dataset.assert_at(Path::new(said.next().unwrap()));
    let files = r#"[49] [("top/a", 1), ("top/d/b.csv", 1), ("top/d/c.txt", 1)]"#;
    assert_eq!((said.next(), said.next()), (Some(files), Some("2")), "{}", run.stdout);
    let fetched = seed.requests().len();
    // Cargo finds nothing newer than the script's last run.
    let again = fixture.cargo(&["build"]).ok();
    assert!(again.stderr.contains("Fresh unpacking v0.0.0"), "{}", again.stderr);
    // A missing tree is unpacked again without a message.
    let mut trees =
        std::fs::read_dir(fixture.store().join("v1/data")).unwrap().map(|it| it.unwrap().path());
    let tree = trees.find(|path| path.to_str().unwrap().contains('+')).unwrap();
    std::fs::remove_dir_all(&tree).unwrap();
    assert_eq!(fixture.cargo(&["run"]).ok().stdout, run.stdout);
    assert!(tree.exists());
    assert_eq!(seed.requests().len(), fetched);
}

#[test]
fn a_tree_goes_into_a_directory_and_the_archive_into_the_store() {
    let fixture = GetFixture::new();
    let dataset = folder();
    let torrent = fixture.path("data.torrent");
    let seed = WebSeed::serving(&dataset);
    std::fs::write(&torrent, dataset.clone().url_list([seed.url()]).torrent()).unwrap();
    let get = || {
        let get = fixture.ask(torrent.to_str().unwrap()).files(["raw/*", "README"]);
        get.unpack(Unpack::new().strip(1).members(["raw/images/**"])).into(fixture.data())
    };
    let path = get().run().unwrap();
    assert_eq!(path, fixture.data().join("lab"));
    let expected = [
        ("README", "read me"),
        ("raw/images/a", "1"),
        ("raw/images/d/b.csv", "2"),
        ("raw/images/d/c.txt", "3"),
    ];
    check(&path, &expected);
    assert!(
        files_below(&fixture.path("store/v1/data"))
            .iter()
            .any(|it| it.ends_with("raw/images.tar.gz"))
    );
    // The files belong to the user and are writable.
    let mine = path.join("raw/images/a");
    assert!(!std::fs::metadata(&mine).unwrap().permissions().readonly());
    let fetched = seed.requests().len();
    let before = inode(&mine);
    assert_eq!(get().run().unwrap(), path);
    assert_eq!((inode(&mine), seed.requests().len()), (before, fetched));
    // Missing files are restored, and foreign files stay.
    std::fs::remove_file(path.join("README")).unwrap();
    std::fs::write(&mine, "mine").unwrap();
    let error = get().run().unwrap_err().to_string().replace('\\', "/");
    assert!(error.contains("raw/images/a has different content"), "{error}");
    assert!(!path.join("README").exists(), "nothing was written");
    get().overwrite(true).run().unwrap();
    check(&path, &expected);
    std::fs::remove_dir_all(path.join("raw/images/d")).unwrap();
    std::fs::write(path.join("raw/images/d"), "").unwrap();
    let error = get().overwrite(true).run().unwrap_err().to_string();
    assert!(error.contains("is a file, and the dataset has a directory there"), "{error}");
    #[cfg(unix)]
    {
        std::fs::remove_file(path.join("raw/images/d")).unwrap();
        std::fs::create_dir(fixture.path("outside")).unwrap();
        std::os::unix::fs::symlink(fixture.path("outside"), path.join("raw/images/d")).unwrap();
        let error = get().overwrite(true).run().unwrap_err().to_string();
        assert!(error.contains("is a symbolic link, and the dataset has a directory"), "{error}");
        assert!(files_below(&fixture.path("outside")).is_empty());
    }
}

/// As for a dataset: one process at a time writes there, and what is unfinished is in the workplace.
#[test]
fn a_tree_is_copied_into_a_directory_under_its_lock_and_nothing_unfinished_stays() {
    let dataset = single();
    let seed = WebSeed::serving(&dataset);
    let (fixture, torrent) = crate::get_progress::fixture(&dataset, &seed);
    let ask = || fixture.ask(&torrent).unpack(Unpack::new()).into(fixture.data());
    let tree = fixture.ask(&torrent).unpack(Unpack::new()).run().unwrap();
    let id = tree.ancestors().nth(2).unwrap().file_name().unwrap();
    // Left by a process that was killed while it copied.
    let left = fixture.workplace().join("v1/partial").join(id).join(".tmp-0123456789abcdef");
    std::fs::create_dir_all(left.parent().unwrap()).unwrap();
    std::fs::write(left, "1").unwrap();
    let locked = || {
        let lock = fixture.workplace().join(format!("v1/locks/{}.lock", dataset.infohash_hex()));
        std::fs::create_dir_all(lock.parent().unwrap()).unwrap();
        let lock = std::fs::File::create(lock).unwrap();
        lock.lock().unwrap();
        lock
    };
    let first = fixture.data().join(tree.file_name().unwrap()).join("top/a");
    std::fs::create_dir_all(first.parent().unwrap()).unwrap();
    std::fs::write(&first, "1").unwrap();
    let time = first.metadata().unwrap().modified().unwrap();
    let lock = locked();
    let told = crate::get_progress::Told::default();
    let get = told.by(ask());
    let waiting = std::thread::spawn(move || get.run());
    eventually("it waits", || told.phases().contains(&academictorrents::Phase::Waiting));
    // With the same length and time it is not hashed again.
    std::fs::write(&first, "0").unwrap();
    let file = std::fs::File::options().write(true).open(&first).unwrap();
    file.set_modified(time).unwrap();
    drop(lock);
    let copy = waiting.join().unwrap().unwrap();
    assert_eq!(std::fs::read(&first).unwrap(), b"0");
    std::fs::write(&first, "1").unwrap();
    check(&copy, &MEMBERS);
    assert!(!fixture.workplace().exists(), "{:?}", files_below(&fixture.workplace()));
    // If nothing is missing, nothing is written.
    let _lock = locked();
    check(&ask().run().unwrap(), &MEMBERS);
}

#[test]
fn hidden_members_go_into_a_directory_only_by_force() {
    for member in ["../.bashrc", "d/.git/config", ".cargo/config.toml"] {
        let fixture = GetFixture::new();
        let dataset = Dataset::single("lab.tar", tar(&[(member.trim_start_matches("../"), "1")]));
        let torrent = fixture.path("data.torrent");
        let seed = WebSeed::serving(&dataset);
        std::fs::write(&torrent, dataset.clone().url_list([seed.url()]).torrent()).unwrap();
        let get =
            || fixture.ask(torrent.to_str().unwrap()).unpack(Unpack::new()).into(fixture.data());
        let result = get().run();
        // Below the dataset's own directory, names with a leading dot are ordinary.
        if member == "../.bashrc" {
            assert!(result.is_ok());
            continue;
        }
        let error = result.unwrap_err().to_string();
        assert!(error.contains("spelling of") && error.contains("Get::overwrite"), "{error}");
        assert!(files_below(&fixture.data()).is_empty());
        get().overwrite(true).run().unwrap();
    }
}

#[test]
fn a_record_of_an_unpacked_dataset_has_the_unpacked_files_and_the_archive() {
    let dataset = folder();
    let seed = WebSeed::serving(&dataset);
    let fixture = GetFixture::new();
    let torrent = fixture.path("data.torrent");
    std::fs::write(&torrent, dataset.clone().url_list([seed.url()]).torrent()).unwrap();
    let ask = || fixture.ask(torrent.to_str().unwrap()).files(["raw/*.gz", "README"]);
    let expected = [
        ("README", 7),
        ("raw/images/top/a", 1),
        ("raw/images/top/d/b.csv", 1),
        ("raw/images/top/d/c.txt", 1),
    ];
    let archive = ask().run().unwrap();
    for into in [false, false, true] {
        let get = ask().unpack(Unpack::new());
        let get = if into { get.into(fixture.data()) } else { get };
        let record = get.fetch().unwrap();
        crate::get_fetch::check(&record, &expected);
        assert_eq!(record.archive(), Some(&*archive));
        assert_eq!(record.infohash().to_string(), dataset.infohash_hex());
    }
    // A compressed single file, whose archive is not kept.
    let dataset = Dataset::single("t.csv.gz", gz(b"x,y"));
    let (project, _seed) = project(&dataset, "unpack = { keep-archive = false }");
    for _ in 0..2 {
        let datasets = project.run().unwrap();
        let record = datasets.dataset("data").unwrap();
        crate::get_fetch::check(record, &[("", 3)]);
        assert_eq!(record.archive(), None);
    }
}

#[test]
fn unpacking_is_told_and_can_be_stopped() {
    use academictorrents::{Phase, StopHandle};
    let dataset = folder();
    let seed = WebSeed::serving(&dataset);
    let (fixture, torrent) = crate::get_progress::fixture(&dataset, &seed);
    let ask = || fixture.ask(&torrent).unpack(Unpack::new());
    let told = crate::get_progress::Told::default();
    let record = told.by(ask()).fetch().unwrap();
    let unpacked = [Phase::Metainfo, Phase::Unpacking, Phase::Publishing, Phase::Done];
    let phases = told.phases();
    assert!(phases.contains(&Phase::Fetching) && phases.ends_with(&unpacked), "{phases:?}");
    told.assert_monotone();
    // The archives exist, but the tree does not.
    remove_tree(record.path());
    let stop = StopHandle::new();
    stop.stop();
    let error = ask().stop_with(&stop).run().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Stopped, "{error}");
    let left = std::fs::read_dir(fixture.path("store/v1/partial")).unwrap().count();
    assert_eq!(left, 0);
    let fetched = seed.requests().len();
    assert_eq!(ask().run().unwrap(), record.path());
    // The same for a user's directory.
    let error = ask().into(fixture.data()).stop_with(&stop).run().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Stopped, "{error}");
    let copy = ask().into(fixture.data()).run().unwrap();
    assert_eq!(files_below(&copy), files_below(record.path()));
    assert_eq!(seed.requests().len(), fetched);
}
