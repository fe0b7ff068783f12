//! The last status of each source, for the error of a failed download.

use std::fmt;

use crate::error::{Error, printable};
use crate::mutex::Mutex;
use crate::net::SourceError;

/// Number of sources listed in an error; a tracker may return hundreds of peers.
const SHOWN: usize = 30;

/// The status of a source, or why it failed.
pub type Remark = Result<String, SourceError>;

/// The last status of each source, in the order in which the sources were first noted.
#[derive(Debug, Default)]
pub struct Report {
    lines: Mutex<Vec<(String, Remark)>>,
}

impl Report {
    /// Records the status of a source and replaces its previous one. `source` is a URL, an address
    /// or a directory.
    pub fn note(&self, source: &str, said: Remark) {
        let mut lines = self.lines.lock();
        match lines.iter_mut().find(|(known, _)| known == source) {
            Some((_, line)) => *line = said,
            None => lines.push((source.to_owned(), said)),
        }
    }

    /// Records the status of a source that has none yet.
    pub fn note_first(&self, source: &str, said: Remark) {
        let mut lines = self.lines.lock();
        if lines.iter().all(|(known, _)| known != source) {
            lines.push((source.to_owned(), said));
        }
    }

    /// Whether the last status says that the source must not be contacted.
    pub fn has_refused(&self, source: &str) -> bool {
        let lines = self.lines.lock();
        let said = lines.iter().find(|(known, _)| known == source).map(|(_, said)| said);
        said.is_some_and(|said| said.as_ref().is_err_and(SourceError::is_refused))
    }

    /// Adds all sources and their status to an error.
    pub fn explain(&self, mut error: Error) -> Error {
        let lines = self.lines.lock();
        for (source, said) in lines.iter().take(SHOWN) {
            let said: &dyn fmt::Display = match said {
                Ok(said) => said,
                Err(why) => why,
            };
            error = error.why(format!("{}: {said}", printable(source)));
        }
        if lines.len() > SHOWN {
            error = error.why(format!("and {} more sources", lines.len() - SHOWN));
        }
        advise(error, lines.iter().filter_map(|(_, said)| said.as_ref().err()))
    }

    /// Moves the contents out. Others may still hold this report and continue to write to it,
    /// unread.
    pub fn take(&self) -> Report {
        let mut lines = self.lines.lock();
        Report { lines: Mutex::new(std::mem::take(&mut *lines)) }
    }

    /// The last status of each source.
    #[cfg(feature = "seed")]
    pub fn into_lines(self) -> Vec<(String, Remark)> {
        self.lines.into_inner()
    }

    pub fn is_empty(&self) -> bool {
        self.lines.lock().is_empty()
    }
}

/// Adds advice for bot checks, missing logins, unknown certificate authorities and proxy failures.
pub fn advise<'s>(mut error: Error, failures: impl Iterator<Item = &'s SourceError>) -> Error {
    let (mut unknown_authority, mut wants_login, mut of_proxy) = (false, false, None);
    let mut bot_check = false;
    for failure in failures {
        bot_check |= failure.is_bot_check();
        wants_login |= failure.wants_login();
        unknown_authority |= failure.is_unknown_authority();
        of_proxy = of_proxy.or_else(|| failure.proxy_advice());
    }
    if unknown_authority {
        error = error.help(
            "if your network inspects TLS, set ACADEMICTORRENTS_CA_FILE to a PEM file with the inspector's root certificate",
        );
    }
    if bot_check {
        error = error.help(
            "programs cannot pass a bot check: download the URL with a browser. Put a .torrent into the crate\n\
             (`torrent = \"<file>\"`), or a file of the dataset into a directory that `mirrors` names; or try again\n\
             later, or from another network",
        );
    }
    if wants_login {
        error = error.help(
            "to log in, add the server's host to ~/.netrc or to `credentials` in the configuration file, or correct its entry;\n\
             credentials are sent over https, and over http only to servers that you name",
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
        report.note("http://a.example/\x1b[2J\nb", Err(SourceError::ConnectionRefused));
        let error = report.explain(Error::new(ErrorKind::Network, "failed")).to_string();
        assert!(error.ends_with("http://a.example/\\u{1b}[2J\\nb: connection refused"), "{error}");
    }
}
