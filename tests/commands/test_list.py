"""`ddlab list`: every sweep, and nothing that is none."""

from __future__ import annotations

from pathlib import Path

from ddlab.cli import main
from ddlab.config import catalog


def test_list_names_every_sweep(capsys, workplace):
    assert main(["list"]) == 0
    printed = capsys.readouterr().out
    for name in catalog.sweep_files():
        assert name in printed


def test_list_leaves_out_what_is_no_sweep(workplace, capsys):
    Path("sweeps").mkdir()
    good = "paper: P\nshows: S\ntrials: 3\nrefine: {x: data.num_train}"
    for name, text in (("broken", "a: [1"), ("empty", ""), ("good", good)):
        Path(f"sweeps/{name}.yaml").write_text(text)
    assert main(["list"]) == 0
    printed = capsys.readouterr()
    assert "good  (3 trials and a second round, ? min)" in printed.out
    assert "broken.yaml: not a sweep" in printed.err
