from django.conf import settings

from sites.models import Site


def script_tag(site: Site) -> str:
    """Give the HTML that the site's pages need so that their views are counted."""
    return f'<script src="{settings.BASE_URL}/js/{site.key}.js"></script>'
