"""Settings, all from the environment; each variable NAME can also be given as a file in NAME_FILE.

With no variable set, everything that must last is kept under `var/`: an embedded PostgreSQL, the Celery
queue, and secrets made on the first start.
"""

import ipaddress
import json
import re
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from celery.schedules import crontab
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from humblytics.demo.addresses import of_running_demo
from humblytics.environment import Environment
from humblytics.secrets import generated
from revenue.secrecy import conceal

BASE_DIR = Path(__file__).resolve().parent.parent
env = Environment()

VAR_DIR = Path(env.str("VAR_DIR", default=str(BASE_DIR / "var"))).resolve()


def _folder(name: str) -> Path:
    """Give a folder of VAR_DIR, made if it is not there."""
    folder = VAR_DIR / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ImproperlyConfigured(
            f"Cannot write to {VAR_DIR}: {error.strerror}. Make it writable, or set VAR_DIR to a folder that is."
        ) from error
    return folder


DEBUG = env.bool("DEBUG", default=False)
# While a demo is running, commands in another terminal mean its sandbox, not the real Stripe.
_demo = of_running_demo(VAR_DIR / "demo")

BASE_URL = env.str("BASE_URL", default=_demo.get("BASE_URL", "http://localhost:8000")).rstrip("/")
if not re.fullmatch(r"https?://([a-zA-Z0-9.-]+|\[[0-9a-fA-F:]+\])(:[0-9]{1,5})?", BASE_URL):
    raise ImproperlyConfigured("BASE_URL must be the dashboard's own address, such as https://stats.example.com")
SECURE = BASE_URL.startswith("https://")
# The demo's shop is the one site whose address has a port, of which hits tell nothing; "" without a running demo.
DEMO_SHOP_URL = _demo.get("SHOP_URL", "")

GENERATED_SECRETS = [name for name in ("SECRET_KEY", "HUMBLYTICS_ENCRYPTION_KEYS") if not env.str(name, default="")]
_secrets = generated(VAR_DIR / "secrets.json") if GENERATED_SECRETS else {}
SECRET_KEY = env.str("SECRET_KEY", default="") or _secrets["SECRET_KEY"]
HUMBLYTICS_ENCRYPTION_KEYS = env.str("HUMBLYTICS_ENCRYPTION_KEYS", default="") or _secrets["HUMBLYTICS_ENCRYPTION_KEYS"]

# Whoever shows it may read /metrics; without one there is no such page.
METRICS_TOKEN = env.str("METRICS_TOKEN", default="")
if METRICS_TOKEN and len(METRICS_TOKEN) < 20:
    raise ImproperlyConfigured("METRICS_TOKEN must be 20 random characters or more.")
# Where several server processes keep their counts together; prometheus_client reads the variable itself.
METRICS_FOLDER = env.str("PROMETHEUS_MULTIPROC_DIR", default="")

ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=[str(urlsplit(BASE_URL).hostname), "localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = [BASE_URL]

# Addresses of the proxies whose X-Forwarded-For, X-Forwarded-Proto and country headers are believed (see edge.py).
try:
    TRUSTED_PROXIES = tuple(
        ipaddress.ip_network(item.strip()) for item in env.list("TRUSTED_PROXIES", default=[]) if item.strip()
    )
except ValueError as error:
    raise ImproperlyConfigured(f"TRUSTED_PROXIES must be a comma list of addresses or networks: {error}") from error

# An MMDB of places; without one, only countries are told. Where it is fetched from may hold a licence key.
GEOIP_PATH = env.str("GEOIP_PATH", default="")
GEOIP_URL = env.str("GEOIP_URL", default="")

STRIPE_API_BASE = env.str("STRIPE_API_BASE", default=_demo.get("STRIPE_API_BASE", "https://api.stripe.com")).rstrip("/")
STRIPE_IS_SANDBOX = bool(re.fullmatch(r"http://(127\.0\.0\.1|localhost|\[::1\])(:[0-9]{1,5})?", STRIPE_API_BASE))
if STRIPE_API_BASE != "https://api.stripe.com" and not STRIPE_IS_SANDBOX:
    raise ImproperlyConfigured("STRIPE_API_BASE may name another host than api.stripe.com only on loopback.")

INSTALLED_APPS = [
    # First, so that what they put into the admin can be taken out again.
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "splittests",
    "revenue",
    "tracking",
    "sites",
    "humblytics",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.forms",
    "django_htmx",
    "csp",
]

MIDDLEWARE = [
    "humblytics.middleware.name_requests",
    "humblytics.middleware.stay_strict",
    "humblytics.metrics.measure_queries",
    "csp.middleware.CSPMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "humblytics.middleware.keep_private",
    "humblytics.middleware.tell_origin",
    "allauth.account.middleware.AccountMiddleware",
    "sites.accounts.middleware.AccountsMiddleware",
    "sites.access.LoginOrShareMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

ROOT_URLCONF = "humblytics.urls"
WSGI_APPLICATION = "humblytics.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "sites.context.sites",
            ]
        },
    }
]
FORM_RENDERER = "django.forms.renderers.TemplatesSetting"

DATABASES: dict[str, dict[str, Any]] = {}
if env.str("DATABASE_URL", default=""):
    with suppress(ValueError):
        DATABASES["default"] = dict(env.db("DATABASE_URL"))
    if DATABASES.get("default", {}).get("ENGINE") != "django.db.backends.postgresql":
        raise ImproperlyConfigured("DATABASE_URL must name a PostgreSQL: postgres://user:password@host:5432/name")
else:
    DATABASES["default"] = {
        "ENGINE": "humblytics.embedded",
        "NAME": "postgres",
        "USER": "postgres",
        "DATA_FOLDER": str(VAR_DIR / "postgres"),
    }
DATABASES["default"].update(CONN_MAX_AGE=60, CONN_HEALTH_CHECKS=True)
# A database that accepts and then says nothing must not take the web server with it.
DATABASES["default"].setdefault("OPTIONS", {}).setdefault("connect_timeout", 5)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "sites.User"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "sites:index"
LOGOUT_REDIRECT_URL = "login"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

# Whoever has a reset link may set a password: it is asked for and used at once, or not at all.
PASSWORD_RESET_TIMEOUT = 3600

# Logging in, second factors, confirming who one is and changing one's address are allauth's; its sign-up, its pages and
# its limits, which keep addresses in a cache of each process, are not used: `sites.accounts` has its own.
ACCOUNT_ADAPTER = "sites.accounts.adapter.AccountAdapter"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_SIGNUP_ENABLED = False
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_CHANGE_EMAIL = True
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_EMAIL_CONFIRMATION_EXPIRE_DAYS = 1
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_RATE_LIMITS = False
ACCOUNT_FORMS = {
    "login": "sites.accounts.forms.LoginForm",
    "reauthenticate": "sites.accounts.forms.ReauthenticateForm",
}
ACCOUNT_REAUTHENTICATION_METHODS = ["password", "mfa"]
ACCOUNT_REAUTHENTICATION_TIMEOUT = 15 * 60

MFA_ADAPTER = "revenue.second_factors.Adapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_RATE_LIMITS = False
MFA_TOTP_ISSUER = "Humblytics"
# Telephones' clocks are a little wrong, and so are people's hands.
MFA_TOTP_TOLERANCE = 1
MFA_FORMS = {
    "authenticate": "sites.accounts.forms.CodeForm",
    "reauthenticate": "sites.accounts.forms.ConfirmingCodeForm",
    "activate_totp": "sites.accounts.forms.FirstCodeForm",
    "add_webauthn": "sites.accounts.forms.PasskeyForm",
}

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = False
USE_TZ = True

STATIC_URL = "/static/"
STATIC_ROOT = _folder("static")
STATICFILES_DIRS = [BASE_DIR / "static"]
# Files are found where they lie until an installation runs collectstatic.
_collected = (STATIC_ROOT / "staticfiles.json").exists() or "collectstatic" in sys.argv
WHITENOISE_USE_FINDERS = not _collected
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if _collected
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}

SESSION_ENGINE = "sites.sessions"
SESSION_COOKIE_NAME = "__Host-sessionid" if SECURE else "humblytics_sessionid"
CSRF_COOKIE_NAME = "__Host-csrftoken" if SECURE else "humblytics_csrftoken"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE
SESSION_COOKIE_HTTPONLY = True
CSRF_COOKIE_HTTPONLY = True
SECURE_SSL_REDIRECT = SECURE
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$"]
SECURE_HSTS_SECONDS = 365 * 86400 if SECURE else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE
SECURE_HSTS_PRELOAD = SECURE
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if SECURE and TRUSTED_PROXIES else None
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "connect-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
        "object-src": [NONE],
    }
}

REDIS_URL = env.str("REDIS_URL", default="")
if REDIS_URL:
    CELERY_BROKER_URL = REDIS_URL
else:
    CELERY_BROKER_URL = "filesystem://"
    CELERY_BROKER_TRANSPORT = "humblytics.filequeue:Transport"
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(_folder("queue/messages")),
        "data_folder_out": str(_folder("queue/messages")),
        "control_folder": str(_folder("queue/control")),
    }
CELERY_TASK_IGNORE_RESULT = True
CELERY_TIMEZONE = "UTC"
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_BEAT_SCHEDULER = "humblytics.beat:Scheduler"
CELERY_BEAT_SCHEDULE_FILENAME = str(VAR_DIR / "beat-schedule")

# How often it is looked whether a Stripe account is due; how often one is read follows from Stripe's ration.
# The sandbox has none, and a demo should not keep anybody waiting.
BEAT_SECONDS = 5 if STRIPE_IS_SANDBOX else 60
CELERY_BEAT_SCHEDULE = {
    "sync-due-accounts": {"task": "revenue.sync_due_accounts", "schedule": BEAT_SECONDS},
    "verify-accounts": {"task": "revenue.verify_accounts", "schedule": crontab(hour=3, minute=17)},
    "forget-visitors": {"task": "tracking.forget_visitors", "schedule": 3600},
    "forget": {"task": "sites.forget", "schedule": 3600},
    "erase-deleted": {"task": "sites.erase_deleted", "schedule": 60},
    "forget-deleted": {"task": "revenue.forget_deleted", "schedule": 60},
    "count-days": {"task": "tracking.count_days", "schedule": 3600},
    "send-alerts": {"task": "revenue.send_alerts", "schedule": 900},
    "gather-exposures": {"task": "splittests.gather_exposures", "schedule": 600},
    "keep-schedule": {"task": "splittests.keep_schedule", "schedule": 60},
    "send-reports": {"task": "tracking.send_reports", "schedule": 3600},
    "prune": {"task": "tracking.prune", "schedule": 86400},
}

try:
    RETENTION_MONTHS = env.int("RETENTION_MONTHS", default=25)
except ValueError as error:
    raise ImproperlyConfigured("RETENTION_MONTHS must be a number of months, or 0.") from error
# Whoever pays may do so a month after the visit, and Stripe may be read a while after the payment.
if RETENTION_MONTHS and not 3 <= RETENTION_MONTHS <= 1200:
    raise ImproperlyConfigured("RETENTION_MONTHS must be 3 or more, or 0 to keep everything.")

EMAIL_CONFIG = env.email("EMAIL_URL", default="consolemail://")
vars().update(EMAIL_CONFIG)
# Without one, mail would be printed, and its readers' addresses with it: nothing is sent then.
HAS_MAIL_SERVER = bool(env.str("EMAIL_URL", default=""))
# A mail server that accepts and then says nothing must not take the worker with it.
EMAIL_TIMEOUT = 20
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default=f"Humblytics <humblytics@{urlsplit(BASE_URL).hostname}>")

# The same for every process: see logs.py.
LOGGING = json.loads((BASE_DIR / "humblytics" / "logging.json").read_text())

# Where errors are reported to; without one, nowhere.
SENTRY_DSN = env.str("SENTRY_DSN", default="")

# Keys of Stripe's are known by their looks, those of this installation only by themselves.
conceal(
    [
        *(SECRET_KEY, METRICS_TOKEN, DATABASES["default"].get("PASSWORD", ""), EMAIL_CONFIG.get("EMAIL_HOST_PASSWORD")),
        *(key.partition(":")[2].strip() for key in HUMBLYTICS_ENCRYPTION_KEYS.split(",")),
        *(urlsplit(REDIS_URL).password, urlsplit(GEOIP_URL).password, urlsplit(SENTRY_DSN).username),
    ]
)
