//! Dependencies from git and registries: whether their datasets may be fetched, with the real
//! Cargo.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use crate::cargo::seeded;
use crate::fixture::{Fixture, Run};
use crate::refusals::sha256;
use crate::swarm::http::HttpServer;
use crate::swarm::{Dataset, WebSeed, random_bytes};

const BYTES: u64 = 200_000;

fn data(seed: u64) -> Dataset {
    Dataset::single("data.bin", random_bytes(seed, BYTES as usize))
}

/// A torrent of 192 pieces of 16 MiB, which no source has.
fn of_three_gib() -> String {
    format!(
        "d4:infod6:lengthi3221225472e4:name8:data.bin12:piece lengthi16777216e6:pieces3840:{}ee",
        "x".repeat(192 * 20)
    )
}

/// A package's name and its `.crate` file.
type Packed = (&'static str, Vec<u8>);

/// A read-only registry on loopback, as described in
/// <https://doc.rust-lang.org/cargo/reference/registry-index.html>.
struct Registry {
    http: HttpServer,
    crates: Arc<Mutex<Vec<Packed>>>,
}

impl Registry {
    fn start() -> Registry {
        let crates = Arc::new(Mutex::new(Vec::new()));
        let http = HttpServer::start({
            let crates = crates.clone();
            move |request, responder| {
                let found =
                    answer(&request.target, responder.local_addr(), &crates.lock().unwrap());
                match found.filter(|_| request.method == "GET") {
                    Some(body) => responder.respond(200, &[], &body),
                    None => responder.status(404),
                }
            }
        });
        Registry { http, crates }
    }

    /// Cargo's configuration of this registry.
    fn config(&self) -> String {
        format!("[registries.example]\nindex = \"sparse+{}/\"\n", self.http.url())
    }

    /// Packs the directory `<name>-0.0.0` of the fixture and serves it as a package.
    fn hold(&self, fixture: &Fixture, name: &'static str) {
        let directory = format!("{name}-0.0.0");
        let packed = format!("{directory}.crate");
        let mut tar = fixture.command("tar");
        Run::of(tar.args(["-czf", &packed, &directory]).output().unwrap()).ok();
        let packed = fs::read(fixture.path(&packed)).unwrap();
        self.crates.lock().unwrap().push((name, packed));
    }
}

/// The registry's content at a path, if any.
fn answer(path: &str, at: SocketAddr, crates: &[Packed]) -> Option<Vec<u8>> {
    if path == "/config.json" {
        return Some(format!("{{\"dl\":\"http://{at}/dl\",\"api\":\"http://{at}\"}}").into());
    }
    let holds = |packed: &&Packed| path.split('/').any(|part| part == packed.0);
    let (name, packed) = crates.iter().find(holds)?;
    if path.starts_with("/dl/") {
        return Some(packed.clone());
    }
    let needs = "{\"name\":\"academictorrents\",\"req\":\"*\",\"features\":[],\"optional\":false,\
                 \"default_features\":true,\"target\":null,\"kind\":\"build\"}";
    let line = format!(
        "{{\"name\":\"{name}\",\"vers\":\"0.0.0\",\"deps\":[{needs}],\"cksum\":\"{}\",\
         \"features\":{{}},\"yanked\":false}}\n",
        sha256(packed)
    );
    Some(line.into())
}

/// Runs git in a directory of the fixture, without any user's or system's configuration.
fn git(fixture: &Fixture, directory: &Path, arguments: &[&str]) {
    let mut command = fixture.command("git");
    let of_a_hook = std::env::vars_os().map(|(name, _)| name);
    for name in of_a_hook.filter(|name| name.as_encoded_bytes().starts_with(b"GIT_")) {
        command.env_remove(name);
    }
    command
        .current_dir(directory)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", fixture.path("no-git-config"))
        .args(["-c", "user.name=a", "-c", "user.email=a@example.org"])
        .args(arguments);
    match command.output() {
        Ok(output) => drop(Run::of(output).ok()),
        Err(why) => panic!("git is needed for this test, and could not be run: {why}"),
    }
}

/// A directory as a `file:` URL.
fn file_url(path: &Path) -> String {
    let path = path.display().to_string().replace('\\', "/");
    format!("file:///{}", path.trim_start_matches('/'))
}

/// Builds a fixture whose dependency's dataset is missing. Then calls `depend_on_limited` and
/// builds with a dependency whose manifest allows more than the default limit.
fn check_a_dependency(
    fixture: &Fixture,
    dataset: &Dataset,
    seed: &WebSeed,
    depend_on_limited: &dyn Fn(),
) {
    let errors = fixture.cargo(&["build"]).errors();
    assert!(errors[0].starts_with("dataset `data`: 195.3 KiB are missing"), "{errors:#?}");
    let text = errors.join("\n");
    assert!(text.contains("ACADEMICTORRENTS_FETCH=always cargo build"), "{text}");
    assert_eq!(seed.http().server().connections(), 0);
    // The fix that the error suggests.
    let allowed = fixture.with_env("ACADEMICTORRENTS_FETCH", "always");
    // The torrent of a dependency may name hosts on this machine only if the user lists them.
    let refused = allowed.cargo(&["build"]).errors().join("\n");
    assert!(refused.contains("named by a dependency"), "{refused}");
    assert_eq!(seed.http().server().connections(), 0);
    let allowed = allowed.with_env("ACADEMICTORRENTS_PRIVATE_HOSTS", "127.0.0.1");
    dataset.assert_at(&allowed.cargo(&["run"]).ok().printed_path());
    assert_eq!(seed.bytes_served(), BYTES);
    fixture.cargo(&["build"]).ok().assert_fresh();
    let connections = seed.http().server().connections();
    depend_on_limited();
    let errors = allowed.cargo(&["build"]).errors().join("\n");
    assert!(errors.contains("the limit is 1.0 GiB"), "{errors}");
    assert_eq!(seed.http().server().connections(), connections);
}

#[test]
fn a_dependency_from_git_fetches_only_where_that_is_allowed() {
    let dataset = data(301);
    let seed = WebSeed::serving(&dataset);
    let (held, limited) = ("fixture-git-held", "fixture-git-limited");
    let fixture = Fixture::new("fixture-git", "").main("fn main() {}");
    // Two packages below the top directory of one repository; Cargo marks only the top directory.
    for (name, lines, torrent) in [
        (held, "", dataset.torrent()),
        (limited, "max-size = \"9GiB\"", of_three_gib().into_bytes()),
    ] {
        let below = format!("repository/crates/{name}");
        fixture.library(&below, name, &seeded(&seed, lines));
        fs::write(fixture.path(&format!("{below}/data.torrent")), torrent).unwrap();
    }
    // A package without dependencies can be fetched without a registry.
    fixture.write("repository/plain/src/lib.rs", "");
    fixture.write(
        "repository/plain/Cargo.toml",
        "[package]\nname = \"plain\"\nversion = \"0.0.0\"\nedition = \"2021\"\n",
    );
    let repository = fixture.path("repository");
    git(&fixture, &repository, &["init", "--quiet"]);
    git(&fixture, &repository, &["add", "."]);
    git(&fixture, &repository, &["-c", "commit.gpgsign=false", "commit", "--quiet", "-m", "a"]);
    let depend_on = |name: &str| {
        fixture.declare(&format!(
            "[dependencies.{name}]\ngit = {:?}\n[patch.crates-io.academictorrents]\npath = {:?}",
            file_url(&repository),
            env!("CARGO_MANIFEST_DIR")
        ));
    };
    depend_on("plain");
    fixture.cargo_online(&["check"]).ok();
    depend_on(held);
    fixture.write("src/main.rs", "fn main() { println!(\"{}\", fixture_git_held::PATH) }");
    check_a_dependency(&fixture, &dataset, &seed, &|| depend_on(limited));
}

/// Manifest lines that depend on packages of the registry, and use the crate at this path.
fn depending_on(names: &[&str], academictorrents: &Path) -> String {
    let of = "version = \"*\"\nregistry = \"example\"";
    let dependencies: String =
        names.iter().map(|name| format!("[dependencies.{name}]\n{of}\n")).collect();
    format!("{dependencies}[patch.example.academictorrents]\npath = {academictorrents:?}\n")
}

/// Makes Cargo download packages of the registry. A stand-in without dependencies replaces our
/// crate, so that no other registry is asked.
fn bring(fixture: &Fixture, names: &[&str]) {
    let package =
        |name| format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2021\"\n");
    for (below, name, rest) in [
        ("bring", "bring", depending_on(names, &fixture.path("stand-in")) + "[workspace]\n"),
        ("stand-in", "academictorrents", String::new()),
    ] {
        fixture.write(&format!("{below}/src/lib.rs"), "");
        fixture.write(&format!("{below}/Cargo.toml"), &(package(name) + &rest));
    }
    let manifest = fixture.path("bring/Cargo.toml").display().to_string();
    fixture.cargo_online(&["fetch", "--manifest-path", &manifest]).ok();
}

#[test]
fn a_dependency_from_a_registry_fetches_only_where_that_is_allowed() {
    let dataset = data(302);
    let (seed, registry) = (WebSeed::serving(&dataset), Registry::start());
    let (held, limited) = ("fixture-registry-held", "fixture-registry-limited");
    let fixture = Fixture::new("fixture-registry", "")
        .main("fn main() { println!(\"{}\", fixture_registry_held::PATH) }");
    fixture.write(".cargo/config.toml", &registry.config());
    for (name, lines, torrent) in [
        (held, "", dataset.torrent()),
        (limited, "max-size = \"9GiB\"", of_three_gib().into_bytes()),
    ] {
        let datasets = seeded(&seed, lines);
        let below = format!("{name}-0.0.0");
        fixture.library(&below, name, &datasets);
        fs::write(fixture.path(&format!("{below}/data.torrent")), torrent).unwrap();
        registry.hold(&fixture, name);
    }
    bring(&fixture, &[held, limited]);
    let depend_on = |name: &str| {
        fixture.declare(&depending_on(&[name], Path::new(env!("CARGO_MANIFEST_DIR"))));
    };
    depend_on(held);
    check_a_dependency(&fixture, &dataset, &seed, &|| depend_on(limited));
}
