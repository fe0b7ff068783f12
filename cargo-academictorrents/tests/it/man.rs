//! `cargo academictorrents man`.

use crate::cli_fixture::{CliFixture, Page};

#[test]
fn man_writes_a_page_for_the_whole_and_one_for_each_verb() {
    let cli = CliFixture::new();
    let mut page = Page::new("man");
    cli.ok(&["man", "--dir", "share/man1"]);
    let read = |name: &str| std::fs::read_to_string(cli.path("share/man1").join(name)).unwrap();
    cli.write("blocked", "");
    page.show(&cli, &["man", "--dir", "blocked"]);
    page.compare();
    let whole = cli.ok(&["man"]);
    assert_eq!(whole.trim_end(), read("cargo-academictorrents.1").trim_end());
    let (_, verbs) =
        cli.ok(&["--help"]).split_once("\nCommands:\n").map(|(_, it)| ((), it.to_owned())).unwrap();
    let (verbs, _) = verbs.split_once("\n\n").unwrap();
    let verbs = verbs.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    let verbs: Vec<_> = verbs.filter(|verb| !verb.is_empty()).collect();
    assert!(verbs.contains(&"man"), "{verbs:?}");
    let listed = cli.ok(&["man", "--dir", "share/man1"]);
    assert_eq!(listed.lines().count(), verbs.len() + 1);
    for verb in verbs {
        let page = read(&format!("cargo-academictorrents-{verb}.1"));
        let name = format!("cargo\\-academictorrents\\-{verb}");
        for says in [
            format!(".TH {name} 1 \"\" \"academictorrents {}\" \" \"\n", env!("CARGO_PKG_VERSION")),
            format!(".SH NAME\n{name} \\- "),
            format!("\\fBcargo academictorrents {verb}\\fR"),
            ".SH \"COMMON OPTIONS\"".to_owned(),
            ".SH EXAMPLES\n.nf\n".to_owned(),
            format!("cargo academictorrents {verb}").replace('-', "\\-"),
        ] {
            assert!(page.contains(&says), "{verb}: no {says:?} in\n{page}");
        }
        assert!(page.is_ascii(), "{verb}");
        assert!(whole.contains(&name), "{verb}");
    }
    assert!(whole.contains(".SH \"EXIT STATUS\""), "{whole}");
}
