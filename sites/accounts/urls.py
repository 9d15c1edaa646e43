"""The pages of accounts. Names that begin with `account_` and `mfa_` are those by which allauth finds them."""

from django.urls import path

from sites.accounts import views

urlpatterns = [
    path("login/", views.log_in, name="login"),
    path("login/", views.log_in, name="account_login"),
    path("login/forgotten/", views.forgotten, name="account_reset_password"),
    path("login/new-password/<str:uidb64>/<str:token>/", views.new_password, name="password_reset_confirm"),
    path("logout/", views.log_out, name="logout"),
    path("account/", views.account, name="account"),
    path("account/password/", views.change_password, name="account_change_password"),
    path("account/confirm/", views.confirm, name="account_reauthenticate"),
]
