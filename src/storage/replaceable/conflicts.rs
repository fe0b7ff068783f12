//! Existing entries that conflict with a dataset's files in a user's directory, and how they are
//! reported.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind, printable};

/// Maximum number of paths in a message.
const MAX_SHOWN: usize = 10;

/// Why an existing entry keeps a file from being written.
#[derive(Debug)]
pub(in crate::storage) enum Conflict {
    Foreign,
    Link,
    Unreadable(String),
    Directory,
    Special,
    NoDirectory,
    LinkedDirectory,
    Changed,
}

impl Conflict {
    fn why(&self) -> String {
        match self {
            Conflict::Foreign => "has different content".into(),
            Conflict::Link => "is a symbolic link".into(),
            Conflict::Unreadable(why) => format!("cannot be read: {why}"),
            Conflict::Directory => "is a directory, and the dataset has a file there".into(),
            Conflict::Special => "is not a regular file".into(),
            Conflict::NoDirectory => "is a file, and the dataset has a directory there".into(),
            Conflict::LinkedDirectory => {
                "is a symbolic link, and the dataset has a directory there".into()
            }
            Conflict::Changed => "was created or changed during the download".into(),
        }
    }

    pub(in crate::storage) fn can_be_forced(&self) -> bool {
        matches!(
            self,
            Conflict::Foreign | Conflict::Link | Conflict::Unreadable(_) | Conflict::Changed
        )
    }
}

/// All conflicts, for one message.
#[derive(Default)]
pub(in crate::storage) struct Conflicts {
    shown: BTreeMap<PathBuf, Conflict>,
    others: BTreeSet<PathBuf>,
    any_forceable: bool,
    any_other: bool,
}

impl Conflicts {
    pub(in crate::storage) fn add(&mut self, path: PathBuf, why: Conflict) {
        self.any_forceable |= why.can_be_forced();
        self.any_other |= !why.can_be_forced();
        if self.shown.len() < MAX_SHOWN || self.shown.contains_key(&path) {
            self.shown.insert(path, why);
        } else {
            self.others.insert(path);
        }
    }

    pub(in crate::storage) fn result(self, directory: &Path) -> Result<(), Error> {
        if self.shown.is_empty() {
            return Ok(());
        }
        let what = format!("existing files in {} conflict with the dataset", directory.display());
        let mut error = Error::new(ErrorKind::Disk, what);
        for (path, why) in &self.shown {
            error = error.why(format!("{} {}", printable(&path.display().to_string()), why.why()));
        }
        if !self.others.is_empty() {
            error = error.why(format!("… and {} more", self.others.len()));
        }
        error = error.help("move or rename them, or choose another directory");
        Err(match (self.any_forceable, self.any_other) {
            (false, _) => error,
            (true, false) => error.help("to replace them, use `get --force` (`Get::overwrite(true)`)"),
            (true, true) => error.help("`get --force` (`Get::overwrite(true)`) replaces files and links to files, nothing else"),
        })
    }
}
