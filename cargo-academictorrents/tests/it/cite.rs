//! `cargo academictorrents cite`.

use crate::cli_fixture::{CliFixture, Page};
use crate::swarm::catalogue::{Catalogue, Fault, item};
use crate::swarm::{Dataset, random_bytes};

fn dataset() -> Dataset {
    Dataset::single("mnist_60k.bin", random_bytes(1, 300_000))
}

fn cli(catalogue: &Catalogue) -> CliFixture {
    CliFixture::new().env("ACADEMICTORRENTS_CATALOGUE", catalogue.url())
}

/// A record as people type it and the catalog returns it: raw line breaks in JSON, no BibTeX key,
/// empty fields.
const TYPED: &str = "{\"bibtex\": \"@article{,\ntitle= {The {MNIST} database},\nauthor= {Yann LeCun and Corinna Cortes},\n\
    journal= {},\nyear= {1998},\nabstract= {70,000 digits \u{7f}},\nterms= {}\n}\", \"seeders\": 3}";

#[test]
fn a_record_with_bibtex_is_cited_as_it_says() {
    let infohash = dataset().infohash_hex();
    let catalogue = Catalogue::serving(&[]).record(&infohash, TYPED);
    let cli = cli(&catalogue);
    cli.declare(&format!("mnist = \"{infohash}\""));
    let mut page = Page::new("cite");
    page.show(&cli, &["cite", "mnist"]);
    page.show(&cli, &["cite", &infohash]);
    page.show(&cli, &["cite", "mnist", "--json"]);
    page.show(&cli, &["cite", "mnist", "--offline"]);
    page.show(&cli, &["cite", "minst"]);
    page.compare();
    assert_eq!(catalogue.requests().len(), 1);
    cli.ok(&["cite", "mnist", "--refresh"]);
    assert_eq!(catalogue.requests().len(), 2);
}

#[test]
fn what_a_record_says_otherwise_makes_a_citation() {
    let infohash = dataset().infohash_hex();
    let record = r#"{"name": "R&D {50%}", "authors": "A. B and C_D", "year": 2013, "bibtex": "see http://a", "url": "https://a/{b}"}"#;
    let catalogue = Catalogue::serving(&[]).record(&infohash, record);
    let cli = cli(&catalogue);
    let mut page = Page::new("cite-made");
    page.show(&cli, &["cite", &infohash]);
    page.show(&cli, &["cite", &infohash, "--json"]);
    page.compare();
}

#[test]
fn without_a_record_what_is_here_makes_a_citation_and_says_so() {
    let dataset = dataset();
    let infohash = dataset.infohash_hex();
    let items = item(&infohash, "The MNIST database", "Dataset", "", 300_000);
    let catalogue = Catalogue::serving(&[]).database(&items);
    let cli = cli(&catalogue);
    let mut page = Page::new("cite-without-record");
    page.show(&cli, &["cite", &infohash]);
    page.show(&cli, &["cite", &infohash, "--json"]);
    cli.write("mnist.torrent", dataset.torrent());
    page.show(&cli, &["cite", "mnist.torrent"]);
    page.show(&cli, &["cite", "mnist.torrent", "--offline"]);
    cli.ok(&["search", "mnist"]);
    page.show(&cli, &["cite", &infohash]);
    catalogue.document(&format!("/apiv2/entry/{infohash}"), "{}");
    page.show(&cli, &["cite", &infohash, "--quiet"]);
    catalogue.fault(Fault::Garbage);
    page.show(&cli, &["cite", &infohash]);
    page.compare();
}

#[test]
fn a_record_without_end_is_not_read_to_the_end() {
    let catalogue = Catalogue::serving(&[]).with(Fault::Endless);
    let run = cli(&catalogue).run(&["cite", &dataset().infohash_hex()]);
    assert_eq!((run.status, &*run.stdout), (Some(1), ""));
    assert!(run.stderr.contains("longer than 1048576 bytes"), "{}", run.stderr);
}
