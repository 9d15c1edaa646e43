from django.db import migrations


def keep_what_was_tested(apps, schema_editor):
    """Turn the one page, element and texts of each test into a rule and changes; running tests go on as they were."""
    SplitTest = apps.get_model("splittests", "SplitTest")
    for test in SplitTest.objects.prefetch_related("variants"):
        test.pages = [test.path]
        test.kind = "changes" if test.selector else "code"
        test.save(update_fields=["pages", "kind"])
        for variant in test.variants.all():
            if test.selector and variant.text:
                change = {"selector": test.selector, "action": "text", "name": "", "value": variant.text}
                variant.changes = [change]
                variant.save(update_fields=["changes"])


def bring_back(apps, schema_editor):
    """Keep of each test what one page, one element and texts can say."""
    SplitTest = apps.get_model("splittests", "SplitTest")
    for test in SplitTest.objects.prefetch_related("variants"):
        texts = [change for one in test.variants.all() for change in one.changes if change["action"] == "text"]
        test.path = next((rule for rule in test.pages if not rule.startswith("!")), "/")
        test.selector = texts[0]["selector"][:200] if texts else ""
        test.save(update_fields=["path", "selector"])
        for variant in test.variants.all():
            own = (change["value"] for change in variant.changes if change in texts)
            variant.text = next(own, "")[:500]
            variant.save(update_fields=["text"])


class Migration(migrations.Migration):

    dependencies = [
        ('splittests', '0003_definitions'),
    ]

    operations = [
        migrations.RunPython(keep_what_was_tested, bring_back),
    ]
