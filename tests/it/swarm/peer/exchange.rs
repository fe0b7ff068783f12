//! Peer exchange of the test peer with its clients (BEP 11).

use std::io::{Result, Write as _};

use super::super::bencode::B;
use super::super::tracker::compact_peer;
use super::super::wire;
use super::serving::Client;

/// The message id that the peer's extension handshake assigns to `ut_pex`.
pub const OUR_PEX_ID: u8 = 9;

impl Client<'_> {
    /// Sends the configured peers, under id 1 if the client does not offer `ut_pex`.
    pub fn name_others(&mut self, pex_id: Option<u8>) -> Result<()> {
        let names = self.shared.state.lock().unwrap().names.clone();
        if names.is_empty() {
            return Ok(());
        }
        let added: Vec<u8> = names.iter().flat_map(compact_peer).collect();
        let flags = vec![0; names.len()];
        let named = B::dict([("added", B::Bytes(added)), ("added.f", B::Bytes(flags))]);
        self.conn.stream.write_all(&wire::extended(pex_id.unwrap_or(1), &named.write()))
    }
}
