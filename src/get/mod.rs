//! A dataset at run time: [`get`] and [`Get`].
//!
//! Layer 4, beside `build_script`: the same download without Cargo. `run.rs` turns a call into a
//! [`crate::manifest::Request`], as `manifest` does with a table, and passes it to `engine`.

mod run;
#[cfg(feature = "unpack")]
mod unpack;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use crate::engine::StopHandle;
use crate::error::Error;
use crate::manifest::CallOptions;
use crate::progress::ProgressCallback;
use crate::settings::Context;

pub use crate::counters::Phase;
pub use crate::progress::Snapshot;
#[doc(inline)]
pub use crate::settings::Progress;

#[cfg(feature = "unpack")]
pub use unpack::Unpack;

/// Downloads a dataset to the user's store unless it is there already, and returns its path: the file of a single-file
/// torrent, otherwise the torrent's root directory.
///
/// `id` is an infohash (40 hexadecimal or 32 base32 digits), a magnet link, or the path of a `.torrent`.
///
/// # Errors
/// As [`Get::run`].
///
/// # Examples
/// ```no_run
/// let mnist = academictorrents::get("ce990b28668abf16480b8b906640a6cd7e3b8b21")?;
/// println!("{}", mnist.display());
/// # Ok::<(), academictorrents::Error>(())
/// ```
pub fn get(id: impl AsRef<str>) -> Result<PathBuf, Error> {
    Get::new(id).run()
}

/// Sets the store of this process, for each [`get`], [`Get`] and `Seed` that is created afterwards. Their method `store`
/// takes precedence over it, and it takes precedence over `ACADEMICTORRENTS_STORE` and the configuration file. Build scripts
/// do not use it.
///
/// A relative path refers to the current directory at the time of this call. An empty path removes the setting.
///
/// # Examples
/// ```no_run
/// academictorrents::set_store("/scratch/datasets");
/// let mnist = academictorrents::get("ce990b28668abf16480b8b906640a6cd7e3b8b21")?;
/// # Ok::<(), academictorrents::Error>(())
/// ```
pub fn set_store(directory: impl Into<PathBuf>) {
    crate::settings::set_store(directory.into());
}

/// The same as [`get`], with options.
///
/// Methods take precedence over the environment and the configuration file, which apply to everything else. Limits only
/// become stricter: the smaller of two sizes applies, and either can disable the network.
///
/// # Examples
/// ```no_run
/// use academictorrents::{Get, Verify};
///
/// let labels = Get::new("ce990b28668abf16480b8b906640a6cd7e3b8b21")
///     .files(["*-labels-*"])
///     .web_seed("https://data.example.org/")
///     .store("/scratch/datasets")
///     .verify(Verify::Always)
///     .run()?;
/// # Ok::<(), academictorrents::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Get {
    id: String,
    torrent: Option<PathBuf>,
    into: Option<PathBuf>,
    overwrite: bool,
    store: Option<PathBuf>,
    options: CallOptions,
    timeout: Option<Duration>,
    offline: bool,
    progress: Option<Progress>,
    on_progress: Option<ProgressCallback>,
    stop: Option<StopHandle>,
    verify: Verify,
    context: Context,
}

/// How a [`Get`] checks a dataset that is in the store already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Verify {
    /// Compares the sizes and times of its files with those recorded when it was verified: one `stat` per file.
    #[default]
    Stat,
    /// Reads and hashes all its files again.
    Always,
}

impl Get {
    /// Creates a request for a dataset, given as an infohash (40 hexadecimal or 32 base32 digits), a magnet link, or
    /// the path of a `.torrent` file. Reads the environment (`ACADEMICTORRENTS_…`, proxies).
    #[must_use]
    pub fn new(id: impl AsRef<str>) -> Get {
        Get {
            id: id.as_ref().to_owned(),
            torrent: None,
            into: None,
            overwrite: false,
            store: None,
            options: CallOptions::default(),
            timeout: None,
            offline: false,
            progress: None,
            on_progress: None,
            stop: None,
            verify: Verify::Stat,
            context: Context::of_call(),
        }
    }

    /// Uses this `.torrent` file for an id that is an infohash or a magnet link, so that the catalog is not asked. It
    /// must be that torrent's.
    #[must_use]
    pub fn torrent(mut self, path: impl Into<PathBuf>) -> Get {
        self.torrent = Some(path.into());
        self
    }

    /// Selects the files that match one of these globs, as `files` does in the manifest. Globs match paths below the
    /// torrent's own directory, with `/`; `*` and `?` do not match `/`, and `**` does. All files by default. The
    /// returned path is still that of the root directory.
    #[must_use]
    pub fn files<T: Into<String>>(mut self, globs: impl IntoIterator<Item = T>) -> Get {
        self.options.files.extend(globs.into_iter().map(Into::into));
        self
    }

    /// Stores the dataset's file or directory under this name instead of the torrent's, as `rename` does in the
    /// manifest.
    #[must_use]
    pub fn rename(mut self, name: impl Into<String>) -> Get {
        self.options.rename = Some(name.into());
        self
    }

    /// Adds a web seed (BEP 19), which is used before those of the torrent: for a torrent with one file the URL of the
    /// file, otherwise the URL of the directory that contains the torrent's root directory.
    #[must_use]
    pub fn web_seed(mut self, url: impl Into<String>) -> Get {
        self.options.web_seeds.push(url.into().into());
        self
    }

    /// Adds a tracker: `http://`, `https://` or `udp://`.
    #[must_use]
    pub fn tracker(mut self, url: impl Into<String>) -> Get {
        self.options.trackers.push(url.into().into());
        self
    }

    /// Adds a peer, as `host:port`, with an IPv6 address in brackets.
    #[must_use]
    pub fn peer(mut self, address: impl Into<String>) -> Get {
        self.options.peers.push(address.into());
        self
    }

    /// Adds a mirror: a base URL or directory with `<infohash>.torrent` and `<infohash>/<the torrent's own layout>`.
    #[must_use]
    pub fn mirror(mut self, place: impl Into<String>) -> Get {
        self.options.mirrors.push(place.into().into());
        self
    }

    /// Pins the SHA-256 (64 hexadecimal digits) of a file, given by its path in the torrent. It is checked before the
    /// dataset is published to the store.
    #[must_use]
    pub fn sha256(mut self, file: impl Into<String>, digest: impl Into<String>) -> Get {
        self.options.sha256.push((file.into(), digest.into()));
        self
    }

    /// Uses this store instead of that of [`set_store`](crate::set_store) or `ACADEMICTORRENTS_STORE`.
    #[must_use]
    pub fn store(mut self, directory: impl Into<PathBuf>) -> Get {
        self.store = Some(directory.into());
        self
    }

    /// Downloads to this directory, in the torrent's own layout, instead of the store. The files are yours to change,
    /// so they are hashed each time.
    ///
    /// An incomplete dataset is completed: correct pieces are kept, damaged pieces are downloaded again, and an
    /// interrupted run resumes. From the first downloaded byte until the dataset is complete, a damaged file is in
    /// `.academictorrents` below the directory.
    ///
    /// Before the first byte is downloaded, [`Get::run`] fails if an existing file is not part of the dataset, if the
    /// torrent has hidden top-level names (`.bashrc`) or a component `.git` or `.cargo` in any spelling, or if a
    /// directory, symbolic link or special file is in the way. See [`Get::overwrite`]. An empty file, or one that
    /// contains only zeros, counts as missing.
    #[must_use]
    pub fn into(mut self, directory: impl Into<PathBuf>) -> Get {
        self.into = Some(directory.into());
        self
    }

    /// With [`Get::into`]: replaces existing files that are not part of the dataset, and symbolic links at the place of a file,
    /// and allows hidden paths. `false` by default. Directories and special files are never replaced.
    #[must_use]
    pub fn overwrite(mut self, overwrite: bool) -> Get {
        self.overwrite = overwrite;
        self
    }

    /// Fails before anything is downloaded if more than this number of bytes is missing. Unlimited unless
    /// `ACADEMICTORRENTS_MAX_SIZE` sets a limit.
    #[must_use]
    pub fn max_size(mut self, bytes: u64) -> Get {
        self.options.max_size_bytes = Some(bytes);
        self
    }

    /// Unpacks the dataset's archives into the store. With [`Get::into`], the unpacked files are copied into the
    /// directory, and the archives stay in the store. The returned path is that of the unpacked files: the root
    /// directory, in which each archive is replaced by a directory named without its extension. For a torrent with a
    /// single archive, it is the directory with the archive's contents.
    #[cfg(feature = "unpack")]
    #[must_use]
    pub fn unpack(mut self, unpack: Unpack) -> Get {
        self.options.unpack = Some(unpack.options);
        self
    }

    /// Gives up if no source sends a byte for this long; 120 s by default, at least 100 ms.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Get {
        self.timeout = Some(timeout);
        self
    }

    /// Opens no socket, and uses only data on this machine. `false`, the default, leaves this to the environment.
    #[must_use]
    pub fn offline(mut self, offline: bool) -> Get {
        self.offline = offline;
        self
    }

    /// Sets how progress is shown: by default [`Progress::Auto`], with [`Get::on_progress`] [`Progress::Off`].
    #[must_use]
    pub fn progress(mut self, progress: Progress) -> Get {
        self.progress = Some(progress);
        self
    }

    /// Calls a function with the progress: at the start of each [`Phase`](crate::Phase), at most ten times per second
    /// in between, and once at the end, with [`Phase::Done`](crate::Phase::Done) or
    /// [`Phase::Failed`](crate::Phase::Failed). If the dataset is there already, only the end is reported.
    ///
    /// Calls are made one at a time from a separate thread, so a slow function does not delay the download. The last
    /// call is made by the thread that called [`Get::run`] or [`Get::fetch`], before that method returns. If the function
    /// panics, the download stops, and the method returns [`ErrorKind::Callback`](crate::ErrorKind::Callback).
    ///
    /// # Examples
    /// ```no_run
    /// let mnist = academictorrents::Get::new("ce990b28668abf16480b8b906640a6cd7e3b8b21")
    ///     .on_progress(|now| match now.total_bytes {
    ///         Some(total) => println!("{:?}: {} of {total} bytes", now.phase, now.done_bytes),
    ///         None => println!("{:?}", now.phase),
    ///     })
    ///     .run()?;
    /// # Ok::<(), academictorrents::Error>(())
    /// ```
    #[must_use]
    pub fn on_progress(mut self, function: impl Fn(&Snapshot) + Send + Sync + 'static) -> Get {
        self.on_progress = Some(ProgressCallback::new(function));
        self
    }

    /// Ends with [`ErrorKind::Stopped`](crate::ErrorKind::Stopped) when this handle is stopped, at any time: while it
    /// waits for another process, looks for the `.torrent`, hashes, downloads or unpacks. Only moving files into place
    /// is completed. Verified data is kept, and the next run resumes.
    ///
    /// Several calls can share a handle. Once it is stopped, a run with it ends at once, unless the dataset is there.
    #[must_use]
    pub fn stop_with(mut self, stop: &StopHandle) -> Get {
        self.stop = Some(stop.clone());
        self
    }

    /// Sets how existing data is checked; [`Verify::Stat`] by default. With [`Get::into`], it is always hashed.
    ///
    /// With [`Verify::Always`], only damaged pieces are downloaded again. Until that succeeds, the dataset counts as
    /// missing, for builds too, and its files are not changed.
    #[must_use]
    pub fn verify(mut self, verify: Verify) -> Get {
        self.verify = verify;
        self
    }

    /// Clears all environment variables; only those set with [`Get::env`] afterwards apply.
    #[must_use]
    pub fn env_clear(mut self) -> Get {
        self.context = Context::default();
        self
    }

    /// Sets an environment variable for this dataset only.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Get {
        self.context.set(name, value);
        self
    }
}
