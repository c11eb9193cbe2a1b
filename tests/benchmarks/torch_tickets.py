"""Peer of tickets: the usual PyTorch loop of iterated magnitude pruning with torch.nn.utils.prune, one network at a time."""

from __future__ import annotations

import torch
from problem import Report, read
from torch import nn
from torch.nn.utils import prune
from torch_loop import make_optimizer


class Residual(nn.Module):
    """h1 = relu(L1 x), h = h1 + relu(L2 h1), L3 h (Greydanus, Kobak 2024)."""

    def __init__(self, num_inputs, width, num_outputs):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(num_inputs, width), nn.Linear(width, width), nn.Linear(width, num_outputs)])

    def forward(self, x):
        first, second, last = self.layers
        h = torch.relu(first(x))
        return last(h + torch.relu(second(h)))


def train_round(settings, model, x, y, report):
    optimizer = make_optimizer(settings, model.parameters())
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings["steps"])
    size = settings["batch_size"]
    for step in range(settings["steps"]):
        position = step % (len(x) // size)
        if position == 0:
            order = torch.randperm(len(x))
        rows = order[position * size : (position + 1) * size]
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
        optimizer.step()
        schedule.step()
        report.trial_steps += 1


def main():
    settings, arrays = read()
    torch.set_num_threads(settings["threads"])
    x, y = torch.from_numpy(arrays["train_inputs"]), torch.from_numpy(arrays["train_targets"]).long()
    torch.manual_seed(0)
    model = Residual(x.shape[1], settings["widths"][0], settings["num_outputs"])
    initial = [layer.weight.detach().clone() for layer in model.layers]
    biases = [layer.bias.detach().clone() for layer in model.layers]
    report = Report()
    for number in range(settings["rounds"] + 1):
        train_round(settings, model, x, y, report)
        if number < settings["rounds"]:
            for layer, weight, bias in zip(model.layers, initial, biases, strict=True):
                prune.l1_unstructured(layer, "weight", amount=0.2)
                with torch.no_grad():
                    layer.weight_orig.copy_(weight)
                    layer.bias.copy_(bias)
    left = sum(int(layer.weight_mask.sum()) for layer in model.layers)
    report.last = {"left": left / sum(weight.numel() for weight in initial)}
    report.print()


if __name__ == "__main__":
    main()
