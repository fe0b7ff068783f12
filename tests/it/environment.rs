//! Environment variables, with the real Cargo: build scripts must read them, not only calls at run
//! time.

use std::fs;

use crate::cargo::from_web_seed;
use crate::fixture::Fixture;
use crate::support::files_below;
use crate::swarm::{Catalogue, Dataset, Peer, TlsFront, WebSeed, random_bytes};

fn data(seed: u64) -> Dataset {
    Dataset::single("data.bin", random_bytes(seed, 200_000))
}

#[test]
fn behind_a_proxy_that_looks_into_tls_its_certificate_is_what_a_build_needs() {
    let dataset = data(401);
    let seed = WebSeed::serving(&dataset);
    let proxy = TlsFront::inspecting("data.example.org", seed.http().addr());
    let path = seed.url().splitn(4, '/').nth(3).unwrap().to_owned();
    let fixture = from_web_seed("fixture-inspected", &dataset, &seed, "")
        .env("CARGO_HTTP_PROXY", proxy.proxy_url());
    fixture.declare(&format!(
        "[package.metadata.academictorrents.data]\ntorrent = \"data.torrent\"\n\
         web-seeds = [\"https://data.example.org/{path}\"]"
    ));
    let errors = fixture.cargo(&["build"]).errors().join("\n");
    assert!(errors.contains("certificate") && errors.contains("CA_FILE"), "{errors}");
    assert_eq!(seed.bytes_served(), 0);
    let ca = fixture.path("university.pem");
    proxy.write_ca(&ca);
    for (variable, served) in [
        ("ACADEMICTORRENTS_CA_FILE", 200_000),
        ("CARGO_HTTP_CAINFO", 400_000),
        ("SSL_CERT_FILE", 600_000),
    ] {
        if fixture.store().exists() {
            fs::remove_dir_all(fixture.store()).unwrap();
        }
        let fixture = fixture.with_env(variable, ca.display());
        dataset.assert_at(&fixture.cargo(&["run"]).ok().printed_path());
        assert_eq!(seed.bytes_served(), served, "{variable}");
    }
}

#[test]
fn sources_that_variables_name_serve_a_build() {
    let dataset = data(402);
    let (catalogue, peer) = (Catalogue::serving(&[&dataset]), Peer::seeding(&dataset));
    let name = "fixture-variables";
    let fixture = Fixture::new(name, &format!("data = \"{}\"", dataset.infohash_hex()))
        .env("ACADEMICTORRENTS_CATALOGUE", catalogue.url())
        .env("ACADEMICTORRENTS_PEERS", peer.addr());
    let error = |variable, value| {
        let run = fixture.with_env(variable, value).cargo(&["build"]);
        run.errors().join("\n")
    };
    let text = error("ACADEMICTORRENTS_SOURCES", "mirrors");
    assert!(text.contains("excluded by ACADEMICTORRENTS_SOURCES: the catalog"), "{text}");
    let text = error("ACADEMICTORRENTS_MAX_SIZE", "100kB");
    assert!(text.contains("ACADEMICTORRENTS_MAX_SIZE"), "{text}");
    let text = error("ACADEMICTORRENTS_OFFLINE", "1");
    assert!(text.contains("offline: ACADEMICTORRENTS_OFFLINE is set"), "{text}");
    let text = error("ACADEMICTORRENTS_OFF_LINE", "1");
    assert!(text.contains("did you mean ACADEMICTORRENTS_OFFLINE?"), "{text}");
    assert_eq!(peer.server().connections(), 0);
    dataset.assert_at(&fixture.cargo(&["run"]).ok().printed_path());
    assert_eq!(peer.bytes_served(), 200_000);
}

/// A workspace has one environment for crates with and without the feature.
#[test]
#[cfg(not(feature = "dht"))]
fn nodes_of_the_dht_are_of_no_use_without_the_feature_and_an_error_says_so() {
    let name = "ACADEMICTORRENTS_DHT_BOOTSTRAP";
    let project =
        |dataset: &Dataset| crate::support::Project::of(dataset, "").env(name, "127.0.0.1:9");
    let error = project(&data(404)).error();
    assert!(error.contains(&format!("DHT: {name} has no effect: ")), "{error}");
    assert!(error.contains("feature `dht`"), "{error}");
    for error in
        [project(&data(404).private()).error(), project(&data(404)).env(name, "off").error()]
    {
        assert!(!error.contains("DHT"), "{error}");
    }
    // The missing DHT also affects the search for the .torrent.
    let project_of_infohash =
        crate::support::Project::new(&format!("data = \"{}\"", data(404).infohash_hex()));
    let error = project_of_infohash.env(name, "127.0.0.1:9").error();
    assert!(error.contains("feature `dht`"), "{error}");
    let peer = Peer::seeding(&data(404));
    let project = project(&data(404)).env("ACADEMICTORRENTS_PEERS", peer.addr());
    data(404).assert_at(&project.path_of("data"));
}

#[test]
fn a_store_on_the_load_path_is_read_and_not_written() {
    let dataset = data(403);
    let seed = WebSeed::serving(&dataset);
    let theirs = from_web_seed("fixture-shared-store", &dataset, &seed, "");
    theirs.cargo(&["build"]).ok();
    let before = files_below(&theirs.store());
    let ours = from_web_seed("fixture-load-path-store", &dataset, &seed, "")
        .env("ACADEMICTORRENTS_LOAD_PATH", theirs.store().display())
        .env("ACADEMICTORRENTS_OFFLINE", "1");
    let path = ours.cargo(&["run"]).ok().printed_path();
    dataset.assert_at(&path);
    assert!(path.starts_with(theirs.store()), "{}", path.display());
    assert_eq!(files_below(&theirs.store()), before);
    ours.cargo(&["build"]).ok().assert_fresh();
    assert_eq!(seed.bytes_served(), 200_000);
}

/// Replaces `flock` to simulate a file system without locks; Cargo itself continues without them.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const WITHOUT_LOCKS: &str = "
extern \"C\" { fn __errno_location() -> *mut i32; }
#[no_mangle]
pub extern \"C\" fn flock(_file: i32, _operation: i32) -> i32 {
    unsafe { *__errno_location() = 95 } // EOPNOTSUPP
    -1
}
";

#[test]
#[cfg(all(target_os = "linux", target_env = "gnu"))] // where a preloaded library can replace a libc function
fn a_store_without_locks_is_an_error_with_the_mend() {
    let dataset = data(404);
    let seed = WebSeed::serving(&dataset);
    let fixture = from_web_seed("fixture-without-locks", &dataset, &seed, "").env("DOCS_RS", "1");
    // Compile first, so that Cargo itself still locks normally.
    fixture.cargo(&["build"]).ok();
    fixture.write("flock.rs", WITHOUT_LOCKS);
    let mut rustc = fixture.command("rustc");
    rustc.args(["--edition=2021", "--crate-type=cdylib", "-o", "libflock.so", "flock.rs"]);
    crate::fixture::Run::of(rustc.output().unwrap()).ok();
    let fixture = fixture.env("DOCS_RS", "");
    let preloaded = fixture.with_env("LD_PRELOAD", fixture.path("libflock.so").display());
    let errors = preloaded.cargo(&["build"]).errors().join("\n");
    assert!(errors.contains("the store's file system has no locks"), "{errors}");
    assert!(errors.contains("set ACADEMICTORRENTS_STORE to a directory"), "{errors}");
    assert_eq!(seed.http().server().connections(), 0);
    dataset.assert_at(&fixture.cargo(&["run"]).ok().printed_path());
}
