import pytest
from django.db import connection

from humblytics.apps import WORK_MEM


@pytest.mark.django_db
def test_large_sums_are_sorted_in_memory() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SHOW work_mem")
        assert cursor.fetchone() == (WORK_MEM,)
