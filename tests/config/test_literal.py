import pytest

from secretkit.config.literal import url_password

PASSWORD = "hunter" + "2pw"


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://u:{PASSWORD}@h/db",
        f"postgresql://:{PASSWORD}@h/db",
        f"postgresql://u:hun/{PASSWORD}@h/db",
        f"postgresql://u:{'#' + PASSWORD}@h/db",
        f"postgresql://u:{'?' + PASSWORD}@h/db",
        f"postgresql://u:hun {PASSWORD}@h/db",
        f"postgresql://u%3A{PASSWORD}@h/db",
        f"postgresql:///db?password={PASSWORD}",
        f"postgresql:///db?host=h&sslpassword={PASSWORD}",
        f"postgresql:///db?host=h&SSLPassword={PASSWORD}",
        f"postgresql:///db?ssl%70assword={PASSWORD}",
        f"postgresql:///db?oauth_client_secret={PASSWORD}",
    ],
)
def test_a_password_in_a_url_is_found_wherever_it_stands(url):
    assert url_password(url)


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
