"""The report of a sweep: its figures as PNG, PDF and SVG, the data behind each as CSV, and a page that shows them."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from importlib.machinery import PathFinder
from pathlib import Path
from string import Template
from typing import Any

import pandas as pd
import yaml

from ddlab.config.components import TARGET
from ddlab.errors import ComponentError, ConfigError, StoreError, inside
from ddlab.files import write_atomically
from ddlab.report.chance import chance_warning
from ddlab.report.charts.draw import render
from ddlab.report.claims import Verdict, verify
from ddlab.report.derived import read_results
from ddlab.report.figures import Recipe, make_recipe
from ddlab.report.selection import NotPlanned
from ddlab.report.specs import figure_specs, read_overrides
from ddlab.store.results import Results
from ddlab.store.store import Store


@dataclass
class Drawn:
    """What became of the figures, each by name.

    Attributes:
        captions: of those that are drawn.
        missing: why others could not be drawn.
        absent: which trials others are about, that were never planned here.
    """

    captions: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)


def make_report(root: Path, words: Sequence[str] = ()) -> int:
    """Draw every figure of a stored sweep and print what was made; return 1 where one could not be drawn, else 0.

    A figure of trials that were never planned here, as where a command pins an axis, is named and left out, unless the command
    line asks for it.

    Args:
        root: results directory.
        words: `figures.KEY.OPTION=value`; a leading `+` adds a figure.

    Raises:
        ConfigError: an unknown figure, recipe or option, or no figure can be drawn; one that cannot is named on the page.
        StoreError: nothing can be read, the report would be written outside the results directory, or code run that lies in it.
    """
    store = Store(root)
    results = read_results(root)
    directory = _inside(store)
    overrides = read_overrides(words)
    specs = figure_specs(results.sweep["figures"], overrides)
    if results.curves.empty:
        raise ConfigError(f"{root}: no metrics are stored yet")
    _check_code(specs, root)
    recipes = {name: make_recipe(name, spec) for name, spec in specs.items()}
    drawn = _draw_all(recipes, results, directory, {override.figure for override in overrides})
    reasons = [*drawn.missing.values(), *drawn.absent.values()]
    if reasons and not drawn.captions:
        raise ConfigError(reasons[0])
    page = directory / "index.html"
    content = render_page(results, specs, drawn, list(verify(results)), store.read_provenance())
    write_atomically(page, content.encode(errors="xmlcharrefreplace"))
    for reason in drawn.missing.values():
        print(f"ddlab: not drawn: {reason}", file=sys.stderr)
    for reason in drawn.absent.values():
        print(f"not part of this run: {reason}")
    for name, caption in drawn.captions.items():
        print(f"{directory / name}.png\n    {caption}")
    print(page)
    return int(bool(drawn.missing))


def _inside(store: Store) -> Path:
    """Return the directory of the report.

    Raises:
        StoreError: it is a link that leads out of the results directory, as one in a stranger's could.
    """
    directory = store.report_directory
    target = Path(os.path.realpath(directory))
    if not target.is_relative_to(os.path.realpath(store.root)):
        raise StoreError(f"{directory}: is a link that leads out of the results directory, to {target}; remove it first")
    return directory


def _check_code(specs: Mapping[str, Any], root: Path) -> None:
    """Raise `StoreError` where a figure's class would be imported from the results directory, as a stranger's could bring it."""
    for name, spec in specs.items():
        if not isinstance(spec, Mapping) or TARGET not in spec:
            continue
        found = PathFinder.find_spec(str(spec[TARGET]).partition(".")[0])
        places = [found.origin or "", *(found.submodule_search_locations or ())] if found else []
        if any(Path(os.path.realpath(place)).is_relative_to(os.path.realpath(root)) for place in places if place):
            raise StoreError(f"figures.{name}.{TARGET}={spec[TARGET]}: is code in the results directory, which is not run")


def _draw_all(recipes: Mapping[str, Recipe], results: Results, directory: Path, wanted: Collection[str]) -> Drawn:
    """Draw figures; those of trials that were never planned are missing where they are wanted, else absent."""
    drawn = Drawn()
    for name, recipe in recipes.items():
        try:
            drawn.captions[name] = draw_figure(name, recipe, results, directory)
        except (ConfigError, ComponentError) as error:
            where = drawn.absent if isinstance(error, NotPlanned) and name not in wanted else drawn.missing
            where[name] = f"figures.{name}: {error}"
    return drawn


def draw_figure(name: str, recipe: Recipe, results: Results, directory: Path) -> str:
    """Compute and draw one figure; write NAME.csv and its images; return its caption."""
    with inside(recipe):
        frame = recipe.frame(results)
        images, caption = render(recipe.chart(frame)), recipe.caption(frame)
    write_atomically(directory / f"{name}.csv", _csv(frame).encode(errors="backslashreplace"))
    for form, image in images.items():
        write_atomically(directory / f"{name}.{form}", image)
    return caption


def _csv(frame: pd.DataFrame) -> str:
    """Return a frame as CSV; text that a spreadsheet would take for a formula gets an apostrophe in front."""
    texts = [column for column in frame if not pd.api.types.is_numeric_dtype(frame[column])]
    inert = frame.assign(**{column: frame[column].map(_without_formula) for column in texts})
    return inert.rename(columns=_without_formula).to_csv(index=False)


def _without_formula(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value


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
$warning
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
    drawn: Drawn,
    verdicts: Sequence[Verdict],
    runs: Sequence[Mapping[str, Any]],
) -> str:
    """Return the HTML page: the figures with their captions, a line for each that is not drawn, the claims, and a warning."""
    sweep = results.sweep
    figures = "\n".join(
        f'<figure><img src="{name}.png" alt="{escape(name)}"><figcaption><b>{escape(name)}</b>: {escape(caption)} '
        f'<a href="{name}.pdf">PDF</a> <a href="{name}.svg">SVG</a> <a href="{name}.csv">CSV</a></figcaption></figure>'
        for name, caption in drawn.captions.items()
    )
    for title, reasons in (("Not drawn", drawn.missing), ("Not part of this run", drawn.absent)):
        figures += "".join(f"<p>{title}: {escape(reason)}</p>" for reason in reasons.values())
    found = chance_warning(results)
    warning = f'<p class="fail">Warning: {escape(found)}.</p>' if found else ""
    last = runs[-1] if runs else {}
    texts = {
        "title": sweep["title"] or sweep["name"],
        "paper": sweep["paper"],
        "shows": _sentence(str(sweep["shows"])) if sweep["shows"] else "",
        "counts": _counts(results.trials),
        "command": str(last.get("command", "unknown")),
        "config": yaml.safe_dump(
            [{k: part[k] for k in ("axes", "follows", "base") if part.get(k)} for part in sweep["parts"]],
            sort_keys=False,
            default_flow_style=None,
        ),
        "options": yaml.safe_dump(dict(specs), sort_keys=False),
        "versions": json.dumps(last, indent=1),
    }
    escaped = {name: escape(text) for name, text in texts.items()}
    return PAGE.substitute(figures=figures, claims=_claims(verdicts), warning=warning, **escaped)


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
