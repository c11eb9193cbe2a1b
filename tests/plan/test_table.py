"""How trials join what a results directory holds."""

from __future__ import annotations

import json

from ddlab.plan.shapes import Part
from ddlab.plan.table import extended_plan, stored_plan
from ddlab.plan.trials import make_trials
from ddlab.store.store import Store
from tests.support import PACKING, leaves_of, settled


def test_a_stored_trial_has_a_knob_that_was_added_since_and_stays_in_its_pack(tmp_path):
    leaves = leaves_of("model.width=4")
    trials = make_trials([Part({}, {}, leaves, {}, {"seed": (0, 1, 2)})], settled)
    store = Store(tmp_path)
    before = extended_plan(store, stored_plan(store, as_packed=True), trials[:2], PACKING)
    configs = [json.loads(config) for config in before["config"]]
    for lacking in configs:
        del lacking["optimizer.warmup_steps"]
    stored = before.assign(config=[json.dumps(lacking) for lacking in configs])
    plan = extended_plan(store, stored, trials[1:], PACKING)  # a command that knows one of the two
    assert list(plan["trial_id"]) == [trial.id for trial in trials]
    assert list(plan["config"]) == [trial.config for trial in trials]
    assert list(plan["pack"]) == [0, 0, 1]


def test_a_config_that_cannot_be_read_is_kept_as_it_is(tmp_path):
    store = Store(tmp_path)
    part = Part({}, {}, leaves_of("model.width=4"), {}, {"seed": (0,)})
    trials = make_trials([part], settled)
    plan = extended_plan(store, stored_plan(store, as_packed=True), trials, PACKING)
    for config in ("[1]", "{", '{"model._target_":"gone.Model"}'):
        assert list(extended_plan(store, plan.assign(config=[config]), trials, PACKING)["config"]) == [config]
