"""Currencies the sandbox trades in, what they are worth, and what taking a payment costs."""

from decimal import ROUND_HALF_UP, Context, Decimal

from revenue.sandbox.errors import StripeError

# Currency: (decimals in Stripe's API, euros for one unit). Rates never move, so every total can be worked out
# again. Stripe counts ISK and UGX in hundredths although neither has any.
CURRENCIES: dict[str, tuple[int, Decimal]] = {
    "aud": (2, Decimal("0.60")),
    "brl": (2, Decimal("0.16")),
    "cad": (2, Decimal("0.67")),
    "chf": (2, Decimal("1.04")),
    "clp": (0, Decimal("0.00096")),
    "czk": (2, Decimal("0.04")),
    "dkk": (2, Decimal("0.134")),
    "eur": (2, Decimal("1")),
    "gbp": (2, Decimal("1.17")),
    "huf": (2, Decimal("0.0025")),
    "idr": (2, Decimal("0.000056")),
    "inr": (2, Decimal("0.0102")),
    "isk": (2, Decimal("0.0067")),
    "jpy": (0, Decimal("0.0061")),
    "krw": (0, Decimal("0.00064")),
    "kwd": (3, Decimal("3.01")),
    "mxn": (2, Decimal("0.047")),
    "nok": (2, Decimal("0.085")),
    "nzd": (2, Decimal("0.55")),
    "pln": (2, Decimal("0.235")),
    "sek": (2, Decimal("0.088")),
    "sgd": (2, Decimal("0.69")),
    "tnd": (3, Decimal("0.29")),
    "ugx": (2, Decimal("0.00024")),
    "usd": (2, Decimal("0.92")),
    "vnd": (0, Decimal("0.000036")),
}

_SIX_DIGITS = Context(prec=6)


def supported(currency: str, param: str) -> str:
    code = currency.lower()
    if code not in CURRENCIES:
        known = ", ".join(CURRENCIES)
        raise StripeError(
            400,
            f"Invalid currency: {currency}. Stripe currently supports these currencies: {known}",
            param=param,
        )
    return code


def settle(amount: int, currency: str, into: str) -> tuple[int, Decimal | None]:
    """Convert to the currency an account is paid in: the amount, and the rate if there was one to apply.

    The rate is between amounts as the API writes them, so it holds the currencies' decimals too.
    """
    if currency == into:
        return amount, None
    decimals, euros = CURRENCIES[currency]
    decimals_into, euros_into = CURRENCIES[into]
    rate = _SIX_DIGITS.divide(euros, euros_into).scaleb(decimals_into - decimals)
    return int((amount * rate).to_integral_value(ROUND_HALF_UP)), rate


def processing_fee(amount: int) -> int:
    """1.5 % and 25 minor units of the settled amount."""
    return (amount * 15 + 500) // 1000 + 25


# Minor units of the currency the account is paid in; kept by Stripe also when the dispute is won.
DISPUTE_FEE = 2000


def display(amount: int, currency: str) -> str:
    decimals, _ = CURRENCIES[currency]
    return f"{Decimal(amount).scaleb(-decimals):,.{decimals}f} {currency.upper()}"
