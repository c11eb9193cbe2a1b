"""What a column is called: as the component that gives it declares, or by its name."""

from __future__ import annotations

import pandas as pd
import pytest

import ddlab
from ddlab.cli import main
from ddlab.report.columns import label, quantity
from ddlab.store.results import Results


def part(word, loss, unit, **columns):
    declared = {"loss": {"label": loss, "unit": unit}, **columns}
    return {"seeds": [], "choices": {"train.loss": word}, "columns": declared}


CLASSES = part("cross_entropy", "cross-entropy", "nats", sharpness={"label": "largest curvature", "unit": "1/step"})
SQUARES = part("mse", "mean squared error", "")


@pytest.mark.parametrize(
    ("metric", "words", "expected"),
    [
        ("train_loss", ["cross_entropy"], "cross-entropy (nats)"),
        ("test_loss", ["mse", "mse"], "mean squared error"),
        ("test_loss", ["mse", "cross_entropy"], "loss"),
        ("test_error", ["mse"], "error"),
        ("sharpness", ["mse"], "largest curvature (1/step)"),
        ("excess_risk", ["mse"], "excess risk"),
    ],
)
def test_a_metric_is_called_what_its_component_declares(metric, words, expected):
    trials = pd.DataFrame({"train.loss": words})
    assert quantity(metric, Results(trials, pd.DataFrame(), {"parts": [CLASSES, SQUARES]}), trials) == expected


def test_other_columns_are_their_names_in_words():
    assert label("condition_number") == "condition number"
    assert label("optimizer.eps") == "optimizer.eps"
    assert label("num_params") == "parameters P"


@pytest.mark.usefixtures("fast_packs")
def test_a_sweep_stores_what_its_components_declare(workplace):
    (workplace / "tiny.yaml").write_text(
        "defaults: [ddlab, override data: digits, _self_]\naxes: {model.width: '3'}\ntrain: {steps: 2, num_evals: 2}\n"
    )
    assert main(["sweep", "tiny.yaml", "measures.gradient_norm=null"]) == 0
    columns = ddlab.load("results/tiny").sweep["parts"][0]["columns"]
    assert columns["loss"] == {"label": "cross-entropy", "unit": "nats"}
    assert columns.keys() == {"loss", "learning_rate", "weight_norm"}
