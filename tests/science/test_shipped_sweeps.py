"""Every shipped sweep says how many trials it has, runs tiny from end to end, and is documented."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ddlab.cli import main
from ddlab.config import catalog
from ddlab.plan.trials import make_trials
from ddlab.report.derived import read_results
from ddlab.report.figures import make_recipe
from ddlab.run.settle import settle
from tests.support import shipped_sweep, typical_first

pytestmark = pytest.mark.usefixtures("fast_packs")

SWEEPS = {path.stem: path for path in sorted(catalog.shipped("sweeps").glob("*.yaml"))}
# Examples that the files of the tests have.
FEWER = {"cifar10_resnet18": ["data.num_train=40", "data.num_test=20", "train.batch_size=8"]}
SMALL_BATCH = "train.batch_size=4"
NOISY = ("data.num_train=60", "data.num_test=60", "train.batch_size=20")
HEADS = ("model.width=8", "model.head_size=4", "model.hidden=8")
TINY = {
    "quickstart": ["model.width=4", "data.seed=0", "train.steps=6", "seed=0"],
    "mnist1d_width": ["model.width=4,8", "data.num_train=200", "data.num_test=50", "train.steps=10", "seed=0,1"],
    "mnist1d_quick": ["model.width=4,8", "data.num_train=200", "data.num_test=50", "train.steps=10", "seed=0,1"],
    "modular_addition_fraction": [
        "data.modulus=7",
        "model.width=8",
        "data.train_fraction=0.3,0.6",
        "train.steps=20",
        "seed=0",
    ],
    "he2022_sparse_double_descent": [
        *("data.num_train=60", "train.batch_size=20", "train.steps=8"),
        *("stages.ticket.rounds=2", "seed=0"),
    ],
    "ticket_and_noise": [
        *("data.num_train=60", "data.num_validation=60", "train.batch_size=20", "train.steps=8"),
        *("stages.at_once.axes={start.mask.step: '4,8'}", "stages.early.start.mask.step=4", "seed=0"),
        "stages.early_student.train.teacher.step=4",
    ],
    "early_bird": [
        *("model.width=6", "data.num_train=60", "data.num_test=60", "train.batch_size=20", "train.steps=41"),
        *("stages.late_short.train.steps=8", "train.num_evals=6", "seed=0"),
    ],
    "frankle2019_tickets": [
        *("model.width=6", "data.num_train=60", "data.num_test=60", "train.batch_size=20", "train.steps=8"),
        *("stages.ticket.rounds=2", "stages.random.rounds=2", "seed=0"),
    ],
    "pruning_at_init": [
        *("model.width=6", "data.num_train=60", "data.num_test=60", "train.batch_size=20", "train.steps=8"),
        *("stages.synflow.start.mask.rounds=2", "seed=0"),
    ],
    "varma2023_ungrokking": [
        *("data.modulus=11", "model.width=8", "seed=0"),
        *("stages.grokked.train.steps=8", "stages.less.train.steps=8", "stages.scratch.train.steps=8"),
        "stages.scratch.axes={data.train_fraction: 0.3}",
        "stages.less.axes={data.train_fraction: 0.1, optimizer.weight_decay: '1.0,2.0,4.0'}",
    ],
    "minegishi2023_grokked_tickets": [
        *("data.modulus=7", "model.width=6", "model.embedding=4", "train.steps=2001", "train.num_evals=5", "seed=0"),
    ],
    "tickets_in_transformers": ["data.modulus=7", *HEADS, "train.steps=20", "seed=0"],
    "prune_methods": [
        *("model.width=6", "data.num_train=60", "data.num_test=60", "train.batch_size=20", "train.steps=8"),
        *("stages.neurons.axes={start.mask.drop:0.5}", "seed=0"),
    ],
    "belkin2020_misspecified": ["model.width=5,50,100", "seed=0,1"],
    "hastie2022_ridgeless": ["data.num_train=10", "data.num_features=30", "model.width=5,20,30", "seed=0,1"],
    "mei2022_random_features": ["data.num_train=20", "data.num_features=10", "model.width=5,20,30", "seed=0,1"],
    "advani2020_training_time": ["data.num_features=10", "model.width=10", "data.num_train=5,10", "seed=0,1"],
    "nakkiran2020_more_data_hurts": ["data.num_features=10", "model.width=10", "data.num_train=5,10,20", "seed=0,1"],
    "nakkiran2021_optimal_ridge": [
        "data.num_train=10",  # the parts differ in the number of features
        "model.width=5",
        "optimizer.weight_decay=0.0,0.5",
        "seed=0,1",
    ],
    "schaeffer2023_three_causes": ["data.num_features=10", "model.width=10", "data.num_train=5,10,20", "seed=0,1"],
    "belkin2019_random_fourier": ["data.num_train=50", "model.width=20,50,80", "seed=0,1"],
    "bias_variance": ["data.num_train=20", "model.width=5,20,40", "seed=0,1", "data.seed=0,1", "data.num_test=20"],
    "levi2023_linear": ["levi2023=ratio_0.8,ratio_2", "data.num_features=10", "model.width=10", "seed=0,1"],
    "gromov2023_analytic": ["data.modulus=7", "model.width=8", "optimizer.learning_rate=1.0", "train.steps=20", "seed=0"],
    "kumar2024_lazy_to_rich": ["data.num_features=10", "data.num_train=20", "model.width=8", "train.steps=20", "seed=0,1"],
    "lyu2023_dichotomy": ["train.steps=30", "seed=0,1"],
    "merrill2023_sparse_parity": ["data.num_train=100", "data.num_test=100", "model.width=20", "train.steps=20", "seed=0,1"],
    "xu2026_ridge": ["data.num_train=5", "data.num_features=20", "model.width=20", "seed=0,1"],
    "nakkiran2020_complexity": [
        "data.num_train=10,30,300",  # some of them are learnt
        *("model.width=16", "data.num_test=50", "train.batch_size=10", "train.steps=300", "seed=0,1"),
    ],
    "modular_addition_weight_decay": ["data.modulus=7", "model.width=8", "train.steps=20", "seed=0"],
    "cifar10_resnet18": [
        "model.width=1,2",
        "model.blocks=[1,1]",
        "data.num_train=8",
        "data.num_test=6",
        "train.steps=3",
        SMALL_BATCH,
    ],
    "effective_model_complexity": ["model.width=4,8,16", *NOISY, "train.steps=10", "seed=0"],
    "fashion_mnist_cnn": ["model.width=1,2,3", "data.num_train=8", "data.num_test=6", "train.steps=3", "seed=0", SMALL_BATCH],
    "fashion_mnist_random_features": ["data.num_train=5,10", "model.width=5,10,20", "data.num_test=6", "seed=0"],
    "heckel2021_two_scales": ["seed=0,1"],
    "liu2023_large_init": ["data.num_train=20", "model.width=8", "train.steps=20", "seed=0"],
    "nakkiran2020_cnn": ["model.width=4,8", "data.num_train=200", "data.num_test=50", "train.steps=10", "seed=0,1"],
    "nakkiran2020_epoch_wise": ["model.width=2", "data.num_train=8", "data.num_test=6", "train.steps=10", "seed=0", SMALL_BATCH],
    "nakkiran2020_regularised": ["model.width=4,8", *NOISY, "data.num_validation=20", "train.steps=10"],
    "nakkiran2020_sample_wise": ["data.num_train=50,80,100", "data.num_test=50", "train.steps=10", "seed=0"],
    "nanda2023_data_fraction": ["data.modulus=7", *HEADS, "train.steps=20", "seed=0"],
    "nanda2023_progress_measures": ["data.modulus=7", *HEADS, "train.steps=20", "seed=0"],
    "no_label_noise": ["model.width=4,8,16", "data.num_train=200", "data.num_test=50", "train.steps=10", "seed=0"],
    "plateau_accuracy": ["data.modulus=7", "train.steps=20", "seed=0"],
    "power2022_data_fraction": ["data.modulus=7", *HEADS, "train.steps=20", "seed=0"],
    "power2022_operations": ["data.modulus=7", *HEADS, "train.steps=20", "seed=0"],
}


def test_every_sweep_has_a_tiny_version():
    assert TINY.keys() == SWEEPS.keys()


@pytest.mark.parametrize("name", SWEEPS)
def test_the_head_of_a_sweep_says_what_it_is(name):
    text = SWEEPS[name].read_text()
    head = yaml.safe_load(text)
    assert text.startswith("# ")
    assert f"#   ddlab sweep {name}" in text
    assert "# Expect:" in text
    assert all(head[key] for key in ("title", "paper", "shows", "trials", "minutes", "figures"))


@pytest.mark.parametrize("name", typical_first(SWEEPS))
def test_the_head_of_a_sweep_counts_its_trials(name):
    trials = make_trials(shipped_sweep(name, FEWER.get(name, [])).parts, settle)
    assert len(trials) == yaml.safe_load(SWEEPS[name].read_text())["trials"]


@pytest.mark.parametrize("name", typical_first(SWEEPS))
def test_a_sweep_runs_tiny_from_end_to_end(name, workplace):
    assert main(["sweep", name, *TINY[name]]) == 0
    results = read_results(Path("results", name))
    assert set(results.trials["status"]) <= {"completed", "stopped"}
    for figure, spec in results.sweep["figures"].items():
        recipe = make_recipe(figure, spec)
        assert recipe.chart(recipe.frame(results)).panels  # how they are drawn is tested on the reference results


def test_the_twenty_widths_of_mnist1d_width_share_at_most_six_programs(workplace, capsys):
    main(["plan", "mnist1d_width", "seed=range(3)"])
    first = capsys.readouterr().out.splitlines()[0]
    assert int(first.split(" trials in ")[1].split(" packs")[0]) <= 6
