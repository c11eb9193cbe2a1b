"""Keys that are taken out, and the advice to do so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ddlab.cli import main
from tests.support import refusal

NULL = "model: {num_params: null}\n"


def advice(capfd, words):
    """Return what the line of a refusal advises to add."""
    return re.search(r"[~\w.]+=null|~[\w.]+", refusal(capfd, words))[0]


@pytest.mark.parametrize(
    "words", [["model=linear", "train.loss=mse"], ["+measures.condition._target_=ddlab.measures.Conditioning"]]
)
def test_advice_can_be_pasted(small, capfd, words):
    Path(small).write_text(Path(small).read_text() + NULL)
    assert main(["plan", small, *words, advice(capfd, [small, *words])]) == 0


@pytest.mark.parametrize(
    ("word", "trials"),
    [("~model.num_params", 4), ("~axes.model.width", 2), ("~axes.seed", 2), ("~measures.gradient_norm", 4)],
)
def test_a_key_is_taken_out_also_where_it_is_null_or_an_axis(small, capsys, word, trials):
    Path(small).write_text(Path(small).read_text() + NULL)
    assert main(["plan", small, word]) == 0
    assert f"{trials} trials" in capsys.readouterr().out


def test_what_is_not_there_cannot_be_taken_out(small, capfd):
    assert "~model.widht: there is no such key. did you mean 'model.width'?" in refusal(capfd, [small, "~model.widht"])
