"""Ways to pay: which are decided at once, which days later, and how each is written on a charge."""

from dataclasses import dataclass
from enum import Enum

from revenue.sandbox.objects.shape import StripeObject, identifier

_DAY = 86_400


class Course(Enum):
    """How a payment goes on after the buyer's click.

    NOW: it has succeeded or failed. DEBIT: a pending charge, decided when the bank answers. VOUCHER: no charge
    before the buyer has paid elsewhere, and none at all if the voucher runs out.
    """

    NOW = "now"
    DEBIT = "debit"
    VOUCHER = "voucher"


@dataclass(frozen=True)
class Method:
    """`decided_after` is in seconds and says when a bank answers, or a voucher is usually paid."""

    course: Course
    decided_after: int = 0


METHODS = {
    "acss_debit": Method(Course.DEBIT, 5 * _DAY),
    "au_becs_debit": Method(Course.DEBIT, 4 * _DAY),
    "bacs_debit": Method(Course.DEBIT, 6 * _DAY),
    "bancontact": Method(Course.NOW),
    "boleto": Method(Course.VOUCHER, 2 * _DAY),
    "card": Method(Course.NOW),
    "customer_balance": Method(Course.VOUCHER, 3 * _DAY),
    "ideal": Method(Course.NOW),
    "klarna": Method(Course.NOW),
    "konbini": Method(Course.VOUCHER, 2 * _DAY),
    "link": Method(Course.NOW),
    "multibanco": Method(Course.VOUCHER, 2 * _DAY),
    "oxxo": Method(Course.VOUCHER, 2 * _DAY),
    "paypal": Method(Course.NOW),
    "sepa_debit": Method(Course.DEBIT, 5 * _DAY),
    "us_bank_account": Method(Course.DEBIT, 4 * _DAY),
}


def details(method: str, amount: int) -> StripeObject:
    """The `payment_method_details` of a charge."""
    if method == "card":
        return {"card": _card(amount), "type": "card"}
    if method == "sepa_debit":
        debit = {
            "bank_code": "37040044",
            "branch_code": None,
            "country": "DE",
            "expected_debit_date": None,
            "fingerprint": "SandboxDebit0000",
            "last4": "3000",
            "mandate": identifier("mandate_1"),
        }
        return {"sepa_debit": debit, "type": "sepa_debit"}
    return {method: {}, "type": method}


def _card(amount: int) -> StripeObject:
    return {
        "amount_authorized": amount,
        "authorization_code": None,
        "brand": "visa",
        "checks": {
            "address_line1_check": None,
            "address_postal_code_check": None,
            "cvc_check": "pass",
        },
        "country": "US",
        "exp_month": 12,
        "exp_year": 2034,
        "extended_authorization": {"status": "disabled"},
        "fingerprint": "Sandbox4242Visa0",
        "funding": "credit",
        "incremental_authorization": {"status": "unavailable"},
        "installments": None,
        "last4": "4242",
        "mandate": None,
        "multicapture": {"status": "available"},
        "network": "visa",
        "network_token": {"used": False},
        "network_transaction_id": None,
        "overcapture": {"maximum_amount_capturable": amount, "status": "unavailable"},
        "regulated_status": "unregulated",
        "three_d_secure": None,
        "transaction_link_id": None,
        "wallet": None,
    }
