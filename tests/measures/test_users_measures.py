"""A user's own measures: traced fields, second derivatives."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ddlab.config import Column, Mark, leaf
from ddlab.config.trial import parse
from ddlab.data.loader import Loader
from ddlab.measures import Measure
from ddlab.training.program import make_program
from ddlab.training.state import make_inputs
from tests.support import MODULAR, SMALL_MNIST, leaves_of, run_trials

pytestmark = [pytest.mark.numeric, pytest.mark.usefixtures("fast_packs")]


@dataclasses.dataclass(frozen=True)
class Strength(Measure):
    """A measure with a traced field."""

    strength: float = leaf("recorded as it is", Mark.TRACED)

    def columns(self):
        return {"strength": Column("strength")}

    def __call__(self, snapshot):
        return {"strength": jnp.asarray(self.strength)}


def test_a_traced_field_of_a_measure_differs_between_trials():
    shared = (
        *SMALL_MNIST,
        "train.steps=2",
        "train.num_evals=2",
        "+measures.s._target_=tests.measures.test_users_measures.Strength",
    )
    metrics = run_trials([leaves_of(*shared, f"+measures.s.strength={value}") for value in (1, 2, 3)])[1]
    np.testing.assert_array_equal(metrics["strength"], [[1, 2, 3]] * 2)


@dataclasses.dataclass(frozen=True)
class Curvature(Measure):
    """A measure with second derivatives: the Hessian of the training loss times the parameters."""

    def columns(self):
        return {"product": Column("norm of the product"), "away": Column("its distance from differences of gradients")}

    def __call__(self, snapshot):
        def loss(params):
            return snapshot.mean_fn(snapshot.loss_fn, params, snapshot.train)

        gradient = jax.grad(loss)
        shifted = (jax.tree.map(lambda p, sign=sign: p * (1 + sign * 1e-5), snapshot.params) for sign in (1, -1))
        above, below = (gradient(params) for params in shifted)
        difference = jax.tree.map(lambda a, b: (a - b) / 2e-5, above, below)
        product = jax.grad(lambda params: optax.tree.vdot(gradient(params), snapshot.params))(snapshot.params)
        return {"product": optax.tree.norm(product), "away": optax.tree.norm(optax.tree.sub(product, difference))}


@pytest.mark.parametrize(
    "kind", [(*SMALL_MNIST, "model.activation=tanh"), (*MODULAR, "data.modulus=37")], ids=["features", "tokens"]
)
def test_a_measure_may_take_second_derivatives_over_several_chunks(kind):
    shared = (
        *kind,
        "train.dtype=float64",
        "model.width=8",
        "+measures.curvature._target_=tests.measures.test_users_measures.Curvature",
    )
    trial = leaves_of(*shared)
    with jax.enable_x64(True):
        dataset = Loader().load([trial])[0]
        program = make_program(parse(trial), dataset.spec, 64)
        inputs = make_inputs([trial], [dataset])
        metrics = jax.device_get(jax.jit(lambda: program.evaluate(program.init(inputs), inputs))())
    assert float(metrics["away"][0]) < 1e-6 * float(metrics["product"][0])
