//! The one error type: what failed, on which dataset, why, and what to do next.
//!
//! Layer 0. Does no I/O, and uses no other module but `url`, which masks secrets in messages. Links to
//! items of the library are relative to its pages, where rustdoc copies these.

#![warn(missing_docs)]

use std::fmt;

use crate::url::masked;

/// What a failure is about, and thus who can fix it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The manifest, an environment variable or an argument is invalid.
    Manifest,
    /// The `.torrent` is missing, damaged, unsafe, or not the declared one.
    Metainfo,
    /// The dataset is larger than the limit in force.
    TooLarge,
    /// The data is not on this machine, and the network or this package's downloads are disabled.
    Offline,
    /// No source (mirror, catalog, web seed, tracker or peer) could provide the data.
    Network,
    /// The data does not match its hashes.
    Verification,
    /// An archive of the dataset cannot be unpacked, because it is damaged, unsafe or not supported.
    Archive,
    /// The disk is full, access was denied, or another I/O error occurred.
    Disk,
    /// Another process has locked the dataset and makes no progress.
    Locked,
    /// A [`StopHandle`](struct.StopHandle.html) stopped the operation. Verified data is kept, and the
    /// next run resumes.
    Stopped,
    /// The function passed to [`Get::on_progress`](struct.Get.html#method.on_progress) panicked, which
    /// the caller must fix. Verified data is kept.
    Callback,
}

/// Why a dataset could not be provided.
///
/// `Display` and `Debug` print the same text, one finding per line: first what failed and for which dataset, then why,
/// then lines that start with `help:` and say what to do next. A build script prints each line as a `cargo::error=`
/// directive.
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    is_read_only: bool,
    dataset: Option<String>,
    what: String,
    why: Vec<String>,
    help: Vec<String>,
    others: Vec<Error>,
}

impl Error {
    #[doc(hidden)]
    pub fn new(kind: ErrorKind, what: impl Into<String>) -> Error {
        Error(Box::new(Inner {
            kind,
            is_read_only: false,
            dataset: None,
            what: what.into(),
            why: Vec::new(),
            help: Vec::new(),
            others: Vec::new(),
        }))
    }

    /// A disk error on `path` while doing `what` ("write", "rename", …).
    #[doc(hidden)]
    pub fn disk(what: &str, path: &std::path::Path, why: &std::io::Error) -> Error {
        let mut error = Error::new(ErrorKind::Disk, format!("could not {what} {}", path.display()))
            .why(why.to_string());
        error.0.is_read_only = is_read_only(why);
        match why.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => error
                .help("free some space, or set ACADEMICTORRENTS_STORE to a directory on another disk; verified data is kept, and the next build resumes"),
            std::io::ErrorKind::FileTooLarge => {
                error.help("raise the file size limit of this process (`ulimit -f`)")
            }
            _ if is_out_of_descriptors(why) => error.help(OUT_OF_DESCRIPTORS),
            _ => error,
        }
    }

    /// The caller stopped the download.
    #[doc(hidden)]
    pub fn stopped() -> Error {
        Error::new(ErrorKind::Stopped, "the download was stopped")
            .why("verified data is kept, and the next run resumes")
    }

    /// Adds a reason, printed below the first line. An empty reason adds nothing.
    #[doc(hidden)]
    pub fn why(mut self, why: impl Into<String>) -> Error {
        let why = why.into();
        if !why.is_empty() {
            self.0.why.push(why);
        }
        self
    }

    /// Adds a reason unless the error has it already.
    #[doc(hidden)]
    pub fn why_once(self, why: String) -> Error {
        if self.0.why.contains(&why) { self } else { self.why(why) }
    }

    /// Adds advice on how to fix the failure, printed last, after `help: `. Duplicates are ignored.
    #[doc(hidden)]
    pub fn help(mut self, help: impl Into<String>) -> Error {
        let help = help.into();
        if !self.0.help.contains(&help) {
            self.0.help.push(help);
        }
        self
    }

    /// Adds `did you mean …?`, if the intended word is known.
    #[doc(hidden)]
    pub fn did_you_mean(self, meant: Option<impl fmt::Display>) -> Error {
        match meant {
            Some(meant) => self.help(format!("did you mean {:?}?", meant.to_string())),
            None => self,
        }
    }

    /// Replaces the first line, and keeps kind, reasons and help.
    #[doc(hidden)]
    pub fn instead(mut self, what: impl Into<String>) -> Error {
        self.0.what = what.into();
        self
    }

    /// Sets the dataset, unless the error names one already.
    #[doc(hidden)]
    pub fn for_dataset(mut self, name: &str) -> Error {
        self.0.dataset.get_or_insert_with(|| name.to_owned());
        self
    }

    /// Joins the failures of several datasets into one. `None` if there are none.
    #[doc(hidden)]
    pub fn join(errors: Vec<Error>) -> Option<Error> {
        let mut errors = errors.into_iter();
        let mut first = errors.next()?;
        first.0.others.extend(errors);
        Some(first)
    }

    /// The failure in one line: the first reason, or else what failed.
    #[doc(hidden)]
    #[must_use]
    pub fn reason(&self) -> String {
        printable(self.0.why.first().unwrap_or(&self.0.what))
    }

    /// Returns the failure without help, for callers that give advice themselves.
    #[doc(hidden)]
    #[must_use]
    pub fn without_help(mut self) -> Error {
        self.0.help.clear();
        self
    }

    /// What failed and at most `reasons` lines of reasons, one per line, without help and the
    /// dataset's name.
    #[doc(hidden)]
    pub fn summary(&self, reasons: usize) -> String {
        let reasons = self.0.why.iter().flat_map(|why| why.lines()).take(reasons);
        let lines = std::iter::once(self.what()).chain(reasons);
        lines.map(|line| escaped(line.trim(), "")).collect::<Vec<_>>().join("\n")
    }

    /// Returns this failure without [`Error::others`]: what failed (with the dataset's name), why,
    /// and help. Each is one printable line.
    #[doc(hidden)]
    #[must_use]
    pub fn lines(&self) -> (String, Vec<String>, Vec<String>) {
        let of = self.0.dataset.as_ref().map(|name| format!("dataset `{}`: ", printable(name)));
        let what = of.unwrap_or_default() + &escaped(&self.0.what, " ");
        let why = self.0.why.iter().flat_map(|why| why.lines());
        let help = self.0.help.iter().map(|help| escaped(help, " "));
        (what, why.map(|line| printable(line.trim())).collect(), help.collect())
    }

    /// What failed, without the dataset's name.
    #[doc(hidden)]
    pub fn what(&self) -> &str {
        &self.0.what
    }

    /// What the (first) failure is about.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether it is a disk error because this process may only read there.
    #[doc(hidden)]
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.0.is_read_only
    }

    /// The dataset of the (first) failure, by its key in the manifest.
    #[must_use]
    pub fn dataset(&self) -> Option<&str> {
        self.0.dataset.as_deref()
    }

    /// The failures of other datasets of the same build.
    #[must_use]
    pub fn others(&self) -> &[Error] {
        &self.0.others
    }
}

/// Advice for a process that cannot open more files and sockets.
pub const OUT_OF_DESCRIPTORS: &str = "this process has too many files and sockets open: raise its limit (`ulimit -n`), or close what else it has open";

/// Whether something cannot be written because permissions or the file system only allow reading,
/// rather than because of a fault.
pub fn is_read_only(why: &std::io::Error) -> bool {
    use std::io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
    matches!(why.kind(), PermissionDenied | ReadOnlyFilesystem)
}

/// Whether the process (EMFILE) or the system (ENFILE) has too many open files and sockets.
pub fn is_out_of_descriptors(why: &std::io::Error) -> bool {
    match why.raw_os_error() {
        Some(code) if cfg!(windows) => code == 4,
        Some(code) => cfg!(unix) && matches!(code, 23 | 24),
        None => false,
    }
}

/// Escapes characters that move the cursor, end a line or change the text direction, and masks
/// secrets in URLs. For text from strangers (such as names in a torrent) that a message quotes in
/// one line.
pub fn printable(text: &str) -> String {
    escaped(text, "")
}

/// Escapes control characters, replaces line breaks by `line_break` (escapes them if that is
/// empty), and masks secrets in URLs. Messages may quote a stranger's text.
fn escaped(text: &str, line_break: &str) -> String {
    let text = masked(text);
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' if !line_break.is_empty() => shown.push_str(line_break),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => shown.extend(c.escape_unicode()),
            c if c.is_control() => shown.extend(c.escape_default()),
            c => shown.push(c),
        }
    }
    shown
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        if let Some(name) = &inner.dataset {
            write!(f, "dataset `{}`: ", printable(name))?;
        }
        f.write_str(&escaped(&inner.what, "\n"))?;
        for why in &inner.why {
            write!(f, "\n  {}", escaped(why, "\n  "))?;
        }
        for help in &inner.help {
            write!(f, "\n  help: {}", escaped(help, "\n        "))?;
        }
        for other in &inner.others {
            write!(f, "\n{other}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_has_its_mend_whatever_could_not_be_written() {
        let path = std::path::Path::new("/s/record");
        let error = |kind: std::io::ErrorKind| Error::disk("write", path, &kind.into()).to_string();
        assert!(error(std::io::ErrorKind::StorageFull).contains("help: free some space"));
        assert!(error(std::io::ErrorKind::QuotaExceeded).contains("ACADEMICTORRENTS_STORE"));
        assert!(!error(std::io::ErrorKind::PermissionDenied).contains("help"));
        assert!(error(std::io::ErrorKind::FileTooLarge).contains("ulimit -f"));
        let of_code =
            |code| Error::disk("open", path, &std::io::Error::from_raw_os_error(code)).to_string();
        let codes: &[i32] = if cfg!(windows) { &[4] } else { &[23, 24] };
        codes.iter().for_each(|code| assert!(of_code(*code).contains("ulimit -n"), "{code}"));
        assert!(!of_code(5).contains("ulimit"));
    }

    #[test]
    #[cfg(unix)]
    fn only_permissions_and_the_file_system_make_a_place_read_only() {
        use std::io::Error as IoError;
        let path = std::path::Path::new("/s/lock");
        // EPERM, EACCES, EROFS; EIO, EMFILE, ENOSPC.
        for (code, expected) in
            [(1, true), (13, true), (30, true), (5, false), (24, false), (28, false)]
        {
            let error = Error::disk("lock", path, &IoError::from_raw_os_error(code));
            assert_eq!(error.is_read_only(), expected, "{error}");
        }
        assert!(!Error::disk("lock", path, &IoError::other("a directory")).is_read_only());
        assert!(!Error::new(ErrorKind::Disk, "full").is_read_only());
    }

    #[test]
    fn first_what_then_why_then_help() {
        let error = Error::new(ErrorKind::Network, "no source had the data")
            .why("http://a/x: 404 Not Found")
            .help("add a mirror")
            .for_dataset("mnist");
        let other = Error::new(ErrorKind::Disk, "could not write").for_dataset("cifar");
        let error = Error::join(vec![error, other]).unwrap();
        assert_eq!(
            error.to_string(),
            "dataset `mnist`: no source had the data\n  http://a/x: 404 Not Found\n  \
             help: add a mirror\ndataset `cifar`: could not write"
        );
        assert_eq!(format!("{error:?}"), error.to_string());
        assert_eq!((error.kind(), error.dataset()), (ErrorKind::Network, Some("mnist")));
    }
}
