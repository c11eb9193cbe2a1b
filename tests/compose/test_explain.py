"""Hydra's errors in one line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra.errors import MissingConfigException

from ddlab.compose.explain import explain


@pytest.mark.parametrize(("launcher", "extra"), [("joblib", "joblib"), ("submitit_slurm", "slurm"), ("submitit_local", "slurm")])
def test_a_launcher_that_is_not_installed_says_which_extra_installs_it(launcher, extra):
    missing = MissingConfigException("", missing_cfg_file=f"hydra/launcher/{launcher}", options=["basic"])
    line = explain(missing, Path("tiny.yaml"), [])
    assert line == f"hydra/launcher={launcher}: is not installed; pip install 'ddlab[{extra}]' does it"
