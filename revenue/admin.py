"""What was read from Stripe and made of it, to be looked at but never changed here."""

from typing import Any, ClassVar

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString

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


@admin.display(description="lines")
def ledger_lines(row: Any) -> SafeString:
    """Link a charge, or what belongs to one, to its lines in the ledger."""
    charge = row.stripe_id if isinstance(row, Charge) else row.charge
    query = urlencode({"account": row.account_id, "charge": charge})
    address = f"{reverse('admin:revenue_ledgerline_changelist')}?{query}"
    return format_html('<a href="{}">Ledger</a>', address) if charge else SafeString("")


@admin.display(description="amount", ordering="amount")
def money(row: Any) -> str:
    return format_money(row.amount, row.currency)


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """The numbers have one source each; one changed by hand would be wrong, or undone by the next sync."""

    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_select_related: ClassVar[bool | tuple[str, ...]] = True
    list_per_page = 50

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class MirroredAdmin(ReadOnlyAdmin):
    # Ids are looked up whole: any other way would read the whole table.
    search_help_text = "A whole id."
    ordering = ("-created_at",)


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
class CheckoutSessionAdmin(MirroredAdmin):
    list_display = ("stripe_id", "total", "status", "payment_status", "created_at", "view_id", "account")
    list_filter = ("status", "payment_status", "mode", "account")
    search_fields = (
        "stripe_id__exact",
        "payment_intent__exact",
        "subscription__exact",
        "view_id__exact",
        "client_reference_id__exact",
    )

    @admin.display(description="total", ordering="amount_total")
    def total(self, row: CheckoutSession) -> str:
        return "–" if row.amount_total is None else format_money(row.amount_total, row.currency)


@admin.register(Charge)
class ChargeAdmin(MirroredAdmin):
    list_display = ("stripe_id", money, "refunded", "status", "captured", ledger_lines, "created_at", "account")
    list_filter = ("status", "captured", "currency", "account")
    search_fields = ("stripe_id__exact", "payment_intent__exact", "view_id__exact")

    @admin.display(description="refunded", ordering="amount_refunded")
    def refunded(self, row: Charge) -> str:
        return format_money(row.amount_refunded, row.currency)


@admin.register(Refund)
class RefundAdmin(MirroredAdmin):
    list_display = ("stripe_id", money, "status", "charge", ledger_lines, "created_at", "account")
    list_filter = ("status", "account")
    search_fields = ("stripe_id__exact", "charge__exact")


@admin.register(Dispute)
class DisputeAdmin(MirroredAdmin):
    list_display = ("stripe_id", money, "status", "charge", ledger_lines, "created_at", "account")
    list_filter = ("status", "account")
    search_fields = ("stripe_id__exact", "charge__exact")


@admin.register(InvoicePayment)
class InvoicePaymentAdmin(MirroredAdmin):
    list_display = ("stripe_id", "paid", "status", "type", "payment_intent", "subscription", "created_at", "account")
    list_filter = ("status", "type", "account")
    search_fields = ("stripe_id__exact", "payment_intent__exact", "subscription__exact")

    @admin.display(description="amount", ordering="amount_paid")
    def paid(self, row: InvoicePayment) -> str:
        return "–" if row.amount_paid is None else format_money(row.amount_paid, row.currency)


@admin.register(BalanceTransaction)
class BalanceTransactionAdmin(MirroredAdmin):
    list_display = ("stripe_id", money, "cost", "type", "source", ledger_lines, "created_at", "account")
    list_filter = ("reporting_category", "account")
    search_fields = ("stripe_id__exact", "source__exact", "charge__exact")

    @admin.display(description="fee", ordering="fee")
    def cost(self, row: BalanceTransaction) -> str:
        return format_money(row.fee, row.currency)


@admin.register(LedgerLine)
class LedgerLineAdmin(ReadOnlyAdmin):
    list_display = ("key", money, "kind", "charge", "balance_transaction", "occurred_at", "account")
    list_filter = ("kind", "currency", "account")
    search_fields = ("key__exact", "charge__exact", "balance_transaction__exact")
    search_help_text = "A whole id."
    ordering = ("-occurred_at",)


@admin.register(Attribution)
class AttributionAdmin(ReadOnlyAdmin):
    list_display = ("charge", "account", "model", "site", "channel", "source", "reason", "evidence", "decided_at")
    list_filter = ("model", "reason", "evidence", "channel")
    list_select_related = ("account", "site")
    search_fields = ("charge__exact", "carried_id__exact")
    search_help_text = "A whole id."


@admin.register(FormerLine)
class FormerLineAdmin(ReadOnlyAdmin):
    list_display = ("key", money, "kind", "charge", "occurred_at", "booked_at", "replaced_at", "account")
    list_filter = ("kind", "account")
    search_fields = ("key__exact", "charge__exact")
    search_help_text = "A whole id."
    ordering = ("-replaced_at",)


@admin.register(FormerDecision)
class FormerDecisionAdmin(ReadOnlyAdmin):
    list_display = ("charge", "account", "model", "site", "channel", "source", "reason", "decided_at", "replaced_at")
    list_filter = ("model", "reason")
    list_select_related = ("account", "site")
    search_fields = ("charge__exact",)
    search_help_text = "A whole id."
