"""The live page's files: how they are served, what they may contain, and that a wheel has them."""

from __future__ import annotations

import re
import shutil
import sys
from typing import TYPE_CHECKING

import pytest

from tests.fakes.control import Operator
from tests.fakes.house import House
from tests.support import processes
from tests.support.sources import ROOT
from vpnws.control.page.files import STRICT_HEADERS, PageFiles

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.fakes.uwsgi import Request

HTML = {"HTTP_ACCEPT": "text/html,application/xhtml+xml,*/*;q=0.8"}
FILES = PageFiles()
SCRIPTS = [name for name in FILES.names() if name.endswith(".js")]
MAX_LINES = 300
MARKUP = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|\beval\(")
"""What could make markup or code of a station's name."""


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with House(workers=1) as built:
        yield built


def text_of(name: str) -> str:
    found = FILES.find(name)
    assert found is not None
    return found.body.decode()


def header(request: Request, name: str) -> str:
    (value,) = [value for key, value in request.headers if key == name]
    return value


class TestServed:
    def test_whoever_asks_for_html_gets_the_page_and_others_the_json(self, house: House) -> None:
        page = Operator(house).begin("GET", "", **HTML)
        assert page.status.startswith("200")
        assert header(page, "Content-Type") == "text/html; charset=utf-8"
        assert bytes(page.body) == FILES.index().body
        assert Operator(house).ask("GET", "")[1]["status"] == "ok"

    @pytest.mark.parametrize("name", FILES.names())
    def test_every_file_is_served_with_the_strict_headers(self, house: House, name: str) -> None:
        for location in ("/vpn_admin/", "/a/b%20c/page/", "/"):
            file = Operator(house, location=location).begin("GET", f"page/{name}")
            assert bytes(file.body).decode() == text_of(name)
            assert set(STRICT_HEADERS) <= set(file.headers)
            assert header(file, "Content-Security-Policy").startswith("default-src 'none'; ")

    def test_a_file_that_the_browser_has_is_not_sent_again(self, house: House) -> None:
        etag = header(Operator(house).begin("GET", "page/main.js"), "ETag")
        for known in (etag, f'"other", W/{etag}', "*"):
            again = Operator(house).begin("GET", "page/main.js", HTTP_IF_NONE_MATCH=known)
            assert again.status.startswith("304")
            assert not again.body
        other = Operator(house).begin("GET", "page/main.js", HTTP_IF_NONE_MATCH='"other"')
        assert other.status.startswith("200")

    @pytest.mark.parametrize(
        "name", ["", "none.js", "files.py", "../views.py", "%2e%2e/views.py", "page/main.js/", "."]
    )
    def test_no_path_leads_to_another_file(self, house: House, name: str) -> None:
        assert Operator(house).ask("GET", f"page/{name}")[0] == 404

    def test_a_location_without_its_slash_leads_to_the_one_with_it(self, house: House) -> None:
        """Otherwise the page's files would be looked for beside the location."""
        answer = Operator(house, location="/admin/vpn").begin("GET", "", **HTML)
        assert answer.status.startswith("308")
        assert header(answer, "Location") == "./vpn/"

    def test_a_link_from_another_site_opens_the_page_but_none_embeds_its_files(
        self, house: House
    ) -> None:
        other = {"HTTP_SEC_FETCH_SITE": "cross-site"}
        opened = Operator(house).begin("GET", "", **HTML, **other, HTTP_SEC_FETCH_MODE="navigate")
        assert opened.status.startswith("200")
        embedded = Operator(house).begin(
            "GET", "page/main.js", **other, HTTP_SEC_FETCH_MODE="no-cors"
        )
        assert embedded.status.startswith("403")


class TestWritten:
    def test_the_page_has_no_script_style_or_handler_of_its_own(self) -> None:
        page = text_of("index.html")
        assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", page)
        assert re.findall(r"<script[^>]*>([^<]*)</script>", page) == [""]

    def test_nothing_comes_from_elsewhere_and_every_link_is_relative(self) -> None:
        targets = re.findall(r"(?:href|src|action)=\"([^\"]*)\"", text_of("index.html"))
        files = [target for target in targets if not target.startswith("#")]
        assert files
        assert [each for each in files if FILES.find(each.removeprefix("page/")) is None] == []
        for name in ("style.css", *SCRIPTS):
            text = text_of(name).replace("http://www.w3.org/2000/svg", "")
            assert "://" not in text, name
        assert not re.search(r"@import|url\(", text_of("style.css"))

    @pytest.mark.parametrize("name", SCRIPTS)
    def test_a_module_imports_modules_that_are_there_and_makes_no_markup(self, name: str) -> None:
        text = text_of(name)
        imported = re.findall(r"from \"\./([\w.]+)\"", text)
        assert [each for each in imported if FILES.find(each) is None] == []
        assert not MARKUP.search(text)
        assert text.startswith("// ")
        assert text.count("\n") <= MAX_LINES

    def test_every_module_is_used(self) -> None:
        everything = "".join(text_of(name) for name in (*SCRIPTS, "index.html"))
        unused = [name for name in SCRIPTS if f"/{name}" not in everything]
        assert unused == []

    def test_every_id_that_a_module_asks_for_is_in_the_page(self) -> None:
        ids = set(re.findall(r"\sid=\"([\w-]+)\"", text_of("index.html")))
        asked = {
            each for name in SCRIPTS for each in re.findall(r"byId\(\"([\w-]+)\"", text_of(name))
        }
        assert asked <= ids

    def test_every_colour_of_light_has_one_for_dark(self) -> None:
        light, _, rest = text_of("style.css").partition("@media (prefers-color-scheme: dark)")
        dark = rest.partition("\n}\n")[0]
        names = [set(re.findall(r"(--[\w-]+): (?:#|none|0 )", part)) for part in (light, dark)]
        assert names[0] == names[1]


def test_a_wheel_has_the_page(tmp_path: Path) -> None:
    for name in ("pyproject.toml", "README.md", "LICENSE", "vpnws_app.py"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "vpnws", tmp_path / "vpnws")
    build = "from setuptools import setup; setup(script_args=['-q', 'build_py', '-d', 'built'])"
    processes.run([sys.executable, "-c", build], cwd=tmp_path)
    built = {path.name for path in (tmp_path / "built/vpnws/control/page").iterdir()}
    assert set(FILES.names()) <= built
