//! The fuzz target `catalogue`: everything that parses the catalog's documents. `fuzz/` includes
//! this file.

use super::{bibtex, database, record};

/// The initial corpus.
pub const SEEDS: [&[u8]; 3] = [
    b"<rss><channel><item><title>a &amp; b</title><infohash>0707070707070707070707070707070707070707</infohash><size>5</size></item></channel></rss>",
    br#"{"bibtex":"@article{a, title={b}}","name":"n"}"#,
    b"@article{key,\n title = {A {B} \\&},\n author = \"C and D\"\n}",
];

/// Decodes arbitrary bytes.
pub fn decode(document: &[u8]) {
    let is_database = database::Entries::flaw(document).is_none();
    let text = database::text(document);
    let entries = database::Entries::new(&text).count();
    assert!(is_database || entries <= document.len());
    let _ = record::CatalogueRecord::parse(document);
    if let Ok(entry) = bibtex::Bibtex::parse(&text) {
        assert!(bibtex::Bibtex::parse(&entry.to_string()).is_ok(), "{entry}");
    }
}
