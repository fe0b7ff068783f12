//! Whether the package is the user's own, or one that Cargo downloaded.
//!
//! Cargo does not tell a build script (`CARGO_PRIMARY_PACKAGE` is set for rustc only), but it marks
//! what it unpacks: `.cargo-ok` in a package from a registry and at the top of a git checkout,
//! `.cargo-checksum.json` in a vendored package. `cargo package` leaves no mark in the directory in
//! which it verifies.
//!
//! A package that `cargo install` was asked for is the user's own; its dependencies are not.
//! Installed from a path, it has no mark. Installed from a registry or git, it is recognized by
//! cargo's command line, on platforms that show it.

use std::path::Path;

use crate::settings::Context;

/// Whether the package with this manifest is a dependency from a registry, git or a vendored
/// directory.
pub(super) fn is_foreign(context: &Context, manifest: &Path) -> bool {
    let Some(directory) = manifest.parent() else { return false };
    let top = directory.ancestors().find(|above| above.join(".cargo-ok").is_file());
    if top.is_none() && !directory.join(".cargo-checksum.json").is_file() {
        return false;
    }
    // `…/git/checkouts/<name>-<digest>/<revision>/.cargo-ok`
    let checkout = top.and_then(|top| top.parent()?.file_name()?.to_str());
    let package = context.text("CARGO_PKG_NAME").ok().flatten().unwrap_or_default();
    !context.cargo_call().installs(package, checkout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargos_marks_tell_what_it_brought() {
        let root = tempfile::tempdir().unwrap();
        let check = |directory: &str, mark: &str, expected: bool| {
            let directory = root.path().join(directory);
            std::fs::create_dir_all(&directory).unwrap();
            if !mark.is_empty() {
                std::fs::write(root.path().join(mark), "").unwrap();
            }
            let found = is_foreign(&Context::default(), &directory.join("Cargo.toml"));
            assert_eq!(found, expected, "{}", directory.display());
        };
        check("own/member", "", false);
        check("registry/src/index/data-1.0.0", "registry/src/index/data-1.0.0/.cargo-ok", true);
        check("git/checkouts/data-0123/abc/member", "git/checkouts/data-0123/abc/.cargo-ok", true);
        check("own/vendor/data", "own/vendor/data/.cargo-checksum.json", true);
        check("own/vendor", "", false);
    }
}
