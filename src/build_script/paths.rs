//! Rejects paths that a build cannot use: `PATH_<NAME>` of undeclared datasets, and paths that
//! Cargo would truncate or ignore.

use std::path::Path;

use crate::error::{Error, ErrorKind};
use crate::manifest::{Request, StoreKind};
use crate::settings::{PREFIX, Settings};
use crate::storage::Store;
use crate::suggest::nearest;

/// Rejects a `PATH_<NAME>` whose name is probably a typo of a declared dataset. A name that
/// resembles no dataset is accepted, because all crates of a build share one environment and see
/// the variables meant for others. The same applies if the dataset that it resembles has its own
/// variable set.
///
/// # Errors
/// [`ErrorKind::Manifest`].
pub fn check(settings: &Settings, requests: &[Request]) -> Result<(), Error> {
    let declared: Vec<String> = requests.iter().map(|request| request.name.variable()).collect();
    let free = || declared.iter().filter(|name| settings.path_of(name).is_none());
    let mut names: Vec<&str> = settings.paths.iter().map(|(name, _)| name.as_str()).collect();
    names.sort(); // reports the same one of several every time
    for name in names.into_iter().filter(|name| !declared.iter().any(|known| known == name)) {
        if let Some(near) = nearest(name, free().map(String::as_str)) {
            return Err(Error::new(
                ErrorKind::Manifest,
                format!("the environment variable {PREFIX}PATH_{name} does not match any dataset"),
            )
            .why("PATH_ is followed by the dataset's key in Cargo.toml, in upper case, with `_` for `-`")
            .help(format!("did you mean {PREFIX}PATH_{near}?"))
            .help(format!("if it is meant for another crate of the same build, also set {PREFIX}PATH_{near}, or add the copy's directory to {PREFIX}LOAD_PATH instead")));
        }
    }
    Ok(())
}

/// Rejects datasets in `OUT_DIR` if that is not set, as in a program that is no build script.
///
/// # Errors
/// [`ErrorKind::Manifest`].
pub fn check_out_dir(out_dir: Option<&Path>, requests: &[&Request]) -> Result<(), Error> {
    let is_missing = |it: &&&Request| out_dir.is_none() && it.store == StoreKind::Own;
    let Some(request) = requests.iter().find(is_missing) else { return Ok(()) };
    let what = format!(
        "dataset `{}`: `store = \"out-dir\"` cannot be used, because OUT_DIR is not set",
        request.name
    );
    let error = Error::new(ErrorKind::Manifest, what)
        .why("Cargo sets this variable for build scripts only")
        .help("set it with `Build::env`, or remove `store = \"out-dir\"`");
    Err(request.origin.declared(error))
}

/// Rejects datasets in `OUT_DIR` for `cargo install`, which deletes that directory while the
/// program has its path.
///
/// # Errors
/// [`ErrorKind::Manifest`].
pub fn check_install(is_install: bool, requests: &[&Request]) -> Result<(), Error> {
    let Some(request) = requests.iter().find(|it| is_install && it.store == StoreKind::Own) else {
        return Ok(());
    };
    let what = format!(
        "dataset `{}`: `store = \"out-dir\"` cannot be used by `cargo install`",
        request.name
    );
    let error = Error::new(ErrorKind::Manifest, what)
        .why("Cargo deletes the build directory, where the installed program would look for the dataset")
        .help("remove `store = \"out-dir\"`: the user's store is kept")
        .help("or get the dataset at run time with academictorrents::Get");
    Err(request.origin.declared(error))
}

/// Rejects directories, before anything is downloaded, whose paths cannot be passed to Cargo.
///
/// # Errors
/// [`ErrorKind::Manifest`].
pub fn check_directories(
    settings: &Settings,
    requests: &[&Request],
    manifest: &Path,
    [shared, own]: [&Store; 2],
) -> Result<(), Error> {
    for_cargo("the manifest's path", manifest).map_err(|error| error.help("move the project"))?;
    for (kind, store, help) in [
        (StoreKind::Shared, shared, "set ACADEMICTORRENTS_STORE to another directory"),
        (StoreKind::Own, own, "set CARGO_TARGET_DIR to another directory"),
    ] {
        if requests.iter().any(|request| request.store == kind) {
            for_cargo("the path of the store", store.root()).map_err(|error| error.help(help))?;
        }
    }
    for directory in &settings.load_path {
        // Paths of datasets below it end with the dataset's name, so trailing white space in the
        // directory is fine.
        let what = format!("a directory of {PREFIX}LOAD_PATH");
        for_cargo(&what, &directory.join("data"))
            .map_err(|error| error.help(format!("correct {PREFIX}LOAD_PATH, or unset it")))?;
    }
    for request in requests {
        let variable = request.name.variable();
        if let Some(copy) = settings.path_of(&variable) {
            let help = format!("rename the copy, or set {PREFIX}PATH_{variable} to another one");
            for_cargo(&format!("the path in {PREFIX}PATH_{variable}"), copy)
                .map_err(|error| error.help(help))?;
        }
        if let Some(torrent) = &request.identity.torrent {
            for_cargo(&format!("the torrent of dataset `{}`", request.name.as_str()), torrent)
                .map_err(|error| error.help("rename it"))?;
        }
    }
    Ok(())
}

/// Rejects a dataset whose own name results in a path that cannot be passed to Cargo; see
/// [`check_directories`].
///
/// # Errors
/// [`ErrorKind::Manifest`].
pub fn check_dataset(path: &Path) -> Result<(), Error> {
    let help = "the torrent's own name causes this: get the dataset at run time with `academictorrents::Get`";
    for_cargo("the dataset's path", path).map(drop).map_err(|error| error.help(help))
}

/// Returns a path as the last part of a directive. Cargo ignores lines that are not UTF-8, and
/// trims white space at their end.
///
/// # Errors
/// [`ErrorKind::Manifest`].
pub fn for_cargo<'a>(what: &str, path: &'a Path) -> Result<&'a str, Error> {
    let refused = |why: &str| {
        Err(Error::new(ErrorKind::Manifest, format!("{what} cannot be passed to Cargo"))
            .why(format!("`{}` {why}", path.as_os_str().as_encoded_bytes().escape_ascii())))
    };
    match path.to_str() {
        None => refused("is not UTF-8"),
        Some(text) if text.contains(['\n', '\r']) => refused("has a line break"),
        Some(text) if text.ends_with(char::is_whitespace) => {
            refused("ends with whitespace, which Cargo would strip")
        }
        Some(text) => Ok(text),
    }
}
