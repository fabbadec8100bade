"""The report in a real browser, where one is installed (playwright and Chromium)."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from cli.conftest import Tqconv

MODELS = Path(__file__).parents[2] / "sample_models"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
SIZES = {"desk": (1280, 900), "phone": (390, 844)}


@pytest.fixture
def report(tqconv: Tqconv, tmp_path: Path) -> Path:
    """Return a report with a picture."""
    if shutil.which("dot") is None:
        pytest.skip("needs Graphviz")
    model = MODELS / "digits_cnn"
    result = tqconv(
        "convert", model / "graph.pb", "-o", tmp_path / "q.tflite", "--quantize", "int8",
        "--calibration_data", model / "calibration.npz", "--report", tmp_path / "r.html",
    )  # fmt: skip
    assert result.code == 0, result.err
    return tmp_path / "r.html"


@pytest.fixture(params=[("desk", "light"), ("desk", "dark"), ("phone", "light")], ids="-".join)
def page(request: pytest.FixtureRequest, report: Path) -> Iterator[Any]:
    """Yield the open report; afterwards, nothing may have complained or asked the network."""
    api = pytest.importorskip("playwright.sync_api")
    program = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip("needs Chromium")
    size, scheme = request.param
    width, height = SIZES[size]
    said: list[str] = []
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        opened = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
        opened.on("console", lambda message: said.append(message.text))
        opened.on("pageerror", lambda error: said.append(str(error)))
        opened.on("request", lambda asked: said.append(asked.url)
                  if not asked.url.startswith(("file:", "data:")) else None)  # fmt: skip
        opened.goto(report.as_uri())
        yield opened
        assert said == []
        browser.close()


def window(page: Any) -> list[float]:
    text = page.locator("#drawing").get_attribute("viewBox")
    return [float(word) for word in text.split()]


def test_search_zoom_and_clicks(page: Any) -> None:
    whole = window(page)
    page.locator("#search").fill("conv2/relu")
    assert page.locator("#found").inner_text().endswith("found")
    assert page.locator("#view .hit").count() >= 1
    page.keyboard.press("Enter")
    assert page.locator("#found").inner_text().startswith("1 of ")
    assert "conv2/Relu" in page.locator("#panel").inner_text()
    page.locator("#fit").click()
    assert window(page) == pytest.approx(whole, rel=1e-6)
    page.locator("#in").click()
    assert window(page)[2] == pytest.approx(whole[2] / 1.5, rel=1e-6)
    page.locator("#out").click()
    assert window(page) == pytest.approx(whole, rel=1e-6)
    page.locator("#g0_op3").click()
    assert "MAX_POOL_2D" in page.locator("#panel").inner_text()
    page.locator("#panel a").first.click()
    assert "CONV_2D" in page.locator("#panel").inner_text()


def test_the_picture_can_be_dragged_and_wheeled(page: Any) -> None:
    page.locator("#view").scroll_into_view_if_needed()
    place = page.locator("#view").bounding_box()
    x, y = place["x"] + place["width"] / 2, place["y"] + place["height"] / 2
    whole = window(page)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 40, y + 20, steps=4)
    page.mouse.up()
    moved = window(page)
    assert moved[0] < whole[0]
    assert moved[1] < whole[1]
    assert moved[2:] == pytest.approx(whole[2:], rel=1e-6)
    page.mouse.wheel(0, -240)
    page.wait_for_function(
        "w => parseFloat(document.getElementById('drawing').getAttribute('viewBox').split(' ')[2])"
        " < w", arg=moved[2],
    )  # fmt: skip


def test_the_page_is_as_wide_as_the_window(page: Any) -> None:
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= page.viewport_size["width"]
