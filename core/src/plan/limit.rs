//! The size limit of a dataset's download: [`Limit`].

use crate::error::{Error, ErrorKind};
use crate::origin::Origin;
use crate::size;

/// The limit in a build script if none is set: 1 GiB.
pub const DEFAULT_MAX_SIZE_BYTES: u64 = 1 << 30;

/// What each file and directory adds to the counted size, for the disk space and inode that it
/// uses.
pub const ENTRY_BYTES: u64 = 4 << 10;

/// More files and directories than this require an explicit limit that allows them.
pub const MAX_ENTRIES: u64 = 1_000_000;

/// The size limit of a dataset's download.
///
/// The user's limit (from the environment) replaces the built-in limit, and caps the manifest's.
#[derive(Clone, Copy, Debug)]
pub struct Limit<'a> {
    /// The limit of the request: of the manifest, or of a call.
    pub requested: Option<u64>,
    pub user: Option<u64>,
    pub origin: &'a Origin,
    /// The manifest is that of a dependency that Cargo downloaded: it may lower the built-in limit,
    /// but not raise it.
    pub foreign: bool,
}

impl Limit<'_> {
    fn bytes(self) -> u64 {
        let built_in = self.user.unwrap_or(DEFAULT_MAX_SIZE_BYTES);
        match self {
            Limit { requested: Some(requested), user: None, foreign: false, .. } => requested,
            Limit { requested: Some(requested), .. } => requested.min(built_in),
            Limit { requested: None, .. } => built_in,
        }
    }

    /// The limit for unpacked data: `requested`, or else ten times the download limit. The user's
    /// limit, and for dependencies the built-in one, caps it at ten times its value.
    #[cfg(feature = "unpack")]
    pub fn unpacked_bytes(self, requested: Option<u64>) -> u64 {
        const TIMES: u64 = 10;
        let cap = self.user.unwrap_or(DEFAULT_MAX_SIZE_BYTES).saturating_mul(TIMES);
        match requested {
            None => self.bytes().saturating_mul(TIMES),
            Some(requested) if self.user.is_none() && !self.foreign => requested,
            Some(requested) => requested.min(cap),
        }
    }

    /// The error for unpacked data that exceeds the limit.
    #[cfg(feature = "unpack")]
    pub fn refuse_unpacking(self, requested: Option<u64>, user_by: &str) -> Error {
        let limit = self.unpacked_bytes(requested);
        let by = match requested {
            Some(requested) if requested == limit => "set by `max-size` of `unpack`".to_owned(),
            _ if self.user.is_some() => format!("ten times the download limit set by {user_by}"),
            _ => "ten times the download limit".to_owned(),
        };
        let error = Error::new(ErrorKind::TooLarge, "the unpacked archives exceed the size limit")
            .why(format!(
                "the limit is {}, {by}; each file and directory counts as {}",
                exact(limit),
                size::display(ENTRY_BYTES)
            ));
        let error = match (self.foreign || self.user.is_some(), requested) {
            (true, None) => error.help("to allow more, set ACADEMICTORRENTS_MAX_SIZE to a larger size"),
            (true, Some(_)) if self.foreign => error.help("ask the package's authors for a larger `max-size`"),
            (true, Some(_)) => error.help("to allow more, set `max-size` of `unpack` and ACADEMICTORRENTS_MAX_SIZE to larger sizes"),
            (false, _) => error.help("to allow more, set `max-size` of `unpack` to a larger size"),
        };
        error.help("or unpack less: `members` of `unpack` takes globs of the files that you need")
    }

    /// Checks the bytes to download, and the files and directories to create. `user_by` names what
    /// sets the user's limit.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`], with the required size, and the line or variable that allows it.
    pub fn check(
        self,
        name: &str,
        missing_bytes: u64,
        entries: u64,
        user_by: &str,
    ) -> Result<(), Error> {
        let counted = counted_bytes(missing_bytes, entries);
        let limit = self.bytes();
        if limit == u64::MAX && entries > MAX_ENTRIES {
            // The call has no limit.
            let by = self.setter().unwrap_or_else(|| "`max-size`".to_owned());
            let what = format!("{entries} files and directories would be created");
            return Err(Error::new(ErrorKind::TooLarge, what)
                .why(format!("without a size limit, {MAX_ENTRIES} are allowed"))
                .help(format!("to allow it, set {by} to at least {counted} bytes"))
                .help(format!(
                    "or fetch less: `{}` takes globs of the files that you need",
                    self.files()
                )));
        }
        if counted <= limit {
            return Ok(());
        }
        if missing_bytes > limit {
            return Err(self.refusal(name, missing_bytes, counted, user_by));
        }
        let (each, all) = (size::display(ENTRY_BYTES), size::display(counted_bytes(0, entries)));
        Err(self
            .refusal(name, counted, counted, user_by)
            .why(format!("each file and directory counts as {each}: {all} for {entries} of them")))
    }

    /// The option or key that selects files, for help.
    fn files(self) -> &'static str {
        if *self.origin == Origin::CommandLine { "--files" } else { "files" }
    }

    /// What sets the limit of the request; `None` for a key of the manifest.
    fn setter(self) -> Option<String> {
        (!self.origin.is_declared()).then(|| self.origin.setter("max_size"))
    }

    /// `missing_bytes` is the size in the message, `counted` the size that a limit must allow.
    fn refusal(self, name: &str, missing_bytes: u64, counted: u64, user_by: &str) -> Error {
        let Limit { requested, user, foreign, .. } = self;
        let setter = self.setter();
        let limit = self.bytes();
        let enough = size::at_least(counted);
        let set_by = match (requested, user, &setter) {
            (_, Some(user), _) if user == limit => format!("set by {user_by}"),
            (Some(_), _, Some(setter)) => format!("set by {setter}"),
            (Some(requested), ..) if requested == limit => {
                "set by `max-size` in the manifest".to_owned()
            }
            (Some(_), ..) => {
                "the default in a build script, which the manifest of a dependency cannot raise"
                    .to_owned()
            }
            (None, ..) => "the default in a build script".to_owned(),
        };
        let mut error = Error::new(
            ErrorKind::TooLarge,
            format!("download of {} exceeds the limit", size::display(missing_bytes)),
        )
        .why(format!("the limit is {}, {set_by}", exact(limit)));
        if foreign {
            // The user cannot change the manifest of a dependency.
            let user_allows = format!("ACADEMICTORRENTS_MAX_SIZE={enough} ");
            return match requested {
                Some(requested) if requested < counted => {
                    let user_allows =
                        if user.is_some_and(|user| user < counted) { &user_allows } else { "" };
                    error.help(format!(
                        "to download it anyway, run: {user_allows}cargo academictorrents fetch {name} --max-size {enough}\n\
                         (after: cargo install cargo-academictorrents)"
                    ))
                }
                _ => error.help(format!("to allow it, run: {user_allows}cargo build")),
            };
        }
        let table = format!("[package.metadata.academictorrents.{name}]");
        error = match (requested, setter) {
            // A line in the manifest would not raise the user's limit.
            (None, _) if user.is_some() => error,
            (None, _) => error.help(format!(
                "to allow it, add this line under {table} in Cargo.toml:\n\
                 max-size = \"{enough}\"\n\
                 or, in the short form, write {name} = {{ infohash = \"…\", max-size = \"{enough}\" }}"
            )),
            // Adding a second line would be a duplicate key.
            (Some(requested), Some(setter)) if requested < counted => {
                error.help(format!("to allow it, set {setter} to at least {counted}"))
            }
            (Some(requested), None) if requested < counted => error.help(format!(
                "to allow it, change `max-size` to \"{enough}\" in Cargo.toml:\n\
                 it is under {table}, or under `defaults`"
            )),
            (Some(_), _) => error,
        };
        if user.is_some_and(|user| user < counted) {
            error = error.help(format!(
                "set ACADEMICTORRENTS_MAX_SIZE={enough}, which caps all other limits"
            ));
        }
        let files = self.files();
        error.help(format!("or fetch less: `{files}` takes globs of the files that you need"))
    }
}

/// The size that is compared with the limit.
pub fn counted_bytes(bytes: u64, entries: u64) -> u64 {
    bytes.saturating_add(entries.saturating_mul(ENTRY_BYTES))
}

/// Formats a size, with the number of bytes if the size is rounded.
fn exact(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} bytes"),
        _ => format!("{} ({bytes} bytes)", size::display(bytes)),
    }
}
