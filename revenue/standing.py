"""How a connection stands, in the words and figures of the settings page."""

import datetime as dt
from dataclasses import dataclass
from enum import Enum

from revenue.models import Connection, Finding
from revenue.models.accounts import Status
from revenue.probing import ADVISED, NEEDS, REQUIRED, Need
from revenue.progress import Progress, covered_to, progress
from revenue.ration import Usage, usage
from revenue.reconcile import unmatched
from revenue.sync import is_running

MOST_FINDINGS = 50


class Phase(Enum):
    """Label, tone of its badge, and whether it soon becomes another by itself."""

    CHECKING = ("Checking", "", True)
    BACKFILLING = ("Reading the history", "", True)
    CONNECTED = ("Connected", "good", False)
    DEGRADED = ("Degraded", "warning", False)
    THROTTLED = ("Throttled", "warning", True)
    RATIONED = ("Waiting for more reads", "warning", False)
    KEY_REVOKED = ("Key revoked", "bad", False)
    KEY_UNREADABLE = ("Key unreadable", "bad", False)
    ACCOUNT_CHANGED = ("Another account", "bad", False)
    DISCONNECTED = ("Disconnected", "", False)

    @property
    def label(self) -> str:
        return self.value[0]

    @property
    def tone(self) -> str:
        return self.value[1]

    @property
    def is_moving(self) -> bool:
        return self.value[2]


PHASES = {
    Status.UNREACHABLE: Phase.DEGRADED,
    Status.THROTTLED: Phase.THROTTLED,
    Status.RATIONED: Phase.RATIONED,
    Status.KEY_REFUSED: Phase.KEY_REVOKED,
    Status.KEY_UNREADABLE: Phase.KEY_UNREADABLE,
    Status.ACCOUNT_CHANGED: Phase.ACCOUNT_CHANGED,
    Status.DISCONNECTED: Phase.DISCONNECTED,
}


@dataclass(frozen=True, slots=True)
class Granted:
    """One of the permissions that a key needs, and whether it has it; None when nobody has looked yet."""

    need: Need
    is_granted: bool | None


@dataclass(frozen=True, slots=True)
class Standing:
    """How a connection's account is read.

    `progress` is None when the whole history is there, `covered_to` while it is not; `missing` is what the key may
    not read and should, as far as that is known.
    """

    connection: Connection
    phase: Phase
    is_running: bool
    progress: Progress | None
    covered_to: dt.datetime | None
    reads: Usage
    missing: tuple[Need, ...]

    @property
    def is_moving(self) -> bool:
        return self.is_running or self.phase.is_moving


@dataclass(frozen=True, slots=True)
class Proof:
    """What was looked at of an account: its key's permissions, and whether its books are right.

    `unmatched` counts the movements on Stripe's balance that no line of the ledger names; `findings` are what is or
    was not in order lately, the newest first.
    """

    permissions: tuple[Granted, ...]
    unmatched: int
    findings: tuple[Finding, ...]


def standing(connection: Connection, now: dt.datetime) -> Standing:
    account = connection.account
    left = progress(account, now)
    return Standing(
        connection=connection,
        phase=_phase(connection, left),
        is_running=is_running(account),
        progress=left,
        covered_to=covered_to(account),
        reads=usage(account, now),
        missing=tuple(need for need in ADVISED if need.name in connection.lacking),
    )


def proof(connection: Connection, now: dt.datetime) -> Proof:
    """Take the time to look into the books."""
    findings = Finding.objects.current(connection.account, now)[:MOST_FINDINGS]
    lacking = connection.lacking if connection.probed_at else None
    return Proof(granted(lacking), unmatched(connection.account).count(), tuple(findings))


def granted(lacking: list[str] | None) -> tuple[Granted, ...]:
    """Tell of each permission whether it is among those that a key lacks; None when that is not known."""
    return tuple(Granted(need, None if lacking is None else need.name not in lacking) for need in NEEDS)


def _phase(connection: Connection, left: Progress | None) -> Phase:
    status = Status(connection.status)
    if status != Status.CONNECTED:
        return PHASES[status]
    if left:
        return Phase.BACKFILLING if left.share or connection.synced_at else Phase.CHECKING
    return Phase.DEGRADED if REQUIRED & set(connection.lacking) else Phase.CONNECTED
