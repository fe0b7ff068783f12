//! Names that unit tests can rely on: what `localhost` is differs from machine to machine.

use std::net::{Ipv4Addr, Ipv6Addr};

use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};

use super::*;

/// This one has an address of each family, on loopback.
pub const BOTH: &str = "both.test";

#[derive(Debug, Default)]
pub struct Names(DefaultResolver);

impl Resolver for Names {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        if uri.host() != Some(BOTH) {
            return self.0.resolve(uri, config, timeout);
        }
        let port = uri.port_u16().unwrap_or(80);
        let both: [SocketAddr; 2] =
            [(Ipv4Addr::LOCALHOST, port).into(), (Ipv6Addr::LOCALHOST, port).into()];
        let family = config.ip_family();
        let mut wanted = self.empty();
        family.keep_wanted(both.into_iter()).for_each(|address| wanted.push(address));
        Ok(wanted)
    }
}
