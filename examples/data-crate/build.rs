// Needed only if the build script uses the dataset. Cargo sets the variable because `digits` has
// `links`.
fn main() {
    let path = std::env::var("DEP_DIGITS_AT_DIGITS_PATH").expect("digits has it");
    let bytes = std::fs::metadata(path).expect("it is there").len();
    println!("cargo::rustc-env=DIGITS_BYTES={bytes}");
    println!("cargo::rerun-if-changed=build.rs");
}
