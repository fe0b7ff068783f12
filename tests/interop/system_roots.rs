//! A certificate authority in the system's trust store, like a university's that an administrator
//! added. Runs in a mount namespace.

use crate::harness::Trial;
use crate::namespace::{self, NAMESPACES};
use crate::support::Project;
use crate::swarm::{Dataset, TlsFront, WebSeed, random_bytes};

pub const TRIAL: &str = "system_roots::web_seed";

pub fn trials() -> Vec<Trial> {
    // The default location of OpenSSL's certificates on most systems. The other contents of
    // /etc/ssl do not matter here.
    let set_up = "ip link set lo up && mount -t tmpfs tmpfs /etc/ssl && mkdir /etc/ssl/certs";
    let run = move || namespace::run(TRIAL, set_up, &[]);
    vec![Trial::new(TRIAL.to_owned(), &[&NAMESPACES], run)]
}

/// Runs in the namespace, before anything has read the trust store.
pub fn inside() {
    let dataset = Dataset::single("data.bin", random_bytes(3, 5_000_000)).piece_length(1 << 18);
    let seed = WebSeed::serving(&dataset);
    let front = TlsFront::before(seed.http().server().addr());
    let path = seed.url().splitn(4, '/').nth(3).unwrap().to_owned();
    let lines = format!("web-seeds = [\"{}/{path}\"]", front.url());
    let project = || Project::of(&dataset, &lines);
    front.write_ca("/etc/ssl/certs/ca-certificates.crt".as_ref());
    dataset.assert_at(&project().path_of("data"));
    // A slow piece may be requested a second time.
    assert!(seed.bytes_served() >= 5_000_000, "{} bytes served", seed.bytes_served());
}
