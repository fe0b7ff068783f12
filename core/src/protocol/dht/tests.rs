use proptest::prelude::*;

use super::*;
use crate::torrent::bencode::variants;

const WANTED: Infohash = Infohash::from_bytes([0xAB; 20]);
const OURS: Id = *b"we-ask-and-are-quiet";
const SECOND: Duration = Duration::from_secs(1);

fn search() -> DhtSearch {
    DhtSearch::new(OURS, WANTED, WAIT, 7)
}

fn address(last: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, last], 6881))
}

fn compact(address: SocketAddr) -> Vec<u8> {
    let SocketAddr::V4(address) = address else { panic!("{address}") };
    [&address.ip().octets()[..], &address.port().to_be_bytes()].concat()
}

/// An ID that shares this many leading bytes with the infohash.
fn id_near(shared: usize, rest: u8) -> Id {
    std::array::from_fn(|index| if index < shared { 0xAB } else { rest })
}

fn node(id: Id, address: SocketAddr) -> Vec<u8> {
    [&id[..], &compact(address)].concat()
}

fn string(bytes: &[u8]) -> Vec<u8> {
    [bytes.len().to_string().as_bytes(), b":", bytes].concat()
}

/// An answer to this query.
fn answer(question: &[u8], id: Id, nodes: &[Vec<u8>], values: &[Vec<u8>]) -> Vec<u8> {
    let nodes = [b"5:nodes".to_vec(), string(&nodes.concat())].concat();
    let values: Vec<_> = values.iter().map(|value| string(value)).collect();
    let values = [&b"6:valuesl"[..], &values.concat(), b"e"].concat();
    let body = [&b"2:id20:"[..], &id, &nodes, b"5:token3:tok", &values].concat();
    [&b"d1:rd"[..], &body, b"e1:t", &string(transaction(question)), b"1:y1:re"].concat()
}

fn transaction(question: &[u8]) -> &[u8] {
    let at = question.windows(5).position(|part| part == b"1:t4:").unwrap() + 5;
    &question[at..at + 4]
}

/// All queries that may be sent now.
fn questions(search: &mut DhtSearch, now: Duration) -> Vec<(SocketAddr, Vec<u8>)> {
    let sent = std::iter::from_fn(|| match search.poll(now) {
        DhtPoll::Send(to, question) => Some((to, question)),
        DhtPoll::Wait(_) | DhtPoll::Done => None,
    });
    sent.collect()
}

/// A search with one pending query.
fn asking() -> (DhtSearch, Vec<u8>) {
    let mut search = search();
    search.add(Contact { id: None, address: address(1) });
    let (to, question) = questions(&mut search, Duration::ZERO).remove(0);
    assert_eq!(to, address(1));
    (search, question)
}

#[test]
fn questions_are_those_of_bep_5_and_43() {
    let (_, question) = asking();
    let mut expected = b"d1:ad2:id20:we-ask-and-are-quiet9:info_hash20:".to_vec();
    expected.extend([0xAB; 20]);
    expected.extend(b"e1:q9:get_peers2:roi1e1:t4:");
    expected.extend(transaction(&question));
    expected.extend(b"1:v4:AD\0\x011:y1:qe");
    assert_eq!(question, expected);
    assert!(scan(&question, &LIMITS).is_ok());
}

#[test]
fn nodes_that_an_answer_names_are_asked_the_closest_first_until_none_is_closer() {
    let (mut search, question) = asking();
    let named = [node(id_near(1, 0), address(2)), node(id_near(5, 0), address(3))];
    assert_eq!(search.handle(address(1), &answer(&question, [0; 20], &named, &[])), []);
    let asked = questions(&mut search, SECOND);
    assert_eq!(asked.iter().map(|it| it.0).collect::<Vec<_>>(), [address(3), address(2)]);
    // It names nodes that are known already, and a peer.
    let peer = compact(address(99));
    let found = answer(&asked[0].1, id_near(5, 0), &named, std::slice::from_ref(&peer));
    assert_eq!(search.handle(address(3), &found), [address(99)]);
    assert_eq!(search.poll(SECOND), DhtPoll::Wait(WAIT + SECOND));
    // A peer that was named before is not returned again.
    let again = answer(&asked[1].1, id_near(1, 0), &[], &[peer]);
    assert_eq!(search.handle(address(2), &again), []);
    assert_eq!(search.poll(SECOND), DhtPoll::Done);
    let answered: Vec<_> = search.answered().into_iter().map(|it| it.address).collect();
    assert_eq!(answered, [address(3), address(2), address(1)]);
}

#[test]
fn peers_that_a_node_sends_in_one_string_are_read() {
    let (mut search, question) = asking();
    let peers = [address(7), address(8), address(9), address(10)];
    let one = peers.map(compact).concat();
    let odd = vec![1; 25];
    let answer = answer(&question, [1; 20], &[], &[one, odd, Vec::new()]);
    assert_eq!(search.handle(address(1), &answer), peers);
}

#[test]
fn far_nodes_are_not_asked_once_enough_closer_ones_have_answered() {
    let (mut search, question) = asking();
    let close: Vec<_> = (0..CLOSEST as u8).map(|n| node(id_near(9, n), address(100 + n))).collect();
    let far = [node(id_near(0, 0), address(50))];
    let named = [&close[..], &far].concat();
    search.handle(address(1), &answer(&question, [0xFF; 20], &named, &[]));
    let mut asked = 0;
    loop {
        let batch = questions(&mut search, SECOND);
        assert!(batch.len() <= AT_ONCE);
        asked += batch.len();
        if batch.is_empty() {
            break;
        }
        for (to, question) in batch {
            assert_ne!(to, address(50));
            search.handle(to, &answer(&question, id_near(9, 0), &[], &[]));
        }
    }
    assert_eq!((asked, search.poll(SECOND)), (CLOSEST, DhtPoll::Done));
}

#[test]
fn an_answer_counts_only_from_whom_was_asked_what_was_asked() {
    let (mut search, question) = asking();
    let values = [compact(address(99))];
    let right = answer(&question, [1; 20], &[], &values);
    assert_eq!(search.handle(address(2), &right), [], "another address");
    let mut other = question.clone();
    let at = other.windows(5).position(|part| part == b"1:t4:").unwrap() + 5;
    other[at] ^= 1;
    assert_eq!(search.handle(address(1), &answer(&other, [1; 20], &[], &values)), []);
    assert_eq!(search.poll(SECOND), DhtPoll::Wait(WAIT));
    assert_eq!(search.handle(address(1), &right), [address(99)]);
    // An answer counts only once.
    let more = answer(&question, [1; 20], &[], &[compact(address(98))]);
    assert_eq!(search.handle(address(1), &more), []);
}

#[test]
fn a_silent_node_ends_the_search_and_an_answer_that_is_late_still_counts() {
    let (mut search, question) = asking();
    assert_eq!(search.poll(SECOND), DhtPoll::Wait(WAIT));
    assert_eq!(search.poll(WAIT), DhtPoll::Done);
    assert_eq!(search.answered(), []);
    let late = answer(&question, [1; 20], &[], &[compact(address(99))]);
    assert_eq!(search.handle(address(1), &late), [address(99)]);
    assert_eq!(search.answered().len(), 1);
}

#[test]
fn a_refusal_or_nonsense_is_not_waited_for() {
    for rest in ["1:eli202e1:xe", "1:rde", "1:rd2:id3:abce", "1:ri1e", ""] {
        let (mut search, question) = asking();
        let kind = if rest.starts_with("1:e") { "e" } else { "r" };
        let t = string(transaction(&question));
        let message = [b"d", rest.as_bytes(), b"1:t", &t, b"1:y1:", kind.as_bytes(), b"e"].concat();
        assert!(scan(&message, &LIMITS).is_ok(), "{rest}");
        assert_eq!(search.handle(address(1), &message), []);
        assert_eq!(search.poll(SECOND), DhtPoll::Done, "{rest}");
        assert_eq!(search.answered(), [], "{rest}");
    }
}

#[test]
fn what_cannot_be_a_node_or_a_peer_is_left_out() {
    let (mut search, question) = asking();
    let odd = [([0, 0, 0, 0], 1), ([10, 0, 0, 9], 0), ([224, 0, 0, 1], 1), ([255; 4], 1)];
    let odd = odd.map(|place| compact(SocketAddr::from(place)));
    let nodes = odd.clone().map(|it| [&[3; 20][..], &it].concat());
    let v6 = [&[0xFC; 16][..], &[0, 80]].concat();
    let values = [&odd[..], &[b"short".to_vec(), v6]].concat();
    let found = search.handle(address(1), &answer(&question, [1; 20], &nodes, &values));
    assert_eq!(found, [SocketAddr::from(([0xFC; 16], 80))]);
    assert_eq!(search.poll(SECOND), DhtPoll::Done);
}

#[test]
fn hostile_nodes_that_always_name_more_have_us_ask_so_many_and_no_more() {
    let mut search = search();
    search.add(Contact { id: None, address: address(1) });
    let (mut asked, mut found, mut next) = (0, 0, 0_u32);
    loop {
        let batch = questions(&mut search, Duration::ZERO);
        if batch.is_empty() {
            break;
        }
        for (to, question) in batch {
            asked += 1;
            // The answers always name closer nodes and new peers.
            let places: Vec<_> = (0..100)
                .map(|_| {
                    next += 1;
                    let [_, a, b, c] = next.to_be_bytes();
                    SocketAddr::from(([20, a, b, c], 6881))
                })
                .collect();
            let shared = 2 + asked / 20;
            let nodes: Vec<_> =
                places.iter().map(|it| node(id_near(shared, asked as u8), *it)).collect();
            let values: Vec<_> = places.iter().map(|it| compact(*it)).collect();
            let message = answer(&question, id_near(1, 0), &nodes, &values);
            assert!(message.len() < LIMITS.max_bytes);
            found += search.handle(to, &message).len();
        }
        assert!(search.nodes.len() <= MAX_NODES);
    }
    assert_eq!((asked, found), (MAX_QUESTIONS, MAX_PEERS));
    assert_eq!(search.poll(Duration::ZERO), DhtPoll::Done);
}

#[test]
fn one_answer_brings_so_many_nodes_and_peers_and_no_more() {
    let (mut search, question) = asking();
    let places: Vec<_> = (0..250_u8).map(address).collect();
    let nodes: Vec<_> = places.iter().map(|it| node(id_near(2, 0), *it)).collect();
    let values: Vec<_> = places.iter().map(|it| compact(*it)).collect();
    let message = answer(&question, [1; 20], &nodes, &values);
    assert!(message.len() > 8 << 10);
    assert_eq!(search.handle(address(1), &message), [], "no datagram is so long");
    let message = answer(&question, [1; 20], &nodes[..100], &values);
    assert_eq!(search.handle(address(1), &message).len(), MAX_PEERS_OF_AN_ANSWER);
    // The queried node is among those that it names.
    assert_eq!(search.nodes.len(), MAX_NODES_OF_AN_ANSWER);
}

#[test]
fn the_closest_are_told_of_a_peer_with_the_token_that_they_gave() {
    let (mut search, question) = asking();
    assert_eq!(search.announce(6881), []);
    search.handle(address(1), &answer(&question, [1; 20], &[], &[]));
    let told = search.announce(6881);
    let mut expected = b"d1:ad2:id20:we-ask-and-are-quiet12:implied_porti0e9:info_hash20:".to_vec();
    expected.extend([0xAB; 20]);
    expected.extend(b"4:porti6881e5:token3:toke1:q13:announce_peer2:roi1e1:t4:");
    expected.extend(transaction(&told[0].1));
    expected.extend(b"1:v4:AD\0\x011:y1:qe");
    assert_eq!(told, [(address(1), expected)]);
}

/// serde_bencode overflows the usual thread stack on each of these in an unoptimized build.
#[test]
fn deeply_nested_datagrams_are_passed_over() {
    let (mut search, _) = asking();
    for part in ["l", "d1:x", "d1:rd1:x", "d0:"] {
        for begin in ["", "d1:x", "d1:rd1:x"] {
            let message = [begin, &part.repeat(2048 / part.len())].concat();
            assert_eq!(search.handle(address(1), message.as_bytes()), []);
        }
    }
    assert_eq!(search.poll(SECOND), DhtPoll::Wait(WAIT));
}

#[test]
fn answers_are_read_as_other_programs_write_them() {
    let question = asking().1;
    let message = answer(&question, [1; 20], &[], &[compact(address(7))]);
    for bytes in variants::of(&message) {
        let (mut search, _) = asking();
        assert_eq!(search.handle(address(1), &bytes), [address(7)], "{}", bytes.escape_ascii());
    }
    for value in variants::ODD_VALUES {
        let inner = format!("d1:rd1:p{value}2:ip{value}5:token3:tok5:token{value}");
        let message = [inner.as_bytes(), &message[b"d1:rd".len()..]].concat();
        let (mut search, _) = asking();
        assert_eq!(search.handle(address(1), &message), [address(7)], "{value}");
        assert_eq!(search.announce(1).len(), 1, "{value}");
    }
}

proptest! {
    #[test]
    fn no_datagram_has_it_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        cut in 0_usize..200,
        at in 0_usize..200,
    ) {
        let (mut search, question) = asking();
        let mut message = answer(&question, [1; 20], &[node([2; 20], address(2))], std::slice::from_ref(&bytes));
        if let Some(byte) = message.get_mut(at) {
            *byte = bytes.first().copied().unwrap_or_default();
        }
        message.truncate(message.len().saturating_sub(cut));
        for datagram in [&bytes, &message] {
            search.handle(address(1), datagram);
            search.poll(SECOND);
        }
    }
}

/// The host runs many nodes, all of them closer than those of other hosts.
fn of_one_host(port: u16) -> Contact {
    let mut id = id_near(18, 0);
    id[18..].copy_from_slice(&port.to_be_bytes());
    Contact { id: Some(id), address: SocketAddr::from(([10, 9, 9, 9], port)) }
}

fn honest(count: u8) -> impl Iterator<Item = Contact> {
    (1..=count).map(|n| Contact { id: Some(id_near(2, n)), address: address(n) })
}

#[test]
fn one_host_under_many_ids_is_asked_once_and_told_once_while_there_are_others() {
    let mut search = search();
    (1..=100).for_each(|port| search.add(of_one_host(port)));
    honest(20).for_each(|contact| search.add(contact));
    let (mut asked_host, mut next) = (0, 101);
    loop {
        let batch = questions(&mut search, SECOND);
        if batch.is_empty() {
            break;
        }
        for (to, question) in batch {
            let mut named = Vec::new();
            let id = if to.ip() == of_one_host(1).address.ip() {
                asked_host += 1;
                named.extend((next..next + 32).map(of_one_host));
                next += 32;
                of_one_host(to.port()).id
            } else {
                honest(20).find(|it| it.address == to).unwrap().id
            };
            let named: Vec<_> = named.iter().map(|it| node(it.id.unwrap(), it.address)).collect();
            search.handle(to, &answer(&question, id.unwrap(), &named, &[]));
        }
    }
    assert_eq!((asked_host, search.answered().len()), (1, CLOSEST));
    let told = search.announce(6881);
    let hosts: HashSet<_> = told.iter().map(|(to, _)| to.ip()).collect();
    assert_eq!(hosts.len(), ANNOUNCED_TO);
}

/// Runs a search in which the host under many IDs never answers, except with an error to `refused`
/// of the queries. Returns how many nodes of the host were queried and when the search ended.
fn with_a_silent_host(honest_nodes: u8, refused: usize) -> (DhtSearch, usize, Duration) {
    let mut search = search();
    honest(honest_nodes).for_each(|contact| search.add(contact));
    let named: Vec<_> = (1..=32).map(of_one_host).collect();
    let named: Vec<_> = named.iter().map(|it| node(it.id.unwrap(), it.address)).collect();
    let (mut asked_host, mut now) = (0, Duration::ZERO);
    loop {
        let batch = questions(&mut search, now);
        if batch.is_empty() {
            match search.poll(now) {
                DhtPoll::Wait(until) => now = until,
                _ => return (search, asked_host, now),
            }
        }
        for (to, question) in batch {
            if let Some(it) = honest(honest_nodes).find(|it| it.address == to) {
                search.handle(to, &answer(&question, it.id.unwrap(), &named, &[]));
                continue;
            }
            asked_host += 1;
            if asked_host <= refused {
                let t = string(transaction(&question));
                search.handle(to, &[b"d1:eli202e1:xe1:t", &t[..], b"1:y1:ee"].concat());
            }
        }
    }
}

#[test]
fn one_host_under_many_ids_that_never_answers_is_asked_once_while_there_are_others() {
    for refused in [0, 1, 32] {
        let (mut search, asked_host, ended) = with_a_silent_host(20, refused);
        assert_eq!((asked_host, search.answered().len()), (1, CLOSEST), "{refused}");
        assert!(ended <= WAIT, "{refused}: {ended:?}");
        assert_eq!(search.announce(6881).len(), ANNOUNCED_TO);
    }
    // With few others, some more of its nodes are queried, and a refusal counts as silence.
    for (honest_nodes, refused) in [(1, 0), (8, 0), (CLOSEST - 1, 0), (CLOSEST - 1, 32)] {
        let (search, asked_host, ended) = with_a_silent_host(honest_nodes as u8, refused);
        assert_eq!(search.answered().len(), honest_nodes);
        assert!(asked_host < MAX_SILENT_OF_A_HOST + AT_ONCE, "{honest_nodes}: {asked_host}");
        assert!(ended <= WAIT * MAX_SILENT_OF_A_HOST as u32, "{honest_nodes}: {ended:?}");
    }
}

#[test]
fn one_host_under_many_ids_pushes_nobody_out() {
    let mut search = search();
    honest(100).for_each(|contact| search.add(contact));
    (1..=1_000).for_each(|port| search.add(of_one_host(port)));
    assert_eq!(search.nodes.len(), MAX_NODES);
    for contact in honest(100) {
        assert!(search.nodes.iter().any(|node| node.contact == contact), "{contact:?}");
    }
    // If each node has its own host, the farthest is dropped.
    let many = |n: u16| Contact {
        id: Some(id_near(1, (n % 200) as u8)),
        address: SocketAddr::from(([10, 1, (n >> 8) as u8, n as u8], 1)),
    };
    (0..1_000).for_each(|n| search.add(many(n)));
    assert_eq!(search.nodes.len(), MAX_NODES);
    assert!(honest(100).all(|it| search.nodes.iter().any(|node| node.contact == it)));
}

#[test]
fn where_there_is_one_host_alone_all_its_nodes_are_asked_the_closest_first() {
    let mut search = search();
    (1..=20).for_each(|port| search.add(of_one_host(port)));
    let asked = questions(&mut search, SECOND);
    let mut expected: Vec<_> = (1..=20).map(of_one_host).collect();
    expected.sort_by_key(|it| it.id.unwrap().map(|byte| byte ^ 0xAB));
    let expected = expected.iter().map(|it| it.address).take(AT_ONCE).collect::<Vec<_>>();
    assert_eq!(asked.iter().map(|it| it.0).collect::<Vec<_>>(), expected);
}

#[test]
fn a_node_elsewhere_cannot_name_nodes_of_our_network() {
    let mut search = search();
    let public = SocketAddr::from(([203, 0, 113, 1], 6881));
    search.add(Contact { id: None, address: public });
    let question = questions(&mut search, Duration::ZERO).remove(0).1;
    let private = ["127.0.0.1:1", "10.0.0.1:1", "192.168.1.1:1", "169.254.169.254:80"];
    let mut nodes: Vec<_> =
        private.iter().zip(2..).map(|(at, n)| node(id_near(n, 1), at.parse().unwrap())).collect();
    let other = SocketAddr::from(([203, 0, 113, 2], 6881));
    nodes.push(node(id_near(1, 1), other));
    search.handle(public, &answer(&question, id_near(1, 9), &nodes, &[]));
    let asked: Vec<_> =
        questions(&mut search, Duration::ZERO).into_iter().map(|(to, _)| to).collect();
    assert_eq!(asked, [other]);
}
