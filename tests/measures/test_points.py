"""When measures are due: at every so many eval points, at no cost between."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ddlab.config import Column
from ddlab.config.trial import check, declarations, train_settings
from ddlab.errors import ComponentError, ConfigError
from ddlab.measures import Measure
from ddlab.measures.points import due_steps, eval_steps
from ddlab.run.settle import settle
from tests.support import SMALL_MNIST, leaves_of, make_pack, run_trials

pytestmark = [pytest.mark.numeric, pytest.mark.usefixtures("fast_packs")]

ALWAYS, RARE = (f"measures.gradient_norm.every={every}" for every in (1, 3))
SHORT = (*SMALL_MNIST, ALWAYS, "model.width=4", "train.steps=30", "train.num_evals=9", "train.eval_spacing=linear")
CALLS: list[int] = []


class Counted(Measure):
    """A user's measure without fields, so without a decorator, that notes when it is computed."""

    def columns(self):
        return dict.fromkeys(("count", "pair", "true"), Column("made up"))

    def __call__(self, snapshot):
        jax.debug.callback(CALLS.append, 0)
        return {"count": jnp.int32(7), "pair": jnp.arange(2), "true": jnp.asarray(True)}


@dataclass(frozen=True)
class Clash(Measure):
    """It gives what another measure gives."""

    def columns(self):
        return {"weight_norm": Column("norm")}

    def __call__(self, snapshot):
        return {"weight_norm": jnp.float32(0)}


@dataclass(frozen=True)
class Stranger:
    """No subclass of `Measure`."""

    def __call__(self, snapshot):
        return {}


def test_a_measure_is_due_at_every_so_many_eval_points_and_at_the_last():
    train = train_settings(leaves_of("train.steps=1000", "train.num_evals=12", "train.eval_spacing=linear"))
    steps = eval_steps(train)
    np.testing.assert_array_equal(due_steps(train, 1), steps)
    np.testing.assert_array_equal(due_steps(train, 5), steps[[0, 5, 10, 11]])
    np.testing.assert_array_equal(due_steps(train, 100), [0, 1000])


def test_between_a_measure_is_nan_and_where_it_is_due_it_is_what_it_would_be():
    steps, rare, _, _ = run_trials([leaves_of(*SHORT, f"seed={seed}", RARE) for seed in range(3)])
    always = run_trials([leaves_of(*SHORT, f"seed={seed}") for seed in range(3)])[1]
    due = np.isin(steps, due_steps(train_settings(leaves_of(*SHORT)), 3))
    assert due.tolist() == [True, False, False, True, False, False, True, False, True]
    assert np.isnan(rare["gradient_norm"][~due]).all()
    for name in always:
        chosen = due if name == "gradient_norm" else slice(None)
        np.testing.assert_allclose(rare[name][chosen], always[name][chosen], rtol=1e-5, err_msg=name)


def test_a_measure_that_is_not_due_is_not_computed():
    trials = [
        leaves_of(*SHORT, f"seed={seed}", "+measures.own={_target_:tests.measures.test_points.Counted,every:4}")
        for seed in (0, 1)
    ]
    program, inputs = make_pack(trials)
    state, evaluate = jax.jit(program.init)(inputs), jax.jit(program.evaluate)
    computed = {}
    for step in eval_steps(program.train):
        CALLS.clear()
        jax.block_until_ready(evaluate(state._replace(step=jnp.int32(step)), inputs))
        jax.effects_barrier()
        computed[int(step)] = len(CALLS)
    assert {step for step, calls in computed.items() if calls} == set(due_steps(program.train, 4).tolist())


@pytest.mark.parametrize("every", [1, 4])
def test_whole_numbers_become_real_ones_where_nan_is_among_them(every):
    CALLS.clear()
    own = f"+measures.own={{_target_:tests.measures.test_points.Counted,every:{every}}}"
    metrics = run_trials([leaves_of(*SHORT, own)])[1]
    kinds = {name: metrics[name].dtype.kind for name in ("count", "pair", "true")}
    assert kinds == ({"count": "i", "pair": "i", "true": "b"} if every == 1 else dict.fromkeys(kinds, "f"))
    np.testing.assert_array_equal(metrics["pair"][0, 0], [0, 1])
    np.testing.assert_array_equal(metrics["count"][[0, 8], 0], 7)
    assert np.isnan(metrics["pair"][1:4].astype(float)).all() == (every > 1)


@pytest.mark.parametrize("every", [1, 2])
def test_no_two_measures_give_one_name_whenever_they_are_due(every):
    trial = leaves_of(*SHORT, f"+measures.clash={{_target_:tests.measures.test_points.Clash,every:{every}}}")
    with pytest.raises(ConfigError, match=r"measures\.(clash|weight_norm): gives weight_norm, which is another column's name"):
        settle(trial)


def test_every_is_at_least_one_and_one_is_as_good_as_none():
    assert declarations(leaves_of())["measures.weight_norm.every"].off == 1
    with pytest.raises(ConfigError, match=r"measures\.weight_norm\.every=0: must be at least 1"):
        check(leaves_of("measures.weight_norm.every=0"))


def test_a_measure_of_another_base_class_is_named():
    program, inputs = make_pack([leaves_of(*SHORT, "+measures.own._target_=tests.measures.test_points.Stranger")])
    with pytest.raises(ComponentError, match=r"tests\.measures\.test_points\.Stranger: AttributeError"):
        jax.eval_shape(lambda: program.evaluate(program.init(inputs), inputs))


def test_eval_steps_have_both_ends_and_no_repeats():
    settings = train_settings(leaves_of("train.steps=1000", "train.num_evals=30"))
    steps = eval_steps(settings)
    assert steps[0] == 0
    assert steps[-1] == 1000
    assert (np.diff(steps) > 0).all()
    for number, spacing in itertools.product((2, 3), ("log", "linear")):
        few = eval_steps(
            train_settings(leaves_of("train.steps=60", f"train.num_evals={number}", f"train.eval_spacing={spacing}"))
        )
        assert len(few) == number
        assert few[0] == 0
        assert few[-1] == 60
    linear = eval_steps(train_settings(leaves_of("train.steps=1000", "train.num_evals=11", "train.eval_spacing=linear")))
    np.testing.assert_array_equal(linear, np.arange(0, 1001, 100))
