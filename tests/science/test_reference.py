"""The reference results hold the claims of their sweeps, and are small."""

from __future__ import annotations

import pytest
from omegaconf import OmegaConf

import ddlab
from ddlab.cli import main
from ddlab.config import catalog
from tests.support import REFERENCE

SWEEPS = {path.stem: path for path in sorted(catalog.shipped("sweeps").glob("*.yaml"))}

# Bytes of those whose claims on the exact curves need thousands of draws, 40 bytes of ids a trial, or many networks' outputs.
OF_MANY_DRAWS = {
    "belkin2020_misspecified": 2_250_000,
    "bias_variance": 450_000,
    "hastie2022_ridgeless": 600_000,
    "nakkiran2020_regularised": 520_000,
    "nakkiran2021_optimal_ridge": 850_000,
    "ticket_and_noise": 270_000,
}


# Sweeps that nobody of ddlab's has run: they need files that are not free to be had from a package, and a GPU.
NOT_RUN = {"cifar10_resnet18"}


@pytest.mark.parametrize("name", sorted(SWEEPS.keys() - NOT_RUN))
def test_the_reference_results_hold_the_claims(name, capsys):
    claims = OmegaConf.to_container(OmegaConf.load(SWEEPS[name]).claims)
    assert ddlab.load(REFERENCE / name).sweep["claims"] == claims
    assert main(["verify", str(REFERENCE / name)]) == 0
    assert f"{len(claims)} pass" in capsys.readouterr().out


def test_the_reference_results_are_small():
    """They lie in every clone: 9 MB in all, and 250 kB a sweep."""
    sizes = dict.fromkeys(SWEEPS, 0)
    for path in REFERENCE.rglob("*"):
        name, *inside = path.relative_to(REFERENCE).parts
        if path.is_file() and "report" not in inside:
            sizes[name] += path.stat().st_size
    assert sum(sizes.values()) <= 9e6
    assert {name for name, size in sizes.items() if size > OF_MANY_DRAWS.get(name, 250_000)} == set()
