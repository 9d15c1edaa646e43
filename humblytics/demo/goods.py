"""What the demo shop sells."""

from dataclasses import dataclass

DOMAIN = "shop.localhost"
CURRENCY = "eur"


@dataclass(frozen=True, slots=True)
class Product:
    slug: str
    name: str
    price: int
    text: str

    @property
    def path(self) -> str:
        return f"/products/{self.slug}"

    @property
    def line_item(self) -> dict[str, object]:
        return {
            "price_data": {
                "currency": CURRENCY,
                "unit_amount": self.price,
                "product_data": {"name": self.name},
            },
            "quantity": 1,
        }


PRODUCTS = {
    product.slug: product
    for product in (
        Product("aurora-lamp", "Aurora desk lamp", 8900, "Warm light that follows the evening."),
        Product("oak-stand", "Oak monitor stand", 5900, "One board of oak, oiled twice."),
        Product("linen-notebook", "Linen notebook", 1900, "A hundred and forty pages, thread-bound."),
        Product("desk-mat", "Wool desk mat", 4500, "Felted merino, quiet under the mouse."),
        Product("studio-set", "Studio set", 18900, "Lamp, stand and mat, together."),
    )
}
