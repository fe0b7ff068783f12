use super::*;

/// The beginning of an absolute path.
const ROOT: &str = if cfg!(windows) { "C:/" } else { "/" };

/// The variable that determines where the configuration file is.
const VARIABLE: &str = match (cfg!(windows), cfg!(target_os = "macos")) {
    (true, _) => "APPDATA",
    (_, true) => "HOME",
    _ => "XDG_CONFIG_HOME",
};

/// Reads a configuration file with this text, with these variables set.
pub fn context(text: &str, vars: &[(&str, &str)]) -> Result<Context, Error> {
    let directory = tempfile::tempdir().unwrap();
    let below = if cfg!(target_os = "macos") { "Library/Application Support" } else { "" };
    let ours = directory.path().join(below).join("academictorrents");
    std::fs::create_dir_all(&ours).unwrap();
    std::fs::write(ours.join("config.toml"), text).unwrap();
    let mut context = Context::default();
    vars.iter().for_each(|(name, value)| context.set(name, value));
    context.set(VARIABLE, directory.path());
    context.read_config().map(|()| context)
}

#[test]
fn a_file_says_what_the_variables_do_not() {
    let text = "load-path = ['/l', '/m n']\nstore = '/s'\nmirrors = ['/a b/c', 'http://h/d']\nsources = ['mirrors']\npeers = []\ndht-bootstrap = []\nmax-size = '5GB'\n\
                timeout = 60\nupload = 0\napi-key = 'uid=1;pass=2'\noffline = true\nproxy = 'http://p:1'\nca-file = '/ca.pem'\n";
    let text = &text.replace("'/", &format!("'{ROOT}"));
    let at = |below: &str| format!("{ROOT}{below}");
    let context_of = |vars: &[(&str, &str)]| context(text, vars).unwrap();
    let settings = context_of(&[]).settings().unwrap();
    assert_eq!(context_of(&[]).store_dir().unwrap(), Path::new(&at("s")));
    assert_eq!(settings.load_path, [at("l"), at("m n")].map(PathBuf::from));
    assert_eq!(settings.mirrors, [&*at("a b/c"), "http://h/d"]);
    assert!(settings.sources.mirrors && !settings.sources.peers && settings.offline);
    assert_eq!((settings.max_size_bytes, settings.timeout.as_secs()), (Some(5_000_000_000), 60));
    assert_eq!(settings.upload_bytes_per_second, 0);
    assert_eq!(settings.dht_bootstrap.as_deref(), Some(&[][..]));
    assert_eq!(settings.api_key.unwrap().cookie(), "uid=1; pass=2");
    let proxy = settings.proxy.unwrap();
    assert_eq!(proxy.url, "http://p:1");
    assert!(proxy.variable.starts_with("`proxy` in "), "{proxy:?}");
    assert!(settings.all_proxy.is_none());
    assert_eq!(settings.ca_file.unwrap().path, Path::new(&at("ca.pem")));
    let settings = context_of(&[
        ("ACADEMICTORRENTS_TIMEOUT", "5"),
        ("ACADEMICTORRENTS_MIRRORS", &at("x")),
        ("ACADEMICTORRENTS_DHT_BOOTSTRAP", "a:1, b:2"),
        ("ACADEMICTORRENTS_OFFLINE", "0"),
        ("ACADEMICTORRENTS_STORE", &at("t")),
        ("SSL_CERT_FILE", &at("all.pem")),
        ("HTTPS_PROXY", "http://q:1"),
    ]);
    assert_eq!(settings.store_dir().unwrap(), Path::new(&at("t")));
    let settings = settings.settings().unwrap();
    assert_eq!((settings.timeout.as_secs(), settings.offline), (5, false));
    assert_eq!(settings.mirrors, [&*at("x")]);
    assert_eq!(settings.dht_bootstrap.unwrap(), ["a:1", "b:2"]);
    let proxy = settings.proxy.unwrap();
    assert_eq!((proxy.url.exposed(), &*proxy.variable), ("http://q:1", "HTTPS_PROXY"));
    assert_eq!(settings.ca_file.unwrap().path, Path::new(&at("ca.pem")));
}

#[test]
fn a_mistake_in_the_file_is_named_with_its_line() {
    let check = |text: &str, parts: &[&str]| {
        let error = context(text, &[]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Manifest);
        let error = error.to_string();
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
        assert!(!error.contains("ACADEMICTORRENTS_"), "{error}");
    };
    check("store = ", &["config.toml", "line 1", "invalid TOML"]);
    check("\nmirror = []", &["unknown key `mirror`", "config.toml:2", "did you mean `mirrors`?"]);
    check("xyzzy = 1", &["the keys are store, load-path"]);
    check("\n\nstore = 'data'", &["`store` in", "config.toml:3", "relative"]);
    check("store = '~/data'", &["relative", "write $HOME"]);
    check("mirrors = 'http://a'", &["expected a list of strings"]);
    check("mirrors = ['data']", &["`data` is a relative path", "absolute"]);
    check("sources = ['torrents']", &["`torrents` is not one of"]);
    check("load-path = ['data']", &["`data` is a relative path"]);
    check("sources = []", &["allows no source"]);
    check("dht-bootstrap = 'off'", &["expected a list of strings"]);
    check("timeout = 'soon'", &["`timeout`", "is not a time"]);
    check("timeout = 0", &["at least 100ms"]);
    for odd in ["true", "1.5e9", "inf", "[1]"] {
        check(&format!("max-size = {odd}"), &["expected a string or an integer"]);
        check(&format!("timeout = {odd}"), &["expected a string or an integer"]);
    }
    check("max-size = -1", &["`-1` is not a size"]);
    check("max-size = 0x1_0000_0000_0000_0000", &["`0x10000000000000000` is not a size"]);
    check("netrc = 1", &["expected a string"]);
    check("offline = 'yes'", &["expected true or false"]);
    check("catalogue = 'a.com'", &["http://"]);
    check("api-key = 'sesame'", &["`api-key`", "expected a key"]);
    check("fetch = 'yes'", &["`always`, `local` or `never`"]);
    check("progress = 'on'", &["`plain`"]);
}

#[test]
fn an_integer_may_be_written_in_each_way_of_toml() {
    for (number, value) in [
        ("1048576", 1 << 20),
        ("+1_048_576", 1 << 20),
        ("0x10_0000", 1 << 20),
        ("0xdeadBEEF", 0xdead_beef),
        ("0o17", 15),
        ("0b1010", 10),
    ] {
        let text = format!("max-size = {number}\nupload = {number}\ntimeout = {number}");
        let settings = context(&text, &[]).unwrap().settings().unwrap();
        assert_eq!(settings.max_size_bytes, Some(value), "{number}");
        assert_eq!(settings.upload_bytes_per_second, value, "{number}");
        assert_eq!(settings.timeout.as_secs(), value, "{number}");
    }
}

#[test]
fn without_a_file_nothing_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let mut context = Context::default();
    context.read_config().unwrap();
    for name in ["XDG_CONFIG_HOME", "APPDATA", "HOME"] {
        context.set(name, directory.path());
    }
    context.read_config().unwrap();
    assert_eq!(context.config_path(), None);
    // The home directory is a file, such as /dev/null.
    let file = directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    for name in ["XDG_CONFIG_HOME", "APPDATA", "HOME"] {
        context.set(name, &file);
    }
    context.read_config().unwrap();
    assert_eq!(context.config_path(), None);
}

#[test]
#[cfg(target_os = "linux")]
fn a_path_may_begin_with_the_home_directory() {
    let text = "load-path = ['~/l', '/m', '~']\nstore = '~/s'\nmirrors = ['~/m', 'http://h/~/x']\nca-file = '~/ca.pem'\n\
                netrc = '~/n'\nproxy = '~/p'";
    let context = context(text, &[("HOME", "/h")]).unwrap();
    let settings = context.settings().unwrap();
    assert_eq!(context.store_dir().unwrap(), Path::new("/h/s"));
    assert_eq!(settings.load_path, ["/h/l", "/m", "/h"].map(Path::new));
    assert_eq!(settings.mirrors, ["/h/m", "http://h/~/x"]);
    assert_eq!(settings.ca_file.unwrap().path, Path::new("/h/ca.pem"));
    assert_eq!(settings.netrc.unwrap().path, Path::new("/h/n"));
    assert_eq!(settings.proxy.unwrap().url, "~/p");
    // The home directory of another user is unknown.
    assert!(super::tests::context("store = '~you/s'", &[("HOME", "/h")]).is_err());
}
