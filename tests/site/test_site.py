"""Each page of the site as a reader sees it: in light and dark, on a wide screen and on one of 360 pixels.

AXISOFT_SITE is the folder of the built pages, AXISOFT_AXE the file axe.min.js of axe-core, AXISOFT_CHROMIUM the browser
and AXISOFT_LOOKS a folder for pictures; ``nox -s site`` sets all four.
"""

from __future__ import annotations

import os
import threading
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import pytest
from playwright.sync_api import sync_playwright

SITE = Path(os.environ["AXISOFT_SITE"])
AXE = Path(os.environ["AXISOFT_AXE"]).read_text()
LOOKS = Path(os.environ["AXISOFT_LOOKS"])
PAGES = sorted(path.relative_to(SITE).as_posix() for path in SITE.rglob("*.html"))
WITH_FIGURES = ("axis.html", "numerics.html", "how-it-works.html", "performance.html")
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 360, "height": 740}

FIGURES = """() => [...document.querySelectorAll('article img')].map(img => {
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [64, 64];
    const context = canvas.getContext('2d');
    if (img.complete && img.naturalWidth) context.drawImage(img, 0, 0, 64, 64);
    const data = context.getImageData(0, 0, 64, 64).data;
    const colours = new Set();
    for (let i = 0; i < data.length; i += 4) colours.add([data[i], data[i + 1], data[i + 2], data[i + 3]].join());
    return [img.src, colours.size];
})"""
WIDER = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
VIOLATIONS = """async () => (await axe.run(document, {resultTypes: ['violations']})).violations
    .filter(v => ['serious', 'critical'].includes(v.impact))
    .map(v => [v.id, v.help, v.nodes.slice(0, 3).map(n => n.html + ' ' + n.failureSummary)])"""


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture(scope="session")
def address():
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(SITE)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def browser():
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=os.environ["AXISOFT_CHROMIUM"], args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(params=["light", "dark"])
def scheme(request):
    return request.param


@pytest.fixture
def tab(browser, scheme):
    """A page, and in ``tab.wrong`` what its console or its network complains of."""
    context = browser.new_context(viewport=WIDE, color_scheme=scheme)
    page = context.new_page()
    page.wrong = []
    page.on("console", lambda message: message.type in ("error", "warning") and page.wrong.append(message.text))
    page.on("pageerror", lambda error: page.wrong.append(str(error)))
    page.on("requestfailed", lambda request: page.wrong.append(f"failed: {request.url}"))
    page.on("response", lambda response: response.status >= 400 and page.wrong.append(f"not there: {response.url}"))
    yield page
    context.close()


def test_there_are_pages_of_every_kind():
    assert {"index.html", "axis.html", "api/cross_entropy.html", "gallery/lost_digits.html"} < set(PAGES)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_as_it_is_seen(page, tab, scheme, address):
    asked = []
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(address + page, wait_until="load")
    figures = tab.evaluate(FIGURES)
    assert all(colours > 4 for _, colours in figures), figures
    assert figures or (page not in WITH_FIGURES and not page.startswith("gallery/"))
    assert tab.locator(".sphx-glr-script-out", has_text="Warning").count() == 0
    assert tab.evaluate(WIDER) <= 0
    tab.add_script_tag(content=AXE)
    assert tab.evaluate(VIOLATIONS) == []
    LOOKS.mkdir(exist_ok=True, parents=True)
    name = page.removesuffix(".html").replace("/", "-")
    tab.screenshot(path=LOOKS / f"{name}-{scheme}.png", full_page=True)
    tab.set_viewport_size(NARROW)
    assert tab.evaluate(WIDER) <= 0
    tab.screenshot(path=LOOKS / f"{name}-{scheme}-narrow.png", full_page=True)
    assert tab.wrong == []
    assert [url for url in asked if not url.startswith((address, "data:"))] == []


def test_search_finds_cross_entropy(tab, scheme, address):
    tab.goto(address)
    tab.fill("input[name=q]", "cross_entropy")
    tab.press("input[name=q]", "Enter")
    first = tab.locator("#search-results ul.search li a").first
    first.wait_for()
    assert first.get_attribute("href").startswith("api/cross_entropy.html")
    tab.screenshot(path=LOOKS / f"search-found-{scheme}.png")
    assert tab.wrong == []


def test_two_clicks_from_the_front_page_to_the_right_call(tab, scheme, address):
    """What a reader with logits (N, C, H, W) in PyTorch does, and the code that is then before them."""
    tab.goto(address)
    row = tab.locator("tr", has_text="(N, C, H, W)").first
    tab.screenshot(path=LOOKS / f"way-1-{scheme}.png")
    row.locator("a").first.click()
    tab.wait_for_url("**/api/cross_entropy.html*")
    label = tab.locator(".sd-tab-set > label", has_text="PyTorch").first
    label.click()
    tab.screenshot(path=LOOKS / f"way-2-{scheme}.png")
    code = tab.locator("div.highlight-python:visible").last.inner_text()
    assert "import torch" in code
    assert "axisoft.cross_entropy(logits, labels, axis=1)" in code  # tests/test_docs.py runs it
    assert tab.wrong == []


class Anchors(HTMLParser):
    def __init__(self):
        super().__init__()
        self.names, self.links = set(), []

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.names |= {attrs[key] for key in ("id", "name") if attrs.get(key)}
        self.links += [attrs[key] for key in ("href", "src") if attrs.get(key)]


@pytest.fixture(scope="session")
def anchors():
    found = {}
    for page in PAGES:
        found[page] = Anchors()
        found[page].feed((SITE / page).read_text())
    return found


@pytest.mark.parametrize("page", PAGES)
def test_every_link_inside_leads_somewhere(page, anchors):
    for link in anchors[page].links:
        if urlsplit(link).scheme:
            continue
        path, name = urldefrag(link)
        target = (SITE / page).parent / unquote(urlsplit(path).path) if path else SITE / page
        target = (target / "index.html" if target.is_dir() else target).resolve()
        assert target.exists(), link
        if name and target.suffix == ".html":
            assert unquote(name) in anchors[target.relative_to(SITE.resolve()).as_posix()].names, link
