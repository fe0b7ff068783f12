//! What each source said, for the error of a download that failed.

use std::sync::{Mutex, PoisonError};

use crate::error::{Error, printable};
use crate::net::{UNKNOWN_AUTHORITY, advice};

/// Lines shown of sources that failed; a tracker may name hundreds of peers.
const SHOWN: usize = 30;

/// The last word of each source, in the order in which they were first heard of.
#[derive(Debug, Default)]
pub struct Report {
    lines: Mutex<Vec<(String, String)>>,
}

impl Report {
    /// Notes what a source said last. `source` is a URL, an address or a directory.
    pub fn note(&self, source: &str, said: impl Into<String>) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        match lines.iter_mut().find(|(known, _)| known == source) {
            Some((_, line)) => *line = said.into(),
            None => lines.push((source.to_owned(), said.into())),
        }
    }

    /// Notes this of a source that nothing was noted of.
    pub fn note_first(&self, source: &str, said: &str) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.iter().all(|(known, _)| known != source) {
            lines.push((source.to_owned(), said.to_owned()));
        }
    }

    /// Adds all lines to an error.
    pub fn explain(&self, mut error: Error) -> Error {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        for (source, said) in lines.iter().take(SHOWN) {
            error = error.why(format!("{}: {said}", printable(source)));
        }
        if lines.len() > SHOWN {
            error = error.why(format!("and {} more sources", lines.len() - SHOWN));
        }
        advise(error, lines.iter().map(|(_, said)| said))
    }

    /// All that was noted, moved out: others may hold the report itself, and go on noting for nobody.
    pub fn take(&self) -> Report {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        Report { lines: Mutex::new(std::mem::take(&mut *lines)) }
    }

    /// What each source said last.
    #[cfg(feature = "seed")]
    pub fn into_lines(self) -> Vec<(String, String)> {
        self.lines.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn is_empty(&self) -> bool {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }
}

/// Adds the mends of what servers' certificates lack, and of a SOCKS proxy that does not help.
pub fn advise<'s>(mut error: Error, said: impl Iterator<Item = &'s String>) -> Error {
    let (mut unknown_authority, mut of_proxy) = (false, None);
    for said in said {
        unknown_authority |= said.contains(UNKNOWN_AUTHORITY);
        of_proxy = of_proxy.or_else(|| advice(said));
    }
    if unknown_authority {
        error = error.help(
            "where TLS is inspected, set ACADEMICTORRENTS_CA_FILE to a PEM file with the inspector's root certificate",
        );
    }
    match of_proxy {
        Some(advice) => error.help(advice),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn a_source_whose_name_would_move_the_cursor_has_one_line_as_others() {
        let report = Report::default();
        report.note("http://a.example/\x1b[2J\nb", "connection refused");
        let error = report.explain(Error::new(ErrorKind::Network, "failed")).to_string();
        assert!(error.ends_with("http://a.example/\\u{1b}[2J\\nb: connection refused"), "{error}");
    }
}
