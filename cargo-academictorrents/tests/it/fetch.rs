//! `cargo academictorrents fetch`.

#[cfg(unix)]
use std::fs;
use std::process::Stdio;

use crate::cli_fixture::{CliFixture, Page};
use crate::support::slashes;
use crate::swarm::web_seed::Fault;
use crate::swarm::{Catalogue, Dataset, Peer, WebSeed, random_bytes};

/// A CLI whose output does not depend on time.
fn cli() -> CliFixture {
    CliFixture::new().env("ACADEMICTORRENTS_PROGRESS", "off")
}

fn crate_with(cli: &CliFixture, directory: &str, name: &str, more: &str, datasets: &str) {
    let manifest = format!(
        "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n{more}\n\n\
         [package.metadata.academictorrents]\n{datasets}\n"
    );
    cli.write(&format!("{directory}/Cargo.toml"), manifest);
    cli.write(&format!("{directory}/src/lib.rs"), "");
}

#[test]
fn fetch_brings_what_the_crate_and_its_dependencies_declare() {
    let cli = cli();
    let mnist = Dataset::single("mnist.bin", random_bytes(1, 300_000)).piece_length(1 << 15);
    let cifar = Dataset::single("cifar.bin", random_bytes(2, 2_000_000)).piece_length(1 << 15);
    let [mnist_seed, cifar_seed] = [&mnist, &cifar].map(WebSeed::serving);
    for (dataset, seed) in [(&mnist, &mnist_seed), (&cifar, &cifar_seed)] {
        let name = String::from_utf8(dataset.name().to_vec()).unwrap().replace(".bin", ".torrent");
        for directory in ["", "data/"] {
            let torrent = dataset.clone().url_list([seed.url()]).torrent();
            cli.write(&format!("{directory}{name}"), torrent);
        }
    }
    crate_with(
        &cli,
        "data",
        "data",
        "",
        "cifar = { torrent = \"cifar.torrent\" }\nmnist = { torrent = \"mnist.torrent\" }",
    );
    crate_with(
        &cli,
        ".",
        "model",
        "[dependencies]\ndata = { path = \"data\" }\n\n[features]\nextra = []",
        "mnist = { torrent = \"mnist.torrent\" }\n\
         huge = { torrent = \"cifar.torrent\", files = [\"*\"], required-features = [\"extra\"] }",
    );
    let mut page = Page::new("fetch");
    page.show(&cli, &["fetch", "--dry-run"]);
    assert!(!cli.store().exists(), "a dry run leaves nothing");
    page.show(&cli, &["fetch", "mnist"]);
    // Two crates declare the dataset; it is fetched once.
    assert_eq!((mnist_seed.bytes_served(), cifar_seed.bytes_served()), (300_000, 0));
    page.show(&cli, &["fetch", "-n"]);
    page.show(&cli, &["fetch"]);
    page.show(&cli, &["fetch"]);
    page.show(&cli, &["fetch", "--quiet", "--package", "data"]);
    page.show(&cli, &["fetch", "--dry-run", "--features", "extra"]);
    page.show(&cli, &["fetch", "minst"]);
    page.compare();
    assert_eq!((mnist_seed.bytes_served(), cifar_seed.bytes_served()), (300_000, 2_000_000));
    mnist.assert_at(cli.ok(&["path", "mnist", "-p", "model"]).trim_end().as_ref());
}

#[test]
fn fetch_tells_programs_what_it_did_and_would_do() {
    let cli = cli();
    let dataset = Dataset::single("mnist.bin", random_bytes(1, 300_000));
    let seed = WebSeed::serving(&dataset);
    let torrent = dataset.clone().url_list([seed.url()]).announce("udp://127.0.0.1:9/announce");
    cli.write("mnist.torrent", torrent.torrent());
    cli.declare(
        "mnist = { torrent = \"mnist.torrent\" }\n\
         gone = { infohash = \"323a0048d87ca79b68f12a6350a57776b6a3b7fb\", optional = true }",
    );
    let mut page = Page::new("fetch-json");
    page.show(&cli, &["fetch", "--json", "--dry-run", "--offline"]);
    page.show(&cli, &["fetch", "--json", "mnist"]);
    page.show(&cli, &["fetch", "--json", "--offline"]);
    page.compare();

    // Data without a stamp, as a cache may restore it.
    let stamp = format!("v1/data/{}/stamp", dataset.infohash_hex());
    std::fs::remove_file(cli.store().join(stamp)).unwrap();
    let run = cli.run(&["fetch", "mnist"]);
    assert!(run.stderr.contains("1 dataset completed without a download"), "{}", run.stderr);
}

#[test]
fn what_is_optional_is_a_warning_and_all_else_fails() {
    let cli = cli();
    let there = Dataset::single("mnist.bin", random_bytes(1, 300_000));
    let peer = Peer::seeding(&there);
    cli.write("mnist.torrent", there.torrent());
    cli.write("broken.torrent", "<html>");
    let mut page = Page::new("fetch-failures");
    page.show(&cli, &["fetch"]);
    cli.declare("");
    page.show(&cli, &["fetch"]);
    page.show(&cli, &["fetch", "--json"]);
    page.show(&cli, &["fetch", "--dry-run"]);
    let mnist = format!("mnist = {{ torrent = \"mnist.torrent\", peers = [\"{}\"] }}", peer.addr());
    cli.declare(&format!("{mnist}\nold = {{ torrent = \"broken.torrent\", optional = true }}"));
    page.show(&cli, &["fetch", "-n"]);
    page.show(&cli, &["fetch"]);
    cli.declare(&format!("{mnist}\nold = {{ torrent = \"broken.torrent\" }}"));
    page.show(&cli, &["fetch", "-n"]);
    page.show(&cli, &["fetch"]);
    cli.declare("mnist = { torrent = \"mnist.torrent\", required-features = [\"extra\"] }");
    page.show(&cli, &["fetch"]);
    page.compare();
}

#[test]
fn a_dry_run_looks_torrents_up_and_counts_what_is_there_in_part() {
    let dataset = Dataset::single("data.bin", random_bytes(1, 1_000_000)).piece_length(1 << 16);
    let slow = WebSeed::serving(&dataset).with(Fault::OnlyPieces(0..8));
    let catalogue = Catalogue::serving(&[&dataset.clone().url_list([slow.url()])]);
    let cli = cli()
        .env("ACADEMICTORRENTS_CATALOGUE", catalogue.url())
        .env("ACADEMICTORRENTS_TIMEOUT", "1s");
    cli.declare(&format!("data = \"{}\"", dataset.infohash_hex()));
    let plan = || -> serde_json::Value {
        serde_json::from_str(&cli.ok(&["fetch", "--dry-run", "--json"])).unwrap()
    };
    let before = plan();
    assert_eq!(
        (&before["missing_bytes"], &before["size_bytes"]),
        (&1_000_000.into(), &1_000_000.into())
    );
    assert_eq!(before["datasets"][0]["sources"][0]["place"], slow.url());
    assert!(!cli.store().exists(), "a dry run leaves nothing");
    assert_eq!(cli.run(&["fetch"]).status, Some(1));
    let after = plan();
    assert_eq!(after["datasets"][0]["state"], "partial");
    let missing = 1_000_000 - 8 * (1 << 16);
    assert_eq!(after["missing_bytes"], missing);
    slow.mend();
    let fetched: serde_json::Value = serde_json::from_str(&cli.ok(&["fetch", "--json"])).unwrap();
    assert_eq!(fetched["received_bytes"], missing);
}

#[test]
fn what_two_crates_ask_for_in_the_same_words_fails_once() {
    let catalogue = Catalogue::serving(&[]);
    let cli = cli().env("ACADEMICTORRENTS_CATALOGUE", catalogue.url());
    let gone = "gone = \"323a0048d87ca79b68f12a6350a57776b6a3b7fb\"";
    crate_with(&cli, "data", "data", "", gone);
    crate_with(&cli, ".", "model", "[dependencies]\ndata = { path = \"data\" }", gone);
    let run = cli.run(&["fetch"]);
    assert_eq!(run.status, Some(1));
    assert_eq!(catalogue.requests().len(), 1);
    assert_eq!(run.stderr.matches("error: ").count(), 1, "{}", run.stderr);
    assert!(run.stderr.ends_with("2 datasets could not be fetched\n"), "{}", run.stderr);
}

#[test]
fn a_log_tells_the_sources_where_that_is_asked_for_and_nothing_where_that_is() {
    let cli = CliFixture::new();
    let dataset = Dataset::single("data.bin", random_bytes(1, 300_000));
    let seed = WebSeed::serving(&dataset);
    cli.write("data.torrent", dataset.clone().url_list([seed.url()]).torrent());
    cli.declare("data = { torrent = \"data.torrent\" }");
    let quiet = cli.run(&["fetch", "--quiet"]);
    assert_eq!((quiet.status, &*quiet.stderr), (Some(0), ""));
    let other = cli.path("other").display().to_string();
    let plain = cli.run(&["fetch", "--store", &other]).stderr;
    let source = format!("academictorrents: data:   293.0 KiB from {}\n", seed.url());
    assert!(plain.contains("academictorrents: data: fetched 293.0 KiB in "), "{plain}");
    let place = format!(" s: {other}/v1/data/{}/files/data.bin\n", dataset.infohash_hex());
    assert!(slashes(&plain).contains(&slashes(&place)), "{plain}");
    assert!(!plain.contains(&source), "{plain}");
    let third = cli.path("third").display().to_string();
    let verbose = cli.run(&["fetch", "--verbose", "--store", &third]).stderr;
    assert!(verbose.contains(&source), "{verbose}");
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let cli = cli();
    let dataset = Dataset::single("data.bin", random_bytes(1, 300_000));
    let seed = WebSeed::serving(&dataset);
    cli.write("data.torrent", dataset.clone().url_list([seed.url()]).torrent());
    cli.declare("data = { torrent = \"data.torrent\" }");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut call = cli.command(&["fetch"]);
    call.stdout(writer.try_clone().unwrap()).stderr(writer).stdin(Stdio::null());
    assert_eq!(call.status().unwrap().code(), Some(0));
    dataset.assert_at(cli.ok(&["path", "data"]).trim_end().as_ref());
}

/// Pieces are fetched whole, so a selection costs more bytes than its files have.
#[test]
fn a_plan_says_which_part_of_it_belongs_to_files_that_are_not_selected() {
    let files = [("a", random_bytes(1, 1_000)), ("b", random_bytes(2, 99_000))];
    let lab = Dataset::multi("lab", files).piece_length(1 << 15);
    let cli = cli();
    cli.write("lab.torrent", lab.torrent());
    cli.declare("lab = { torrent = \"lab.torrent\", files = [\"a\"] }\nwhole = { torrent = \"lab.torrent\" }");
    let run = cli.run(&["fetch", "--dry-run"]);
    let said = "lab: 31.0 KiB of 32.0 KiB belong to other files, as pieces are downloaded whole\n";
    assert_eq!((run.status, &*run.stderr), (Some(0), said));
    // If both datasets are missing, the error of `fetch` says so.
    let run = cli.run(&["fetch", "--offline"]);
    assert!(run.stderr.contains("31.0 KiB of 32.0 KiB belong to other files"), "{}", run.stderr);
    assert!(run.stderr.contains("dataset `whole`"), "{}", run.stderr);
    let shown = cli.ok(&["add", "lab.torrent", "more", "--files", "a", "--dry-run"]);
    assert!(shown.contains("32.0 KiB to download, as pieces are downloaded whole"), "{shown}");
}

/// Replaces the registry `example` with the directory `vendor`, as `cargo vendor` does.
#[cfg(unix)]
const VENDORED: &str = r#"
[registries.example]
index = "https://registry.invalid/index"
[source."https://registry.invalid/index"]
registry = "https://registry.invalid/index"
replace-with = "vendored"
[source.vendored]
directory = "vendor"
"#;

/// A dependency from a registry fetches nothing by itself. The error prints the command that
/// fetches its data. That command must read the sources in the dependency's manifest, because the
/// torrent has none.
#[test]
#[cfg(unix)] // where a shell can run the printed command
fn the_printed_command_fetches_what_a_dependency_lacks() {
    use crate::fixture::{Fixture, Run, library};
    let dataset = Dataset::single("data.bin", random_bytes(71, 200_000));
    let seed = WebSeed::serving(&dataset);
    let fixture = Fixture::new("fixture-lacks", "")
        .main("fn main() { println!(\"{}\", fixture_lacked::PATH) }")
        .env("ACADEMICTORRENTS_PRIVATE_HOSTS", "127.0.0.1");
    let vendor = "vendor/fixture-lacked";
    let declare = |more: &str| {
        let datasets = format!(
            "data = {{ torrent = \"data.torrent\", web-seeds = [\"{}\"]{more} }}",
            seed.url()
        );
        fixture.library(vendor, "fixture-lacked", &datasets);
    };
    declare("");
    fixture.write(&format!("{vendor}/.cargo-checksum.json"), "{\"files\":{},\"package\":null}");
    fs::write(fixture.path(&format!("{vendor}/data.torrent")), dataset.torrent()).unwrap();
    fixture.write(".cargo/config.toml", VENDORED);
    fixture.declare(&format!(
        "[dependencies.fixture-lacked]\nversion = \"*\"\nregistry = \"example\"\n\
         [patch.crates-io.academictorrents]\npath = {:?}",
        library()
    ));
    let printed = |fixture: &Fixture| {
        let errors = fixture.cargo(&["build"]).errors();
        let words = |line: &String| {
            let at =
                line.find("ACADEMICTORRENTS_MAX_SIZE=").or(line.find("cargo academictorrents "))?;
            Some(line[at..].to_owned()).filter(|line| line.contains("cargo academictorrents "))
        };
        errors.iter().find_map(words).unwrap_or_else(|| panic!("{errors:#?}"))
    };
    // Found in `PATH`, as after `cargo install`.
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_cargo-academictorrents"));
    let mut path = vec![program.parent().unwrap().to_owned()];
    path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap()));
    let path = std::env::join_paths(path).unwrap();
    let run = |fixture: &Fixture, line: &str| {
        let mut shell = fixture.command("sh");
        Run::of(shell.args(["-c", line]).env("PATH", &path).output().unwrap())
    };
    let line = printed(&fixture);
    assert_eq!(line, "cargo academictorrents fetch data");
    run(&fixture, &line).ok();
    dataset.assert_at(&fixture.cargo(&["run"]).ok().printed_path());
    // A dependency whose manifest allows less than the dataset needs, first alone, then with a
    // limit of the user's that is too low as well.
    fs::remove_dir_all(fixture.store()).unwrap();
    declare(", max-size = \"1kB\"");
    fixture.write(&format!("{vendor}/.cargo-checksum.json"), "{\"files\":{},\"package\":null}");
    let always = fixture.with_env("ACADEMICTORRENTS_FETCH", "always");
    let line = printed(&always);
    assert_eq!(line, "cargo academictorrents fetch data --max-size 1MiB");
    let capped = always.with_env("ACADEMICTORRENTS_MAX_SIZE", "2kB");
    let line_of_user = printed(&capped);
    assert_eq!(line_of_user, format!("ACADEMICTORRENTS_MAX_SIZE=1MiB {line}"));
    run(&capped, &line_of_user).ok();
    dataset.assert_at(&capped.cargo(&["run"]).ok().printed_path());
    fs::remove_dir_all(fixture.store()).unwrap();
    run(&always, &line).ok();
    dataset.assert_at(&always.cargo(&["run"]).ok().printed_path());
}
