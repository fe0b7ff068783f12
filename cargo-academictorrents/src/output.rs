//! Output: results on stdout, messages on stderr, in color on terminals.
//!
//! Lines are written by `writeln!`, because `eprintln!` panics if stderr is closed.

use std::io::{ErrorKind as IoErrorKind, Write as _};
use std::path::Path;
use std::sync::OnceLock;

use academictorrents::{Error, ErrorKind};
use console::{Style, StyledObject};
use serde_json::{Value, json};

use crate::failure::CommandError;

/// How much is said, and in which form.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct OutputFlags {
    /// Print a JSON document. Its fields are documented and stable
    #[arg(long, global = true)]
    json: bool,
    /// Print only results and errors
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// Print more: all files, each source with its rate
    #[arg(long, short, global = true, conflicts_with = "quiet")]
    verbose: bool,
    /// Use colors
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    color: Color,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Color {
    Auto,
    Always,
    Never,
}

/// Prints results and messages.
#[derive(Debug)]
pub(crate) struct Output {
    /// Whether results are printed as one JSON document.
    pub(crate) json: bool,
    pub(crate) quiet: bool,
    pub(crate) verbose: bool,
    /// The first error of writing the result.
    lost: OnceLock<String>,
}

impl Output {
    pub(crate) fn new(options: &OutputFlags) -> Output {
        if options.color != Color::Auto {
            console::set_colors_enabled(options.color == Color::Always);
            console::set_colors_enabled_stderr(options.color == Color::Always);
        }
        Output {
            json: options.json,
            quiet: options.quiet,
            verbose: options.verbose,
            lost: OnceLock::new(),
        }
    }

    /// Prints a line of the result. A closed pipe is not a failure: its reader has read what it
    /// wanted.
    pub(crate) fn result(&self, line: impl std::fmt::Display) {
        self.note(writeln!(std::io::stdout(), "{line}"));
    }

    /// Prints a line of the result that ends with a path. On Unix, a path is any bytes, and a script
    /// must get the same.
    pub(crate) fn path(&self, begin: impl std::fmt::Display, path: &Path) {
        let mut line = begin.to_string().into_bytes();
        match cfg!(unix) {
            true => line.extend_from_slice(path.as_os_str().as_encoded_bytes()),
            false => line.extend_from_slice(path.display().to_string().as_bytes()),
        }
        line.push(b'\n');
        self.note(std::io::stdout().write_all(&line));
    }

    fn note(&self, written: std::io::Result<()>) {
        match written {
            Err(why) if why.kind() != IoErrorKind::BrokenPipe => {
                let _ = self.lost.set(why.to_string()); // the first error is the one reported
            }
            _ => {}
        }
    }

    /// Returns a failure if the result could not be written.
    pub(crate) fn lost(&self) -> Option<Failure> {
        Some(CommandError::ResultLost(self.lost.get()?.clone()).into())
    }

    /// Prints the result as a JSON document, for `--json`.
    pub(crate) fn document(&self, value: &Value) {
        self.result(format_args!("{value:#}"));
    }

    /// As [`Output::document`], but writes the array with this key, which is empty in `value`,
    /// element by element: it may have a million elements.
    pub(crate) fn document_with(
        &self,
        value: &Value,
        key: &str,
        values: impl Iterator<Item = Value>,
    ) {
        let text = format!("{value:#}");
        // Strings in the document contain no raw line breaks, so this can only match the key.
        let place = format!("\n  \"{key}\": [");
        let Some((before, after)) = text.split_once(&place) else { return self.document(value) };
        let mut out = std::io::BufWriter::new(std::io::stdout().lock());
        let write = || {
            write!(out, "{before}{place}")?;
            let mut comma = "\n";
            for value in values {
                let value = format!("{value:#}").replace('\n', "\n    ");
                write!(out, "{comma}    {value}")?;
                comma = ",\n";
            }
            let end = if comma == "\n" { "" } else { "\n  " };
            writeln!(out, "{end}{after}").and_then(|()| out.flush())
        };
        self.note(write());
    }

    /// Prints a message, unless `--quiet` is given.
    pub(crate) fn say(&self, line: impl std::fmt::Display) {
        if !self.quiet {
            let _ = writeln!(std::io::stderr(), "{line}");
        }
    }

    /// Prints one failure of several to stderr, with a custom text; the command continues.
    pub(crate) fn error(&self, text: &str) {
        error_line(text);
    }

    /// Prints a warning, unless `--quiet` is given.
    pub(crate) fn warn(&self, line: impl std::fmt::Display) {
        if !self.quiet {
            let _ = writeln!(std::io::stderr(), "{} {line}", stderr("warning:").yellow().bold());
        }
    }
}

/// Prepares text for stdout to be styled: `stdout("complete").green()`.
pub(crate) fn stdout<T>(text: T) -> StyledObject<T> {
    Style::new().apply_to(text)
}

/// Prepares text for stderr to be styled.
pub(crate) fn stderr<T>(text: T) -> StyledObject<T> {
    Style::new().for_stderr().apply_to(text)
}

/// The result of a command.
pub(crate) type Result<T = (), E = Failure> = std::result::Result<T, E>;

/// Why the exit status is not 0.
#[derive(Debug)]
pub(crate) enum Failure {
    Error(Error),
    Command(CommandError),
    /// The result already shows what is wrong (for example, `verify` found damage).
    Told,
    /// The user stopped the command.
    Stopped,
}

impl From<CommandError> for Failure {
    fn from(error: CommandError) -> Failure {
        Failure::Command(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Error(error)
    }
}

/// Prints one failure of several to stderr; the command continues.
pub(crate) fn tell_error(error: &Error) {
    error_line(&error.to_string());
}

fn error_line(text: &str) {
    let _ = writeln!(std::io::stderr(), "{} {text}", stderr("error:").red().bold());
}

impl Failure {
    /// Returns the exit status.
    pub(crate) fn status(&self) -> u8 {
        match self {
            Failure::Stopped => crate::interrupt::STATUS,
            _ => 1,
        }
    }

    /// Prints the failure to stderr; with `--json`, also as a document to stdout.
    pub(crate) fn tell(&self, output: &Output) {
        let (document, text) = match self {
            Failure::Error(error) => (document(error), error.to_string()),
            Failure::Command(error) => {
                let text = error.error().to_string();
                (json!({ "kind": "arguments", "dataset": null, "message": text }), text)
            }
            Failure::Told => return,
            Failure::Stopped => return crate::interrupt::tell(),
        };
        if output.json {
            output.document(&json!({ "error": document }));
        }
        error_line(&text);
    }
}

/// Returns an error's kind, dataset and text as JSON.
pub(crate) fn document(error: &Error) -> Value {
    json!({
        "kind": kind(error.kind()),
        "dataset": error.dataset(),
        "message": error.to_string(),
    })
}

fn kind(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Manifest => "manifest",
        ErrorKind::Metainfo => "metainfo",
        ErrorKind::TooLarge => "too-large",
        ErrorKind::Offline => "offline",
        ErrorKind::Network => "network",
        ErrorKind::Verification => "verification",
        ErrorKind::Archive => "archive",
        ErrorKind::Disk => "disk",
        ErrorKind::Locked => "locked",
        _ => "other",
    }
}
