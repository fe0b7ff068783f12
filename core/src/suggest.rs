//! "Did you mean …?": finds the word that was probably intended. Layer 0.

/// Returns the candidate closest to `word`, if any is close enough to suggest.
///
/// Case, and `_` instead of `-`, are ignored. At most a third of the characters may differ. A word
/// that is a part of a candidate (`size` of `max-size`) is close, too.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    among(word, &mut candidates.into_iter())
}

fn among<'a>(word: &str, candidates: &mut dyn Iterator<Item = &'a str>) -> Option<&'a str> {
    let word = plain(word);
    // The distance is quadratic in the length, and no key or feature is this long.
    if word.is_empty() || word.chars().count() > 64 {
        return None;
    }
    candidates
        .filter_map(|candidate| {
            let plain = plain(candidate);
            let limit = (word.chars().count().max(plain.chars().count()) / 3).max(1);
            let distance = distance(&word, &plain);
            let part = word.len() >= 4 && plain.split('-').any(|part| part == word);
            (distance <= limit || part).then_some((distance, candidate))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

fn plain(word: &str) -> String {
    word.to_lowercase().replace('_', "-")
}

/// The edit distance: insertions, deletions, replacements, and swaps of neighbors.
///
/// Each row has one more entry than `to`, so the index `j + 1` is valid.
fn distance(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let first: Vec<usize> = (0..=to.len()).collect();
    let (mut before_last, mut last) = (first.clone(), first);
    for (i, a) in from.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in to.iter().enumerate() {
            let mut least = (last[j] + usize::from(a != b)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == to[j - 1] && from[i - 1] == *b {
                least = least.min(before_last[j - 1] + 1);
            }
            row.push(least);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_single_slips() {
        for (from, to, steps) in [
            ("files", "files", 0),
            ("file", "files", 1),
            ("fiels", "files", 1),
            ("flies", "files", 1),
            ("", "abc", 3),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(from, to), steps, "{from} {to}");
            assert_eq!(distance(to, from), steps, "{to} {from}");
        }
    }

    #[test]
    fn near_words_are_found_and_far_ones_are_not() {
        let keys = ["web-seeds", "max-size", "required-features", "store", "files"];
        for (word, found) in [
            ("web_seeds", Some("web-seeds")),
            ("Web-Seed", Some("web-seeds")),
            ("size", Some("max-size")),
            ("features", Some("required-features")),
            ("stroe", Some("store")),
            ("url", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, keys), found, "{word}");
        }
        assert_eq!(nearest(&"x".repeat(100_000), keys), None);
    }
}
