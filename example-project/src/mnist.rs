//! The second dataset, of the feature `mnist`: a torrent of several files, so a directory.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use crate::error::Error;

/// The root directory of the torrent's files.
const MNIST: &str = env!("AT_MNIST_PATH");

/// Prints where the files are, their names and their sizes.
pub fn list(out: &mut impl Write) -> Result<(), Error> {
    writeln!(out, "\nMNIST in {MNIST}")
        .and_then(|()| walk(Path::new(MNIST), out))
        .map_err(|why| Error::new(MNIST, why))
}

fn walk(dir: &Path, out: &mut impl Write) -> io::Result<()> {
    let mut entries = fs::read_dir(dir)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (path, data) = (entry.path(), entry.metadata()?);
        if data.is_dir() {
            walk(&path, out)?;
        } else {
            let name = path.strip_prefix(MNIST).unwrap_or(&path);
            writeln!(out, "{:>12} bytes  {}", data.len(), name.display())?;
        }
    }
    Ok(())
}
