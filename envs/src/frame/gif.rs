//! Animated GIF files.

use super::Frame;
use super::file::NewFile;
use crate::Error;
use gif::{DisposalMethod, Encoder, EncodingError, Repeat};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Quality against speed where a picture has more than 256 colours: 1 is the best, 30 the fastest.
const QUANTISATION_SPEED: i32 = 20;

/// Writes an animated GIF, frame by frame, that repeats for ever.
///
/// A frame is stored as what differs from the one before: exactly if that has at most 255 colours, which holds for single
/// pictures drawn by this crate; else similar colours are merged. The file appears under its name when it is finished.
///
/// ```
/// use apprentice_envs::{GifWriter, Value, make};
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("cartpole.gif");
///
/// let mut env = make("CartPole-v1")?;
/// env.reset(Some(42));
/// let mut gif = GifWriter::create(path, 50)?;
/// for i in 0..10 {
///     env.step(&Value::Discrete(i % 2))?;
///     gif.push(&env.render_rgb().expect("CartPole draws itself"))?;
/// }
/// gif.finish()?;
/// # Ok::<(), apprentice_envs::Error>(())
/// ```
pub struct GifWriter {
    path: PathBuf,
    fps: u32,
    frames: u64,
    state: State,
}

enum State {
    /// The first frame will give the size.
    Empty(NewFile),
    Running {
        encoder: Encoder<NewFile>,
        last: Frame,
    },
    Failed,
}

impl GifWriter {
    /// Starts a file with `fps` frames a second.
    ///
    /// # Errors
    /// If `fps` is not 1 to 50 (many programs slow faster animations down), or the file cannot be created.
    pub fn create(path: impl AsRef<Path>, fps: u32) -> Result<Self, Error> {
        let path = path.as_ref().to_owned();
        if !(1..=50).contains(&fps) {
            return Err(Error::config(format!("fps: expected 1 to 50 frames a second, got {fps}")));
        }
        let file = NewFile::create(&path).map_err(|e| Error::io("create", &path, e))?;
        Ok(Self { path, fps, frames: 0, state: State::Empty(file) })
    }

    /// Adds a frame.
    ///
    /// # Errors
    /// If the frame has another size than the first, or more than 65,535 pixels a side; then it is left out, and
    /// others can follow. If the file cannot be written; then it is lost.
    pub fn push(&mut self, frame: &Frame) -> Result<(), Error> {
        frame.check()?;
        let size = [frame.width, frame.height].map(u16::try_from);
        let [Ok(width), Ok(height)] = size else {
            return Err(Error::shape(format!(
                "a GIF of {} × {} pixels: expected at most 65535 a side",
                frame.width, frame.height
            )));
        };
        if let State::Running { last, .. } = &self.state {
            frame.check_size(last)?;
        }
        let delay = self.delay();
        self.state = match std::mem::replace(&mut self.state, State::Failed) {
            State::Empty(file) => start(file, [width, height], frame, delay),
            State::Running { encoder, last } => go_on(encoder, &last, frame, delay),
            State::Failed => Err(EncodingError::from(std::io::Error::other("an earlier frame could not be written"))),
        }
        .map_err(|e| Error::io("write", &self.path, e))?;
        self.frames += 1;
        Ok(())
    }

    /// Completes the file and gives it its name.
    ///
    /// # Errors
    /// If there was no frame, or the file cannot be written.
    pub fn finish(self) -> Result<(), Error> {
        let written = match self.state {
            State::Empty(_) => {
                return Err(Error::shape(format!("{}: expected at least one frame, got none", self.path.display())));
            }
            State::Running { encoder, .. } => encoder.into_inner().map_err(to_io).and_then(NewFile::finish),
            State::Failed => Err(std::io::Error::other("a frame could not be written")),
        };
        written.map_err(|e| Error::io("write", &self.path, e))
    }

    /// How long the next frame is shown, in hundredths of a second; rounded so that errors do not add up.
    fn delay(&self) -> u16 {
        let fps = u64::from(self.fps);
        let end = |frames: u64| (frames * 100 + fps / 2) / fps;
        (end(self.frames + 1) - end(self.frames)) as u16
    }
}

fn start(file: NewFile, [width, height]: [u16; 2], frame: &Frame, delay: u16) -> Result<State, EncodingError> {
    let mut encoder = Encoder::new(file, width, height, &[])?;
    encoder.set_repeat(Repeat::Infinite)?;
    encoder.write_frame(&cut(frame, None, [0, 0, width, height], delay))?;
    Ok(State::Running { encoder, last: frame.clone() })
}

fn go_on(mut encoder: Encoder<NewFile>, last: &Frame, frame: &Frame, delay: u16) -> Result<State, EncodingError> {
    encoder.write_frame(&cut(frame, Some(last), difference(last, frame), delay))?;
    Ok(State::Running { encoder, last: frame.clone() })
}

/// The rectangle (left, top, right, bottom) outside of which two frames of one size are equal; at least a pixel.
fn difference(a: &Frame, b: &Frame) -> [u16; 4] {
    let pitch = a.width as usize * 3;
    let rows = || a.rgb.chunks_exact(pitch).zip(b.rgb.chunks_exact(pitch));
    let differs = |(a, b): (&[u8], &[u8])| a != b;
    let (Some(top), Some(below)) = (rows().position(differs), rows().rev().position(differs)) else {
        return [0, 0, 1, 1];
    };
    let columns = |(a, b): (&[u8], &[u8])| {
        let differs = |i: &usize| a[*i] != b[*i];
        Some(((0..pitch).find(differs)? / 3, (0..pitch).rfind(differs)? / 3 + 1))
    };
    let (left, right) =
        rows().filter_map(columns).fold((pitch, 0), |(l, r), (left, right)| (l.min(left), r.max(right)));
    [left, top, right, a.height as usize - below].map(|edge| edge as u16)
}

/// A rectangle (left, top, right, bottom) of a frame, to be laid over the last one. What equals it is transparent.
fn cut(frame: &Frame, last: Option<&Frame>, [left, top, right, bottom]: [u16; 4], delay: u16) -> gif::Frame<'static> {
    let pitch = frame.width as usize * 3;
    let cut = |frame: &Frame| -> Vec<[u8; 3]> {
        let rows = frame.rgb.chunks_exact(pitch).take(usize::from(bottom)).skip(usize::from(top));
        let pixels = rows.flat_map(|row| row[usize::from(left) * 3..usize::from(right) * 3].chunks_exact(3));
        pixels.map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect()
    };
    let (pixels, size) = (cut(frame), [right - left, bottom - top]);
    let changed: Vec<Option<[u8; 3]>> = match last {
        Some(last) => pixels.into_iter().zip(cut(last)).map(|(new, old)| (new != old).then_some(new)).collect(),
        None => pixels.into_iter().map(Some).collect(),
    };
    let merged = [8, 6, 5].into_iter().find_map(|bits| with_palette(&changed, size, bits));
    let part = merged.unwrap_or_else(|| approximate(&changed, size));
    gif::Frame { left, top, delay, dispose: DisposalMethod::Keep, ..part }
}

/// Pixels with a palette of their own colours, rounded to so many bits a channel, if these are at most 255. Index 0 is
/// transparent.
fn with_palette(pixels: &[Option<[u8; 3]>], [width, height]: [u16; 2], bits: u32) -> Option<gif::Frame<'static>> {
    // Black stays black, and white white.
    let round = |channel: u8| {
        let kept = channel >> (8 - bits) << (8 - bits);
        kept | (u16::from(kept) >> bits) as u8
    };
    let (mut palette, mut indices) = (vec![0; 3], HashMap::new());
    let mut buffer = Vec::with_capacity(pixels.len());
    // Most pixels are like their neighbour, which saves the look-up.
    let mut last = (None, 0);
    for &pixel in pixels {
        if pixel != last.0 {
            let index = match pixel {
                None => 0,
                Some(colour) => *indices.entry(colour.map(round)).or_insert_with(|| {
                    palette.extend(colour.map(round));
                    palette.len() / 3 - 1
                }),
            };
            last = (pixel, u8::try_from(index).ok()?);
        }
        buffer.push(last.1);
    }
    Some(gif::Frame::from_palette_pixels(width, height, buffer, palette, Some(0)))
}

/// Pixels with the nearest colours of a palette made for them.
fn approximate(pixels: &[Option<[u8; 3]>], [width, height]: [u16; 2]) -> gif::Frame<'static> {
    let rgba = |&pixel: &Option<[u8; 3]>| pixel.map_or([0; 4], |[red, green, blue]| [red, green, blue, 255]);
    let mut rgba: Vec<u8> = pixels.iter().flat_map(rgba).collect();
    gif::Frame::from_rgba_speed(width, height, &mut rgba, QUANTISATION_SPEED)
}

fn to_io(error: EncodingError) -> std::io::Error {
    match error {
        EncodingError::Io(error) => error,
        other => std::io::Error::other(other),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::gradient;
    use super::*;
    use gif::{ColorOutput, DecodeOptions};

    /// What a program shows: the frames one over the other, and the delays.
    fn play(path: &Path) -> (Vec<Frame>, Vec<u16>) {
        let mut options = DecodeOptions::new();
        options.set_color_output(ColorOutput::RGBA);
        let mut decoder = options.read_info(std::fs::File::open(path).unwrap()).unwrap();
        let (width, height) = (usize::from(decoder.width()), usize::from(decoder.height()));
        assert_eq!(decoder.repeat(), Repeat::Infinite);
        let mut shown = Frame { width: width as u32, height: height as u32, rgb: vec![0; width * height * 3] };
        let (mut frames, mut delays) = (Vec::new(), Vec::new());
        while let Some(part) = decoder.read_next_frame().unwrap() {
            for (i, rgba) in part.buffer.chunks_exact(4).enumerate() {
                let (x, y) = (i % usize::from(part.width), i / usize::from(part.width));
                let at = ((y + usize::from(part.top)) * width + x + usize::from(part.left)) * 3;
                if rgba[3] != 0 {
                    shown.rgb[at..at + 3].copy_from_slice(&rgba[..3]);
                }
            }
            frames.push(shown.clone());
            delays.push(part.delay);
        }
        (frames, delays)
    }

    /// A dark square that moves over a light ground.
    fn moving(step: u32) -> Frame {
        let inside = |x: u32, y: u32| (step..step + 5).contains(&x) && (2 * step..2 * step + 5).contains(&y);
        let pixel = |i: u32| if inside(i % 40, i / 40) { [20, 40, 60] } else { [250, (i % 40) as u8, 200] };
        Frame { width: 40, height: 30, rgb: (0..40 * 30).flat_map(pixel).collect() }
    }

    #[test]
    fn an_animation_decodes_to_its_frames() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("moving.gif");
        // The third does not differ from the second.
        let frames: Vec<Frame> = [0, 1, 1, 7, 3, 0].map(moving).to_vec();
        let mut gif = GifWriter::create(&path, 30).unwrap();
        frames.iter().for_each(|frame| gif.push(frame).unwrap());
        assert!(!path.exists(), "not before it is finished");
        gif.finish().unwrap();
        let (played, delays) = play(&path);
        assert!(played == frames);
        assert_eq!(delays.iter().sum::<u16>(), 20, "six frames at thirty a second: {delays:?}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    /// The greatest and the mean error of the channels of one written frame, of 255.
    fn error(frame: &Frame) -> (u64, u64) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("colours.gif");
        let mut gif = GifWriter::create(&path, 50).unwrap();
        gif.push(frame).unwrap();
        gif.finish().unwrap();
        let (played, delays) = play(&path);
        assert_eq!(delays, [2]);
        let errors = frame.rgb.iter().zip(&played[0].rgb).map(|(a, b)| u64::from(a.abs_diff(*b)));
        (errors.clone().max().unwrap(), errors.sum::<u64>() / frame.rgb.len() as u64)
    }

    #[test]
    fn many_colours_are_merged_with_similar_ones() {
        let frame =
            |colour: fn(u32) -> [u8; 3]| Frame { width: 120, height: 100, rgb: (0..12_000).flat_map(colour).collect() };
        assert_eq!(error(&frame(|i| [(i % 250) as u8, 7, 9])), (0, 0), "250 colours");
        let (greatest, _) = error(&frame(|i| [(i % 256) as u8, (i % 13) as u8, 255]));
        assert!((1..8).contains(&greatest), "3328 colours of few kinds: {greatest}");
        let (_, mean) = error(&gradient(120, 100));
        assert!(mean < 20, "12,000 colours of all kinds: {mean}");
    }

    #[test]
    fn what_cannot_be_written_is_refused_and_leaves_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("refused.gif");
        for fps in [0, 51] {
            assert!(GifWriter::create(&path, fps).err().unwrap().is_config());
        }
        assert!(GifWriter::create(folder.path().join("no/a.gif"), 4).err().unwrap().is_io());
        assert!(GifWriter::create(&path, 4).unwrap().finish().unwrap_err().is_shape());

        let mut gif = GifWriter::create(&path, 4).unwrap();
        assert!(gif.push(&Frame { width: 70_000, height: 1, rgb: vec![0; 210_000] }).unwrap_err().is_shape());
        gif.push(&gradient(8, 9)).unwrap();
        let other = gif.push(&gradient(9, 8)).unwrap_err();
        assert!(other.is_shape() && other.to_string().contains("8 × 9"), "{other}");
        drop(gif);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
