"""Faults of a whole installation, each under load: what was acknowledged is kept, and all goes on without hands.

    uv run --group dev pytest tests/drills -m nightly -n 1

What else goes wrong is tried elsewhere: servers and databases that are killed, and a database that is read-only or may
write no more, in tests/tracking/test_durability.py; workers that are killed at each single statement in
tests/revenue/test_crashes.py; weeks without a worker in tests/revenue/test_outage.py; a Stripe that is slow, silent or
wrong in tests/revenue/test_faults.py; a backup that is restored in tests/revenue/test_backup.py.
"""
