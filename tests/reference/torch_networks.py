"""Writes torch_networks.npz: loss and gradient of small convolutional networks and vision transformers, by PyTorch in float64.

Golden values for tests/models/test_against_torch.py, made with torch 2.13.0 (CPU) by `make golden`. They may be made anew only
when this script or the cases change; `make test-torch` checks that they still agree.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from tests.reference.networks import CASES, begun


class Network:
    """A network by its weights, under ddlab's names."""

    def __init__(self, model, weights):
        self.model, self.w, self.moving = model, weights, {}

    def convolution(self, x, name, stride=1, padding=1):
        """x [B, C, *places]; ddlab's weights are [taps, C, D]."""
        weight = self.w[f"{name}.weight"]
        dimensions = x.ndim - 2
        size = round(len(weight) ** (1 / dimensions))
        weight = weight.permute(2, 1, 0).unflatten(2, [size] * dimensions)
        convolve = functional.conv1d if dimensions == 1 else functional.conv2d
        return convolve(x, weight, self.w.get(f"{name}.bias"), stride, padding)

    def norm(self, x, name):
        if self.model["norm"] == "none":
            return x
        gain, shift = self.w[f"{name}.gain"], self.w[f"{name}.shift"]
        if self.model["norm"] == "group":
            return functional.group_norm(x, self.model["groups"], gain, shift)
        mean, variance = (torch.full_like(gain, start).detach() for start in (0.0, 1.0))
        x = functional.batch_norm(x, mean, variance, gain, shift, training=True)
        self.moving |= {f"{name}.mean": mean, f"{name}.variance": variance}
        return x

    def cnn(self, x):
        lists = zip(self.model["strides"], self.model["pools"], strict=True)
        for index, (stride, pool) in enumerate(lists):
            z = self.convolution(x, f"layers.{index}.convolution", stride, self.model["padding"])
            x = torch.relu(self.norm(z, f"layers.{index}.norm"))
            x = functional.max_pool1d(x, pool) if x.ndim == 3 else functional.max_pool2d(x, pool)
        x = x.flatten(2).transpose(1, 2)  # ddlab has the channels last
        return torch.einsum("blc,lck->bk", x, self.w["readout.weight"]) + self.w["readout.bias"]

    def resnet(self, x):
        x = self.convolution(x, "first")
        index = 0
        for stage, blocks in enumerate(self.model["blocks"]):
            for block in range(blocks):
                name, stride = f"blocks.{index}", 2 if stage and not block else 1
                units = torch.relu(self.norm(x, f"{name}.norms.0"))
                skipped = self.convolution(units, f"{name}.shortcut", stride, 0) if stride > 1 else x
                units = self.convolution(units, f"{name}.convolutions.0", stride)
                units = torch.relu(self.norm(units, f"{name}.norms.1"))
                x = skipped + self.convolution(units, f"{name}.convolutions.1")
                index += 1
        return x.flatten(2).mean(2) @ self.w["readout.weight"] + self.w["readout.bias"]

    def vision_transformer(self, x):
        patch, blocks = self.model["patch"], torch.nn.ModuleList()
        x = self.convolution(x, "patches", patch, 0).flatten(2).transpose(1, 2) + self.w["positions"]
        for layer in range(self.model["depth"]):
            blocks.append(self.encoder_layer(layer))
        for block in blocks:
            x = block(x)
        x = functional.layer_norm(x, x.shape[-1:], self.w["blocks.last_norm.gain"], self.w["blocks.last_norm.shift"])
        return x.mean(1) @ self.w["unembedding"] + self.w["unembedding_bias"]

    def encoder_layer(self, layer):
        """Return PyTorch's own block, its parameters the weights of ours."""
        model, width = self.model, self.model["width"]
        block = torch.nn.TransformerEncoderLayer(
            width, model["heads"], model["hidden"], dropout=0.0, batch_first=True, norm_first=True, dtype=torch.float64
        )
        w = {
            name.removeprefix("blocks."): array[layer]
            for name, array in self.w.items()
            if name.startswith("blocks.") and "last" not in name
        }
        qkv = ("query", "key", "value")
        found = {
            "self_attn.in_proj_weight": torch.cat([w[f"{name}.weight"].flatten(1).T for name in qkv]),
            "self_attn.in_proj_bias": torch.cat([w[f"{name}.bias"].flatten() for name in qkv]),
            "self_attn.out_proj.weight": w["attended.weight"].flatten(0, 1).T,
            "self_attn.out_proj.bias": w["attended.bias"],
            "linear1.weight": w["hidden.weight"].T,
            "linear1.bias": w["hidden.bias"],
            "linear2.weight": w["read.weight"].T,
            "linear2.bias": w["read.bias"],
            "norm1.weight": w["norms.attention.gain"],
            "norm1.bias": w["norms.attention.shift"],
            "norm2.weight": w["norms.mlp.gain"],
            "norm2.bias": w["norms.mlp.shift"],
        }
        return _Called(block, found)


class _Called(torch.nn.Module):
    """A module called with other parameters, through which the gradient goes."""

    def __init__(self, module, parameters):
        super().__init__()
        self.module, self.found = module, parameters

    def forward(self, x):
        return torch.func.functional_call(self.module, self.found, (x,))


def expected(case: str) -> dict[str, np.ndarray]:
    """Return the weights of a case, and what PyTorch says of its loss, its gradient and its batch statistics."""
    leaves, weights, inputs, targets = begun(case)
    w = {name: torch.tensor(array, requires_grad=True) for name, array in weights.items()}
    x = torch.tensor(inputs, dtype=torch.float64)[:, None]  # one channel
    network = Network({key.removeprefix("model."): value for key, value in leaves.items() if key.startswith("model.")}, w)
    outputs = getattr(network, case.partition(" ")[0])(x)
    loss = functional.cross_entropy(outputs, torch.tensor(targets).long())
    loss.backward()
    return {
        "loss": np.array(loss.item()),
        **{f"weights/{name}": array for name, array in weights.items()},
        **{f"gradient/{name}": array.grad.numpy() for name, array in w.items()},
        **{f"moving/{name}": array.numpy() for name, array in network.moving.items()},
    }


def all_networks() -> dict[str, np.ndarray]:
    return {f"{case}/{name}": array for case in CASES for name, array in expected(case).items()}


if __name__ == "__main__":
    np.savez_compressed(Path(__file__).with_suffix(".npz"), **all_networks())
    print("written", file=sys.stderr)
