"""The small networks that are held against PyTorch, and weights for them."""

from __future__ import annotations

import jax
import numpy as np

from tests.support import FLOAT64, leaves_of, make_pack, named_leaves

SHARED = (
    "data.num_train=6",
    "train.batch_size=null",
    "train.steps=1",
    "train.num_evals=2",
    "measures=none",
    "optimizer=sgd",
    "optimizer.learning_rate=1.0",
    FLOAT64,
)
RESNET = ("data=digits", "model=resnet18", "model.width=2", "model.blocks=[1,2,1]")
CASES = {
    "cnn": ("data=digits", "model=cnn", "model.width=2", "model.pools=[1,2,2,2]"),
    "cnn without a norm": ("data=digits", "model=cnn", "model.width=2", "model.pools=[2,1,1,3]", "model.norm=none"),
    "cnn of signals": ("data=mnist1d", "model=cnn_1d", "model.width=3"),
    "resnet": RESNET,
    "resnet with groups": (*RESNET, "model.norm=group", "model.groups=2"),
    "resnet without a norm": (*RESNET, "model.norm=none", "model.init_scale=0.5"),
    "vision_transformer": (
        *("data=mnist1d", "model=vision_transformer", "model.width=8", "model.heads=2", "model.head_size=4"),
        *("model.hidden=10", "model.activation=relu"),
    ),
    "vision_transformer of images": (
        *("data=digits", "model=vision_transformer", "model.width=6", "model.heads=3", "model.head_size=2"),
        *("model.hidden=5", "model.activation=relu", "model.dimensions=2", "model.patch=4", "model.depth=1"),
    ),
}


def begun(case: str):
    """Return the leaves of a case, weights all of which are random [by name], and its training inputs and targets."""
    leaves = leaves_of(*SHARED, *CASES[case])
    with jax.enable_x64(True):
        program, inputs = make_pack([leaves])
        start = jax.device_get(jax.jit(program.init)(inputs)).trial.params
    random = np.random.default_rng(0)
    weights = {name: array[0] + 0.1 * random.normal(size=array.shape[1:]) for name, array in named_leaves(start).items()}
    return leaves, weights, inputs.shared["train_inputs"][0], inputs.shared["train_targets"][0]
