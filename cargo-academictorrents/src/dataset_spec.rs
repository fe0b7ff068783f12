//! Datasets that somebody asks for: by a manifest, or on the command line.

use std::path::Path;

use academictorrents::engine;
use academictorrents::engine::manifest::{
    CallOptions, Identity, Manifest, Request, StoreKind, absolute,
};
use academictorrents::engine::origin::Origin;
use academictorrents::engine::url::Url;
use academictorrents::{Error, Infohash};

/// A dataset that a manifest declares or that the command line names.
#[derive(Clone, Debug)]
pub struct DatasetSpec {
    pub request: Request,
    /// Whether a build keeps a copy of its own (`store = "out-dir"`), which nobody but it knows of.
    pub own_copy: bool,
}

impl DatasetSpec {
    /// The Cargo.toml that declares it, where one does.
    pub fn manifest(&self) -> Option<&Path> {
        self.request.origin.manifest().map(|(path, _)| path)
    }

    /// Its key in the manifest; else what was given on the command line, or the name in the magnet link.
    pub fn name(&self) -> &str {
        self.request.name.as_str()
    }

    /// Its identity. Of a vendored torrent the file is read.
    ///
    /// # Errors
    /// [`academictorrents::ErrorKind::Metainfo`] for a torrent that cannot be read or is not the declared one.
    pub fn infohash(&self) -> Result<Option<Infohash>, Error> {
        engine::infohash(&self.request)
    }

    /// The same as text, for documents: `None` too where it cannot be told.
    pub fn infohash_text(&self) -> Option<String> {
        self.infohash().ok().flatten().map(|infohash| infohash.to_string())
    }

    /// Names the dataset in an error: its key in the manifest, as what was named by an infohash is named in the error already.
    pub fn named(&self, error: Error) -> Error {
        if self.manifest().is_some() { error.for_dataset(self.name()) } else { error }
    }

    /// The same, of which only files are asked for that one of these globs covers; none of them changes nothing.
    ///
    /// # Errors
    /// [`academictorrents::ErrorKind::Manifest`] for what is no glob.
    pub fn selecting(mut self, globs: &[String]) -> Result<DatasetSpec, Error> {
        if !globs.is_empty() {
            let options = CallOptions { files: globs.to_vec(), ..CallOptions::default() };
            let call = Request::of_call("", Identity::default(), StoreKind::Shared, &options);
            self.request.files =
                call.map_err(|error| error.instead("`--files` cannot be used"))?.files;
        }
        Ok(self)
    }

    /// The same, called so on disk; without a name nothing changes.
    ///
    /// # Errors
    /// [`academictorrents::ErrorKind::Manifest`] for what is no name.
    pub fn called(mut self, name: Option<&String>) -> Result<DatasetSpec, Error> {
        if name.is_some() {
            let options = CallOptions { rename: name.cloned(), ..call_options() };
            let call = Request::of_call("", Identity::default(), StoreKind::Shared, &options);
            self.request.rename = call?.rename;
        }
        Ok(self)
    }
}

/// What this Cargo.toml declares, in order of name: in the user's store, also what a build copies to its own.
///
/// # Errors
/// [`academictorrents::ErrorKind::Manifest`], with all that is wrong in it.
pub fn declared(manifest: &Path) -> Result<Vec<DatasetSpec>, Error> {
    let requests = Manifest::read(&absolute(manifest)?)?.requests;
    let asked = |mut request: Request| {
        let own_copy = request.store == StoreKind::Own;
        request.store = StoreKind::Shared;
        // Whoever calls a command to fetch wants it; the built-in limit is for builds.
        request.max_size_bytes.get_or_insert(u64::MAX);
        DatasetSpec { request, own_copy }
    };
    Ok(requests.into_iter().map(asked).collect())
}

/// What was asked for by infohash, magnet link or path of a `.torrent`. A name of 40 digits is an infohash, even where a file
/// of that name is there.
///
/// # Errors
/// [`academictorrents::ErrorKind::Manifest`] where it is none of these.
pub fn asked(id: &str) -> Result<DatasetSpec, Error> {
    asked_with(id, &call_options(), StoreKind::Shared)
}

/// Why this is no dataset, where it looks as if it was to be an infohash, a magnet link or a `.torrent`, and not a key of a
/// manifest.
pub fn refused(id: &str) -> Option<Error> {
    let is_key_like = id.starts_with(|c: char| c.is_ascii_lowercase())
        && id.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'));
    // No one calls a dataset by so many letters and digits in a row.
    let is_infohash_like = id.len() >= 30 && id.bytes().all(|b| b.is_ascii_alphanumeric());
    let is_meant = !is_key_like || is_infohash_like;
    asked(id).err().filter(|_| is_meant)
}

/// Of a dataset that the command line names: nothing more is said of it.
pub fn call_options() -> CallOptions {
    CallOptions { origin: Origin::CommandLine, ..CallOptions::default() }
}

/// As [`asked`], with what the command line says of it.
pub fn asked_with(id: &str, options: &CallOptions, store: StoreKind) -> Result<DatasetSpec, Error> {
    let identity = Identity::parse(id, None)
        .map_err(|why| why.error(format!("`{}` is not a dataset", Url::from(id))))?;
    of(&identity.shown_name(id), identity, options, store)
}

/// A dataset that the command line names, by its identity.
pub fn of(
    name: &str,
    identity: Identity,
    options: &CallOptions,
    store: StoreKind,
) -> Result<DatasetSpec, Error> {
    Ok(DatasetSpec { request: Request::of_call(name, identity, store, options)?, own_copy: false })
}
