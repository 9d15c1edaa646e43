"""One sync of a connection: what changed at Stripe becomes rows, ledger lines and decisions.

No list of Stripe's can be asked for what changed, `created` has whole seconds, and objects show up late. So each
list is read again from a while before the moment it is covered to, everything is stored by id, and the moment
moves only when a list was read to its end. Events tell what to read again, never what it is worth. A run that
dies anywhere leaves nothing that the next one does not repair.
"""

import datetime as dt
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any
from urllib.parse import quote

from django.db import connection as database
from django.db.models import Count, Exists, F, OuterRef, Q

from revenue import ledger
from revenue.attribution import Model
from revenue.credit import credit_payments
from revenue.encryption import UnreadableError
from revenue.mirror import MODELS, Tally, object_type, store
from revenue.models import (
    Attribution,
    BalanceTransaction,
    Charge,
    CheckoutSession,
    Connection,
    Dispute,
    LedgerLine,
    Refund,
    Stream,
    StripeAccount,
)
from revenue.models.accounts import Status
from revenue.models.ledger import Kind
from revenue.models.mirror import Mirrored
from revenue.pager import check_object, pages
from revenue.secrecy import scrub
from revenue.stripe_client import (
    READ_SECONDS,
    KeyRefusedError,
    MalformedAnswerError,
    NotFoundError,
    PermissionMissingError,
    ReadError,
    StripeReader,
)
