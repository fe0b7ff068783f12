//! The catalogue: who has which dataset is found in its database, how one is cited in its records.
//!
//! Both are kept in the store for a day (`download/catalogue.rs`). What is known of their formats, and what is assumed, stands in
//! `database.rs` and `record.rs`.

mod bibtex;
mod citation;
mod database;
mod query;
mod record;
#[cfg(test)]
mod tests;

use std::time::Duration;

use super::Desk;
use crate::download::{self, Wanted};
use crate::error::Error;

use database::{Entries, MAX_DATABASE_BYTES};

pub use citation::{Citation, MadeFrom};
pub use database::Entry;
pub use query::{Found, Query};

/// The catalogue's database, as it was fetched.
#[derive(Debug)]
pub struct Database {
    document: Vec<u8>,
    /// Where it is from.
    pub url: String,
    /// How long ago it was known to be current.
    pub age: Duration,
    /// Whether it was not asked for, since the network may not be used.
    pub is_offline: bool,
    /// What its reader should know, such as that the catalogue could not be asked.
    pub notes: Vec<String>,
}

impl Database {
    /// What is meant.
    #[must_use]
    pub fn search(&self, query: &Query) -> Found {
        query.run(&database::text(&self.document))
    }
}

impl Desk {
    /// The catalogue's database: the copy in the store where that is younger than a day, or where nothing else can be had.
    /// `refresh` asks the catalogue however young it is.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Offline`] and [`crate::ErrorKind::Network`].
    pub fn database(&self, refresh: bool) -> Result<Database, Error> {
        let wanted = Wanted {
            path: "/database.xml",
            name: "database.xml",
            what: "the catalogue's database",
            max_bytes: MAX_DATABASE_BYTES,
            if_missing: "check the catalogue's address: ACADEMICTORRENTS_CATALOGUE, or `catalogue` in the configuration file",
            refresh,
            check: Entries::check,
        };
        let document = download::document(&self.settings, &self.store, &wanted)?;
        let download::Document { body, url, age, notes } = document;
        Ok(Database { document: body, url, age, is_offline: self.settings.offline, notes })
    }
}
