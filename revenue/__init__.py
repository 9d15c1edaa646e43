"""What Stripe says was earned, and which visit earned it.

    stripe_client -> pager -> sync (mirror) -> ledger (lines) -> crediting (decisions) -> stats
                                                   -> reconcile (proof)

Imports `tracking` and `sites`. `money`, `ledger`, `attribution`, `budget`, `secrecy`, `health`, `snippets` are pure;
only `stripe_client` imports stripe, only `encryption` imports cryptography; `sandbox` is a stand-in Stripe that
imports nothing of Django.
"""
