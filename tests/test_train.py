"""Packed against alone, dead units, batches, eval points, divergence, compilations."""

from __future__ import annotations

import dataclasses
import itertools
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ddlab.config import Mark, leaf
from ddlab.config.trial import train_settings
from ddlab.data.loader import Loader
from ddlab.measures import Measure
from ddlab.measures.points import eval_steps
from ddlab.models import Model
from ddlab.models.mlp import MLP
from ddlab.training.batches import batch_rows
from ddlab.training.compiled import compile_pack
from ddlab.training.program import Inputs, make_inputs, make_program
from tests.support import MODULAR, SMALL_MNIST, leaves_of, make_pack, named_leaves, run_trials

pytestmark = pytest.mark.numeric

# The contracts hold every optimizer against being packed, for fewer steps.
ADAMW = ("optimizer=adamw", "optimizer.learning_rate=0.003", "optimizer.weight_decay=0.1")
WIDTHS = (3, 8, 13)

# How far trajectories of one trial may lie apart that round otherwise (packed or alone, in tiles, on any processor), relative.
# They are compared in float64 because metrics of a ReLU network jump where a preactivation crosses zero, and errors where two
# outputs tie: of some 1e6 preactivations a float32 rounding (1e-7) takes one across now and then, one of float64 (1e-16) none.
# Scaling the first weights by 1 + 1e-12 moves no metric of these runs by more than 6e-11, so that a rounding in each of 200
# steps, grown 60-fold, is 200 * 60 * 2^-53 = 1e-12; sums of tens of products round several times.
ROUNDING = 1e-11
FLOAT64 = "train.dtype=float64"
# The same in float32 for smooth networks and few steps: 20 * 60 * 2^-24 = 7e-5, and measures that cannot jump.
ROUNDING_FLOAT32 = 1e-4
JUMPS = ("train_error", "test_error")


def active(name: str, array: np.ndarray, width: int) -> np.ndarray:
    """Cut a parameter [*shape] of an MLP of depth 2 down to its live units."""
    rows = slice(None) if name.startswith("layers.0") or array.ndim == 1 else slice(width)
    columns = slice(None) if name.startswith("layers.2") else slice(width)
    return array[columns] if array.ndim == 1 else array[rows, columns]


@pytest.fixture
def float64():
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="module")
def packed_and_alone():
    shared = (*SMALL_MNIST, *ADAMW, "model.depth=2", "train.steps=200", "train.num_evals=12", FLOAT64)
    trials = [leaves_of(*shared, f"model.width={width}", f"seed={seed}") for width in WIDTHS for seed in (0, 5)]
    with jax.enable_x64(True):
        return trials, run_trials(trials), [run_trials([trial]) for trial in trials]


def test_packed_trials_start_from_the_same_numbers_bit_for_bit(packed_and_alone):
    trials, (_, _, packed, _), alone = packed_and_alone
    for index, (trial, (_, _, single, _)) in enumerate(zip(trials, alone, strict=True)):
        ours, theirs = named_leaves(packed.trial.params), named_leaves(single.trial.params)
        for name in theirs:
            cut = active(name, ours[name][index], trial["model.width"])
            np.testing.assert_array_equal(cut, theirs[name][0], err_msg=name)
            assert np.abs(theirs[name]).max() > 0


def test_packed_metrics_equal_those_of_trials_alone(packed_and_alone):
    trials, (_, packed, _, _), alone = packed_and_alone
    for index in range(len(trials)):
        for name, values in alone[index][1].items():
            assert packed[name].dtype == np.float64
            np.testing.assert_allclose(packed[name][:, index], values[:, 0], rtol=ROUNDING, err_msg=name)


def test_packed_metrics_equal_those_of_trials_alone_in_float32():
    smooth = ("model.depth=2", "model.activation=tanh", "train.steps=20", "train.num_evals=4")
    trials = [leaves_of(*SMALL_MNIST, *ADAMW, *smooth, f"model.width={width}") for width in WIDTHS[1:]]
    packed = run_trials(trials)[1]
    for index, trial in enumerate(trials):
        alone = run_trials([trial])[1]
        for name in alone.keys() - set(JUMPS):
            assert packed[name].dtype == np.float32
            np.testing.assert_allclose(packed[name][:, index], alone[name][:, 0], rtol=ROUNDING_FLOAT32, err_msg=name)


def test_padded_units_are_exactly_zero_at_the_end(packed_and_alone):
    trials, (_, _, _, last), _ = packed_and_alone
    for index, trial in enumerate(trials):
        for name, array in named_leaves(last.trial.params).items():
            rest = np.array(array[index])
            active(name, rest, trial["model.width"])[...] = 0
            assert not rest.any(), name


def test_hyper_parameters_of_one_pack_differ_between_its_trials(float64):
    shared = (*SMALL_MNIST, "optimizer=sgd", "model.width=8", "train.steps=20", "train.num_evals=3", FLOAT64)
    varied = ("optimizer.learning_rate=0.5", "optimizer.momentum=0", "model.init_scale=2", "data.label_noise=0.8", "seed=1")
    trials = [leaves_of(*shared), *(leaves_of(*shared, one) for one in varied)]
    packed = run_trials(trials)[1]
    for index, trial in enumerate(trials):
        alone = run_trials([trial])[1]["train_loss"][:, 0]
        np.testing.assert_allclose(packed["train_loss"][:, index], alone, rtol=ROUNDING)
    assert len(np.unique(packed["train_loss"][-1])) == len(trials)


@dataclasses.dataclass(frozen=True)
class Strength(Measure):
    """A measure with a traced field."""

    strength: float = leaf("recorded as it is", Mark.TRACED)

    def __call__(self, snapshot):
        return {"strength": jnp.asarray(self.strength)}


@dataclasses.dataclass(frozen=True)
class Renamed(Model):
    """A user's model whose padded field is not called width."""

    hidden: int = leaf("units", Mark.WIDTH, low=1)

    PADDED: ClassVar = {"hidden": "width"}

    def make(self, spec, init):
        fields = {"num_params": None, "depth": 1, "activation": "relu", "parametrization": "standard", "initializer": "torch"}
        return MLP(width=self.hidden, init_scale=1.0, bias=True, **fields).make(spec, init)


def test_a_traced_field_of_a_measure_differs_between_trials():
    shared = (*SMALL_MNIST, "train.steps=2", "train.num_evals=2", "+measures.s._target_=tests.test_train.Strength")
    metrics = run_trials([leaves_of(*shared, f"+measures.s.strength={value}") for value in (1, 2, 3)])[1]
    np.testing.assert_array_equal(metrics["strength"], [[1, 2, 3]] * 2)


@dataclasses.dataclass(frozen=True)
class Curvature(Measure):
    """A measure with second derivatives: the Hessian of the training loss times the parameters."""

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
    shared = (*kind, "train.dtype=float64", "model.width=8", "+measures.curvature._target_=tests.test_train.Curvature")
    trial = leaves_of(*shared)
    with jax.enable_x64(True):
        dataset = Loader().load([trial])[0]
        program = make_program(trial, dataset, 64)
        inputs = make_inputs([trial], [dataset])
        metrics = jax.device_get(jax.jit(lambda: program.evaluate(program.init(inputs), inputs))())
    assert float(metrics["away"][0]) < 1e-6 * float(metrics["product"][0])


def test_a_users_padded_field_may_have_any_name(float64):
    shared = (*SMALL_MNIST, "train.steps=20", "train.num_evals=3", FLOAT64)
    own = "model={_target_:tests.test_train.Renamed,hidden:%d}"
    ours = run_trials([leaves_of(*shared, "~model", f"+{own % width}") for width in (3, 9)])[1]
    theirs = run_trials([leaves_of(*shared, f"model.width={width}") for width in (3, 9)])[1]
    np.testing.assert_allclose(ours["train_loss"], theirs["train_loss"], rtol=ROUNDING)


def test_an_absurd_learning_rate_leaves_the_other_trials_untouched():
    shared = (*SMALL_MNIST, "optimizer=sgd", "model.width=16", "train.steps=60", "train.num_evals=5")
    sane = [leaves_of(*shared, f"seed={seed}") for seed in range(9)]
    wild = leaves_of(*shared, "seed=9", "optimizer.learning_rate=1e6")
    with_wild, without = run_trials([*sane, wild])[1], run_trials([*sane, leaves_of(*shared, "seed=9")])[1]
    for name in without:
        np.testing.assert_array_equal(with_wild[name][:, :9], without[name][:, :9], err_msg=name)
    assert not np.isfinite(with_wild["train_loss"][-1, 9]) or with_wild["train_loss"][-1, 9] > 1e3


def test_tiles_and_devices_do_not_change_the_results(monkeypatch, float64):
    shared = (*SMALL_MNIST, "train.steps=60", FLOAT64)
    trials = [leaves_of(*shared, f"model.width={width}", f"seed={seed}") for width in (4, 9) for seed in range(5)]
    whole = run_trials(trials)[1]
    both = jax.local_devices()
    for tile, devices in ((1, both), (2, both), (3, both), (4, both[:1]), (100, both[:1])):
        monkeypatch.setattr(jax, "local_devices", lambda devices=devices: devices)
        tiled = run_trials(trials, tile)[1]
        for name in whole:
            np.testing.assert_allclose(tiled[name], whole[name], rtol=ROUNDING, err_msg=name)


def test_leaving_out_trials_changes_nothing_for_the_others_bit_for_bit():
    trials = [leaves_of(*SMALL_MNIST, "model.width=8", f"seed={seed}") for seed in range(9)]
    program, inputs = make_pack(trials)
    compiled = compile_pack(program, inputs, len(trials), 2)
    alive = np.array([False, True, False, False, True, True, False, False, True])

    def train(with_ended):
        placed = compiled.place()
        state = placed.advance(placed.begin(), 10)
        if not with_ended:
            host, placed = placed.to_host(state), compiled.place(alive)
            assert placed.layout.busy.sum() < compiled.layout.busy.sum()
            state = placed.to_devices(host)
        state = placed.advance(state, 40)
        return placed.to_host(state), placed.layout.take(placed.evaluate(state))

    (with_state, with_metrics), (without_state, without_metrics) = train(True), train(False)
    for one, other in zip(jax.tree.leaves(with_state.trial.params), jax.tree.leaves(without_state.trial.params), strict=True):
        np.testing.assert_array_equal(one[alive], other[alive])
    for name in with_metrics:
        np.testing.assert_array_equal(with_metrics[name][alive], without_metrics[name][alive], err_msg=name)


def test_segments_cut_anywhere_give_the_same_state():
    trial = leaves_of(*SMALL_MNIST, "model.width=4")
    program, inputs = make_pack([trial])
    advance = jax.jit(program.advance)
    begun = jax.jit(program.init)(inputs)
    whole = advance(begun, inputs, np.int32(37))
    cut = begun
    for target in (0, 1, 13, 14, 37):
        cut = advance(cut, inputs, np.int32(target))
    for one, other in zip(jax.tree.leaves(whole), jax.tree.leaves(cut), strict=True):
        np.testing.assert_array_equal(one, other)


def test_first_batch_update_equals_one_computed_by_hand():
    """One SGD step of a network of width 1 and depth 1, against NumPy."""
    trial = leaves_of(
        *SMALL_MNIST,
        "model.width=1",
        "model.activation=tanh",
        "optimizer=sgd",
        "optimizer.learning_rate=0.1",
        "train.loss=mse",
    )
    program, inputs = make_pack([trial])
    begun = jax.jit(program.init)(inputs)
    after_state = jax.jit(program.advance)(begun, inputs, np.int32(1))
    before, after = (
        named_leaves(jax.tree.map(lambda array: np.asarray(array, np.float64)[0], state.trial.params))
        for state in (begun, after_state)
    )
    rows = np.asarray(batch_rows(inputs.trial.keys["batches"][0], np.int32(0), 200, 20))
    x, y = inputs.shared["train_inputs"][rows].astype(np.float64), np.eye(10)[inputs.shared["train_targets"][rows]]
    w1, b1, w2, b2 = (before[f"layers.{k}.{name}"] for k in (0, 1) for name in ("weight", "bias"))
    h = np.tanh(x @ w1 + b1)
    delta = 2 * (h @ w2 + b2 - y) / y.size
    back = delta @ w2.T * (1 - h**2)
    expected = {"0.weight": w1 - 0.1 * x.T @ back, "0.bias": b1 - 0.1 * back.sum(0)}
    expected |= {"1.weight": w2 - 0.1 * h.T @ delta, "1.bias": b2 - 0.1 * delta.sum(0)}
    for name, array in expected.items():
        np.testing.assert_allclose(after[f"layers.{name}"], array, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("num_test", [100, 1024, 1025, 3000])
def test_metrics_do_not_depend_on_how_evaluation_is_chunked(num_test):
    trial = leaves_of(*SMALL_MNIST, f"data.num_test={num_test}", "model.width=4")
    program, inputs = make_pack([trial])
    state = jax.jit(program.init)(inputs)
    metrics = jax.device_get(jax.jit(program.evaluate)(state, inputs))
    weights = named_leaves(jax.tree.map(lambda array: np.asarray(array, np.float64)[0], state.trial.params))
    x, y = inputs.shared["test_inputs"].astype(np.float64), inputs.shared["test_targets"]
    h = np.maximum(x @ weights["layers.0.weight"] + weights["layers.0.bias"], 0)
    logits = h @ weights["layers.1.weight"] + weights["layers.1.bias"]
    losses = np.log(np.exp(logits).sum(1)) - logits[np.arange(num_test), y]
    np.testing.assert_allclose(metrics["test_loss"][0], losses.mean(), rtol=1e-5)
    np.testing.assert_allclose(metrics["test_error"][0], (logits.argmax(1) != y).mean(), rtol=1e-5)
    norm = np.sqrt(sum((array**2).sum() for array in weights.values()))
    np.testing.assert_allclose(metrics["weight_norm"][0], norm, rtol=1e-5)


def test_gradient_norm_is_that_of_the_whole_training_set():
    trial = leaves_of(*MODULAR, "train.dtype=float64", "optimizer=sgd", "optimizer.momentum=0", "optimizer.learning_rate=1e-3")
    with jax.enable_x64(True):
        program, inputs = make_pack([trial])
        state = jax.jit(program.init)(inputs)
        measured = float(jax.device_get(jax.jit(program.evaluate)(state, inputs))["gradient_norm"][0])
        moved = jax.jit(program.advance)(state, inputs, np.int32(1))
        steps = [
            np.asarray(a) - np.asarray(b)
            for a, b in zip(jax.tree.leaves(moved.trial.params), jax.tree.leaves(state.trial.params), strict=True)
        ]
    assert steps[0].dtype == np.float64
    np.testing.assert_allclose(measured, np.sqrt(sum((step**2).sum() for step in steps)) / 1e-3, rtol=1e-7)


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


def test_a_batch_taken_in_pieces_gives_the_gradient_of_the_whole(float64):
    trial = leaves_of(*SMALL_MNIST, "train.batch_size=null", "model.width=6", "train.steps=20", FLOAT64)
    whole, pieces = (make_program(trial, Loader().load([trial])[0], chunk) for chunk in (1000, 70))
    inputs = make_pack([trial])[1]
    states = [jax.jit(program.advance)(jax.jit(program.init)(inputs), inputs, np.int32(20)) for program in (whole, pieces)]
    for one, other in zip(*(jax.tree.leaves(state.trial.params) for state in states), strict=True):
        np.testing.assert_allclose(one, other, rtol=ROUNDING, atol=1e-13)


def test_bfloat16_keeps_parameters_in_float32_and_learns_like_float32():
    shared = (*SMALL_MNIST, "model.width=32", "train.steps=200", "train.num_evals=4")
    runs = {dtype: run_trials([leaves_of(*shared, f"train.dtype={dtype}")]) for dtype in ("bfloat16", "float32")}
    for _, metrics, first, last in runs.values():
        assert {str(leaf.dtype) for leaf in jax.tree.leaves((first.trial.params, last.trial.params))} == {"float32"}
        assert metrics["train_loss"].dtype == np.float32
    losses = {dtype: metrics["train_loss"][:, 0] for dtype, (_, metrics, _, _) in runs.items()}
    np.testing.assert_allclose(losses["bfloat16"], losses["float32"], rtol=0.05)  # 8 bits: 2^-8 a product
    assert np.abs(losses["bfloat16"] - losses["float32"]).max() > 1e-6
    np.testing.assert_array_equal(*(jax.tree.leaves(run[2].trial.params)[1] for run in runs.values()))


def test_arrays_that_all_trials_share_are_kept_once():
    trials = [leaves_of(*SMALL_MNIST, f"data.label_noise={level}") for level in (0.0, 0.4)]
    inputs = make_pack(trials)[1]
    assert isinstance(inputs, Inputs)
    assert set(inputs.trial.data) == {"train_targets"}
    assert inputs.trial.data["train_targets"].shape == (2, 200)
    assert inputs.shared["train_inputs"].shape == (200, 40)
