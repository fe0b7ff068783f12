//! The terminal: when drawing is allowed, and writing.
//!
//! The environment must allow drawing ([`environment_allows`]). A build script draws on Linux
//! alone, and only if all of this holds:
//! - Our process group is the terminal's foreground group. Under `stty tostop`, a background
//!   process that writes is stopped (SIGTTOU), and the build hangs. The user may put the job into
//!   the background at any time, so this is checked before each write.
//! - The stderr of our parent (for a build script: Cargo) is the same terminal. Otherwise the bars
//!   would appear in an editor's terminal while Cargo's output is elsewhere. For a command that the
//!   user called, its own stderr counts.
//! - No other process draws on that terminal. The process that draws holds `progress-<device
//!   number>.lock`; the next to acquire it takes over. A process that only waits for others starts
//!   later than they do.
//!
//! This information is read from `/proc`, which needs neither foreign calls nor unsafe code. On
//! other platforms a build script cannot find out where Cargo's stderr leads, although it could
//! open the terminal: an editor that runs Cargo often has one. There, only commands that the user
//! called draw, if their stderr is a terminal; on Windows, it must accept escape sequences.
//!
//! A write that fails ends the drawing silently.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::bars::Size;
use crate::settings::Context;

/// How long to wait before checking again whether we may draw.
const AGAIN: Duration = Duration::from_secs(1);

/// Whether the environment variables, and cargo's command line and configuration allow drawing.
pub(super) fn environment_allows(context: &Context) -> bool {
    let is = |name: &str, value: &str| context.var(name) == Some(OsStr::new(value));
    // Windows does not set TERM.
    (cfg!(windows) || context.var("TERM").is_some())
        && !is("TERM", "dumb")
        && context.var("CI").is_none()
        && !context.flag("CARGO_TERM_QUIET")
        && !context.cargo_call().is_quiet()
        && context.of_cargo("CARGO_TERM_PROGRESS_WHEN").is_none_or(|when| when != "never")
}

/// Our process group and terminal, from `/proc/self/stat`.
#[cfg(any(target_os = "linux", test))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TerminalJob {
    pub(super) parent: u32,
    pub(super) group: i64,
    /// The controlling terminal's device number; 0 without one.
    pub(super) terminal: u32,
    pub(super) foreground_group: i64,
}

#[cfg(any(target_os = "linux", test))]
impl TerminalJob {
    /// Parses `/proc/self/stat` (proc_pid_stat(5)).
    pub(super) fn parse(stat: &str) -> Option<TerminalJob> {
        // The second field is the program's name in parentheses, which may contain `) ` itself.
        let (_, fields) = stat.rsplit_once(')')?;
        let mut fields = fields.split_ascii_whitespace().skip(1);
        let parent = fields.next()?.parse().ok()?;
        let group = fields.next()?.parse().ok()?;
        let _session = fields.next()?;
        // A bit field, printed as a signed number.
        let terminal: i32 = fields.next()?.parse().ok()?;
        let foreground_group = fields.next()?.parse().ok()?;
        Some(TerminalJob { parent, group, terminal: terminal as u32, foreground_group })
    }

    /// Whether we may write to the terminal without being stopped.
    pub(super) fn in_foreground(self) -> bool {
        self.terminal != 0 && self.group > 0 && self.group == self.foreground_group
    }

    /// Whether a file with the device number `rdev` is our controlling terminal, under its own name
    /// or as `/dev/tty` (5, 0).
    pub(super) fn is_terminal(self, rdev: u64) -> bool {
        const DEV_TTY: u64 = 5 << 8;
        // A file's device number has more bits for the major number than that in `stat`, but those
        // of terminals are small.
        self.terminal != 0 && (rdev == u64::from(self.terminal) || rdev == DEV_TTY)
    }
}

/// The process whose stderr must be the terminal that is drawn on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Watched {
    /// Our parent, Cargo, by its process id once known: a build script's own stderr is hidden.
    Parent(Option<u32>),
    /// Our own process, which the user called.
    #[cfg_attr(
        all(target_os = "linux", not(feature = "engine")),
        expect(dead_code, reason = "build scripts are not run by users")
    )]
    Own,
}

/// The terminal, while we draw on it.
#[derive(Debug)]
pub(super) struct Terminal {
    lock_dir: PathBuf,
    /// The process whose stderr shows which terminal the user watches.
    watched: Watched,
    tty: Option<tty::Tty>,
    next_try: Duration,
    failed: bool,
}

impl Terminal {
    pub(super) fn new(lock_dir: &Path, watched: Watched) -> Terminal {
        Terminal {
            lock_dir: lock_dir.to_owned(),
            watched,
            tty: None,
            next_try: Duration::ZERO,
            failed: false,
        }
    }

    /// Returns the terminal's size if we may draw on it.
    pub(super) fn open(&mut self, now: Duration) -> Option<Size> {
        if self.tty.is_none() && !self.failed && now >= self.next_try {
            self.next_try = now + AGAIN;
            let allowed = tty::allowed(&mut self.watched);
            self.tty = allowed.and_then(|place| tty::Tty::open(place, &self.lock_dir));
        }
        self.tty.as_ref()?.size()
    }

    /// Writes the text at once if that is still allowed. Returns whether it was written.
    pub(super) fn write(&mut self, text: &str) -> bool {
        // A build that loses the foreground gives up the lock too.
        if tty::allowed(&mut self.watched).is_none() {
            self.tty = None;
        }
        let Some(tty) = &mut self.tty else { return false };
        let written = tty.write(text).is_ok();
        if !written {
            self.failed = true;
            self.tty = None;
        }
        written
    }

    /// Writes the text at once if we may draw, even while another process draws.
    pub(super) fn write_beside(&mut self, text: &str) {
        if self.tty.is_some() {
            self.write(text);
        } else if let (Some(place), false) = (tty::allowed(&mut self.watched), self.failed) {
            tty::write_beside(place, text);
        }
    }

    /// Lets another process draw.
    pub(super) fn release(&mut self) {
        self.tty = None;
    }
}

#[cfg(target_os = "linux")]
mod tty {
    use std::fs::{File, OpenOptions};
    use std::io::{self, Write as _};
    use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
    use std::path::Path;

    use super::{Size, TerminalJob, Watched};

    /// `/dev/tty`, and the lock of the process that draws.
    #[derive(Debug)]
    pub(super) struct Tty {
        file: File,
        term: console::Term,
        /// `None` if the file system does not support locks: better two processes that draw than
        /// none.
        _lock: Option<File>,
    }

    impl Tty {
        pub(super) fn open(job: TerminalJob, lock_dir: &Path) -> Option<Tty> {
            let lock_path = lock_dir.join(format!("progress-{}.lock", job.terminal));
            let file = OpenOptions::new().read(true).write(true).open("/dev/tty").ok()?;
            let term =
                console::Term::read_write_pair(file.try_clone().ok()?, file.try_clone().ok()?);
            let lock = match crate::storage::open_or_create(&lock_path)
                .and_then(|lock| Ok((crate::storage::try_lock(&lock)?, lock)))
            {
                Ok((true, lock)) => Some(lock),
                Ok((false, _)) => return None,
                Err(_) => None,
            };
            Some(Tty { file, term, _lock: lock })
        }

        pub(super) fn size(&self) -> Option<Size> {
            self.term.size_checked().map(|(rows, columns)| Size { rows, columns })
        }

        pub(super) fn write(&mut self, text: &str) -> io::Result<()> {
            self.file.write_all(text.as_bytes())
        }
    }

    /// Writes without the lock. Failures are ignored.
    pub(super) fn write_beside(_: TerminalJob, text: &str) {
        let file = OpenOptions::new().write(true).open("/dev/tty");
        let _ = file.and_then(|mut file| file.write_all(text.as_bytes()));
    }

    /// Returns our terminal if we may draw on it now.
    pub(super) fn allowed(watched: &mut Watched) -> Option<TerminalJob> {
        let job = TerminalJob::parse(&std::fs::read_to_string("/proc/self/stat").ok()?)?;
        if !job.in_foreground() {
            return None;
        }
        let process = match watched {
            Watched::Own => std::process::id(),
            Watched::Parent(parent) => {
                // After the parent's end we have a new one, whose stderr says nothing about
                // Cargo's.
                let parent = *parent.get_or_insert(job.parent);
                (parent == job.parent).then_some(parent)?
            }
        };
        job.is_terminal(stderr_of(process)?).then_some(job)
    }

    /// Returns the device number of a process's stderr if it is a character device.
    fn stderr_of(process: u32) -> Option<u64> {
        let metadata = std::fs::metadata(format!("/proc/{process}/fd/2")).ok()?;
        metadata.file_type().is_char_device().then(|| metadata.rdev())
    }
}

#[cfg(not(target_os = "linux"))]
mod tty {
    use std::io::{self, Write as _};
    use std::path::Path;

    use console::Term;

    use super::{Size, Watched};

    /// Evidence that our own stderr is a terminal.
    #[derive(Debug)]
    pub(super) struct OwnTerminal(Term);

    #[derive(Debug)]
    pub(super) struct Tty(OwnTerminal);

    impl Tty {
        pub(super) fn open(place: OwnTerminal, _lock_dir: &Path) -> Option<Tty> {
            // On Windows this enables escape sequences. It is false before Windows 10, and if
            // `NO_COLOR` is set.
            let takes_sequences = !cfg!(windows) || place.0.features().colors_supported();
            takes_sequences.then_some(Tty(place))
        }

        pub(super) fn size(&self) -> Option<Size> {
            self.0.0.size_checked().map(|(rows, columns)| Size { rows, columns })
        }

        pub(super) fn write(&mut self, text: &str) -> io::Result<()> {
            io::stderr().lock().write_all(text.as_bytes())
        }
    }

    /// Writes without drawing. Failures are ignored.
    pub(super) fn write_beside(_: OwnTerminal, text: &str) {
        let _ = io::stderr().lock().write_all(text.as_bytes());
    }

    /// Returns our own stderr if it is a terminal and we may draw on it.
    pub(super) fn allowed(watched: &mut Watched) -> Option<OwnTerminal> {
        let terminal = Term::stderr();
        (*watched == Watched::Own && terminal.features().is_attended())
            .then_some(OwnTerminal(terminal))
    }
}
