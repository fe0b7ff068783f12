//! A dataset with symbolic links (BEP 47).

use std::fs;
use std::path::Path;

use super::files::PIECE;
use crate::swarm::{Dataset, random_bytes};

/// One link points to a file and has a `length`, which must be ignored; the other points to a
/// directory and has none. The path of the first goes through the second.
pub fn linked() -> Dataset {
    let file = |seed| random_bytes(seed, 3 * PIECE / 2);
    Dataset::multi("set", [("v1/train.csv", file(1)), ("v1/test.csv", file(2)), ("d/e/x", file(3))])
        .link("d/e/latest.csv", "current/train.csv", Some(3 * PIECE as i64 / 2))
        .link("current", "v1", None)
}

const LINKS: [(&str, &str); 2] = [("d/e/latest.csv", "../../v1/train.csv"), ("current", "v1")];

#[track_caller]
pub fn assert_at(dataset: &Dataset, path: &Path) {
    dataset.assert_at(path);
    for (link, text) in LINKS {
        assert_eq!(fs::read_link(path.join(link)).unwrap(), Path::new(text));
    }
    assert_eq!(fs::read(path.join("d/e/latest.csv")).unwrap(), dataset.files()[0].1);
}
