"""The web pages and what the browser is told about them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from app.pages import pages

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<title>Frigo</title>")
    (tmp_path / "favicon.svg").write_text("<svg/>")
    (tmp_path / "assets" / "index-a1b2c3.js").write_text("1")
    (tmp_path.parent / "secret.txt").write_text("secret")
    return tmp_path


@pytest.fixture
def browser(dist: Path) -> Any:
    app = Flask("pages", static_folder=None)
    app.post("/api/diagrams")(lambda: "")
    app.register_blueprint(pages(dist))
    return app.test_client()


@pytest.mark.parametrize("path", ["/", "/reunions", "/reunions/abc123", "/discussion", "/supervision"])
def test_every_address_of_the_application_is_the_page(path: str, browser: Any) -> None:
    answer = browser.get(path, headers=HTML)
    assert (answer.status_code, answer.data) == (200, b"<title>Frigo</title>")
    assert answer.headers["Cache-Control"] == "no-cache"


def test_head_is_answered_as_get(browser: Any) -> None:
    assert browser.head("/", headers=HTML).status_code == 200
    assert browser.head("/reunions", headers=HTML).status_code == 200


def test_hashed_files_are_kept_forever_and_others_are_not(browser: Any) -> None:
    hashed = browser.get("/assets/index-a1b2c3.js")
    assert "immutable" in hashed.headers["Cache-Control"]
    assert hashed.mimetype == "text/javascript"
    assert "immutable" not in browser.get("/favicon.svg").headers["Cache-Control"]


@pytest.mark.parametrize("path", ["/api/nothing", "/v1", "/assets/gone.js", "/docs/x", "/assets/../../secret.txt"])
def test_what_does_not_exist_is_a_404_even_for_a_browser(path: str, browser: Any) -> None:
    assert browser.get(path, headers=HTML).status_code == 404


@pytest.mark.parametrize(
    "path", ["/../secret.txt", "/%2e%2e/secret.txt", "/..%2fsecret.txt", "/assets/%2e%2e/%2e%2e/secret.txt"]
)
def test_nothing_outside_the_build_is_served(path: str, browser: Any) -> None:
    assert b"secret" not in browser.get(path, headers=HTML).data


def test_programs_get_a_404_instead_of_the_page(browser: Any) -> None:
    assert browser.get("/reunions", headers={"Accept": "application/json"}).status_code == 404


def test_a_method_is_refused_by_name_only_where_another_is_accepted(browser: Any) -> None:
    refused = browser.get("/api/diagrams")
    assert (refused.status_code, refused.headers["Allow"]) == (405, "POST")
    assert browser.post("/api/nothing").status_code == 404


def test_without_a_build_the_page_says_how_to_make_it(tmp_path: Path) -> None:
    app = Flask("pages", static_folder=None)
    app.register_blueprint(pages(tmp_path / "dist"))
    answer = app.test_client().get("/", headers=HTML)
    assert answer.status_code == 503
    assert b"npm run build" in answer.data


def test_the_browser_is_told_to_run_our_scripts_only(client: Any) -> None:
    policy = client.get("/", headers=HTML).headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "script-src" not in policy
    assert "'unsafe-eval'" not in policy
    for part in ("frame-ancestors 'none'", "object-src 'none'", "base-uri 'none'", "connect-src 'self'"):
        assert part in policy
    headers = client.get("/api/meetings").headers
    assert (headers["X-Content-Type-Options"], headers["Referrer-Policy"]) == ("nosniff", "same-origin")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 404),
        ({"Origin": "http://localhost"}, 404),
        ({"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}, 404),
        ({"Sec-Fetch-Site": "none"}, 404),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://localhost:8080"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
    ],
)
def test_only_our_own_pages_may_change_anything(headers: dict[str, str], status: int, client: Any) -> None:
    assert client.post("/api/meetings/none/cancel", headers=headers).status_code == status
    assert client.get("/api/meetings", headers=headers).status_code == 200


def test_only_accepted_host_names_are_answered(settings: Any) -> None:
    from app.factory import create_app

    guarded = create_app(settings.model_copy(update={"allowed_hosts": ["frigo.example"]})).test_client()
    assert guarded.get("/api/meetings", headers={"Host": "evil.example"}).status_code == 421
    assert guarded.get("/api/meetings", headers={"Host": "frigo.example:5000"}).status_code == 200
