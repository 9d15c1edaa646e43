"""Reads lists of a Stripe account with dj-stripe, for tests.benchmarks.sync to compare with; run by it.

It needs an environment of its own, because dj-stripe 2.11 wants an older stripe than Humblytics uses. What is timed
is the inside of `manage.py djstripe_sync_models Charge …`: each object of a list is handed to its model, which
fetches and stores what it refers to. Writes one JSON object: {"objects", "seconds", "cpu", "rows"}.
"""

import json
import sys
import time

import django
from django.conf import settings

LISTS = ("Session", "Charge", "BalanceTransaction", "Refund")


def main(api_base: str, key: str, database_url: str) -> None:
    import urllib.parse  # noqa: PLC0415

    database = urllib.parse.urlsplit(database_url)
    query = dict(urllib.parse.parse_qsl(database.query))
    settings.configure(
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "djstripe"],
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.postgresql",
                "NAME": database.path.removeprefix("/"),
                "USER": database.username or "",
                "PASSWORD": urllib.parse.unquote(database.password or ""),
                "HOST": query.get("host", database.hostname or ""),
                "PORT": database.port or "",
            }
        },
        DEBUG=False,
        USE_TZ=True,
        SECRET_KEY="of a benchmark",
        STRIPE_TEST_SECRET_KEY=key,
        STRIPE_LIVE_MODE=False,
        STRIPE_API_HOST=api_base,
        STRIPE_API_VERSION="2026-06-24.dahlia",
        DJSTRIPE_FOREIGN_KEY_TO_FIELD="id",
        SILENCED_SYSTEM_CHECKS=["djstripe.C001", "djstripe.W001"],
    )
    django.setup()
    from django.core.management import call_command  # noqa: PLC0415
    from djstripe import models  # noqa: PLC0415

    call_command("migrate", verbosity=0)
    # The sandbox shows no discounts inside line items; without any of these, dj-stripe has less to store.
    models.Session.expand_fields = []
    objects = 0
    began, cpu = time.perf_counter(), time.process_time()
    for name in LISTS:
        model = getattr(models, name)
        for item in model.api_list(api_key=key):
            model.sync_from_stripe_data(item, api_key=key)
            objects += 1
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    rows = {name: getattr(models, name).objects.count() for name in LISTS}
    json.dump({"objects": objects, "seconds": seconds, "cpu": cpu, "rows": rows}, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
