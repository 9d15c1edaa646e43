"""`manage.py demo`: the whole product on one machine, with a shop, a sandbox Stripe and nine weeks of history.

`history` invents what visitors did, `building` puts it through the ingest, the sandbox and the sync, `shop` is
the customer's web site, `processes` runs the servers.
"""
