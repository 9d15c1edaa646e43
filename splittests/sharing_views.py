"""The page on which a link to one split test's results is made."""

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.debug import sensitive_post_parameters

from sites import audit
from sites.access import get_site_or_404, signed_in
from sites.audit import Action
from sites.forms import ShareForm
from sites.models import Role
from sites.sharing import address_of, subject_of
from splittests.models import SplitTest


@sensitive_post_parameters("password")
def share(request: HttpRequest, domain: str, test_id: int) -> HttpResponse:
    site = get_site_or_404(request, domain, Role.ADMIN)
    test = get_object_or_404(SplitTest.objects.for_site(site), pk=test_id)
    form = ShareForm(request.POST or None, initial={"name": test.name})
    if form.is_valid():
        with transaction.atomic():
            link = form.share(site, test.pk)
            audit.note(signed_in(request), Action.LINK_MADE, site, subject_of(link))
        messages.success(request, f"“{link}” can be given away.")
        return redirect("splittests:share", domain, test_id)
    links = [(link, address_of(link)) for link in site.share_links.filter(split_test_id=test.pk)]
    context = {"site": site, "section": "split-tests", "test": test, "links": links, "form": form}
    return render(request, "splittests/share.html", context)
