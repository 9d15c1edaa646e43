"""Secrets of an installation that was given none: made once, kept in a file that only its owner can read."""

import base64
import json
import os
import secrets
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured


def generated(file: Path) -> dict[str, str]:
    """Give the secrets kept in `file`, making them on the first call.

    Return {"SECRET_KEY": text, "HUMBLYTICS_ENCRYPTION_KEYS": "id:base64 of 32 bytes"}.
    Raise ImproperlyConfigured when the file can be neither read nor written.
    """
    try:
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            fresh = {
                "SECRET_KEY": secrets.token_urlsafe(64),
                "HUMBLYTICS_ENCRYPTION_KEYS": "first:" + base64.b64encode(secrets.token_bytes(32)).decode(),
            }
            draft = file.with_name(f"{file.name}.{os.getpid()}")
            draft.touch(mode=0o600)
            with draft.open("w") as output:
                output.write(json.dumps(fresh))
                output.flush()
                # What is encrypted with it must never outlive it.
                os.fsync(output.fileno())
            try:
                # A link fails where a rename would replace the file of a process that was faster.
                os.link(draft, file)
            except FileExistsError:
                pass
            finally:
                draft.unlink()
        kept: dict[str, str] = json.loads(file.read_text())
    except OSError as error:
        raise ImproperlyConfigured(
            f"Cannot keep this installation's secrets in {file}: {error.strerror or error}. "
            "Make that folder writable, set VAR_DIR to one that is, "
            "or set SECRET_KEY and HUMBLYTICS_ENCRYPTION_KEYS."
        ) from error
    except ValueError as error:
        raise ImproperlyConfigured(f"{file} is damaged: restore it from a backup.") from error
    return kept
