"""Who may see what: users, sites, memberships, and the one door through which a page gets its site.

The lowest app: it imports no other. `periods` [pure] turns a period picker's words into moments.
"""
