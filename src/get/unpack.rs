//! [`Unpack`]: which archives and members a [`super::Get`] unpacks.

use crate::manifest::UnpackOptions;

/// Which archives of a dataset are unpacked, and which members, for [`Get::unpack`](super::Get::unpack). Corresponds to
/// the table `unpack` of the manifest; without further calls, to `unpack = true`.
///
/// # Examples
/// ```no_run
/// use academictorrents::{Get, Unpack};
///
/// let images = Get::new("0123456789abcdef0123456789abcdef01234567")
///     .unpack(Unpack::new().members(["images/**"]).strip(1))
///     .run()?;
/// # Ok::<(), academictorrents::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Unpack {
    pub(super) options: UnpackOptions,
}

impl Unpack {
    /// Unpacks all archives with all members.
    #[must_use]
    pub fn new() -> Unpack {
        Unpack::default()
    }

    /// Unpacks only archives whose path in the torrent matches one of these globs. Others stay packed.
    #[must_use]
    pub fn archives<T: Into<String>>(mut self, globs: impl IntoIterator<Item = T>) -> Unpack {
        self.options.archives.extend(globs.into_iter().map(Into::into));
        self
    }

    /// Unpacks only members that match one of these globs, by their path below the dataset's path and after
    /// [`Unpack::strip`].
    #[must_use]
    pub fn members<T: Into<String>>(mut self, globs: impl IntoIterator<Item = T>) -> Unpack {
        self.options.members.extend(globs.into_iter().map(Into::into));
        self
    }

    /// Removes this many leading components from the path of each member. Members whose path has no more components are
    /// skipped.
    #[must_use]
    pub fn strip(mut self, components: u32) -> Unpack {
        self.options.strip = components;
        self
    }

    /// Whether to keep the archives in the store after unpacking. `true` by default.
    #[must_use]
    pub fn keep_archive(mut self, keep: bool) -> Unpack {
        self.options.discards_archive = !keep;
        self
    }

    /// Limits the unpacked size, which counts 4 KiB for each file and directory in addition to their bytes. Ten times
    /// [`Get::max_size`](super::Get::max_size) by default.
    #[must_use]
    pub fn max_size(mut self, bytes: u64) -> Unpack {
        self.options.max_size_bytes = Some(bytes);
        self
    }
}
