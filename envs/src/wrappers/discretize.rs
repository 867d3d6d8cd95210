//! `DiscretizeObservation` and `DiscretizeAction`: numbers in bins.

use super::{Numbers, Wrapper, coordinates};
use crate::{Error, Generator, RowEnv, Space};

/// The bins of each coordinate of a bounded `Box`.
#[derive(Clone)]
struct Bins {
    /// How many there are.
    counts: Vec<u32>,
    /// One integer a coordinate, rather than one in all.
    multidiscrete: bool,
}

impl Bins {
    /// The bins, and for each coordinate their edges from the lower to the upper bound: one more than bins.
    fn new(
        what: &str,
        bins: &Numbers<u32>,
        multidiscrete: bool,
        space: &Space,
    ) -> Result<(Self, Vec<Vec<f32>>), Error> {
        let (low, high) = coordinates(what, space)?;
        // Between bounds of ±3e38 there is no room in single precision.
        if !low.iter().zip(high).all(|(low, high)| (high - low).is_finite()) {
            return Err(Error::config(format!(
                "expected {what} with bounds in every coordinate, and less than 3e38 apart, got {space}; clip them first"
            )));
        }
        let counts = bins.expand("bins", low.len())?;
        // Integers cross the vector environment's buffers as f32.
        let fits = |count: u64| (1..=1 << 24).contains(&count);
        let product = counts.iter().try_fold(1, |all: u64, &n| all.checked_mul(n.into())).unwrap_or(u64::MAX);
        if !counts.iter().all(|&n| fits(n.into())) || !(multidiscrete || fits(product)) {
            return Err(Error::config(format!(
                "bins: expected at least 1 for each coordinate and at most 2^24 in all, got {counts:?}; with \
                 multidiscrete each coordinate may have as many"
            )));
        }
        let edges = (0..counts.len()).map(|i| linspace(low[i], high[i], counts[i])).collect();
        Ok((Self { counts, multidiscrete }, edges))
    }

    fn space(&self) -> Space {
        match self.multidiscrete {
            true => Space::multi_discrete(&self.counts),
            false => Space::discrete(self.counts.iter().product()),
        }
    }

    /// Writes the bins `index(i)` of the coordinates i. As one integer the last coordinate counts fastest.
    fn write(&self, index: impl Fn(usize) -> u32, row: &mut [f32]) {
        match self.multidiscrete {
            true => row.iter_mut().enumerate().for_each(|(i, to)| *to = index(i) as f32),
            false => row[0] = self.counts.iter().enumerate().fold(0, |all, (i, count)| all * count + index(i)) as f32,
        }
    }

    /// Calls `coordinate(i, index)` with the bin of each coordinate.
    fn read(&self, row: &[f32], mut coordinate: impl FnMut(usize, usize)) {
        if self.multidiscrete {
            return row.iter().enumerate().for_each(|(i, &x)| coordinate(i, x as usize));
        }
        let mut rest = row[0] as u32;
        for (i, count) in self.counts.iter().enumerate().rev() {
            coordinate(i, (rest % count) as usize);
            rest /= count;
        }
    }
}

/// numpy's `linspace(low, high, n + 1)` in single precision.
fn linspace(low: f32, high: f32, n: u32) -> Vec<f32> {
    let step = (high - low) / n as f32;
    let mut points: Vec<f32> = (0..=n).map(|i| i as f32 * step + low).collect();
    points[n as usize] = high;
    points
}

#[derive(Clone)]
pub(super) struct DiscretizeObservation {
    bins: Bins,
    /// The edges between the bins of each coordinate, in ascending order.
    edges: Vec<Vec<f32>>,
}

impl DiscretizeObservation {
    pub(super) fn new(bins: &Numbers<u32>, multidiscrete: bool, space: &Space) -> Result<Self, Error> {
        let (bins, edges) = Bins::new("observations", bins, multidiscrete, space)?;
        let inner = |edges: Vec<f32>| edges[1..edges.len() - 1].to_vec();
        Ok(Self { bins, edges: edges.into_iter().map(inner).collect() })
    }
}

impl Wrapper for DiscretizeObservation {
    fn observation_space(&self, _: Space) -> Space {
        self.bins.space()
    }

    /// An edge belongs to the bin above it.
    fn observation(&mut self, inner: &[f32], _: &mut Generator, observation: &mut [f32]) {
        let bin = |i: usize| self.edges[i].partition_point(|&edge| edge <= inner[i]) as u32;
        self.bins.write(bin, observation);
    }
}

#[derive(Clone)]
pub(super) struct DiscretizeAction {
    bins: Bins,
    /// The middle of each bin of each coordinate.
    centers: Vec<Vec<f32>>,
}

impl DiscretizeAction {
    pub(super) fn new(bins: &Numbers<u32>, multidiscrete: bool, space: &Space) -> Result<Self, Error> {
        let (bins, edges) = Bins::new("actions", bins, multidiscrete, space)?;
        let center = |edges: Vec<f32>| edges.windows(2).map(|edge| 0.5 * (edge[0] + edge[1])).collect();
        Ok(Self { bins, centers: edges.into_iter().map(center).collect() })
    }
}

impl Wrapper for DiscretizeAction {
    fn action_space(&self, _: Space) -> Space {
        self.bins.space()
    }

    fn action(&mut self, action: &[f32], _: &mut Generator, inner: &mut [f32]) {
        self.bins.read(action, |i, bin| inner[i] = self.centers[i][bin]);
    }

    /// A mask over coordinates says nothing about bins.
    fn action_mask(&self, _: &dyn RowEnv, _: &mut [bool]) {}
}
