//! Parsers of the catalog's documents, and what is made from them.

#[path = "../../../core/src/fuzz/mutations.rs"]
mod mutations;

use proptest::prelude::*;

use super::bibtex::{Bibtex, escape};
use super::database::{Entries, text};
use super::fuzz;
use super::query::Query;
use super::record::CatalogueRecord;

const HASH: &str = "b2bbaccd349e8e2954a438ced6fc01adae4ea1f1";

fn document(items: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?>\n<rss xmlns:academictorrents=\"http://academictorrents.com\" version=\"2.0\">\n<channel>\n\
         <title>Academic Torrents</title>\n<description>All Torrents</description>\n{items}\n</channel>\n</rss>\n"
    )
}

fn item(title: &str, more: &str) -> String {
    format!("<item>\n<title>{title}</title>\n<infohash>{HASH}</infohash>\n{more}\n</item>")
}

/// Returns titles and descriptions, and how many entries could not be used.
fn read(document: &str) -> (Vec<(String, String)>, u64) {
    let mut entries = Entries::new(document);
    let found = entries.by_ref().map(|entry| (entry.title, entry.description)).collect();
    (found, entries.odd)
}

#[track_caller]
fn check(items: &str, expected: &[(&str, &str)], odd: u64) {
    let expected: Vec<_> =
        expected.iter().map(|(title, text)| ((*title).to_owned(), (*text).to_owned())).collect();
    let document = document(items);
    assert_eq!(read(&document), (expected, odd), "{items}");
    if odd == 0 {
        assert_eq!(Entries::flaw(document.as_bytes()), None, "{items}");
    }
}

#[test]
fn an_entry_is_read_as_the_documentation_shows_it() {
    let text = document(&format!(
        "<item>\n<title>MLDS-DS3-10000-v1.0</title>\n<category>Dataset</category>\n<infohash>{HASH}</infohash>\n\
         <guid>http://academictorrents.com/details/{HASH}</guid>\n<link>http://academictorrents.com/details/{HASH}</link>\n\
         <description>Machine Learning Dataset, DS3-10000 v1.0</description>\n<size>1354135939103</size>\n</item>"
    ));
    let entries: Vec<_> = Entries::new(&text).collect();
    assert_eq!(entries.len(), 1);
    let entry = &entries[0];
    assert_eq!(entry.infohash.to_string(), HASH);
    assert_eq!((&*entry.title, &*entry.category), ("MLDS-DS3-10000-v1.0", "Dataset"));
    assert_eq!(entry.size_bytes, Some(1_354_135_939_103));
    let page = format!("http://academictorrents.com/details/{HASH}");
    assert_eq!((&entry.link, &entry.guid), (&page, &page));
}

#[test]
fn what_is_odd_is_read_over_and_entries_without_an_infohash_are_counted() {
    check("", &[], 0);
    let text = |text: &str| item("a", &format!("<description>{text}</description>"));
    check(&text("AT&amp;T &lt;b&gt; &#233;&#xe9; &apos;&quot;"), &[("a", "AT&T <b> éé '\"")], 0);
    check(&text("<![CDATA[<b>1 & 2</b>]]> &amp; 3"), &[("a", "<b>1 & 2</b> & 3")], 0);
    check(&text("AT&T, R&D"), &[("a", "AT&T, R&D")], 0);
    check(&text("caf&eacute; &nbsp;&#0;&#xffffffff;"), &[("a", "caf&eacute;  \0&#xffffffff;")], 0);
    check(&text("raw <b>HTML<br>is<p>text</b>"), &[("a", "raw HTMListext")], 0);
    check(&item("a", "<author>b</author><media:x><title>c</title></media:x>"), &[("a", "")], 0);
    check(&item("a", "<title>second</title><x/><description/>"), &[("a", "")], 0);
    check("<item/><item></item>", &[], 1);
    check("<item><title>a</title><infohash>none</infohash></item>", &[], 1);
    let page = format!("<item><title>a</title><link>http://c/details/{HASH}</link></item>");
    check(&page, &[("a", "")], 0);
    let prefixed = format!("<item><title>a</title><x:infohash> {HASH}\n</x:infohash></item>");
    check(&prefixed, &[("a", "")], 0);
    // An entry that is not closed is lost, but later entries are not.
    check(&format!("<item><title>lost</title>{}", item("a", "")), &[("a", "")], 0);
    check(&item(&"x".repeat(300 << 10), ""), &[], 1);
    let odd_size = document(&item("a", "<size>big</size>"));
    let sizes = Entries::new(&odd_size).map(|it| it.size_bytes);
    assert_eq!(sizes.collect::<Vec<_>>(), [None]);
}

#[test]
fn entities_that_a_document_declares_are_not_expanded() {
    let mut bomb = "<!DOCTYPE rss [<!ENTITY a0 \"ha\">".to_owned();
    for level in 1..30 {
        bomb += &format!("<!ENTITY a{level} \"&a{0};&a{0};\">", level - 1);
    }
    bomb += &format!(
        "]>{}",
        document(&item("&a29;", "")).trim_start_matches("<?xml version=\"1.0\"?>")
    );
    assert_eq!(read(&bomb), (vec![("&a29;".to_owned(), String::new())], 0));
    assert_eq!(Entries::flaw(bomb.as_bytes()), None);
}

#[test]
fn elements_in_elements_cost_no_stack() {
    let deep = "<a>".repeat(1_000_000);
    let (found, _) = read(&document(&format!("{deep}{}", item("a", ""))));
    assert_eq!(found.len(), 1);
}

#[test]
fn what_is_no_whole_database_is_told() {
    let check = |text: &str, why: &str| {
        let said = Entries::flaw(text.as_bytes()).unwrap();
        assert!(said.contains(why), "{text}: {said}");
    };
    check("", "not XML");
    check("404 not found", "not XML");
    check("<!DOCTYPE html>\n<html><head><title>Down</title></head></html>", "begins with <html>");
    let whole = document(&[item("a", ""), item("b", "")].concat());
    check(&whole[..whole.len() - 40], "truncated after 1 entry");
    check(&document("<item></item>"), "no entry has an infohash");
    assert_eq!(Entries::flaw(whole.trim_end().as_bytes()), None);
    // With a byte order mark, and with bytes that are not UTF-8.
    let marked = [b"\xef\xbb\xbf", whole.as_bytes()].concat();
    assert_eq!(Entries::flaw(&marked), None);
    let broken = whole.replace("<title>a", "<title>\u{1}").into_bytes();
    let broken: Vec<u8> =
        broken.into_iter().map(|byte| if byte == 1 { 0xff } else { byte }).collect();
    assert_eq!(read(&text(&broken)).0[0].0, "\u{fffd}");
}

#[test]
fn all_words_must_be_there_and_titles_come_first() {
    let described = |title: &str, description: &str, category: &str| {
        let more =
            format!("<description>{description}</description><category>{category}</category>");
        item(title, &more)
    };
    let document = document(
        &[
            described("Digits", "Of the MNIST kind", "Dataset"),
            described("KMNIST", "", "Dataset"),
            described("The MNIST Database", "Handwritten digits", "Dataset"),
            described("Lectures", "", "Course"),
        ]
        .concat(),
    );
    let check = |words: &[&str], category: Option<&str>, expected: &[&str]| {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        let query = Query { words, category: category.map(str::to_owned), limit: None };
        let found = query.run(&document);
        let titles: Vec<_> = found.entries.iter().map(|entry| entry.title.as_str()).collect();
        assert_eq!(titles, expected);
        assert_eq!((found.matching, found.searched), (expected.len(), 4));
        assert_eq!(found.categories, ["Course", "Dataset"]);
    };
    check(&["mnist"], None, &["The MNIST Database", "KMNIST", "Digits"]);
    // Each has one of the words in its title, so they stay in order.
    check(&["mnist", "DIGITS"], None, &["Digits", "The MNIST Database"]);
    check(&["mnist database"], None, &["The MNIST Database"]);
    check(&["course"], None, &["Lectures"]);
    check(&[], Some("course"), &["Lectures"]);
    check(&["b2bbaccd"], Some("DATASET"), &["Digits", "KMNIST", "The MNIST Database"]);
    check(&["nothing"], None, &[]);
}

#[test]
fn a_limit_keeps_the_best_of_many() {
    let mut items: String = (0..3000).map(|index| item(&format!("xa{index}"), "")).collect();
    items += &item("a", "");
    let query = Query { words: vec!["a".into()], category: None, limit: Some(2) };
    let found = query.run(&document(&items));
    let titles: Vec<_> = found.entries.iter().map(|entry| entry.title.as_str()).collect();
    assert_eq!((titles, found.matching), (vec!["a", "xa0"], 3001));
}

#[track_caller]
fn bibtex(text: &str) -> String {
    Bibtex::parse(text).unwrap().to_string()
}

#[test]
fn bibtex_is_read_as_people_type_it() {
    let typed = "@article{,\n\t\ttitle = {The {MNIST} database},\n\t\tauthor = \"LeCun and Cortes\", journal= {}, year=1998,\n month = jan }";
    let read = Bibtex::parse(typed).unwrap();
    assert_eq!((&*read.kind, &*read.key), ("article", ""));
    assert_eq!(read.field("author"), Some("LeCun and Cortes"));
    assert_eq!(
        read.to_string(),
        "@article{,\n  title = {The {MNIST} database},\n  author = {LeCun and Cortes},\n  year = {1998},\n  month = {jan},\n}"
    );
    assert_eq!(bibtex("@Misc(a:1, title = {b})"), "@misc{a:1,\n  title = {b},\n}");
    assert_eq!(bibtex("text @misc{title = {b}, title = {c}}"), "@misc{,\n  title = {b},\n}");
    assert_eq!(bibtex("@misc{a b, title = \"x\" # { y}}"), "@misc{,\n  title = {x y},\n}");
    assert_eq!(
        bibtex("@misc{a,\n title = {b\u{1b}[31m\n  c}}"),
        "@misc{a,\n  title = {b[31m c},\n}"
    );
    for odd in [
        "",
        "no entry",
        "@misc",
        "@misc{",
        "@misc{a",
        "@misc{a}",
        "@misc{a, title}",
        "@misc{a, title = {b}",
        "@misc{a, title = {b",
        "@misc{a, title = \"b} {c\"}",
        "@misc{a, {b} = {c}}",
        "@comment{a, title = {b}}",
        "@string{a = {b}}",
        "user@example.org",
    ] {
        assert!(Bibtex::parse(odd).is_err(), "{odd}");
    }
}

#[test]
fn text_is_escaped_so_that_braces_match() {
    assert_eq!(
        escape("R&D_50% {a\\b}\n~^#$"),
        "R\\&D\\_50\\% \\textbraceleft{}a\\textbackslash{}b\\textbraceright{} \\textasciitilde{}\\textasciicircum{}\\#\\$"
    );
    let made = Bibtex {
        kind: "misc".into(),
        key: "a".into(),
        fields: vec![("title".into(), escape("{{}"))],
    };
    assert_eq!(Bibtex::parse(&made.to_string()).unwrap(), made);
}

#[test]
fn a_latex_command_in_a_record_is_no_escape() {
    let title = |json: &str| {
        let record = CatalogueRecord::parse(json.as_bytes());
        record.unwrap_or_else(|why| panic!("{json}: {why}")).title.unwrap()
    };
    for (in_json, expected) in [
        (r"\url{http://x}", r"\url{http://x}"),
        (r"\u{a} \u12", r"\u{a} \u12"),
        (r"\uabcg\u00e9", "\\uabcg\u{e9}"),
        (r"\H{o} \'e \&", r"\H{o} \'e \&"),
        (r"\frac \bibinfo{a} \b{o}", r"\frac \bibinfo{a} \b{o}"),
        // The writer escapes neither control characters nor backslashes.
        (
            "\n\\alpha \\textit{a} \\newline \\rho \\r{a} \\t{oo}",
            "\n\\alpha \\textit{a} \\newline \\rho \\r{a} \\t{oo}",
        ),
        ("a\n\\textit{a} \\nu", "a\n\\textit{a} \\nu"),
        (r#"\alpha \"a\" \\textit \n \/"#, "\\alpha \"a\" \\textit \n /"),
        // It escapes control characters.
        (r"\'E,\nauthor\tb\r{a}", "\\'E,\nauthor\tb\r{a}"),
        // It escapes both.
        (r"\\alpha \\textit{a}\nb\tc", "\\alpha \\textit{a}\nb\tc"),
        (r"\u0041 \b \f", "A \u{8} \u{c}"),
    ] {
        let json = format!("{{\"name\": \"x {in_json} y\"}}");
        assert_eq!(title(&json), format!("x {expected} y"), "{json}");
    }
    let json =
        "{\"bibtex\": \"@misc{a,\ntitle={\\textit{A}},\nurl={\\url{http://x}},\nauthor={B}}\"}";
    let record = CatalogueRecord::parse(json.as_bytes()).unwrap();
    let bibtex = record.bibtex.unwrap().to_string();
    assert!(bibtex.contains("\\textit{A}") && bibtex.contains("\\url{http://x}"), "{bibtex}");
    let record = CatalogueRecord::parse(br#"{"bibtex": "@misc{a,\nauthor={\'E. B}}"}"#).unwrap();
    assert_eq!(record.bibtex.unwrap().fields, [("author".to_owned(), r"\'E. B".to_owned())]);
}

#[test]
fn a_record_is_read_in_whichever_form() {
    let check = |json: &str, title: Option<&str>, has_bibtex: bool| {
        let record =
            CatalogueRecord::parse(json.as_bytes()).unwrap_or_else(|why| panic!("{json}: {why}"));
        assert_eq!(
            (record.title.as_deref(), record.bibtex.is_some()),
            (title, has_bibtex),
            "{json}"
        );
    };
    check("{\"name\": \"a\"}", Some("a"), false);
    check("{\"bibtex\": \"@article{,\n\ttitle= {a}\n}\"}", None, true);
    check(
        "\u{feff}{\"bibtex\": \"@misc{,\\n title = {Erd\\H{o}s, \\'e}}\", \"title\": \"a\"}",
        Some("a"),
        true,
    );
    check("[{\"entry\": {\"name\": \"a\", \"bibtex\": \"\"}}]", Some("a"), false);
    check("{\"name\": \"a\", \"descr\": \"@misc{a, title = {b}}\", \"entry\": 1}", Some("a"), true);
    check("{\"name\": \"a\", \"descr\": \"words\", \"bibtex\": null}", Some("a"), false);
    let record = CatalogueRecord::parse(
        br#"{"name":"a","authors":["B","C"],"year":1998,"bibtex":"@misc{"}"#,
    )
    .unwrap();
    assert_eq!(
        (record.authors.as_deref(), record.year.as_deref()),
        (Some("B and C"), Some("1998"))
    );
    assert!(record.odd_bibtex.is_some());
    for odd in [
        "",
        "<html>",
        "[]",
        "1",
        "{}",
        "{\"error\": \"no such entry\"}",
        "{\"name\": \"a\"",
        "[[[[[[]]]]]]",
    ] {
        assert!(CatalogueRecord::parse(odd.as_bytes()).is_err(), "{odd}");
    }
    let deep = "[".repeat(1 << 20);
    assert!(CatalogueRecord::parse(deep.as_bytes()).is_err());
}

/// Concatenates parts of such documents in any order.
fn pieces(of: &'static [&'static str]) -> impl Strategy<Value = String> {
    let piece =
        prop_oneof![4 => proptest::sample::select(of).prop_map(str::to_owned), 1 => ".{0,5}"];
    proptest::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

const XML: &[&str] = &[
    "<rss>",
    "<channel>",
    "<item>",
    "</item>",
    "<item/>",
    "<title>",
    "</title>",
    "<infohash>",
    "</infohash>",
    HASH,
    "<x:y a='b'>",
    "</x:y>",
    "<![CDATA[",
    "]]>",
    "<!--",
    "-->",
    "&amp;",
    "&#x;",
    "&a;",
    "&",
    "<",
    ">",
    "<!DOCTYPE",
    "[",
    "]",
    "<?",
    "?>",
    "</rss>",
];

const BIBTEX: &[&str] =
    &["@", "misc", "{", "}", "(", ")", ",", "=", "\"", "#", "title", " ", "\n", "\\", "é"];

const JSON: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\",
    "\"bibtex\"",
    "\"name\":",
    "\"a\"",
    "@misc{a,title={b}}",
    "1",
    "null",
    "\n",
    "\\u",
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_document_makes_a_reader_panic_or_keep_more_than_it_was_given(
        xml in pieces(XML), bytes in proptest::collection::vec(any::<u8>(), 0..300)
    ) {
        for text in [text(xml.as_bytes()), text(&bytes)] {
            let _ = Entries::flaw(text.as_bytes());
            let kept: usize = Entries::new(&text)
                .map(|it| it.title.len() + it.description.len() + it.category.len() + it.link.len() + it.guid.len())
                .sum();
            prop_assert!(kept <= text.len() * 2, "{kept} of {}", text.len());
        }
        let _ = CatalogueRecord::parse(&bytes);
    }

    #[test]
    fn bibtex_that_is_read_is_written_so_that_it_reads_the_same(text in pieces(BIBTEX)) {
        if let Ok(read) = Bibtex::parse(&text) {
            let again = Bibtex::parse(&read.to_string());
            prop_assert_eq!(again.as_ref(), Ok(&read), "{}", read);
        }
    }

    #[test]
    fn what_is_escaped_reads_as_one_value(title in ".*") {
        let made = format!("@misc{{a, title = {{x{}}}, year = 1}}", escape(&title));
        let read = Bibtex::parse(&made);
        prop_assert_eq!(read.as_ref().map(|it| it.fields.len()), Ok(2), "{}", made);
    }

    #[test]
    fn no_json_makes_the_reader_of_records_panic(text in pieces(JSON)) {
        let _ = CatalogueRecord::parse(text.as_bytes());
    }
}

#[test]
fn the_fuzz_target_holds_for_its_seeds_and_for_mutations_of_them() {
    mutations::check(fuzz::decode, &fuzz::SEEDS.map(<[u8]>::to_vec));
}

/// The initial corpus of `.ci/fuzz`.
#[test]
#[ignore = "writes into fuzz/corpus"]
fn write_seeds() {
    let corpus = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/catalogue");
    std::fs::create_dir_all(&corpus).unwrap();
    for (number, seed) in fuzz::SEEDS.iter().enumerate() {
        std::fs::write(corpus.join(format!("seed-{number}")), seed).unwrap();
    }
}
