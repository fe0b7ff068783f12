//! `PATH_<NAME>` of datasets that are not declared: a slip, or another crate's.

use crate::context::{PREFIX, Settings};
use crate::error::{Error, ErrorKind};
use crate::manifest::Request;
use crate::nearest::nearest;

/// Refuses a name that was probably meant to be a declared one's. One that resembles none is let pass, since a
/// build has one environment, and each of its crates sees the variables that are meant for the others. So is one that
/// resembles a dataset whose own variable is set.
///
/// # Errors
/// [`ErrorKind::Manifest`].
pub fn check(settings: &Settings, requests: &[Request]) -> Result<(), Error> {
    let declared: Vec<String> = requests.iter().map(|request| request.name.variable()).collect();
    let free = || declared.iter().filter(|name| settings.path_of(name).is_none());
    let mut names: Vec<&str> = settings.paths.iter().map(|(name, _)| name.as_str()).collect();
    names.sort(); // of several slips, it is always the same that is told
    for name in names.into_iter().filter(|name| !declared.iter().any(|known| known == name)) {
        if let Some(near) = nearest(name, free().map(String::as_str)) {
            return Err(Error::new(
                ErrorKind::Manifest,
                format!("the environment variable {PREFIX}PATH_{name} names no dataset"),
            )
            .why("what follows PATH_ is the dataset's key in Cargo.toml, in capitals, with `-` as `_`")
            .help(format!("did you mean {PREFIX}PATH_{near}?"))
            .help(format!("where it is for another crate of the same build, set {PREFIX}PATH_{near} too, or name the copy's directory in {PREFIX}LOAD_PATH instead")));
        }
    }
    Ok(())
}
