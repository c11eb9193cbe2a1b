"""The report of a sweep: its figures as PNG and PDF, the data behind each as CSV, and a page that shows them."""

from __future__ import annotations

import contextlib
import json
import re
import sys
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any

import pandas as pd
import yaml
from matplotlib import style
from matplotlib.figure import Figure
from omegaconf import OmegaConf

from ddlab.errors import ConfigError, suggest
from ddlab.files import write_atomically
from ddlab.report.claims import Verdict, verify
from ddlab.report.figures import Recipe, make_recipe
from ddlab.store import Results, Store

STYLE = Path(__file__).with_name("ddlab.mplstyle")


def make_report(root: Path, overrides: Sequence[str] = ()) -> int:
    """Draw every figure of a stored sweep and print what was made; return 1 where one could not be drawn, else 0.

    Args:
        root: results directory.
        overrides: `figures.KEY.OPTION=value`; a leading `+` adds a figure.

    Raises:
        ConfigError: an unknown figure, recipe or option, or no figure can be drawn; one that cannot is named on the page.
    """
    store = Store(root)
    results = store.load()
    specs = figure_specs(results.sweep["figures"], overrides)
    if results.curves.empty:
        raise ConfigError(f"{root}: no metrics are stored yet")
    recipes = {name: make_recipe(name, spec) for name, spec in specs.items()}
    made, missing = {}, {}
    for name, recipe in recipes.items():
        try:
            made[name] = draw_figure(name, recipe, results, store.report_directory)
        except ConfigError as error:
            missing[name] = f"figures.{name}: {error}"
    if missing and not made:
        raise ConfigError(next(iter(missing.values())))
    for reason in missing.values():
        print(f"ddlab: not drawn: {reason}", file=sys.stderr)
    page = store.report_directory / "index.html"
    write_atomically(page, render_page(results, specs, made, missing, list(verify(results)), store.read_provenance()).encode())
    for name, caption in made.items():
        print(f"{store.report_directory / name}.png\n    {caption}")
    print(page)
    return int(bool(missing))


def figure_specs(figures: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Return the figures' options with the command line's overrides applied."""
    specs: dict[str, Any] = OmegaConf.to_container(OmegaConf.create(dict(figures)), resolve=True)  # type: ignore[assignment]
    for word in overrides:
        match = re.fullmatch(r"(\+{0,2})figures\.([\w-]+)\.([\w.]+)=(.*)", word)
        if match is None:
            raise ConfigError(f"'{word}': a report takes figures.KEY.OPTION=value")
        plus, name, option, text = match.groups()
        if not plus and name not in specs:
            raise ConfigError(f"{word}: no figure '{name}'. {suggest(name, specs)} (+ adds one)")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ConfigError(f"{word}: the value cannot be read ({str(error).splitlines()[0]})") from error
        if isinstance(value, str):
            with contextlib.suppress(ValueError):
                value = float(value)  # 1e-4 is text in YAML
        option, _, key = option.partition(".")
        inside = specs.setdefault(name, {})
        if key:
            inside = inside.setdefault(option, {})
            if not isinstance(inside, dict):
                raise ConfigError(f"{word}: {option} holds no other options")
        inside[key or option] = value
    return specs


def draw_figure(name: str, recipe: Recipe, results: Results, directory: Path) -> str:
    """Compute and draw one figure; write NAME.csv, NAME.png and NAME.pdf; return its caption."""
    frame = recipe.frame(results)
    directory.mkdir(parents=True, exist_ok=True)
    frame.to_csv(directory / f"{name}.csv", index=False)
    with style.context(str(STYLE)):
        figure = Figure(figsize=recipe.size)
        recipe.draw(frame, figure)
        for form in ("png", "pdf"):
            figure.savefig(directory / f"{name}.{form}", metadata={"CreationDate": None} if form == "pdf" else None)
    return recipe.caption(frame)


PAGE = Template("""\
<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>$title</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
h1 { font-size: 1.5rem; margin-bottom: 0; } h2 { font-size: 1.1rem; margin-top: 2rem; }
.paper { color: #555; margin-top: 0; }
figure { margin: 1.5rem 0; } img { max-width: min(100%, 36rem); display: block; }
figcaption { color: #333; max-width: 44rem; font-size: .95rem; }
pre, table { font-size: .8rem; } pre { background: #f6f6f6; padding: .8rem; overflow-x: auto; }
table { border-collapse: collapse; } td, th { padding: .15rem .6rem; text-align: right; border-bottom: 1px solid #ddd; }
.claims td, .claims th { text-align: left; vertical-align: top; }
.pass { color: #00674f; } .fail { color: #b3261e; font-weight: bold; }
details { margin: .8rem 0; } summary { cursor: pointer; }
</style></head><body>
<h1>$title</h1>
<p class="paper">$paper</p>
<p>$shows$counts.</p>
$figures
$claims
<h2>Run</h2>
<pre>$command</pre>
<details><summary>Axes and base config</summary><pre>$config</pre></details>
<details><summary>Figures' options</summary><pre>$options</pre></details>
<details><summary>Versions and machine</summary><pre>$versions</pre></details>
</body></html>
""")


def render_page(
    results: Results,
    specs: Mapping[str, Any],
    captions: Mapping[str, str],
    missing: Mapping[str, str],
    verdicts: Sequence[Verdict],
    runs: Sequence[Mapping[str, Any]],
) -> str:
    """Return the HTML page: the figures with their captions, a line for each that could not be drawn, and the claims."""
    sweep = results.sweep
    figures = "\n".join(
        f'<figure><img src="{name}.png" alt="{escape(name)}"><figcaption><b>{escape(name)}</b>: {escape(caption)} '
        f'<a href="{name}.pdf">PDF</a> <a href="{name}.csv">CSV</a></figcaption></figure>'
        for name, caption in captions.items()
    )
    figures += "".join(f"<p>Not drawn: {escape(reason)}</p>" for reason in missing.values())
    last = runs[-1] if runs else {"command": "unknown"}
    texts = {
        "title": sweep["title"] or sweep["name"],
        "paper": sweep["paper"],
        "shows": _sentence(str(sweep["shows"])) if sweep["shows"] else "",
        "counts": _counts(results.trials),
        "command": last["command"],
        "config": yaml.safe_dump(
            [{k: part[k] for k in ("axes", "follows", "base") if part.get(k)} for part in sweep["parts"]],
            sort_keys=False,
            default_flow_style=None,
        ),
        "options": yaml.safe_dump(dict(specs), sort_keys=False),
        "versions": json.dumps(last, indent=1),
    }
    return PAGE.substitute(figures=figures, claims=_claims(verdicts), **{name: escape(text) for name, text in texts.items()})


def _claims(verdicts: Sequence[Verdict]) -> str:
    """Return the table of the claims; nothing where there is none."""
    if not verdicts:
        return ""
    lines = [
        "".join(f"<td>{escape(cell)}</td>" for cell in (verdict.claim, verdict.says, *verdict.cells, verdict.source))
        + f'<td class="{verdict.status.split()[0]}">{escape(verdict.outcome)}</td>'
        for verdict in verdicts
    ]
    head = "".join(f"<th>{text}</th>" for text in ("claim", "what", "measured", "over seeds", "bound", "source", "verdict"))
    return f'<h2>Claims</h2>\n<table class="claims"><tr>{head}</tr>' + "".join(f"<tr>{line}</tr>" for line in lines) + "</table>"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}. "


def _counts(trials: pd.DataFrame) -> str:
    counts = ", ".join(f"{count:,} {status}" for status, count in trials["status"].value_counts().items())
    return f"{len(trials):,} trials: {counts}"
