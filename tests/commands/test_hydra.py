"""ddlab as a Hydra application: its flags, its interpolations, and errors that come back from it."""

from __future__ import annotations

import errno
from pathlib import Path

import hydra
import pytest

import ddlab
from ddlab.cli import main
from ddlab.commands import launch
from tests.support import command

pytestmark = pytest.mark.usefixtures("fast_packs")


def raising(error):
    def fail(*_, **__):
        raise error

    return fail


def test_interpolations_are_resolved_for_every_trial(tiny):
    with open("sweeps/tiny.yaml", "a") as file:
        file.write("optimizer: {learning_rate: '${seed}'}\n")
    assert main(["sweep", tiny, "seed=1,2", "model.width=3", "train.steps=2"]) == 0
    trials = ddlab.load("results/tiny").trials
    assert trials["optimizer.learning_rate"].tolist() == [1.0, 2.0]


def test_hydras_own_flags_work(tiny):
    printed = command("sweep", tiny, "--cfg", "job", cwd=Path.cwd()).stdout
    assert "num_train: 200" in printed
    assert not Path("results").exists()


@pytest.mark.parametrize("place", ["Invalid plugin 'os.path': not the hydra_plugins package", "Unknown plugin class : 'x'"])
def test_a_foreign_sweeper_is_a_mistake(tiny, monkeypatch, capfd, place):
    monkeypatch.setattr(hydra, "main", raising(RuntimeError(place)))
    assert main(["sweep", tiny]) == 2
    assert capfd.readouterr().err == f"ddlab: hydra.sweeper: must be ddlab's own ({place})\n"


def test_an_error_of_jax_that_speaks_of_plugins_is_not_taken_for_one_of_the_sweeper(tiny, monkeypatch):
    error = RuntimeError("Unable to initialize backend 'cuda': (you may need to uninstall the failing plugin package)")
    monkeypatch.setattr(hydra, "main", raising(error))
    with pytest.raises(RuntimeError, match="Unable to initialize"):
        main(["sweep", tiny])


def test_a_broken_pipe_of_a_job_is_no_success(tiny, monkeypatch, capfd):
    monkeypatch.setattr(launch, "run_pack", raising(BrokenPipeError(errno.EPIPE, "Broken pipe")))
    assert main(["sweep", tiny]) == 2
    assert capfd.readouterr().err.splitlines()[-1] == "ddlab: Broken pipe"
