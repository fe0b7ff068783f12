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
