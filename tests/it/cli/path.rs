//! `cargo academictorrents path`.

use super::desk::{Desk, Page};
use crate::swarm::{Dataset, WebSeed, random_bytes};

#[test]
fn path_prints_where_a_dataset_lies_or_says_what_is_missing() {
    let dataset = Dataset::single("data.bin", random_bytes(1, 300_000));
    let web_seed = WebSeed::serving(&dataset);
    let desk = Desk::new();
    let mut page = Page::new("path");
    page.show(&desk, &["path", "mnist"]);
    desk.write("data.torrent", dataset.clone().url_list([web_seed.url()]).torrent());
    desk.declare("mnist = { torrent = \"data.torrent\" }");
    page.show(&desk, &["path", "mnist"]);
    page.show(&desk, &["path", "minst"]);
    page.show(&desk, &["path", "minst", "--json"]);
    page.show(&desk, &["path", "mnist", "-p", "nobody"]);
    desk.ok(&["fetch"]);
    page.show(&desk, &["path", "mnist"]);
    page.show(&desk, &["path", "mnist", "--json"]);
    page.show(&desk, &["path", "data.torrent"]);
    page.compare();
}
