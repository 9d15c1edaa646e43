import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from revenue.money import MoneyError, format_money, format_short, mean, to_minor

# Every currency that Stripe lists for charges.
CURRENCIES = re.findall(
    r"[A-Z]{3}",
    """
    AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BWP BYN BZD CAD
    CDF CHF CLP CNY COP CRC CVE CZK DJF DKK DOP DZD EGP ETB EUR FJD FKP GBP GEL GIP GMD GNF GTQ GYD HKD
    HNL HTG HUF IDR ILS INR ISK JMD JOD JPY KES KGS KHR KMF KRW KWD KYD KZT LAK LBP LKR LRD LSL MAD MDL
    MGA MKD MMK MNT MOP MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG
    QAR RON RSD RUB RWF SAR SBD SCR SEK SGD SHP SLE SOS SRD STD SZL THB TJS TND TOP TRY TTD TWD TZS UAH
    UGX USD UYU UZS VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW
    """,
)


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [
        pytest.param(123450, "eur", "€1,234.50", id="euro"),
        pytest.param(5, "usd", "$0.05", id="a cent"),
        pytest.param(-123456789, "gbp", "-£1,234,567.89", id="negative"),
        pytest.param(500, "jpy", "¥500", id="yen have no decimals"),
        pytest.param(500, "isk", "ISK\xa05", id="krónur come in hundredths"),
        pytest.param(550, "isk", "ISK\xa05.50", id="but nothing is hidden"),
        pytest.param(250000, "ugx", "UGX\xa02,500", id="so do shillings of Uganda"),
        pytest.param(1234500, "kwd", "KWD\xa01,234.500", id="dinars have three"),
        pytest.param(1000, "mga", "MGA\xa01,000", id="ariary have none at Stripe"),
        pytest.param(100000, "huf", "HUF\xa01,000.00", id="forint have two"),
        pytest.param(2**63 - 1, "eur", "€92,233,720,368,547,758.07", id="the largest that the ledger holds"),
    ],
)
def test_money_is_written_with_the_decimals_stripe_gives_it(minor: int, currency: str, text: str) -> None:
    assert format_money(minor, currency) == text


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        pytest.param("12", "eur", 1200, id="whole"),
        pytest.param("12.5", "EUR", 1250, id="one decimal"),
        pytest.param(" 1,234.50 ", "eur", 123450, id="thousands and spaces"),
        pytest.param("$12", "usd", 1200, id="symbol"),
        pytest.param("USD 12", "usd", 1200, id="code"),
        pytest.param("-0.01", "eur", -1, id="negative"),
        pytest.param("500", "jpy", 500, id="yen"),
        pytest.param("5", "isk", 500, id="krónur"),
        pytest.param("1.5", "kwd", 1500, id="dinars"),
    ],
)
def test_an_amount_is_read_into_minor_units(text: str, currency: str, minor: int) -> None:
    assert to_minor(text, currency) == minor


@pytest.mark.parametrize(
    ("text", "currency"),
    [
        *(
            pytest.param(text, "eur", id=repr(text)[:12])
            for text in [
                "",
                "-",
                "€",
                "abc",
                "1e5",
                "NaN",
                "1.",
                ".5",
                "1,50",
                "1.234,50",
                "12,34,567",
                "--5",
                "١",
            ]
        ),
        pytest.param("1.005", "eur", id="a third decimal"),
        pytest.param("1.5", "jpy", id="part of a yen"),
        pytest.param("€5", "usd", id="another currency's sign"),
        pytest.param("9" * 5000, "eur", id="endless"),
        pytest.param("5", "euro", id="no code"),
        pytest.param("5", "", id="empty code"),
    ],
)
def test_what_is_no_amount_is_refused(text: str, currency: str) -> None:
    with pytest.raises(MoneyError):
        to_minor(text, currency)


@given(st.integers(-(2**63), 2**63 - 1), st.sampled_from(CURRENCIES))
def test_every_amount_is_read_as_it_was_written(minor: int, currency: str) -> None:
    assert to_minor(format_money(minor, currency), currency) == minor


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [
        pytest.param(150_000, "eur", "€1.5K", id="thousands"),
        pytest.param(50, "usd", "$0.5", id="cents"),
        pytest.param(2_000_000, "jpy", "¥2M", id="millions"),
        pytest.param(-20_000, "eur", "-€200", id="negative"),
    ],
)
def test_an_axis_is_labelled_shortly(minor: int, currency: str, text: str) -> None:
    assert format_short(minor, currency) == text


@given(st.integers(-(2**63), 2**63 - 1), st.integers(1, 2**40))
def test_a_mean_is_within_half_a_minor_unit(minor: int, count: int) -> None:
    assert abs(mean(minor, count) * count - minor) * 2 <= count
