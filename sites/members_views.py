"""Settings → Members, and the page that an invitation leads to."""

from allauth.account.utils import perform_login
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from sites import invitations
from sites import members as membership
from sites.access import get_site_or_404, signed_in
from sites.accounts import limits
from sites.accounts.forms import NewPasswordForm
from sites.forms import InviteForm, RoleForm
from sites.invitations import AlreadyMemberError, invitation_of
from sites.members import MAY, LastOwnerError, NotYoursError, all_that, givable
from sites.models import Invitation, Role, Site, User

LAST_OWNER = "A site needs an owner. Make somebody else an owner first."
NOT_YOURS = "Only somebody with a higher role may do that."


def members(request: HttpRequest, domain: str) -> HttpResponse:
    site = get_site_or_404(request, domain, Role.ADMIN)
    return _page(request, site, InviteForm(givable(_own_role(request))))


@require_POST
def change_role(request: HttpRequest, domain: str, number: int) -> HttpResponse:
    site = get_site_or_404(request, domain, Role.ADMIN)
    get_object_or_404(site.memberships, pk=number)
    form = RoleForm(request.POST)
    try:
        if form.is_valid():
            changed = membership.change_role(site, signed_in(request), number, form.chosen)
            messages.success(request, f"{changed.user} is {changed.get_role_display().lower()} now.")
    except (LastOwnerError, NotYoursError) as error:
        messages.error(request, _sentence(error))
    return _back(request, domain)


@require_POST
def remove(request: HttpRequest, domain: str, number: int) -> HttpResponse:
    site = get_site_or_404(request, domain, Role.ADMIN)
    try:
        removed = membership.remove(site, signed_in(request), number)
        messages.success(request, f"{removed.user} sees nothing of {domain} any more.")
    except (LastOwnerError, NotYoursError) as error:
        messages.error(request, _sentence(error))
    return _back(request, domain)


@require_POST
def leave(request: HttpRequest, domain: str) -> HttpResponse:
    site = get_site_or_404(request, domain)
    try:
        membership.leave(site, signed_in(request))
        messages.success(request, f"You have left {domain}.")
    except LastOwnerError as error:
        messages.error(request, _sentence(error))
    return redirect("account")


@require_POST
def invite(request: HttpRequest, domain: str) -> HttpResponse:
    site = get_site_or_404(request, domain, Role.ADMIN)
    form = InviteForm(givable(_own_role(request)), request.POST)
    if not form.is_valid():
        return _page(request, site, form)
    limits.count(request, limits.INVITE, signed_in(request).email)
    try:
        invited = invitations.invite(site, signed_in(request), form.cleaned_data["email"], form.chosen, timezone.now())
    except AlreadyMemberError:
        form.add_error("email", "Whoever has this address is a member already.")
        return _page(request, site, form)
    except NotYoursError as error:
        form.add_error(None, _sentence(error))
        return _page(request, site, form)
    _send(request, invited)
    return redirect("sites:members", domain)


@require_POST
def resend_invitation(request: HttpRequest, domain: str, number: int) -> HttpResponse:
    """Send a new link for another week; the one before ends."""
    site = get_site_or_404(request, domain, Role.ADMIN)
    pending = get_object_or_404(Invitation, site=site, pk=number)
    limits.count(request, limits.INVITE, signed_in(request).email)
    try:
        _send(
            request,
            invitations.invite(site, signed_in(request), pending.email, Role(pending.role), timezone.now()),
        )
    except (AlreadyMemberError, NotYoursError) as error:
        messages.error(request, _sentence(error))
    return redirect("sites:members", domain)


@require_POST
def revoke_invitation(request: HttpRequest, domain: str, number: int) -> HttpResponse:
    site = get_site_or_404(request, domain, Role.ADMIN)
    try:
        revoked = invitations.revoke(site, signed_in(request), number)
        messages.success(request, f"The invitation of {revoked.email} is revoked. Its link shows nothing more.")
    except NotYoursError as error:
        messages.error(request, _sentence(error))
    return redirect("sites:members", domain)


def _send(request: HttpRequest, invited: Invitation) -> None:
    if invitations.send(invited, timezone.now()):
        messages.success(request, f"{invited.email} gets a mail with a link. It works once, for seven days.")
    elif settings.HAS_MAIL_SERVER:
        messages.error(request, f"The mail to {invited.email} could not be sent. Hand over the link below yourself.")
    else:
        messages.success(request, f"{invited.email} is invited. Hand over the link below: no mail can be sent.")


def _own_role(request: HttpRequest) -> Role:
    # `access` has put it there.
    return Role(request.role)  # type: ignore[attr-defined]


def _back(request: HttpRequest, domain: str) -> HttpResponse:
    """To the members, or to the sites for who is not allowed to see them any more."""
    still = signed_in(request).memberships.filter(site__domain=domain, role__gte=Role.ADMIN).exists()
    return redirect("sites:members", domain) if still else redirect("sites:index")


def _sentence(error: Exception) -> str:
    if isinstance(error, AlreadyMemberError):
        return "Whoever has this address is a member already."
    return LAST_OWNER if isinstance(error, LastOwnerError) else NOT_YOURS


def _page(request: HttpRequest, site: Site, form: InviteForm) -> HttpResponse:
    own, now = _own_role(request), timezone.now()
    pending = [
        {
            "invitation": each,
            "is_expired": each.expires_at <= now,
            # Who may not give the role may not have its link either. What was mailed is its reader's.
            "link": invitations.address(each) if each.role <= own and each.sent_at is None else "",
            "is_mine": each.role <= own,
        }
        for each in site.invitations.select_related("site")
    ]
    context = {
        "site": site,
        "section": "settings",
        "members": membership.members(site, signed_in(request)),
        "pending": pending,
        "form": form,
        "may": [(role.label, MAY[role]) for role in Role],
        "has_mail_server": settings.HAS_MAIL_SERVER,
    }
    return render(request, "sites/members.html", context)


@login_not_required
@sensitive_post_parameters("password")
def join(request: HttpRequest, token: str) -> HttpResponse:
    response = _joined(request, token)
    # Not no-referrer, with which browsers would say no origin either when the password is sent.
    response["Referrer-Policy"] = "strict-origin"
    response["X-Robots-Tag"] = "noindex, nofollow"
    response["Cache-Control"] = "private, no-store"
    return response


def _joined(request: HttpRequest, token: str) -> HttpResponse:
    invitation = invitation_of(token, timezone.now())
    if invitation is None:
        limits.count(request, limits.JOIN, token[:100])
        return render(request, "sites/invitation_gone.html", status=404)
    user = request.user if isinstance(request.user, User) else None
    invited = User.objects.filter(email=invitation.email).first()
    form = NewPasswordForm(User(email=invitation.email), request.POST or None)
    if request.method == "POST":
        if user and user == invited and invitations.join(invitation, user):
            return redirect("tracking:dashboard", invitation.site.domain)
        if not user and not invited and form.is_valid():
            return _begin(request, invitation, form.cleaned_data["password"])
    context = {
        "invitation": invitation,
        "may": all_that(Role(invitation.role)),
        "is_theirs": user is not None and user == invited,
        "is_another_s": user is not None and user != invited,
        "is_known": invited is not None,
        "form": form,
    }
    return render(request, "sites/join.html", context)


def _begin(request: HttpRequest, invitation: Invitation, password: str) -> HttpResponse:
    """Make the account, and log in with it."""
    try:
        with transaction.atomic():
            user = invitations.join_anew(invitation, password)
    except IntegrityError:
        # The same form was sent twice at once, and the other was first.
        user = None
    if user is None:
        return redirect(request.path)
    response: HttpResponse = perform_login(request, user, redirect_url=f"/{invitation.site.domain}/", email=user.email)
    return response
