//! What was found wrong in a manifest: collected with places, reported in the order of the file.

use std::path::Path;

use crate::error::{Error, ErrorKind};
use crate::origin::Origin;

/// Why a value cannot be used, and the mend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    why: String,
    help: Option<String>,
}

impl Refusal {
    pub(super) fn new(why: impl Into<String>) -> Refusal {
        Refusal { why: why.into(), help: None }
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Refusal {
        self.help = Some(help.into());
        self
    }

    /// Adds a mend where there is none yet.
    pub(super) fn or_help(mut self, help: Option<String>) -> Refusal {
        self.help = self.help.or(help);
        self
    }

    /// The whole error, once it is known what the value was for.
    pub(super) fn error(self, what: String) -> Error {
        let error = Error::new(ErrorKind::Manifest, what).why(self.why);
        match self.help {
            Some(help) => error.help(help),
            None => error,
        }
    }
}

/// The findings so far, for one manifest.
pub(super) struct Findings<'a> {
    text: &'a str,
    pub path: &'a Path,
    /// By where they are.
    found: Vec<(usize, Error)>,
}

impl<'a> Findings<'a> {
    pub(super) fn new(text: &'a str, path: &'a Path) -> Findings<'a> {
        Findings { text, path, found: Vec::new() }
    }

    /// The line, from 1, of a byte of the manifest.
    pub(super) fn line(&self, offset: usize) -> usize {
        let before = self.text.as_bytes().get(..offset).unwrap_or(self.text.as_bytes());
        1 + before.iter().filter(|byte| **byte == b'\n').count()
    }

    /// Of a request that is declared at `offset`.
    pub(super) fn origin(&self, offset: usize) -> Origin {
        Origin::Manifest {
            path: self.path.to_owned(),
            line: self.line(offset),
            is_dependency: false,
        }
    }

    /// Adds a finding about what begins at `offset`.
    pub(super) fn add(&mut self, offset: usize, what: &str, refusal: Refusal) {
        let at = self.found.partition_point(|(before, _)| *before <= offset);
        self.found.insert(at, (offset, self.one(offset, what, refusal)));
    }

    /// Adds what was found elsewhere, and concerns the whole.
    pub(super) fn add_error(&mut self, error: Error) {
        self.found.push((usize::MAX, error));
    }

    /// A finding by itself, for where nothing else can be found.
    pub(super) fn one(&self, offset: usize, what: &str, refusal: Refusal) -> Error {
        refusal.error(format!("{}:{}: {what}", self.path.display(), self.line(offset)))
    }

    /// All findings as one error, first the one that is first in the file; those of the workspace's manifest follow.
    pub(super) fn into_result(self, workspace: Option<Findings<'_>>) -> Result<(), Error> {
        let all = self.found.into_iter().chain(workspace.into_iter().flat_map(|it| it.found));
        match Error::join(all.map(|(_, error)| error).collect()) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}
