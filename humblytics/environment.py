"""The process's environment, where each NAME can also be the path of a file in NAME_FILE."""

import environ
from django.core.exceptions import ImproperlyConfigured


class Variables(environ.FileAwareMapping):  # type: ignore[misc]
    """Values without the newline that files end with."""

    def __getitem__(self, key: str) -> str:
        try:
            value: str = super().__getitem__(key)
        except OSError as error:
            raise ImproperlyConfigured(f"{key}_FILE cannot be read: {error.strerror}.") from error
        return value.strip()


class Environment(environ.FileAwareEnv):  # type: ignore[misc]
    ENVIRON = Variables()
