"""Pages: one file without requests, text escaped, colours with contrast, figures that follow the scheme."""

import io
import json
import re
from html import unescape
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from browser import axe_violations, browser_page, overflow
from jinja2 import ChoiceLoader, DictLoader, UndefinedError
from PIL import Image

from maskcls.show.pages import page as page_module
from maskcls.show.pages import palette
from maskcls.show.pages.figure import Figure, to_png, to_svg
from maskcls.show.pages.page import render_page, write_page
from maskcls.show.pages.photos import jpeg_uri, photo
from maskcls.show.pages.table import Table

SCHEMES = ("light", "dark")
EXAMPLE = """{% extends "base.html.j2" %}
{% from "macros.html.j2" import figure, table, photo %}
{% block main %}
<h2>Curves</h2><div class="figures">{% for one in figures %}{{ figure(one) }}{% endfor %}</div>
<h2>Classes</h2>{{ table(rows) }}
{% for one in photos %}{{ photo(one) }}{% endfor %}
{% endblock %}"""
TABLE = Table(["class", "F1", "people"], [["<30", "0.91", "1,204"], [">=60 & more", "0.62", "58"]], "per class")


@pytest.fixture(autouse=True)
def example_template(monkeypatch: pytest.MonkeyPatch) -> None:
    made = page_module._environment()
    monkeypatch.setattr(made, "loader", ChoiceLoader([made.loader, DictLoader({"example.html.j2": EXAMPLE})]))


def paint(axes) -> None:
    axes.plot([1, 2, 3], [0.2, 0.5, 0.6], label="fold 0")
    axes.fill_between([1, 2, 3], [0.1, 0.4, 0.5], [0.3, 0.6, 0.7], alpha=0.2)
    axes.set_xlabel("epoch 나이")
    axes.legend()


def figure(name: str = "curve", *, wide: bool = False) -> Figure:
    return Figure(name, "macro-F1 <fold>", "It rises & stays.", TABLE, paint, wide=wide)


def luminance(colour: str) -> float:
    """Relative luminance of #rrggbb, as WCAG 2.2 defines it."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(a: str, b: str) -> float:
    dark, light = sorted((luminance(a), luminance(b)))
    return (light + 0.05) / (dark + 0.05)


def test_contrast_of_black_and_white_is_21() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("ground", [palette.SURFACE, palette.PANEL], ids=lambda one: one.variable)
def test_every_colour_of_text_has_enough_contrast(scheme: str, ground: palette.Colour) -> None:
    texts = (palette.INK, palette.MUTED, palette.LINK, palette.GOOD, palette.BAD, palette.WARN, *palette.SERIES)
    weak = {
        one.variable: round(found, 2)
        for one in texts
        if (found := contrast(getattr(one, scheme), getattr(ground, scheme))) < 4.5
    }
    assert weak == {}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_colours_of_a_scale_are_seen_and_are_told_apart_by_lightness(scheme: str) -> None:
    light = [luminance(getattr(one, scheme)) for one in palette.SCALE]
    ordered = sorted(light, reverse=scheme == "light")  # the best is farthest from the ground
    assert light == ordered
    steps = [contrast(getattr(a, scheme), getattr(b, scheme)) for a, b in pairwise(palette.SCALE)]
    assert min(steps) > 1.15
    for ground in (palette.SURFACE, palette.PANEL):
        assert min(contrast(getattr(one, scheme), getattr(ground, scheme)) for one in palette.SCALE) >= 3


def test_palette_colours_differ_so_that_each_becomes_its_own_variable() -> None:
    assert len({one.light for one in palette.ALL}) == len(palette.ALL) == 22
    assert len({one.variable for one in palette.ALL}) == 22


def test_svg_has_title_description_and_variables_only() -> None:
    svg = to_svg(figure())
    assert '<title id="curve-title">macro-F1 &lt;fold&gt;</title>' in svg
    assert '<desc id="curve-desc">It rises &amp; stays.</desc>' in svg
    assert 'aria-labelledby="curve-title curve-desc"' in svg
    assert "var(--c0)" in svg
    assert "나이" in svg
    assert set(re.findall(r"#[0-9a-f]{6}", svg)) == set()
    assert "<style" not in svg
    assert "<!--" not in svg


def test_a_name_with_dollar_signs_is_no_formula() -> None:
    def names(axes) -> None:
        axes.barh(["$x^2$", r"$\frac$", r"\$"], [1, 2, 3])

    svg = to_svg(Figure("names", "t", "d", TABLE, names))
    assert all(f">{name}</text>" in svg for name in ("$x^2$", r"$\frac$", r"\$"))
    assert to_png(Figure("names", "t", "d", TABLE, names)).startswith(b"\x89PNG")


def test_ids_of_two_figures_do_not_meet() -> None:
    first, second = (set(re.findall(r'id="([^"]*)"', to_svg(figure(name)))) for name in ("one", "two"))
    assert first
    assert second
    assert not first & second


def test_the_same_figure_is_the_same_text() -> None:
    assert to_svg(figure()) == to_svg(figure())


def test_png_has_the_size_in_inches_times_160() -> None:
    with Image.open(io.BytesIO(to_png(figure()))) as image:
        assert image.size == (800, 480)


def test_a_row_of_a_table_has_as_many_cells_as_the_head() -> None:
    with pytest.raises(ValueError, match="1 cells, the head has 2"):
        Table(["a", "b"], [["1"]])


def test_every_column_of_a_table_has_a_name() -> None:
    with pytest.raises(ValueError, match="has no name"):
        Table(["a", ""], [])


@pytest.mark.parametrize(
    ("cell", "number"),
    [
        *[(cell, True) for cell in ("0.5", "-0.03", "+0.02", "1,204", "12 %", "0.1 .. 0.2", "3.2 s", "4x")],
        *[("0.48 ± 0.02", True), ("wear", False), ("<30", True), ("fold 0", False), ("30-59", False)],
    ],
)
def test_columns_of_numbers_are_found(cell: str, number: bool) -> None:
    assert Table(["x"], [[cell]]).numeric(0) is number
    assert Table(["x"], [[cell], ["-"], [""]]).numeric(0) is number


def test_a_column_without_any_number_stays_at_the_left() -> None:
    assert not Table(["x"], [["-"], [""]]).numeric(0)


def test_a_page_asks_for_nothing_and_allows_its_own_script_only(tmp_path: Path) -> None:
    html = render_page("example", title="A <b>", figures=[figure(), figure("wide", wide=True)], rows=TABLE, photos=[])
    assert "<title>A &lt;b&gt;</title>" in html
    assert "default-src 'none'" in unescape(html)
    assert not re.search(r"""(?:src|href)=["'](?:https?:)?//""", html)
    assert "{{" not in html


def test_a_value_that_a_template_needs_must_be_given() -> None:
    with pytest.raises(UndefinedError):
        render_page("example", title="x")


def test_data_cannot_end_its_element() -> None:
    html = render_page("example", title="x", figures=[], rows=TABLE, photos=[], data={"a": "</script><b>"})
    text = html.split('id="data">')[1].split("</script>")[0]
    assert json.loads(text) == {"a": "</script><b>"}


def test_a_photo_is_a_link_unless_embedded(tmp_path: Path) -> None:
    path = tmp_path / "a b#1.png"
    Image.fromarray(np.full((40, 80, 3), 120, np.uint8)).save(path)
    page = tmp_path / "report" / "index.html"
    link = photo(path, "a b#1.png", page=page)
    assert (link.href, link.data) == ("../a%20b%231.png", None)
    shown = photo(path, "a b#1.png", page=page, embed=True, px=20)
    assert shown.data is not None
    assert shown.data.startswith("data:image/jpeg;base64,")


def test_an_embedded_photo_is_at_most_so_large() -> None:
    import base64

    data = base64.b64decode(jpeg_uri(np.zeros((40, 80, 3), np.uint8), px=20).split(",")[1])
    with Image.open(io.BytesIO(data)) as image:
        assert image.size == (20, 10)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", [390, 1280])
def test_a_page_has_no_violation_and_fits(tmp_path: Path, width: int, scheme: str) -> None:
    path = tmp_path / "page.html"
    figures = [figure(), figure("second"), figure("wide", wide=True)]
    write_page(path, render_page("example", title="Example", figures=figures, rows=TABLE, photos=[]), force=True)
    with browser_page(width, scheme=scheme) as page:
        page.goto(path.as_uri())
        assert axe_violations(page) == []
        assert overflow(page) == 0


def test_a_table_on_a_phone_is_scrolled_under_its_caption_and_printed_whole(tmp_path: Path) -> None:
    path, words = tmp_path / "page.html", "two words"
    wide = Table([f"a long head {n}" for n in range(8)], [[words] * 7 + ["/path" * 12]], f"{words} " * 12)
    write_page(path, render_page("example", title="Example", figures=[], rows=wide, photos=[]), force=True)
    with browser_page(390) as page:
        page.goto(path.as_uri())
        one_line = page.evaluate("parseFloat(getComputedStyle(document.querySelector('td')).lineHeight)")
        assert page.locator("td").first.bounding_box()["height"] < 2 * one_line
        page.evaluate("document.querySelector('.scroll').scrollLeft = 200")
        caption = page.locator("caption span").bounding_box()
        assert caption["x"] >= 0
        assert caption["x"] + caption["width"] <= 390
        page.emulate_media(media="print")
        page.set_viewport_size({"width": 690, "height": 900})  # A4 without its margins
        assert overflow(page) == 0


def test_the_button_changes_the_colours_by_keyboard(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    write_page(path, render_page("example", title="Example", figures=[], rows=TABLE, photos=[]), force=True)
    with browser_page(scheme="light") as page:
        page.goto(path.as_uri())
        before = page.evaluate("getComputedStyle(document.body).backgroundColor")
        page.focus("#scheme")
        page.keyboard.press("Enter")
        page.keyboard.press("Enter")
        assert page.inner_text("#scheme") == "Colours: dark"
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") != before
        page.reload()
        assert page.inner_text("#scheme") == "Colours: dark"
