//! Which packages may download, depending on the package's origin and Cargo's command, with the
//! real Cargo.

use std::fs;

use crate::cargo::{from_web_seed, seeded};
use crate::fixture::Fixture;
use crate::support::files_below;
use crate::swarm::{Dataset, WebSeed, random_bytes};

const BYTES: u64 = 200_000;

fn data(seed: u64) -> Dataset {
    Dataset::single("data.bin", random_bytes(seed, BYTES as usize))
}

/// Takes packages of the registry `example` from `vendor`, as `cargo vendor` configures it.
const VENDORED: &str = r#"
[registries.example]
index = "https://registry.invalid/index"
[source."https://registry.invalid/index"]
registry = "https://registry.invalid/index"
replace-with = "vendored"
[source.vendored]
directory = "vendor"
"#;

/// The crate `name` without datasets, with the vendored dependency `held`, which declares these
/// datasets.
pub fn holding(name: &'static str, held: &'static str, torrent: &[u8], datasets: &str) -> Fixture {
    let fixture = Fixture::new(name, "")
        .main(&format!("fn main() {{ println!(\"{{}}\", {}::PATH) }}", held.replace('-', "_")));
    let vendor = format!("vendor/{held}");
    fixture.library(&vendor, held, datasets);
    fixture.write(&format!("{vendor}/.cargo-checksum.json"), "{\"files\":{},\"package\":null}");
    fs::write(fixture.path(&format!("{vendor}/data.torrent")), torrent).unwrap();
    fixture.write(".cargo/config.toml", VENDORED);
    fixture.declare(&format!(
        "[dependencies.{held}]\nversion = \"*\"\nregistry = \"example\"\n\
         [patch.crates-io.academictorrents]\npath = {:?}",
        env!("CARGO_MANIFEST_DIR")
    ));
    fixture
}

#[test]
fn a_vendored_dependency_fetches_only_where_that_is_allowed() {
    let dataset = data(101);
    let seed = WebSeed::serving(&dataset);
    let fixture = holding("fixture-holds", "fixture-held", &dataset.torrent(), &seeded(&seed, ""));
    let errors = fixture.cargo(&["build"]).errors();
    assert!(errors[0].starts_with("dataset `data`: 195.3 KiB are missing"), "{errors:#?}");
    let helps: Vec<_> = errors.iter().filter(|line| line.contains("help: ")).collect();
    assert!(helps[0].ends_with("ACADEMICTORRENTS_FETCH=always cargo build"), "{errors:#?}");
    assert!(helps[1].ends_with("cargo academictorrents fetch data"), "{errors:#?}");
    assert_eq!(seed.http().server().connections(), 0);
    // The fix that the error suggests. Afterwards, every mode uses the existing data.
    let fixture = fixture.env("ACADEMICTORRENTS_FETCH", "always");
    let fixture = fixture.env("ACADEMICTORRENTS_PRIVATE_HOSTS", "127.0.0.1");
    dataset.assert_at(&fixture.cargo(&["run"]).ok().printed_path());
    for mode in ["local", "never"] {
        let fixture = fixture.with_env("ACADEMICTORRENTS_FETCH", mode);
        fixture.cargo(&["build"]).ok().assert_fresh();
        let stamps = fixture.store().join("v1/data");
        fs::remove_file(
            fs::read_dir(&stamps).unwrap().next().unwrap().unwrap().path().join("stamp"),
        )
        .unwrap();
        // The data is hashed and not fetched.
        dataset.assert_at(&fixture.cargo(&["run"]).ok().printed_path());
    }
    assert_eq!(seed.bytes_served(), BYTES);
}

#[test]
fn a_dependency_does_not_raise_the_limit_of_its_users() {
    // 192 pieces of 16 MiB.
    let torrent = format!(
        "d4:infod6:lengthi3221225472e4:name8:data.bin12:piece lengthi16777216e6:pieces3840:{}ee",
        "x".repeat(192 * 20)
    );
    let seed = WebSeed::serving(&data(102));
    let lines = seeded(&seed, "max-size = \"9GiB\"");
    let fixture = holding("fixture-limits", "fixture-limited", torrent.as_bytes(), &lines)
        .env("ACADEMICTORRENTS_FETCH", "always");
    let errors = fixture.cargo(&["build"]).errors().join("\n");
    assert!(errors.contains("the limit is 1.0 GiB"), "{errors}");
    assert!(errors.contains("ACADEMICTORRENTS_MAX_SIZE=4GiB cargo build"), "{errors}");
    assert_eq!(seed.http().server().connections(), 0);
}

#[test]
fn never_is_for_ones_own_packages_too() {
    let dataset = data(103);
    let seed = WebSeed::serving(&dataset);
    let fixture = from_web_seed("fixture-never", &dataset, &seed, "")
        .env("ACADEMICTORRENTS_FETCH", "never")
        .main(WITH_OR_WITHOUT);
    let errors = fixture.cargo(&["build"]).errors().join("\n");
    assert!(errors.contains("ACADEMICTORRENTS_FETCH is `never`"), "{errors}");
    assert!(
        errors.contains("help: to allow it, run: ACADEMICTORRENTS_FETCH=local cargo build"),
        "{errors}"
    );
    fixture.declare(&seeded(&seed, "optional = true"));
    assert_eq!(fixture.cargo(&["run"]).ok().stdout, "without\n");
    assert_eq!(seed.http().server().connections(), 0);
    let fixture = fixture.env("ACADEMICTORRENTS_FETCH", "local");
    dataset.assert_at(&fixture.cargo(&["run"]).ok().printed_path());
}

#[test]
fn a_mirror_directory_is_local_data_which_every_policy_allows() {
    let dataset = data(110);
    let seed = WebSeed::serving(&dataset);
    // Packages of the user, without a `.torrent` and with one.
    let bare = format!("data = \"{}\"", dataset.infohash_hex());
    for lines in [bare.as_str(), &seeded(&seed, "")] {
        let fixture = from_web_seed("fixture-mirrored", &dataset, &seed, "");
        fixture.declare(lines);
        dataset.write_mirror(&fixture.path("mirror"));
        let mirror = fixture.path("mirror").display().to_string();
        let fixture =
            fixture.env("ACADEMICTORRENTS_FETCH", "never").env("ACADEMICTORRENTS_MIRRORS", mirror);
        dataset.assert_at(&fixture.cargo(&["run"]).ok().printed_path());
        // A mirror that has nothing of it.
        std::fs::remove_dir_all(fixture.path("mirror")).unwrap();
        std::fs::remove_dir_all(fixture.store()).unwrap();
        let errors = fixture.cargo(&["build"]).errors().join("\n");
        assert!(errors.contains("downloading is not allowed"), "{errors}");
    }
    // A dependency that Cargo downloaded.
    let lines = seeded(&seed, "");
    let fixture = holding("fixture-mirrors", "fixture-held-there", &dataset.torrent(), &lines);
    dataset.write_mirror(&fixture.path("mirror"));
    let mirror = fixture.path("mirror").display().to_string();
    let fixture = fixture.env("ACADEMICTORRENTS_MIRRORS", mirror);
    dataset.assert_at(&fixture.cargo(&["run"]).ok().printed_path());
    assert_eq!(seed.http().server().connections(), 0);
}

pub const WITH_OR_WITHOUT: &str = r#"fn main() {
    #[cfg(at_dataset = "data")]
    println!("{}", env!("AT_DATA_PATH"));
    #[cfg(not(at_dataset = "data"))]
    println!("without");
}"#;

#[test]
#[cfg(target_os = "linux")] // needs /proc to see Cargo's command line
fn what_cargo_install_was_asked_for_fetches() {
    let dataset = data(104);
    let seed = WebSeed::serving(&dataset);
    let name = "fixture-installed";
    let fixture = from_web_seed(name, &dataset, &seed, "");
    // Creates the lock file.
    let fixture = fixture.env("DOCS_RS", "1");
    fixture.cargo(&["check"]).ok();
    let fixture = fixture.env("DOCS_RS", "");
    let from = ["Cargo.toml", "Cargo.lock", "build.rs", "src/main.rs", "data.torrent"];
    for file in from {
        let to = fixture.path(&format!("vendor/{name}/{file}"));
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(fixture.path(file), to).unwrap();
    }
    // As published: a package from a registry has no `path` dependency.
    let manifest = fs::read_to_string(fixture.path("Cargo.toml")).unwrap();
    let path = format!(", path = {:?}", env!("CARGO_MANIFEST_DIR"));
    let published = manifest.replace(&path, "");
    assert_ne!(published, manifest);
    fixture.write(&format!("vendor/{name}/Cargo.toml"), &published);
    let mark = format!("vendor/{name}/.cargo-checksum.json");
    fixture.write(&mark, "{\"files\":{},\"package\":null}");
    fixture.write(".cargo/config.toml", VENDORED);
    let patch = format!("patch.crates-io.academictorrents.path={:?}", env!("CARGO_MANIFEST_DIR"));
    let root = fixture.path("installed").display().to_string();
    fixture
        .cargo(&[
            "install",
            name,
            "--registry",
            "example",
            "--debug",
            "--root",
            &root,
            "--config",
            &patch,
            // `cargo install` does not read a directory's configuration by itself.
            "--config",
            ".cargo/config.toml",
        ])
        .ok();
    assert_eq!(seed.bytes_served(), BYTES);
}

#[test]
#[cfg(target_os = "linux")] // needs /proc to see Cargo's command line
fn cargos_own_flag_is_heard() {
    let dataset = data(105);
    let seed = WebSeed::serving(&dataset);
    let fixture = from_web_seed("fixture-offline-flag", &dataset, &seed, "");
    for flag in ["--offline", "--frozen"] {
        // `--frozen` requires an up-to-date lock file.
        let errors = fixture.cargo(&["build", flag]).errors().join("\n");
        assert!(errors.contains(&format!("offline: cargo was called with {flag}")), "{errors}");
    }
    assert_eq!(seed.http().server().connections(), 0);
    dataset.assert_at(&fixture.cargo(&["run", "--", "--offline"]).ok().printed_path());
}

#[test]
fn an_editor_that_starts_fetches_nothing_and_the_next_build_does() {
    let dataset = data(106);
    let seed = WebSeed::serving(&dataset);
    let fixture = from_web_seed("fixture-editor", &dataset, &seed, "");
    let mut starts = vec![(vec!["check"], "RA_RUSTC_WRAPPER", "1")];
    if cfg!(target_os = "linux") {
        // rust-analyzer makes stable Cargo accept the flag this way.
        let nightly = "__CARGO_TEST_CHANNEL_OVERRIDE_DO_NOT_USE_THIS";
        starts.push((
            vec!["check", "--compile-time-deps", "-Zunstable-options"],
            nightly,
            "nightly",
        ));
    }
    for (arguments, name, value) in starts {
        let editor = fixture.with_env(name, value);
        let run = editor.cargo(&arguments).ok();
        assert!(run.script_ran(), "{}", run.stderr);
        assert!(!fixture.store().exists());
    }
    assert_eq!(seed.http().server().connections(), 0);
    dataset.assert_at(&fixture.cargo(&["run"]).ok().printed_path());
    fixture.cargo(&["build"]).ok().assert_fresh();
    // An editor gets the path of existing data, and later builds stay fresh.
    fs::File::open(fixture.path("Cargo.toml"))
        .unwrap()
        .set_modified(std::time::SystemTime::now())
        .unwrap();
    assert!(fixture.with_env("RA_RUSTC_WRAPPER", "1").cargo(&["check"]).ok().script_ran());
    assert!(!fixture.cargo(&["build"]).ok().script_ran());
}

#[test]
fn five_members_with_one_dataset_make_one_download() {
    let dataset = data(107);
    let seed = WebSeed::serving(&dataset);
    let fixture = Fixture::new("fixture-workspace", "");
    fixture.write(
        "Cargo.toml",
        &format!(
            "[workspace]\nmembers = [\"member-*\"]\nresolver = \"2\"\n\
             [patch.crates-io.academictorrents]\npath = {:?}\n",
            env!("CARGO_MANIFEST_DIR")
        ),
    );
    for member in 1..=5 {
        let below = format!("member-{member}");
        fixture.library(&below, &format!("fixture-{below}"), &seeded(&seed, ""));
        fs::write(fixture.path(&format!("{below}/data.torrent")), dataset.torrent()).unwrap();
    }
    // In parallel, then sequentially.
    for jobs in ["-j5", "-j1"] {
        if fixture.store().exists() {
            fs::remove_dir_all(fixture.store()).unwrap();
        }
        let before = seed.bytes_served();
        assert!(fixture.cargo(&["build", jobs]).ok().script_ran());
        assert_eq!(seed.bytes_served() - before, BYTES, "{jobs}");
        fixture.cargo(&["build", jobs]).ok().assert_fresh();
    }
}

#[test]
fn a_torrent_that_the_package_leaves_out_is_named_with_the_line_to_add() {
    let dataset = data(108);
    let seed = WebSeed::serving(&dataset);
    let include = "license = \"MIT\"\ndescription = \"\"\ninclude = [\"src\", \"build.rs\"]";
    let fixture = from_web_seed("fixture-left-out", &dataset, &seed, "").package(include);
    fixture.declare(&seeded(&seed, ""));
    fixture.cargo(&["build"]).ok();
    let patch = format!("patch.crates-io.academictorrents.path={:?}", env!("CARGO_MANIFEST_DIR"));
    let package = ["package", "--allow-dirty", "--config", &patch];
    let before = files_below(&fixture.path("src"));
    let errors = fixture.cargo(&package).errors().join("\n");
    assert!(errors.contains("\"data.torrent\"") && errors.contains("`include`"), "{errors}");
    assert_eq!(files_below(&fixture.path("src")), before);
    // The fix that the error suggests.
    let manifest = fs::read_to_string(fixture.path("Cargo.toml")).unwrap();
    fixture.write("Cargo.toml", &manifest.replace("include = [", "include = [\"data.torrent\", "));
    fixture.cargo(&package).ok();
    assert_eq!(seed.bytes_served(), BYTES);
}

#[test]
fn variables_of_cargos_configuration_file_hold() {
    let dataset = data(109);
    let seed = WebSeed::serving(&dataset);
    let fixture = from_web_seed("fixture-env", &dataset, &seed, "");
    fixture.write(".cargo/config.toml", "[env]\nACADEMICTORRENTS_FETCH = \"never\"\n");
    let errors = fixture.cargo(&["build"]).errors().join("\n");
    assert!(errors.contains("ACADEMICTORRENTS_FETCH is `never`"), "{errors}");
    // The environment overrides the configuration file.
    let fixture = fixture.env("ACADEMICTORRENTS_FETCH", "local");
    dataset.assert_at(&fixture.cargo(&["run"]).ok().printed_path());
}

/// The store is on its own file system, which is first too full, then filled by another process,
/// and then empty enough. (Whoever is not root cannot remount a file system with another size.)
#[cfg(target_os = "linux")]
const FULL: &str = r#"
store=$ACADEMICTORRENTS_STORE
mkdir -p "$store" && mount -t tmpfs -o size=4m none "$store" || exit 77
head -c 3145728 /dev/zero > "$store/other"
"$0" build --config net.offline=true && exit 1
echo small; read -r line
rm "$store/other"
"$0" build --config net.offline=true & build=$!
# The record has some pieces, or the build has ended.
while kill -0 $build && [ "$(cat "$store"/v1/partial/*/record 2>/dev/null | wc -c)" -lt 200 ]; do sleep 0.02; done
cat /dev/zero > "$store/other" 2>/dev/null
wait $build && exit 1
echo full; read -r line
rm "$store/other"
exec "$0" run --config net.offline=true
"#;

#[test]
#[cfg(target_os = "linux")]
fn a_disk_without_room_is_told_before_the_download_and_one_that_fills_up_loses_nothing() {
    use crate::support::cannot_mount;
    use crate::swarm::web_seed::Fault;
    use std::io::{BufRead as _, BufReader, Write as _};
    let dataset = Dataset::single("data.bin", random_bytes(110, 3_000_000));
    let seed = WebSeed::serving(&dataset).with(Fault::Slow { bytes_per_second: 200_000 });
    let fixture = from_web_seed("fixture-full", &dataset, &seed, "").main(
        "fn main() { println!(\"{}\", std::fs::read(env!(\"AT_DATA_PATH\")).unwrap().len()) }",
    );
    // The mount belongs to namespaces that end with the processes.
    let mut command = fixture.command("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", FULL, env!("CARGO")]);
    let child = command.stdin(std::process::Stdio::piped()).spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(why) => return cannot_mount("a full disk", &why.to_string()),
    };
    let mut stdin = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let small = lines.next();
    let before = seed.bytes_served();
    let _ = stdin.write_all(b"\n"); // the process may have ended
    let full = lines.next();
    let first = seed.bytes_served();
    seed.mend();
    let _ = stdin.write_all(b"\n");
    let printed = lines.next();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    // Not every machine allows user namespaces.
    if small.is_none() && (output.status.code() == Some(77) || said.contains("unshare")) {
        return cannot_mount("a full disk", &said);
    }
    let told = [small, full, printed].map(Option::unwrap_or_default);
    assert_eq!(told, ["small", "full", "3000000"], "{said}");
    for part in [
        "dataset `data`: not enough disk space to download 2.9 MiB",
        "KiB are free at ",
        "help: free some space, or set ACADEMICTORRENTS_STORE to",
        "dataset `data`: could not write ",
        "No space left",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!(before, 0);
    // Only the rest is downloaded: verified data was kept.
    let rest = seed.bytes_served() - first;
    assert!(rest < 3_000_000, "{rest} bytes");
}
