"""The secrets of second factors, sealed like the Stripe keys.

Here, because `revenue.encryption` is the one door to that, and with the Stripe keys they are sealed anew.
"""

from allauth.core import context
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator

from revenue import encryption
from revenue.secrecy import Secret
from sites.accounts.origin import origin_of
from sites.models import User

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

    def generate_authenticator_name(self, user: User, type: str) -> str:
        origin = origin_of(context.request)
        return f"{origin.browser} on {origin.system}" if origin.browser and origin.system else "Passkey"
