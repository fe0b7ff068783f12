//! `cargo academictorrents get`.

use super::desk::{Desk, Page};
use crate::swarm::{Dataset, WebSeed, random_bytes};

#[test]
fn get_prints_the_path_alone_on_stdout() {
    let desk = Desk::new();
    let dataset = Dataset::single("data.bin", random_bytes(1, 300_000));
    let seed = WebSeed::serving(&dataset);
    desk.write("data.torrent", dataset.clone().url_list([seed.url()]).torrent());
    for _ in 0..2 {
        let printed = desk.ok(&["get", "data.torrent", "--into", "here"]);
        // Absolute, so that a script can go elsewhere.
        assert_eq!(printed, format!("{}\n", desk.path("here/data.bin").display()));
        dataset.assert_at(&desk.path("here/data.bin"));
    }
    assert_eq!(seed.bytes_served(), 300_000);
}

#[test]
fn what_get_cannot_do_it_tells() {
    let desk = Desk::new();
    let mut page = Page::new("get");
    page.show(&desk, &["get", "mnist"]);
    page.show(&desk, &["get"]);
    page.compare();
}
