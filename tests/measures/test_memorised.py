"""What becomes of wrong labels, against NumPy on the outputs of trained networks."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from ddlab.config.trial import build
from ddlab.contracts.engine import Solved
from ddlab.data import load
from ddlab.errors import ConfigError
from tests.support import FLOAT64, NO_GRADIENT, ROUNDING, leaves_of, make_pack, packed_equals_alone, run_trials

pytestmark = [pytest.mark.numeric, pytest.mark.usefixtures("fast_packs", "float64")]

NAMES = ("clean_train_error", "memorised", "unlearned")
MEMORISED = "+measures.memorised._target_=ddlab.measures.Memorised"
SHORT = (FLOAT64, NO_GRADIENT, MEMORISED, "train.batch_size=null", "train.steps=200", "train.num_evals=4")
DIGITS = (*SHORT, "data=digits", "model.width=20", "optimizer.learning_rate=0.01")


def shares(outputs, label, truth):
    """Return what the measure gives, by counting."""
    answer, is_right = outputs.argmax(axis=-1), label == truth
    right, wrong = int(is_right.sum()), int((~is_right).sum())
    return {
        "clean_train_error": int((answer != truth)[is_right].sum()) / right if right else np.nan,
        "memorised": int((answer == label)[~is_right].sum()) / wrong if wrong else np.nan,
        "unlearned": int((answer == truth)[~is_right].sum()) / wrong if wrong else np.nan,
    }


def outputs_of(state, trial, inputs):
    """Return the outputs of the MLP of one hidden layer of a trial of a pack, [N, K]."""
    params = state.trial.params["layers"]
    (a, b), (c, d) = ((params[i]["weight"].get_value()[trial], params[i]["bias"].get_value()[trial]) for i in range(2))
    return np.maximum(inputs.reshape(len(inputs), -1) @ a + b, 0) @ c + d


def test_shares_are_those_of_numpy_in_packs_of_any_number_of_examples():
    """1500 examples take two chunks."""
    cases = [(300, 0.4, "any", 0), (1500, 0.3, "wrong", 0), (900, 1.0, "any", 1), (300, 0.0, "any", 2)]
    trials = [
        leaves_of(
            *DIGITS,
            f"data.num_train={num}",
            f"data.label_noise={level}",
            f"data.noise_convention={convention}",
            f"data.noise_seed={seed}",
        )
        for num, level, convention, seed in cases
    ]
    _, metrics, _, last = packed_equals_alone(trials, ROUNDING)
    for index, trial in enumerate(trials):
        data, clean = (load(build(leaves, "data")) for leaves in (trial, {**trial, "data.label_noise": 0.0}))
        outputs = outputs_of(last, index, data.train.inputs)
        for name, expected in shares(outputs, data.train.targets, clean.train.targets).items():
            np.testing.assert_allclose(metrics[name][-1, index], expected, rtol=1e-12, err_msg=f"{cases[index]} {name}")
    for name in NAMES:
        assert len({0.0, 1.0, *metrics[name][-1, :3]}) == 5, name
    assert np.isnan(metrics["memorised"][:, 3]).all()
    assert np.isnan(metrics["unlearned"][:, 3]).all()
    np.testing.assert_allclose(metrics["clean_train_error"][:, 3], metrics["train_error"][:, 3], rtol=1e-12)


@pytest.mark.parametrize(
    "words",
    [
        ("data.num_train=200", "data.num_test=100"),
        ("data=modular", "data.modulus=11"),
        ("data=group", "data.group=S3"),
        ("data=sparse_parity", "data.num_train=200", "data.num_test=50"),
    ],
    ids=["mnist1d", "modular", "group", "sparse_parity"],
)
def test_every_data_set_with_label_noise_knows_its_right_labels(words):
    """The error is of these three: wrong on right labels, or neither answer of a wrong one, or answered rightly."""
    trial = leaves_of(*SHORT, *words, "data.label_noise=0.5", "data.noise_convention=wrong")
    data, clean = (load(build(leaves, "data")) for leaves in (trial, {**trial, "data.label_noise": 0.0}))
    np.testing.assert_array_equal(data.arrays["train_truth"], clean.train.targets)
    metrics = run_trials([trial])[1]
    wrong = np.mean(data.train.targets != clean.train.targets)
    assert wrong == round(0.5 * data.train.num) / data.train.num
    found = (1 - wrong) * metrics["clean_train_error"] + wrong * (1 - metrics["memorised"])
    np.testing.assert_allclose(found, metrics["train_error"], rtol=1e-12)


def test_the_exact_solver_knows_them_too():
    words = ("model=random_features", "optimizer=ridge", "train=exact", "measures=none", MEMORISED, "data=digits")
    noisy = ("data.num_train=100", "data.label_noise=0.4", "data.noise_convention=wrong")
    own = [[(f"model.width={width}", f"data.noise_seed={seed}") for seed in (0, 1)] for width in (20, 500)]
    metrics = Solved([[leaves_of(*words, *noisy, *each) for each in at_width] for at_width in own]).metrics
    np.testing.assert_array_equal(metrics["memorised"][1, :, -1], 1)  # beyond the threshold every label is fitted
    np.testing.assert_array_equal(metrics["unlearned"][1, :, -1], 0)
    np.testing.assert_array_equal(metrics["clean_train_error"][1, :, -1], 0)
    found = 0.6 * metrics["clean_train_error"] + 0.4 * (1 - metrics["memorised"])
    np.testing.assert_allclose(found, metrics["train_error"], rtol=1e-12)
    assert (metrics["unlearned"][0, :, -1] > 0.2).all()


def test_real_targets_have_no_labels():
    program, inputs = make_pack([leaves_of(*SHORT, "data=interval", "train.loss=mse")])
    with pytest.raises(ConfigError, match=r"^measures: memorised are wrong labels of classes"):
        jax.eval_shape(program.evaluate, jax.eval_shape(program.init, inputs), inputs)


def test_what_is_right_is_no_part_of_the_checksum_of_what_is_trained_on():
    """Stored results name their data by it."""
    data = load(build(leaves_of("data=digits"), "data"))
    assert data.arrays["train_truth"] is data.truth
    assert load(build(leaves_of("data=digits", "data.label_noise=0.0"), "data")).checksum == data.checksum
