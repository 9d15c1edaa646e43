from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('revenue', '0007_former_decisions_by_site'),
    ]

    operations = [
        # Null by itself, so no row is rewritten, and a server of the version before can go on storing payments.
        migrations.AddField(
            model_name='charge',
            name='customer_view_id',
            field=models.CharField(help_text='As it was when the customer was first seen with the payment; null where Stripe did not show him.', max_length=500, null=True, verbose_name='humblytics_view_id of the customer'),
        ),
    ]
