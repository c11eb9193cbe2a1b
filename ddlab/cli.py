"""The command line. It starts fast: nothing here imports JAX, and `--help` imports nothing but the standard library."""

from __future__ import annotations

import os
import shlex
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ddlab import catalog
from ddlab.errors import ConfigError, DdlabError, Interrupted, suggest

OVERVIEW = """\
ddlab: double descent and grokking sweeps, many trials as one compiled program

  ddlab list                          the sweeps: name, paper, what they show, trials, minutes
  ddlab plan NAME [key=value ...]     trials, packs, P/N range, FLOPs, memory, time; nothing is trained
  ddlab sweep NAME [key=value ...]    train what is not stored yet; results go to results/NAME
  ddlab status NAME                   how far a sweep is
  ddlab report NAME [key=value ...]   figures, tables and a page from the stored metrics
  ddlab verify NAME                   the paper's claims, each checked against the stored metrics
  ddlab completion bash               shell completion:  eval "$(ddlab completion bash)"

Try:
  ddlab sweep quickstart && ddlab report quickstart
  ddlab plan mnist1d_quick
  ddlab sweep mnist1d_quick model.width=8,16,32,64 'seed=range(5)' out=results/widths
  ddlab sweep mei2022_random_features && ddlab verify mei2022_random_features

`ddlab COMMAND --help` explains a command with examples.
"""

HELP = {
    "list": "usage: ddlab list\n\nLists the sweeps in ./sweeps and those that ddlab ships.\n",
    "plan": """\
usage: ddlab plan NAME|FILE.yaml [override ...]

Shows what the sweep is, stored or not: trials, packs (each compiled once), parameters P and P/N, FLOPs,
memory and a time estimate. Nothing is trained or stored.

  ddlab plan mnist1d_width
  ddlab plan mnist1d_width train.steps=2000 'seed=range(20)'
  ddlab plan mnist1d_width pack.max_trials=1        every trial alone: what packing saves
""",
    "sweep": """\
usage: ddlab sweep NAME|FILE.yaml [override ...]

Trains every trial of the sweep that is not stored yet and stores its curves in results/NAME. Stop it with Ctrl-C at any time:
the same command goes on where it stopped. Run it again with more values: only the new trials are trained.

Overrides (Hydra's grammar; quote parentheses for the shell):
  model.width=64                   pin a key, also one that the sweep varies
  model.width=8,16,32              an axis: one trial for each value
  'seed=range(5)'                  an axis 0, 1, 2, 3, 4
  'optimizer.weight_decay=choice(0, 0.1, 1)'
  model=quadratic_mlp              switch a config group (data, model, optimizer, train, measures)
  optimizer=ridge train=exact measures=exact
                                   closed forms, for models linear in their parameters (linear, random_features, legendre)
  optimizer=sgd,adam               a group as an axis;  'optimizer=glob(adam*)'
  model.num_params=1000,2000       wanted parameter counts; the width is solved for
  +measures.mine._target_=my.Cls   add a key
  out=DIR                          another results directory
  extend=true                      add trials to a store whose base config differs
  pack.max_trials=1                every trial alone
  pack.memory_gib=16               memory that one pack may take
  train.dtype=bfloat16             arithmetic of the networks (float32, float64; bfloat16: slower on a CPU)
  profile=true                     a JAX profile of a moment of each pack, in OUT/profile
  hydra/launcher=joblib            packs in parallel processes; submitit_slurm: on a cluster

  ddlab sweep quickstart
  ddlab sweep mnist1d_width train.steps=2000 out=results/short
  ddlab sweep modular_addition_fraction data.operation=multiply out=results/multiply
  ddlab sweep path/to/my.yaml
  ddlab sweep mnist1d_width --cfg job               the composed config

Your own ./sweeps/NAME.yaml and ./configs/GROUP/OPTION.yaml are found first.
Exit status: 0 done; 1 a pack failed; 2 a mistake in the command; 130 interrupted.
""",
    "status": """\
usage: ddlab status NAME|DIR

Shows how far a stored sweep is: trials by status, packs, and the command that goes on; and where the time went: estimate
and actual seconds, trial-steps per second, shares of compiling, steps, evaluation and host.
""",
    "report": """\
usage: ddlab report NAME|DIR [figures.KEY.OPTION=value ...]

Draws the sweep's figures from its stored metrics, without training: PNG, PDF and CSV of each, and an index.html, in
results/NAME/report. Overrides change a figure's options, or add one:

  ddlab report mnist1d_quick
  ddlab report results/reference/mnist1d_width
  ddlab report mnist1d_quick figures.double_descent.x=num_params          also: params_per_sample, model.width,
                                                                          params_per_sample_output
  ddlab report mnist1d_quick +figures.map.recipe=heatmap +figures.map.metric=test_loss

  ddlab report mnist1d_quick figures.double_descent.where.seed=1          some trials, by any of their columns

Recipes: double_descent, grokking, grokking_delay, heatmap, risk_curve (with the theory's line), bias_variance. An unknown
option's error lists the known ones. The page shows the claims, too (ddlab verify).

Exit status: 0 all figures are drawn; 1 one could not be; 2 a mistake in the command, or none could be.
""",
    "verify": """\
usage: ddlab verify NAME|DIR

Holds each claim of the sweep against its stored metrics: measured value, 95 % interval over seeds, bound, source, verdict
(pass, fail, not enough data). Claims stand in the sweep's YAML; every number is computed from the metrics, none is typed in:

  claims:
    peak: {kind: peak_location, metric: test_error, x: params_per_sample, between: [0.8, 1.2], source: "Greydanus, Kobak 2024"}

  ddlab verify mnist1d_width
  ddlab verify results/reference/mnist1d_width

The source says where the claim is made; the bounds are ddlab's, the paper's numbers where it gives some.

Kinds, and what their number is:
  peak_location     x at which the mean of the metric over seeds peaks      x is a column of the trials, or step
  peak_height       the peak over the greater of the minima before and after it
  second_descent    fraction by which it falls beyond its peak
  classical_minimum x at which it is least before its peak
  last_over_least   the metric at the largest x over the least one: overtraining, with x: time
  monotone          largest relative step against a trend: falling, rising
  matches_theory    90 % quantile of the relative deviation from a closed form, theory: ridgeless, ridge, optimal_ridge,
                    misspecified, random_features, training_time
  value             the mean over seeds
  ordering          least ratio of medians from one selection of trials to the next, in an order
  ratio             median of the last selection over that of the first
  first_crossing    median step, on a log scale, from which the metric is at most a level

All take metric, between: [least, greatest] (null: open), source, and may take where: {column: value}, seeds: the fewest.
The kinds down to matches_theory take x and may take best_over: a column whose value of least mean is taken; monotone takes trend;
matches_theory theory; ordering and ratio order: [{column: value}, {column: value}]; first_crossing at_most, sustained.

A verdict goes by the measured number. The interval is that of the number when the seeds are drawn again; a peak's location is
one of the x that were run, and a deviation's interval lies above it, as what is drawn again deviates by its own noise, too.
The claims are those of the sweep when it was last run: `ddlab sweep NAME` takes new ones, and trains nothing that is stored.

Exit status: 0 no claim fails; 1 one fails; 2 a mistake in the command.
""",
    "completion": 'usage: ddlab completion bash\n\nPrints the completion script. Use: eval "$(ddlab completion bash)"\n',
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning  # type: ignore[assignment]
            status = _run(arguments)
        sys.stdout.flush()
        return status
    except DdlabError as error:
        print(f"ddlab: {error}", file=sys.stderr)
        return 2
    except Interrupted as signal:
        again = shlex.join(["ddlab", *arguments])
        print(f"ddlab: stopped by {signal}; everything so far is stored. Go on with:\n  {again}", file=sys.stderr)
        return 130
    except KeyboardInterrupt:
        print("ddlab: interrupted; the same command goes on where it stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.filename is None:
            raise
        print(f"ddlab: cannot use {error.filename}: {error.strerror}", file=sys.stderr)
        return 2


def _run(arguments: list[str]) -> int:
    command = arguments[0] if arguments else "--help"
    if command in ("-h", "--help", "help"):
        print(OVERVIEW, end="")
        return 0
    if command == "--version":
        import ddlab

        print(f"ddlab {ddlab.__version__}")
        return 0
    if command not in HELP:
        raise ConfigError(f"unknown command '{command}'. {suggest(command, HELP)}")
    if {"-h", "--help"} & set(arguments[1:]):
        print(HELP[command], end="")
        return 0
    return _COMMANDS[command](arguments[1:])


def _show_warning(message: Warning | str, *_: Any) -> None:
    print(f"ddlab: warning: {message}", file=sys.stderr)


def _name(arguments: Sequence[str], command: str) -> tuple[str, list[str]]:
    if not arguments or arguments[0].startswith("-") or "=" in arguments[0]:
        known = ", ".join(sorted(catalog.sweep_files()))
        raise ConfigError(f"ddlab {command}: needs a sweep's name or path first; known: {known}")
    return arguments[0], list(arguments[1:])


def _list(arguments: Sequence[str]) -> int:
    import textwrap

    import yaml

    if arguments:
        raise ConfigError(f"ddlab list: takes no arguments; got '{arguments[0]}'")
    for name, path in catalog.sweep_files().items():
        try:
            head = yaml.safe_load(path.read_text())
        except (yaml.YAMLError, UnicodeDecodeError):
            head = None
        if not isinstance(head, dict):
            print(f"ddlab: {path}: not a sweep (not a YAML mapping), left out", file=sys.stderr)
            continue
        print(name + (f"  ({head['trials']} trials, {head.get('minutes', '?')} min)" if head.get("trials") else ""))
        for key in [key for key in ("title", "paper", "shows") if head.get(key) and (key != "title" or not head.get("shows"))]:
            print(textwrap.fill(str(head.get(key, "")), 96, initial_indent=f"    {key}: ", subsequent_indent=" " * 11))
    print("\nmin: wall minutes on 2 CPU cores. Next: ddlab plan NAME")
    return 0


# What Hydra's own command line shows of a config.
HYDRA_FLAGS = ("--cfg", "-c", "--package", "-p", "--resolve", "--info", "-i")


def _hydra(action: str) -> Callable[[Sequence[str]], int]:
    """Return the command that runs a sweep as a Hydra application with ddlab's Sweeper."""

    def run(arguments: Sequence[str]) -> int:
        name, overrides = _name(arguments, action)
        path = catalog.find_sweep(name)
        flags = [word for word in overrides if word.startswith("-")]
        unknown = [flag for flag in flags if flag not in HYDRA_FLAGS]
        if unknown:
            raise ConfigError(f"unknown option '{unknown[0]}'; known: {', '.join(HYDRA_FLAGS)}, and overrides key=value")
        fixed = [
            *([] if flags else ["--multirun"]),
            "hydra/sweeper=ddlab",
            "hydra/hydra_logging=none",
            "hydra/job_logging=none",
            f"hydra.searchpath=[{','.join(_hydra_quoted(f'file://{path}') for path in catalog.search_path())}]",
            f"hydra.sweeper.action={action}",
            f"hydra.sweeper.command={_hydra_quoted(shlex.join(['ddlab', action, *arguments]))}",
        ]
        named = [word.removeprefix("out=").strip("'\"") for word in overrides if word.startswith("out=")]
        out = named[-1] if named else f"results/{path.stem}"
        if not out:
            raise ConfigError("out=: names no directory")
        rest = [word for word in overrides if not word.startswith("out=")]
        _run_hydra(path, [*fixed, f"out={_hydra_quoted(out)}", *rest], overrides)
        return 0

    return run


def _hydra_quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _run_hydra(path: Path, words: list[str], overrides: list[str]) -> None:
    import hydra
    import yaml
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    command = sys.argv
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors come here whole, and leave as one line
    try:
        head = yaml.safe_load(path.read_text())
        if not isinstance(head, dict) or not head.get("defaults"):
            raise ConfigError(f"{path}: a sweep is a mapping with `defaults: [ddlab, ..., _self_]`; see the README")
        sys.argv = ["ddlab", *words]
        hydra.main(version_base="1.3", config_path=str(path.parent), config_name=path.stem)(train_pack)()
    except (HydraException, OmegaConfBaseException) as error:
        from ddlab.composition import explain

        raise ConfigError(explain(error, path, overrides)) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} or a config that it names is not valid YAML: {' '.join(str(error).split())}") from error
    except ValueError as error:
        if "Config group override" not in str(error):
            raise
        raise ConfigError(f"{shlex.join(overrides)}: a config group needs the name of one of its options") from error
    finally:
        sys.argv = command


def train_pack(config: Any) -> None:
    """Train one pack: the job that Hydra launches."""
    from ddlab.config import pack_settings
    from ddlab.run import run_pack

    run_pack(config.out, config.pack.index, pack_settings(config))


def _status(arguments: Sequence[str]) -> int:
    from ddlab.status import print_status

    name, rest = _name(arguments, "status")
    if rest:
        raise ConfigError(f"ddlab status: takes one name; got '{rest[0]}' too")
    print_status(catalog.find_results(name))
    return 0


def _report(arguments: Sequence[str]) -> int:
    from ddlab.report import make_report

    name, overrides = _name(arguments, "report")
    return make_report(catalog.find_results(name), overrides)


def _verify(arguments: Sequence[str]) -> int:
    from ddlab.verify import print_verdicts

    name, rest = _name(arguments, "verify")
    if rest:
        raise ConfigError(f"ddlab verify: takes one name; got '{rest[0]}' too")
    return print_verdicts(catalog.find_results(name))


def _completion(arguments: Sequence[str]) -> int:
    from ddlab.completion import BASH, complete

    if list(arguments) == ["bash"]:
        print(BASH, end="")
    elif len(arguments) == 2 and arguments[0] == "words":
        print("\n".join(complete(arguments[1])))
    else:
        raise ConfigError("ddlab completion: known shells: bash")
    return 0


_COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "list": _list,
    "plan": _hydra("plan"),
    "sweep": _hydra("sweep"),
    "status": _status,
    "report": _report,
    "verify": _verify,
    "completion": _completion,
}

if __name__ == "__main__":
    sys.exit(main())
