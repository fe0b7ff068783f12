//! Ways to run Cargo, and the settings that reach a build script, with the real Cargo.

use std::fs;

use crate::cargo::{from_web_seed, seeded};
use crate::fetch_policy::WITH_OR_WITHOUT;
use crate::fixture::Fixture;
use crate::swarm::http::HttpServer;
use crate::swarm::{Dataset, WebSeed, random_bytes};

const BYTES: u64 = 200_000;

fn data(seed: u64) -> Dataset {
    Dataset::single("data.bin", random_bytes(seed, BYTES as usize))
}

#[test]
fn what_is_installed_from_a_path_is_ones_own() {
    let dataset = data(501);
    let seed = WebSeed::serving(&dataset);
    let fixture = from_web_seed("fixture-installed-path", &dataset, &seed, "");
    let root = fixture.path("installed").display().to_string();
    fixture.cargo(&["install", "--path", ".", "--debug", "--root", &root]).ok();
    assert_eq!(seed.bytes_served(), BYTES);
    let program = fixture.path("installed/bin/fixture-installed-path");
    let output = fixture.command(program.to_str().unwrap()).output().unwrap();
    dataset.assert_at(&crate::fixture::Run::of(output).ok().printed_path());
}

#[test]
#[cfg(target_os = "linux")] // needs /proc to see Cargo's command line
fn what_lies_in_the_builds_directory_cannot_be_installed() {
    let dataset = data(509);
    let seed = WebSeed::serving(&dataset);
    let fixture = from_web_seed("fixture-installed-out", &dataset, &seed, "store = \"out-dir\"");
    let root = fixture.path("installed").display().to_string();
    let install = ["install", "--path", ".", "--debug", "--root", &root];
    let errors = fixture.cargo(&install).errors().join("\n");
    assert!(errors.contains("cannot be used by `cargo install`"), "{errors}");
    assert!(errors.contains("Cargo deletes the build directory"), "{errors}");
    assert_eq!(seed.http().server().connections(), 0);
    // rust-analyzer sets this variable; here it is set in a real build.
    let fixture = fixture.env("__CARGO_TEST_CHANNEL_OVERRIDE_DO_NOT_USE_THIS", "nightly");
    dataset.assert_at(&fixture.cargo(&["run"]).ok().printed_path());
}

#[test]
fn a_mirror_over_http_that_a_variable_names_has_torrent_and_data() {
    let dataset = data(502);
    let fixture =
        Fixture::new("fixture-http-mirror", &format!("data = \"{}\"", dataset.infohash_hex()));
    let mirror = fixture.path("served");
    dataset.write_mirror(&mirror);
    let http = HttpServer::start(move |request, responder| {
        let path = String::from_utf8(request.path()).unwrap();
        let below = path.strip_prefix("/at/").filter(|below| !below.contains(".."));
        match below.and_then(|below| fs::read(mirror.join(below)).ok()) {
            Some(bytes) => match request.range(bytes.len() as u64).flatten() {
                Some((begin, end)) => {
                    let range = format!("bytes {begin}-{}/{}", end - 1, bytes.len());
                    let part = &bytes[begin as usize..end as usize];
                    responder.respond(206, &[("content-range", &range)], part);
                }
                None => responder.respond(200, &[], &bytes),
            },
            None => responder.status(404),
        }
    });
    let fixture = fixture
        .env("ACADEMICTORRENTS_MIRRORS", format!("{}/at", http.url()))
        .env("ACADEMICTORRENTS_SOURCES", "mirrors");
    dataset.assert_at(&fixture.cargo(&["run"]).ok().printed_path());
    assert!(http.requests().iter().all(|request| request.target.starts_with("/at/")));
    fixture.cargo(&["build"]).ok().assert_fresh();
}

#[test]
fn plain_lines_are_in_cargos_longest_output_and_can_be_turned_off() {
    let dataset = data(503);
    let seed = WebSeed::serving(&dataset);
    let fixture = from_web_seed("fixture-progress", &dataset, &seed, "");
    // Compile without `-vv` first: with `-vv`, Cargo does not silence the lints of dependencies,
    // and repeats their stored warnings in later builds.
    fixture.cargo(&["build"]).ok();
    for (mode, expected) in [("plain", true), ("auto", true), ("off", false)] {
        if fixture.store().exists() {
            fs::remove_dir_all(fixture.store()).unwrap();
        }
        let before = seed.bytes_served();
        let run = fixture.with_env("ACADEMICTORRENTS_PROGRESS", mode).cargo(&["build", "-v"]).ok();
        assert_eq!(seed.bytes_served() - before, BYTES, "{mode}");
        let says = |what: &str| run.stderr.contains(what);
        assert_eq!(
            says("academictorrents: data: fetched 195.3 KiB in "),
            expected,
            "{}",
            run.stderr
        );
        assert_eq!(says("academictorrents: "), expected, "{}", run.stderr);
    }
}

/// Runs Cargo on a pseudoterminal, where Cargo hides the script's output.
#[test]
#[cfg(target_os = "linux")] // where a build script can find the terminal
fn what_a_build_fetched_stays_on_the_terminal_and_nothing_is_said_of_what_was_there() {
    let dataset = data(510);
    let seed = WebSeed::serving(&dataset);
    let fixture = from_web_seed("fixture-terminal", &dataset, &seed, "");
    fixture.with_env("DOCS_RS", "1").cargo(&["build"]).ok();
    let build = |flags: &str| {
        let line = format!("{} build {flags} --config net.offline=true", env!("CARGO"));
        let mut command = fixture.command("script");
        command.args(["-qec", &line, "/dev/null"]).env("TERM", "xterm").env_remove("CI");
        match command.output() {
            Ok(output) => Some(String::from_utf8_lossy(&output.stdout).into_owned()),
            // Not every machine has `script`.
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => None,
            Err(why) => panic!("{why}"),
        }
    };
    let Some(shown) = build("") else { return };
    let place = fixture.store().join(format!("v1/data/{}/files/data.bin", dataset.infohash_hex()));
    let (_, line) = shown.split_once("academictorrents: data: fetched 195.3 KiB in ").unwrap();
    let (line, after) = line.split_once("\r\n").unwrap();
    let line = line.trim_end_matches('\r');
    assert!(line.ends_with(&format!(" s: {}", place.display())), "{shown:?}");
    // Cargo's output continues below, and nothing erases the line.
    assert!(after.contains("Finished") && !after.contains("\u{1b}[1A"), "{shown:?}");
    fs::File::open(fixture.path("Cargo.toml"))
        .unwrap()
        .set_modified(std::time::SystemTime::now())
        .unwrap();
    let again = build("").unwrap();
    assert!(again.contains("Finished") && !again.contains("academictorrents: "), "{again:?}");
    assert_eq!(seed.bytes_served(), BYTES);
    fs::remove_dir_all(fixture.store()).unwrap();
    let quiet = build("-q").unwrap();
    assert!(!quiet.contains("academictorrents: "), "{quiet:?}");
    assert_eq!(seed.bytes_served(), 2 * BYTES);
}

#[test]
fn offline_an_optional_dataset_is_a_warning_and_comes_once_there_is_a_network() {
    let dataset = data(504);
    let seed = WebSeed::serving(&dataset);
    let fixture = from_web_seed("fixture-optional-offline", &dataset, &seed, "optional = true")
        .main(WITH_OR_WITHOUT);
    let offline = fixture.with_env("CARGO_NET_OFFLINE", "true");
    let run = offline.cargo(&["run"]).ok();
    assert_eq!(run.stdout, "without\n");
    for part in ["dataset `data`: optional and missing", "offline: CARGO_NET_OFFLINE is set"] {
        assert!(run.stderr.contains(part), "{part}\n{}", run.stderr);
    }
    assert_eq!(seed.http().server().connections(), 0);
    dataset.assert_at(&fixture.cargo(&["run"]).ok().printed_path());
    // Existing data is used offline.
    dataset.assert_at(&offline.cargo(&["run"]).ok().printed_path());
    fixture.cargo(&["build"]).ok().assert_fresh();
    assert_eq!(seed.bytes_served(), BYTES);
}

#[test]
#[cfg(target_os = "linux")] // where the directory is `XDG_CONFIG_HOME`
fn the_users_configuration_file_is_read_and_a_change_of_it_runs_the_script_again() {
    let dataset = data(505);
    let seed = WebSeed::serving(&dataset);
    let fixture = from_web_seed("fixture-config", &dataset, &seed, "");
    let fixture = fixture
        .with_env("XDG_CONFIG_HOME", fixture.path("config").display())
        .env("ACADEMICTORRENTS_STORE", "");
    let config = |text: &str| fixture.write("config/academictorrents/config.toml", text);
    config("ofline = true\n");
    let errors = fixture.cargo(&["build"]).errors().join("\n");
    assert!(errors.contains("config.toml:1") && errors.contains("`offline`?"), "{errors}");
    let store = |name: &str| format!("store = {:?}\n", fixture.path(name));
    config(&(store("first") + "fetch = \"never\"\n"));
    let errors = fixture.cargo(&["build"]).errors().join("\n");
    assert!(errors.contains("`fetch` in ") && errors.contains("is `never`"), "{errors}");
    assert_eq!(seed.http().server().connections(), 0);
    for (name, served) in [("first", BYTES), ("second", 2 * BYTES)] {
        config(&store(name));
        let run = fixture.cargo(&["run"]).ok();
        assert!(run.script_ran(), "{}", run.stderr);
        let path = run.printed_path();
        dataset.assert_at(&path);
        assert!(path.starts_with(fixture.path(name)), "{}", path.display());
        assert_eq!(seed.bytes_served(), served);
        fixture.cargo(&["build"]).ok().assert_fresh();
    }
    // The environment overrides the file.
    let variable = fixture.with_env("ACADEMICTORRENTS_STORE", fixture.path("first").display());
    assert!(variable.cargo(&["run"]).ok().printed_path().starts_with(fixture.path("first")));
}

/// Cargo searches configuration from its current directory upward, not from the package's
/// directory, in which the build script runs.
#[test]
fn cargos_own_configuration_is_heard_and_a_change_of_it_runs_the_script_again() {
    let dataset = data(508);
    let seed = WebSeed::serving(&dataset);
    let fixture = from_web_seed("fixture-cargos", &dataset, &seed, "");
    fs::create_dir_all(fixture.path("call/here")).unwrap();
    let manifest = fixture.path("Cargo.toml").display().to_string();
    let call = |arguments: &[&str]| {
        let mut command = fixture.command(env!("CARGO"));
        let directory = fixture.path("call/here");
        command.current_dir(&directory).env("PWD", directory).args(arguments);
        command.args(["-v", "--manifest-path", &manifest, "--config", "net.offline=true"]);
        crate::fixture::Run::of(command.output().unwrap())
    };
    // The package's own configuration does not apply, because Cargo does not read it either.
    fixture.write(".cargo/config.toml", "");
    fixture.write("call/.cargo/config.toml", "[net]\noffline = true\n");
    let errors = call(&["build"]).errors().join("\n");
    assert!(errors.contains("offline: `net.offline` in "), "{errors}");
    assert!(errors.contains("call/.cargo/config.toml") || cfg!(windows), "{errors}");
    assert_eq!(seed.http().server().connections(), 0);
    // A nearer file overrides it.
    fixture.write("call/here/.cargo/config.toml", "[net]\noffline = false\n");
    dataset.assert_at(&call(&["run"]).ok().printed_path());
    call(&["build"]).ok().assert_fresh();
    fixture.write("call/.cargo/config.toml", "[net]\noffline = false\n");
    assert!(call(&["build"]).ok().script_ran());
    call(&["build"]).ok().assert_fresh();
}

#[test]
fn a_rust_version_that_the_workspace_says_is_heard() {
    let dataset = data(506);
    let seed = WebSeed::serving(&dataset);
    let fixture = from_web_seed("fixture-inherits", &dataset, &seed, "")
        .package("rust-version.workspace = true");
    fixture.declare(&seeded(&seed, ""));
    let manifest = fs::read_to_string(fixture.path("Cargo.toml")).unwrap();
    let manifest =
        manifest.replace("[workspace]\n", "[workspace]\npackage.rust-version = \"1.70\"\n");
    fixture.write("Cargo.toml", &manifest);
    dataset.assert_at(&fixture.cargo(&["run"]).ok().printed_path());
}
