#!/usr/bin/env python3
"""Records what PyTorch makes of PPO updates, for our engines to be compared with.

    python3.11 -m venv venv
    venv/bin/pip install torch==2.15.0
    venv/bin/python testdata/record_ppo.py

Writes ppo_parity.json beside this script. It holds a list of cases, B = 64 samples each:

    {"name": …, "seed": …, "observation_dim": …,
     "distribution": {"type": "categorical", "nvec": […]} or {"type": "gaussian", "dim": …},
     "config": those keys of PpoConfig that matter, in its conventions,
     "parameters": at first, in the layout of Engine::parameters,
     "batch": {"observations": [B][…], "actions": [B][…], "log_probs", "advantages", "returns", "values": [B]},
     "permutations": [update_epochs][B], each cut into num_minibatches equal parts, a gradient step each,
     "first": of the first minibatch {"policy_loss", "value_loss" (½ mean squared error), "entropy", "approx_kl",
              "clipfrac", "grad_norm" and "gradient" (both before clipping; laid out as the parameters)},
     "parameters_after_1", "parameters_after_16": after as many Adam steps}

Advantages are not normalised yet. Parameters and batch are the f32 nearest to the decimals in the file. Results are
computed from them in f64 and rounded to 8 digits, so that an engine in f32 is compared with what is exact. The script
prints how far PyTorch itself is from that in f32, which is what may be asked of others. Of each case the first
minibatch has samples in every branch of the loss, and no sample of any step is so close to the end of a clip range
that rounding could decide on which side it lies.
"""

import itertools
import json
import math
import pathlib

import torch
from torch.distributions import Categorical, Normal

HERE = pathlib.Path(__file__).parent
VERSION = "2.15.0"
SAMPLES = 64
# The least distance from the end of a clip range; rounding in f32 moves a sample by less than 1e-6.
MARGIN = 2e-5

COMMON = {
    "num_minibatches": 4,
    "update_epochs": 4,
    "adam_epsilon": 1e-5,
    "norm_adv": "minibatch",
    "clip_coef": 0.2,
    "max_grad_norm": 0.5,
    "activation": "tanh",
}
CLEANRL = COMMON | {"learning_rate": 2.5e-4, "clip_vloss": "max", "ent_coef": 0.01, "vf_coef": 0.5}
# Stable-Baselines3's vf_coef of 0.5 is of the mean squared error without the ½.
SB3 = COMMON | {"learning_rate": 3e-4, "clip_vloss": "off", "ent_coef": 0.0, "vf_coef": 1.0}
CASES = [
    ("cleanrl", 4, {"type": "categorical", "nvec": [2]}, CLEANRL | {"hidden": [64, 64]}),
    ("sb3", 3, {"type": "categorical", "nvec": [3]}, SB3 | {"hidden": [16, 16]}),
    # One whose gradients are shorter than the norm that they are clipped to.
    ("gaussian", 3, {"type": "gaussian", "dim": 2}, CLEANRL | {"hidden": [16, 16], "max_grad_norm": 5.0}),
    ("multi_discrete", 5, {"type": "categorical", "nvec": [3, 2, 4]}, CLEANRL | {"hidden": [16, 16]}),
]


class ActorCritic:
    """An actor and a critic. Their parameters are a list of tensors: weight [inputs × outputs] and bias of each of the
    actor's layers, then of the critic's, then log_std if there is one."""

    def __init__(self, observation_dim, distribution, hidden):
        self.dim, self.nvec = distribution.get("dim"), distribution.get("nvec")
        outputs = self.dim or sum(self.nvec)
        sizes = [[observation_dim, *hidden, outputs], [observation_dim, *hidden, 1]]
        layers = [pair for network in sizes for pair in itertools.pairwise(network)]
        self.shapes = [shape for pair in layers for shape in (pair, pair[1:])] + ([(self.dim,)] if self.dim else [])
        self.per_network = 2 * (len(hidden) + 1)

    def tensors(self, flat):
        parts = flat.split([math.prod(shape) for shape in self.shapes])
        return [part.reshape(shape).clone() for part, shape in zip(parts, self.shapes)]

    def policy(self, parameters, observations):
        """The distributions of the components of an action, independent of each other."""
        outputs = forward(parameters[: self.per_network], observations)
        if self.dim:
            return [Normal(mean, log_std.exp()) for mean, log_std in zip(outputs.T, parameters[-1])]
        return [Categorical(logits=logits) for logits in outputs.split(self.nvec, dim=1)]

    def value(self, parameters, observations):
        return forward(parameters[self.per_network : 2 * self.per_network], observations).squeeze(1)


def forward(layers, x):
    """A perceptron with tanh after every layer but the last."""
    for weight, bias in zip(layers[0:-2:2], layers[1:-2:2]):
        x = torch.tanh(x @ weight + bias)
    return x @ layers[-2] + layers[-1]


def log_prob(policy, actions):
    return sum(part.log_prob(action) for part, action in zip(policy, actions.T))


def flatten(tensors):
    return torch.cat([tensor.detach().flatten() for tensor in tensors])


def ppo_loss(network, parameters, batch, config):
    """The loss, the parts of it that are logged, and of every sample what decides its branch."""
    clip = config["clip_coef"]
    advantages = (batch["advantages"] - batch["advantages"].mean()) / (batch["advantages"].std() + 1e-8)
    policy = network.policy(parameters, batch["observations"])
    log_ratio = log_prob(policy, batch["actions"]) - batch["log_probs"]
    ratio = log_ratio.exp()
    policy_loss = torch.max(-advantages * ratio, -advantages * ratio.clamp(1 - clip, 1 + clip)).mean()
    entropy = sum(part.entropy() for part in policy).mean()

    values, old, returns = network.value(parameters, batch["observations"]), batch["values"], batch["returns"]
    costs = (values - returns) ** 2
    clipped_costs = (old + (values - old).clamp(-clip, clip) - returns) ** 2
    value_loss = 0.5 * (torch.max(costs, clipped_costs) if config["clip_vloss"] == "max" else costs).mean()

    loss = policy_loss - config["ent_coef"] * entropy + config["vf_coef"] * value_loss
    parts = {
        "policy_loss": policy_loss,
        "value_loss": value_loss,
        "entropy": entropy,
        "approx_kl": (ratio - 1 - log_ratio).mean(),
        "clipfrac": ((ratio - 1).abs() > clip).double().mean(),
    }
    decisive = {"advantages": advantages, "policy": ratio - 1, "value": values - old, "gain": costs - clipped_costs}
    return loss, *({key: value.detach() for key, value in of.items()} for of in (parts, decisive))


def update(network, flat, batch, permutations, config, dtype):
    """All steps of an update, in a precision: the results, and of every step what decided the branches."""
    batch = {key: values.to(dtype) for key, values in batch.items()}
    parameters = [tensor.requires_grad_() for tensor in network.tensors(flat.to(dtype))]
    optimizer = torch.optim.Adam(parameters, lr=config["learning_rate"], eps=config["adam_epsilon"])
    first, after, decisive = {}, [], []
    for rows in (rows for permutation in permutations for rows in permutation.chunk(config["num_minibatches"])):
        minibatch = {key: values[rows] for key, values in batch.items()}
        loss, parts, branches = ppo_loss(network, parameters, minibatch, config)
        optimizer.zero_grad()
        loss.backward()
        gradient = flatten(parameter.grad for parameter in parameters)
        grad_norm = torch.nn.utils.clip_grad_norm_(parameters, config["max_grad_norm"])
        optimizer.step()
        first = first or {**parts, "grad_norm": grad_norm, "gradient": gradient}
        after.append(flatten(parameters))
        decisive.append(branches)
    return {"first": first, "parameters_after_1": after[0], f"parameters_after_{len(after)}": after[-1]}, decisive


def every_branch(step, clip):
    """Whether every branch of the loss has a sample."""
    signs = [step["advantages"] < 0, step["advantages"] > 0]
    ratios = [step["policy"] < -clip, step["policy"].abs() < clip, step["policy"] > clip]
    outside = step["value"].abs() > clip
    branches = [sign & ratio for sign in signs for ratio in ratios]
    branches += [~outside, outside & (step["gain"] < 0), outside & (step["gain"] > 0)]
    return all(branch.any() for branch in branches)


def clear_of_borders(step, clip):
    """Whether no sample is at the border between two branches, where rounding would choose for it."""
    outside = step["value"].abs() > clip
    distances = [step["policy"].abs() - clip, step["value"].abs() - clip, step["gain"][outside]]
    return torch.cat(distances).abs().min() > MARGIN


def draw(network, observation_dim, config, seed):
    """Parameters, permutations, and samples whose old log-probabilities and values are not what the parameters give."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    scales = [1 / math.sqrt(shape[0]) if len(shape) == 2 else 0.3 for shape in network.shapes]
    flat = as_f32(flatten(scale * normal(*shape) for scale, shape in zip(scales, network.shapes)))
    parameters = network.tensors(flat.double())
    observations = as_f32(normal(SAMPLES, observation_dim))
    policy, values = network.policy(parameters, observations.double()), network.value(parameters, observations.double())
    if network.dim:
        actions = [part.mean + part.stddev * normal(SAMPLES) for part in policy]
    else:
        actions = [torch.multinomial(part.probs, 1, generator=generator).squeeze(1) for part in policy]
    actions = as_f32(torch.stack(actions, dim=1).double())
    batch = {
        "observations": observations,
        "actions": actions,
        "log_probs": as_f32(log_prob(policy, actions.double()) + 0.3 * normal(SAMPLES)),
        "advantages": as_f32(0.5 + 2 * normal(SAMPLES)),
        "returns": as_f32(values + 0.7 * normal(SAMPLES)),
        "values": as_f32(values + 0.3 * normal(SAMPLES)),
    }
    return flat, batch, [torch.randperm(SAMPLES, generator=generator) for _ in range(config["update_epochs"])]


def as_f32(values):
    """Rounded to four decimals, which keeps the file short, and to f32."""
    return ((values * 1e4).round() / 1e4).float()


def record(name, observation_dim, distribution, config):
    network = ActorCritic(observation_dim, distribution, config["hidden"])
    for seed in itertools.count():
        flat, batch, permutations = draw(network, observation_dim, config, seed)
        results, steps = update(network, flat, batch, permutations, config, torch.float64)
        clip = config["clip_coef"]
        if every_branch(steps[0], clip) and all(clear_of_borders(step, clip) for step in steps):
            break
    in_f32, _ = update(network, flat, batch, permutations, config, torch.float32)
    print(f"{name}: {flat.numel()} parameters, seed {seed}; in f32 PyTorch is off by at most")
    for (key, exact), found in zip(entries(results), dict(entries(in_f32)).values()):
        print(f"  {(found - exact).abs().max():.1e} of {exact.abs().max():9.3g} {key}")
    return {
        "name": name,
        "seed": seed,
        "observation_dim": observation_dim,
        "distribution": distribution,
        "config": config,
        "parameters": numbers(flat, ".4f"),
        "batch": numbers(batch, ".4f"),
        "permutations": [permutation.tolist() for permutation in permutations],
        **numbers(results, ".8g"),
    }


def entries(results):
    return [*results["first"].items(), *(entry for entry in results.items() if entry[0] != "first")]


def numbers(value, form):
    """Tensors as lists of numbers of so many digits."""
    if isinstance(value, dict):
        return {key: numbers(of, form) for key, of in value.items()}
    if isinstance(value, torch.Tensor):
        value = value.tolist()
    return [numbers(of, form) for of in value] if isinstance(value, list) else float(f"{value:{form}}")


def main():
    found = torch.__version__.split("+")[0]
    assert found == VERSION, f"record with torch {VERSION}, not {found}"
    torch.set_num_threads(1)
    cases = [record(*case) for case in CASES]
    with open(HERE / "ppo_parity.json", "w") as file:
        json.dump(cases, file, separators=(",", ":"))
        file.write("\n")


if __name__ == "__main__":
    main()
