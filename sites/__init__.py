"""Who may see what: users, sites, memberships, share links, API tokens, and the one door to a site's pages.

`access` is that door, `api` the one for programs. The lowest app: it imports no other. `periods`, `parameters` and
`openapi` are pure.
"""
