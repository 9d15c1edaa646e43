"""Parameters as Stripe takes them: nested keys in a form, each value read by its kind, unknown ones refused.

A reader takes a value and the parameter's name as Stripe writes it, and returns what the value means.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from revenue.sandbox.errors import StripeError

Reader = Callable[[Any, str], Any]

# Seconds since 1970 that no clock reaches.
FOREVER = 10**15

_KEY = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")


def decode(form: str) -> dict[str, Any]:
    """Turn `a[b]=1&c[]=2` into nested dicts; members of a list are keyed by their number."""
    decoded: dict[str, Any] = {}
    for key, value in parse_qsl(form, keep_blank_values=True):
        match = _KEY.fullmatch(key)
        steps = [match[1], *re.findall(r"\[([^\[\]]*)\]", match[2])] if match else [key]
        node = decoded
        for step in steps[:-1]:
            node = node.setdefault(step or str(len(node)), {})
            if not isinstance(node, dict):
                raise StripeError(400, f"Invalid hash: {key}", param=key)
        node[steps[-1] or str(len(node))] = value
    return decoded


def _not_empty(value: Any, param: str) -> None:
    if value == "":
        raise StripeError(
            400,
            f"You passed an empty string for '{param}'. We assume empty values are an attempt to unset a "
            f"parameter; however '{param}' cannot be unset. You should remove '{param}' from your request or "
            "supply a non-empty value.",
            code="parameter_invalid_empty",
            param=param,
        )


def text(value: Any, param: str) -> str:
    _not_empty(value, param)
    if not isinstance(value, str):
        raise StripeError(400, "Invalid string", param=param)
    return value


def flag(value: Any, param: str) -> bool:
    if value not in (True, False, "true", "false"):
        raise StripeError(400, f"Invalid boolean: {value}", param=param)
    return value in (True, "true")


def short_text(value: Any, param: str) -> str:
    if len(text(value, param)) > 200:
        raise StripeError(400, f"Invalid string: {value[:20]}...; must be at most 200 characters", param=param)
    return str(value)


def integer(least: int | None = None, most: int | None = None) -> Reader:
    def read(value: Any, param: str) -> int:
        _not_empty(value, param)
        if not re.fullmatch(r"-?[0-9]{1,15}", str(value), re.ASCII) or isinstance(value, bool):
            raise StripeError(400, f"Invalid integer: {value}", code="parameter_invalid_integer", param=param)
        number = int(value)
        for beyond, bound in (
            (least is not None and number < least, f"greater than or equal to {least}"),
            (most is not None and number > most, f"less than or equal to {most}"),
        ):
            if beyond:
                message = f"This value must be {bound}."
                raise StripeError(400, message, code="parameter_invalid_integer", param=param)
        return number

    return read


def choice(*options: str) -> Reader:
    def read(value: Any, param: str) -> str:
        if text(value, param) not in options:
            raise StripeError(400, f"Invalid {param}: must be one of {', '.join(options)}", param=param)
        return str(value)

    return read


def address(value: Any, param: str) -> str:
    # A space or line break would end up in the Location header that sends the buyer there.
    if not re.fullmatch(r"https?://[^\s/?#\x00-\x1f\x7f]+[^\s\x00-\x1f\x7f]*", text(value, param)):
        raise StripeError(400, "Not a valid URL", code="url_invalid", param=param)
    return str(value)


def metadata(value: Any, param: str) -> dict[str, str]:
    """Up to 50 keys of 40 characters with values of 500; an empty value means the key is not to be kept."""
    if not isinstance(value, Mapping):
        raise StripeError(400, "Invalid hash", param=param)
    if len(value) > 50:
        raise StripeError(400, "You can only have up to 50 metadata keys.", param=param)
    for key, content in value.items():
        where = f"{param}[{key}]"
        if not isinstance(content, str):
            raise StripeError(400, "Metadata values must be strings.", param=where)
        for what, length, most in (("keys", len(key), 40), ("values", len(content), 500)):
            if length > most:
                raise StripeError(
                    400,
                    f"Metadata {what} can have up to {most} characters, "
                    f"but you passed in a {what[:-1]} that is {length} characters.",
                    param=where,
                )
    return {key: content for key, content in value.items() if content}


def listed(reader: Reader, most: int) -> Reader:
    def read(value: Any, param: str) -> list[Any]:
        if isinstance(value, Mapping) and all(re.fullmatch("[0-9]{1,6}", key) for key in value):
            value = [value[key] for key in sorted(value, key=int)]
        if not isinstance(value, list):
            raise StripeError(400, "Invalid array", param=param)
        if len(value) > most:
            raise StripeError(400, f"Array {param} exceeded maximum {most} allowed elements.", param=param)
        return [reader(member, f"{param}[{index}]") for index, member in enumerate(value)]

    return read


def absent(param: str) -> StripeError:
    return StripeError(400, f"Missing required param: {param}.", code="parameter_missing", param=param)


def record(readers: Mapping[str, Reader], required: tuple[str, ...] = ()) -> Reader:
    """Read each named parameter with its own reader; with `param` empty it is the whole request."""

    def read(value: Any, param: str) -> dict[str, Any]:
        def named(key: str) -> str:
            return f"{param}[{key}]" if param else key

        if not isinstance(value, Mapping):
            raise StripeError(400, "Invalid object", param=param)
        unknown = [named(key) for key in value if key not in readers]
        if unknown:
            plural = "s" if len(unknown) > 1 else ""
            raise StripeError(
                400,
                f"Received unknown parameter{plural}: {', '.join(unknown)}",
                code="parameter_unknown",
                param=unknown[0],
            )
        for key in required:
            if key not in value:
                raise absent(named(key))
        return {key: readers[key](content, named(key)) for key, content in value.items()}

    return read


_BOUND = record({"gt": integer(), "gte": integer(), "lt": integer(), "lte": integer()})


def period(value: Any, param: str) -> tuple[int, int]:
    """A moment or bounds, as the first and the last second that are meant."""
    if not isinstance(value, Mapping):
        second = integer()(value, param)
        return second, second
    bounds = _BOUND(value, param)
    first = max(bounds.get("gte", 0), bounds.get("gt", -1) + 1)
    last = min(bounds.get("lte", FOREVER), bounds.get("lt", FOREVER + 1) - 1)
    return first, last
