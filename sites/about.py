"""What the request, the task or the command that is running is about, for the lines of its log.

A request and a task begin with nothing but their own name; who finds out more, such as the site, notes it.
"""

from collections.abc import Mapping
from contextvars import ContextVar

_facts: ContextVar[Mapping[str, str]] = ContextVar("facts")


def begin(**facts: str) -> None:
    """Forget what was noted before."""
    _facts.set(facts)


def note(**facts: str) -> None:
    _facts.set({**_facts.get({}), **facts})


def facts() -> Mapping[str, str]:
    return _facts.get({})
