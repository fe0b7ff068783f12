#![no_main]
#![allow(dead_code, reason = "the command uses the rest")]

#[path = "../../cargo-academictorrents/src/catalogue/bibtex.rs"]
mod bibtex;
#[path = "../../cargo-academictorrents/src/catalogue/database.rs"]
mod database;
#[path = "../../cargo-academictorrents/src/catalogue/fuzz.rs"]
mod fuzz;
#[path = "../../cargo-academictorrents/src/catalogue/record.rs"]
mod record;

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::decode(data));
