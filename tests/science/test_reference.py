"""The reference results hold the claims of their sweeps, and are small."""

from __future__ import annotations

import pytest
from omegaconf import OmegaConf

import ddlab
from ddlab.cli import main
from ddlab.config import catalog
from tests.support import REFERENCE

SWEEPS = {path.stem: path for path in sorted(catalog.shipped("sweeps").glob("*.yaml"))}


@pytest.mark.parametrize("name", SWEEPS)
def test_the_reference_results_hold_the_claims(name, capsys):
    claims = OmegaConf.to_container(OmegaConf.load(SWEEPS[name]).claims)
    assert ddlab.load(REFERENCE / name).sweep["claims"] == claims
    assert main(["verify", str(REFERENCE / name)]) == 0
    assert f"{len(claims)} pass" in capsys.readouterr().out


def test_the_reference_results_are_small():
    """They lie in every clone: 6 MB in all."""
    files = [path for path in REFERENCE.rglob("*") if path.is_file()]
    assert {path.relative_to(REFERENCE).parts[0] for path in files} == set(SWEEPS)
    assert sum(path.stat().st_size for path in files if "report" not in path.parts) <= 6e6
