//! Classification by the nearest neighbor: an image gets the label of the most similar example.

use crate::digits::Digit;

/// The label of the example nearest to `digit`, or `None` without examples.
pub fn classify(examples: &[Digit], digit: &Digit) -> Option<u8> {
    examples.iter().min_by_key(|example| distance(example, digit)).map(|example| example.label)
}

/// The square of the Euclidean distance, which sorts like the distance itself.
fn distance(a: &Digit, b: &Digit) -> u32 {
    a.pixels.iter().zip(&b.pixels).map(|(&a, &b)| u32::from(a.abs_diff(b)).pow(2)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digits::SIDE;

    fn flat(shade: u8, label: u8) -> Digit {
        Digit { pixels: [shade; SIDE * SIDE], label }
    }

    #[test]
    fn the_nearest_example_names_the_digit() {
        let examples = [flat(2, 1), flat(9, 8), flat(16, 0)];
        assert_eq!(classify(&examples, &flat(7, 0)), Some(8));
        assert_eq!(classify(&examples, &flat(3, 0)), Some(1));
    }

    #[test]
    fn without_examples_there_is_no_answer() {
        assert_eq!(classify(&[], &flat(7, 0)), None);
    }
}
