"""Reading the key a request comes with, and telling its bearer what is wrong with it."""

import binascii
from base64 import b64decode

from revenue.sandbox.errors import StripeError

_CHALLENGE = {"WWW-Authenticate": 'Basic realm="Stripe"'}


def secret(authorization: str) -> str:
    """The key in an Authorization header: a bearer token, or the user name of Basic."""
    scheme, _, credentials = authorization.partition(" ")
    credentials = credentials.strip()
    if scheme.lower() == "basic":
        try:
            credentials = b64decode(credentials, validate=True).decode().partition(":")[0]
        except (binascii.Error, UnicodeDecodeError) as error:
            raise StripeError(401, "Invalid Basic authorization.", headers=_CHALLENGE) from error
    if scheme.lower() in ("basic", "bearer") and credentials:
        return credentials
    raise StripeError(
        401,
        "You did not provide an API key. You need to provide your API key in the Authorization header, using "
        "Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY'). See "
        "https://stripe.com/docs/api#authentication for details, or we can help at https://support.stripe.com/.",
        headers=_CHALLENGE,
    )


def masked(key: str) -> str:
    return f"{key[:8]}{'*' * (len(key) - 12)}{key[-4:]}" if len(key) > 12 else "*" * len(key)


def unknown(key: str) -> StripeError:
    if key.startswith("pk_"):
        return StripeError(
            401,
            "This API call cannot be made with a publishable API key. Please use a secret API key. You can find a "
            "list of your API keys at https://dashboard.stripe.com/account/apikeys.",
            code="secret_key_required",
        )
    return StripeError(401, f"Invalid API Key provided: {masked(key)}", headers=_CHALLENGE)


def expired(key: str) -> StripeError:
    return StripeError(401, f"Expired API Key provided: {masked(key)}", code="api_key_expired", headers=_CHALLENGE)


def from_elsewhere(key: str) -> StripeError:
    return StripeError(
        403, f"The API key provided ({masked(key)}) does not allow requests from your IP address.", code="ip_denied"
    )


def of_stranger(key: str, account_id: str) -> StripeError:
    """The key names an account, in the header Stripe-Account, that is not its own."""
    return StripeError(
        403,
        f"The provided key '{masked(key)}' does not have access to account '{account_id}' (or that account does not "
        "exist). Application access may have been revoked.",
        code="account_invalid",
    )


def forbidden(key: str, account_id: str, lacking: list[str]) -> StripeError:
    names = ", ".join(f"'{name}'" for name in lacking)
    plural = "s" if len(lacking) > 1 else ""
    return StripeError(
        403,
        f"The provided key '{masked(key)}' does not have the required permissions for this endpoint "
        f"on account '{account_id}'. Having the {names} permission{plural} would allow this request to continue.",
    )
