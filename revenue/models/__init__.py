from revenue.models.accounts import Connection, Connections, Stream, StripeAccount
from revenue.models.decisions import Attribution
from revenue.models.ledger import LedgerLine
from revenue.models.mirror import BalanceTransaction, Charge, CheckoutSession, Dispute, Refund

__all__ = [
    "Attribution",
    "BalanceTransaction",
    "Charge",
    "CheckoutSession",
    "Connection",
    "Connections",
    "Dispute",
    "LedgerLine",
    "Refund",
    "Stream",
    "StripeAccount",
]
