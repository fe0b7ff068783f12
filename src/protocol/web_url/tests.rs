use super::*;

fn file_url(seed: &str, multi: bool, name: &[u8], path: &[Vec<u8>]) -> String {
    FileUrls::new(seed, multi, name).of(path)
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
