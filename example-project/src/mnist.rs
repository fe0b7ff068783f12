//! The second dataset, of the feature `mnist`: a torrent of several files, which is a directory.

use std::io::{self, Write};

use crate::datasets::mnist;
use crate::error::Error;

/// Prints the directory, and the files' names and sizes.
pub fn list(out: &mut impl Write) -> Result<(), Error> {
    lines(out).map_err(|why| Error::new("could not print the files of MNIST", why))
}

fn lines(out: &mut impl Write) -> io::Result<()> {
    // If `ACADEMICTORRENTS_PATH_MNIST` is set, `path()` returns that path.
    writeln!(out, "\nMNIST in {}", mnist::path().display())?;
    for (name, length) in mnist::FILES {
        writeln!(out, "{length:>12} bytes  {name}")?;
    }
    Ok(())
}
