//! Where the tree of an unpacked dataset is created, and what it will contain.

use std::path::PathBuf;

use super::elsewhere;
use crate::engine::resolve::Resolved;
use crate::engine::session::Session;
use crate::error::Error;
use crate::manifest::Request;
use crate::storage::Store;
use crate::unpack::TreePlan;

/// The store in which trees are created.
pub fn own<'a>(session: &Session<'a>, request: &Request) -> &'a Store {
    match elsewhere::named(session, request) {
        Some(_) => session.shared,
        None => session.target(request).store().unwrap_or(session.shared),
    }
}

/// Plans the tree, and returns where its root will be; `None` if the request unpacks nothing. Called
/// before anything is fetched.
///
/// # Errors
/// As [`Resolved::tree_plan`]; if the caller cannot use the path.
pub fn plan(
    session: &Session<'_>,
    request: &Request,
    resolved: &Resolved,
) -> Result<Option<(TreePlan, PathBuf)>, Error> {
    let (Some(unpacking), Some(plan)) = (&request.unpack, resolved.tree_plan(request)?) else {
        return Ok(None);
    };
    let files = own(session, request).files_path(&unpacking.tree_id(resolved.id()));
    let path = files.join(crate::torrent::metainfo::os_path(plan.root.clone()));
    session.check_path(&path)?;
    Ok(Some((plan, path)))
}
