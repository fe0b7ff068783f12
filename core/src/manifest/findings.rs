//! Collects the problems in a manifest with their positions, and reports them in the order of the
//! file.

use std::path::Path;

use crate::error::{Error, ErrorKind};
use crate::origin::Origin;

/// Why a value is rejected, and how to fix it.
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

    /// Adds help if there is none yet.
    pub(super) fn or_help(mut self, help: Option<String>) -> Refusal {
        self.help = self.help.or(help);
        self
    }

    /// Converts to an error, once it is known what the value is for.
    pub(super) fn error(self, what: String) -> Error {
        let error = Error::new(ErrorKind::Manifest, what).why(self.why);
        match self.help {
            Some(help) => error.help(help),
            None => error,
        }
    }
}

/// The problems found so far in one manifest.
pub(super) struct Findings<'a> {
    pub text: &'a str,
    pub path: &'a Path,
    /// Sorted by position.
    found: Vec<(usize, Error)>,
}

impl<'a> Findings<'a> {
    pub(super) fn new(text: &'a str, path: &'a Path) -> Findings<'a> {
        Findings { text, path, found: Vec::new() }
    }

    /// The line number, from 1, of a byte offset in the manifest.
    pub(super) fn line(&self, offset: usize) -> usize {
        let before = self.text.as_bytes().get(..offset).unwrap_or(self.text.as_bytes());
        1 + before.iter().filter(|byte| **byte == b'\n').count()
    }

    /// The origin of a request that is declared at `offset`.
    pub(super) fn origin(&self, offset: usize) -> Origin {
        Origin::Manifest {
            path: self.path.to_owned(),
            line: self.line(offset),
            is_dependency: false,
        }
    }

    /// Adds a problem with the item that begins at `offset`.
    pub(super) fn add(&mut self, offset: usize, what: &str, refusal: Refusal) {
        let at = self.found.partition_point(|(before, _)| *before <= offset);
        self.found.insert(at, (offset, self.one(offset, what, refusal)));
    }

    /// Adds an error from elsewhere that has no position in this manifest.
    pub(super) fn add_error(&mut self, error: Error) {
        self.found.push((usize::MAX, error));
    }

    /// A single problem as an error, if parsing cannot continue.
    pub(super) fn one(&self, offset: usize, what: &str, refusal: Refusal) -> Error {
        refusal.error(format!("{}:{}: {what}", self.path.display(), self.line(offset)))
    }

    /// Joins all problems into one error, in the order of the file. Those of the workspace's
    /// manifest come last.
    pub(super) fn into_result(self, workspace: Option<Findings<'_>>) -> Result<(), Error> {
        let all = self.found.into_iter().chain(workspace.into_iter().flat_map(|it| it.found));
        match Error::join(all.map(|(_, error)| error).collect()) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}
