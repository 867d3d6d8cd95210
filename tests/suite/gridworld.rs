//! GridWorld has a known optimum, so learning in it can be checked against the truth and not against a threshold.

use apprentice::agents::{EvaluationPlan, Ppo, PpoConfig, Session, device, evaluate};
use apprentice::envs::{EnvSpec, Registry, gridworld};
use apprentice::presets;

/// Value iteration over the environment's own transition model gives the best return there is; PPO reaches it on
/// every map, slippery cells included.
#[test]
fn ppo_reaches_the_optimum_of_value_iteration() {
    for kwargs in [
        serde_json::json!({ "map_name": "four_rooms" }),
        serde_json::json!({ "map": "S..#\n.L.a\n...G", "goals": { "a": 0.4 }, "goal_reward": 1.0 }),
        serde_json::json!({ "map": "S~~.\n.LL.\n...G", "slip": 0.3 }),
    ] {
        let spec = EnvSpec { kwargs: kwargs.as_object().unwrap().clone(), ..EnvSpec::new("GridWorld-v0") };
        let config = PpoConfig { env: spec, evaluations: 0, ..presets::ppo("gridworld", &[]).unwrap() };
        let world = gridworld::GridWorld::new(serde_json::from_value(kwargs.clone()).unwrap()).unwrap();
        // Evaluation returns are undiscounted, and all these tasks end, so the optimum is the one at γ = 1.
        let optimum = world.optimal_return(1.0).unwrap();

        let registry = Registry::builtin();
        let mut ppo = Ppo::new(config, &registry, &device("cpu").unwrap()).unwrap();
        ppo.train(&mut Session::default()).unwrap();
        let plan = EvaluationPlan { episodes: 1000, ..EvaluationPlan::default() };
        let evaluation = evaluate(&ppo.policy().unwrap(), None, &registry, &plan).unwrap();
        // Where nothing slips the return is exact; elsewhere its standard error is the tolerance.
        let tolerance = 1e-9 + 4.0 * evaluation.std() / (1000.0_f64).sqrt();
        let mean = evaluation.mean();
        assert!((mean - optimum).abs() <= tolerance, "{kwargs}: {mean} instead of {optimum} ± {tolerance}");
    }
}
