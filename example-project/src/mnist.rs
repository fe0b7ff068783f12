//! The second dataset, of the feature `mnist`: a torrent of several files, so a directory.

use std::io::{self, Write};

use crate::datasets::mnist;
use crate::error::Error;

/// Prints where the files are, their names and their sizes.
pub fn list(out: &mut impl Write) -> Result<(), Error> {
    lines(out).map_err(|why| Error::new("could not print the files of MNIST", why))
}

fn lines(out: &mut impl Write) -> io::Result<()> {
    // What `ACADEMICTORRENTS_PATH_MNIST` names, where it is set.
    writeln!(out, "\nMNIST in {}", mnist::path().display())?;
    for (name, length) in mnist::FILES {
        writeln!(out, "{length:>12} bytes  {name}")?;
    }
    Ok(())
}
