use super::*;

fn context(vars: &[(&str, &str)]) -> Context {
    let mut context = Context::default();
    vars.iter().for_each(|(name, value)| context.set(name, value));
    context
}

#[test]
fn a_bad_variable_is_named_with_what_it_should_be() {
    let check = |name: &str, value: &str, part: &str| {
        let error = context(&[(name, value)]).settings().unwrap_err().to_string();
        assert!(error.contains(name) && error.contains(part), "{error}");
    };
    check("ACADEMICTORRENTS_TIMEOUT", "soon", "a time");
    check("ACADEMICTORRENTS_TIMEOUT", "0", "at least 100ms");
    check("ACADEMICTORRENTS_MAX_SIZE", "big", "a size");
    check("ACADEMICTORRENTS_UPLOAD", "fast", "`1MiB` or `0`");
    check("ACADEMICTORRENTS_PROGRESS", "on", "`plain`");
    check("ACADEMICTORRENTS_FETCH", "ask", "`always`, `local` or `never`");
    check("ACADEMICTORRENTS_SOURCES", "peers,torrents", "`torrents`");
    check("ACADEMICTORRENTS_CATALOGUE", "academictorrents.com", "http://");
}

#[test]
fn an_unknown_variable_is_refused_with_the_nearest_name() {
    let check = |name: &str, part: &str| {
        let error = context(&[(name, "1")]).settings().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Manifest);
        assert!(error.to_string().contains(part), "{error}");
    };
    check("ACADEMICTORRENTS_TIME_OUT", "did you mean ACADEMICTORRENTS_TIMEOUT?");
    check("ACADEMICTORRENTS_MAXSIZE", "did you mean ACADEMICTORRENTS_MAX_SIZE?");
    check("ACADEMICTORRENTS_MIRROR", "did you mean ACADEMICTORRENTS_MIRRORS?");
    check("ACADEMICTORRENTS_XYZZY", "one of API_KEY, CATALOGUE");
    check("ACADEMICTORRENTS_PATH", "did you mean ACADEMICTORRENTS_LOAD_PATH?");
    check("ACADEMICTORRENTS_PATH_", "PATH_ with a dataset's name behind it");
    context(&[("ACADEMICTORRENTS_XYZZY", "")]).settings().unwrap();
    for name in NAMES.iter().filter(|name| **name != "STORE") {
        let error = context(&[(&format!("{PREFIX}{name}"), "\u{0}")]).settings().err();
        assert!(error.is_none_or(|error| !error.to_string().contains("there is no")));
    }
}

#[test]
fn an_empty_variable_is_unset_and_a_false_one_is_no() {
    let settings = context(&[("ACADEMICTORRENTS_TIMEOUT", ""), ("CARGO_NET_OFFLINE", "false")])
        .settings()
        .unwrap();
    assert_eq!(settings.timeout, Duration::from_secs(120));
    assert!(!settings.offline);
    assert!(context(&[("CARGO_NET_OFFLINE", "true")]).settings().unwrap().offline);
}

#[test]
fn what_peers_may_be_sent_a_second() {
    let check = |value: &str, expected| {
        let settings = context(&[("ACADEMICTORRENTS_UPLOAD", value)]).settings().unwrap();
        assert_eq!(settings.upload_bytes_per_second, expected, "{value}");
    };
    check("", 1 << 20);
    check("0", 0);
    check("500kB", 500_000);
    check("2 MiB", 2 << 20);
}

#[test]
fn places_of_copies_are_absolute_and_separated_as_in_path() {
    let name = "ACADEMICTORRENTS_LOAD_PATH";
    let joined = std::env::join_paths(["/a b", "", "/c", "/a b"]).unwrap();
    let settings = context(&[(name, joined.to_str().unwrap())]).settings().unwrap();
    assert_eq!(settings.load_path, ["/a b", "/c"].map(PathBuf::from));
    let settings = context(&[("ACADEMICTORRENTS_PATH_MNIST_SMALL", "/m")]).settings().unwrap();
    assert_eq!(settings.paths, [("MNIST_SMALL".to_owned(), "/m".into())]);
    let check = |name: &str, value: &str, parts: &[&str]| {
        let error = context(&[(name, value)]).settings().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Manifest);
        let error = error.to_string();
        assert!(parts.iter().all(|part| error.contains(part)) && error.contains(name), "{error}");
    };
    check(name, "/a:b", &["`b` is a relative path", "absolute path"]);
    check(name, "~/data", &["`~/data`", "$HOME"]);
    check("ACADEMICTORRENTS_PATH_MNIST", "mnist", &["`mnist` is a relative path"]);
}

#[test]
fn the_store_is_absolute() {
    let error = context(&[("ACADEMICTORRENTS_STORE", "data")]).store_dir().unwrap_err();
    assert!(error.to_string().contains("relative"), "{error}");
    #[cfg(target_os = "linux")]
    assert_eq!(
        context(&[("XDG_CACHE_HOME", "/c")]).store_dir().unwrap(),
        std::path::Path::new("/c/academictorrents")
    );
}

#[test]
fn sources_intersect() {
    let manifest = SourceSet::parse(["mirrors", "peers"]).unwrap();
    let environment = SourceSet::parse(["peers", "web-seeds"]).unwrap();
    assert_eq!(manifest.and(environment), SourceSet::parse(["peers"]).unwrap());
}
