"""Models of several sizes, and components in components: packed against alone, planned as what trials are padded to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from ddlab.config import Mark, leaf
from ddlab.config.trial import declarations, joined, parse
from ddlab.devices.stacked import Absent, stacked
from ddlab.errors import ConfigError
from ddlab.models import Model, matmul
from ddlab.optimizers import Modifier
from ddlab.plan.packs import pack_trials
from ddlab.plan.shapes import Part
from ddlab.plan.trials import make_trials
from ddlab.run.settle import join, settle
from tests.support import FLOAT64, NO_GRADIENT, PACKING, ROUNDING, SMALL_MNIST, leaves_of, make_pack, named_leaves, run_trials

pytestmark = pytest.mark.usefixtures("fast_packs")
HERE = "tests.training.test_sizes"


@dataclass(frozen=True)
class Powered:
    """A non-linearity: a component with a number."""

    slope: float = leaf("slope at 0", Mark.TRACED, above=0)
    kind: str = leaf("shape", choices=("tanh", "sin"))


@dataclass(frozen=True)
class Block(Model):
    """A block as in a transformer: d inputs -> stream, stream -> 4 inner -> stream with a residual, stream -> K."""

    stream: int = leaf("width of the residual stream", Mark.SIZE, low=1, high=1000)
    inner: int = leaf("a quarter of the hidden units", Mark.SIZE, low=1, high=1000)
    activation: Any = leaf("non-linearity (a component)")
    scales: dict[str, Any] = leaf("named non-linearities, the last of which acts on the stream")

    def make(self, spec, init):
        inputs, outputs = init.axis("inputs", 40), init.axis("outputs", spec.num_outputs)
        stream, hidden = init.axis("stream", self.stream), init.axis("hidden", 4 * self.inner)
        last = [self.scales[name] for name in sorted(self.scales)][-1]
        return _Block(
            init.normal("embed", (inputs, stream), 1 / jnp.sqrt(init.length(inputs))),
            init.normal("up", (stream, hidden), 1 / jnp.sqrt(init.length(stream))),
            init.normal("down", (hidden, stream), 1 / jnp.sqrt(init.length(hidden))),
            init.normal("read", (stream, outputs), 1 / jnp.sqrt(init.length(stream))),
            init.constant(self.activation.slope),
            init.constant(last.slope),
        )


class _Block(nnx.Module):
    def __init__(self, embed, up, down, read, slope, scale):
        self.embed, self.up, self.down, self.read, self.slope, self.scale = embed, up, down, read, slope, scale

    def __call__(self, x):
        z = matmul(x, self.embed[...])
        z = z + matmul(jnp.tanh(self.slope[...] * matmul(z, self.up[...])), self.down[...])
        return matmul(jnp.tanh(self.scale[...] * z), self.read[...])


def block(stream, inner, slope=1.0, scale=1.0):
    def powered(slope):
        return f"{{_target_:{HERE}.Powered,slope:{slope},kind:tanh}}"

    scales = f"{{a:{powered(0.5)},b:{powered(scale)},off:null}}"
    fields = f"stream:{stream},inner:{inner},activation:{powered(slope)},scales:{scales}"
    return "~model", f"+model={{_target_:{HERE}.Block,{fields}}}"


TRAINED = (
    *SMALL_MNIST,
    "optimizer=adamw",
    "optimizer.weight_decay=0.1",
    "train.steps=200",
    "train.num_evals=4",
    NO_GRADIENT,
    FLOAT64,
)


@pytest.mark.numeric
@pytest.mark.usefixtures("float64")
def test_two_sizes_are_padded_apart_and_packed_equals_alone():
    """Neither of the trials is as large in both sizes as what they are padded to, 5 and 4."""
    values = ((5, 1, 0.7, 1.1), (2, 4, 1.3, 0.6))
    trials = [leaves_of(*block(*each), *TRAINED) for each in values]
    packed = run_trials(trials)
    params = named_leaves(packed[3].trial.params)
    shapes = {"embed": (2, 40, 5), "up": (2, 5, 16), "down": (2, 16, 5), "read": (2, 5, 10)}
    assert {name: array.shape for name, array in params.items()} == shapes
    for index, trial in enumerate(trials):
        alone = run_trials([trial])
        for name, metric in alone[1].items():
            np.testing.assert_allclose(packed[1][name][:, index], metric[:, 0], rtol=ROUNDING, err_msg=name)
        for name, array in named_leaves(alone[3].trial.params).items():
            found, live = params[name][index], tuple(map(slice, array.shape[1:]))
            np.testing.assert_allclose(found[live], array[0], rtol=1e-9, atol=1e-12, err_msg=name)
            assert np.count_nonzero(found) == np.count_nonzero(found[live])


def test_trials_of_two_sizes_are_planned_as_what_they_are_padded_to():
    leaves = leaves_of(*block(3, 2), *SMALL_MNIST)
    axes = {"model.stream": (2, 5), "model.inner": (1, 4), "seed": (0, 1)}
    trials = make_trials([Part({}, {}, leaves, {}, axes)], settle)
    for trial in trials:
        stream, inner = (trial.shape.leaves[f"model.{name}"] for name in ("stream", "inner"))
        assert trial.shape.size.num_params == 40 * stream + 8 * stream * inner + 10 * stream
    (pack,) = pack_trials(trials, PACKING)
    largest = max((trial.shape for trial in trials), key=lambda shape: shape.size.num_params)
    assert pack.cost == largest.cost
    of_two = [trial.shape for trial in trials if trial.shape.size.num_params in (40 * 5 + 40 + 50, 80 + 64 + 20)]
    assert join(of_two) == largest.cost
    assert all(shape.cost != largest.cost for shape in of_two)


@dataclass(frozen=True)
class Nullable(Modifier):
    """Numbers that may be null, or several."""

    size: int | None = leaf("a size", Mark.SIZE, low=1, off=None)
    factor: float | None = leaf("multiplies the gradient", Mark.TRACED, low=0, off=None)
    factors: tuple[float, ...] = leaf("likewise, each", Mark.TRACED, off=())

    def wrap(self, rule):
        factors = [*([] if self.factor is None else [self.factor]), *self.factors]
        return optax.chain(*(optax.scale(factor) for factor in factors), rule)


def test_a_number_may_be_null_or_several():
    def trial(factor="null", factors="[]"):
        modifier = f"+optimizer.modifiers={{a:{{_target_:{HERE}.Nullable,factor:{factor},factors:{factors}}}}}"
        return leaves_of(
            *SMALL_MNIST, "optimizer=sgd", "model.width=3", "train.steps=3", "train.num_evals=2", NO_GRADIENT, FLOAT64, modifier
        )

    with jax.enable_x64(True):
        several = run_trials([trial(factors="[0.5,0.5]"), trial(factors="[0.0,1.0]")])[1]
        alone = [run_trials([leaves])[1] for leaves in (trial(factor="0.25"), trial())]
    np.testing.assert_allclose(several["train_loss"][:, 0], alone[0]["train_loss"][:, 0], rtol=ROUNDING)
    np.testing.assert_array_equal(several["train_loss"][:, 1], np.full(2, several["train_loss"][0, 1]))
    assert alone[0]["train_loss"][-1] != alone[1]["train_loss"][-1]
    axes = {"optimizer.modifiers.a.factor": (None, 0.5), "optimizer.modifiers.a.size": (None, 3), "seed": (0, 1)}
    packs = pack_trials(make_trials([Part({}, {}, trial(), {}, axes)], settle), PACKING)
    assert [len(pack.trials) for pack in packs] == [2] * 4


def test_axes_of_one_name_have_one_length():
    trial = leaves_of("~model", f"+model={{_target_:{HERE}.TwoLengths,width:3}}", *SMALL_MNIST)
    with pytest.raises(Exception, match="axis 'hidden' has 6 entries here, and 3 elsewhere in the network"):
        make_pack([trial])


@dataclass(frozen=True)
class TwoLengths(Model):
    width: int = leaf("units", Mark.SIZE, low=1)

    def make(self, spec, init):
        return init.normal("a", (init.axis("hidden", self.width), init.axis("hidden", 2 * self.width)), 1.0)


# --- components in components -----------------------------------------------------------------------------------------


def test_a_component_in_a_component_is_declared_typed_and_parsed():
    leaves = leaves_of(*block(3, 2, slope=2), *SMALL_MNIST)
    assert leaves["model.activation.slope"] == 2.0
    assert "model.scales.off._target_" not in leaves
    assert declarations(leaves)["model.scales.b.slope"].mark is Mark.TRACED
    model = parse(leaves).model
    assert model.activation == Powered(2.0, "tanh")
    assert model.scales == {"a": Powered(0.5, "tanh"), "b": Powered(1.0, "tanh")}
    with pytest.raises(ConfigError, match=r"unknown key 'model\.activation\.slop' of Powered\. did you mean 'slope'"):
        leaves_of(*block(3, 2), "+model.activation.slop=1")
    with pytest.raises(ConfigError, match=r"model\.scales\.c=1: must be a component, a mapping with _target_"):
        leaves_of(*block(3, 2), "+model.scales.c=1")


def test_trials_are_stacked_number_by_number_and_keep_what_they_share():
    given = ((2, 1.0), (4, 2.0))
    trials = [leaves_of(*block(3, inner, slope), *SMALL_MNIST, f"data.label_noise={slope / 10}") for inner, slope in given]
    config = stacked(trials, "float32")
    assert config.model.inner.tolist() == [2, 4]
    assert config.model.inner.dtype == np.int32
    assert config.model.activation.slope.tolist() == [1.0, 2.0]
    assert config.model.activation.slope.dtype == np.float32
    assert config.model.activation.kind == "tanh"
    assert config.train.steps == trials[0]["train.steps"]
    assert config.seed is config.data.label_noise is Absent.ON_HOST
    assert jax.tree.structure(stacked(trials[1:], "float32")) == jax.tree.structure(config)
    other = leaves_of(*block(3, 2), *SMALL_MNIST, "optimizer=sgd")
    assert jax.tree.structure(stacked([other], "float32")) != jax.tree.structure(config)
    assert joined(trials)["model.inner"] == 4
