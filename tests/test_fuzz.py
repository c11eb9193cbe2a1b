"""Generated bad input: command lines, YAML, .npz files, results directories. No traceback, no gibibytes, no hanging, no harm."""

from __future__ import annotations

import hashlib
import io
import json
import random
import select
import shutil
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from ddlab.cli import main
from ddlab.compose.hydra import compose_file
from ddlab.store.sealed import read_table, sealed, write_table
from ddlab.store.store import Store

SECONDS, MEMORY = 30.0, 2 * 2**30

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
            command = [sys.executable, "-m", "tests.fuzz_worker"]
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


@pytest.fixture
def worker():
    worker = Worker()
    yield worker
    worker.close()


@pytest.fixture
def place(workplace, monkeypatch):
    """A directory with a small sweep and its stored results; this checkout stays importable from it."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent.parent))
    (workplace / "tiny.yaml").write_text(TINY)
    assert main(["sweep", "tiny.yaml", "out=results/tiny"]) == 0
    return workplace


def contents(root: Path) -> dict[str, str]:
    """Return the digest of every file below a directory."""
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(root.rglob("*")) if path.is_file()}


def entries(root: Path) -> set[tuple[str, str]]:
    """Return every file below a directory with its digest, and every directory."""
    return set(contents(root).items()) | {(str(path), "directory") for path in root.rglob("*") if path.is_dir()}


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


@pytest.mark.slow
def test_key_value_words(worker, place):
    keys = [key for key in compose_file(place / "tiny.yaml") if not key.startswith("hydra")]
    groups = [
        "data",
        "model",
        "optimizer",
        "train",
        "measures",
        "pack",
        "+x",
        "++x.y",
        "~seed",
        "~",
        "nope",
        "=",
        "hydra.job.chdir",
    ]
    cases = [["plan", "tiny.yaml", f"{key}={value}"] for key in [*keys, *groups] for value in VALUES]
    check(worker, place, "key=value", sampled(cases, 240, 0))
    check_refused_by_sweep(worker, place, sampled(cases, 60, 0))


def check_refused_by_sweep(worker: Worker, place: Path, planned: list[list[str]]) -> None:
    """Run those commands with "sweep" that "plan" refuses: they are refused too, and leave nothing."""
    refused = [["sweep", *words[1:]] for words in planned if worker.run(words)["status"] == 2]
    before, faults = entries(place), []
    for words in refused:
        found = worker.run(words)
        if said := fault(found) or (f"status {found['status']}" if found["status"] != 2 else ""):
            faults.append((words, said))
        if (now := entries(place)) != before:
            faults.append((words, f"changed {sorted(now ^ before)[:2]}"))
            before = now
    print(f"sweep as plan: {len(refused)} of {len(planned)} cases are refused")
    assert refused
    assert not faults, lines(faults)


def lines(faults: list[tuple[list[str], str]]) -> str:
    return "\n".join(f"{' '.join(words)[:300]!r}: {said}" for words, said in faults)


@pytest.mark.slow
def test_commands_names_and_options(worker, place):
    commands = ["list", "plan", "status", "report", "verify", "completion", "swep", "", "-x", "--help"]
    names = [
        "tiny.yaml",
        "tiny",
        "nope",
        "",
        ".",
        "/",
        "results",
        "a\0b",
        "x" * 5000,
        "tiny.yaml/",
        "../tiny.yaml",
        "-",
        "ä",
        "=",
        "a=b",
    ]
    options = [
        [],
        ["--nope"],
        ["-c"],
        ["--cfg"],
        ["--cfg", "nope"],
        ["extra"],
        ["--multirun"],
        ["-p", "x"],
        ["out="],
        ["figures.x=1"],
    ]
    cases = [[command, name, *option] for command in commands for name in names for option in options]
    check(worker, place, "commands", sampled(cases, 100, 1))


def mutants(text: str, number: int, seed: int) -> Iterator[str]:
    """Yield a text with a few lines dropped, doubled, swapped, or with something else in them."""
    moments = random.Random(seed)
    for _ in range(number):
        lines = text.splitlines()
        for _ in range(moments.randint(1, 3)):
            at = moments.randrange(len(lines))
            line = lines[at]
            cut = moments.randrange(len(line) + 1)
            lines[at] = moments.choice(
                [
                    "",
                    line + "\n" + line,
                    line[:cut],
                    line[:cut] + moments.choice("{}[]:,'\"&*!|>%@`#\t\0é-?") + line[cut:],
                    line.partition(":")[0] + ": " + moments.choice(VALUES)[:200],
                    " " + line,
                    "x: &a [*a]",
                    "x: &a {b: *a}",
                    "- " + line,
                ]
            )
        yield "\n".join(lines)


BOMB = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(f"a{k}: &a{k} [{','.join([f'*a{k - 1}'] * 9)}]\n" for k in range(1, 9))
HEADS = [
    *(
        "",
        "[]",
        "5",
        "null",
        "defaults: 5",
        "defaults: [m]",
        "defaults: [ddlab, m, _self_]",
        "defaults: [nope]",
        "defaults: {a: b}",
    ),
    *("defaults: [ddlab, {override data: nope}]", "defaults: [ddlab, {nope: x}]", "[" * 2000, "{" * 500, BOMB, "x: &a [*a]"),
    *(f"defaults: [ddlab]\n{BOMB}", "defaults: [ddlab]\nx: " + "9" * 5000, "defaults: [ddlab]\nx: !!python/object:os.system ls"),
    *(
        "defaults: [ddlab]\nhydra: {launcher: {_target_: x}}",
        "defaults: [ddlab]\nhydra: {sweeper: {_target_: x}}",
        "\ufeff" + TINY,
    ),
    *("defaults: [ddlab]\naxes: {data: []}", "defaults: [ddlab]\naxes: {seed: range(1000000000)}", "defaults: [ddlab]\naxes: 3"),
    *("defaults: [ddlab]\naxes: {seed: [1, a]}", "defaults: [ddlab]\nclaims: 3", "defaults: [ddlab]\nfigures: {x: 3}", "a: b: c"),
]


@pytest.mark.slow
def test_sweep_files(worker, place):
    cases = []
    for number, text in enumerate([*HEADS, *mutants(TINY, 120, 2)]):
        path = place / f"m{number}.yaml"
        path.write_text(
            text.replace("m,", f"m{number},").replace("[m]", f"[m{number}]"), encoding="utf-8", errors="surrogatepass"
        )
        cases.append(["plan", path.name])
    check(worker, place, "sweep files", cases)


def archives() -> dict[str, Any]:
    """Return arrays of .npz files, none of which is a data set of the usual kind, by what is odd about them."""
    x, y = np.random.default_rng(0).normal(size=(50, 4)), np.arange(50) % 3
    odd: dict[str, Any] = {f"inputs {kind}": {"inputs": x.astype(kind), "targets": y} for kind in ("U3", "S3", "c16", "O", "?")}
    odd |= {f"targets {kind}": {"inputs": x, "targets": y.astype(kind)} for kind in ("U3", "f8", "c16", "O", "?", "M8[D]", "i1")}
    odd |= {
        f"inputs of shape {shape}": {"inputs": np.zeros(shape), "targets": y} for shape in ((), (50,), (50, 0), (0, 4), (49, 4))
    }
    odd |= {f"targets of shape {shape}": {"inputs": x, "targets": np.zeros(shape, int)} for shape in ((), (50, 1), (0,), (51,))}
    odd |= {f"inputs with {value}": {"inputs": np.where(x > 2, value, x), "targets": y} for value in (np.nan, np.inf)}
    odd |= {"labels below 0": {"inputs": x, "targets": y - 1}, "large labels": {"inputs": x, "targets": y + 10**6}}
    odd |= {
        "no inputs": {"targets": y},
        "no targets": {"inputs": x},
        "nothing": {},
        "test inputs": {"inputs": x, "targets": y, "test_inputs": x},
    }
    odd |= {"dates": {"inputs": x.astype("M8[s]"), "targets": y}, "records": {"inputs": np.zeros(50, "i4,f8"), "targets": y}}
    return odd


def raw_archives() -> dict[str, bytes]:
    """Return contents of files that are no archives of arrays."""
    whole = io.BytesIO()
    np.savez(whole, inputs=np.zeros((50, 4)), targets=np.arange(50) % 3)
    content = whole.getvalue()

    def with_header(header: str) -> bytes:
        made, text = io.BytesIO(), (header + " " * (118 - len(header) % 64) + "\n").encode()
        with zipfile.ZipFile(made, "w") as file:
            file.writestr("inputs.npy", b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text)
        return made.getvalue()

    huge = io.BytesIO()
    with zipfile.ZipFile(huge, "w", zipfile.ZIP_DEFLATED) as file, file.open("inputs.npy", "w", force_zip64=True) as member:
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (20_000_000, 4)})
        member.write(header.getvalue())
        for _ in range(64):
            member.write(bytes(10_000_000))
    return {
        "empty": b"",
        "text": b"hello",
        "cut": content[: len(content) // 2],
        "zeros": bytes(1000),
        "a single array": content[:200],
        "a header of 10^12 numbers": with_header("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,)}"),
        "a header that is code": with_header("__import__('os').system('true')"),
        "0.6 GB of zeros in a small file": huge.getvalue(),
        **{
            f"flipped {bit}": content[:bit] + bytes([content[bit] ^ 16]) + content[bit + 1 :]
            for bit in range(30, len(content), 97)
        },
    }


@pytest.mark.slow
def test_npz_files(worker, place):
    paths = ["/dev/zero", "/dev/null", "results", "nope.npz", "", "a\0b", "${nope}"]
    for number, arrays in enumerate(archives().values()):
        np.savez(place / f"a{number}.npz", allow_pickle=True, **arrays)
        paths.append(f"a{number}.npz")
    for number, content in enumerate(raw_archives().values()):
        (place / f"r{number}.npz").write_bytes(content)
        paths.append(f"r{number}.npz")
    check(worker, place, "npz", [["plan", "tiny.yaml", "data=npz", f"data.path='{path}'", "data.num_train=20"] for path in paths])


def results_directories(place: Path, seed: int) -> Iterator[Path]:
    """Yield results directories that a stranger could have made: their checksums are right, their content is not."""
    moments = random.Random(seed)
    odd: list[Any] = [
        None,
        3,
        "x",
        [],
        [1],
        {},
        {"a": 1},
        [[]],
        -1,
        1e300,
        True,
        {"a": {"b": [None]}},
        "$\\frac{$",
        "=1+1",
        "x" * 3000,
    ]
    stored = Store(place / "results/tiny")
    number = 0

    def copy() -> Store:
        nonlocal number
        number += 1
        shutil.copytree(stored.root, place / f"results/s{number}")
        return Store(place / f"results/s{number}")

    sweep = stored.read_sweep()
    for key in ("name", "title", "paper", "shows", "figures", "claims", "parts", "minutes"):
        for value in moments.sample(odd, 5):
            store = copy()
            store.write_sweep({**sweep, key: value})
            yield store.root
    for entry in ("figures", "claims"):
        for name, options in sweep[entry].items():
            for option in options:
                store = copy()
                store.write_sweep({**sweep, entry: {name: {**options, option: moments.choice(odd)}}})
                yield store.root
    for path in ("plan.parquet", "trials/pack=00000.parquet", "curves/pack=00000/part-00000.parquet"):
        table = read_table(stored.root / path)
        for column in moments.sample(table.column_names, min(9, len(table.column_names))):
            store = copy()
            at = table.column_names.index(column)
            lists = pa.array([[1.0]] * len(table))
            changed = [table.drop_columns([column]), table.set_column(at, column, lists), table.slice(0, 0)]
            write_table(store.root / path, moments.choice(changed))
            yield store.root
    for content in ('{"a": 1}', "[1]", "[{}]", "[" * 9999, json.dumps([sealed({"command": 3})]), json.dumps([sealed({"x": 1})])):
        store = copy()
        store.provenance_file.write_text(content)
        yield store.root
    for name in ("plan.parquet", "sweep.yaml", "provenance.json", "trials/pack=00000.parquet"):
        store = copy()
        (store.root / name).unlink()
        (store.root / name).mkdir()
        yield store.root
    store = copy()
    plan = store.read_plan()
    store.write_plan(plan.assign(num_train=0, config="[1]", choices="3"))
    yield store.root


@pytest.mark.slow
def test_results_directories(worker, place):
    roots = list(results_directories(place, 3))
    directories = [str(root.relative_to(place)) for root in roots]
    check(worker, place, "results directories", [[word, name] for name in directories for word in ("status", "verify")])
    check_reports(worker, place, directories)


def check_reports(worker: Worker, place: Path, directories: list[str]) -> None:
    """Make the report of results directories: nothing but what lies in their report/ may change."""

    def stored() -> dict[str, str]:
        reports = {str(place / name / "report") for name in directories}
        return {path: digest for path, digest in contents(place).items() if not reports & set(map(str, Path(path).parents))}

    before, faults = stored(), []
    for name in directories:
        if said := fault(worker.run(["report", name])):
            faults.append((["report", name], said))
    changed = sorted(set(stored().items()) ^ set(before.items()))
    print(f"results directories, report: {len(directories)} cases")
    assert not faults, lines(faults)
    assert not changed, changed[:4]


def test_the_worker_tells_what_came_of_a_command(worker, workplace, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent.parent))
    found = worker.run(["swep"])
    assert (found["status"], fault(found)) == (2, "")
    assert "did you mean 'sweep'" in found["err"]
    assert fault({**found, "status": "Traceback ..."})
    assert fault({**found, "seconds": 31.0})
    assert fault({**found, "err": "oops"})
