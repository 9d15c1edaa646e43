import datetime as dt

from django import forms

from revenue import connecting
from revenue.models import AttributionRules, Connection, Setup
from revenue.models.setup import Method
from revenue.standing import Granted, granted
from revenue.stripe_client import KeyShapeError
from sites.models import Site

# In a line of a form; what they mean is said beside it.
METHODS = [(method, method.label.partition(":")[0]) for method in Method]


class KeyForm(forms.Form):
    """A key of Stripe's. After it was refused, `permissions` says what it may read, if that is known."""

    secret_key = forms.CharField(
        label="Stripe secret key",
        # Not stripped here: what may surround a key is for the check of its shape to say.
        strip=False,
        max_length=500,
        # A key is never sent back to the browser, not even when it was refused.
        widget=forms.PasswordInput(
            render_value=False,
            attrs={"autocomplete": "off", "spellcheck": "false", "placeholder": "rk_live_…"},
        ),
        error_messages={"max_length": "This is longer than any Stripe key."},
        help_text="Encrypted before it is stored, and never shown again.",
    )
    permissions: tuple[Granted, ...] = ()

    def connect(self, site: Site, now: dt.datetime, instead_of: Connection | None = None) -> Connection | None:
        """Connect the site with the key, or put the reason why not among the form's errors."""
        try:
            return connecting.connect(site, self.cleaned_data["secret_key"], now, instead_of)
        except connecting.ConnectError as error:
            self.add_error("secret_key", str(error))
            if error.lacking is not None:
                self.permissions = granted(error.lacking)
        except KeyShapeError as error:
            self.add_error("secret_key", str(error))
        return None


class ConnectForm(KeyForm):
    """How a site's payments are read."""

    provider = forms.ChoiceField(label="Payment provider", choices=[("stripe", "Stripe")])
    method = forms.ChoiceField(
        label="Integration method",
        choices=METHODS,
        help_text="Stripe API: your server creates each Checkout Session. Payment Links: your pages link to "
        "buy.stripe.com. The same key reads both; this only decides which code you are shown for your pages.",
    )

    field_order = ("provider", "method", "secret_key")

    def connect(self, site: Site, now: dt.datetime, instead_of: Connection | None = None) -> Connection | None:
        connection = super().connect(site, now, instead_of)
        if connection:
            Setup.objects.update_or_create(site=site, defaults={"method": self.cleaned_data["method"]})
        return connection


class MethodForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = Setup
        fields = ["method"]
        labels = {"method": "Integration method"}


class AlertsForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = Setup
        fields = ["sends_alerts"]
        labels = {"sends_alerts": "Send alerts by e-mail"}
        help_texts = {
            "sends_alerts": "To the owners and administrators of this site, once for each incident.",
        }


class AttributionForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = AttributionRules
        fields = ["window_days", "credits_renewals"]
        labels = {"window_days": "Attribution window, in days", "credits_renewals": "Credit renewals too"}
        help_texts = {
            "window_days": "A payment is credited to a visit if its page view is not older than this when the checkout "
            "begins.",
            "credits_renewals": "Every payment of a subscription counts for the visit that began it. Without this, "
            "only the first one does.",
        }
