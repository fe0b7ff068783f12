//! The catalog: its database lists all datasets, its records say how to cite one.
//!
//! Both are kept in the store for a day (`engine/command/catalogue.rs`). What is documented about
//! their formats, and what is assumed, is in `database.rs` and `record.rs`.

mod bibtex;
mod citation;
mod database;
#[cfg(test)]
mod fuzz;
mod query;
mod record;
#[cfg(test)]
mod tests;

use academictorrents::Error;
use academictorrents::engine::{self, Document, DocumentRequest};

use crate::app::App;

use database::{Entries, MAX_DATABASE_BYTES};

pub use citation::{Citation, MadeFrom};
pub use database::{CatalogueEntry, text};
pub use query::{Query, SearchResults};

impl App {
    /// Returns the catalog's database: the stored copy if it is younger than a day or nothing newer
    /// can be fetched. `refresh` asks the catalog in any case.
    ///
    /// # Errors
    /// [`academictorrents::ErrorKind::Offline`] and [`academictorrents::ErrorKind::Network`].
    pub fn database(&self, refresh: bool) -> Result<Document, Error> {
        let wanted = DocumentRequest {
            path: "/database.xml",
            name: "database.xml",
            what: "the catalog's database",
            max_bytes: MAX_DATABASE_BYTES,
            if_missing: "check the catalog's URL: ACADEMICTORRENTS_CATALOGUE, or `catalogue` in the configuration file",
            refresh,
            flaw: Entries::flaw,
        };
        engine::document(&self.settings, &self.store, &wanted)
    }
}
