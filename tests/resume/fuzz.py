"""Generated bad input is tried in a process of its own: no traceback, no gibibytes, no hanging, no harm."""

from __future__ import annotations

import hashlib
import json
import random
import select
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

SECONDS, MEMORY = 30.0, 2 * 2**30
CHECKOUT = Path(__file__).parents[2]

TINY = """\
defaults: [ddlab, _self_]
axes: {model.width: "3,5", seed: range(2)}
data: {num_train: 40, num_test: 20, label_noise: 0.2}
train: {steps: 4, batch_size: 20, num_evals: 3}
figures: {curve: {recipe: double_descent, x: model.width}, map: {recipe: heatmap, metric: test_loss, y: model.width}}
claims: {peak: {kind: peak_location, metric: test_loss, x: model.width, between: [0, 9], source: none}}
"""

VALUES = [
    *(
        "",
        "null",
        "true",
        "nan",
        "inf",
        "-inf",
        "-1",
        "0",
        "1e300",
        "1e-320",
        "3.7",
        "07",
        "1_0",
        "99999999999999999999",
        "9" * 5000,
    ),
    *(
        "abc",
        "a b",
        "ä",
        "\U0001f600",
        "'",
        '"',
        "\\",
        "a\tb",
        "${seed}",
        "${nope}",
        "${oc.env:HOME}",
        "$x",
        "%",
        "!",
        "a=b",
        "???",
    ),
    *("[]", "[1", "[1,2]", "[[1]]", "{}", "{a:1}", "{a", "[null]", "range(0)", "range(5,1)", "range(1,1e9)", "range(1000000000)"),
    *(
        "range(0,1,1e-12)",
        "range(a)",
        "interval(0,1)",
        "glob(*)",
        "choice()",
        "choice(1,a)",
        "sort(3,1)",
        "1,2,3",
        "1,a",
        ",",
        "-3,5",
    ),
    *("shuffle(range(9))", "[" * 300, "{" * 300, "../../etc", "/dev/null", "0x10", "1/0", "int(3)", "extend_list(3)"),
]


class Worker:
    """A process that runs commands; one that takes too long is ended and replaced."""

    def __init__(self) -> None:
        self._process: subprocess.Popen | None = None

    def run(self, words: list[str]) -> dict[str, Any]:
        if self._process is None:
            command = [sys.executable, "-m", "tests.resume.fuzz_worker"]
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(words) + "\n")
        self._process.stdin.flush()
        if not select.select([self._process.stdout], [], [], SECONDS)[0]:
            self.close()
            return {"status": "hangs", "err": "", "seconds": SECONDS, "peak": 0}
        line = self._process.stdout.readline()
        if not line:
            self.close()
            return {"status": "died", "err": "", "seconds": 0.0, "peak": 0}
        return json.loads(line)

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


def contents(root: Path) -> dict[str, str]:
    """Return the digest of every file below a directory."""
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(root.rglob("*")) if path.is_file()}


def fault(found: dict[str, Any]) -> str:
    """Return what is wrong with how a command ended; empty: it is right."""
    if found["status"] not in (0, 1, 2):
        return f"status {str(found['status'])[-400:]}"
    if "Traceback" in found["err"]:
        return "traceback"
    if found["status"] == 2 and (not found["err"].startswith("ddlab: ") or len(found["err"].splitlines()) > 8):
        return f"not a clear line: {found['err'][-400:]}"
    if found["seconds"] > SECONDS or found["peak"] > MEMORY:
        return f"{found['seconds']:.1f} s, {found['peak'] / 2**30:.1f} GiB"
    return ""


def check(worker: Worker, place: Path, kind: str, cases: list[list[str]]) -> None:
    """Run commands that read or plan; none may fail otherwise than in a clear line, or change anything that is there."""
    before, faults, statuses = contents(place), [], Counter()
    for words in cases:
        found = worker.run(words)
        statuses[found["status"]] += 1
        if said := fault(found):
            faults.append((words, said))
        if (now := contents(place)) != before:
            faults.append((words, f"changed {sorted(set(now.items()) ^ set(before.items()))[:2]}"))
            before = now
    print(f"{kind}: {len(cases)} cases, by exit status {dict(statuses)}")
    assert not faults, lines(faults)


def sampled(cases: list[list[str]], number: int, seed: int) -> list[list[str]]:
    return random.Random(seed).sample(cases, min(number, len(cases)))


def lines(faults: list[tuple[list[str], str]]) -> str:
    return "\n".join(f"{' '.join(words)[:300]!r}: {said}" for words, said in faults)
