//! A rendered picture, and the files and pictures that are made of it.

mod file;
mod gif;
mod grid;

use crate::Error;
use file::NewFile;
use std::io::Write;
use std::path::Path;

pub use gif::GifWriter;

/// A picture of the environment, 8 bits a channel.
///
/// ```
/// let mut env = apprentice_envs::make("CartPole-v1")?;
/// env.reset(Some(42));
/// let frame = env.render_rgb().expect("CartPole draws itself");
/// assert_eq!((frame.width, frame.height), (600, 400));
/// let png = frame.to_png()?;
/// assert!(png.starts_with(b"\x89PNG"));
/// # Ok::<(), apprentice_envs::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// `height × width × 3` bytes: red, green, blue; rows from the top.
    pub rgb: Vec<u8>,
}

impl Frame {
    /// The picture as a PNG file.
    ///
    /// # Errors
    /// If the picture has no pixels, or `rgb` has another length than `height × width × 3`.
    pub fn to_png(&self) -> Result<Vec<u8>, Error> {
        self.check()?;
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, self.width, self.height);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        let written = encoder.write_header().and_then(|mut writer| {
            writer.write_image_data(&self.rgb)?;
            writer.finish()
        });
        written.map_err(|e| Error::shape(format!("a picture of {} × {} as PNG: {e}", self.width, self.height)))?;
        Ok(bytes)
    }

    /// Writes the picture to a PNG file, which appears whole or not at all.
    ///
    /// # Errors
    /// As [`to_png`](Self::to_png), and if the file cannot be written.
    pub fn save_png(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        let (path, png) = (path.as_ref(), self.to_png()?);
        let written = NewFile::create(path).and_then(|mut file| {
            file.write_all(&png)?;
            file.finish()
        });
        written.map_err(|e| Error::io("write", path, e))
    }

    /// The colour of a pixel.
    #[cfg(test)]
    pub(crate) fn pixel(&self, x: usize, y: usize) -> [u8; 3] {
        let at = (y * self.width as usize + x) * 3;
        std::array::from_fn(|channel| self.rgb[at + channel])
    }

    /// Refuses what is not a picture; the fields are public.
    fn check(&self) -> Result<(), Error> {
        let (width, height) = (self.width as usize, self.height as usize);
        let expected = width.checked_mul(height).and_then(|pixels| pixels.checked_mul(3));
        if expected == Some(self.rgb.len()) && expected != Some(0) {
            return Ok(());
        }
        Err(Error::shape(format!(
            "a picture of {width} × {height} pixels: expected at least one, with three bytes a pixel, got {} bytes",
            self.rgb.len()
        )))
    }

    /// Refuses a picture that has another size than the first.
    fn check_size(&self, first: &Self) -> Result<(), Error> {
        self.check()?;
        if (self.width, self.height) == (first.width, first.height) {
            return Ok(());
        }
        Err(Error::shape(format!(
            "pictures of different sizes: expected {} × {} pixels as in the first, got {} × {}",
            first.width, first.height, self.width, self.height
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture whose pixels all differ.
    pub(super) fn gradient(width: u32, height: u32) -> Frame {
        let pixel = |i: u32| [(i % width) as u8, (i / width) as u8, (i % 251) as u8];
        Frame { width, height, rgb: (0..width * height).flat_map(pixel).collect() }
    }

    #[test]
    fn png_decodes_to_the_same_picture() {
        let (folder, frame) = (tempfile::tempdir().unwrap(), gradient(30, 20));
        let path = folder.path().join("frame.png");
        frame.save_png(&path).unwrap();
        let file = std::io::BufReader::new(std::fs::File::open(&path).unwrap());
        let mut reader = png::Decoder::new(file).read_info().unwrap();
        let mut rgb = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut rgb).unwrap();
        assert_eq!((info.color_type, info.bit_depth), (png::ColorType::Rgb, png::BitDepth::Eight));
        assert_eq!(Frame { width: info.width, height: info.height, rgb }, frame);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_not_a_picture_is_refused() {
        let wrong = Frame { width: 2, height: 2, rgb: vec![0; 11] };
        assert!(wrong.to_png().unwrap_err().is_shape());
        let empty = Frame { width: 0, height: 2, rgb: Vec::new() };
        assert!(empty.to_png().unwrap_err().is_shape());
        let folder = tempfile::tempdir().unwrap();
        let nowhere = gradient(1, 1).save_png(folder.path().join("missing/frame.png")).unwrap_err();
        assert!(nowhere.is_io() && nowhere.to_string().contains("missing"), "{nowhere}");
    }
}
