use super::*;

fn file_url(seed: &str, multi: bool, name: &[u8], path: &[Vec<u8>]) -> String {
    FileUrls::new(&seed.into(), multi, name)
        .in_form(0, path.iter().map(Vec::as_slice))
        .exposed()
        .to_owned()
}

#[test]
fn a_single_file_is_its_url_or_lies_in_the_directory() {
    let check = |seed: &str, expected: &str| {
        assert_eq!(file_url(seed, false, b"a b.zip", &[]), expected);
    };
    check("http://h/x.zip", "http://h/x.zip");
    check("http://h/d/", "http://h/d/a%20b.zip");
    check("http://h", "http://h");
    check("http://h/", "http://h/a%20b.zip");
    check("http://h/x%20y.zip", "http://h/x%20y.zip");
    check("http://h/x y.zip", "http://h/x%20y.zip");
    check(" http://h/x.zip\n", "http://h/x.zip");
    check("http://h/é.zip", "http://h/%C3%A9.zip");
    check("http://h/get?f=x.zip&t=1", "http://h/get?f=x.zip&t=1");
    check("http://h/x.zip#top", "http://h/x.zip");
    check("http://[::1]:80/x.zip", "http://[::1]:80/x.zip");
}

#[test]
fn a_folder_lies_below_the_seed_with_one_slash_between() {
    let check = |seed: &str, expected: &str| {
        let path = [b"sub".to_vec(), b"f.bin".to_vec()];
        assert_eq!(file_url(seed, true, b"name", &path), expected);
    };
    check("http://h/d/", "http://h/d/name/sub/f.bin");
    check("http://h/d", "http://h/d/name/sub/f.bin");
    check("http://h", "http://h/name/sub/f.bin");
    check("http://h/get?f=", "http://h/get?f=name/sub/f.bin");
    check("http://h/get?f=d", "http://h/get?f=d/name/sub/f.bin");
    check("http://h/get?f=/d/", "http://h/get?f=/d/name/sub/f.bin");
    check("http://h/d/#x", "http://h/d/name/sub/f.bin");
}

#[test]
fn components_are_encoded_from_their_bytes_all_but_unreserved() {
    let check = |name: &[u8], expected: &str| {
        let url = file_url("http://h/", true, b"n", &[name.to_vec()]);
        assert_eq!(url, format!("http://h/n/{expected}"));
    };
    check(b"aZ09-._~", "aZ09-._~");
    check(b"100%.txt", "100%25.txt");
    check(b"a?b#c&d=e+f", "a%3Fb%23c%26d%3De%2Bf");
    check(b"(1)[2]'!*,;:@$", "%281%29%5B2%5D%27%21%2A%2C%3B%3A%40%24");
    check(b"caf\xe9", "caf%E9");
    check("café".as_bytes(), "caf%C3%A9");
    check(b"\\\0\n", "%5C%00%0A");
}

#[test]
fn what_people_name_in_place_of_what_bep_19_means_is_tried_too() {
    let check = |seed: &str, multi: bool, one: bool, expected: &[&str]| {
        let seed = Url::from(seed);
        let mut urls = FileUrls::new(&seed, multi, b"a set");
        if one {
            urls = urls.of_one_file(&seed);
        }
        let path = || [b"f.bin".as_slice()].into_iter();
        let forms: Vec<_> = (0..urls.forms()).map(|it| urls.in_form(it, path())).collect();
        assert_eq!(forms.iter().map(Url::exposed).collect::<Vec<_>>(), expected, "{seed}");
    };
    let folder = "http://h/d/a%20set/f.bin";
    let twice = "http://h/d/a%20set/a%20set/f.bin";
    check("http://h/d/", true, false, &[folder]);
    check("http://h/d/", true, true, &[folder]);
    for named in
        ["http://h/d/a%20set/", "http://h/d/a set/", "http://h/d/a%20set", "http://h/d/a set"]
    {
        check(named, true, false, &[twice, folder]);
    }
    // A folder with one file: the seed may be the file's own URL.
    let below = "http://h/d/f.bin/a%20set/f.bin";
    check("http://h/d/f.bin", true, true, &[below, "http://h/d/f.bin"]);
    check("http://h/x?id=1", true, true, &["http://h/x?id=1/a%20set/f.bin", "http://h/x?id=1"]);
    check("http://h/d/a set", true, true, &[twice, folder, "http://h/d/a%20set"]);
    // A single file: the seed may be its directory or the file itself.
    check("http://h/d/a set", false, false, &["http://h/d/a%20set"]);
    check("http://h/d/a set", false, true, &["http://h/d/a%20set"]);
    check("http://h/d", false, false, &["http://h/d", "http://h/d/a%20set"]);
    check("http://h", false, false, &["http://h", "http://h/a%20set"]);
    check("http://h/d/", false, false, &["http://h/d/a%20set"]);
    check("http://h/a set/", false, false, &["http://h/a%20set/a%20set", "http://h/a%20set"]);
    check("http://h/x?id=1", false, false, &["http://h/x?id=1"]);
}
