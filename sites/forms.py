from typing import Any
from urllib.parse import urlsplit

from django import forms
from django.core.exceptions import ValidationError
from django.db import transaction

from sites import sharing, tokens
from sites.models import ApiToken, Membership, Role, ShareLink, Site, User


def host_in(text: str) -> str:
    """Give the host in what people paste: `https://www.Example.com/path` is www.example.com; "" without one."""
    text = text.strip()
    try:
        host = urlsplit(text if "://" in text else f"//{text}").hostname or ""
        # Browsers report an internationalised host in this ASCII form.
        host = host.rstrip(".").encode("idna").decode()
    except ValueError:
        return ""
    return host if "." in host else ""


def bare_domain(text: str) -> str:
    """Give the domain in what people paste: `https://www.Example.com/path` is example.com.

    Raise ValidationError when there is none.
    """
    host = host_in(text)
    if not host:
        raise ValidationError(f"There is no domain in “{text.strip()}”. Enter one such as example.com.")
    return host.removeprefix("www.") if host.count(".") > 1 else host


class SiteForm(forms.ModelForm):  # type: ignore[type-arg]
    """A new site."""

    # Longer than a domain may be, because the address of a page may be pasted.
    domain = forms.CharField(
        max_length=2000,
        help_text=Site._meta.get_field("domain").help_text,
        error_messages={"unique": "This domain is already counted here."},
        widget=forms.TextInput(
            attrs={
                "placeholder": "example.com",
                "autocapitalize": "none",
                "spellcheck": "false",
                "autofocus": True,
            }
        ),
    )

    class Meta:
        model = Site
        fields = ["domain", "timezone"]
        widgets = {"timezone": forms.TextInput(attrs={"list": "time-zones", "autocomplete": "off"})}
        help_texts = {"timezone": "Days begin and end at midnight in this zone."}

    def clean_domain(self) -> str:
        return bare_domain(self.cleaned_data["domain"])

    @transaction.atomic
    def add(self, owner: User | None) -> Site:
        """Save the site, with `owner` as its owner if there is one."""
        site: Site = self.save()
        if owner:
            Membership.objects.create(site=site, user=owner, role=Role.OWNER)
        return site


class SettingsForm(forms.ModelForm):  # type: ignore[type-arg]
    """What can be changed about a site. Not its domain: views came in under it."""

    class Meta(SiteForm.Meta):
        fields = ["timezone"]


class DeleteForm(forms.Form):
    """That somebody knows which site they are about to delete."""

    domain = forms.CharField(
        max_length=300,
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}),
    )

    def __init__(self, site: Site, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._domain = site.domain
        self.fields["domain"].label = f"Type {site.domain} to confirm"

    def clean_domain(self) -> str:
        typed: str = self.cleaned_data["domain"].strip().lower()
        if typed != self._domain:
            raise ValidationError(f"That is not {self._domain}.")
        return typed


class ShareForm(forms.ModelForm):  # type: ignore[type-arg]
    """A new share link."""

    password = forms.CharField(
        required=False,
        min_length=8,
        max_length=128,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="Asked for once by each browser that opens the link. It cannot be looked up later.",
    )

    class Meta:
        model = ShareLink
        fields = ["name"]

    def share(self, site: Site, split_test_id: int | None = None) -> ShareLink:
        return sharing.share(site, self.cleaned_data["name"], self.cleaned_data["password"], split_test_id)


class SharePasswordForm(forms.Form):
    """What somebody enters who opens a share link."""

    password = forms.CharField(
        max_length=128,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "off", "autofocus": True}),
    )


class TokenForm(forms.ModelForm):  # type: ignore[type-arg]
    """A new API token."""

    class Meta:
        model = ApiToken
        fields = ["name", "scope"]
        labels = {"scope": "It may"}
        help_texts = {"scope": "Of this site, and nothing else."}

    def issue(self, site: Site) -> str:
        """Make the token and give its text."""
        return tokens.issue(site, self.cleaned_data["name"], self.cleaned_data["scope"])


class InviteForm(forms.Form):
    """Who is to become a member, and as what."""

    email = forms.EmailField(
        label="E-mail address", max_length=254, widget=forms.EmailInput(attrs={"autocomplete": "off"})
    )
    role = forms.TypedChoiceField(coerce=int)

    def __init__(self, roles: list[Role], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["role"]
        assert isinstance(field, forms.TypedChoiceField)
        field.choices = [(role.value, role.label) for role in roles]

    @property
    def chosen(self) -> Role:
        return Role(self.cleaned_data["role"])


class RoleForm(forms.Form):
    """The role that a member is to have."""

    role = forms.TypedChoiceField(coerce=int, choices=Role.choices)

    @property
    def chosen(self) -> Role:
        return Role(self.cleaned_data["role"])
