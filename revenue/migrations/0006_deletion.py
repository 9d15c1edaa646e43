import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('revenue', '0005_as_known_then'),
        ('sites', '0008_deletion'),
    ]

    operations = [
        migrations.AlterField(
            model_name='attribution',
            name='site',
            field=models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='sites.site'),
        ),
        migrations.AlterField(
            model_name='formerdecision',
            name='site',
            field=models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='sites.site'),
        ),
    ]
