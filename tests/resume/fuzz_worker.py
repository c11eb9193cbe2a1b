"""Runs command lines that come on standard input, one JSON list a line, and answers each with what came of it."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import time
import traceback
from pathlib import Path

from ddlab.cli import main


def run(words: list[str]) -> dict:
    """Run the command in this process; return its exit status, what it said, seconds, peak memory."""
    out, err = io.StringIO(), io.StringIO()
    started = time.monotonic()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status: int | str = main(words)
        except BaseException:  # a traceback is what is looked for
            status = traceback.format_exc()
    return {"status": status, "out": out.getvalue(), "err": err.getvalue(), "seconds": time.monotonic() - started, "peak": peak()}


def peak() -> int:
    """Return the most memory that this process has had, in bytes; `getrusage` would count that of the process it came from."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return 1024 * int(line.split()[1])


if __name__ == "__main__":
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), file=answers, flush=True)
