//! What a teacher makes of a state before it decides.

use super::{Source, Teacher};
use apprentice_agents::Error;
use apprentice_deploy::{Action, Body, Bounding, Gru, Header, Layer, Policy};
use ndarray::{Array2, ArrayView2};

impl Teacher<'_> {
    /// The units of its last hidden layer, if it is one network that has one: of what it remembers, if that is what its
    /// outputs are made of.
    pub(crate) fn feature_units(&self) -> Option<usize> {
        let ([policy], Source::Policies { .. }) = (self.policies(), &self.source) else { return None };
        match policy.body() {
            Body::Mlp(layers) => layers.len().checked_sub(2).map(|last| layers[last].outputs()),
            Body::Gru(gru) => Some(match &gru.layers[..] {
                [.., last, _] => last.outputs(),
                _ => gru.cell.units(),
            }),
            _ => None,
        }
    }

    /// Its last hidden layer: flat observations `[B, flat_dim]`, and what it remembered before each `[B, memory]` →
    /// `[B, units]`; without columns if it has none.
    ///
    /// # Errors
    /// If an observation is not one of its environment's.
    pub(crate) fn features(
        &self,
        observations: ArrayView2<'_, f32>,
        memory: ArrayView2<'_, f32>,
    ) -> Result<Array2<f32>, Error> {
        let units = self.feature_units().unwrap_or(0);
        let mut features = Array2::zeros((observations.nrows(), units));
        if let ([policy], true) = (self.policies(), units > 0) {
            // The policy without its last layer puts them out, or remembers them.
            let shorter = |layers: &[Layer]| layers[..layers.len() - 1].to_vec();
            let body: Option<Body> = match policy.body() {
                Body::Gru(gru) if gru.layers.len() == 1 => None,
                Body::Gru(gru) => Some(Gru { cell: gru.cell.clone(), layers: shorter(&gru.layers) }.into()),
                other => Some(shorter(other.layers()).into()),
            };
            let remembers = body.is_none();
            let bounds = |bound: f32| vec![bound; units];
            let action = Action::Box {
                low: bounds(f32::NEG_INFINITY),
                high: bounds(f32::INFINITY),
                bounding: Bounding::Clip,
                log_std: Some(bounds(0.0)),
            };
            let header = Header { action, masked: false, ..policy.header().clone() };
            let hidden = body.map(|body| Policy::new(header, body)).transpose()?;
            let mut runner = hidden.as_ref().unwrap_or(policy).runner();
            let rows = observations.rows().into_iter().zip(memory.rows());
            for ((observation, memory), mut row) in rows.zip(features.rows_mut()) {
                runner.memory().iter_mut().zip(memory).for_each(|(to, from)| *to = *from);
                let computed = runner.params(&observation.to_vec())?.to_vec();
                let found = if remembers { runner.memory() } else { &computed[..] };
                row.iter_mut().zip(found).for_each(|(to, from)| *to = *from);
            }
        }
        Ok(features)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use apprentice_agents::{Behavior, Ppo, PpoConfig, device};
    use apprentice_envs::Registry;
    use ndarray::array;

    /// What a policy puts out is its last layer of its features: with a memory and without, with a hidden layer behind the
    /// memory and without.
    #[test]
    fn features_are_what_the_last_layer_reads() {
        for (gru_hidden_size, hidden) in [(0, vec![5, 3]), (4, vec![3]), (4, vec![])] {
            let config = PpoConfig { gru_hidden_size, hidden, evaluations: 0, ..PpoConfig::default() };
            let ppo = Ppo::new(config, &Registry::builtin(), &device("cpu").unwrap()).unwrap();
            let policy = ppo.policy().unwrap();
            let mut teacher = Teacher::policy(&policy);
            let observations = array![[0.1, -0.2, 0.3, 0.4], [1.0, 0.5, -0.3, 0.0]];
            let memory = Array2::from_shape_fn((2, gru_hidden_size), |(i, j)| 0.3 * i as f32 - 0.1 * j as f32);
            let features = teacher.features(observations.view(), memory.view()).unwrap();
            let last = policy.layers().last().unwrap();
            assert_eq!(features.ncols(), last.weight.len() / 2);
            let mut params = Array2::zeros((2, 2));
            teacher.params(observations.view(), None, memory.clone().view_mut(), params.view_mut()).unwrap();
            for (features, params) in features.rows().into_iter().zip(params.rows()) {
                let logit = |j: usize| {
                    let sum: f32 = features.iter().enumerate().map(|(i, x)| x * last.weight[2 * i + j]).sum();
                    sum + last.bias[j]
                };
                // The parameters of a distribution are logits less what makes their probabilities add up.
                let (expected, got) = (logit(1) - logit(0), params[1] - params[0]);
                assert!((expected - got).abs() < 1e-6, "{gru_hidden_size}: {features}, {params}");
            }
        }
    }
}
