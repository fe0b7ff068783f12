//! `name.workspace = true`: what a package inherits, and the messages if it cannot.

use std::fs;

use super::*;

/// A directory with the workspace's manifest, and `member/Cargo.toml`.
struct Members(tempfile::TempDir);

impl Members {
    fn of(root: &str) -> Members {
        let directory = tempfile::tempdir().unwrap();
        let root = root.replace("HASH", HASH).replace("PIN", PIN);
        fs::write(directory.path().join("Cargo.toml"), root).unwrap();
        Members(directory)
    }

    fn path(&self, below: &str) -> PathBuf {
        self.0.path().join(below)
    }

    fn read(&self, place: &str, text: &str) -> Result<Manifest, Error> {
        let path = self.path(place).join("Cargo.toml");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let text = text.replace("HASH", HASH).replace("PIN", PIN);
        fs::write(&path, text).unwrap();
        Manifest::read(&path)
    }

    fn member(&self, datasets: &str) -> Result<Manifest, Error> {
        let text = format!(
            "[package]\nname = 'm'\n[features]\nfull = []\n[package.metadata.academictorrents]\n{datasets}"
        );
        self.read("member", &text)
    }

    /// The first error, without the test's directory.
    fn error(&self, datasets: &str) -> String {
        let error = self.member(datasets).expect_err(datasets).to_string();
        error.replace(&format!("{}{}", self.0.path().display(), std::path::MAIN_SEPARATOR), "")
    }
}

const ROOT: &str = "[workspace]\nmembers = ['member']\n\
    [workspace.metadata.academictorrents]\nplain = 'HASH'\n\
    inline = { torrent = 'data/x.torrent', files = ['a'], mirrors = ['mirror'] }\n\
    [workspace.metadata.academictorrents.defaults]\nmax-size = '2GiB'\n\
    [workspace.metadata.academictorrents.table]\ninfohash = 'HASH'\nrequired-features = ['full']\n\
    [workspace.metadata.academictorrents.broken]\ninfohash = 'x'\n";

#[test]
fn a_dataset_is_as_the_workspace_declares_it() {
    let members = Members::of(ROOT);
    let text = "defaults.optional = true\nplain.workspace = true\ninline = { workspace = true }\n\
                table.workspace = true\nown = 'HASH'";
    let manifest = members.member(text).unwrap();
    assert_eq!(manifest.workspace, Some(members.path("Cargo.toml")));
    let [inline, own, plain, table] = &manifest.requests[..] else { panic!("{manifest:?}") };
    assert_eq!(plain.identity.infohash.unwrap().to_string(), HASH);
    // The workspace's defaults apply to its own datasets, and the package's to the package's.
    assert_eq!((plain.max_size_bytes, plain.optional), (Some(2 << 30), false));
    assert_eq!((own.max_size_bytes, own.optional), (None, true));
    // Relative paths start at the manifest that contains them.
    assert_eq!(inline.identity.torrent, Some(members.path("data/x.torrent")));
    assert_eq!(inline.mirrors, [Mirror::Directory(members.path("mirror"))]);
    assert_eq!(inline.files.len(), 1);
    assert_eq!(table.required_features, ["full"]);
    // The reported line is in the package's manifest.
    assert_eq!((line(plain), line(inline)), (Some(7), Some(8)));
}

#[test]
fn further_keys_take_the_place_of_the_workspaces() {
    let members = Members::of(ROOT);
    let text =
        "inline = { workspace = true, files = ['b', 'c'], mirrors = ['here'], optional = true }";
    let inline = &members.member(text).unwrap().requests[0];
    assert_eq!(inline.files.len(), 2);
    assert_eq!(inline.mirrors, [Mirror::Directory(members.path("member/here"))]);
    assert_eq!(inline.identity.torrent, Some(members.path("data/x.torrent")));
    assert!(inline.optional);
    // `files` in the package replaces the selection of a magnet link.
    let root = "[workspace.metadata.academictorrents.m]\nmagnet = 'magnet:?xt=urn:btih:HASH&so=0'";
    let members = Members::of(&format!("[workspace]\n{root}"));
    let m = &members.member("m = { workspace = true, files = ['b'] }").unwrap().requests[0];
    assert_eq!((m.files.len(), m.file_numbers().len()), (1, 0));
    let m = &members.member("m.workspace = true").unwrap().requests[0];
    assert_eq!((m.files.len(), m.file_numbers().len()), (0, 1));
    assert_eq!(inline.max_size_bytes, Some(2 << 30));
}

#[test]
fn the_root_is_found_as_cargo_finds_it() {
    let members = Members::of(ROOT);
    let section = "[package.metadata.academictorrents]\nplain.workspace = true";
    let read = |place: &str, package: &str| {
        members.read(place, &format!("[package]\nname = 'm'\n{package}\n{section}"))
    };
    for place in ["member", "a/b/c"] {
        assert_eq!(read(place, "").unwrap().requests.len(), 1, "{place}");
    }
    // A package in between, without a `[workspace]`, is not a root.
    read("between", "").unwrap();
    assert_eq!(read("between/member", "").unwrap().workspace, Some(members.path("Cargo.toml")));
    // `package.workspace` names another root.
    let other = Members::of("[workspace]\nmetadata.academictorrents.plain = 'HASH'");
    let named = format!("workspace = '{}'", other.0.path().display());
    assert_eq!(read("member", &named).unwrap().workspace, Some(other.path("Cargo.toml")));
    // A root that is a package inherits from itself.
    let root = format!("{}\n[package]\nname = 'root'\n{section}", ROOT.replace("HASH", HASH));
    let root = members.read("", &root).unwrap();
    assert_eq!((root.requests.len(), root.workspace), (1, Some(members.path("Cargo.toml"))));
    // A package with its own `[workspace]` does not belong to the outer workspace.
    let error = read("alone", "[workspace]").unwrap_err().to_string();
    assert!(error.contains("has no such dataset"), "{error}");
    // An excluded package has no workspace, unless it is listed as a member.
    let exclude = "[workspace]\nmembers = ['out/named']\nexclude = ['out']\n\
                   metadata.academictorrents.plain = 'HASH'";
    let excluding = Members::of(exclude);
    let read = |place: &str| {
        excluding.read(
            place,
            "[package]\nname = 'm'\n[package.metadata.academictorrents]\nplain.workspace = true",
        )
    };
    let error = read("out/other").unwrap_err().to_string();
    assert!(error.contains("the package is not in a workspace"), "{error}");
    read("out/named").unwrap();
    read("outer").unwrap();
    // Without inherited datasets, the workspace is not searched.
    assert_eq!(members.member("own = 'HASH'").unwrap().workspace, None);
}

/// The real Cargo finds the same root in each of these layouts.
#[test]
fn the_root_is_the_one_that_cargo_reports() {
    const PACKAGE: &str = "[package]\nname = 'PLACE'\nversion = '0.1.0'\nedition = '2021'\n";
    let check = |layout: &[(&str, &str)], member: &str, expected: Option<&str>| {
        let root = Members::of("");
        fs::remove_file(root.path("Cargo.toml")).unwrap();
        for (place, text) in layout {
            fs::create_dir_all(root.path(place).join("src")).unwrap();
            fs::write(root.path(place).join("src/lib.rs"), "").unwrap();
            let name = place.replace('/', "-");
            let text = text.replace("PACKAGE\n", PACKAGE).replace("PLACE", &name);
            let shared = format!("metadata.academictorrents.plain = '{HASH}'");
            let text = text.replace("[workspace]", &format!("[workspace]\n{shared}"));
            fs::write(root.path(place).join("Cargo.toml"), text).unwrap();
        }
        let manifest = root.path(member).join("Cargo.toml");
        let mut text = fs::read_to_string(&manifest).unwrap();
        text += "\n[package.metadata.academictorrents]\nplain.workspace = true\n";
        fs::write(&manifest, text).unwrap();
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output = std::process::Command::new(cargo)
            .args(["locate-project", "--workspace", "--message-format=plain", "--manifest-path"])
            .arg(&manifest)
            .output()
            .unwrap();
        assert!(output.status.success(), "{layout:?}: {}", String::from_utf8_lossy(&output.stderr));
        let cargos = PathBuf::from(String::from_utf8(output.stdout).unwrap().trim_end());
        match expected {
            Some(expected) => {
                assert_eq!(cargos, root.path(expected).join("Cargo.toml"), "{layout:?}");
                let ours = Manifest::read(&manifest).expect(expected).workspace.unwrap();
                assert_eq!(ours.canonicalize().unwrap(), cargos.canonicalize().unwrap());
            }
            // For Cargo, a package without a workspace is its own root.
            None => {
                assert_eq!(cargos, manifest, "{layout:?}");
                let error = Manifest::read(&manifest).unwrap_err().to_string();
                assert!(error.contains("the package is not in a workspace"), "{error}");
            }
        }
    };
    let outer = |members: &str| format!("[workspace]\nresolver = '2'\nmembers = [{members}]\n");
    // Above a root that excludes the package, the search continues.
    let excluding = ("o/inner", "[workspace]\nresolver = '2'\nexclude = ['p']\n");
    check(
        &[("o", &outer("'inner/p'")), excluding, ("o/inner/p", "PACKAGE\n")],
        "o/inner/p",
        Some("o"),
    );
    check(&[excluding, ("o/inner/p", "PACKAGE\n")], "o/inner/p", None);
    // A package in between names another root.
    let between = ("b", "PACKAGE\nworkspace = '../o'\n");
    let below = ("b/c/p", "PACKAGE\n");
    check(&[("o", &outer("'../b', '../b/c/p'")), between, below], "b/c/p", Some("o"));
    check(&[("o", &outer("'../b', '../b/c/p'")), between, below], "b", Some("o"));
    // A path in `members` covers what is below it.
    let covering =
        "[workspace]\nresolver = '2'\nmembers = ['out/a', 'out/a/p']\nexclude = ['out']\n";
    let layout = [("o", covering), ("o/out/a", "PACKAGE\n"), ("o/out/a/p", "PACKAGE\n")];
    check(&layout, "o/out/a/p", Some("o"));
    let covering = "[workspace]\nresolver = '2'\nmembers = ['out/a']\nexclude = ['out']\n";
    let depends = "PACKAGE\n[dependencies]\no-out-a-p.path = 'p'\n";
    let layout = [("o", covering), ("o/out/a", depends), ("o/out/a/p", "PACKAGE\n")];
    check(&layout, "o/out/a/p", Some("o"));
    // It is compared by components, and globs are not expanded.
    let globs = "[workspace]\nresolver = '2'\nmembers = ['ou', 'out/*']\nexclude = ['out']\n";
    let layout = [("o", globs), ("o/ou", "PACKAGE\n"), ("o/out/p", "PACKAGE\n")];
    check(&layout, "o/out/p", None);
    check(&layout, "o/ou", Some("o"));
}

#[test]
fn what_cannot_be_inherited_is_said_on_its_line() {
    let members = Members::of(ROOT);
    let check = |datasets: &str, parts: &[&str]| {
        let error = members.error(datasets).replace('\\', "/");
        assert!(error.starts_with("member/Cargo.toml:6: "), "{error}");
        assert!(parts.iter().all(|part| error.contains(part)), "{parts:?}: {error}");
    };
    check(
        "m.workspace = true",
        &[
            "[workspace.metadata.academictorrents] of Cargo.toml has no such dataset",
            "`m = \"<infohash>\"`",
        ],
    );
    check("inlin.workspace = true", &["did you mean `inline.workspace = true`?"]);
    check("plain.workspace = false", &["write `workspace = true`"]);
    check("plain.workspace = 'x'", &["expected true, found a string"]);
    check("plain = { workspace = true, infohash = 'HASH' }", &["`infohash` already identifies"]);
    check("plain = { workspace = true, torrent = 'x' }", &["remove one of the two"]);
    check("plain = { workspace = true, filez = ['x'] }", &["unknown key `filez`", "`files`"]);
    check("table = { workspace = true, required-features = ['none'] }", &["no feature `none`"]);
    check("defaults.workspace = true", &["`workspace` is not allowed in `defaults`"]);
    check("workspace = true", &["`workspace` is not a dataset name"]);
    // A problem in the workspace's manifest is reported there, if the dataset is inherited.
    let error = members.error("broken.workspace = true");
    assert!(error.starts_with("Cargo.toml:12: "), "{error}");
    members.member("plain.workspace = true").unwrap();
    for (root, part) in [
        (
            "[workspace]\nmetadata.academictorrents.plain.workspace = true",
            "this is already the workspace",
        ),
        ("[workspace]\nmetadata.academictorrents = 1", "has no such dataset"),
        ("[workspace]", "has no such dataset"),
        ("[package]\nname = 'x'", "the package is not in a workspace"),
        ("[workspace", "the package is not in a workspace"),
    ] {
        let error = Members::of(root).error("plain.workspace = true");
        assert!(error.contains(part), "{root}: {error}");
    }
    let text = "[package]\nname = 'm'\nworkspace = 'nowhere'\n[package.metadata.academictorrents]\nplain.workspace = true";
    let error = members.read("member", text).unwrap_err().to_string();
    assert!(error.contains("correct `package.workspace`"), "{error}");
}

/// `cargo package` keeps the line, but the unpacked package has no workspace.
#[test]
fn a_manifest_that_is_published_must_declare_it_itself() {
    // As Cargo writes them.
    let preamble = "# THIS FILE IS AUTOMATICALLY GENERATED BY CARGO\n#\n";
    let published = |members: &Members, mark: &str, datasets: &str| {
        fs::create_dir(members.path("member")).unwrap();
        fs::write(members.path("member").join(mark), "").unwrap();
        let preamble = if mark == "Cargo.toml.orig" { preamble } else { "" };
        let text = format!(
            "{preamble}[package]\nname = 'm'\n[package.metadata.academictorrents]\n{datasets}"
        );
        members.read("member", &text)
    };
    let help = |line: &str| format!("write {line} into [package.metadata.academictorrents]");
    let itself = "the dataset itself, with paths inside the package,";
    let plain = "[workspace.metadata.academictorrents]\nplain = 'HASH'";
    for (root, datasets, line) in [
        (plain, "plain.workspace = true", format!("`plain = \"{HASH}\"`")),
        // The workspace's defaults and the package's additions would be lost, and relative paths
        // would change.
        (ROOT, "plain.workspace = true", itself.to_owned()),
        (plain, "plain = { workspace = true, optional = true }", itself.to_owned()),
        (ROOT, "inline.workspace = true", itself.to_owned()),
        (ROOT, "table.workspace = true", itself.to_owned()),
        (ROOT, "unknown.workspace = true", itself.to_owned()),
    ] {
        for mark in ["Cargo.toml.orig", ".cargo-checksum.json"] {
            let root = if root == plain { format!("[workspace]\n{root}") } else { root.to_owned() };
            let members = Members::of(&root);
            let error = published(&members, mark, datasets).unwrap_err().to_string();
            assert!(error.contains(&help(&line)), "{error}");
        }
    }
    published(&Members::of(ROOT), "Cargo.toml.orig", "own = 'HASH'").unwrap();
    // Unpacked elsewhere.
    let elsewhere = Members::of("[package]\nname = 'x'");
    let error = published(&elsewhere, "Cargo.toml.orig", "plain.workspace = true");
    let error = error.unwrap_err().to_string();
    assert!(error.contains(&help(itself)), "{error}");
    // A merge tool keeps its copy under the same name.
    let merged = Members::of(ROOT);
    fs::create_dir(merged.path("member")).unwrap();
    fs::write(merged.path("member/Cargo.toml.orig"), "").unwrap();
    merged.member("plain.workspace = true").unwrap();
}
