//! Options for unpacking a dataset's archives, for the commands that accept them.

use academictorrents::engine::manifest::UnpackOptions;

use crate::edit::list;

/// Flags as the keys of `unpack` in a manifest.
#[derive(Debug, clap::Args)]
pub(crate) struct UnpackFlags {
    /// Unpack archives (tar, zip, gz, bz2, xz, zst). The path is that of the unpacked files
    #[arg(long)]
    unpack: bool,
    /// Unpack only archives whose path matches this glob. Can be repeated
    #[arg(long, value_name = "GLOB", requires = "unpack")]
    archives: Vec<String>,
    /// Unpack only files whose path in the unpacked dataset matches this glob. Can be repeated
    #[arg(long, value_name = "GLOB", requires = "unpack")]
    members: Vec<String>,
    /// Remove N leading components from the path of each unpacked file
    #[arg(long, value_name = "N", requires = "unpack", value_parser = clap::value_parser!(u32).range(..=64))]
    strip: Option<u32>,
}

impl UnpackFlags {
    pub(crate) fn options(&self) -> Option<UnpackOptions> {
        self.unpack.then(|| UnpackOptions {
            archives: self.archives.clone(),
            members: self.members.clone(),
            strip: self.strip.unwrap_or(0),
            ..UnpackOptions::default()
        })
    }

    /// Returns the value of the manifest key `unpack`; `None` if nothing is unpacked.
    pub(crate) fn value(&self) -> Option<String> {
        let mut keys = Vec::new();
        for (key, globs) in [("archives", &self.archives), ("members", &self.members)] {
            if !globs.is_empty() {
                keys.push(format!("{key} = {}", list(globs)));
            }
        }
        keys.extend(self.strip.filter(|strip| *strip > 0).map(|strip| format!("strip = {strip}")));
        let value = match keys.is_empty() {
            true => "true".to_owned(),
            false => format!("{{ {} }}", keys.join(", ")),
        };
        self.unpack.then_some(value)
    }
}
