from django.test import Client

from sites.models import Site, User


def test_admin_adds_a_user_by_e_mail_address(admin_client: Client) -> None:
    admin_client.post(
        "/admin/sites/user/add/",
        {
            "email": "Anna@Example.com",
            "usable_password": "true",
            "password1": "correct horse battery",
            "password2": "correct horse battery",
        },
    )
    assert User.objects.get(email="anna@example.com").check_password("correct horse battery")


def test_admin_pages_of_sites_can_be_opened(admin_client: Client, site: Site, owner: User) -> None:
    for path in (
        "user/",
        f"user/{owner.pk}/change/",
        "user/?q=owner",
        "site/?q=shop",
        f"site/{site.pk}/change/",
        "membership/?q=shop",
    ):
        assert admin_client.get(f"/admin/sites/{path}").status_code == 200


def test_admin_cannot_delete_a_site(admin_client: Client, site: Site) -> None:
    assert admin_client.post(f"/admin/sites/site/{site.pk}/delete/", {"post": "yes"}).status_code == 403
