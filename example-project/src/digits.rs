//! Reads the dataset, gzipped lines of 64 shades and a label, and draws images as text.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use flate2::read::GzDecoder;

use crate::error::Error;

/// The width and height of an image, in pixels.
pub const SIDE: usize = 8;

/// The darkest shade: a pixel counts the ink in 4 x 4 dots of the scan.
pub const DARKEST: u8 = 16;

/// An image and the digit that it shows.
#[derive(Debug, PartialEq, Eq)]
pub struct Digit {
    /// Row by row, from 0 to [`DARKEST`].
    pub pixels: [u8; SIDE * SIDE],
    /// From 0 to 9.
    pub label: u8,
}

/// Reads all images of a `digits.csv.gz`.
pub fn read(path: &Path) -> Result<Vec<Digit>, Error> {
    let file = File::open(path).map_err(|why| Error::new(format!("{}", path.display()), why))?;
    let at = |number: usize| format!("{}, line {}", path.display(), number + 1);
    BufReader::new(GzDecoder::new(file))
        .lines()
        .enumerate()
        .map(|(number, line)| {
            let line = line.map_err(|why| Error::new(at(number), why))?;
            parse(&line).map_err(|why| Error::new(at(number), why))
        })
        .collect()
}

/// Reads one line: 64 shades, then the label.
fn parse(line: &str) -> Result<Digit, String> {
    let mut fields = line.split(',');
    let mut field = |what: &str, most: u8| {
        let text = fields.next().ok_or(format!("ends before {what}"))?;
        match text.parse() {
            Ok(value) if value <= most => Ok(value),
            _ => Err(format!("{what} is `{text}`, not a number from 0 to {most}")),
        }
    };
    let mut pixels = [0; SIDE * SIDE];
    for (number, pixel) in pixels.iter_mut().enumerate() {
        *pixel = field(&format!("pixel {}", number + 1), DARKEST)?;
    }
    let label = field("the label", 9)?;
    match fields.next() {
        None => Ok(Digit { pixels, label }),
        Some(_) => Err("goes on after the label".to_owned()),
    }
}

/// Draws images side by side, with their labels below. A pixel is two characters wide, which is
/// nearly square.
pub fn picture(digits: &[Digit]) -> String {
    let mut lines = Vec::new();
    for row in 0..SIDE {
        let mut line = String::new();
        for digit in digits {
            for &pixel in &digit.pixels[row * SIDE..][..SIDE] {
                line.extend([shade(pixel); 2]);
            }
            line.push_str("  ");
        }
        lines.push(line);
    }
    lines.push(digits.iter().map(|d| format!("{:^width$}  ", d.label, width = 2 * SIDE)).collect());
    lines.iter().map(|line| format!("{}\n", line.trim_end())).collect()
}

fn shade(pixel: u8) -> char {
    match pixel {
        0..=2 => ' ',
        3..=6 => '░',
        7..=10 => '▒',
        11..=13 => '▓',
        _ => '█',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(first: &str, pixels: usize, label: &str) -> String {
        format!("{first}{}{label}", ",0".repeat(pixels - 1))
    }

    #[test]
    fn a_line_is_64_shades_and_a_label() {
        let digit = parse(&line("16", 64, ",7")).unwrap();
        assert_eq!((digit.pixels[0], digit.pixels[63], digit.label), (16, 0, 7));
    }

    #[test]
    fn a_bad_line_says_what_is_wrong() {
        let check = |line: &str, why: &str| assert_eq!(parse(line).unwrap_err(), why);
        check("", "pixel 1 is ``, not a number from 0 to 16");
        check(&line("17", 64, ",7"), "pixel 1 is `17`, not a number from 0 to 16");
        check(&line("0", 63, ""), "ends before pixel 64");
        check(&line("0", 64, ""), "ends before the label");
        check(&line("0", 64, ",x"), "the label is `x`, not a number from 0 to 9");
        check(&line("0", 64, ",7,7"), "goes on after the label");
    }

    #[test]
    fn ink_is_drawn_over_its_label() {
        let digit = parse(&line("16", 64, ",7")).unwrap();
        let picture = picture(&[digit]);
        assert!(picture.starts_with("██\n\n\n"), "{picture}");
        assert!(picture.ends_with("\n       7\n"), "{picture}");
    }
}
