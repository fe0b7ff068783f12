//! What of a dataset's archives a [`super::Get`] unpacks.

use crate::manifest::UnpackOptions;

/// Which archives of a dataset are unpacked, and what of them: for [`Get::unpack`](super::Get::unpack), as the table `unpack` of the manifest. What
/// no method is called for is as with `unpack = true`.
///
/// # Examples
/// ```no_run
/// use academictorrents::{Get, Unpack};
///
/// let images = Get::new("323a0048d87ca79b68f12a6350a57776b6a3b7fb")
///     .unpack(Unpack::new().members(["images/**"]).strip(1))
///     .run()?;
/// # Ok::<(), academictorrents::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Unpack {
    pub(super) options: UnpackOptions,
}

impl Unpack {
    /// All archives, and all that is in them.
    #[must_use]
    pub fn new() -> Unpack {
        Unpack::default()
    }

    /// Only archives that one of these globs covers, by their path in the torrent. Others stay as they are.
    #[must_use]
    pub fn archives<T: Into<String>>(mut self, globs: impl IntoIterator<Item = T>) -> Unpack {
        self.options.archives.extend(globs.into_iter().map(Into::into));
        self
    }

    /// Only members that one of these globs covers, by their path below the dataset's, as it is after [`Unpack::strip`].
    #[must_use]
    pub fn members<T: Into<String>>(mut self, globs: impl IntoIterator<Item = T>) -> Unpack {
        self.options.members.extend(globs.into_iter().map(Into::into));
        self
    }

    /// Drops so many components from the beginning of each member's path. Members with no more than that are left out.
    #[must_use]
    pub fn strip(mut self, components: u32) -> Unpack {
        self.options.strip = components;
        self
    }

    /// Whether the archives are kept in the store once they are unpacked; they are by default.
    #[must_use]
    pub fn keep_archive(mut self, keep: bool) -> Unpack {
        self.options.discards_archive = !keep;
        self
    }

    /// Refuses to unpack more than so many bytes, with 4 KiB for each file and directory. Ten times [`Get::max_size`](super::Get::max_size) by
    /// default.
    #[must_use]
    pub fn max_size(mut self, bytes: u64) -> Unpack {
        self.options.max_size_bytes = Some(bytes);
        self
    }
}
