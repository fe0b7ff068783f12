use proptest::prelude::*;

use super::*;

/// The result of a session with a proxy's answers: everything that it sent, and how it ended.
/// `left` are the bytes that it did not consume.
struct Done {
    sent: Vec<Vec<u8>>,
    result: Result<(), SocksFailure>,
    open: bool,
    left: usize,
}

fn talk(target: &Destination, login: Option<(&str, &str)>, mut answers: &[u8]) -> Done {
    let (mut session, greeting) = match SocksSession::new(target, login) {
        Ok(new) => new,
        Err(why) => return Done { sent: vec![], result: Err(why), open: false, left: 0 },
    };
    let mut sent = vec![greeting];
    let mut result = Ok(());
    while session.wants() > 0 && answers.len() >= session.wants() && result.is_ok() {
        assert!(session.wants() <= MAX_ANSWER_BYTES);
        let (answer, rest) = answers.split_at(session.wants());
        answers = rest;
        match session.handle(answer) {
            Ok(bytes) if bytes.is_empty() => {}
            Ok(bytes) => sent.push(bytes),
            Err(why) => result = Err(why),
        }
    }
    Done { sent, result, open: session.wants() == 0, left: answers.len() }
}

fn v4() -> Destination {
    Destination::Address("1.2.3.4:258".parse().unwrap())
}

const OPEN: &[u8] = &[5, 0, 0, 1, 9, 9, 9, 9, 8, 8];

#[test]
fn an_address_a_mapped_one_and_a_name_are_asked_for_as_what_they_are() {
    let check = |target: &str, request: &[u8]| {
        let done =
            talk(&Destination::parse(target).unwrap(), None, &[&[5, 0], OPEN, b"data"].concat());
        assert_eq!((done.result, done.open, done.left), (Ok(()), true, 4), "{target}");
        assert_eq!(done.sent, [&[5, 1, 0][..], request], "{target}");
    };
    check("1.2.3.4:258", &[5, 1, 0, 1, 1, 2, 3, 4, 1, 2]);
    check("[::ffff:1.2.3.4]:258", &[5, 1, 0, 1, 1, 2, 3, 4, 1, 2]);
    check("[::1]:80", &[5, 1, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 80]);
    check("a.invalid:80", b"\x05\x01\x00\x03\x09a.invalid\x00\x50");
}

#[test]
fn a_target_is_a_host_and_a_port() {
    for text in ["1.2.3.4:5", "[::1]:5", "host:5"] {
        assert_eq!(Destination::parse(text).unwrap().to_string(), text);
    }
    for text in ["host", "host:", "host:65536", ""] {
        assert_eq!(Destination::parse(text), None, "{text}");
    }
}

#[test]
fn a_login_is_sent_where_the_proxy_asks_for_it() {
    let login = Some(("me", "p:w"));
    let done = talk(&v4(), login, &[&[5, 2, 1, 0], OPEN].concat());
    assert_eq!((done.result, done.open), (Ok(()), true));
    assert_eq!(done.sent[..2], [&[5, 2, 0, 2][..], b"\x01\x02me\x03p:w"]);
    assert_eq!(done.sent.len(), 3);
    let (mut session, _) = SocksSession::new(&v4(), login).unwrap();
    for (answer, asked) in [([5, 2], false), ([1, 0], true), ([5, 0], true)] {
        session.handle(&answer).unwrap();
        assert_eq!(session.has_asked(), asked, "{answer:?}");
    }
    let without = talk(&v4(), login, &[&[5, 0], OPEN].concat());
    assert_eq!((without.sent.len(), without.open), (2, true));
}

#[test]
fn each_refusal_is_told_from_the_others() {
    let check = |login, answers: &[u8], why: SocksFailure, said: &str| {
        let done = talk(&v4(), login, answers);
        assert_eq!(done.result, Err(why.clone()), "{answers:?}");
        assert!(!done.open && why.to_string().contains(said), "{why}");
    };
    let login = Some(("me", ""));
    check(None, &[5, 0xff], SocksFailure::Login(LoginFailure::Wanted), "requires a user name");
    check(None, &[5, 2], SocksFailure::Login(LoginFailure::Wanted), "requires a user name");
    check(login, &[5, 0xff], SocksFailure::Login(LoginFailure::NoMethod), "other than");
    check(login, &[5, 1], SocksFailure::Login(LoginFailure::NoMethod), "other than");
    check(
        login,
        &[5, 2, 1, 1],
        SocksFailure::Login(LoginFailure::Refused),
        "rejected the user name",
    );
    check(None, &[4, 0], SocksFailure::NotSocks, "does not speak");
    check(None, b"HTTP/1.1 400", SocksFailure::NotSocks, "does not speak");
    check(None, &[5, 0, 4, 0], SocksFailure::NotSocks, "does not speak");
    check(None, &[5, 0, 5, 0, 0, 2, 1], SocksFailure::NotSocks, "does not speak");
    let codes = [
        "failure",
        "rules",
        "network",
        "host is",
        "refused",
        "TTL",
        "not support connections",
        "this kind",
        "unknown error code: 9",
    ];
    for (code, said) in (1..).zip(codes) {
        check(None, &[5, 0, 5, code], SocksFailure::Reply(code), said);
    }
}

#[test]
fn what_does_not_fit_is_said_before_anything_is_sent() {
    let long = "x".repeat(256);
    let fits = "x".repeat(255);
    let check = |target: &Destination, login, why: SocksFailure| {
        let done = talk(target, login, &[]);
        assert_eq!((done.result, done.sent.len()), (Err(why), 0));
    };
    check(&v4(), Some((&long, "")), SocksFailure::LoginTooLong);
    check(&v4(), Some(("", &long)), SocksFailure::LoginTooLong);
    check(&Destination::Name(long.clone(), 1), None, SocksFailure::NameTooLong);
    assert_eq!(talk(&Destination::Name(fits.clone(), 1), Some((&fits, &fits)), &[]).result, Ok(()));
}

fn answers() -> impl Strategy<Value = Vec<u8>> {
    // Mostly plausible answers, so that later states are reached.
    let byte = prop_oneof![Just(5), Just(0), 0..5_u8, any::<u8>()];
    prop::collection::vec(byte, 0..600)
}

proptest! {
    #[test]
    fn whatever_the_proxy_says_the_session_ends(answers in answers(), logs_in: bool) {
        let login = logs_in.then_some(("me", "secret"));
        let done = talk(&v4(), login, &answers);
        // At most greeting, login and request; the request only after the method was agreed on.
        prop_assert!(done.sent.len() <= 3);
        prop_assert!(!(done.open && done.result.is_err()));
        if done.open {
            prop_assert_eq!(answers[0], 5);
            prop_assert_eq!(done.sent.last().unwrap()[..4].to_vec(), vec![5, 1, 0, 1]);
        }
        let said = done.result.map_err(|why| why.to_string()).err().unwrap_or_default();
        prop_assert!(!said.contains("secret"));
    }

    #[test]
    fn what_a_proxy_binds_is_read_to_its_last_byte(
        bound in prop_oneof![
            Just(vec![0_u8, 1, 1, 2, 3, 4]),
            Just([&[0, 4][..], &[7; 16]].concat()),
            (0..=255_u8).prop_map(|length| [&[0, 3, length][..], &vec![b'x'; length.into()]].concat()),
        ],
        port: [u8; 2],
        follows in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let answers = [&[5, 0, 5, 0][..], &bound, &port, &follows].concat();
        let done = talk(&v4(), None, &answers);
        prop_assert_eq!((done.result, done.open, done.left), (Ok(()), true, follows.len()));
        for cut in 0..answers.len() - follows.len() {
            let done = talk(&v4(), None, &answers[..cut]);
            prop_assert!(done.result.is_ok() && !done.open);
        }
    }

    #[test]
    fn a_name_goes_out_as_it_is_written(host in "[a-z0-9.-]{1,255}", port: u16) {
        let done = talk(&Destination::Name(host.clone(), port), None, &[5, 0]);
        let length = u8::try_from(host.len()).unwrap();
        let expected =
            [&[5, 1, 0, 3, length][..], host.as_bytes(), &port.to_be_bytes()].concat();
        prop_assert_eq!(&done.sent[1], &expected);
    }
}
