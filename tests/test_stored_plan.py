"""How trials join what a results directory holds."""

from __future__ import annotations

import json

from ddlab.plan.shapes import Part, Settled
from ddlab.plan.table import extended_plan, stored_plan
from ddlab.plan.trials import make_trials
from ddlab.store.store import Store
from ddlab.training.cost import training_cost
from tests.support import MACHINE, SETTINGS, SIZE, leaves_of


def test_a_stored_trial_has_a_knob_that_was_added_since_and_stays_in_its_pack(tmp_path):
    leaves = leaves_of("model.width=4")
    trials = make_trials(
        [Part({}, {}, leaves, {}, {"seed": (0, 1)})], lambda leaves: Settled(leaves, SIZE, training_cost(leaves, SIZE))
    )
    store = Store(tmp_path)
    before = extended_plan(store, stored_plan(store, as_packed=True), trials[:1], SETTINGS, MACHINE)
    lacking = json.loads(before["config"][0])
    del lacking["optimizer.warmup_steps"]
    stored = before.assign(config=[json.dumps(lacking)])
    plan = extended_plan(store, stored, trials, SETTINGS, MACHINE)
    assert list(plan["trial_id"]) == [trial.id for trial in trials]
    assert list(plan["config"]) == [trial.config for trial in trials]
    assert list(plan["pack"]) == [0, 1]
