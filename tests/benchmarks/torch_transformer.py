"""Peer X: the usual PyTorch transformer, one network after the other: every position, PyTorch's own attention."""

from __future__ import annotations

import torch
from problem import Report, read
from torch import nn
from torch.nn import functional
from torch_loop import make_optimizer


class Transformer(nn.Module):
    """One block without norms (Nanda et al. 2023)."""

    def __init__(self, settings, length):
        super().__init__()
        d, self.heads = settings["width"], settings["heads"]
        inner = self.heads * settings["head_size"]
        self.embedding = nn.Embedding(settings["alphabet"], d)
        self.positions = nn.Parameter(torch.empty(length, d))
        self.mixed, self.attended = nn.Linear(d, 3 * inner, bias=False), nn.Linear(inner, d, bias=False)
        self.hidden, self.read = nn.Linear(d, settings["hidden"]), nn.Linear(settings["hidden"], d)
        self.unembedding = nn.Linear(d, settings["num_outputs"], bias=False)
        layers = (self.mixed, self.attended, self.hidden, self.read, self.unembedding)
        for weight in (self.embedding.weight, self.positions, *(layer.weight for layer in layers)):
            nn.init.normal_(weight, std=d**-0.5)

    def forward(self, tokens):
        x = self.embedding(tokens) + self.positions
        query, key, value = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in self.mixed(x).chunk(3, dim=-1))
        mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.attended(mixed.transpose(1, 2).flatten(2))
        x = x + self.read(functional.relu(self.hidden(x)))
        return self.unembedding(x)


def loss_of(model, tokens, targets):
    return functional.cross_entropy(model(tokens)[:, -1], targets)


def main():
    settings, arrays = read()
    torch.set_num_threads(settings["threads"])
    kinds = ("inputs", "targets")
    splits = {split: [torch.from_numpy(arrays[f"{split}_{kind}"]).long() for kind in kinds] for split in ("train", "test")}
    warm = Transformer(settings, splits["train"][0].shape[1])
    loss_of(warm, *(array[:8] for array in splits["train"])).backward()  # what PyTorch loads at the first step
    report = Report()
    for seed in settings["seeds"]:
        torch.manual_seed(seed)
        model = Transformer(settings, splits["train"][0].shape[1])
        optimizer = make_optimizer(settings, model.parameters())
        for step in range(settings["steps"] + 1):
            if step in settings["eval_steps"]:
                with torch.no_grad():
                    report.last = {f"{name}_loss": loss_of(model, *split).item() for name, split in splits.items()}
            if step == settings["steps"]:
                break
            optimizer.zero_grad()
            loss_of(model, *splits["train"]).backward()
            optimizer.step()
            report.trial_steps += 1
    report.print()


if __name__ == "__main__":
    main()
