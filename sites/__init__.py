"""Who may see what: users, sites, memberships, share links, API tokens, and the one door to a site's pages.

The lowest app: it imports no other. `periods` [pure] turns a period picker's words into moments.
"""
