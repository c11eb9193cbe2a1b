"""Writes torch_trajectories.npz: 100 full-batch PyTorch steps from given weights, for MLP and quadratic MLP.

Golden values for tests/science/test_against_torch.py, made with torch 2.13.0 (CPU; weights of float32, and the same in float64
for groups of parameters) by `make golden`. They may be made anew only when this script changes; `make test-torch` checks that
they still agree.
"""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import numpy as np
import torch

STEPS = 100


def mlp(parameters, x):
    *hidden, (weight, bias) = parameters
    for w, b in hidden:
        x = torch.relu(x @ w + b)
    return x @ weight + bias


def quadratic(parameters, x):
    first, second = parameters
    return (x @ first) ** 2 @ second


def problem(model: str) -> dict[str, np.ndarray]:
    random = np.random.default_rng(20)
    if model == "mlp":
        sizes = [12, 9, 9, 5]
        arrays = {"x": random.normal(size=(40, 12)), "y": random.integers(5, size=40)}
        for index, (fan_in, fan_out) in enumerate(itertools.pairwise(sizes)):
            arrays[f"w{index}"] = random.normal(size=(fan_in, fan_out)) / fan_in**0.5
            arrays[f"b{index}"] = random.normal(size=fan_out) * 0.1
    else:
        p, width = 7, 16
        pairs = random.permutation(p * p)[:30]
        tokens = np.stack([pairs // p, pairs % p], axis=1)
        arrays = {"x": tokens, "y": tokens.sum(1) % p}
        arrays["w0"] = random.normal(size=(2 * p, width)) * 0.3
        arrays["w1"] = random.normal(size=(width, p)) * 0.3
    return {name: a.astype(np.float32) if a.dtype.kind == "f" else a.astype(np.int32) for name, a in arrays.items()}


def train(model: str, optimizer: str) -> dict[str, np.ndarray]:
    arrays = problem(model)
    tensors = {name: torch.tensor(value) for name, value in arrays.items()}
    weights = {name: tensors[name].clone().requires_grad_() for name in arrays if name[0] in "wb"}
    labels = tensors["y"].long()
    if model == "mlp":
        parameters = [(weights[f"w{k}"], weights[f"b{k}"]) for k in range(3)]

        def loss():
            return torch.nn.functional.cross_entropy(mlp(parameters, tensors["x"]), labels)
    else:
        x = torch.nn.functional.one_hot(tensors["x"].long(), 7).float().reshape(len(labels), -1)
        target = torch.nn.functional.one_hot(labels, 7).float()

        def loss():
            return torch.nn.functional.mse_loss(quadratic((weights["w0"], weights["w1"]), x), target)

    rules = {
        "sgd": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=0.01),
        "adamw": lambda p: torch.optim.AdamW(p, lr=0.01, betas=(0.9, 0.98), eps=1e-8, weight_decay=0.5),
    }
    rule = rules[optimizer](weights.values())
    for _ in range(STEPS):
        rule.zero_grad()
        loss().backward()
        rule.step()
    final = {f"{model}/{optimizer}/{name}": value.detach().numpy() for name, value in weights.items()}
    return {**{f"{model}/{name}": value for name, value in arrays.items()}, **final}


# Parameters -> factors of the learning rate and of the weight decay, as in tests/science/test_against_torch.py.
GROUPS = {("w0", "b0"): (0.5, 2.0), ("w1", "b1"): (2.0, 0.25), ("w2",): (0.1, 1.0), ("b2",): (1.5, 0.0)}


def train_groups(optimizer: str) -> dict[str, np.ndarray]:
    """Train the MLP in float64, each group of parameters with its own learning rate and weight decay."""
    arrays = problem("mlp")
    x, labels = torch.tensor(arrays["x"]).double(), torch.tensor(arrays["y"]).long()
    weights = {name: torch.tensor(arrays[name]).double().requires_grad_() for name in arrays if name[0] in "wb"}
    rule_of, rate, decay = {
        "sgd": (lambda groups: torch.optim.SGD(groups, lr=1.0, momentum=0.9), 0.05, 0.01),
        "adamw": (lambda groups: torch.optim.AdamW(groups, betas=(0.9, 0.98), eps=1e-8), 0.01, 0.5),
    }[optimizer]
    groups = [
        {"params": [weights[name] for name in names], "lr": rate * of_rate, "weight_decay": decay * of_decay}
        for names, (of_rate, of_decay) in GROUPS.items()
    ]
    rule = rule_of(groups)
    for _ in range(STEPS):
        rule.zero_grad()
        outputs = mlp([(weights[f"w{k}"], weights[f"b{k}"]) for k in range(3)], x)
        torch.nn.functional.cross_entropy(outputs, labels).backward()
        rule.step()
    return {f"groups/{optimizer}/{name}": value.detach().numpy() for name, value in weights.items()}


def all_trajectories() -> dict[str, np.ndarray]:
    torch.manual_seed(0)
    arrays: dict[str, np.ndarray] = {}
    for model in ("mlp", "quadratic"):
        for optimizer in ("sgd", "adamw"):
            arrays |= train(model, optimizer)
    for optimizer in ("sgd", "adamw"):
        arrays |= train_groups(optimizer)
    return arrays


if __name__ == "__main__":
    np.savez_compressed(Path(__file__).with_suffix(".npz"), **all_trajectories())
    print("written", file=sys.stderr)
