"""The proxy of the environment is used, but not for this machine."""

import pytest

from adapters.proxies import proxy_for


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("https://discord.com/api/v10", "http://proxy.example:1"),
        ("wss://gateway.discord.gg/", "http://proxy.example:1"),
        ("http://127.0.0.1:9/api", None),
        ("ws://localhost:9/", None),
        ("http://[::1]:9/", None),
        ("https://inside.example/api", None),
    ],
)
def test_a_proxy_of_the_environment_is_used_but_not_for_this_machine(
    url: str, proxy: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://proxy.example:1")
    monkeypatch.setenv("NO_PROXY", "inside.example")
    monkeypatch.setenv("no_proxy", "inside.example")

    assert proxy_for(url) == proxy
