//! `cargo academictorrents add`.

use std::fs;

use crate::cli_fixture::{CliFixture, Page};
use crate::swarm::bencode::B;
use crate::swarm::{Catalogue, Dataset, WebSeed, random_bytes};

fn dataset() -> Dataset {
    Dataset::multi(
        "Small Images",
        [
            ("train/a.bin", random_bytes(1, 200_000)),
            ("train/b.bin", random_bytes(2, 100_000)),
            ("notes.txt", random_bytes(3, 50)),
        ],
    )
}

/// An empty crate, as `cargo init` creates it.
fn empty_crate(cli: &CliFixture) {
    cli.write(
        "Cargo.toml",
        "[package]\nname = \"model\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[dependencies]\n",
    );
    cli.write("src/main.rs", "fn main() {}\n");
}

fn read(cli: &CliFixture, below: &str) -> String {
    fs::read_to_string(cli.path(below)).unwrap()
}

#[test]
fn add_declares_a_dataset_with_all_that_a_build_needs() {
    let dataset =
        dataset().url_list(["http://127.0.0.1:9/"]).announce("http://127.0.0.1:9/announce");
    let catalogue = Catalogue::serving(&[&dataset]);
    let cli = CliFixture::new().env("ACADEMICTORRENTS_CATALOGUE", catalogue.url());
    empty_crate(&cli);
    let infohash = dataset.infohash_hex();
    let mut page = Page::new("add");
    let before = read(&cli, "Cargo.toml");
    page.show(&cli, &["add", &infohash, "--dry-run"]);
    assert_eq!(read(&cli, "Cargo.toml"), before);
    assert!(!cli.path("build.rs").exists());
    page.show(&cli, &["add", &infohash]);
    page.show(&cli, &["add", &infohash]);
    page.show(&cli, &["add", &infohash, "notes", "--files", "*.txt", "--optional", "--json"]);
    page.show(&cli, &["add", &infohash, "train", "--files", "train/**", "--vendor"]);
    page.compare();
    let manifest = read(&cli, "Cargo.toml");
    assert!(manifest.starts_with(&before));
    assert_eq!(fs::read(cli.path("datasets/train.torrent")).unwrap(), dataset.torrent());
    assert_eq!(read(&cli, "build.rs"), "fn main() {\n    academictorrents::build()\n}\n");
    // No other files remain.
    let mut there: Vec<_> =
        fs::read_dir(cli.path("")).unwrap().map(|it| it.unwrap().file_name()).collect();
    there.sort();
    assert_eq!(there, ["Cargo.toml", "build.rs", "datasets", "src", "store"]);
}

#[test]
fn add_refuses_what_no_build_would_take_and_changes_nothing() {
    let dataset = dataset();
    let catalogue = Catalogue::serving(&[&dataset]);
    let cli = CliFixture::new().env("ACADEMICTORRENTS_CATALOGUE", catalogue.url());
    let infohash = dataset.infohash_hex();
    cli.declare("images = \"323a0048d87ca79b68f12a6350a57776b6a3b7fb\"\na-b = \"323a0048d87ca79b68f12a6350a57776b6a3b7fb\"");
    let before = read(&cli, "Cargo.toml");
    let mut page = Page::new("add-refused");
    for arguments in [
        &["add", &infohash, "images"][..],
        &["add", &infohash, "a_b"],
        &["add", &infohash, "defaults"],
        &["add", &infohash, "Images"],
        &["add", &infohash, "infohash"],
        &["add", &infohash, "small", "--files", "*.png"],
        &["add", &infohash, "small", "-F", "fast"],
        &["add", &infohash, "-p", "nobody"],
        &["add", "mnist"],
        &["add", "missing.torrent"],
        &["add", "https://data.example.org/images.torrent"],
        &["add", "https://academictorrents.com/details/DDA10FE7D7FA7D47544E09E3D5623AFB0BAEE8EF"],
        &["add", &infohash, "--max-size", "much"],
        &["add", "0000000000000000000000000000000000000000"],
        &[
            "add",
            "0000000000000000000000000000000000000000",
            "zeros",
            "--vendor",
            "--offline",
            "--json",
        ],
    ] {
        let run = page.show(&cli, arguments);
        assert_ne!(run.status, Some(0), "{arguments:?}");
        assert_eq!(read(&cli, "Cargo.toml"), before, "{arguments:?}");
        assert!(!cli.path("build.rs").exists() && !cli.path("datasets").exists());
    }
    page.compare();
    let nowhere = CliFixture::new();
    let run = nowhere.run(&["add", &infohash]);
    assert!(run.status == Some(1) && run.stderr.contains("cargo init"), "{}", run.stderr);
    nowhere.write("Cargo.toml", "[package");
    let run = nowhere.run(&["add", &infohash]);
    assert!(run.status == Some(1) && !run.stderr.contains("cargo init"), "{}", run.stderr);
}

#[test]
fn a_torrent_that_cannot_be_looked_up_is_added_by_name() {
    let cli = CliFixture::new();
    empty_crate(&cli);
    let mut page = Page::new("add-offline");
    page.show(&cli, &["add", "323a0048d87ca79b68f12a6350a57776b6a3b7fb", "mnist", "--offline"]);
    page.compare();
    assert!(
        read(&cli, "Cargo.toml")
            .ends_with("mnist = \"323a0048d87ca79b68f12a6350a57776b6a3b7fb\"\n")
    );
}

#[test]
fn a_build_takes_what_add_has_written_pins_too() {
    let dataset = dataset();
    let mirror = CliFixture::new();
    dataset.write_mirror(&mirror.path("mirror"));
    let cli = CliFixture::new().env("ACADEMICTORRENTS_MIRRORS", mirror.path("mirror").display());
    cli.write("a.torrent", dataset.torrent());
    empty_crate(&cli);
    cli.ok(&["add", "a.torrent", "small", "--pin"]);
    let manifest = read(&cli, "Cargo.toml");
    let pins = dataset.files().into_iter().map(|(path, bytes)| {
        use sha2::Digest as _;
        let hex = |it: &[u8]| it.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        format!("{path:?} = {:?}", hex(&sha2::Sha256::digest(bytes)))
    });
    for pin in pins {
        assert!(manifest.contains(&pin), "{pin} in {manifest}");
    }
    // `--pin` downloaded the data: the build's request, with its pins, finds it in the store.
    let build = crate::support::build_in(&cli.path("")).env("ACADEMICTORRENTS_OFFLINE", "1");
    let datasets = build.run().unwrap();
    dataset.assert_at(datasets.dataset("small").unwrap().path());
}

#[test]
fn build_scripts_and_build_dependencies_that_are_there_are_respected() {
    let dataset = dataset();
    let check = |manifest: &str,
                 scripts: &[(&str, &str)],
                 says: &str,
                 adds: bool,
                 makes: Option<&str>| {
        let cli = CliFixture::new();
        cli.write("a.torrent", dataset.torrent());
        cli.write(
            "Cargo.toml",
            format!("[package]\nname = \"model\"\nversion = \"0.1.0\"\n{manifest}"),
        );
        cli.write("src/lib.rs", "");
        for (path, text) in scripts {
            cli.write(path, text);
        }
        let run = cli.run(&["add", "a.torrent", "small"]);
        assert_eq!(run.status, Some(0), "{}", run.stderr);
        assert!(run.stderr.contains(says), "{says} in {}", run.stderr);
        let ours = format!("academictorrents = \"{}\"", "0.1");
        assert_eq!(read(&cli, "Cargo.toml").contains(&ours), adds, "{}", read(&cli, "Cargo.toml"));
        for (path, text) in scripts {
            assert_eq!(read(&cli, path), *text);
        }
        match makes {
            Some(path) => assert!(read(&cli, path).contains("::build()"), "{path}"),
            None => assert!(
                scripts.iter().any(|it| it.0 == "build.rs") || !cli.path("build.rs").exists()
            ),
        }
    };
    let own = "fn main() {}\n";
    let calls = "fn main() { academictorrents::build() }\n";
    check("", &[("build.rs", own)], "academictorrents::build();", true, None);
    check("", &[("build.rs", calls)], "", true, None);
    check("build = false\n", &[], "`build = false`", true, None);
    check("build = \"other.rs\"\n", &[("other.rs", own)], "other.rs does not call", true, None);
    check("build = \"other.rs\"\n", &[("other.rs", calls)], "", true, None);
    check("build = \"other.rs\"\n", &[], "", true, Some("other.rs"));
    check(
        "[build-dependencies]\nacademictorrents = { path = \"x\" }\n",
        &[],
        "",
        false,
        Some("build.rs"),
    );
    check(
        "[target.'cfg(unix)'.build-dependencies]\nacademictorrents.version = \"*\"\n",
        &[],
        "for some targets or features only",
        false,
        Some("build.rs"),
    );
    check("[dependencies]\nacademictorrents = { path = \"x\" }\n", &[], "", true, Some("build.rs"));
    check(
        "[build-dependencies]\nat-data = { package = \"academictorrents\", version = \"*\" }\n",
        &[("build.rs", own)],
        "at_data::build();",
        false,
        None,
    );
}

/// Editions before 2024 accept `build_dependencies`, which Cargo ignores beside `build-dependencies`.
#[test]
fn a_table_of_build_dependencies_with_an_underscore_is_extended() {
    for table in
        ["[build_dependencies]\nother = \"1\"\n", "[build_dependencies.other]\nversion = \"1\"\n"]
    {
        let cli = CliFixture::new();
        cli.write("a.torrent", dataset().torrent());
        cli.write(
            "Cargo.toml",
            format!(
                "[package]\nname = \"model\"\nversion = \"0.1.0\"\nedition = \"2021\"\n{table}"
            ),
        );
        cli.write("src/lib.rs", "");
        cli.ok(&["add", "a.torrent", "small"]);
        let manifest = read(&cli, "Cargo.toml");
        assert!(!manifest.contains("build-dependencies"), "{manifest}");
        let mut cargo = std::process::Command::new(env!("CARGO"));
        cargo.args(["metadata", "--no-deps", "--offline", "--format-version", "1"]);
        let metadata = cargo.current_dir(cli.path("")).output().unwrap();
        let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout).unwrap();
        let mut names: Vec<_> = metadata["packages"][0]["dependencies"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["name"].as_str().unwrap())
            .collect();
        names.sort_unstable();
        assert_eq!(names, ["academictorrents", "other"], "{manifest}");
    }
}

/// Cargo refuses a package with `metabuild` and a build.rs.
#[test]
fn a_package_with_metabuild_gets_no_build_script() {
    for (name, says) in [("academictorrents", ""), ("other", "`metabuild` does not name")] {
        // As on the nightly channel.
        let cli = CliFixture::new().env("RUSTC_BOOTSTRAP", "1");
        cli.write("a.torrent", dataset().torrent());
        cli.write(
            "Cargo.toml",
            format!(
                "cargo-features = [\"metabuild\"]\n[package]\nname = \"model\"\nversion = \"0.1.0\"\n\
                 metabuild = [\"{name}\"]\n[build-dependencies]\n{name} = \"0.1\"\n"
            ),
        );
        cli.write("src/lib.rs", "");
        let run = cli.run(&["add", "a.torrent", "small"]);
        assert_eq!(run.status, Some(0), "{}", run.stderr);
        assert!(run.stderr.contains(says), "{}", run.stderr);
        assert!(!cli.path("build.rs").exists(), "{}", run.stdout);
        cli.ok(&["add", "a.torrent"]); // Cargo still reads the manifest
    }
}

#[test]
fn in_a_workspace_the_member_here_or_the_named_one_is_meant() {
    let dataset = dataset();
    let cli = CliFixture::new();
    cli.write("a.torrent", dataset.torrent());
    cli.write("Cargo.toml", "[workspace]\nmembers = [\"a\", \"b\"]\n[workspace.dependencies]\nacademictorrents = \"0.1\"\n");
    for name in ["a", "b"] {
        cli.write(
            &format!("{name}/Cargo.toml"),
            format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\""),
        );
        cli.write(&format!("{name}/src/lib.rs"), "");
    }
    let run = cli.run(&["add", "a.torrent", "small"]);
    assert!(
        run.status == Some(1) && run.stderr.contains("help: select one with --package"),
        "{}",
        run.stderr
    );
    cli.ok(&["add", "a.torrent", "small", "-p", "b"]);
    let manifest = read(&cli, "b/Cargo.toml");
    assert!(
        manifest.contains("\n[build-dependencies]\nacademictorrents = { workspace = true }\n"),
        "{manifest}"
    );
    assert!(!read(&cli, "a/Cargo.toml").contains("academictorrents"));
    let here =
        cli.command(&["add", "../a.torrent", "small"]).current_dir(cli.path("a")).output().unwrap();
    assert!(here.status.success(), "{here:?}");
    assert!(read(&cli, "a/Cargo.toml").contains(&dataset.infohash_hex()));
}

#[test]
fn a_hostile_torrent_breaks_neither_the_manifest_nor_the_terminal() {
    let check = |name: &str, file: &str, status| {
        let files = [(file, random_bytes(1, 100)), ("c.bin", random_bytes(2, 100))];
        let dataset = Dataset::multi(name, files);
        let mirror = CliFixture::new();
        dataset.write_mirror(&mirror.path("mirror"));
        let cli =
            CliFixture::new().env("ACADEMICTORRENTS_MIRRORS", mirror.path("mirror").display());
        cli.write("a.torrent", dataset.torrent());
        empty_crate(&cli);
        let run = cli.run(&["add", "a.torrent", "--pin"]);
        assert_eq!(run.status, Some(status), "{}", run.stderr);
        let odd = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        for text in [run.stdout, run.stderr, read(&cli, "Cargo.toml")] {
            assert!(!text.contains(odd), "{text:?}");
        }
    };
    if cfg!(unix) {
        check("\u{1b}[31m\"]\n[package]\nname = 'evil'\u{202e}", "a\u{7}b.bin", 1);
    }
    // Every file system accepts these names.
    check("evil'] # \u{202e}name", "{a} = ']' #\u{202e}.bin", 0);
}

#[cfg(unix)]
#[test]
fn what_cannot_be_written_leaves_everything_as_it_was() {
    use std::os::unix::fs::PermissionsExt as _;
    let dataset = dataset();
    let cli = CliFixture::new();
    cli.write("a.torrent", dataset.torrent());
    empty_crate(&cli);
    let manifest = cli.path("Cargo.toml");
    let before = read(&cli, "Cargo.toml");
    fs::set_permissions(&manifest, fs::Permissions::from_mode(0o444)).unwrap();
    let run = cli.run(&["add", "a.torrent", "small", "--vendor"]);
    assert!(run.status == Some(1) && run.stderr.contains("nothing was changed"), "{}", run.stderr);
    assert!(!cli.path("build.rs").exists() && !cli.path("datasets").exists());
    assert_eq!(read(&cli, "Cargo.toml"), before);
    // A manifest that is a symbolic link remains one, and its target keeps its permissions.
    fs::set_permissions(&manifest, fs::Permissions::from_mode(0o640)).unwrap();
    fs::rename(&manifest, cli.path("real.toml")).unwrap();
    std::os::unix::fs::symlink("real.toml", &manifest).unwrap();
    cli.ok(&["add", "a.torrent", "small"]);
    assert!(fs::symlink_metadata(&manifest).unwrap().is_symlink());
    assert_eq!(fs::metadata(&manifest).unwrap().permissions().mode() & 0o777, 0o640);
}

#[test]
fn a_limit_is_raised_for_what_is_larger_than_the_built_in_one() {
    let cli = CliFixture::new();
    // A torrent of 5 GiB, of which no byte is downloaded.
    let mut torrent =
        b"d4:infod6:lengthi5352000000e4:name7:big.bin12:piece lengthi16777216e6:pieces6400:"
            .to_vec();
    torrent.extend([7; 6400]);
    torrent.extend(b"ee");
    cli.write("big.torrent", torrent);
    empty_crate(&cli);
    let run = cli.run(&["add", "big.torrent"]);
    assert!(
        run.stderr.contains("at most 1 GiB by default; `max-size` allows 5.0 GiB"),
        "{}",
        run.stderr
    );
    assert!(read(&cli, "Cargo.toml").contains(", max-size = \"5GiB\" }"));
    let run = cli.run(&["add", "big.torrent", "low", "--max-size", "2GiB"]);
    assert!(run.stderr.contains("builds will refuse to download it"), "{}", run.stderr);
    assert!(read(&cli, "Cargo.toml").contains("low = { infohash = "));
    cli.write("Cargo.toml", "[package]\nname = \"m\"\n[package.metadata.academictorrents]\ndefaults = { max-size = \"1TiB\" }\n");
    cli.ok(&["add", "big.torrent"]);
    assert_eq!(read(&cli, "Cargo.toml").matches("max-size").count(), 1);
}

#[test]
fn more_files_than_a_screen_takes_are_counted() {
    let names: Vec<String> = (0..9).map(|it| format!("f{it}.bin")).collect();
    let files = names.iter().map(|name| (name.as_str(), random_bytes(1, 10)));
    let dataset = Dataset::multi("many", files.collect::<Vec<_>>());
    let cli = CliFixture::new();
    cli.write("a.torrent", dataset.torrent());
    cli.write("Cargo.toml", "[package]\nname = \"m\"\ninclude = [\"src\"]\n");
    cli.write("src/lib.rs", "");
    let run = cli.run(&["add", "a.torrent", "--dry-run", "--vendor"]);
    assert!(run.stdout.contains("f4.bin\n            … and 4 more\n"), "{}", run.stdout);
    assert!(run.stderr.contains("does not cover datasets/many.torrent"), "{}", run.stderr);
    let all = cli.ok(&["add", "a.torrent", "--dry-run", "-v"]);
    assert!(names.iter().all(|name| all.contains(name)), "{all}");
}

#[test]
fn cargo_builds_an_empty_crate_after_add() {
    let dataset = dataset();
    let fixture = crate::fixture::Fixture::new("fixture-added", "");
    fs::remove_file(fixture.path("build.rs")).unwrap();
    fixture.write(
        "Cargo.toml",
        "[package]\nname = \"fixture-added\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n",
    );
    fs::write(fixture.path("a.torrent"), dataset.torrent()).unwrap();
    dataset.write_mirror(&fixture.path("mirror"));
    let fixture = fixture.main("fn main() { println!(\"{}\", env!(\"AT_IMAGES_PATH\")) }\n");
    let mirror = fixture.path("mirror");
    let fixture = fixture.env("ACADEMICTORRENTS_MIRRORS", mirror.display());
    let mut add = fixture.command(env!("CARGO_BIN_EXE_cargo-academictorrents"));
    add.args(["academictorrents", "add", "a.torrent", "images", "--pin", "--vendor"]);
    crate::fixture::Run::of(add.env("CARGO", env!("CARGO")).output().unwrap()).ok();
    let patch = format!("patch.crates-io.academictorrents.path={:?}", crate::fixture::library());
    let run = fixture.cargo(&["run", "--config", &patch]).ok();
    dataset.assert_at(&run.printed_path());
}

#[test]
fn a_magnet_link_is_kept_where_it_names_more_than_the_infohash() {
    let dataset = dataset();
    let catalogue = Catalogue::serving(&[&dataset]);
    let link = format!("magnet:?xt=urn:btih:{}&dn=a%20b", dataset.infohash_hex());
    let with_tracker = format!("{link}&tr=http://127.0.0.1:9/a&so=2");
    let entry = |arguments: &[&str]| {
        let cli = CliFixture::new().env("ACADEMICTORRENTS_CATALOGUE", catalogue.url());
        empty_crate(&cli);
        cli.ok(&[&["add"], arguments].concat());
        let manifest = read(&cli, "Cargo.toml");
        manifest.lines().last().unwrap().split_once(" = ").unwrap().1.to_owned()
    };
    let infohash = dataset.infohash_hex();
    assert_eq!(entry(&[&link]), format!("{infohash:?}"));
    assert_eq!(entry(&[&with_tracker]), format!("{{ magnet = {with_tracker:?} }}"));
    assert_eq!(
        entry(&[&with_tracker, "notes", "--vendor"]),
        format!(
            "{{ infohash = {infohash:?}, torrent = \"datasets/notes.torrent\", \
             trackers = [\"http://127.0.0.1:9/a\"], files = [\"notes.txt\"] }}"
        )
    );
}

/// The catalog may not have a torrent that the user created.
#[test]
fn a_torrent_that_is_given_as_a_file_is_kept_where_builds_find_it() {
    let (infohash, name) = (dataset().infohash_hex(), "lab.torrent");
    let entry = |cli: &CliFixture, arguments: &[&str]| {
        let run = cli.run(&[&["add"], arguments].concat());
        assert_eq!(run.status, Some(0), "{}", run.stderr);
        read(cli, "Cargo.toml").lines().last().unwrap().to_owned()
    };
    let kept = |place: &str| format!("lab = {{ infohash = {infohash:?}, torrent = {place:?} }}");
    // Inside the package, the file stays where it is.
    for below in [name, "data/lab.torrent"] {
        let cli = CliFixture::new();
        empty_crate(&cli);
        cli.write(below, dataset().torrent());
        assert_eq!(entry(&cli, &[below, "lab"]), kept(below));
        assert!(!cli.path("datasets").exists());
        let build = crate::support::build_in(&cli.path("")).env("ACADEMICTORRENTS_OFFLINE", "1");
        let error = build.run().unwrap_err().to_string();
        assert!(error.contains("293.0 KiB are missing"), "{error}");
    }
    // From outside, it is copied into the package.
    let cli = CliFixture::new();
    let elsewhere = CliFixture::new();
    let outside = elsewhere.write(name, dataset().torrent());
    empty_crate(&cli);
    assert_eq!(entry(&cli, &[outside.to_str().unwrap(), "lab"]), kept("datasets/lab.torrent"));
    assert_eq!(fs::read(cli.path("datasets/lab.torrent")).unwrap(), dataset().torrent());
    // `--vendor` copies it, too.
    let cli = CliFixture::new();
    empty_crate(&cli);
    cli.write(name, dataset().torrent());
    assert_eq!(entry(&cli, &[name, "lab", "--vendor"]), kept("datasets/lab.torrent"));
}

#[test]
fn a_declared_dataset_gets_its_torrent_and_keeps_its_other_keys() {
    let dataset = dataset();
    let infohash = dataset.infohash_hex();
    let check = |before: &str, arguments: &[&str], after: &str| {
        let cli = CliFixture::new();
        cli.write("lab.torrent", dataset.torrent());
        cli.declare(&before.replace("HASH", &infohash));
        let run = cli.run(&[&["add"], arguments].concat());
        assert_eq!(run.status, Some(0), "{}", run.stderr);
        let manifest = read(&cli, "Cargo.toml");
        let entry = manifest.lines().find(|line| line.starts_with("lab")).unwrap();
        assert_eq!(entry, after.replace("HASH", &infohash));
        let says_so = run.stdout.contains("`lab` is already declared");
        assert_eq!(says_so, before == after, "{}", run.stdout);
        run.stderr
    };
    let short = "lab = \"HASH\"";
    let vendored = "lab = { infohash = \"HASH\", torrent = \"datasets/lab.torrent\" }";
    check(short, &["lab.torrent", "--vendor"], vendored);
    check(short, &["lab.torrent"], &vendored.replace("datasets/", ""));
    let table = "lab = { infohash = \"HASH\", files = [\"*.txt\"] }";
    let both = table.replace(" }", ", torrent = \"datasets/lab.torrent\" }");
    check(table, &["lab.torrent", "--vendor"], &both);
    // Existing keys are kept, and a warning names the options that had no effect.
    let there = "lab = { torrent = \"lab.torrent\" }";
    assert!(!check(there, &["lab.torrent", "--vendor"], there).contains("warning"));
    let said = check(there, &["lab.torrent", "--files", "train/*", "--peer", "127.0.0.1:9"], there);
    assert!(
        said.contains("--files, --peer has no effect") && said.contains("Cargo.toml:"),
        "{said}"
    );
}

#[test]
fn sources_are_written_and_asked_for_the_torrent() {
    let dataset = dataset();
    let seed = WebSeed::serving(&dataset);
    let infohash = dataset.infohash_hex();
    let cli = CliFixture::new();
    cli.write("work/crate/Cargo.toml", "[package]\nname = \"model\"\nversion = \"0.1.0\"\n");
    cli.write("work/crate/src/lib.rs", "");
    dataset.write_mirror(&cli.path("work/mirror"));
    let (tracker, peer, url) = ("http://127.0.0.1:9/announce", "127.0.0.1:9", seed.url());
    let options = [
        "add",
        &infohash,
        "small",
        "--manifest-path",
        "crate/Cargo.toml",
        "--mirror",
        "mirror",
        "--mirror",
        "http://127.0.0.1:9/at",
        "--web-seed",
        &url,
        "--tracker",
        tracker,
        "--peer",
        peer,
        "--pin",
    ];
    // Paths are relative to the working directory; the manifest gets them relative to itself.
    let run = cli.command(&options).current_dir(cli.path("work")).output().unwrap();
    assert!(run.status.success(), "{run:?}");
    let shown = String::from_utf8(run.stdout).unwrap();
    assert!(shown.contains("sources   1 web seed, 1 tracker, 1 peer, 2 mirrors"), "{shown}");
    let manifest = read(&cli, "work/crate/Cargo.toml");
    for line in [
        format!("infohash = {infohash:?}"),
        format!("web-seeds = [{url:?}]"),
        format!("trackers = [{tracker:?}]"),
        format!("peers = [{peer:?}]"),
        "mirrors = [\"../mirror\", \"http://127.0.0.1:9/at\"]".to_owned(),
    ] {
        assert!(manifest.lines().any(|it| it == line), "{line} in {manifest}");
    }
    // A build takes the data from the mirror.
    let build = crate::support::build_in(&cli.path("work/crate"));
    let build = build.env("ACADEMICTORRENTS_STORE", cli.path("other"));
    let datasets = build.env("ACADEMICTORRENTS_OFFLINE", "1").run().unwrap();
    dataset.assert_at(datasets.dataset("small").unwrap().path());
    // Values that a manifest does not accept are refused before any request.
    for (option, value) in [
        ("--web-seed", "ftp://127.0.0.1/"),
        ("--tracker", "nowhere"),
        ("--peer", "127.0.0.1"),
        ("--mirror", ""),
    ] {
        let run =
            cli.run(&["add", &infohash, option, value, "--manifest-path", "work/crate/Cargo.toml"]);
        assert!(
            run.status == Some(1) && run.stderr.contains(&format!("`{option}`")),
            "{}",
            run.stderr
        );
    }
}

#[test]
fn the_build_dependency_comes_from_a_checkout_or_a_repository() {
    let dataset = dataset();
    let (library, url) =
        (crate::fixture::library().display().to_string(), "https://git.example.org/at");
    let check = |before: &str, options: &[&str], after: Result<&str, &str>| {
        let cli = CliFixture::new();
        cli.write("a.torrent", dataset.torrent());
        cli.write("at/Cargo.toml", "[package]\nname = \"academictorrents\"\nversion = \"0.7.1\"\n");
        cli.write("at/src/lib.rs", "");
        cli.write("other/Cargo.toml", "[package]\nname = \"other\"\n");
        cli.write(
            "Cargo.toml",
            format!("[package]\nname = \"model\"\nversion = \"0.1.0\"\n[workspace]\n{before}"),
        );
        cli.write("src/lib.rs", "");
        let run = cli.run(&[&["add", "a.torrent", "small"], options].concat());
        let manifest = read(&cli, "Cargo.toml");
        match after {
            Ok(line) => {
                assert_eq!(run.status, Some(0), "{}", run.stderr);
                let found = manifest.lines().find_map(|it| it.strip_prefix("academictorrents = "));
                assert_eq!(found, Some(line), "{manifest}");
            }
            Err(says) => {
                assert!(run.status != Some(0) && run.stderr.contains(says), "{}", run.stderr);
                assert!(!manifest.contains("academictorrents"), "{manifest}");
            }
        }
        run.stderr
    };
    let of_path = Ok("{ version = \"0.7.1\", path = \"at\" }");
    check("", &["--path", "at"], of_path);
    check("", &["--path", "./other/../at/"], of_path);
    let unpacks = "{ version = \"0.7.1\", path = \"at\", features = [\"unpack\"] }";
    check("", &["--path", "at", "--unpack"], Ok(unpacks));
    check("", &["--path", "other"], Err("is package `other`"));
    check("", &["--path", "nowhere"], Err("is not a checkout"));
    check("", &["--git", url], Ok("{ git = \"https://git.example.org/at\" }"));
    let branch = "{ git = \"https://git.example.org/at\", branch = \"main\" }";
    check("", &["--git", url, "--branch", "main"], Ok(branch));
    check(
        "",
        &["--git", url, "--tag", "v1"],
        Ok(&branch.replace("branch", "tag").replace("main", "v1")),
    );
    check(
        "",
        &["--git", url, "--rev", "ab12"],
        Ok(&branch.replace("branch", "rev").replace("main", "ab12")),
    );
    check("", &["--git", url, "--path", "at"], Err("cannot be used with"));
    check("", &["--branch", "main"], Err("--git"));
    // With `--path`, the workspace's requirement is not used.
    let workspace = "[workspace.dependencies]\nacademictorrents = \"0.1\"\n";
    let cli = CliFixture::new();
    cli.write("a.torrent", dataset.torrent());
    cli.write(
        "Cargo.toml",
        format!("[package]\nname = \"model\"\nversion = \"0.1.0\"\n[workspace]\n{workspace}"),
    );
    cli.write("src/lib.rs", "");
    let shown = cli.ok(&["add", "a.torrent", "small", "--path", &library]);
    assert!(shown.contains("\n+ academictorrents = { version = "), "{shown}");
    // An existing requirement is kept, with a message.
    let there = "[build-dependencies]\nacademictorrents = { path = \"at\" }\n";
    let said = check(there, &["--path", "other"], Ok("{ path = \"at\" }"));
    assert!(said.contains("--path has no effect"), "{said}");
}

#[test]
fn license_and_citation_are_shown_where_they_are_known() {
    let record = r#"{"name": "R&D", "license": "ODbL", "bibtex": "@misc{x, title={The {R\\&D}\n Set}, author={A. B and C. D and E. F}, year={2013}}"}"#;
    let check = |dataset: &Dataset, record: Option<&str>, expected: &[&str], asks: usize| {
        let infohash = dataset.infohash_hex();
        let catalogue = Catalogue::serving(&[dataset]);
        let catalogue = match record {
            Some(record) => catalogue.record(&infohash, record),
            None => catalogue,
        };
        let cli = CliFixture::new().env("ACADEMICTORRENTS_CATALOGUE", catalogue.url());
        empty_crate(&cli);
        let shown = cli.ok(&["add", &infohash, "small"]);
        let of = |label: &str| shown.lines().find(|line| line.trim_start().starts_with(label));
        let lines: Vec<_> = ["license", "cite as"].into_iter().filter_map(of).collect();
        assert_eq!(lines, expected, "{shown}");
        let document = cli.ok(&["add", &infohash, "again", "--json"]);
        let document: serde_json::Value = serde_json::from_str(&document).unwrap();
        for (key, label) in [("license", "  license   "), ("citation", "  cite as   ")] {
            let line = expected.iter().find_map(|line| line.strip_prefix(label));
            assert_eq!(document["torrent"][key].as_str(), line, "{document}");
        }
        // The torrent and its record are requested once each.
        assert_eq!(catalogue.requests().len(), asks, "{:?}", catalogue.requests());
    };
    let plain = dataset();
    let licensed = dataset().outer("license", B::bytes("CC-BY\u{1b}[31m\n 4.0"));
    let [odbl, cite] = ["  license   ODbL", "  cite as   A. B et al. (2013): The R&D Set"];
    check(&plain, Some(record), &[odbl, cite], 2);
    check(&licensed, Some(record), &["  license   CC-BY\\u{1b}[31m 4.0", cite], 2);
    // The torrent's name alone is not a citation.
    check(&plain, Some(r#"{"name": "x"}"#), &[], 2);
    check(&licensed, None, &["  license   CC-BY\\u{1b}[31m 4.0"], 2);
}

/// Private data must not be reported to the catalog.
#[test]
fn nobody_is_asked_about_a_torrent_that_is_here() {
    let dataset = dataset();
    let catalogue = Catalogue::serving(&[&dataset]);
    let cli = CliFixture::new().env("ACADEMICTORRENTS_CATALOGUE", catalogue.url());
    empty_crate(&cli);
    cli.write("a.torrent", dataset.torrent());
    dataset.write_mirror(&cli.path("mirror"));
    cli.ok(&["add", "a.torrent", "small"]);
    cli.ok(&["add", &dataset.infohash_hex(), "other", "--mirror", "mirror", "--store", "empty"]);
    assert_eq!(catalogue.requests().len(), 0);
}
