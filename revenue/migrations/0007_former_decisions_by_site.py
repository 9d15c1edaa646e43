from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):

    # The table may be large, and payments are decided about while this runs.
    atomic = False

    dependencies = [
        ('revenue', '0006_deletion'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='formerdecision',
            index=models.Index(fields=['site'], name='former_decision_by_site'),
        ),
    ]
