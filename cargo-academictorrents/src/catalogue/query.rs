//! Searches the catalog, and ranks the results.

use super::database::{CatalogueEntry, Entries};

/// A search of the catalog.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Each must occur in the title, description, category or infohash, ignoring case. May contain
    /// spaces.
    pub words: Vec<String>,
    /// Only entries of this category, ignoring case.
    pub category: Option<String>,
    /// The maximum number of results; the best ones are kept.
    pub limit: Option<usize>,
}

/// The results of a search.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SearchResults {
    /// The best first: entries with more of the words in the title, where whole words count more
    /// than parts. Ties keep the catalog's order.
    pub entries: Vec<CatalogueEntry>,
    /// How many entries match, including those beyond the limit.
    pub matching: usize,
    /// How many entries the catalog has.
    pub searched: usize,
    /// How many entries could not be used.
    pub odd: u64,
    /// The existing categories, sorted.
    pub categories: Vec<String>,
}

/// The maximum number of categories that are listed.
const MAX_CATEGORIES: usize = 32;

/// Results are sorted and cut to the limit when they exceed it by this many.
const SLACK: usize = 1024;

impl Query {
    /// Searches a database document of the catalog.
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

/// Ranks an entry. Returns `None` if a word is missing. Words are in lower case.
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

/// Whether a word occurs as a whole word; `at` is its first occurrence.
fn is_whole(text: &str, word: &str, at: usize) -> bool {
    let is_edge = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
    let tail = text.get(at..).unwrap_or_default();
    tail.match_indices(word).any(|(offset, _)| {
        let before = text.get(..at + offset).unwrap_or_default();
        let after = text.get(at + offset + word.len()..).unwrap_or_default();
        is_edge(before.chars().next_back()) && is_edge(after.chars().next())
    })
}
