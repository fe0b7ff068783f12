#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| academictorrents::fuzz::http_head(data));
