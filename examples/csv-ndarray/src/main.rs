use std::error::Error;

use ndarray::{Array2, Axis, s};

/// The path of the table. Each line has 64 pixels, from 0 to 16, and the digit that they show.
const DIGITS: &str = env!("AT_DIGITS_PATH");

fn main() -> Result<(), Box<dyn Error>> {
    let mut table = csv::ReaderBuilder::new().has_headers(false).from_path(DIGITS)?;
    let rows = table.deserialize().collect::<Result<Vec<Vec<f64>>, _>>()?;
    let digits = Array2::from_shape_vec((rows.len(), 65), rows.concat())?;

    let (pixels, labels) = (digits.slice(s![.., ..64]), digits.column(64));
    println!("{} images of {} pixels", pixels.nrows(), pixels.ncols());
    for digit in 0..10 {
        let rows: Vec<usize> =
            (0..labels.len()).filter(|row| labels[*row] == f64::from(digit)).collect();
        let images = pixels.select(Axis(0), &rows);
        println!(
            "{digit}: {} images, mean shade {:.2}",
            images.nrows(),
            images.mean().unwrap_or_default()
        );
    }
    Ok(())
}
