//! The build script of a package that uses a dataset.

use academictorrents::Error;
use toml_edit::{Item, Value};

use crate::changes::Changes;
use crate::crates::Package;
use crate::edit;

/// Adds a build script, or a warning if the existing one does not call the library. `library` is
/// the library's name in the package.
///
/// # Errors
/// [`ErrorKind::Disk`](academictorrents::ErrorKind::Disk) for a build script that cannot be read.
pub(super) fn provide(
    changes: &mut Changes,
    package: &Package,
    manifest: &str,
    library: &str,
) -> Result<(), Error> {
    let call = format!("{library}::build()");
    if let Some(item) = edit::read(manifest, &["package"], "metabuild") {
        // Cargo refuses a build.rs beside this key, and calls these libraries instead.
        let names = item.as_array().into_iter().flatten().filter_map(Value::as_str);
        let mut names = names.chain(item.as_str()).map(|name| name.replace('-', "_"));
        if !names.any(|name| name == library) {
            changes.warnings.push(format!(
                "`metabuild` does not name this library, so builds do not provide the dataset\n\
                 add {library:?} to it"
            ));
        }
        return Ok(());
    }
    let item = edit::read(manifest, &["package"], "build");
    let scripts: Vec<String> = match item.as_ref().and_then(Item::as_value) {
        None => vec!["build.rs".to_owned()],
        Some(Value::Boolean(it)) if !it.value() => {
            changes.warnings.push(format!(
                "the manifest sets `build = false`, so no build script provides the dataset\n\
                 remove it, and write a build.rs with: fn main() {{ {call} }}"
            ));
            return Ok(());
        }
        Some(Value::Array(items)) => {
            items.iter().filter_map(|it| it.as_str().map(str::to_owned)).collect()
        }
        Some(value) => vec![value.as_str().unwrap_or("build.rs").to_owned()],
    };
    let directory = package.manifest.with_file_name("");
    let mut there = Vec::new();
    for script in &scripts {
        let path = directory.join(script);
        match std::fs::read(&path) {
            Ok(text) if String::from_utf8_lossy(&text).contains(library) => return Ok(()),
            Ok(_) => there.push(script),
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => {}
            Err(why) => return Err(Error::disk("read", &path, &why)),
        }
    }
    match (there.first(), scripts.first()) {
        (Some(script), _) => changes.warnings.push(format!(
            "{script} does not call this library, so builds do not provide the dataset\n\
             add this line to its main(): {call};"
        )),
        (None, Some(script)) => {
            if package.is_conditional {
                changes.warnings.push(format!(
                    "{library} is a build-dependency for some targets or features only\n\
                     for the others, the new {script} does not compile: put a cfg before the call"
                ));
            }
            let text = format!("fn main() {{\n    {call}\n}}\n");
            changes.text(directory.join(script), None, text);
        }
        (None, None) => {}
    }
    Ok(())
}
