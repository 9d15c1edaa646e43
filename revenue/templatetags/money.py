from django import template

from revenue.money import format_money

register = template.Library()
register.filter("money", format_money)
