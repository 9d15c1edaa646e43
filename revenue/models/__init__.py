from revenue.models.accounts import Connection, Connections, ReadCount, Slice, Stream, StripeAccount
from revenue.models.decisions import Attribution, FormerDecision
from revenue.models.findings import Finding
from revenue.models.incidents import Incident
from revenue.models.ledger import FormerLine, LedgerLine
from revenue.models.mirror import BalanceTransaction, Charge, CheckoutSession, Dispute, InvoicePayment, Refund
from revenue.models.rules import AttributionRules
from revenue.models.setup import Setup

__all__ = [
    "Attribution",
    "AttributionRules",
    "BalanceTransaction",
    "Charge",
    "CheckoutSession",
    "Connection",
    "Connections",
    "Dispute",
    "Finding",
    "FormerDecision",
    "FormerLine",
    "Incident",
    "InvoicePayment",
    "LedgerLine",
    "ReadCount",
    "Refund",
    "Setup",
    "Slice",
    "Stream",
    "StripeAccount",
]
