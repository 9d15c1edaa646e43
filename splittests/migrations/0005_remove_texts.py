from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('splittests', '0004_texts_become_changes'),
    ]

    operations = [
        migrations.AlterField(
            model_name='splittest',
            name='path',
            field=models.CharField(default='', max_length=500),
        ),
        migrations.RemoveField(
            model_name='splittest',
            name='path',
        ),
        migrations.RemoveField(
            model_name='splittest',
            name='selector',
        ),
        migrations.RemoveField(
            model_name='variant',
            name='text',
        ),
    ]
