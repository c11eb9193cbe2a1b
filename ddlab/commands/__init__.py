"""What the command line can do, one module a command: `run(arguments)` returns the exit status. Help is the text beside each."""

from __future__ import annotations

from pathlib import Path

# Each command -> the words that it takes, and what it does.
COMMANDS = {
    "list": ("", "the sweeps: name, paper, what they show, trials, minutes"),
    "plan": ("NAME [key=value ...]", "trials, packs, P/N range, FLOPs, memory, time; nothing is trained"),
    "sweep": ("NAME [key=value ...]", "train what is not stored yet; results go to results/NAME"),
    "status": ("[NAME]", "how far a sweep is; without a name, what is stored"),
    "report": ("NAME [key=value ...]", "figures, tables and a page from the stored metrics"),
    "verify": ("NAME", "the paper's claims, each checked against the stored metrics"),
    "check": ("[TARGET]", "the rules that components keep, tried out: on yours, or on all that ddlab ships"),
    "completion": ("bash|zsh|fish", 'shell completion:  eval "$(ddlab completion bash)"'),
}

# What Hydra's own command line shows of a config; `plan` and `sweep` take these.
HYDRA_FLAGS = ("--cfg", "-c", "--package", "-p", "--resolve", "--info", "-i")

TRY = """\
Try:
  ddlab sweep quickstart && ddlab report quickstart
  ddlab plan mnist1d_quick
  ddlab sweep mnist1d_quick model.width=8,16,32,64 'seed=range(5)' out=results/widths
  ddlab sweep mei2022_random_features && ddlab verify mei2022_random_features

`ddlab COMMAND --help` explains a command with examples.
"""


def overview() -> str:
    """Return what `ddlab --help` prints."""
    lines = [f"  {f'ddlab {command} {words}':<36}{does}" for command, (words, does) in COMMANDS.items()]
    return "\n".join(["ddlab: double descent and grokking sweeps, many trials as one compiled program\n", *lines, "", TRY])


def help_of(command: str) -> str:
    """Return what `ddlab COMMAND --help` prints."""
    return (Path(__file__).parent / f"{command}.txt").read_text()
