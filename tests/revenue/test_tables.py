import pytest
from django.http import QueryDict
from django.utils import timezone

from revenue import tables
from revenue.attribution import Model
from revenue.models import Attribution, LedgerLine, StripeAccount
from sites.models import Site
from tracking import questions
from tracking.counting import ask
from tracking.tables import Line

pytestmark = pytest.mark.django_db


@pytest.fixture
def account(site: Site) -> StripeAccount:
    account = StripeAccount.objects.create(acct_id="acct_1", livemode=False)
    account.connections.create(site=site, connected_at=timezone.now())
    return account


def earn(account: StripeAccount, charge: str, amount: int, **decision: object) -> None:
    now = timezone.now()
    kind = "charge" if amount > 0 else "refund"
    LedgerLine.objects.create(
        account=account, key=charge, kind=kind, amount=amount, currency="eur", occurred_at=now, charge=charge
    )
    Attribution.objects.create(
        account=account, charge=charge, model="last_non_direct", rules_version=1, decided_at=now, **decision
    )


def brief(name: str, site: Site) -> tuple[Line, ...]:
    question = questions.read(QueryDict(""), timezone.now(), site.zone)
    return tables.brief(name, question, ask(site, question.period), Model.LAST_NON_DIRECT, "eur", 9).lines


def test_a_loss_has_no_bar_and_countries_have_names(site: Site, account: StripeAccount) -> None:
    earn(account, "ch_1", 500, site=site, country="DE")
    earn(account, "ch_2", -200, site=site)
    earn(account, "ch_3", 250, reason="no_id")

    assert [(line.label, line.cells, line.share) for line in brief("countries", site)] == [
        ("Germany", ("€5.00", "1", "0"), 100),
        ("Unknown", ("-€2.00", "0", "0"), 0),
        ("Not attributed", ("€2.50", "1", "–"), 50),
    ]


def test_a_campaign_named_like_a_country_keeps_its_name(site: Site, account: StripeAccount) -> None:
    earn(account, "ch_1", 500, site=site, utm_campaign="DE")

    assert [line.label for line in brief("campaigns", site)] == ["DE"]
