"""What visitors did: views, visits and events, taken in by the ASGI ingest and counted on the dashboard.

    hits (parse) -> devices, sources, places (enrich) -> recorder (one statement, one commit) -> stats

Imports `sites` only. `visitors`, `sources`, `devices` and `hits` are pure.
"""
