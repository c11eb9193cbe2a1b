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


# Parameters of a model with K outputs on inputs of d features.
FORMULAS = {
    "committee": lambda model, d, _k: model.width * d,
    "diagonal": lambda _model, d, _k: 2 * d,
    "embedding_mlp": of_embedding_mlp,
    "legendre": of_readout,
    "linear": of_readout,
    "mlp": of_mlp,
    "quadratic_mlp": lambda model, d, k: model.width * (d + k),
    "random_features": of_readout,
    "transformer": of_transformer,
}
# Fields that decide how many there are.
CASES = {
    "diagonal": [("init_scale=2",), ("data.num_features=9",)],
    "embedding_mlp": [("depth=3", "width=9"), ("join=sum", "embedding=7"), ("depth=2", "bias=false")],
    "mlp": [("depth=1", "width=1"), ("depth=4", "width=33"), ("depth=3", "bias=false"), ("depth=2", "data=modular")],
    "transformer": [("width=7",), ("depth=3", "heads=2", "head_size=5", "hidden=9")],
}
MODELS = [name.partition("=")[2] for name in catalog.component_options() if name.startswith("model=")]


@pytest.mark.parametrize(("name", "words"), [(name, words) for name in MODELS for words in CASES.get(name, [("width=7",)])])
def test_a_model_has_the_parameters_of_its_formula(name, words):
    subject = compose_subject(f"model={name}", words)
    spec = describe(build(subject.leaves, "data"))
    assert subject.size.num_params == FORMULAS[name](subject.component, num_features(spec), spec.num_outputs)
