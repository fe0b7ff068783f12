//! Mistakes in `Cargo.toml`.

use super::Page;
use crate::fixture::Fixture;

const HASH: &str = "323a0048d87ca79b68f12a6350a57776b6a3b7fb";

/// The manifest's table of the dataset `data`, with its infohash and these lines.
fn table(lines: &str) -> String {
    format!("[package.metadata.academictorrents.data]\ninfohash = \"{HASH}\"\n{lines}")
}

#[test]
fn in_the_manifest() {
    let mut page = Page::new("manifest");
    let fixture = Fixture::new("manifest-errors", "");
    let mut check = |case: &str, datasets: &str| {
        fixture.declare(datasets);
        page.check(case, &fixture, &["build"]);
    };
    check("unknown key", &table("max_size = \"2GiB\"\nurl = \"https://example.org\""));
    check("infohash one digit short", &format!("data = \"{}\"", &HASH[1..]));
    check("infohash with a letter too many", &format!("data = \"{}x\"", &HASH[1..]));
    check("infohash of BitTorrent v2", &format!("data = \"{HASH}{}\"", &HASH[..24]));
    check(
        "the address of the page",
        "data = \"https://academictorrents.com/details/323a0048d87ca79b68f12a6350a57776b6a3b7fb\"",
    );
    check("a torrent as the short form", "data = \"mnist.torrent\"");
    check("a name in capitals", &format!("MNIST = \"{HASH}\""));
    check("names that collide", &format!("a-b = \"{HASH}\"\na_b = \"{HASH}\""));
    check("neither infohash nor torrent", "data = { files = [\"*\"] }");
    check("a number for an infohash", "data = 323");
    check("an identity among the defaults", &format!("defaults = {{ infohash = \"{HASH}\" }}"));
    check("a magnet link without an infohash", "data = { magnet = \"magnet:?dn=data\" }");
    check(
        "a magnet link next to an infohash",
        &table(&format!("magnet = \"magnet:?xt=urn:btih:{HASH}\"")),
    );
    check(
        "a mistake in each key",
        &table(
            "files = [\"a[\"]\nmirrors = [\"ftp://example.org\"]\nweb-seeds = [\"example.org/data\"]\n\
             trackers = [\"udp://example.org\"]\npeers = [\"example.org\"]\nsources = [\"webseeds\"]\n\
             max-size = \"2 gigs\"\nrequired-features = [\"extras\"]\nsha256 = { \"a/../b\" = \"12\" }\n\
             store = \"outdir\"\noptional = \"yes\"",
        ),
    );
    page.compare();
}
