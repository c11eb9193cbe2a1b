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
