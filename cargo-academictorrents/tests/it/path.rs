//! `cargo academictorrents path`.

use crate::cli_fixture::{CliFixture, Page};
use crate::swarm::{Dataset, WebSeed, random_bytes};

#[test]
fn path_prints_where_a_dataset_lies_or_says_what_is_missing() {
    let dataset = Dataset::single("data.bin", random_bytes(1, 300_000));
    let web_seed = WebSeed::serving(&dataset);
    let cli = CliFixture::new();
    let mut page = Page::new("path");
    page.show(&cli, &["path", "mnist"]);
    cli.write("data.torrent", dataset.clone().url_list([web_seed.url()]).torrent());
    cli.declare("mnist = { torrent = \"data.torrent\" }");
    page.show(&cli, &["path", "mnist"]);
    page.show(&cli, &["path", "minst"]);
    page.show(&cli, &["path", "minst", "--json"]);
    page.show(&cli, &["path", "mnist", "-p", "nobody"]);
    cli.ok(&["fetch"]);
    page.show(&cli, &["path", "mnist"]);
    page.show(&cli, &["path", "mnist", "--json"]);
    page.show(&cli, &["path", "data.torrent"]);
    page.compare();
}

/// As a build does, and nothing is written to find out.
#[test]
#[cfg(unix)]
fn path_finds_a_selection_in_a_read_only_store_without_a_lock_file() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    use std::os::unix::process::CommandExt as _;
    let dataset =
        Dataset::multi("set", [("a", random_bytes(1, 40_000)), ("b", random_bytes(2, 40_000))]);
    let cli = CliFixture::new();
    cli.write("data.torrent", dataset.torrent());
    dataset.write_to(&cli.path("copy"));
    let whole = cli.ok(&["import", "copy", "--id", "data.torrent"]);
    let root = cli.store().join("v1");
    let locks = root.join("locks");
    std::fs::remove_dir_all(&locks).unwrap();
    std::fs::create_dir(&locks).unwrap();
    let set = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    set(&cli.path(""), 0o755);
    let state = || {
        let all = ["", "locks", "data", "torrents", "partial", "CACHEDIR.TAG"].map(|it| {
            let it = std::fs::symlink_metadata(root.join(it)).unwrap();
            (it.mtime(), it.mtime_nsec(), it.ctime(), it.ctime_nsec())
        });
        (all, crate::support::files_below(&root))
    };
    // Root may write anywhere, so another user looks.
    let is_root = std::fs::metadata(&root).unwrap().uid() == 0;
    let link = format!("magnet:?xt=urn:btih:{}&so=0", dataset.infohash_hex());
    let command = |arguments: &[&str]| {
        let mut command = cli.command(arguments);
        if is_root {
            command.uid(65_534).gid(65_534);
        }
        command
    };
    if let Err(why) = command(&["--help"]).output() {
        use std::io::Write as _;
        // Unlike the output of `eprintln!`, this output is not captured.
        let _ = writeln!(
            std::io::stderr(),
            "`path` in a read-only store was not tested: user 65534 cannot run the command: {why}"
        );
        return;
    }
    let run_for = |id: &str, arguments: &[&str]| {
        let output = command(&[arguments, &[id, "--offline"]].concat()).output().unwrap();
        let run = crate::cli_fixture::Run::of(output);
        (run.status, run.stdout, run.stderr)
    };
    let run = |arguments: &[&str]| run_for(&link, arguments);
    let modes = [(locks.clone(), 0o555), (root.join("CACHEDIR.TAG"), 0o444)];
    modes.iter().for_each(|(path, mode)| set(path, *mode));
    let before = state();
    let (status, path, said) = run(&["path"]);
    assert_eq!((status, &path), (Some(0), &whole), "{said}");
    assert_eq!(state(), before);
    let (status, path, said) = run(&["get"]);
    assert_eq!((status, &path), (Some(0), &whole), "{said}");
    assert_eq!(state(), before);
    // Files whose times were lost are hashed.
    let touch = |name: &str| {
        let file = std::fs::File::open(std::path::Path::new(whole.trim_end()).join(name)).unwrap();
        let before = file.metadata().unwrap().modified().unwrap();
        file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        (file, before)
    };
    let touched = ["a", "b"].map(touch);
    let before = state();
    for id in [&link, &dataset.infohash_hex()] {
        for verb in ["path", "get"] {
            let (status, path, said) = run_for(id, &[verb]);
            assert_eq!((status, &path), (Some(0), &whole), "{verb}: {said}");
        }
    }
    assert_eq!(state(), before);
    for (file, before) in touched {
        file.set_modified(before).unwrap();
    }
    // Where files can be created, there is no selection yet, and looking creates nothing.
    modes.iter().for_each(|(path, _)| set(path, 0o777));
    let before = state();
    assert_eq!(run(&["path"]).0, Some(1));
    assert_eq!(state(), before);
}

/// A script uses the path as it is printed.
#[test]
#[cfg(target_os = "linux")] // other systems refuse such names
fn a_path_that_is_not_utf8_is_printed_unchanged() {
    use std::os::unix::ffi::OsStringExt as _;
    let name = b"d\xe9ta".to_vec();
    let dataset = Dataset::multi_raw(&name, vec![(vec![b"a".to_vec()], random_bytes(1, 40_000))]);
    let web_seed = WebSeed::serving(&dataset);
    let cli = CliFixture::new();
    cli.write("data.torrent", dataset.clone().url_list([web_seed.url()]).torrent());
    cli.declare("data = { torrent = \"data.torrent\" }");
    dataset.write_to(&cli.path("copy"));
    let name = std::ffi::OsString::from_vec(name);
    let lies_at = |arguments: &[&str], begin: &str| {
        let output = cli.command(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let path = output.stdout.strip_prefix(begin.as_bytes()).unwrap();
        let path = path.strip_suffix(b"\n").unwrap().to_vec();
        let path = std::path::PathBuf::from(std::ffi::OsString::from_vec(path));
        assert_eq!(path.file_name(), Some(&*name), "{arguments:?}");
        dataset.assert_at(&path);
    };
    lies_at(&["import", "copy"], "");
    lies_at(&["fetch"], "data  ");
    lies_at(&["path", "data"], "");
    lies_at(&["get", "data.torrent"], "");
    lies_at(&["get", "data.torrent", "--into", "here"], "");
}

/// As from an unset shell variable.
#[test]
fn an_empty_id_is_no_path() {
    let cli = CliFixture::new();
    for verb in ["get", "info", "path", "add", "verify"] {
        let run = cli.run(&[verb, "", "--offline"]);
        assert_eq!(run.status, Some(1));
        let begin = "error: `` is not a dataset\n  it is neither an infohash nor a magnet link";
        assert!(run.stderr.starts_with(begin), "{verb}: {}", run.stderr);
    }
}

#[test]
fn a_dataset_that_several_packages_declare_is_listed_once_among_the_declared_ones() {
    let cli = CliFixture::new();
    let datasets = "a = \"323a0048d87ca79b68f12a6350a57776b6a3b7fb\"\nb = \"ce990b28668abf16480b8b906640a6cd7e3b8b21\"";
    cli.write("Cargo.toml", "[workspace]\nmembers = [\"one\", \"two\"]\nresolver = \"2\"\n");
    for member in ["one", "two"] {
        let manifest = format!(
            "[package]\nname = \"{member}\"\nversion = \"0.1.0\"\n\
             [package.metadata.academictorrents]\n{datasets}\n"
        );
        cli.write(&format!("{member}/Cargo.toml"), manifest);
        cli.write(&format!("{member}/src/lib.rs"), "");
    }
    for arguments in [
        &["path", "x"][..],
        &["fetch", "x"],
        &["vendor", "x"],
        &["vendor", "x", "--data", "mirror"],
    ] {
        let said = cli.run(arguments).stderr;
        assert!(said.contains("\n  declared datasets: a, b\n"), "{arguments:?}: {said}");
    }
}

#[test]
fn a_dataset_that_packages_share_needs_no_package_and_different_ones_do() {
    let dataset = Dataset::single("data.bin", random_bytes(1, 40_000));
    let cli = CliFixture::new();
    dataset.write_mirror(&cli.path("mirror"));
    let root = format!(
        "[workspace]\nmembers = [\"one\", \"two\"]\nresolver = \"2\"\n\
         [workspace.metadata.academictorrents]\n\
         data = {{ infohash = \"{}\", mirrors = [\"mirror\"] }}\n",
        dataset.infohash_hex()
    );
    cli.write("Cargo.toml", root);
    let member = |member: &str, data: &str| {
        let manifest = format!(
            "[package]\nname = \"{member}\"\nversion = \"0.1.0\"\n\
             [package.metadata.academictorrents]\ndata = {{ workspace = true{data} }}\n"
        );
        cli.write(&format!("{member}/Cargo.toml"), manifest);
        cli.write(&format!("{member}/src/lib.rs"), "");
    };
    member("one", "");
    member("two", ", optional = true");
    cli.ok(&["fetch"]);
    dataset.assert_at(cli.ok(&["path", "data"]).trim_end().as_ref());
    cli.ok(&["verify", "data"]);
    cli.ok(&["info", "data", "--offline"]);
    member("two", ", rename = \"other\"");
    let run = cli.run(&["path", "data"]);
    let said = "error: `data` is declared by several packages: one, two\n  help: select one with --package\n";
    assert_eq!((run.status, &*run.stderr), (Some(1), said));
    cli.ok(&["path", "data", "--package", "one"]);
}

/// As in builds, which do not use declarations whose `required-features` are disabled.
#[test]
fn a_name_means_a_declaration_of_disabled_features_only_if_there_is_no_other() {
    let dataset = Dataset::single("data.bin", random_bytes(1, 40_000));
    let cli = CliFixture::new();
    let infohash = dataset.infohash_hex();
    dataset.write_mirror(&cli.path("mirror"));
    let member = |member: &str, infohash: &str, more: &str| {
        let manifest = format!(
            "[package]\nname = \"{member}\"\nversion = \"0.1.0\"\n[features]\nextra = []\n\
             [package.metadata.academictorrents]\n\
             data = {{ infohash = \"{infohash}\", mirrors = [\"../mirror\"]{more} }}\n"
        );
        cli.write(&format!("{member}/Cargo.toml"), manifest);
        cli.write(&format!("{member}/src/lib.rs"), "");
    };
    cli.write("Cargo.toml", "[workspace]\nmembers = [\"one\", \"two\"]\nresolver = \"2\"\n");
    let off = ", required-features = [\"extra\"]";
    member("one", &"0".repeat(40), off);
    member("two", &infohash, "");
    let fetched = cli.ok(&["fetch"]);
    assert_eq!(cli.ok(&["fetch", "data"]), fetched);
    assert_eq!(cli.ok(&["fetch", "data"]), format!("data  {}", cli.ok(&["path", "data"])));
    for verb in ["verify", "info", "path"] {
        cli.ok(&[verb, "data", "--offline"]);
        let run = cli.run(&[verb, "data", "--offline", "--features", "one/extra"]);
        assert!(run.stderr.contains("several packages: one, two"), "{verb}: {}", run.stderr);
    }
    // Its sources do not matter to builds, either.
    let run = cli.run(&["doctor"]);
    let said = "2 datasets declared, 1 not used: required features are disabled";
    assert!(run.stdout.contains(said), "{}", run.stdout);
    assert!(!run.stdout.contains("`data`: not checked"), "{}", run.stdout);
    member("two", &infohash, off);
    for verb in ["fetch", "verify", "info", "path"] {
        cli.ok(&[verb, "data", "-p", "two"]);
    }
}

#[test]
fn each_verb_says_what_is_wrong_with_an_infohash_or_a_magnet_link() {
    let hex = "323a0048d87ca79b68f12a6350a57776b6a3b7fb";
    let cases = [
        ("323a0048d87ca79b68f12a6350a57776b6a3b7f", "digits, found 39"),
        ("323a0048d87ca79b68f12a6350a57776b6a3b7fbb", "digits, found 41"),
        ("b23a0048d87ca79b68f12a6350a57776b6a3b7fbb", "digits, found 41"),
        ("e23a0048d87ca79b68f12a6350a57776b6a3b7fx", "`x` is not a hexadecimal digit"),
        (&"ab".repeat(32), "as BitTorrent v2 infohashes do"),
        ("GI5AASGYPSTZW2HRFJRVBJLXO23KHN71", "`1` is not a base32 digit"),
        ("magnet:?dn=x", "it has no infohash"),
        ("magnet:/?dn=x", "it has no infohash"),
        ("magnet:", "it has no `?` after `magnet:`"),
        (&format!("magnet:xt=urn:btih:{hex}"), "it has no `?` after `magnet:`"),
        ("magnet:?xt=urn:btih:beef", "it has an invalid `xt`"),
        (&format!("magnet:?xt=urn:btmh:1220{}", "ab".repeat(32)), "v2-only"),
        (&format!("magnet:?xt=urn:btih:{hex}&so=x"), "it has an invalid `so`"),
        ("not-there.torrent", "not-there.torrent does not exist"),
    ];
    let outside = CliFixture::new();
    let inside = CliFixture::new();
    inside.declare("mnist = \"323a0048d87ca79b68f12a6350a57776b6a3b7fb\"");
    for (id, said) in &cases {
        for (verb, cli) in ["get", "info", "path", "cite", "verify", "seed", "add"]
            .map(|it| (it, &outside))
            .into_iter()
            .chain(["fetch", "vendor", "path", "import"].map(|it| (it, &inside)))
        {
            let arguments = match verb {
                "import" => vec![verb, "--id", id, "."],
                _ => vec![verb, id],
            };
            let output = cli.run(&[&arguments[..], &["--offline"]].concat());
            let shown = output.stderr;
            assert!(output.status != Some(0) && shown.contains(said), "{verb} {id}: {shown}");
        }
    }
}
