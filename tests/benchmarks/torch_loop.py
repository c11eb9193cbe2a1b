"""Peer T: the usual PyTorch loop, one network after the other."""

from __future__ import annotations

import torch
from problem import Report, features, read
from torch import nn


class Quadratic(nn.Module):
    def __init__(self, num_inputs, width, num_outputs):
        super().__init__()
        std = 0.5 / (2 * width) ** (1 / 3)
        self.first, self.second = nn.Linear(num_inputs, width, bias=False), nn.Linear(width, num_outputs, bias=False)
        for layer in (self.first, self.second):
            nn.init.normal_(layer.weight, std=std)

    def forward(self, x):
        return self.second(self.first(x) ** 2)


def cnn_1d(width, num_outputs):
    """The network of MNIST-1D (Greydanus, Kobak 2024)."""
    layers = [nn.Unflatten(1, (1, -1)), nn.Conv1d(1, width, 5, stride=2, padding=1), nn.ReLU()]
    for _ in range(2):
        layers += [nn.Conv1d(width, width, 3, stride=2, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(5 * width, num_outputs))


def make_model(settings, num_inputs, width):
    if settings["model"] == "cnn_1d":
        return cnn_1d(width, settings["num_outputs"])
    if settings["model"] == "quadratic":
        return Quadratic(num_inputs, width, settings["num_outputs"])
    return nn.Sequential(nn.Linear(num_inputs, width), nn.ReLU(), nn.Linear(width, settings["num_outputs"]))


def make_loss(settings):
    if settings["model"] != "quadratic":
        return nn.functional.cross_entropy
    return lambda z, y: nn.functional.mse_loss(z, nn.functional.one_hot(y, settings["num_outputs"]).float())


def make_optimizer(settings, parameters):
    options = {"lr": settings["learning_rate"], "betas": (settings["b1"], settings["b2"])}
    if settings["fused"]:
        options["fused"] = True
    if settings["weight_decay"]:
        return torch.optim.AdamW(parameters, weight_decay=settings["weight_decay"], **options)
    return torch.optim.Adam(parameters, **options)


def warm_up(settings, train, loss_fn):
    """Pay once, before the clock starts, for what PyTorch loads at the first step."""
    model = make_model(settings, train[0].shape[1], 8)
    optimizer = make_optimizer(settings, model.parameters())
    for _ in range(3):
        optimizer.zero_grad()
        loss_fn(model(train[0][:8]), train[1][:8]).backward()
        optimizer.step()


def evaluate(settings, model, loss_fn, train, test):
    metrics = {}
    for split, (x, y) in (("train", train), ("test", test)):
        with torch.no_grad():
            z = model(x)
            metrics[f"{split}_loss"] = loss_fn(z, y).item()
            metrics[f"{split}_error"] = (z.argmax(1) != y).float().mean().item()
    with torch.no_grad():
        metrics["weight_norm"] = torch.sqrt(sum((p**2).sum() for p in model.parameters())).item()
    if settings["gradient_norm"]:
        model.zero_grad()
        loss_fn(model(train[0]), train[1]).backward()
        metrics["gradient_norm"] = torch.sqrt(sum((p.grad**2).sum() for p in model.parameters())).item()
    return metrics


def main():
    settings, arrays = read()
    torch.set_num_threads(settings["threads"])
    loss_fn = make_loss(settings)
    train, test = (
        (torch.from_numpy(features(settings, arrays[f"{split}_inputs"])), torch.from_numpy(arrays[f"{split}_targets"]).long())
        for split in ("train", "test")
    )
    eval_steps, num_train, batch_size = set(settings["eval_steps"]), len(train[1]), settings["batch_size"]
    warm_up(settings, train, loss_fn)
    report = Report()
    for width in settings["widths"]:
        for seed in settings["seeds"]:
            torch.manual_seed(seed)
            model = make_model(settings, train[0].shape[1], width)
            optimizer = make_optimizer(settings, model.parameters())
            for step in range(settings["steps"] + 1):
                if step in eval_steps:
                    report.last = evaluate(settings, model, loss_fn, train, test)
                if step == settings["steps"]:
                    break
                x, y = train
                if batch_size is not None:
                    position = step % (num_train // batch_size)
                    if position == 0:
                        order = torch.randperm(num_train)
                    rows = order[position * batch_size : (position + 1) * batch_size]
                    x, y = x[rows], y[rows]
                optimizer.zero_grad()
                loss_fn(model(x), y).backward()
                optimizer.step()
                report.trial_steps += 1
    report.print()


if __name__ == "__main__":
    main()
