"""Where the script tag goes on the platforms that most sites are made with. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Way:
    platform: str
    where: str
    code: str


def ways(tag: str, url: str) -> list[Way]:
    """Give the ways to have `tag`, which loads the script from `url`, on every page."""
    return [
        Way(
            "Next.js",
            "In the root layout, app/layout.tsx. Pages that change without loading anew are counted by themselves.",
            f'import Script from "next/script";\n\n<Script src="{url}" strategy="beforeInteractive" />',
        ),
        Way(
            "WordPress",
            "At the end of functions.php of your theme, or in the header box of a plugin for header code.",
            f"add_action( 'wp_head', function () {{\n    echo '{tag}';\n}}, 1 );",
        ),
        Way("Shopify", "Online Store → Themes → Edit code → layout/theme.liquid, before </head>.", tag),
        Way("Webflow, Squarespace, Wix, Ghost", "In the settings, under custom code: the box for the head.", tag),
        Way(
            "Google Tag Manager",
            "New tag → Custom HTML, with the trigger “Initialization – All Pages”. In the page itself is better: who "
            "blocks Tag Manager is not counted, and a checkout may be faster than the tag.",
            tag,
        ),
    ]
