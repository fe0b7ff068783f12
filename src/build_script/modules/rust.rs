//! Writes the Rust module of a dataset.
//!
//! The code is valid in every edition since Rust 1.70, without warnings, including clippy's
//! pedantic lints, even if the user denies them. It is `include!`d, so it has no inner attributes,
//! and refers to `std` by absolute paths.

use std::fmt::Write as _;

use super::text::{block, code_span, line, literal, number};
use super::{Files, Module, identifiers};
use crate::settings::PREFIX;

/// The maximum number of files for which each file has a constant.
const MAX_CONSTANTS: usize = 100;

/// A crate uses only some items, with any visibility, and their names come from the manifest.
/// Clippy's restriction lints contradict each other. Rust 1.70 does not support reasons here.
const ALLOW: &str = "#[allow(dead_code, non_snake_case, unreachable_pub)]
#[allow(clippy::restriction, clippy::module_inception, clippy::module_name_repetitions)]";

/// Writes the module with this identifier.
pub fn write(out: &mut String, identifier: &str, module: &Module) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "\n#[doc = {}]", literal(&summary(module)));
    let mut paragraph = |text: &str| {
        let _ = writeln!(out, "#[doc = \"\"]\n#[doc = {}]", literal(text));
    };
    if let Some(license) = module.license.as_deref().map(line).filter(|it| !it.is_empty()) {
        paragraph(&format!("License, according to the torrent: {}.", code_span(&license)));
    }
    let comment = module.comment.as_deref();
    // Many torrents have a BibTeX entry as comment.
    let is_citation = comment.is_some_and(|comment| comment.trim_start().starts_with('@'));
    if let Some(comment) = comment.and_then(block) {
        paragraph(if is_citation { "Citation:" } else { "Comment in the torrent:" });
        paragraph(&comment);
    }
    if !is_citation {
        let command = code_span(&format!("cargo academictorrents cite {}", module.name));
        paragraph(&format!("{command} prints a citation."));
    }
    let _ = writeln!(out, "{ALLOW}\npub mod {identifier} {{");
    let what = if module.is_directory {
        "The path of the directory with the dataset's files"
    } else {
        "The path of the dataset's file"
    };
    let _ = writeln!(
        out,
        "    /// {what}.\n    pub const PATH: &str = {};\n\n    \
         /// The torrent's infohash: 40 hexadecimal digits.\n    pub const INFOHASH: &str = \"{}\";\n",
        literal(&module.path),
        module.infohash,
    );
    match module.is_unpacked {
        true => out.push_str(PATH_ALONE),
        false => write_path(out, &module.variable),
    }
    match &module.files {
        Files::Listed(files) => {
            write_list(out, module, files);
            if module.is_directory && files.len() <= MAX_CONSTANTS {
                write_constants(out, files);
            }
        }
        Files::Stamped { .. } => write_function(out, module),
        // Code that uses only one of the two compiles on docs.rs, too.
        Files::Unknown => {
            write_list(out, module, &[]);
            write_function(out, module);
        }
    }
    out.push_str("}\n");
}

/// A one-line description of the dataset.
fn summary(module: &Module) -> String {
    let name = code_span(&module.name);
    let torrent = module.torrent_name.as_deref().map(code_span).unwrap_or_default();
    let (count, bytes) = match &module.files {
        Files::Unknown => {
            return format!(
                "The dataset {name}. It was missing during the build, so its files are unknown."
            );
        }
        Files::Listed(files) => (files.len(), files.iter().map(|(_, length)| length).sum()),
        Files::Stamped { count, bytes } => (*count, *bytes),
    };
    let size = crate::size::display(bytes);
    match (module.is_directory, count) {
        (false, _) => format!("The dataset {name}: the file {torrent}, {size}."),
        (true, 1) => format!("The dataset {name}: 1 file in {torrent}, {size}."),
        (true, count) => format!("The dataset {name}: {count} files in {torrent}, {size}."),
    }
}

/// For an unpacked dataset, whose variable names the archives instead.
const PATH_ALONE: &str = "    /// `PATH` as a `PathBuf`.
    #[must_use]
    pub fn path() -> ::std::path::PathBuf {
        ::std::path::PathBuf::from(PATH)
    }
";

fn write_path(out: &mut String, variable: &str) {
    let _ = write!(
        out,
        "    /// The value of `{PREFIX}PATH_{variable}` at run time, or else `PATH`.
    #[must_use]
    pub fn path() -> ::std::path::PathBuf {{
        match ::std::env::var_os(\"{PREFIX}PATH_{variable}\") {{
            Some(path) if !path.is_empty() => ::std::path::PathBuf::from(path),
            _ => ::std::path::PathBuf::from(PATH),
        }}
    }}
"
    );
}

fn write_list(out: &mut String, module: &Module, files: &[(String, u64)]) {
    let path = if module.is_directory { "Path below `PATH`" } else { "Name" };
    let _ = writeln!(
        out,
        "\n    /// {path} and length in bytes of each file, in the torrent's order.\n    \
         pub const FILES: &[(&str, u64)] = &["
    );
    for (path, length) in files {
        let _ = writeln!(out, "        ({path:?}, {}),", number(*length));
    }
    out.push_str("    ];\n");
}

fn write_constants(out: &mut String, files: &[(String, u64)]) {
    out.push_str(
        "\n    /// The paths in `FILES` as constants, for `path().join(…)`.\n    pub mod file {\n",
    );
    let names = identifiers::constants(files.iter().map(|(path, _)| path.as_str()));
    for (name, (path, length)) in names.iter().zip(files) {
        let doc = format!("The file {}, {}.", code_span(path), crate::size::display(*length));
        let _ = writeln!(
            out,
            "        #[doc = {}]\n        pub const {name}: &str = {path:?};",
            literal(&doc)
        );
    }
    out.push_str("    }\n");
}

/// Writes a function that reads the stamp. `storage/stamp.rs` documents the format.
fn write_function(out: &mut String, module: &Module) {
    let below = if module.is_directory { "path.components().skip(1).collect()" } else { "path" };
    let _ = write!(
        out,
        r#"
    /// Path below `PATH` and length in bytes of each file, in the torrent's order, read at run time from the stamp in
    /// the store.
    ///
    /// # Errors
    /// If the dataset was moved or removed after the build. Build again.
    pub fn files() -> ::std::io::Result<::std::vec::Vec<(::std::path::PathBuf, u64)>> {{
        const STAMP: &str = {stamp};
        fn file(line: &str) -> Option<(::std::path::PathBuf, u64)> {{
            let mut fields = line.splitn(3, ' ');
            let length = fields.next()?.parse().ok()?;
            let mut encoded = fields.nth(1)?.bytes();
            let mut bytes = ::std::vec::Vec::with_capacity(encoded.len());
            while let Some(byte) = encoded.next() {{
                bytes.push(if byte == b'%' {{
                    let digits = [encoded.next()?, encoded.next()?];
                    u8::from_str_radix(::std::str::from_utf8(&digits).ok()?, 16).ok()?
                }} else {{
                    byte
                }});
            }}
            #[cfg(unix)]
            let path: ::std::ffi::OsString = ::std::os::unix::ffi::OsStringExt::from_vec(bytes);
            #[cfg(not(unix))]
            let path = ::std::string::String::from_utf8(bytes).ok()?;
            let path = ::std::path::PathBuf::from(path);
            Some(({below}, length))
        }}
        fn parse(stamp: &str) -> Option<::std::vec::Vec<(::std::path::PathBuf, u64)>> {{
            let lines = stamp.strip_prefix("{header}\n")?.strip_suffix("\nend\n")?.lines();
            lines.filter_map(|line| line.strip_prefix("file ")).map(file).collect()
        }}
        let stamp = ::std::fs::read_to_string(STAMP)
            .map_err(|why| ::std::io::Error::new(why.kind(), ::std::format!("{{STAMP}}: {{why}}; build again")))?;
        parse(&stamp).ok_or_else(|| {{
            let why = ::std::format!("{{STAMP}}: the stamp is incomplete; build again");
            ::std::io::Error::new(::std::io::ErrorKind::InvalidData, why)
        }})
    }}
"#,
        stamp = literal(&module.stamp),
        header = crate::storage::Stamp::HEADER,
    );
}
