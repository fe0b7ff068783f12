//! Citations of datasets: as in the catalog's record, or else made from what is known of the
//! dataset.

use super::bibtex::{Bibtex, escape, is_key, url};
use super::database::{CatalogueEntry, Entries, MAX_DATABASE_BYTES, text};
use super::record::{CatalogueRecord, MAX_RECORD_BYTES};
use academictorrents::Infohash;
use academictorrents::engine::counters::Counters;
use academictorrents::engine::torrent::Metainfo;
use academictorrents::engine::{self, DocumentRequest, Located};
use academictorrents::{Error, ErrorKind};

use crate::app::App;
use crate::dataset_spec::DatasetSpec;

/// A citation in BibTeX.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Citation {
    pub infohash: Infohash,
    pub bibtex: Bibtex,
    pub made_from: MadeFrom,
    /// The dataset's license, as the catalog's record says.
    pub license: Option<String>,
    /// Notes for the user.
    pub notes: Vec<String>,
}

/// The source of a citation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MadeFrom {
    /// The BibTeX in the catalog's record.
    Bibtex,
    /// The other fields of the record.
    Record,
    /// The entry in the stored copy of the catalog's database.
    Database,
    /// The `.torrent`, which does not list authors.
    Torrent,
}

impl App {
    /// Returns the citation of a dataset. If the catalog's record is unavailable, local data is
    /// used, and the notes say so.
    ///
    /// # Errors
    /// Those of requesting the record, if no local data exists; [`ErrorKind::Metainfo`] for an
    /// invalid `.torrent`.
    pub fn cite(&self, dataset: &DatasetSpec, refresh: bool) -> Result<Citation, Error> {
        let Some(infohash) = dataset.infohash()? else {
            return Err(Error::new(
                ErrorKind::Manifest,
                "neither `infohash` nor `torrent` is given",
            ));
        };
        let page = format!("{}/details/{infohash}", self.settings.catalogue);
        // A key from a manifest was chosen by the user and suits a citation; an id does not.
        let name = dataset.manifest().is_some().then(|| dataset.name());
        let failure = match self.record(infohash, refresh) {
            Ok((record, mut notes)) => {
                if let Some(bibtex) = record.bibtex {
                    let license = record.license;
                    return Ok(of_bibtex(infohash, bibtex, name, (license, notes)));
                }
                if let Some(why) = &record.odd_bibtex {
                    notes.push(format!("the BibTeX of the catalog's record is invalid: {why}"));
                }
                if let Some(title) = &record.title {
                    let known = CitationDetails { title, record: Some(&record), page: &page };
                    return Ok(known.cite(infohash, name, MadeFrom::Record, notes));
                }
                Error::new(ErrorKind::Network, "the catalog's record has no title")
            }
            Err(failure) => failure,
        };
        if let Some(entry) = self.kept_entry(infohash) {
            let notes = vec![note(&failure, "the catalog's database, which does not list authors")];
            let known = CitationDetails { title: &entry.title, record: None, page: &page };
            return Ok(known.cite(infohash, name, MadeFrom::Database, notes));
        }
        let counters = Counters::default();
        if let Some(Located { metainfo, bytes, .. }) =
            engine::at_hand(&self.session(&counters), &dataset.request)?
        {
            let mut notes = vec![note(&failure, "the .torrent, which does not list authors")];
            if let Some(comment) =
                Metainfo::comment_of(&bytes).filter(|text| !text.trim().is_empty())
            {
                notes.push(format!(
                    "the .torrent's comment: {}",
                    academictorrents::engine::error::printable(comment.trim())
                ));
            }
            let title = String::from_utf8_lossy(&metainfo.name);
            let known = CitationDetails { title: &title, record: None, page: &page };
            return Ok(known.cite(infohash, name, MadeFrom::Torrent, notes));
        }
        Err(failure)
    }

    fn record(
        &self,
        infohash: Infohash,
        refresh: bool,
    ) -> Result<(CatalogueRecord, Vec<String>), Error> {
        let wanted = DocumentRequest {
            path: &format!("/apiv2/entry/{infohash}"),
            name: &format!("{infohash}.json"),
            what: &format!("the catalog's record of {infohash}"),
            max_bytes: MAX_RECORD_BYTES,
            if_missing: "check the infohash: the catalog does not have this dataset",
            refresh,
            flaw: |document| CatalogueRecord::parse(document).err().map(|error| error.reason()),
        };
        let document = engine::document(&self.settings, &self.store, &wanted)?;
        Ok((CatalogueRecord::parse(&document.body)?, document.notes))
    }

    /// Returns the dataset's entry in the database that an earlier search stored.
    fn kept_entry(&self, infohash: Infohash) -> Option<CatalogueEntry> {
        let catalogue = &self.settings.catalogue;
        let kept = self.store.kept_document(catalogue, "database.xml", MAX_DATABASE_BYTES)?;
        let text = text(&kept.body);
        Entries::new(&text).find(|entry| entry.infohash == infohash && !entry.title.is_empty())
    }
}

/// Returns a note on the citation's source and on why the record is unavailable.
fn note(failure: &Error, made_from: &str) -> String {
    let (what, why, _) = failure.lines();
    // For a network failure, the reason names the record's URL.
    let why = why.into_iter().next().filter(|_| failure.kind() == ErrorKind::Network);
    format!("the citation is based on {made_from}\n  {}", why.unwrap_or(what))
}

fn of_bibtex(
    infohash: Infohash,
    mut bibtex: Bibtex,
    name: Option<&str>,
    (license, notes): (Option<String>, Vec<String>),
) -> Citation {
    if bibtex.key.is_empty() {
        let title = bibtex.field("title").unwrap_or_default().to_owned();
        bibtex.key = key(name, &title, infohash);
    }
    let license = license.or_else(|| bibtex.field("license").map(str::to_owned));
    Citation { infohash, bibtex, made_from: MadeFrom::Bibtex, license, notes }
}

impl Citation {
    /// Returns authors, title and year in a readable line; `None` if the authors are unknown.
    pub fn line(&self) -> Option<String> {
        let field = |name| self.bibtex.field(name).map(plain).filter(|text| !text.is_empty());
        let authors = field("author").or_else(|| field("editor"))?;
        let authors: Vec<&str> = authors.split(" and ").map(str::trim).collect();
        let authors = match authors.as_slice() {
            [] => return None,
            [one] => (*one).to_owned(),
            [one, other] => format!("{one} and {other}"),
            [one, ..] => format!("{one} et al."),
        };
        let year = field("year").map(|year| format!(" ({year})")).unwrap_or_default();
        let title = field("title").map(|title| format!(": {title}")).unwrap_or_default();
        Some(format!("{authors}{year}{title}"))
    }
}

/// Returns the text of a field without TeX markup.
fn plain(field: &str) -> String {
    let mut plain = String::new();
    let mut characters = field.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '{' | '}' => {}
            '\\' if characters.peek().is_some_and(|c| "&%$#_{}".contains(*c)) => {
                plain.extend(characters.next());
            }
            '~' => plain.push(' '),
            c => plain.push(c),
        }
    }
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What a citation is made from.
struct CitationDetails<'a> {
    title: &'a str,
    record: Option<&'a CatalogueRecord>,
    /// The dataset's page in the catalog.
    page: &'a str,
}

impl CitationDetails<'_> {
    fn cite(
        &self,
        infohash: Infohash,
        name: Option<&str>,
        made_from: MadeFrom,
        notes: Vec<String>,
    ) -> Citation {
        let said = |field: fn(&CatalogueRecord) -> &Option<String>| {
            self.record.and_then(|record| field(record).as_deref())
        };
        let link =
            said(|record| &record.url).filter(|url| academictorrents::engine::url::is_http(url));
        let fields = [
            ("title", Some(escape(self.title))),
            ("author", said(|record| &record.authors).map(escape)),
            ("year", said(|record| &record.year).map(escape)),
            ("howpublished", Some("Academic Torrents".to_owned())),
            ("url", Some(url(link.unwrap_or(self.page)))),
            ("license", said(|record| &record.license).map(escape)),
            ("note", Some(format!("Infohash {infohash}"))),
        ];
        let fields = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        let fields = fields.filter(|(_, value)| !value.is_empty()).collect();
        // Every style knows @misc; only biblatex knows @dataset.
        let key = key(name, self.title, infohash);
        let bibtex = Bibtex { kind: "misc".to_owned(), key, fields };
        let license = said(|record| &record.license).map(str::to_owned);
        Citation { infohash, bibtex, made_from, license, notes }
    }
}

/// Returns the dataset's key in the manifest, or else the first significant word of the title with
/// the first digits of the infohash.
fn key(name: Option<&str>, title: &str, infohash: Infohash) -> String {
    if let Some(name) = name.filter(|name| is_key(name)) {
        return name.to_owned();
    }
    let words = title.split(|c: char| !c.is_ascii_alphanumeric());
    let mut words = words.filter(|word| word.len() > 2 && !word.eq_ignore_ascii_case("the"));
    let word: String = words.next().unwrap_or("dataset").to_ascii_lowercase();
    let digits = infohash.to_string();
    format!("{}-{}", word.get(..30).unwrap_or(&word), digits.get(..8).unwrap_or(&digits))
}
