"""Currencies the sandbox trades in, what they are worth, and what taking a payment costs."""

from decimal import ROUND_HALF_UP, Context, Decimal

from revenue.sandbox.errors import StripeError

# All that Stripe takes, with what one unit is worth in euros, more or less. Rates never move, so every total can be
# worked out again.
# fmt: off
_EUROS = {
    "aed": "0.25", "afn": "0.013", "all": "0.0101", "amd": "0.0024", "ang": "0.51", "aoa": "0.001", "ars": "0.0007",
    "aud": "0.60", "awg": "0.51", "azn": "0.54", "bam": "0.511", "bbd": "0.46", "bdt": "0.0077", "bhd": "2.44",
    "bif": "0.00031", "bmd": "0.92", "bnd": "0.69", "bob": "0.133", "brl": "0.16", "bsd": "0.92", "bwp": "0.068",
    "byn": "0.28", "bzd": "0.456", "cad": "0.67", "cdf": "0.00033", "chf": "1.04", "clp": "0.00096", "cny": "0.127",
    "cop": "0.00022", "crc": "0.0018", "cve": "0.00907", "czk": "0.04", "djf": "0.0052", "dkk": "0.134",
    "dop": "0.0153", "dzd": "0.0068", "egp": "0.0187", "etb": "0.0074", "eur": "1", "fjd": "0.41", "fkp": "1.17",
    "gbp": "1.17", "gel": "0.335", "gip": "1.17", "gmd": "0.013", "gnf": "0.000107", "gtq": "0.119", "gyd": "0.0044",
    "hkd": "0.118", "hnl": "0.036", "htg": "0.007", "huf": "0.0025", "idr": "0.000056", "ils": "0.25",
    "inr": "0.0102", "isk": "0.0067", "jmd": "0.0058", "jod": "1.3", "jpy": "0.0061", "kes": "0.0071",
    "kgs": "0.0105", "khr": "0.00023", "kmf": "0.00203", "krw": "0.00064", "kwd": "3.01", "kyd": "1.1",
    "kzt": "0.00178", "lak": "0.000042", "lbp": "0.0000103", "lkr": "0.0031", "lrd": "0.0046", "lsl": "0.052",
    "mad": "0.092", "mdl": "0.051", "mga": "0.0002", "mkd": "0.0163", "mmk": "0.00044", "mnt": "0.00026",
    "mop": "0.115", "mur": "0.02", "mvr": "0.06", "mwk": "0.00053", "mxn": "0.047", "myr": "0.21", "mzn": "0.0144",
    "nad": "0.052", "ngn": "0.0006", "nio": "0.025", "nok": "0.085", "npr": "0.0064", "nzd": "0.55", "omr": "2.39",
    "pab": "0.92", "pen": "0.25", "pgk": "0.23", "php": "0.0158", "pkr": "0.0033", "pln": "0.235", "pyg": "0.000117",
    "qar": "0.253", "ron": "0.201", "rsd": "0.0085", "rub": "0.0095", "rwf": "0.00064", "sar": "0.245",
    "sbd": "0.11", "scr": "0.064", "sek": "0.088", "sgd": "0.69", "shp": "1.17", "sle": "0.04", "sos": "0.0016",
    "srd": "0.025", "std": "0.000041", "szl": "0.052", "thb": "0.0273", "tjs": "0.086", "tnd": "0.29", "top": "0.39",
    "try": "0.0225", "ttd": "0.136", "twd": "0.0285", "tzs": "0.00036", "uah": "0.022", "ugx": "0.00024",
    "usd": "0.92", "uyu": "0.022", "uzs": "0.000073", "vnd": "0.000036", "vuv": "0.0077", "wst": "0.33",
    "xaf": "0.00152", "xcd": "0.34", "xcg": "0.51", "xof": "0.00152", "xpf": "0.00838", "yer": "0.0037",
    "zar": "0.052", "zmw": "0.034",
}
# fmt: on
# Stripe counts ISK and UGX in hundredths although neither has any.
_WHOLE = frozenset(
    ["bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf"]
)
_THOUSANDTHS = frozenset(["bhd", "jod", "kwd", "omr", "tnd"])


def _decimals(currency: str) -> int:
    return 0 if currency in _WHOLE else 3 if currency in _THOUSANDTHS else 2


# Currency: (decimals in Stripe's API, euros for one unit).
CURRENCIES = {currency: (_decimals(currency), Decimal(euros)) for currency, euros in _EUROS.items()}

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
