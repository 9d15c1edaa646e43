"""What Stripe says when it refuses."""

from typing import Any


class StripeError(Exception):
    """A refusal, as it goes out: an HTTP status and the fields of Stripe's `error` object."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        kind: str = "invalid_request_error",
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers or {}
        self.body: dict[str, Any] = {"message": message, "type": kind}
        if code is not None:
            self.body |= {
                "code": code,
                "doc_url": f"https://stripe.com/docs/error-codes/{code.replace('_', '-')}",
            }
        if param is not None:
            self.body["param"] = param


def missing(noun: str, identifier: str, param: str, status: int, remark: str = "") -> StripeError:
    """The object is not there. By its address that is a 404; named in a parameter, a 400."""
    return StripeError(status, f"No such {noun}: '{identifier}'{remark}", code="resource_missing", param=param)
