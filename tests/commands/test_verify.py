"""`ddlab verify` on the real command."""

from __future__ import annotations

import pytest

from ddlab.cli import main
from ddlab.report.claims import PASS, verify
from ddlab.store.results import load

pytestmark = pytest.mark.usefixtures("fast_packs")

SWEEP = """\
defaults: [ddlab, override data: gaussian, override model: linear, override optimizer: ridge, override train: exact,
  override measures: exact, _self_]
axes: {model.width: "2,8,20,40", seed: range(3)}
data: {num_train: 8, num_features: 40}
figures: {risk: {recipe: risk_curve, metric: excess_risk, x: model.width}}
claims:
  peak: {kind: peak_location, metric: excess_risk, x: model.width, between: [8, 8], source: "Belkin <2020> [cs.LG]"}
  wrong: {kind: value, metric: excess_risk, where: {model.width: 40}, between: [100, null], source: nobody}
"""


def test_verify_prints_the_verdicts_and_a_failing_claim_is_exit_status_1(workplace, capsys):
    (workplace / "s.yaml").write_text(SWEEP)
    assert main(["sweep", "s.yaml"]) == 0
    capsys.readouterr()
    assert main(["verify", "s"]) == 1
    printed = capsys.readouterr().out
    assert "1 pass, 1 fail" in printed
    assert "Belkin <2020> [cs.LG]" in printed
    assert "\nfail     wrong " in printed
    (workplace / "s.yaml").write_text(SWEEP.replace("[100, null]", "[0, 100]"))
    assert main(["sweep", "s.yaml"]) == 0  # nothing is trained; the claims are those of the file
    assert main(["verify", "results/s"]) == 0
    assert [found.status for found in verify(load("results/s"))] == [PASS, PASS]
    assert main(["report", "s"]) == 0
    page = (workplace / "results" / "s" / "report" / "index.html").read_text()
    assert "<h2>Claims</h2>" in page
    assert "Belkin &lt;2020&gt;" in page
    assert page.count('class="pass"') == 2


def test_a_claim_that_cannot_be_is_refused_before_anything_is_trained(workplace, capsys):
    (workplace / "s.yaml").write_text(SWEEP.replace("peak_location", "peak_locatoin"))
    assert main(["sweep", "s.yaml"]) == 2
    assert "did you mean 'peak_location'" in capsys.readouterr().err
    assert not (workplace / "results").exists()


CLASSES = """\
defaults: [ddlab, _self_]
axes: {model.width: "4,8,16", seed: range(2)}
data: {num_train: 200, num_test: 100, num_validation: 50, label_noise: 0.2, noise_convention: wrong, seed: 0}
train: {steps: 60, batch_size: 20, num_evals: 8}
measures: {predictions: {_target_: ddlab.measures.Predictions, points: 100}}
figures:
  stopped: {recipe: curve, x: model.width, stop_by: validation_error,
    panels: [{metrics: [test_error, ensemble_error, noisy_test_error]}]}
claims:
  members: {kind: difference, metric: member_loss, less: {metric: test_loss}, where: {model.width: 8},
    between: [-1.0e-5, 1.0e-5], source: all test examples are stored}
  error_of_members: {kind: difference, metric: member_error, less: {metric: test_error}, where: {model.width: 8},
    between: [-1.0e-6, 1.0e-6], source: all test examples are stored}
  held_out: {kind: difference, metric: validation_error, stop_by: validation_error, less: {stop_by: null},
    where: {model.width: 8}, between: [null, 0], source: the least is at most the last}
  ensemble: {kind: difference, metric: ensemble_error, where: {model.width: 16}, less: {metric: test_error}, between: [-1, 1],
    source: errors are at most 1}
  noisy: {kind: difference, metric: noisy_test_error, less: {metric: test_error}, where: {model.width: 8}, between: [0, 0.2],
    source: up to all of the redrawn labels}
"""


def test_classes_are_held_out_averaged_and_corrupted(workplace, capsys):
    (workplace / "s.yaml").write_text(CLASSES)
    assert main(["sweep", "s.yaml"]) == 0
    assert main(["verify", "s"]) == 0
    assert "5 pass" in capsys.readouterr().out
    assert main(["report", "s"]) == 0
    printed = capsys.readouterr().out
    assert "test error (clean labels), ensemble error, test error (noisy labels) against width" in printed
    assert "Each trial at the least validation error." in printed


def test_a_sweep_at_chance_is_warned_of_and_its_status_stays(workplace, capsys, monkeypatch):
    for module in ("ddlab.commands.verify", "ddlab.report.page"):
        monkeypatch.setattr(f"{module}.chance_warning", lambda _results: "it guesses < 90 %")
    (workplace / "s.yaml").write_text(SWEEP.replace("[100, null]", "[0, 100]"))
    assert main(["sweep", "s.yaml"]) == 0
    capsys.readouterr()
    assert main(["verify", "s"]) == 0
    assert capsys.readouterr().err == "ddlab: warning: it guesses < 90 %\n"
    assert main(["report", "s"]) == 0
    page = (workplace / "results" / "s" / "report" / "index.html").read_text()
    assert '<p class="fail">Warning: it guesses &lt; 90 %.</p>' in page
