/// The table, compiled into the program, which also runs on machines without the dataset.
const DIGITS: &[u8] = include_bytes!(env!("AT_DIGITS_PATH"));

fn main() {
    let images = DIGITS.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    println!("{} images in {} bytes", images.count(), DIGITS.len());
}
