import pytest

from secretkit.config.literal import url_password

PASSWORD = "hunter" + "2pw"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:PASSWORD@h/db",
        "postgresql://:PASSWORD@h/db",
        "postgresql://u:hun/PASSWORD@h/db",
        "postgresql://u:hun#PASSWORD@h/db",
        "postgresql://u:hun?PASSWORD@h/db",
        "postgresql://u:hun PASSWORD@h/db",
        "postgresql://u%3APASSWORD@h/db",
        "postgresql:///db?password=PASSWORD",
        "postgresql:///db?host=h&sslpassword=PASSWORD",
        "postgresql:///db?host=h&SSLPassword=PASSWORD",
        "postgresql:///db?ssl%70assword=PASSWORD",
        "postgresql:///db?oauth_client_secret=PASSWORD",
    ],
)
def test_a_password_in_a_url_is_found_wherever_it_stands(url):
    assert url_password(url.replace("PASSWORD", PASSWORD))


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://u@h:5432/db?sslmode=verify-full",
        "postgresql://h1:5432,h2:5433/db?target_session_attrs=any&passfile=/x",
        "sqlite:///~/ledger.db",
        "https://vault.internal:8200/v1",
        "local:claude#token@3",
        "a: b@c",
    ],
)
def test_what_holds_no_password_passes(text):
    assert not url_password(text)
