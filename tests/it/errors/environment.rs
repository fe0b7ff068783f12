//! Mistakes in environment variables and in the user's configuration file.

use super::Page;
use crate::fixture::Fixture;
use crate::swarm::{Dataset, random_bytes};

const DATA: &str = "data = \"323a0048d87ca79b68f12a6350a57776b6a3b7fb\"";

#[test]
fn in_the_environment() {
    let mut page = Page::new("environment");
    let fixture = Fixture::new("environment-errors", DATA);
    for (case, name, value) in [
        ("unknown variable", "TIME_OUT", "60"),
        ("unknown variable without a suggestion", "XYZZY", "1"),
        ("a key", "API_KEY", "sesame"),
        ("a size", "MAX_SIZE", "20 gigs"),
        ("a duration", "TIMEOUT", "soon"),
        ("a duration too short", "TIMEOUT", "0"),
        ("a list of words", "SOURCES", "mirrors,torrents"),
        ("a list of mirrors", "MIRRORS", "/mirror data"),
        ("a mirror with an unsupported URL", "MIRRORS", "ftp://example.org"),
        ("a peer", "PEERS", "example.org"),
        ("a node of the DHT", "DHT_BOOTSTRAP", "example.org"),
        ("a word", "FETCH", "ask"),
        ("another word", "PROGRESS", "on"),
        ("a URL", "CATALOGUE", "academictorrents.com"),
        ("a relative store", "STORE", "data"),
        ("a store in quotes", "STORE", "~/data"),
        ("a relative load path", "LOAD_PATH", "/data:more"),
        ("a relative copy", "PATH_DATA", "mnist.gz"),
        ("a copy of a dataset that is not declared", "PATH_DATAS", "/data/mnist.gz"),
    ] {
        let fixture = fixture.with_env(&format!("ACADEMICTORRENTS_{name}"), value);
        page.check(case, &fixture, &["build"]);
    }
    page.compare();
}

#[test]
fn in_the_configuration_file() {
    let mut page = Page::new("configuration");
    let fixture = Fixture::new("configuration-errors", DATA);
    // Fixtures set these variables; an empty variable counts as unset.
    let fixture = fixture
        .clone()
        .env("XDG_CONFIG_HOME", fixture.path("config").display())
        .env("ACADEMICTORRENTS_STORE", "")
        .env("ACADEMICTORRENTS_TIMEOUT", "")
        .env("ACADEMICTORRENTS_CATALOGUE", "");
    let mut check = |case: &str, text: &str| {
        fixture.write("config/academictorrents/config.toml", text);
        page.check(case, &fixture, &["build"]);
    };
    check("unknown key", "# mine\nloadpath = [\"/data\"]\n");
    check("unknown key without a suggestion", "xyzzy = 1\n");
    check("not TOML", "store = /data\n");
    check("a size", "store = \"/data\"\nmax-size = \"20 gigs\"\n");
    check("a duration", "timeout = \"soon\"\n");
    check("a list", "sources = [\"mirrors\", \"torrents\"]\n");
    check("a mirror", "mirrors = [\"data\"]\n");
    check("a boolean", "offline = \"perhaps\"\n");
    check("another type", "store = 1\n");
    check("a relative store", "store = \"data\"\n");
    check("a URL", "catalogue = \"academictorrents.com\"\n");
    let places = format!("store = {:?}\n", fixture.path("store").display().to_string());
    check("offline", &format!("{places}offline = true\n"));
    check("fetch", &format!("{places}fetch = \"never\"\n"));
    check("certificates", &format!("{places}ca-file = \"/nowhere/ca.pem\"\n"));
    check(
        "excluded sources",
        &format!("{places}sources = [\"peers\"]\nload-path = [\"/nowhere\"]\n"),
    );
    let dataset = Dataset::single("data.bin", random_bytes(203, 200_000));
    std::fs::write(fixture.path("data.torrent"), dataset.torrent()).unwrap();
    let lines = "data = { torrent = \"data.torrent\", web-seeds = [\"http://127.0.0.1:9/\"] }";
    fixture.declare(lines);
    check("a limit", &format!("{places}max-size = \"100kB\"\n"));
    check("sources that exclude everything", &format!("{places}sources = [\"peers\"]\n"));
    page.compare();
}
