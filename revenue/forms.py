import datetime as dt

from django import forms

from revenue import connecting
from revenue.models import AttributionRules, Connection
from revenue.stripe_client import KeyShapeError
from sites.models import Site


class ConnectForm(forms.Form):
    """How a site's payments are read."""

    provider = forms.ChoiceField(label="Payment provider", choices=[("stripe", "Stripe")])
    method = forms.ChoiceField(label="Integration method", choices=[("stripe_api", "Stripe API")])
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

    def connect(self, site: Site, now: dt.datetime) -> Connection | None:
        """Connect the site with the key, or put the reason why not among the form's errors."""
        try:
            return connecting.connect(site, self.cleaned_data["secret_key"], now)
        except (connecting.ConnectError, KeyShapeError) as error:
            self.add_error("secret_key", str(error))
            return None


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
