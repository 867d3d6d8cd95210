//! The picture of a comparison: size against return.

use super::curves::{COLOURS, HEIGHT, WIDTH, prepare_font, save_png};
use crate::Comparison;
use apprentice_agents::Error;
use apprentice_telemetry::Image;
use plotters::prelude::*;
use std::path::Path;

impl Comparison {
    /// Draws normalised returns with their intervals over the number of parameters, and the front through the best of
    /// them, into a PNG at `path`.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn draw_front(&self, path: &Path) -> Result<(), Error> {
        save_png(path, &self.front_picture()?.rgb)
    }

    /// The same as a picture in memory.
    ///
    /// # Errors
    /// If it cannot be drawn.
    pub fn front_picture(&self) -> Result<Image, Error> {
        let mut rgb = vec![0_u8; (WIDTH * HEIGHT * 3) as usize];
        self.draw(&mut rgb).map_err(|e| Error::io("draw", Path::new("front.png"), e))?;
        Ok(Image { width: WIDTH, height: HEIGHT, rgb })
    }

    fn draw(&self, pixels: &mut [u8]) -> Result<(), Box<dyn std::error::Error>> {
        prepare_font();
        let points: Vec<_> = self
            .cards
            .iter()
            .filter_map(|card| {
                Some((card, card.footprint?.parameters.max(1) as f64, card.normalized_iqm?, card.normalized_ci95?))
            })
            .collect();
        let range = |values: &mut dyn Iterator<Item = f64>| {
            values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)))
        };
        let (smallest, largest) = range(&mut points.iter().map(|(_, size, ..)| *size).chain([20.0, 1e3]));
        let (low, high) = range(&mut points.iter().flat_map(|(_, _, y, [a, b])| [*y, *a, *b]).chain([1.0, 0.9]));
        let margin = 0.08 * (high - low).max(0.05);

        let area = BitMapBackend::with_buffer(pixels, (WIDTH, HEIGHT)).into_drawing_area();
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&area)
            .caption(format!("{}: size and return", self.env.id), ("sans-serif", 24))
            .margin(16)
            .x_label_area_size(44)
            .y_label_area_size(64)
            .build_cartesian_2d((0.7 * smallest..2.5 * largest).log_scale(), low - margin..high + margin)?;
        chart
            .configure_mesh()
            .light_line_style(WHITE)
            .x_desc("parameters")
            .y_desc("normalised return")
            .x_label_formatter(&|x| format!("{x:.0}"))
            .y_label_formatter(&|y| format!("{y:.2}"))
            .label_style(("sans-serif", 15))
            .draw()?;
        let mut front: Vec<(f64, f64)> =
            points.iter().filter(|(card, ..)| card.on_front).map(|(_, size, y, _)| (*size, *y)).collect();
        front.sort_by(|a, b| a.0.total_cmp(&b.0));
        chart.draw_series(LineSeries::new(front, BLACK.mix(0.3).stroke_width(2)))?;
        for ((card, size, y, [a, b]), colour) in points.into_iter().zip(COLOURS.iter().cycle()) {
            chart.draw_series([PathElement::new([(size, a), (size, b)], colour.stroke_width(2))])?;
            chart.draw_series([Circle::new((size, y), 5, colour.filled())])?;
            let label = EmptyElement::at((size, y)) + Text::new(card.name.clone(), (9, -16), ("sans-serif", 15));
            chart.draw_series([label])?;
        }
        area.present()?;
        Ok(())
    }
}
