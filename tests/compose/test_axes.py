"""Values of keys and axes: what is refused before it is expanded, and what is one value written in two ways."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ddlab.cli import main
from ddlab.config.schema import MOST_DEVICES_A_MACHINE
from ddlab.plan.trials import MOST_TRIALS
from tests.support import refusal


@pytest.mark.parametrize("key", ["seed", "train.loss", "claims", "measures"])
def test_a_range_is_counted_before_it_is_listed(small, capfd, key):
    line = refusal(capfd, [small, f"{key}=range(1000000000000)"])
    assert f"{key}=range(1000000000000): has 1,000,000,000,000 values; an axis has at most {MOST_TRIALS:,}" in line


@pytest.mark.parametrize("text", ["range(0,1,1e-12)", "shuffle(range(10000000000))", "sort(range(10000000000))"])
def test_ranges_of_other_kinds_are_counted_too(small, capfd, text):
    assert f"seed={text}: has " in refusal(capfd, [small, f"seed={text}"])


def test_a_range_in_a_sweep_file_is_counted_too(small, capfd):
    Path(small).write_text(Path(small).read_text().replace("range(2)", "range(1000000000000)"))
    assert "seed=range(1000000000000): has 1,000,000,000,000 values" in refusal(capfd, [small])


@pytest.mark.parametrize("text", ["range(1,5,0)", "range(nan,5)", "range(0,inf)"])
def test_a_range_without_end_is_refused(small, capfd, text):
    assert f"seed={text}: range() needs finite numbers, and a step that is not 0" in refusal(capfd, [small, f"seed={text}"])


def test_the_trials_of_a_sweep_are_counted_before_they_are_made(small, capfd):
    line = refusal(capfd, [small, "seed=range(1000)", "data.seed=range(1001)"])
    assert "the axes make 2,002,000 trials (data.seed: 1,001 values, model.width: 2 values, seed: 1,000 values)" in line
    assert f"a sweep has at most {MOST_TRIALS:,}" in line


@pytest.mark.parametrize("key", ["model", "data", "optimizer", "pack", "seed", "train.steps"])
def test_an_axis_without_values_is_refused_whatever_its_key(small, capfd, key):
    assert f"ddlab: {key}: an axis needs at least one value" in refusal(capfd, [small, f"{key}=range(5,1)"])


def test_an_added_axis_without_values_is_refused(small, capfd):
    assert "ddlab: data.seed: an axis needs at least one value" in refusal(capfd, [small, "++data.seed=range(0)"])


@pytest.mark.parametrize("key", ["axes", "refine", "figures", "claims"])
def test_what_must_be_a_mapping_is_named(small, capfd, key):
    assert f"{key}=5: must be a mapping" in refusal(capfd, [small, "++trials=5", f"++{key}=${{trials}}"])


@pytest.mark.parametrize("value", ["[1,2]", "5"])
def test_a_group_needs_the_name_of_an_option(small, capfd, value):
    assert "a config group needs the name of one of its options" in refusal(capfd, [small, f"optimizer={value}"])


def test_a_group_without_values_in_a_sweep_file_is_refused(small, capfd):
    Path(small).write_text(Path(small).read_text().replace("axes:\n", "axes:\n  data: []\n"))
    assert "ddlab: data: an axis needs at least one value" in refusal(capfd, [small])


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("+seeds=1", "unknown key 'seeds'. did you mean 'seed'?"),
        ("++x.y.z=1", "unknown key 'x'."),
        ("+train.stepz=1", "unknown key 'train.stepz'. did you mean 'steps'?"),
        ("+pack.memory_gb=1", "unknown key 'pack.memory_gb'. did you mean 'memory_gib'?"),
        ("+data.num_trian=1", "unknown key 'data.num_trian' of MNIST1D. did you mean 'num_train'?"),
        ("~seed", "seed: no sweep can do without it"),
        ("~model.width", "model.width: has no value; give model.width=VALUE"),
        ("model.depth=null", "model.depth=None: must not be null"),
        ("measures=circuit", "takes data.modulus, which there is not; measures.logit_spectrum=null takes the measure out"),
    ],
)
def test_a_key_that_is_added_or_taken_out_where_it_may_not_be_is_named(small, capfd, word, expected):
    assert expected in refusal(capfd, [small, word])


@pytest.mark.parametrize("key", ["pack.memory_gib", "pack.compile_cache_mib"])
def test_memory_has_a_bound(small, capfd, key):
    assert f"{key}=1e+300: must be" in refusal(capfd, [small, f"{key}=1e300"])


def test_more_devices_than_a_machine_can_use_are_refused(small, capfd, monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    line = refusal(capfd, [small, f"pack.cpu_devices={MOST_DEVICES_A_MACHINE + 1}"])
    assert f"must be at most {MOST_DEVICES_A_MACHINE} on this machine of 2 cores" in line


@pytest.mark.parametrize("value", ["[[1]]", "[[1]],[2,3]", "[a]", "[null]", "[true]", "{a:1}"])
def test_a_list_of_other_things_than_numbers_is_refused(small, capfd, value):
    assert "data.eigenvalues=[" in refusal(capfd, ["gaussian.yaml", f"data.eigenvalues={value}"]).replace("{", "[")


def test_one_value_written_in_two_ways_is_one_trial(small, capsys):
    assert main(["plan", small, "optimizer.weight_decay=0,0.0,-0.0", "model.width=3", "seed=0"]) == 0
    assert "1 trials" in capsys.readouterr().out
    assert main(["plan", small, "optimizer.weight_decay=-0.0", "model.width=3,3,3", "seed=0"]) == 0
    assert "1 trials" in capsys.readouterr().out


def test_a_key_without_a_default_may_be_an_axis(small, capsys):
    for name in ("a", "b"):
        np.savez(f"{name}.npz", inputs=np.zeros((30, 4)), targets=np.arange(30) % 3)
    Path(small).write_text(Path(small).read_text().replace("data: {num_train: 200, num_test: 100}\n", ""))
    assert main(["plan", small, "data=npz", "data.path=a.npz,b.npz", "data.num_train=20", "model.width=3", "seed=0"]) == 0
    assert "1 trials" in capsys.readouterr().out
