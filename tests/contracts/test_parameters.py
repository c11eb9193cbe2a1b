"""The number of parameters of each shipped model is that of its formula."""

from __future__ import annotations

import pytest

from ddlab.config import catalog
from ddlab.config.trial import build
from ddlab.contracts import compose_subject
from ddlab.data import describe
from ddlab.models.inputs import num_features


def of_readout(model, _d, k):
    return model.width * k


def of_mlp(model, d, k):
    inner = (model.depth - 1) * (model.width + model.bias) * model.width
    return (d + model.bias) * model.width + inner + (model.width + model.bias) * k


def of_transformer(model, d, k):
    """Of pairs of tokens, with biases in the MLP alone."""
    attention = 4 * model.width * model.heads * model.head_size
    mlp = (2 * model.width + 1) * model.hidden + model.width
    return (d // 2 + 2) * model.width + model.depth * (attention + mlp) + model.width * k


def of_embedding_mlp(model, d, k):
    """Of pairs of tokens."""
    entries = model.embedding * (1 if model.join == "sum" else 2)
    return d // 2 * model.embedding + of_mlp(model, entries, k)


def of_cnn_1d(model, d, k):
    """Of signals of d / 8 places with 8 channels, all that the tests have: 8 -> 3 -> 2 -> 1."""
    h = model.width
    return (5 * 8 + 1) * h + 2 * (3 * h + 1) * h + (h + 1) * k


def of_cnn(model, _d, k):
    """Nakkiran et al. 2020, of images with one channel of which one place is left: 378 h^2 + 152 h + 10 has three and K = 10."""
    h = model.width
    return 378 * h**2 + (9 + 45 + 8 * k) * h + k


def of_resnet(model, _d, k):
    h, norms = model.width, 0 if model.norm == "none" else 2
    found, before = 9 * h, h
    for stage, blocks in enumerate(model.blocks):
        after = 2**stage * h
        for index in range(blocks):
            found += norms * (before + after) + 9 * (before + after) * after + (before * after if stage and not index else 0)
            before = after
    return found + (before + 1) * k


def of_vision_transformer(model, d, k):
    """Of images of one channel in patches of 2 x 2, with all biases and pre-norm."""
    w, inner, m = model.width, model.heads * model.head_size, model.hidden
    block = 4 * w + 3 * (w + 1) * inner + (inner + 1) * w + (w + 1) * m + (m + 1) * w
    return (4 + 1) * w + d // 4 * w + model.depth * block + 2 * w + (w + 1) * k


def of_moe(model, d, k):
    return model.experts * (d * model.width + model.width + model.width * k + k) + d * model.experts + model.experts


# Parameters of a model with K outputs on inputs of d features.
FORMULAS = {
    "cnn": of_cnn,
    "cnn_1d": of_cnn_1d,
    "committee": lambda model, d, _k: model.width * d,
    "diagonal": lambda _model, d, _k: 2 * d,
    "embedding_mlp": of_embedding_mlp,
    "legendre": of_readout,
    "linear": of_readout,
    "mlp": of_mlp,
    "moe": of_moe,
    "quadratic_mlp": lambda model, d, k: model.width * (d + k),
    "random_features": of_readout,
    "resnet18": of_resnet,
    "transformer": of_transformer,
    "vision_transformer": of_vision_transformer,
}
# Fields that decide how many there are.
CASES = {
    "cnn": [("width=7", "pools=[1,2,2,2]")],
    "diagonal": [("init_scale=2",), ("data.num_features=9",)],
    "embedding_mlp": [("depth=3", "width=9"), ("join=sum", "embedding=7"), ("depth=2", "bias=false")],
    "mlp": [("depth=1", "width=1"), ("depth=4", "width=33"), ("depth=3", "bias=false"), ("depth=2", "data=modular")],
    "resnet18": [("width=5",), ("width=3", "blocks=[1,3]", "norm=none")],
    "transformer": [("width=7",), ("depth=3", "heads=2", "head_size=5", "hidden=9")],
    "vision_transformer": [("width=7", "depth=3", "dimensions=2", "patch=2")],
}
MODELS = [name.partition("=")[2] for name in catalog.component_options() if name.startswith("model=")]


@pytest.mark.parametrize(("name", "words"), [(name, words) for name in MODELS for words in CASES.get(name, [("width=7",)])])
def test_a_model_has_the_parameters_of_its_formula(name, words):
    subject = compose_subject(f"model={name}", words)
    spec = describe(build(subject.leaves, "data"))
    assert subject.size.num_params == FORMULAS[name](subject.component, num_features(spec), spec.num_outputs)
