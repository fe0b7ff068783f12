//! Which entries of the catalogue are meant, and which come first.

use super::database::{CatalogueEntry, Entries};

/// Words to search for
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Each must be in the title, the description, the category or the infohash, in whichever case. One may hold spaces.
    pub words: Vec<String>,
    /// Only of this category, in whichever case.
    pub category: Option<String>,
    /// Give no more than so many, the best.
    pub limit: Option<usize>,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SearchResults {
    /// The best first: those with more of the words in the title, as words of their own before parts of others; among equals the
    /// catalogue's order.
    pub entries: Vec<CatalogueEntry>,
    /// How many there are, with those that the limit left out.
    pub matching: usize,
    /// Entries of the catalogue.
    pub searched: usize,
    /// Entries that could not be used.
    pub odd: u64,
    /// The categories that there are, in the order of the alphabet.
    pub categories: Vec<String>,
}

/// More kinds of category are not listed.
const MAX_CATEGORIES: usize = 32;

/// What is found is sorted and cut to the limit when it is so many longer.
const SLACK: usize = 1024;

impl Query {
    /// What of a document of the catalogue's is meant.
    pub fn run(&self, document: &str) -> SearchResults {
        let words: Vec<String> = self.words.iter().map(|word| word.to_lowercase()).collect();
        let category = self.category.as_ref().map(|category| category.to_lowercase());
        let limit = self.limit.unwrap_or(usize::MAX);
        let mut found = SearchResults::default();
        let mut best: Vec<(usize, usize, CatalogueEntry)> = Vec::new();
        let cut = |best: &mut Vec<(usize, usize, CatalogueEntry)>| {
            best.sort_by_key(|(score, index, _)| (usize::MAX - score, *index));
            best.truncate(limit);
        };
        let mut entries = Entries::new(document);
        for entry in entries.by_ref() {
            let index = found.searched;
            found.searched += 1;
            note_category(&mut found.categories, &entry.category);
            if category.as_ref().is_some_and(|wanted| entry.category.to_lowercase() != *wanted) {
                continue;
            }
            if let Some(score) = score(&words, &entry) {
                found.matching += 1;
                best.push((score, index, entry));
                if best.len() > limit.saturating_add(SLACK) {
                    cut(&mut best);
                }
            }
        }
        cut(&mut best);
        found.odd = entries.odd;
        found.entries = best.into_iter().map(|(_, _, entry)| entry).collect();
        found
    }
}

fn note_category(categories: &mut Vec<String>, category: &str) {
    let is_known = categories.iter().any(|known| known == category);
    if !is_known && !category.is_empty() && categories.len() < MAX_CATEGORIES {
        categories.push(category.to_owned());
        categories.sort();
    }
}

/// How well it fits; `None` where a word is missing. The words are in lower case.
fn score(words: &[String], entry: &CatalogueEntry) -> Option<usize> {
    let title = entry.title.to_lowercase();
    let mut elsewhere = None;
    let mut score = 0;
    for word in words {
        if let Some(at) = title.find(word.as_str()) {
            score += 1 + usize::from(is_whole(&title, word, at));
            continue;
        }
        let elsewhere = elsewhere.get_or_insert_with(|| {
            let CatalogueEntry { description, category, infohash, .. } = entry;
            [description.to_lowercase(), category.to_lowercase(), infohash.to_string()]
        });
        if !elsewhere.iter().any(|text| text.contains(word.as_str())) {
            return None;
        }
    }
    Some(score)
}

/// Whether it stands somewhere as a word of its own; `at` is where it is found first.
fn is_whole(text: &str, word: &str, at: usize) -> bool {
    let is_edge = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
    let tail = text.get(at..).unwrap_or_default();
    tail.match_indices(word).any(|(offset, _)| {
        let before = text.get(..at + offset).unwrap_or_default();
        let after = text.get(at + offset + word.len()..).unwrap_or_default();
        is_edge(before.chars().next_back()) && is_edge(after.chars().next())
    })
}
