//! Recognizes handwritten digits of a dataset that the build script fetched and verified.

mod digits;
mod error;
#[cfg(feature = "mnist")]
mod mnist;
mod neighbor;

use std::io::{self, Write};
use std::path::Path;

use crate::digits::Digit;
use crate::error::Error;

/// The path of the verified file on this machine, which the build script passes to the compiler.
const DIGITS: &str = env!("AT_DIGITS_PATH");

/// A module for each dataset, with its path and more.
mod datasets {
    include!(concat!(env!("OUT_DIR"), "/datasets.rs"));
}

/// The number of images that serve as examples; the rest are classified.
const EXAMPLES: usize = 1_500;

/// The number of images to draw, side by side.
const DRAWN: usize = 4;

fn main() -> Result<(), Error> {
    let digits = digits::read(Path::new(DIGITS))?;
    let mut out = io::stdout().lock();
    report(&digits, &mut out).map_err(|why| Error::new("could not print the report", why))?;
    #[cfg(feature = "mnist")]
    mnist::list(&mut out)?;
    Ok(())
}

fn report(digits: &[Digit], out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{} images of digits in {DIGITS}", digits.len())?;
    writeln!(out, "of the torrent {}\n", datasets::digits::INFOHASH)?;
    let (examples, unseen) = digits.split_at(EXAMPLES.min(digits.len()));
    write!(out, "{}", digits::picture(&unseen[..DRAWN.min(unseen.len())]))?;

    let right = unseen
        .iter()
        .filter(|digit| neighbor::classify(examples, digit) == Some(digit.label))
        .count();
    let percent = 100.0 * right as f64 / unseen.len().max(1) as f64;
    writeln!(
        out,
        "\nnearest of {} neighbors: {right} of {} recognized, accuracy {percent:.1} %",
        examples.len(),
        unseen.len(),
    )
}
