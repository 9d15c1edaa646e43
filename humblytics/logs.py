"""How the log is written: to people at a terminal in lines of text, to everything else as one JSON object a line.

`logging.json` beside this is the configuration for all processes: Django takes it as its own, and uvicorn by
`--log-config`, because it writes before Django is there. What it silences: uvicorn's access log, which would hold
visitors' addresses; requests for other hosts, which whoever scans the Internet sends; and kombu's warning of the
missing host in filesystem://, which has none. Django's own handlers, taken out, would print a request's headers.
"""

import datetime as dt
import json
import logging
import sys

from humblytics.discretion import discreet
from sites import about


class Discreet(logging.Filter):
    """Make the finished text of each record discreet, its traceback included."""

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        record.msg, record.args = discreet(message), None
        if record.exc_text:
            record.exc_text = discreet(record.exc_text)
        return True


class JsonFormatter(logging.Formatter):
    """Time in UTC, level, logger, message, what the line is about as far as it is known, and an error's traceback."""

    def format(self, record: logging.LogRecord) -> str:
        at = dt.datetime.fromtimestamp(record.created, dt.UTC).isoformat(timespec="milliseconds")
        line = {
            "time": at.replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **about.facts(),
        }
        if record.exc_text:
            line["traceback"] = record.exc_text
        return json.dumps(line, ensure_ascii=False)


def formatter() -> logging.Formatter:
    if sys.stderr.isatty():
        return logging.Formatter("{asctime} {levelname} {name}: {message}", style="{")
    return JsonFormatter()
