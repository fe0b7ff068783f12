//! Host name look-ups with a deadline. The system's resolver has none, so it runs on threads that
//! nobody joins.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::mpsc::{RecvTimeoutError, channel, sync_channel};
use std::time::Duration;

use ureq::config::IpFamily;

use super::error::{SourceError, Stage};

/// How often a look-up of several names checks whether its result is still needed.
const SLICE: Duration = Duration::from_millis(20);

/// Addresses used per name: what ureq has room for.
const MAX_ADDRESSES: usize = 16;

/// Returns the addresses of `host:port` in the order in which the system would try them.
///
/// # Errors
/// The name is unknown, or was not resolved within that time.
pub(super) fn look_up(
    place: &str,
    family: IpFamily,
    within: Duration,
) -> Result<Vec<SocketAddr>, SourceError> {
    let (tell, told) = sync_channel(1);
    let place = place.to_owned();
    let look_up = move || drop(tell.send(addresses_of(&place)));
    std::thread::Builder::new().name("at-resolver".to_owned()).spawn(look_up)?;
    let found = told.recv_timeout(within).map_err(|_| SourceError::TimedOut(Stage::LookUp))?;
    let found = found.map_err(unknown)?;
    let addresses: Vec<_> = family.keep_wanted(found.into_iter()).take(MAX_ADDRESSES).collect();
    if addresses.is_empty() { Err(SourceError::UnknownHost) } else { Ok(addresses) }
}

/// Resolves each `host:port`, all in parallel, within that time. `time` returns the clock's time,
/// or `None` once the addresses are no longer needed.
pub(super) fn look_up_all(
    places: &[String],
    within: Duration,
    time: &dyn Fn() -> Option<Duration>,
) -> Vec<Result<Vec<SocketAddr>, SourceError>> {
    let Some(begun) = time() else {
        return places.iter().map(|_| Err(SourceError::Ended)).collect();
    };
    let late = |_: &String| Err(SourceError::TimedOut(Stage::LookUp));
    let mut found: Vec<_> = places.iter().map(late).collect();
    let (tell, told) = channel();
    for (index, place) in places.iter().enumerate() {
        if let Ok(address) = place.parse::<SocketAddr>() {
            found[index] = Ok(vec![address]);
            continue;
        }
        let (place, tell) = (place.clone(), tell.clone());
        // The receiver may have given up.
        let work = move || drop(tell.send((index, addresses_of(&place))));
        let thread = std::thread::Builder::new().name("at-resolver".to_owned());
        if let Err(why) = thread.spawn(work) {
            found[index] = Err(why.into());
        }
    }
    drop(tell);
    while time().is_some_and(|now| now.saturating_sub(begun) < within) {
        match told.recv_timeout(SLICE) {
            Ok((index, addresses)) => found[index] = addresses.map_err(unknown),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    let canonical =
        |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
    let checked = |addresses: Vec<SocketAddr>| match addresses.is_empty() {
        true => Err(SourceError::NoAddress),
        false => Ok(addresses.into_iter().map(canonical).collect()),
    };
    found.into_iter().map(|addresses| addresses.and_then(checked)).collect()
}

/// The system's error for an unknown name has no kind, and on Unix no code either.
fn unknown(why: std::io::Error) -> SourceError {
    match why.raw_os_error() {
        Some(code) if !is_resolvers(code) => why.into(),
        _ => SourceError::LookUp(why.to_string()),
    }
}

/// `WSAHOST_NOT_FOUND`, `WSATRY_AGAIN`, `WSANO_RECOVERY` and `WSANO_DATA`.
#[cfg(windows)]
fn is_resolvers(code: i32) -> bool {
    (11001..=11004).contains(&code)
}

#[cfg(not(windows))]
fn is_resolvers(_code: i32) -> bool {
    false
}

#[cfg(not(test))]
fn addresses_of(place: &str) -> std::io::Result<Vec<SocketAddr>> {
    Ok(place.to_socket_addrs()?.collect())
}

/// Names that unit tests can rely on: what `localhost` resolves to differs between machines.
#[cfg(test)]
fn addresses_of(place: &str) -> std::io::Result<Vec<SocketAddr>> {
    use std::net::{Ipv4Addr, Ipv6Addr};
    match place.strip_prefix(BOTH).and_then(|port| port.strip_prefix(':')?.parse::<u16>().ok()) {
        Some(port) => {
            Ok(vec![(Ipv4Addr::LOCALHOST, port).into(), (Ipv6Addr::LOCALHOST, port).into()])
        }
        None => Ok(place.to_socket_addrs()?.collect()),
    }
}

/// A name with one address of each family, on loopback.
#[cfg(test)]
pub const BOTH: &str = "both.test";

#[cfg(test)]
pub mod tests {
    use std::io::Write as _;
    use std::net::{Ipv6Addr, TcpListener};

    /// Whether loopback has IPv6. Containers often have none; tests that need it print that they were
    /// not run, and `.ci/run` insists on it.
    pub fn has_ipv6() -> bool {
        let bound = TcpListener::bind((Ipv6Addr::LOCALHOST, 0));
        if let Err(why) = &bound {
            // Unlike the output of `eprintln!`, this output is not captured.
            let _ = writeln!(std::io::stderr(), "not tested, because ::1 cannot be used: {why}");
        }
        bound.is_ok()
    }
}
