from pathlib import Path
from typing import Any

from django.db.backends.postgresql import base

from humblytics.embedded import socket_folder


class DatabaseWrapper(base.DatabaseWrapper):
    """PostgreSQL whose server is started on the first connection."""

    def get_connection_params(self) -> dict[str, Any]:
        self.settings_dict["HOST"] = socket_folder(Path(self.settings_dict["DATA_FOLDER"]))
        return super().get_connection_params()
