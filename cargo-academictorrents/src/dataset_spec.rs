//! Datasets specified by a manifest or on the command line.

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
    /// Whether builds keep a separate copy (`store = "out-dir"`), which only they know.
    pub own_copy: bool,
}

impl DatasetSpec {
    /// Returns the Cargo.toml that declares the dataset, if there is one.
    pub fn manifest(&self) -> Option<&Path> {
        self.request.origin.manifest().map(|(path, _)| path)
    }

    /// Returns its key in the manifest, or else what was given on the command line or the magnet
    /// link's name.
    pub fn name(&self) -> &str {
        self.request.name.as_str()
    }

    /// Returns its infohash. Reads the file of a vendored torrent.
    ///
    /// # Errors
    /// [`academictorrents::ErrorKind::Metainfo`] for an invalid torrent, or one that is not the
    /// declared one.
    pub fn infohash(&self) -> Result<Option<Infohash>, Error> {
        engine::infohash(&self.request)
    }

    /// Returns the infohash as text, for JSON; `None` also if it cannot be determined.
    pub fn infohash_text(&self) -> Option<String> {
        self.infohash().ok().flatten().map(|infohash| infohash.to_string())
    }

    /// Whether the other one is the same dataset with the same keys, such as one that several
    /// packages inherit from their workspace.
    pub fn is_same(&self, other: &DatasetSpec) -> bool {
        let plain = |it: &DatasetSpec| {
            let mut request = it.request.clone();
            let by = std::mem::take(&mut request.origin).named_by();
            (request.optional, request.required_features) = (false, Vec::new());
            request.workspace = None;
            (by, request)
        };
        plain(self) == plain(other)
    }

    /// Adds the dataset's key in the manifest to an error. Errors for an infohash already name it.
    pub fn named(&self, error: Error) -> Error {
        if self.manifest().is_some() { error.for_dataset(self.name()) } else { error }
    }

    /// Restricts the dataset to files that match one of these globs. An empty list changes nothing.
    ///
    /// # Errors
    /// [`academictorrents::ErrorKind::Manifest`] for an invalid glob.
    pub fn selecting(mut self, globs: &[String]) -> Result<DatasetSpec, Error> {
        if !globs.is_empty() {
            let options = CallOptions { files: globs.to_vec(), ..CallOptions::default() };
            let call = Request::of_call("", Identity::default(), StoreKind::Shared, &options);
            self.request.files =
                call.map_err(|error| error.instead("`--files` cannot be used"))?.files;
        }
        Ok(self)
    }

    /// Sets the dataset's name on disk. `None` changes nothing.
    ///
    /// # Errors
    /// [`academictorrents::ErrorKind::Manifest`] for an invalid name.
    pub fn called(mut self, name: Option<&String>) -> Result<DatasetSpec, Error> {
        if name.is_some() {
            let options = CallOptions { rename: name.cloned(), ..call_options() };
            let call = Request::of_call("", Identity::default(), StoreKind::Shared, &options);
            self.request.rename = call?.rename;
        }
        Ok(self)
    }
}

/// Returns the datasets that a Cargo.toml declares, sorted by name. All are looked for in the
/// user's store, even those of which builds keep a separate copy.
///
/// # Errors
/// [`academictorrents::ErrorKind::Manifest`], with all errors in the manifest.
pub fn declared(manifest: &Path) -> Result<Vec<DatasetSpec>, Error> {
    let requests = Manifest::read(&absolute(manifest)?)?.requests;
    let asked = |mut request: Request| {
        let own_copy = request.store == StoreKind::Own;
        request.store = StoreKind::Shared;
        // A user who calls a command to fetch wants the data; the built-in limit is for builds.
        request.max_size_bytes.get_or_insert(u64::MAX);
        DatasetSpec { request, own_copy }
    };
    Ok(requests.into_iter().map(asked).collect())
}

/// Parses an infohash, magnet link or path of a `.torrent`. A name of 40 hexadecimal digits is an
/// infohash, even if a file with that name exists.
///
/// # Errors
/// [`academictorrents::ErrorKind::Manifest`] if it is none of these.
pub fn asked(id: &str) -> Result<DatasetSpec, Error> {
    asked_with(id, &call_options(), StoreKind::Shared)
}

/// Returns why an id is invalid, if it looks like an infohash, magnet link or `.torrent` rather
/// than a key of a manifest.
pub fn refused(id: &str) -> Option<Error> {
    let is_key_like = id.starts_with(|c: char| c.is_ascii_lowercase())
        && id.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'));
    // No dataset's key has so many letters and digits in a row.
    let is_infohash_like = id.len() >= 30 && id.bytes().all(|b| b.is_ascii_alphanumeric());
    let is_meant = !is_key_like || is_infohash_like;
    asked(id).err().filter(|_| is_meant)
}

/// Options of a dataset that the command line names without further options.
pub fn call_options() -> CallOptions {
    CallOptions { origin: Origin::CommandLine, ..CallOptions::default() }
}

/// As [`asked`], with options from the command line.
pub fn asked_with(id: &str, options: &CallOptions, store: StoreKind) -> Result<DatasetSpec, Error> {
    let identity = Identity::parse(id, None)
        .map_err(|why| why.error(format!("`{}` is not a dataset", Url::from(id))))?;
    of(&identity.shown_name(id), identity, options, store)
}

/// Returns a dataset that the command line names, from its identity.
pub fn of(
    name: &str,
    identity: Identity,
    options: &CallOptions,
    store: StoreKind,
) -> Result<DatasetSpec, Error> {
    Ok(DatasetSpec { request: Request::of_call(name, identity, store, options)?, own_copy: false })
}
