use super::*;

fn named(url: &str) -> ProxyUrl {
    ProxyUrl { url: url.to_owned(), variable: "ALL_PROXY".to_owned() }
}

fn settings(proxy: Option<&str>, all: Option<&str>, no_proxy: &str) -> Settings {
    let mut settings = crate::context::Context::default().settings().unwrap();
    settings.proxy = proxy.map(named);
    settings.all_proxy = all.map(named);
    settings.no_proxy = Some(no_proxy.to_owned());
    settings
}

#[test]
fn peers_go_through_a_socks_proxy_alone() {
    let check = |proxy: Option<&str>, all: Option<&str>, peers: Option<&str>| {
        let proxies = Proxies::new(&settings(proxy, all, "")).unwrap();
        assert_eq!(proxies.peers.as_ref().map(Proxy::host), peers, "{proxy:?} {all:?}");
        assert_eq!(proxies.http.is_some(), proxy.is_some());
    };
    check(None, None, None);
    check(Some("http://a:1"), None, None);
    check(Some("http://a:1"), Some("http://b:1"), None);
    check(Some("http://a:1"), Some("socks5://b:1"), Some("b"));
    check(Some("socks5://a:1"), Some("socks5://b:1"), Some("a"));
    check(Some("SOCKS5H://a"), Some("http://b:1"), Some("a"));
    check(Some("socks://a"), None, Some("a"));
}

#[test]
fn a_login_is_decoded_and_nowhere_shown() {
    let proxy = read(&named("socks5h://me:p%40ss%2F%25w@proxy.invalid"), None).unwrap();
    assert_eq!((proxy.username(), proxy.password()), (Some("me"), Some("p@ss/%w")));
    assert_eq!((proxy.host(), proxy.port()), ("proxy.invalid", 1080));
    let settings = settings(Some("http://me:secret@h:1"), Some("socks5://me:secret@h:1"), "");
    let shown = format!("{settings:?} {:?}", Client::new(&settings).unwrap());
    assert!(!shown.contains("secret"), "{shown}");
    for url in [
        "socks4://me:secret@h:1",
        "ftp://me:secret@h:1",
        "http://me:secret@",
        "http://me:secret@h:99999",
        "http://me:sec/secret@h:1",
        "me:secret@h h",
        "http://me:%ffsecret@h",
        "://me:secret@",
        "secret@",
    ] {
        let error = read(&named(url), None).err().unwrap_or_else(|| panic!("{url}")).to_string();
        assert!(!error.contains("secret") && error.contains("ALL_PROXY names it"), "{error}");
    }
}

#[test]
fn hosts_that_are_excepted_are_named_as_for_ureq() {
    let check = |no_proxy: &str, place: &str, direct: bool| {
        let client = Client::new(&settings(Some("socks5h://p:1"), None, no_proxy)).unwrap();
        assert_eq!(client.socks_for(place).is_none(), direct, "{no_proxy}: {place}");
    };
    check("", "10.1.2.3:5", false);
    check("*", "10.1.2.3:5", true);
    check("10.1.2.3", "10.1.2.3:5", true);
    check("10.1.2.3", "10.1.2.30:5", false);
    check("a.invalid, 10.1.*", "10.1.2.3:5", true);
    check("10.1.0.0/16", "10.1.2.3:5", false);
    check("[::1]", "[::1]:5", true);
    check("::1", "[::1]:5", false);
    check("peer.invalid", "Peer.invalid:5", true);
    check("peer.invalid", "a.peer.invalid:5", false);
    check(".peer.invalid", "a.peer.invalid:5", true);
}

#[test]
fn who_looks_names_up_is_in_the_scheme() {
    let check = |proxy: &str, no_proxy: &str, remote: bool| {
        let client = Client::new(&settings(Some(proxy), None, no_proxy)).unwrap();
        assert_eq!(client.names_are_for_the_proxy("peer.invalid:1"), remote, "{proxy}");
    };
    check("socks5h://p:1", "", true);
    check("socks5h://p:1", "peer.invalid", false);
    check("socks5://p:1", "", false);
    check("http://p:1", "", false);
}

#[test]
fn the_proxy_is_asked_for_addresses_where_they_are_known() {
    let check = |addresses: &[&str], uri: &str, expected: &[&str]| {
        let addresses: Vec<_> = addresses.iter().map(|it| it.parse().unwrap()).collect();
        let targets = targets(&addresses, &uri.parse().unwrap());
        assert_eq!(targets.iter().map(Target::to_string).collect::<Vec<_>>(), expected);
    };
    check(&[], "http://a.invalid/b", &["a.invalid:80"]);
    check(&[], "https://a.invalid/b", &["a.invalid:443"]);
    check(&[], "https://me@[::1]:8/b", &["[::1]:8"]);
    check(&["1.2.3.4:5", "[::1]:5"], "http://a:5", &["1.2.3.4:5", "[::1]:5"]);
}

#[test]
fn advice_is_given_where_the_proxy_itself_is_at_fault() {
    let proxy = read(&named("socks5://me:w@p:1"), None).unwrap();
    let check = |why: SocksFailure, part: Option<&str>| {
        let said = super::named(&proxy, &why);
        match (advice(&format!("http://a: {said}")), part) {
            (Some(advice), Some(part)) => assert!(advice.contains(part), "{said}: {advice}"),
            (None, None) => {}
            (advice, _) => panic!("{said}: {advice:?}"),
        }
    };
    check(SocksFailure::LoginRefused, Some("name:password"));
    check(SocksFailure::WantsLogin, Some("name:password"));
    check(SocksFailure::NotSocks, Some("check the proxy"));
    check(SocksFailure::Reply(2), Some("NO_PROXY"));
    check(SocksFailure::Reply(5), None);
    check(SocksFailure::Closed, None);
    assert!(advice(&unreachable(&proxy, "timed out")).is_some_and(|it| it.contains("check")));
    assert_eq!(advice("connection refused"), None);
}
