"""The pages of accounts. Names that begin with `account_` and `mfa_` are those by which allauth finds them."""

from django.urls import path

from sites.accounts import factor_views, views

urlpatterns = [
    path("login/", views.log_in, name="login"),
    path("login/", views.log_in, name="account_login"),
    path("login/code/", factor_views.second_factor, name="mfa_authenticate"),
    path("login/passkey/", factor_views.log_in_with_passkey, name="mfa_login_webauthn"),
    path("login/forgotten/", views.forgotten, name="account_reset_password"),
    path("login/new-password/<str:uidb64>/<str:token>/", views.new_password, name="password_reset_confirm"),
    path("logout/", views.log_out, name="logout"),
    path("account/", views.account, name="account"),
    path("account/", views.account, name="mfa_index"),
    path("account/", views.account, name="mfa_list_webauthn"),
    path("account/password/", views.change_password, name="account_change_password"),
    path("account/email/", views.change_email, name="account_email"),
    path("account/email/cancel/", views.cancel_email, name="cancel-email"),
    path("account/email/confirm/<str:key>/", views.confirm_email, name="account_confirm_email"),
    path("account/sessions/<slug:name>/end/", views.end_session, name="end-session"),
    path("account/sessions/end-others/", views.end_other_sessions, name="end-other-sessions"),
    path("account/delete/", views.delete, name="delete-account"),
    path("account/confirm/", factor_views.confirm, name="account_reauthenticate"),
    path("account/confirm/code/", factor_views.confirm_by_code, name="mfa_reauthenticate"),
    path("account/confirm/passkey/", factor_views.confirm_by_passkey, name="mfa_reauthenticate_webauthn"),
    path("account/code/", factor_views.add_code, name="mfa_activate_totp"),
    path("account/code/remove/", factor_views.remove_code, name="mfa_deactivate_totp"),
    path("account/recovery-codes/", factor_views.recovery_codes, name="mfa_view_recovery_codes"),
    path("account/recovery-codes/renew/", factor_views.renew_recovery_codes, name="mfa_generate_recovery_codes"),
    path("account/passkeys/add/", factor_views.add_passkey, name="mfa_add_webauthn"),
    path("account/passkeys/<int:pk>/remove/", factor_views.remove_passkey, name="mfa_remove_webauthn"),
]
