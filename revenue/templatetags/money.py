from django import template

from revenue.money import format_money

register = template.Library()
register.filter("money", format_money)


@register.filter
def difference(minor: int, currency: str) -> str:
    """Write an amount that another was changed by, with its sign."""
    return f"{'+' if minor > 0 else ''}{format_money(minor, currency)}"
