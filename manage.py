#!/usr/bin/env python
import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line
from django.db import OperationalError

USAGE = 2

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "humblytics.settings")
    # What an operator can mend is said in a sentence, not in a traceback.
    try:
        " ".join(sys.argv).encode()
    except UnicodeEncodeError:
        sys.stderr.write("The arguments are not UTF-8.\n")
        sys.exit(USAGE)
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(str(error))
    except OperationalError as error:
        sys.exit(f"The database did not answer: {error}".strip())
