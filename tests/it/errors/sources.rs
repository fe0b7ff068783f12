//! Network failures: forbidden downloads and sources that do not provide the data.

use std::fs;

use super::Page;
use crate::cargo::{from_web_seed, seeded};
use crate::fetch_policy::holding;
use crate::fixture::Fixture;
use crate::swarm::{
    Catalogue, Dataset, Peer, SocksProxy, TlsFront, Tracker, WebSeed, random_bytes,
};
use crate::swarm::{catalogue, peer, socks, tracker, web_seed};

fn data() -> Dataset {
    Dataset::single("data.bin", random_bytes(202, 200_000))
}

/// How long a fixture waits for its sources.
const TIMEOUT: (&str, &str) = ("ACADEMICTORRENTS_TIMEOUT", "3s");

/// A port that nothing listens on. An unused port from the system could belong to another test
/// soon.
const CLOSED: &str = "127.0.0.1:9";

#[test]
fn of_the_catalogue() {
    use catalogue::Fault::*;
    let mut page = Page::new("catalogue");
    let dataset = data();
    let by_infohash = format!("data = \"{}\"", dataset.infohash_hex());
    let fixture = Fixture::new("catalogue-errors", &by_infohash).env(TIMEOUT.0, TIMEOUT.1);
    let of =
        |catalogue: &Catalogue| fixture.with_env("ACADEMICTORRENTS_CATALOGUE", catalogue.url());
    for (case, fault) in [
        ("an unknown torrent", Status(404)),
        ("refused", Status(403)),
        ("too many requests", TooMany { retry_after_secs: 60, times: 9 }),
        ("broken", Status(500)),
        ("a web page", Garbage),
        ("another torrent", WrongTorrent(Dataset::single("x", "other bytes").torrent())),
        ("silent", Stall),
    ] {
        let catalogue = Catalogue::serving(&[&dataset]).with(fault);
        page.check(case, &of(&catalogue), &["build"]);
    }
    let unreachable = fixture.with_env("ACADEMICTORRENTS_CATALOGUE", format!("http://{}", CLOSED));
    page.check("unreachable", &unreachable, &["build"]);
    let proxied = fixture.with_env("CARGO_HTTP_PROXY", format!("http://{}", CLOSED));
    page.check("behind an unreachable proxy", &proxied, &["build"]);
    page.check(
        "with a mirror",
        &proxied.with_env("ACADEMICTORRENTS_MIRRORS", "/nowhere"),
        &["build"],
    );

    let offline = |name: &str, value: &str| fixture.with_env(name, value);
    page.check("ACADEMICTORRENTS_OFFLINE", &offline("ACADEMICTORRENTS_OFFLINE", "1"), &["build"]);
    page.check("CARGO_NET_OFFLINE", &offline("CARGO_NET_OFFLINE", "true"), &["build"]);
    page.check("cargo build --offline", &fixture, &["build", "--offline"]);
    page.check("cargo build --frozen", &fixture, &["build", "--frozen"]);
    page.check("fetch never", &offline("ACADEMICTORRENTS_FETCH", "never"), &["build"]);

    let both = format!("{by_infohash}\nmore = \"{}\"", "1".repeat(40));
    fixture.declare(&both);
    page.check("two datasets", &of(&Catalogue::serving(&[])), &["build"]);
    page.check("two datasets, offline", &offline("ACADEMICTORRENTS_OFFLINE", "1"), &["build"]);
    fixture.declare(&format!(
        "data = {{ infohash = \"{}\", optional = true }}",
        dataset.infohash_hex()
    ));
    let fixture = fixture.clone().main("fn main() {}");
    let none = Catalogue::serving(&[]);
    let of =
        |catalogue: &Catalogue| fixture.with_env("ACADEMICTORRENTS_CATALOGUE", catalogue.url());
    page.check_warning("an optional dataset", &of(&none), &["build"]);
    page.check_warning("an optional dataset, a moment later", &of(&none), &["build"]);
    page.compare();
}

#[test]
fn of_web_seeds_peers_and_trackers() {
    let mut page = Page::new("sources");
    let dataset = data();
    let fixture = Fixture::new("sources-errors", "").env(TIMEOUT.0, TIMEOUT.1);
    fs::write(fixture.path("data.torrent"), dataset.torrent()).unwrap();
    let declare = |lines: &str| {
        fixture.declare(&format!(
            "[package.metadata.academictorrents.data]\ntorrent = \"data.torrent\"\n{lines}"
        ));
    };
    // These cases wait for the deadline. The others must fail before it, even on a slow machine.
    let waits = [
        "a web seed that is silent",
        "a web seed that asks for a pause",
        "a tracker without peers",
    ];
    let within = |case: &str| if waits.contains(&case) { TIMEOUT.1 } else { "5s" };
    let mut check = |case: &str, lines: &str| {
        declare(lines);
        page.check(case, &fixture.with_env(TIMEOUT.0, within(case)), &["build"]);
    };
    for (case, fault) in [
        ("a web seed without the file", web_seed::Fault::NotFound),
        ("a web seed that refuses", web_seed::Fault::Status(403)),
        ("a web seed with a file of another length", web_seed::Fault::WrongLength),
        ("a web seed with wrong bytes", web_seed::Fault::CorruptAll),
        ("a web seed with a log-in page", web_seed::Fault::Portal),
        ("a web seed that is silent", web_seed::Fault::Stall { after_bytes: 0 }),
        (
            "a web seed that asks for a pause",
            web_seed::Fault::TooMany { retry_after_secs: 60, times: 99 },
        ),
    ] {
        let seed = WebSeed::serving(&dataset).with(fault);
        check(case, &format!("web-seeds = [\"{}\"]", seed.url()));
    }
    check("an unreachable web seed", &format!("web-seeds = [\"http://{}/data.bin\"]", CLOSED));
    let seed = WebSeed::serving(&dataset);
    let front = TlsFront::before(seed.http().server().addr());
    let https = format!("web-seeds = [\"{}/data.bin\"]", front.url());
    check("a certificate of an unknown authority", &https);
    for (case, fault) in [
        ("a tracker that refuses", tracker::Fault::Failure("torrent not registered".into())),
        ("a tracker that is a web page", tracker::Fault::Garbage),
    ] {
        let tracker = Tracker::start(Vec::new()).with(fault);
        check(case, &format!("trackers = [\"{}\"]", tracker.url()));
    }
    let tracker = Tracker::start(Vec::new());
    check("a tracker without peers", &format!("trackers = [\"{}\"]", tracker.url()));
    check("a tracker over UDP", "trackers = [\"udp://127.0.0.1:9\"]");
    for (case, fault) in [
        ("a peer with wrong bytes", peer::Fault::CorruptAll),
        ("a peer that never sends", peer::Fault::NeverUnchoke),
        ("a peer of another torrent", peer::Fault::WrongInfohash),
    ] {
        let peer = Peer::seeding(&dataset).with(fault);
        declare(&format!("peers = [\"{}\"]", peer.addr()));
        // Long enough to drop the peer before the download gives up, even on a slow machine.
        page.check(case, &fixture.with_env(TIMEOUT.0, "3s"), &["build"]);
    }
    let mut check = |case: &str, lines: &str| {
        declare(lines);
        page.check(case, &fixture.with_env(TIMEOUT.0, within(case)), &["build"]);
    };
    check("an unreachable peer", &format!("peers = [\"{}\"]", CLOSED));
    check("a missing mirror", "mirrors = [\"mirror\"]");
    check("sources that exclude everything", &format!("{https}\nsources = [\"mirrors\"]"));

    let mut check = |case: &str, name: &str, value: &str| {
        let fixture = fixture.with_env(name, value).env(TIMEOUT.0, within(case));
        page.check(case, &fixture, &["build"]);
    };
    declare(&https);
    check("offline", "ACADEMICTORRENTS_OFFLINE", "1");
    check("fetch never", "ACADEMICTORRENTS_FETCH", "never");
    check("sources of the environment", "ACADEMICTORRENTS_SOURCES", "catalogue");
    check("a missing certificate file", "ACADEMICTORRENTS_CA_FILE", "/nowhere/ca.pem");
    let no_pem = fixture.path("Cargo.toml").display().to_string();
    check("a file without certificates", "ACADEMICTORRENTS_CA_FILE", &no_pem);
    check("an unreachable proxy", "CARGO_HTTP_PROXY", &format!("http://{}", CLOSED));
    check("a proxy with an invalid URL", "HTTPS_PROXY", "gopher://me:secret@127.0.0.1:9");
    check("an unreachable SOCKS proxy", "ALL_PROXY", &format!("socks5h://{CLOSED}"));
    let proxy = SocksProxy::start().login("me", "sesame");
    check("a SOCKS proxy that requires a login", "ALL_PROXY", &proxy.url());
    let wrong = proxy.url().replace("//", "//me:secret@");
    check("a SOCKS proxy that refuses the login", "ALL_PROXY", &wrong);
    let strict = SocksProxy::start().with(socks::Fault::Reply(2));
    check("a SOCKS proxy that forbids the connection", "ALL_PROXY", &strict.url());
    let unable = SocksProxy::start().with(socks::Fault::Reply(4));
    check("a SOCKS proxy that cannot resolve the host", "ALL_PROXY", &unable.url());
    declare("trackers = [\"udp://127.0.0.1:9\"]");
    let udp = fixture.with_env("ALL_PROXY", proxy.url());
    page.check("a tracker over UDP, and a SOCKS proxy", &udp, &["build"]);
    page.compare();
}

#[test]
fn of_other_packages() {
    let mut page = Page::new("packages");
    let dataset = data();
    let seed = WebSeed::serving(&dataset);
    let lines = seeded(&seed, "");
    let fixture = holding("holding-errors", "held-errors", &dataset.torrent(), &lines);
    page.check("a vendored dependency", &fixture, &["build"]);
    let large =
        fixture.env("ACADEMICTORRENTS_FETCH", "always").env("ACADEMICTORRENTS_MAX_SIZE", "1kB");
    page.check("a vendored dependency over the limit", &large, &["build"]);

    let include = "license = \"MIT\"\ndescription = \"\"\ninclude = [\"src\", \"build.rs\"]";
    let fixture = from_web_seed("packaged-errors", &dataset, &seed, "").package(include);
    fixture.declare(&seeded(&seed, ""));
    let patch = format!("patch.crates-io.academictorrents.path={:?}", env!("CARGO_MANIFEST_DIR"));
    let package = ["package", "--allow-dirty", "--config", &patch];
    page.check("a torrent that the package excludes", &fixture, &package);

    let fixture = Fixture::new("old-errors", "").package("rust-version = \"1.70\"");
    fixture.declare("data = \"323a\"");
    page.check_warning("an older rust-version", &fixture, &["build"]);
    page.compare();
}
