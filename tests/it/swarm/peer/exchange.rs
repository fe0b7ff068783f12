//! What a peer tells its clients of others, and is told (BEP 11).

use std::io::{Result, Write as _};

use super::super::bencode::B;
use super::super::tracker::compact_peer;
use super::super::wire;
use super::serving::Client;

/// The id under which we take `ut_pex`.
pub const OUR_PEX_ID: u8 = 9;

impl Client<'_> {
    /// Names the peers that the client is to hear of, as id 1 where it did not ask for it.
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
