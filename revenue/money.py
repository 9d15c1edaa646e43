"""Money as Stripe counts it: whole minor units and a currency code, never a float."""

import re
from decimal import Decimal

from babel.numbers import format_compact_currency, format_currency, get_currency_symbol

LOCALE = "en"
ZERO_DECIMALS = frozenset(
    ["BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"]
)
THREE_DECIMALS = frozenset(["BHD", "JOD", "KWD", "OMR", "TND"])
# Stripe counts these in hundredths, though nobody pays or writes a fraction of them.
WRITTEN_WHOLE = frozenset({"ISK", "UGX"})

# More digits than any column or sum of money holds: not worth reading.
LONGEST = 30
NUMBER = re.compile(r"(?P<whole>[0-9]{1,3}(,[0-9]{3})+|[0-9]+)(\.(?P<decimals>[0-9]+))?")


class MoneyError(ValueError):
    """A text is no amount of its currency, or a code is no currency code."""


def exponent(currency: str) -> int:
    """Tell how many decimals Stripe's minor unit of `currency` stands for. Raise MoneyError for a non-code.

    The list is Stripe's own (docs.stripe.com/currencies), which differs from ISO 4217: MGA has none, ISK and
    UGX have two.
    """
    # Before upper(), which would make ordinary letters of some that only look like them.
    if not re.fullmatch(r"[A-Za-z]{3}", currency):
        raise MoneyError("A currency is a code of three letters, such as EUR.")
    code = currency.upper()
    if code in ZERO_DECIMALS:
        return 0
    return 3 if code in THREE_DECIMALS else 2


def format_money(minor: int, currency: str) -> str:
    """Write an amount for people, with every decimal it has: `€1,234.50`, `¥500`, `-ISK 5`."""
    places = exponent(currency)
    code = currency.upper()
    amount = Decimal(f"{minor}e-{places}")
    if code in WRITTEN_WHOLE and minor % 10**places == 0:
        places = 0
    # A code standing for a missing symbol would run into the digits.
    gap = "\N{NO-BREAK SPACE}" if get_currency_symbol(code, LOCALE)[-1].isalpha() else ""
    pattern = f"¤{gap}#,##0" + ("." + "0" * places if places else "")
    return format_currency(amount, code, pattern, locale=LOCALE, currency_digits=False)


def plain(minor: int, currency: str) -> str:
    """Write an amount for programs, in the major unit with every decimal it has: `1234.50`."""
    return str(Decimal(f"{minor}e-{exponent(currency)}"))


def format_short(minor: int, currency: str) -> str:
    """Write a round amount with one decimal at most, for the axis of a chart: `€1.5K`."""
    amount = Decimal(f"{minor}e-{exponent(currency)}")
    return format_compact_currency(amount, currency.upper(), locale=LOCALE, fraction_digits=1)


def mean(minor: int, count: int) -> int:
    """Share an amount among `count`, to the nearest minor unit."""
    return (2 * minor + count) // (2 * count)


def to_minor(text: str, currency: str) -> int:
    """Read an amount as `format_money` writes it, or a bare number: `1,234.50`. Raise MoneyError.

    A point separates decimals, a comma thousands; what could be read in two ways (`1,50`) is refused.
    """
    places = exponent(currency)
    code = currency.upper()
    bare = text.strip()
    negative = bare.startswith("-")
    bare = bare.removeprefix("-")
    for sign in (code, get_currency_symbol(code, LOCALE)):
        bare = bare.removeprefix(sign)
    match = NUMBER.fullmatch(bare.strip())
    if match is None or len(match["whole"]) > LONGEST:
        raise MoneyError(f"Write the amount as a number such as 1,234{'.' + '5' * places if places else ''}.")
    decimals = match["decimals"] or ""
    if len(decimals) > places:
        raise MoneyError(f"{code} has {f'at most {places}' if places else 'no'} decimals.")
    minor = int(match["whole"].replace(",", "") + decimals.ljust(places, "0"))
    return -minor if negative else minor
