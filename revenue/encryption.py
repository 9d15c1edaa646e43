"""AES-256-GCM for the secrets that must be kept, under keys from HUMBLYTICS_ENCRYPTION_KEYS.

A sealed text is `v1.KEYID.NONCE.CIPHERTEXT` and opens only with the `context` it was sealed with, which names
its column and row: copied to another row it is worthless.
"""

import base64
import binascii
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

from revenue.secrecy import Secret

NONCE_BYTES = 12


class UnreadableError(Exception):
    """A sealed text cannot be opened: another row's, altered, or its key is not configured."""


class EncryptionKeysError(UnreadableError):
    """HUMBLYTICS_ENCRYPTION_KEYS is not a comma list of id:base64 of 32 bytes, so nothing can be opened or sealed."""


def keys() -> dict[str, bytes]:
    """Give the configured keys by id, the one that seals first. Raise EncryptionKeysError."""
    found: dict[str, bytes] = {}
    for item in settings.HUMBLYTICS_ENCRYPTION_KEYS.split(","):
        name, _, encoded = item.strip().partition(":")
        try:
            key = base64.b64decode(encoded, validate=True)
        except binascii.Error:
            key = b""
        if not name or "." in name or name in found or len(key) != 32:
            # The value itself is never part of the message.
            raise EncryptionKeysError(
                "HUMBLYTICS_ENCRYPTION_KEYS must be a comma list of id:key, each key the base64 of 32 random bytes."
            )
        found[name] = key
    return found


def seal(secret: Secret, context: str) -> str:
    name, key = next(iter(keys().items()))
    nonce = secrets.token_bytes(NONCE_BYTES)
    sealed = AESGCM(key).encrypt(nonce, secret.reveal().encode(), context.encode())
    return ".".join(["v1", name, base64.urlsafe_b64encode(nonce).decode(), base64.urlsafe_b64encode(sealed).decode()])


def sealed_under(text: str) -> str:
    """Give the id of the key that `text` was sealed with, "" if it was never sealed."""
    parts = text.split(".")
    return parts[1] if len(parts) == 4 else ""


def unseal(text: str, context: str) -> Secret:
    """Open what `seal` made. Raise UnreadableError; there is no fallback."""
    try:
        version, name, nonce, sealed = text.split(".")
        key = keys()[name]
        if version != "v1":
            raise UnreadableError("sealed by another version")
        plain = AESGCM(key).decrypt(base64.urlsafe_b64decode(nonce), base64.urlsafe_b64decode(sealed), context.encode())
    except (ValueError, KeyError, InvalidTag) as error:
        raise UnreadableError("the stored secret cannot be opened with the configured encryption keys") from error
    return Secret(plain.decode())
