"""Settings, read as the process reads them: from its environment."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

READ = "from django.conf import settings; print(settings.{})"


def setting(name: str, folder: Path, **variables: str) -> str:
    done = run(READ.format(name), folder, **variables)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def run(code: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {"PATH": os.environ["PATH"], "DJANGO_SETTINGS_MODULE": "humblytics.settings", "VAR_DIR": str(folder)}
    return subprocess.run(
        [sys.executable, "-c", code], env=kept | variables, capture_output=True, text=True, check=False
    )


def test_without_variables_secrets_are_made_once_for_the_owner_alone(tmp_path: Path) -> None:
    first = setting("SECRET_KEY", tmp_path)
    assert len(first) > 50
    assert setting("SECRET_KEY", tmp_path) == first
    kept = tmp_path / "secrets.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert json.loads(kept.read_text())["SECRET_KEY"] == first
    assert list(tmp_path.glob("secrets.json.*")) == []


def test_a_variable_can_be_given_as_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("from a file")
    assert setting("SECRET_KEY", tmp_path, SECRET_KEY_FILE=str(secret)) == "from a file"


def test_behind_https_cookies_are_secure_and_bound_to_the_host(tmp_path: Path) -> None:
    https = {"BASE_URL": "https://stats.example.com"}
    assert setting("SESSION_COOKIE_NAME", tmp_path, **https) == "__Host-sessionid"
    assert setting("SESSION_COOKIE_SECURE", tmp_path, **https) == "True"
    assert setting("SECURE_HSTS_SECONDS", tmp_path, **https) == "31536000"
    assert setting("ALLOWED_HOSTS[0]", tmp_path, **https) == "stats.example.com"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("STRIPE_API_BASE", "https://evil.example"),
        ("STRIPE_API_BASE", "http://api.stripe.com"),
        ("BASE_URL", "stats.example.com"),
        ("DATABASE_URL", "sqlite:///db.sqlite3"),
        ("TRUSTED_PROXIES", "10.0.0.0/8,proxy"),
        ("RETENTION_MONTHS", "two"),
        ("RETENTION_MONTHS", "2"),
        ("RETENTION_MONTHS", "-1"),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_name(tmp_path: Path, name: str, value: str) -> None:
    done = run(READ.format("DEBUG"), tmp_path, **{name: value})
    assert done.returncode != 0
    assert f"ImproperlyConfigured: {name}" in done.stderr


def test_visits_are_kept_for_25_months_unless_another_number_is_said(tmp_path: Path) -> None:
    assert setting("RETENTION_MONTHS", tmp_path) == "25"
    (tmp_path / "months").write_text("0\n")
    assert setting("RETENTION_MONTHS", tmp_path, RETENTION_MONTHS_FILE=str(tmp_path / "months")) == "0"
