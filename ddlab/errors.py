"""Errors that users see as one clear line."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

# Of a foreign error's message: those of JAX go on for pages.
MOST_LETTERS = 300


class DdlabError(Exception):
    """Something the user can mend: printed as one line.

    Attributes:
        exit_status: of the command.
    """

    exit_status = 2


class ConfigError(DdlabError):
    """A config key, value or name that is not allowed."""


class StoreError(DdlabError):
    """A results directory that cannot be read or must not be written."""


class ComponentError(DdlabError):
    """An error inside a component, whose class it names; raised from the original error where there is one."""


@contextmanager
def inside(component: Any, action: str = "") -> Iterator[None]:
    """Name the component (an object or its class) in whose code an error arises, and what it was asked for.

    Raises:
        ComponentError: from any error but those that are a line of ddlab's already.
    """
    try:
        yield
    except DdlabError:
        raise
    except Exception as error:
        cls = component if isinstance(component, type) else type(component)
        name = f"{cls.__module__}.{cls.__qualname__}{action and f'.{action}'}"
        message = " ".join(str(error).split())
        raise ComponentError(f"{name}: {type(error).__name__}{message and f': {message[:MOST_LETTERS]}'}") from error


class LaunchError(DdlabError):
    """Packs that failed, one line for each; the others are stored."""

    exit_status = 1


class PackFailed(Exception):
    """An error in a pack that is no mistake in the config; it can be sent from one process to another.

    Attributes:
        line: what it was, in one line.
        trace: its traceback.
    """

    def __init__(self, line: str, trace: str):
        super().__init__(line, trace)
        self.line, self.trace = line, trace

    def __str__(self) -> str:
        return f"{self.line}\n{self.trace}"


class Interrupted(KeyboardInterrupt):
    """A signal stopped the command; what a sweep had measured up to then is stored.

    It is a `KeyboardInterrupt` so that Hydra's launchers, which carry on after a failed job, stop here.
    """


def suggest(word: str, known: Iterable[str], most: int = 12) -> str:
    """Return ``did you mean 'x'? known: a, b, c`` for a wrong name; the list where there are at most `most`, or twice that and
    none is near.

    Nested config keys are matched by their last part too, and by what it holds: `model.widht` and `widht` find `model.width`,
    `nois` finds `data.noise_seed`.
    """
    known = sorted(set(known))
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if not near:
        tails = {key.rsplit(".", 1)[-1]: key for key in known}
        tail = difflib.get_close_matches(word.rsplit(".", 1)[-1], tails, n=1, cutoff=0.7)
        near = [tails[name] for name in tail]
    if not near:
        part = word.rsplit(".", 1)[-1]
        near = sorted((key for key in known if len(part) > 2 and part in key.rsplit(".", 1)[-1]), key=len)[:1]
    parts = [f"did you mean '{near[0]}'?"] if near else []
    if known and len(known) <= (most if near else 2 * most):
        parts.append(f"known: {', '.join(known)}")
    return " ".join(parts)


def one_line(error: BaseException) -> str:
    """Return an OmegaConf or Hydra error as one line, without the object dump that follows it."""
    lines = [line.strip() for line in str(error).splitlines()]
    found = " ".join(line for line in lines if line and not line.startswith(("full_key:", "object_type=", "reference_type=")))
    found = re.sub(r"Incompatible value 'None' for field of type '\w+'|field '\S+' is not Optional", "must not be null", found)
    return re.sub(r"Interpolation key '(\S+)' not found", r"takes \1, which there is not", found)
