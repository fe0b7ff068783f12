//! `cargo academictorrents search`.

use std::time::{Duration, SystemTime};

use crate::cli_fixture::{CliFixture, Page, Run};
use crate::swarm::TlsFront;
use crate::swarm::catalogue::{Catalogue, Fault, item};

const MNIST: &str = "323a0048d87ca79b68f12a6350a57776b6a3b7fb";
const XRAY: &str = "b2bbaccd349e8e2954a438ced6fc01adae4ea1f1";
const NOTES: &str = "c143f1b108fe5ab748d5a6f1ff7b2a6271e4219d";

fn catalogue() -> Catalogue {
    let items = [
        item(
            XRAY,
            "Chest X-Ray &amp; Pneumonia",
            "Dataset",
            "Not as small as MNIST",
            1_354_135_939_103,
        ),
        item(
            MNIST,
            "The MNIST\n Database \u{1b}[31mred",
            "Dataset",
            "<![CDATA[70,000 <b>digits</b>]]>",
            11_594_722,
        ),
        item(NOTES, "", "Paper", "On MNIST", 7_100),
        "<item><title>mnist</title></item>".to_owned(),
    ];
    Catalogue::serving(&[]).database(&items.concat())
}

fn cli(catalogue: &Catalogue) -> CliFixture {
    CliFixture::new().env("ACADEMICTORRENTS_CATALOGUE", catalogue.url())
}

/// The store's copy of the database.
fn kept(cli: &CliFixture) -> std::fs::File {
    let kept = std::fs::read_dir(cli.store().join("v1/catalogue")).unwrap();
    let kept: Vec<_> = kept.map(|entry| entry.unwrap().path().join("database.xml")).collect();
    assert_eq!(kept.len(), 1);
    std::fs::File::options().append(true).open(&kept[0]).unwrap()
}

/// Makes the copy this old.
fn age(cli: &CliFixture, age: Duration) {
    kept(cli).set_modified(SystemTime::now() - age).unwrap();
}

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn search_shows_what_has_all_words_those_in_titles_first() {
    let catalogue = catalogue();
    let cli = cli(&catalogue);
    let mut page = Page::new("search");
    page.show(&cli, &["search", "mnist"]);
    page.show(&cli, &["search", "MNIST", "small"]);
    page.show(&cli, &["search", "x-ray & pneumonia"]);
    page.show(&cli, &["search", "mnist", "--limit", "1"]);
    page.show(&cli, &["search", "--category", "paper"]);
    page.show(&cli, &["search", "mnist", "imagenet"]);
    page.show(&cli, &["search", "mnist", "--category", "film"]);
    page.show(&cli, &["search", "mnist", "digits", "--json"]);
    page.show(&cli, &["search", "imagenet", "--json"]);
    page.show(&cli, &["search"]);
    // On a busy machine, the copy is a few seconds old.
    page.redact(|line| match line.split_once("\"age_seconds\": ") {
        Some((before, _)) => format!("{before}\"age_seconds\": 0,"),
        None => line.to_owned(),
    });
    page.compare();
    // All searches share one download.
    assert_eq!(catalogue.requests().len(), 1);
}

#[test]
fn a_copy_serves_for_a_day_and_is_then_asked_for_by_its_etag() {
    let catalogue = catalogue();
    catalogue.etag("\"1\"");
    let cli = cli(&catalogue);
    let search = ["search", "mnist"];
    let first = cli.ok(&search);
    age(&cli, 23 * HOUR);
    assert_eq!(cli.ok(&search), first);
    assert_eq!(catalogue.requests().len(), 1);
    let whole = catalogue.http().body_bytes();
    let refresh = &["search", "mnist", "--refresh"][..];
    for (old, arguments, asks) in [(25, &search[..], 2), (1, &search, 2), (1, refresh, 3)] {
        age(&cli, old * HOUR);
        assert_eq!(cli.ok(arguments), first);
        assert_eq!(catalogue.requests().len(), asks);
    }
    assert_eq!(catalogue.http().body_bytes(), whole);
    // A changed database is downloaded.
    catalogue.etag("\"2\"");
    catalogue.document(
        "/database.xml",
        crate::swarm::catalogue::database(&item(NOTES, "MNIST 2", "Paper", "", 1)),
    );
    assert_eq!(cli.ok(&search), first);
    let second = cli.ok(&["search", "mnist", "--refresh"]);
    assert!(second.contains("MNIST 2") && !second.contains(MNIST), "{second}");
    // A copy dated in the future, by a wrong clock, does not count as fresh.
    let asked = catalogue.requests().len();
    kept(&cli).set_modified(SystemTime::now() + 100 * HOUR).unwrap();
    assert_eq!((cli.ok(&search), cli.ok(&search)), (second.clone(), second));
    assert_eq!(catalogue.requests().len(), asked + 1);
}

#[test]
fn a_store_that_cannot_be_written_is_no_reason_not_to_search() {
    let catalogue = catalogue();
    let cli = cli(&catalogue);
    cli.write("store", "no directory");
    let run = cli.run(&["search", "mnist"]);
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    assert!(
        run.stdout.contains(MNIST)
            && run.stderr.contains("could not be stored\n  could not create"),
        "{}",
        run.stderr
    );
    assert!(!run.stderr.contains(" old"), "{}", run.stderr);
}

#[test]
fn an_old_copy_stands_in_where_the_catalogue_does_not_answer() {
    let catalogue = catalogue();
    let cli = cli(&catalogue);
    let first = cli.ok(&["search", "mnist"]);
    age(&cli, 75 * HOUR);
    let check = |arguments: &[&str], said: &[&str]| {
        let run = cli.run(arguments);
        assert_eq!((run.status, &run.stdout), (Some(0), &first), "{}", run.stderr);
        assert!(said.iter().all(|said| run.stderr.contains(said)), "{}", run.stderr);
    };
    catalogue.fault(Fault::Garbage);
    check(&["search", "mnist"], &["could not be refreshed", "begins with <html>", "3 days old"]);
    // Offline, a copy of any age is used, and no socket is opened.
    let asked = catalogue.requests().len();
    check(&["search", "mnist", "--offline"], &["3 days old"]);
    check(&["search", "mnist", "--offline", "--refresh"], &["3 days old"]);
    assert_eq!(catalogue.requests().len(), asked);
    // `--refresh` does not fall back to an old copy.
    assert_eq!(cli.run(&["search", "mnist", "--refresh"]).status, Some(1));
    check(&["search", "mnist"], &["3 days old"]);
    // The copy of one catalog is not used for another.
    let other = crate::search::catalogue().with(Fault::Status(404));
    let elsewhere = cli.env("ACADEMICTORRENTS_CATALOGUE", other.url());
    assert_eq!(elsewhere.run(&["search", "mnist"]).status, Some(1));
}

#[test]
fn what_a_catalogue_does_wrong_is_told() {
    let mut page = Page::new("search-failures");
    for fault in [
        Fault::Status(404),
        Fault::Status(500),
        Fault::Garbage,
        Fault::Truncated,
        Fault::Stall,
        Fault::RedirectLoop,
    ] {
        page.show(&cli(&catalogue().with(fault)), &["search", "mnist"]);
    }
    let cli = CliFixture::new();
    page.show(&cli, &["search", "mnist"]);
    page.show(&cli, &["search", "mnist", "--offline"]);
    page.show(&cli, &["search", "mnist", "--offline", "--json"]);
    page.compare();
}

#[track_caller]
fn fails(run: &Run, said: &str) {
    assert_eq!((run.status, &*run.stdout), (Some(1), ""), "{}", run.stderr);
    assert!(run.stderr.contains(said), "{}", run.stderr);
}

#[test]
fn a_database_without_end_is_not_read_to_the_end() {
    let catalogue = catalogue().with(Fault::Endless);
    fails(&cli(&catalogue).run(&["search", "mnist"]), "longer than 67108864 bytes");
    let sent = catalogue.http().body_bytes();
    assert!(sent < 100 << 20, "{sent} bytes");
}

#[test]
fn a_database_that_comes_slowly_comes_but_not_for_ever() {
    let comes = catalogue().with(Fault::Slow(400));
    let searched = cli(&comes).env("ACADEMICTORRENTS_TIMEOUT", "3s").run(&["search", "mnist"]);
    assert_eq!(searched.status, Some(0), "{}", searched.stderr);
    let drips = catalogue().with(Fault::Slow(1));
    let cli = cli(&drips).env("ACADEMICTORRENTS_TIMEOUT", "600ms");
    let begun = std::time::Instant::now();
    fails(&cli.run(&["search", "mnist"]), "timed out");
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
}

#[test]
fn a_redirect_is_followed_but_never_from_https_to_http() {
    let behind = catalogue();
    let http = catalogue().with(Fault::RedirectTo(behind.url()));
    assert_eq!(cli(&http).run(&["search", "mnist"]).status, Some(0));
    let front = TlsFront::before(http.http().addr());
    let cli = CliFixture::new().env("ACADEMICTORRENTS_CATALOGUE", front.url());
    let ca = cli.path("ca.pem");
    front.write_ca(&ca);
    let cli = cli.env("ACADEMICTORRENTS_CA_FILE", ca.display());
    let asked = behind.requests().len();
    fails(&cli.run(&["search", "mnist"]), "redirects from https");
    assert_eq!(behind.requests().len(), asked);
    // With TLS only, it works.
    http.mend();
    assert_eq!(cli.run(&["search", "mnist"]).status, Some(0));
}

#[test]
fn the_catalogue_is_sent_the_key_and_where_it_leads_elsewhere_is_not() {
    let elsewhere = catalogue();
    let keyed =
        |catalogue: &Catalogue| cli(catalogue).env("ACADEMICTORRENTS_API_KEY", "uid=1;pass=2");
    let catalogue = self::catalogue();
    keyed(&catalogue).ok(&["search", "mnist"]);
    assert_eq!(catalogue.requests()[0].header("cookie"), Some("uid=1; pass=2"));
    let leads = self::catalogue().with(Fault::RedirectTo(elsewhere.url()));
    keyed(&leads).ok(&["search", "mnist"]);
    assert_eq!(leads.requests()[0].header("cookie"), Some("uid=1; pass=2"));
    assert_eq!(elsewhere.requests()[0].header("cookie"), None);
}
