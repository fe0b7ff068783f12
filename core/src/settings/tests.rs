use super::*;

/// The beginning of an absolute path.
const ROOT: &str = if cfg!(windows) { "C:/" } else { "/" };
use crate::error::ErrorKind;

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
    check("ACADEMICTORRENTS_XYZZY", "API_KEY, CATALOGUE");
    check("ACADEMICTORRENTS_PATH", "did you mean ACADEMICTORRENTS_LOAD_PATH?");
    check("ACADEMICTORRENTS_PATH_", "PATH_<NAME>");
    context(&[("ACADEMICTORRENTS_XYZZY", "")]).settings().unwrap();
    for row in &SETTINGS {
        let error = context(&[(row.variable(), "\u{0}")]).settings().err();
        assert!(
            error.is_none_or(|error| !error.to_string().contains("unknown environment variable"))
        );
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
    let in_ci = |variables: &[(&str, &str)]| {
        let variables = [&[("CI", "true")], variables].concat();
        context(&variables).settings().unwrap().upload_bytes_per_second
    };
    assert_eq!(in_ci(&[]), 0);
    assert_eq!(in_ci(&[("ACADEMICTORRENTS_UPLOAD", "2MiB")]), 2 << 20);
}

#[test]
fn places_of_copies_are_absolute_and_separated_as_in_path() {
    let name = "ACADEMICTORRENTS_LOAD_PATH";
    let [a, c, m] = ["a b", "c", "m"].map(|path| format!("{ROOT}{path}"));
    let joined = std::env::join_paths([&a, "", &c, &a]).unwrap();
    let settings = context(&[(name, joined.to_str().unwrap())]).settings().unwrap();
    assert_eq!(settings.load_path, [a, c].map(PathBuf::from));
    let settings = context(&[("ACADEMICTORRENTS_PATH_MNIST_SMALL", &m)]).settings().unwrap();
    assert_eq!(settings.paths, [("MNIST_SMALL".to_owned(), m.into())]);
    let check = |name: &str, value: &str, parts: &[&str]| {
        let error = context(&[(name, value)]).settings().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Manifest);
        let error = error.to_string();
        assert!(parts.iter().all(|part| error.contains(part)) && error.contains(name), "{error}");
    };
    let relative = std::env::join_paths([&*format!("{ROOT}a"), "b"]).unwrap();
    check(name, relative.to_str().unwrap(), &["`b` is a relative path", "absolute path"]);
    check(name, "~/data", &["`~/data`", "$HOME"]);
    check("ACADEMICTORRENTS_PATH_MNIST", "mnist", &["`mnist` is a relative path"]);
    // The variable that is set, not one of ours that it stands in for.
    check("SSL_CERT_DIR", "certs", &["set SSL_CERT_DIR to an absolute path"]);
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

#[test]
fn a_variable_tells_rust_analyzer_only_where_the_call_is_not_shown_and_no_person_set_it() {
    const IT: (&str, &str) = ("__CARGO_TEST_CHANNEL_OVERRIDE_DO_NOT_USE_THIS", "nightly");
    let check = |more: &[(&str, &str)], expected: bool| {
        let context = context(&[&[IT], more].concat());
        assert_eq!(context.is_of_rust_analyzer(false), expected, "{more:?}");
        assert!(!context.is_of_rust_analyzer(true), "{more:?}");
    };
    check(&[], true);
    check(&[("CARGO_NET_OFFLINE", "true")], true);
    check(&[("CI", "true")], false);
    check(&[("CARGO_UNSTABLE_BUILD_STD", "std")], false);
    check(&[("CARGO_UNSTABLE_SPARSE_REGISTRY", "")], false);
    check(&[("CARGO_TARGET_APPLIES_TO_HOST", "false")], false);
    assert!(!context(&[]).is_of_rust_analyzer(false));
}

#[test]
#[cfg(target_os = "linux")]
fn a_relative_home_is_not_used() {
    for (name, value) in [("HOME", "home"), ("HOME", "."), ("HOME", "~")] {
        let error = context(&[(name, value)]).store_dir().unwrap_err().to_string();
        assert!(error.contains("HOME is a relative path"), "{error}");
        assert!(context(&[(name, value)]).config_place().is_none());
        assert!(context(&[(name, value)]).settings().unwrap().netrc.is_none());
    }
    let cache = context(&[("HOME", "home"), ("XDG_CACHE_HOME", "/cache")]).store_dir().unwrap();
    assert_eq!(cache, std::path::Path::new("/cache/academictorrents"));
}

#[test]
fn each_row_is_whole() {
    for row in &SETTINGS {
        let name = row.variable();
        assert!(row.doc.ends_with('.') && !row.example.is_empty(), "{name}");
        assert!(row.variable_example().is_some_and(|it| !it.is_empty()), "{name}");
        assert_eq!(matches!(row.kind, SettingKind::Store), row.key == "store", "{name}");
    }
}

#[test]
#[cfg(target_os = "linux")] // where paths and the configuration directory are as here
fn each_example_is_one() {
    for row in &SETTINGS {
        let name = row.variable();
        let context = context(&[(name, &row.variable_example().unwrap())]);
        let set = format!("{:?}{:?}", context.settings().unwrap(), context.store_dir().ok());
        let unset = Context::default();
        let unset = format!("{:?}{:?}", unset.settings().unwrap(), unset.store_dir().ok());
        assert_ne!(set, unset, "{name}: its example changes nothing");
        if !row.key.is_empty() {
            let document = format!("{} = {}", row.key, row.example);
            assert!(file::tests::context(&document, &[]).is_ok(), "{document}");
        }
    }
}
