//! Many pictures in one.

use super::Frame;
use crate::Error;

/// Neither side of a grid is longer in pixels, as long as every picture in it has one.
const LONGEST_SIDE: usize = 1280;
/// Pixels between the pictures.
const GAP: usize = 4;
const GAP_COLOUR: u8 = 96;

impl Frame {
    /// One picture of many that have the same size, row by row in about a square: a whole vector environment.
    ///
    /// Where the grid would be larger than 1280 pixels a side, the pictures are reduced by a whole factor, their
    /// pixels being averaged.
    ///
    /// ```
    /// use apprentice_envs::{Frame, make};
    ///
    /// let mut frames = Vec::new();
    /// for seed in 0..4 {
    ///     let mut env = make("Pendulum-v1")?;
    ///     env.reset(Some(seed));
    ///     frames.extend(env.render_rgb());
    /// }
    /// let grid = Frame::grid(&frames)?;
    /// assert_eq!((grid.width, grid.height), (1004, 1004));
    /// # Ok::<(), apprentice_envs::Error>(())
    /// ```
    ///
    /// # Errors
    /// If there is no picture, or their sizes differ.
    pub fn grid(frames: &[Self]) -> Result<Self, Error> {
        let first =
            frames.first().ok_or_else(|| Error::shape("a grid of pictures: expected at least one, got none"))?;
        frames.iter().try_for_each(|frame| frame.check_size(first))?;

        let (width, height) = (first.width as usize, first.height as usize);
        let columns = columns(frames.len(), width, height);
        let rows = frames.len().div_ceil(columns);
        let factor = factor(columns, width).max(factor(rows, height)).min(width).min(height);
        let (width, height) = (width / factor, height / factor);

        let (total_width, total_height) = (columns * (width + GAP) - GAP, rows * (height + GAP) - GAP);
        let mut rgb = vec![GAP_COLOUR; total_width * total_height * 3];
        for (i, frame) in frames.iter().enumerate() {
            let (left, top) = (i % columns * (width + GAP), i / columns * (height + GAP));
            for y in 0..height {
                let start = ((top + y) * total_width + left) * 3;
                frame.reduced_row(y, factor, &mut rgb[start..start + width * 3]);
            }
        }
        Ok(Self { width: total_width as u32, height: total_height as u32, rgb })
    }

    /// Writes row `y` of the picture reduced by `factor`: each pixel the mean of a square of pixels.
    fn reduced_row(&self, y: usize, factor: usize, row: &mut [u8]) {
        if factor == 1 {
            row.copy_from_slice(&self.rgb[y * row.len()..][..row.len()]);
            return;
        }
        let mut sums = vec![[0_u32; 3]; row.len() / 3];
        let rows = self.rgb.chunks_exact(self.width as usize * 3).skip(y * factor).take(factor);
        for pixels in rows {
            for (sum, pixels) in sums.iter_mut().zip(pixels.chunks_exact(3 * factor)) {
                for pixel in pixels.chunks_exact(3) {
                    (0..3).for_each(|channel| sum[channel] += u32::from(pixel[channel]));
                }
            }
        }
        let area = (factor * factor) as u32;
        for (pixel, sum) in row.chunks_exact_mut(3).zip(sums) {
            (0..3).for_each(|channel| pixel[channel] = ((sum[channel] + area / 2) / area) as u8);
        }
    }
}

/// How many pictures side by side make the grid about a square, and wider rather than higher.
fn columns(pictures: usize, width: usize, height: usize) -> usize {
    let ideal = (pictures as f64 * height as f64 / width as f64).sqrt();
    let columns = (ideal.ceil() as usize).clamp(1, pictures);
    // As few as the same number of rows needs.
    pictures.div_ceil(pictures.div_ceil(columns))
}

/// By how much pictures in a row must be reduced to leave room for the gaps.
fn factor(pictures: usize, side: usize) -> usize {
    let room = LONGEST_SIDE.saturating_sub((pictures - 1) * GAP).max(1);
    (pictures * side).div_ceil(room)
}

#[cfg(test)]
mod tests {
    use super::super::tests::gradient;
    use super::*;

    fn plain(width: u32, height: u32, colour: [u8; 3]) -> Frame {
        Frame { width, height, rgb: colour.repeat((width * height) as usize) }
    }

    #[test]
    fn pictures_stand_in_reading_order_with_gaps() {
        let colours: Vec<[u8; 3]> = (0..5).map(|i| [i * 50, 255 - i, i]).collect();
        let frames: Vec<Frame> = colours.iter().map(|&colour| plain(60, 40, colour)).collect();
        let grid = Frame::grid(&frames).unwrap();
        assert_eq!((grid.width, grid.height), (2 * 64 - 4, 3 * 44 - 4));
        for (i, &colour) in colours.iter().enumerate() {
            let (left, top) = (i % 2 * 64, i / 2 * 44);
            for (x, y) in [(0, 0), (59, 0), (0, 39), (59, 39)] {
                assert_eq!(grid.pixel(left + x, top + y), colour, "picture {i}");
            }
        }
        for (x, y) in [(60, 0), (63, 127), (0, 40), (64, 100)] {
            assert_eq!(grid.pixel(x, y), [GAP_COLOUR; 3], "{x} {y}");
        }
        let one = gradient(9, 7);
        assert_eq!(Frame::grid(std::slice::from_ref(&one)).unwrap(), one);
    }

    #[test]
    fn large_grids_are_reduced_by_averaging() {
        // Two by two: 2404 × 2404, which needs a factor of two.
        let mut frame = plain(1200, 1200, [0; 3]);
        for (x, red) in [(0, 100), (1, 60)] {
            frame.rgb[x * 3] = red;
        }
        let grid = Frame::grid(&vec![frame; 4]).unwrap();
        assert_eq!((grid.width, grid.height), (1204, 1204));
        assert_eq!(grid.pixel(0, 0), [40, 0, 0]);
        assert_eq!(grid.pixel(604, 604), [40, 0, 0]);
        let many = Frame::grid(&vec![gradient(60, 40); 10_000]).unwrap();
        assert!(many.width.max(many.height) <= 1280, "{} × {}", many.width, many.height);
    }

    #[test]
    fn layouts_are_about_square() {
        for (pictures, width, height, expected) in
            [(1, 600, 400, 1), (2, 600, 400, 2), (4, 600, 400, 2), (16, 500, 500, 4), (4, 768, 256, 2), (3, 9, 900, 3)]
        {
            assert_eq!(columns(pictures, width, height), expected, "{pictures} of {width} × {height}");
        }
    }

    #[test]
    fn no_pictures_and_different_sizes_are_refused() {
        assert!(Frame::grid(&[]).unwrap_err().is_shape());
        let error = Frame::grid(&[gradient(3, 2), gradient(2, 3)]).unwrap_err();
        assert!(error.is_shape() && error.to_string().contains("3 × 2") && error.to_string().contains("2 × 3"));
    }
}
