"""API tokens: shown once when they are made, and known by their hash ever after.

A token has 256 random bits, so its plain SHA-256 can be looked up and cannot be turned back.
"""

import hashlib
import secrets

from sites.models import ApiToken, Site

# Lets people, and programs that look for leaked secrets, see whose it is.
PREFIX = "hl_"


def digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def issue(site: Site, name: str, scope: ApiToken.Scope = ApiToken.Scope.EVENTS) -> str:
    """Make a token and give its text, which is kept nowhere."""
    token = PREFIX + secrets.token_urlsafe(32)
    ApiToken.objects.create(site=site, name=name, scope=scope, digest=digest(token), hint=token[-4:])
    return token
