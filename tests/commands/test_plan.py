"""`ddlab plan`: how many trials overrides make, and nothing trained."""

from __future__ import annotations

from pathlib import Path

from ddlab.cli import main


def test_plan_prints_packs_and_trains_nothing(capsys, workplace):
    assert main(["plan", "mnist1d_width"]) == 0
    printed = capsys.readouterr().out
    assert "100 trials" in printed
    assert not Path("results").exists()


def test_a_pinned_scalar_replaces_an_axis_and_a_list_makes_one(tiny, capsys):
    main(["plan", tiny, "model.width=4", "optimizer.learning_rate=0.1,0.2", "seed=range(5)"])
    assert "10 trials" in capsys.readouterr().out
    main(["plan", tiny, "model.width=choice(2,3)", "optimizer=glob(adam*)", "seed=0"])
    assert "4 trials" in capsys.readouterr().out
    main(["plan", tiny, "optimizer=sgd", "measures=none", "+measures.w._target_=ddlab.measures.WeightNorm"])
    assert "6 trials" in capsys.readouterr().out
    main(["plan", tiny, "model.width=4", "model.num_params=500,5000", "seed=0"])
    assert "2 trials" in capsys.readouterr().out


def test_a_users_own_configs_and_sweeps_are_found(tiny, capsys):
    Path("configs/model").mkdir(parents=True)
    Path("configs/model/mine.yaml").write_text("defaults: [mlp]\ndepth: 3\n")
    assert main(["plan", tiny, "model=mine", "model.width=4", "seed=0"]) == 0
    assert f"{41 * 4 + 2 * 20 + 50}" in capsys.readouterr().out


def test_the_last_of_two_overrides_of_a_key_counts(tiny, capsys):
    main(["plan", tiny, "seed=1,2", "seed=3"])
    assert "3 trials" in capsys.readouterr().out
    main(["plan", tiny, "seed=3", "seed=1,2"])
    assert "6 trials" in capsys.readouterr().out


def test_a_second_round_is_left_out_refused_or_said_to_follow_by_what_is_refined(workplace, capsys):
    """Options that the sweep's file does not set are set as those that it does."""
    small = ["plan", "nakkiran2020_complexity", "model.width=4", "data.label_noise=0.2"]
    for words, status, line in (
        ((), 0, "refine: a second round of at most 20 trials may follow"),
        (("refine.points=0",), 0, ""),
        (("refine.pionts=0",), 2, "refine.pionts: no such option of refine. did you mean 'points'?"),
        (("refine.x=train.steps",), 0, "refine.x=train.steps: has one value in this sweep, so that no second round follows"),
        (("refine.x=optimizer.learning_rate",), 2, "must be an axis of whole numbers greater than 0, and no seed"),
    ):
        assert main([*small, *words]) == status
        printed = capsys.readouterr()
        assert line in printed.out + printed.err
        assert ("a second round of at most" in printed.out) == (not words)
