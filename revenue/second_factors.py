"""The secrets of second factors, sealed like the Stripe keys.

Here, because `revenue.encryption` is the one door to that, and with the Stripe keys they are sealed anew.
"""

from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator

from revenue import encryption
from revenue.secrecy import Secret

CONTEXT = "allauth.mfa.Authenticator.data"
# Where each kind keeps its secret; a passkey has none.
SECRETS = {Authenticator.Type.TOTP: "secret", Authenticator.Type.RECOVERY_CODES: "seed"}


class Adapter(DefaultMFAAdapter):  # type: ignore[misc]
    """Where allauth asks how second factors are kept."""

    error_messages = DefaultMFAAdapter.error_messages | {"incorrect_code": "This code is wrong, or was used already."}

    def encrypt(self, text: str) -> str:
        return encryption.seal(Secret(text), CONTEXT)

    def decrypt(self, encrypted_text: str) -> str:
        return encryption.unseal(encrypted_text, CONTEXT).reveal()
