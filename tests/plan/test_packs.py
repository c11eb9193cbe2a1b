"""Trials, identity, packing."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import replace

import pytest

from ddlab.config.identity import identify
from ddlab.config.trial import load_leaves, parse
from ddlab.plan.cost import Load
from ddlab.plan.packs import pack_trials
from ddlab.plan.shapes import Part, Size
from ddlab.plan.trials import make_trials
from ddlab.run.settle import settle as settle_networks
from ddlab.training.cost import training_cost
from tests.support import MACHINE, PACKING, leaves_of, settled


def settle(leaves):
    """Sizes of a one-layer MLP on MNIST-1D, by formula."""
    width = leaves["model.width"]
    size = Size(
        41 * width + 10 * (width + 1), width + 10, width + 10, 50 * width, 0, 0, 40, leaves["data.num_train"], 100, 10, 37
    )
    return settled(leaves, size)


def load(shape, num_trials, shared=(1, 1)):
    return Load(num_trials, shared, tuple(num_trials * number for number in shape.size.examples))


def packing(machine=MACHINE, **settings):
    return replace(PACKING, machine=machine, settings=replace(PACKING.settings, **settings))


def machine_seconds(machine, shape, num_trials):
    return shape.cost.program_seconds(machine) + shape.cost.seconds(load(shape, num_trials), machine)


def part(axes, *overrides):
    leaves = leaves_of(*overrides)
    return Part({}, {}, leaves, {}, axes)


def test_trials_are_the_product_of_the_axes_each_once():
    axes = {"model.width": (4, 8, 8), "seed": (0, 1), "optimizer.learning_rate": (0.1, 0.2)}
    trials = make_trials([part(axes)], settle)
    points = {
        tuple(load_leaves(trial.config)[key] for key in ("model.width", "seed", "optimizer.learning_rate")) for trial in trials
    }
    assert points == set(itertools.product((4, 8), (0, 1), (0.1, 0.2)))
    assert len(trials) == 8


def test_a_pack_shares_every_static_leaf():
    parts = [part({"model.width": (4, 8), "train.steps": (10, 20), "seed": (0, 1)})]
    packs = pack_trials(make_trials(parts, settle), PACKING)
    assert sum(len(pack.trials) for pack in packs) == 8
    assert all(len({trial.shape.leaves["train.steps"] for trial in pack.trials}) == 1 for pack in packs)
    assert len(packs) == 2


@pytest.mark.parametrize("counts", [(1, 1, 1, 1, 1, 1), (30, 1, 5, 2, 40, 3), (9, 9, 9, 1, 1, 50)])
def test_cuts_cost_no_more_than_any_other_cuts(counts):
    """The dynamic programme against brute force over all 2^5 ways to cut six widths."""
    widths = (5, 20, 60, 120, 240, 500)
    machine = replace(MACHINE, compile_seconds=0.3, operation_seconds=0.1 / 37)
    trials = [
        trial
        for width, count in zip(widths, counts, strict=True)
        for trial in make_trials([part({"model.width": (width,), "seed": tuple(range(count))})], settle)
    ]
    packs = pack_trials(trials, replace(PACKING, machine=machine))
    ours = sum(pack.seconds(machine) for pack in packs)
    shapes = {trial.shape.width: trial.shape for trial in trials}

    def cost(cuts):
        bounds = [0, *cuts, len(widths)]
        runs = list(itertools.pairwise(bounds))
        return sum(machine_seconds(machine, shapes[widths[last - 1]], sum(counts[first:last])) for first, last in runs)

    every = [cuts for number in range(6) for cuts in itertools.combinations(range(1, 6), number)]
    best = min(cost(cuts) for cuts in every)
    assert ours == pytest.approx(best)
    assert best < min(cost(()), cost((1, 2, 3, 4, 5)))


def test_max_trials_and_memory_bound_a_pack():
    trials = make_trials([part({"model.width": (4, 8), "seed": tuple(range(10))})], settle)
    packs = pack_trials(trials, packing(max_trials=3))
    assert max(len(pack.trials) for pack in packs) <= 3
    assert sorted(trial.id for pack in packs for trial in pack.trials) == sorted(trial.id for trial in trials)
    assert all(len(pack.trials) == 1 for pack in pack_trials(trials, packing(max_trials=1)))


@pytest.mark.parametrize("working_bytes", [2**21, 2**18, 2**27])
@pytest.mark.parametrize("budget", [1.5, 4.0, 30.0])
def test_packs_are_as_large_as_the_memory_budget_allows_and_no_larger(budget, working_bytes):
    machine = replace(MACHINE, working_bytes=working_bytes)
    trials = make_trials([part({"model.width": (64,), "seed": tuple(range(40))})], settle)
    cost = trials[0].shape.cost

    def num_bytes(num_trials):
        return cost.num_bytes(load(trials[0].shape, num_trials), machine, math.inf)

    memory = budget * num_bytes(4)
    packs = pack_trials(trials, packing(machine, memory_gib=memory / 2**30))
    assert sorted(trial.id for pack in packs for trial in pack.trials) == sorted(trial.id for trial in trials)
    assert all(pack.num_bytes(machine, memory) <= memory for pack in packs)
    most = cost.capacity(load(trials[0].shape, 40), machine, memory)
    assert len(packs) == -(-40 // most)
    assert most == 40 or num_bytes(most + 1) > memory


def test_tables_of_all_pairs_are_counted_of_each_trial_at_work():
    """The logits of p^2 pairs for p answers, float32, and as many numbers that are computed of them."""
    own = ("data=modular", "model=embedding_mlp", "data.modulus=53", "measures=circuit", "measures.neurons=null")
    cost = settle_networks(leaves_of(*own)).cost
    for num_trials, at_work in ((1, 1), (10_000, cost.at_work(MACHINE))):
        loads = load(cost, num_trials)
        without, counted = (each.num_bytes(loads, MACHINE, math.inf) for each in (replace(cost, num_measured=0), cost))
        assert counted - without == pytest.approx(at_work * 2 * 4 * 53**3)
    assert at_work < 10_000


def test_targets_of_their_own_take_less_than_data_of_their_own():
    """40 numbers an input, two a target, 1000 + 100 examples, float32, four copies: loaded, pooled, and on each of two devices.

    A target is counted with noise and without.
    """
    shape = make_trials([part({"model.width": (8,)})], settle)[0].shape
    loads = [load(shape, 50, shared) for shared in ((1, 1), (1, 50), (50, 50))]
    alike, targets, data = (shape.cost.num_bytes(each, MACHINE, math.inf) for each in loads)
    examples = 4 * (leaves_of()["data.num_train"] + 100)
    assert targets - alike == pytest.approx(2 * examples * 4 * (50 - 1))
    assert data - alike == pytest.approx(42 * examples * 4 * (50 - 1))


def test_a_trial_too_large_for_the_budget_is_a_pack_of_its_own():
    trials = make_trials([part({"model.width": (64,), "seed": (0, 1)})], settle)
    assert [len(pack.trials) for pack in pack_trials(trials, packing(memory_gib=1e-9))] == [1, 1]


def test_the_cost_model_goes_through_what_was_measured_and_on_at_the_last_rate():
    for operations, seconds in MACHINE.curve:
        assert MACHINE.trial_seconds(operations) == pytest.approx(seconds)
    (_, slowest), *_, (most, seconds) = MACHINE.curve
    assert MACHINE.trial_seconds(1.0) == slowest
    assert MACHINE.trial_seconds(10 * most) == pytest.approx(10 * seconds)
    assert slowest < MACHINE.trial_seconds(1e6) < seconds


def test_a_tile_is_as_large_as_a_device_likes_and_is_never_empty():
    cost = training_cost(leaves_of(), parse(leaves_of()), Size(3000, 74, 74, 2900, 0, 0, 40, 1000, 4000, 10, 37))
    for work in (2**11, 2**21, 2**25):
        tile, chunk = cost.tiling(work)
        assert tile == 2 or tile * cost.step_bytes <= work
        assert (tile + 1) * cost.step_bytes > work
        assert 128 <= chunk <= 1024


def test_trials_of_one_pack_may_differ_in_every_traced_leaf():
    axes = {
        "optimizer.weight_decay": (0.0, 0.1),
        "model.init_scale": (1.0, 2.0),
        "data.label_noise": (0.0, 0.2),
        "seed": (0, 1),
    }
    (pack,) = pack_trials(make_trials([part(axes)], settle), PACKING)
    assert len(pack.trials) == 16


def test_an_alias_has_the_value_of_its_axis_in_every_trial():
    base = leaves_of("data=gaussian", "model=linear", "train.loss=mse", "data.num_test=null")
    aliases = {
        "data.seed": ("seed", {1: 1, 2: 2}),
        "data.noise_seed": ("seed", {1: 1, 2: 2}),
        "data.num_relevant": ("model.width", {5: 5, 9: 9}),
    }
    part = Part({}, {}, base, base, {"model.width": (5, 9), "seed": (1, 2)}, aliases)
    trials = [load_leaves(trial.config) for trial in make_trials([part], settle)]
    found = [(t["model.width"], t["data.num_relevant"], t["seed"], t["data.seed"], t["data.noise_seed"]) for t in trials]
    assert found == [(5, 5, 1, 1, 1), (5, 5, 2, 2, 2), (9, 9, 1, 1, 1), (9, 9, 2, 2, 2)]
    assert {t["data.target_seed"] for t in trials} == {base["data.target_seed"]}


def test_a_trial_knows_its_point_of_the_axes():
    axes = {"model.width": (4, 8), "seed": (0, 1)}
    points = [trial.point for trial in make_trials([part(axes)], settle)]
    assert points == [{"model.width": width, "seed": seed} for width in (4, 8) for seed in (0, 1)]


def test_other_values_of_an_axis_are_followed_by_its_aliases():
    base = leaves_of("data=gaussian", "model=linear", "train.loss=mse", "data.num_test=null")
    aliases = {"data.num_relevant": ("model.width", {5: 5, 9: 9}), "data.signal": ("model.width", {5: 5.0, 9: 9.0})}
    axes = {"model.width": (5, 9), "seed": (1, 2), "data.num_train": (30, 60)}
    other = Part({}, {}, base, base, axes, aliases).at_values({"data.num_train": 30}, "model.width", [6, 7])
    trials = [load_leaves(trial.config) for trial in make_trials([other], settle)]
    assert {t["data.num_train"] for t in trials} == {30}
    found = [(t["model.width"], t["data.num_relevant"], t["data.signal"], t["seed"]) for t in trials]
    assert found == [(6, 6, 6.0, 1), (6, 6, 6.0, 2), (7, 7, 7.0, 1), (7, 7, 7.0, 2)]
    assert all(isinstance(t["data.signal"], float) for t in trials)


def test_the_text_of_a_trial_is_the_canonical_json_of_its_leaves():
    axes = {"model.width": (4, 8), "seed": (0, 1), "optimizer.learning_rate": (0.1, 1e-05)}
    trials = make_trials([part(axes, "data.seed=3")], settle)
    for trial in trials:
        leaves = load_leaves(trial.config)
        assert trial.config == json.dumps(dict(leaves), sort_keys=True, separators=(",", ":"))
        assert (trial.weights_id, trial.id) == identify(leaves)
    assert len({trial.id for trial in trials}) == 8
