"""What was read from Stripe and made of it, to be looked at but never changed here."""

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from revenue import tasks
from revenue.attribution import Evidence, Model, Reason
from revenue.crediting import decide_anew
from revenue.ledger import SALE_CATEGORIES
from revenue.models import (
    Attribution,
    BalanceTransaction,
    Charge,
    CheckoutSession,
    Connection,
    Dispute,
    Finding,
    FormerDecision,
    FormerLine,
    Incident,
    InvoicePayment,
    LedgerLine,
    ReadCount,
    Refund,
    Setup,
    Slice,
    Stream,
    StripeAccount,
)
from revenue.money import format_money
from sites.access import signed_in
from sites.audit import Action, note
from sites.large_lists import MOST, BoundedPaginator, one_of
from tracking.sources import Channel


@admin.display(description="lines")
def ledger_lines(row: Any) -> SafeString:
    """Link a charge, or what belongs to one, to its lines in the ledger."""
    charge = row.stripe_id if isinstance(row, Charge) else row.charge
    query = urlencode({"account": row.account_id, "charge": charge})
    address = f"{reverse('admin:revenue_ledgerline_changelist')}?{query}"
    return format_html('<a href="{}">Ledger</a>', address) if charge else SafeString("")


@admin.display(description="amount")
def money(row: Any) -> str:
    return format_money(row.amount, row.currency)


WARNINGS = ("warning_needs_response", "warning_under_review", "warning_closed")
DISPUTES = (*WARNINGS, "needs_response", "under_review", "won", "lost", "prevented")
CATEGORIES = SALE_CATEGORIES | {"payout", "fee", "transfer", "other_adjustment"}


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """The numbers have one source each; one changed by hand would be wrong, or undone by the next sync."""

    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_select_related: ClassVar[bool | tuple[str, ...]] = True
    list_per_page = 50
    paginator = BoundedPaginator

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def changeform_view(self, request: HttpRequest, object_id: str | None = None, *args: Any, **kwargs: Any) -> Any:
        self._note_attempt(request, object_id)
        return super().changeform_view(request, object_id, *args, **kwargs)

    def delete_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> Any:
        self._note_attempt(request, object_id)
        return super().delete_view(request, object_id, *args, **kwargs)

    def _note_attempt(self, request: HttpRequest, object_id: str | None) -> None:
        """No page offers such a form: somebody has made one up, which is refused, and worth knowing."""
        if request.method == "POST":
            note(signed_in(request), Action.REFUSED, None, f"{self.opts.verbose_name} {object_id or 'to add'}")


class LargeAdmin(ReadOnlyAdmin):
    """Of a table with millions of rows: what is asked for is found by an index, or the list goes by the newest rows."""

    search_help_text = f"A whole id. The list goes as far as {MOST:,} rows."
    ordering = ("-pk",)
    sortable_by = ()

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        if search_term:
            # The indexes begin with the account. The numbers themselves, not a subquery: only they are sure to be used.
            accounts = list(StripeAccount.objects.values_list("pk", flat=True))
            queryset = queryset.filter(account__in=accounts)
        return super().get_search_results(request, queryset, search_term.strip())


@admin.register(StripeAccount)
class StripeAccountAdmin(ReadOnlyAdmin):
    list_display = ("acct_id", "livemode", "country", "default_currency", "due_at")
    list_filter = ("livemode",)
    search_fields = ("acct_id",)


@admin.register(Connection)
class ConnectionAdmin(ReadOnlyAdmin):
    list_display = ("site", "account", "status", "key_hint", "synced_at", "tried_at", "problem")
    list_filter = ("status",)
    search_fields = ("site__domain", "account__acct_id")
    # The encrypted key is nobody's business here, either.
    exclude = ("sealed_key",)
    actions = ("sync_now", "verify", "credit_anew")

    def has_act_permission(self, request: HttpRequest) -> bool:
        """Tell whether the user may have work done, although nobody edits a connection here."""
        return signed_in(request).has_perm("revenue.change_connection")

    @admin.action(description="Sync now", permissions=["act"])
    def sync_now(self, request: HttpRequest, connections: QuerySet[Connection]) -> None:
        self._ask(request, connections, tasks.sync_connection, "sync")

    @admin.action(description="Verify: prove the books against Stripe’s balance", permissions=["act"])
    def verify(self, request: HttpRequest, connections: QuerySet[Connection]) -> None:
        self._ask(request, connections, tasks.verify_connection, "proof")

    @admin.action(description="Re-attribute: credit all payments again", permissions=["act"])
    def credit_anew(self, request: HttpRequest, connections: QuerySet[Connection]) -> None:
        for connection in connections.select_related("account"):
            decide_anew(connection.account)
        self._ask(request, connections, tasks.sync_connection, "new attribution")

    def _ask(self, request: HttpRequest, connections: QuerySet[Connection], task: Any, what: str) -> None:
        """Queue the task for each connection that has a key."""
        asked = list(connections.exclude(sealed_key="").select_related("site", "account"))
        for connection in asked:
            task.delay(connection.pk)
            note(signed_in(request), Action.ASKED, connection.site, f"{what} of {connection.account}")
        names = ", ".join(str(connection) for connection in asked) or "no connection: none of them has a key"
        self.message_user(request, f"The worker is asked for a {what}: {names}.")

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:  # type: ignore[override]
        # Filters by its beginning would spell the sealed key out.
        return not lookup.startswith("sealed_key") and super().lookup_allowed(lookup, value, request)


@admin.register(Stream)
class StreamAdmin(ReadOnlyAdmin):
    list_display = ("account", "name", "covered_to", "drained_at", "swept_at", "swept_deeply_at")
    list_filter = ("name",)
    search_fields = ("account__acct_id",)


@admin.register(Slice)
class SliceAdmin(ReadOnlyAdmin):
    list_display = ("account", "name", "since_at", "until_at", "is_known")
    list_filter = ("name", "is_known")


@admin.register(Finding)
class FindingAdmin(ReadOnlyAdmin):
    list_display = ("found_at", "gone_at", "account", "kind", "subject", "detail")
    list_filter = ("kind", ("gone_at", admin.EmptyFieldListFilter), "account")
    search_fields = ("subject__exact",)
    ordering = ("-found_at",)


@admin.register(Incident)
class IncidentAdmin(ReadOnlyAdmin):
    list_display = ("opened_at", "ended_at", "site", "kind")
    list_filter = ("kind", ("ended_at", admin.EmptyFieldListFilter))
    search_fields = ("site__domain",)
    ordering = ("-opened_at",)


@admin.register(Setup)
class SetupAdmin(ReadOnlyAdmin):
    list_display = ("site", "method", "sends_alerts")
    list_filter = ("method", "sends_alerts")
    search_fields = ("site__domain",)


@admin.register(ReadCount)
class ReadCountAdmin(ReadOnlyAdmin):
    list_display = ("account", "read_on", "reads")
    date_hierarchy = "read_on"
    search_fields = ("account__acct_id",)


@admin.register(CheckoutSession)
class CheckoutSessionAdmin(LargeAdmin):
    list_display = ("stripe_id", "total", "status", "payment_status", "created_at", "view_id", "account")
    list_filter = (
        one_of("status", ("open", "complete", "expired")),
        one_of("payment_status", ("paid", "unpaid", "no_payment_required")),
        one_of("mode", ("payment", "subscription", "setup")),
        "account",
    )
    search_fields = ("stripe_id__exact", "payment_intent__exact", "subscription__exact")

    @admin.display(description="total")
    def total(self, row: CheckoutSession) -> str:
        return "–" if row.amount_total is None else format_money(row.amount_total, row.currency)


@admin.register(Charge)
class ChargeAdmin(LargeAdmin):
    list_display = ("stripe_id", money, "refunded", "status", "captured", ledger_lines, "created_at", "account")
    list_filter = (one_of("status", ("succeeded", "pending", "failed")), "captured", "account")
    search_fields = ("stripe_id__exact", "payment_intent__exact")

    @admin.display(description="refunded")
    def refunded(self, row: Charge) -> str:
        return format_money(row.amount_refunded, row.currency)


@admin.register(Refund)
class RefundAdmin(LargeAdmin):
    list_display = ("stripe_id", money, "status", "charge", ledger_lines, "created_at", "account")
    list_filter = (
        one_of("status", ("pending", "requires_action", "succeeded", "failed", "canceled")),
        "account",
    )
    search_fields = ("stripe_id__exact", "charge__exact")


@admin.register(Dispute)
class DisputeAdmin(LargeAdmin):
    list_display = ("stripe_id", money, "status", "charge", ledger_lines, "created_at", "account")
    list_filter = (one_of("status", DISPUTES), "account")
    search_fields = ("stripe_id__exact", "charge__exact")


@admin.register(InvoicePayment)
class InvoicePaymentAdmin(LargeAdmin):
    list_display = ("stripe_id", "paid", "status", "type", "payment_intent", "subscription", "created_at", "account")
    list_filter = (
        one_of("status", ("open", "paid", "canceled")),
        one_of("type", ("payment_intent", "charge", "payment_record")),
        "account",
    )
    search_fields = ("stripe_id__exact", "payment_intent__exact", "subscription__exact")

    @admin.display(description="amount")
    def paid(self, row: InvoicePayment) -> str:
        return "–" if row.amount_paid is None else format_money(row.amount_paid, row.currency)


@admin.register(BalanceTransaction)
class BalanceTransactionAdmin(LargeAdmin):
    list_display = ("stripe_id", money, "cost", "type", "source", ledger_lines, "created_at", "account")
    list_filter = (one_of("reporting_category", CATEGORIES), "account")
    search_fields = ("stripe_id__exact", "source__exact", "charge__exact")

    @admin.display(description="fee")
    def cost(self, row: BalanceTransaction) -> str:
        return format_money(row.fee, row.currency)


@admin.register(LedgerLine)
class LedgerLineAdmin(LargeAdmin):
    list_display = ("key", money, "kind", "charge", "balance_transaction", "occurred_at", "account")
    list_filter = ("kind", "account")
    search_fields = ("key__exact", "charge__exact", "balance_transaction__exact")


@admin.register(Attribution)
class AttributionAdmin(LargeAdmin):
    list_display = ("charge", "account", "model", "site", "channel", "source", "reason", "evidence", "decided_at")
    list_filter = (
        one_of("model", Model),
        one_of("reason", Reason),
        one_of("evidence", Evidence),
        one_of("channel", Channel),
    )
    list_select_related = ("account", "site")
    search_fields = ("charge__exact",)


@admin.register(FormerLine)
class FormerLineAdmin(LargeAdmin):
    list_display = ("key", money, "kind", "charge", "occurred_at", "booked_at", "replaced_at", "account")
    list_filter = ("kind", "account")
    search_fields = ("key__exact", "charge__exact")


@admin.register(FormerDecision)
class FormerDecisionAdmin(LargeAdmin):
    list_display = ("charge", "account", "model", "site", "channel", "source", "reason", "decided_at", "replaced_at")
    list_filter = (one_of("model", Model), one_of("reason", Reason))
    list_select_related = ("account", "site")
    search_fields = ("charge__exact",)
