"""A pack that is trained: trials that diverge and stop, and how many programs it compiles."""

from __future__ import annotations

import jax
import pandas as pd
import pytest

import ddlab
from ddlab.cli import main
from ddlab.store.store import Store
from tests.support import curves

pytestmark = pytest.mark.usefixtures("fast_packs")


def test_each_pack_planned_compiles_two_programs_one_that_trains_and_one_that_measures(tiny):
    compiled = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, *_, **__: compiled.append(event) if event.endswith("backend_compile_duration") else None
    )
    try:
        main(["sweep", tiny, "train.steps=20,40"])
    finally:
        jax.monitoring.clear_event_listeners()
    packs = Store("results/tiny").read_plan()["pack"].nunique()
    assert packs == 2
    assert len(compiled) == 2 * packs


def test_a_diverged_trial_has_its_status_and_the_others_their_curves(tiny):
    overrides = ["optimizer=sgd", "optimizer.momentum=0.9", "model.width=8", "seed=0"]
    main(["sweep", tiny, *overrides, "optimizer.learning_rate=0.01,0.02,0.03,0.04,0.05,0.06,0.07,0.08,0.09", "out=sane"])
    main(["sweep", tiny, *overrides, "optimizer.learning_rate=0.01,0.02,0.03,0.04,0.05,0.06,0.07,0.08,0.09,1e6", "out=wild"])
    wild = ddlab.load("wild").trials.set_index("trial_id")
    diverged = wild.index[wild["optimizer.learning_rate"] == 1e6]
    assert wild.loc[diverged, "status"].tolist() == ["diverged"]
    assert (wild["status"] == "completed").sum() == 9
    rest = curves("wild").query("trial_id not in @diverged").reset_index(drop=True)
    pd.testing.assert_frame_equal(rest, curves("sane"), check_exact=True)


def test_trials_stop_early_when_the_metric_has_held(tiny):
    main(
        [
            "sweep",
            tiny,
            "train.stop_metric=test_loss",
            "train.stop_below=100",
            "train.stop_patience=2",
            "train.num_evals=10",
        ]
    )
    results = ddlab.load("results/tiny")
    assert set(results.trials["status"]) == {"stopped"}
    assert (results.curves.groupby("trial_id").size() == 2).all()


def test_a_profile_is_written_where_it_is_asked_for(tiny, workplace):
    assert main(["sweep", tiny, "profile=true"]) == 0
    found = {path.suffix for path in (workplace / "results/tiny/profile/pack=00000").rglob("*") if path.is_file()}
    assert {".pb", ".gz"} <= found
    assert not (workplace / "results/tiny/checkpoints").exists() or not list((workplace / "results/tiny/checkpoints").glob("*/*"))
