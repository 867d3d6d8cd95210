//! Learning curves: read back from the metrics of a run, and drawn.

use apprentice_agents::Error;
use apprentice_deploy::write_atomically;
use plotters::prelude::*;
use plotters::style::{FontStyle, register_font};
use std::path::Path;
use std::sync::Once;

/// (step, value) of one metric over a run.
pub type Curve = Vec<(f64, f64)>;

/// The values of the metric `tag`, one a step, in the `metrics.jsonl` at `path`. Empty if the file is not there or
/// holds none.
///
/// Lines that are not whole (of a run that was killed) are passed over. A run that goes on from a checkpoint logs some
/// steps again: what it logs then replaces what stood from that step on.
pub fn read_curve(path: &Path, tag: &str) -> Curve {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let point = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        let matches = line.get("tag")?.as_str()? == tag;
        matches.then_some((line.get("step")?.as_f64()?, line.get("value")?.as_f64()?))
    };
    let mut curve = Curve::new();
    for (step, value) in text.lines().filter_map(point) {
        let kept = curve.iter().position(|(known, _)| *known >= step).unwrap_or(curve.len());
        curve.truncate(kept);
        curve.push((step, value));
    }
    curve
}

/// A labelled curve.
pub struct Series {
    /// Its name in the legend.
    pub label: String,
    /// Its points.
    pub curve: Curve,
    /// The interval around it by step, if there is one.
    pub band: Vec<(f64, [f64; 2])>,
}

pub(crate) const WIDTH: u32 = 1000;
pub(crate) const HEIGHT: u32 = 500;
pub(crate) const COLOURS: [RGBColor; 4] =
    [RGBColor(31, 119, 180), RGBColor(214, 95, 14), RGBColor(44, 160, 44), RGBColor(148, 103, 189)];

/// Draws curves over environment steps into a PNG at `path`.
///
/// # Errors
/// If the file cannot be written.
pub fn draw_curves(path: &Path, title: &str, y_label: &str, series: &[Series]) -> Result<(), Error> {
    let mut pixels = vec![0_u8; (WIDTH * HEIGHT * 3) as usize];
    draw(&mut pixels, title, y_label, series).map_err(|e| Error::io("draw", path, e))?;
    save_png(path, &pixels)
}

/// Writes a picture of [`WIDTH`] × [`HEIGHT`] pixels.
pub(crate) fn save_png(path: &Path, pixels: &[u8]) -> Result<(), Error> {
    let png = encode(pixels).map_err(|e| Error::io("encode", path, e))?;
    write_atomically(path, &png).map_err(|e| Error::io("write", path, e))
}

/// The font travels with the program: a server or a container may have none.
pub(crate) fn prepare_font() {
    static FONT: Once = Once::new();
    FONT.call_once(|| {
        let _ = register_font("sans-serif", FontStyle::Normal, epaint_default_fonts::UBUNTU_LIGHT);
    });
}

fn encode(pixels: &[u8]) -> Result<Vec<u8>, png::EncodingError> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, WIDTH, HEIGHT);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header()?.write_image_data(pixels)?;
    Ok(bytes)
}

fn draw(pixels: &mut [u8], title: &str, y_label: &str, series: &[Series]) -> Result<(), Box<dyn std::error::Error>> {
    prepare_font();
    let edge = |series: &Series, i: usize| series.band.iter().map(move |(x, y)| (*x, y[i])).collect::<Vec<_>>();
    let points = || series.iter().flat_map(|series| [series.curve.clone(), edge(series, 0), edge(series, 1)]).flatten();
    let bound = |of: fn((f64, f64)) -> f64| {
        points().map(of).fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)))
    };
    let (_, last) = bound(|p| p.0);
    let (low, high) = bound(|p| p.1);
    let margin = 0.05 * (high - low).max(1e-9);
    let (x, y) = if points().next().is_none() {
        (0.0..1.0, 0.0..1.0)
    } else {
        (0.0..last.max(1.0), low - margin..high + margin)
    };

    let area = BitMapBackend::with_buffer(pixels, (WIDTH, HEIGHT)).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 24))
        .margin(16)
        .x_label_area_size(44)
        .y_label_area_size(64)
        .build_cartesian_2d(x, y)?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .x_desc("environment steps")
        .y_desc(y_label)
        .x_label_formatter(&|x| thousands(*x))
        .y_label_formatter(&|y| format!("{}", (y * 1e6).round() / 1e6))
        .label_style(("sans-serif", 15))
        .draw()?;
    for (series, colour) in series.iter().zip(COLOURS.iter().cycle()) {
        let style = colour.stroke_width(2);
        let band: Vec<(f64, f64)> = edge(series, 0).into_iter().chain(edge(series, 1).into_iter().rev()).collect();
        chart.draw_series((!band.is_empty()).then(|| Polygon::new(band, colour.mix(0.2))))?;
        chart
            .draw_series(LineSeries::new(series.curve.iter().copied(), style))?
            .label(series.label.clone())
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], style));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.3))
        .label_font(("sans-serif", 16))
        .draw()?;
    area.present()?;
    Ok(())
}

/// 100000 as 100k.
fn thousands(x: f64) -> String {
    if x.abs() >= 1000.0 { format!("{}k", x / 1000.0) } else { x.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_are_read_and_drawn() {
        let folder = tempfile::tempdir().unwrap();
        let metrics = folder.path().join("metrics.jsonl");
        let lines = "{\"step\":1,\"tag\":\"a\",\"value\":2.0,\"wall_time\":0}\n{\"step\":1,\"tag\":\"b\",\"value\":9}\n\
                     {\"step\":5,\"tag\":\"a\",\"value\":9}\n{\"step\":7,\"tag\":\"a\",\"value\":9}\n\
                     {\"step\":5,\"tag\":\"a\",\"value\":3.5}\n{\"step\":6,\"tag\":\"a\",\"val";
        std::fs::write(&metrics, lines).unwrap();
        let curve = read_curve(&metrics, "a");
        assert_eq!(curve, [(1.0, 2.0), (5.0, 3.5)]);
        assert!(read_curve(&folder.path().join("none"), "a").is_empty());

        let path = folder.path().join("curves.png");
        for curve in [curve, vec![], vec![(3.0, 1.0)]] {
            draw_curves(&path, "t", "y", &[Series { band: vec![], label: "teacher".into(), curve }]).unwrap();
            let image = std::fs::read(&path).unwrap();
            let reader = png::Decoder::new(std::io::Cursor::new(image)).read_info().unwrap();
            assert_eq!(reader.info().size(), (WIDTH, HEIGHT));
        }
        assert!(draw_curves(&folder.path().join("no/a.png"), "t", "y", &[]).unwrap_err().is_io());
    }
}
