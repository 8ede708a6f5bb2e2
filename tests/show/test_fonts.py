"""Text of any script in pictures: the font that has a character, what is written without one, and lines that fit."""

from __future__ import annotations

import io
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import TTFont
from PIL import Image, ImageFont
from tiny import tiny
from without_report_extra import hide_report_extra

from maskcls.commands.data.look import look
from maskcls.errors import UsageError
from maskcls.rundir import RunDir
from maskcls.show.data.contact_sheet import print_contact_sheet
from maskcls.show.pages.figure import Figure, to_png
from maskcls.show.pages.table import Table
from maskcls.show.pictures import fonts
from maskcls.show.pictures.fonts import base_font, font_of, fonts_of, missing, missing_note, readable
from maskcls.show.pictures.lettering import fitted, text_lines, text_width, write_text
from maskcls.show.terminal.progress import Reporter
from maskcls.show.terminal.sheet import contact_sheet
from maskcls.training.checks import check_experiment
from maskcls.training.experiment import read_experiment


def forget() -> None:
    for cached in (fonts.font_of, fonts.user_font, fonts.base_font, fonts.characters, fonts._installed):
        cached.cache_clear()


@pytest.fixture(autouse=True)
def no_installed_fonts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let each test see matplotlib's font alone, whatever the machine has."""
    forget()
    monkeypatch.delenv(fonts.SETTING, raising=False)
    monkeypatch.setattr(fonts, "PACKAGES", ())
    monkeypatch.setattr("matplotlib.font_manager.findSystemFonts", lambda: [])
    yield
    forget()


def make_font(path: Path, text: str) -> Path:
    """Write a font in which each of these characters is a full square, 1 em wide and high."""
    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    for point in ((0, 1000), (1000, 1000), (1000, 0)):
        pen.lineTo(point)
    pen.closePath()
    square = pen.glyph()
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder([".notdef", "square"])
    builder.setupCharacterMap({ord(char): "square" for char in text})
    builder.setupGlyf({".notdef": TTGlyphPen(None).glyph(), "square": square})
    builder.setupHorizontalMetrics({".notdef": (1000, 0), "square": (1000, 0)})
    builder.setupHorizontalHeader(ascent=1000, descent=0)
    builder.setupNameTable({"familyName": "Squares", "styleName": "Regular"})
    builder.setupOS2(sTypoAscender=1000, usWinAscent=1000)
    builder.setupPost()
    builder.save(path)
    return path


def installed(monkeypatch: pytest.MonkeyPatch, *paths: Path) -> None:
    monkeypatch.setattr("matplotlib.font_manager.findSystemFonts", lambda: [str(path) for path in paths])


# --- without a font


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("wear", "wear"),
        ("überall ≥60 Ж é", "überall ≥60 Ж é"),
        ("마스크", "ma-seu-keu"),
        ("마스크 착용", "ma-seu-keu cag-yong"),
        ("\u1106\u1161", "ma"),  # the same syllable in parts, as macOS writes names
        ("30세", "30se"),
        ("日本 a", "U+65E5-U+672C a"),
        ("a\nb\x1b[31m", "a\\nb\\x1b[31m"),
        ("", ""),
    ],
)
def test_what_no_font_has_is_spelled_in_latin_letters(text: str, shown: str) -> None:
    assert readable(text) == shown
    assert readable(shown) == shown


def test_different_names_stay_different() -> None:
    names = ["가나", "간아", "각", "가", "日", "本"]
    assert len({readable(name) for name in names}) == len(names)


def test_one_note_names_the_characters_and_the_way_to_a_font() -> None:
    assert missing(["마스크", "wear", "스크"]) == ["마", "스", "크"]
    note = missing_note(["wear", "마스크"])
    assert note is not None
    assert all(part in note for part in ("마스크", "ma-seu-keu", "pip install koreanize-matplotlib", "MASKCLS_FONT"))
    assert missing_note(["wear", "≥60", "é"]) is None
    many = missing_note([chr(0xAC00 + i) for i in range(40)])
    assert many is not None
    assert "…" in many
    assert len(many) < 400


# --- with a font


def test_an_installed_font_draws_what_the_first_one_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other, squares = make_font(tmp_path / "a.ttf", "日"), make_font(tmp_path / "b.ttf", "마스a")
    installed(monkeypatch, other, squares)
    assert readable("마스 wear") == "마스 wear"
    assert missing_note(["마스", "日"]) is None
    assert fonts_of("마스 a日") == [("마스", squares), (" a", base_font()), ("日", other)]


def test_an_upright_font_of_medium_weight_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bold, plain = make_font(tmp_path / "A-Bold.ttf", "마"), make_font(tmp_path / "B-Regular.ttf", "마")
    installed(monkeypatch, bold, plain)
    assert font_of("마") == plain


def test_the_users_font_comes_before_all_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = make_font(tmp_path / "mine.ttf", "마w")
    installed(monkeypatch, make_font(tmp_path / "a.ttf", "마"))
    monkeypatch.setenv(fonts.SETTING, str(mine))
    assert (font_of("마"), font_of("w"), font_of("e")) == (mine, mine, base_font())


@pytest.mark.parametrize("content", [None, b"", b"no font", b"\x00\x01\x00\x00" + bytes(40)])
def test_a_users_file_that_is_no_font_is_an_error(
    content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mine.ttf"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setenv(fonts.SETTING, str(path))
    with pytest.raises(UsageError, match="no font file") as caught:
        font_of("a")
    assert (caught.value.where, caught.value.got) == (fonts.SETTING, str(path))


def test_a_damaged_installed_font_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.ttf").write_bytes(b"damaged")
    good = make_font(tmp_path / "b.ttf", "마")
    installed(monkeypatch, tmp_path / "a.ttf", good)
    assert font_of("마") == good


def test_fonts_of_a_package_are_found_without_importing_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "with_fonts"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    squares = make_font(package / "squares.ttf", "마")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(fonts, "PACKAGES", ("with_fonts", "not_there"))
    assert font_of("마") == squares


# --- drawn


def dark(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("L")) < 128


def test_glyphs_of_both_fonts_are_drawn_at_their_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, make_font(tmp_path / "a.ttf", "마"))
    image = Image.new("RGB", (60, 30), "white")
    write_text(image, 5, 25, "마마", size=20)
    expected = np.zeros((30, 60), dtype=bool)
    expected[5:25, 5:45] = True  # two squares of 20 pixels on the baseline
    np.testing.assert_array_equal(dark(image), expected)
    assert text_width("마마", 20) == 40


def test_a_sheet_shows_class_names_of_any_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def caption(text: str) -> bytes:
        return contact_sheet([np.zeros((8, 8, 3), dtype=np.uint8)], [[text]])

    assert caption("마스크") == caption("ma-seu-keu") != caption("착용")
    forget()
    installed(monkeypatch, make_font(tmp_path / "a.ttf", "마스크"))
    assert caption("마스크") != caption("ma-seu-keu")


def test_text_is_cut_where_it_does_not_fit() -> None:
    assert fitted("short", size=11, width=160) == "short"
    cut = fitted("x" * 500, size=11, width=160)
    assert cut.endswith("…")
    assert 150 < text_width(cut, 11) <= 160
    image = Image.new("RGB", (100, 20), "white")
    write_text(image, 10, 15, "W" * 99, size=11, width=50)
    columns = np.flatnonzero(dark(image).any(axis=0))
    assert columns.min() >= 10
    assert columns.max() < 60


def test_lines_are_divided_at_spaces() -> None:
    lines = text_lines("wear male 30-59 and more words", size=11, width=90)
    assert len(lines) > 1
    assert " ".join(lines) == "wear male 30-59 and more words"
    assert all(text_width(line, 11) <= 90 for line in lines)
    assert text_lines("", size=11, width=90) == [""]
    assert text_lines("W" * 60 + " a", size=11, width=90) == ["W" * 60, "a"]


# --- without the extra `report`


def test_without_the_extra_pillow_draws_ascii_and_a_note_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = make_font(tmp_path / "mine.ttf", "마w")
    with monkeypatch.context() as patch:
        hide_report_extra(patch)
        forget()
        assert base_font() is None
        assert readable("마스 é ≥6…") == "ma-seu U+00E9 U+22656…"
        assert fonts_of("a…") == [("a…", None)]
        assert fitted("a" * 99, size=11, width=60).endswith("a…")
        shown, blank = (np.asarray(drawn(text)) for text in ("wear", ""))
        assert (shown != blank).any()
        assert not np.array_equal(shown, np.asarray(drawn("we r")))
        note = missing_note(["wear", "마스"])
        assert missing_note(["wear"]) is None
        patch.setenv(fonts.SETTING, str(mine))
        assert font_of("w") is None
        unused = missing_note(["wear"])
    why = "matplotlib and fontTools are not installed: pip install 'maskcls[report]'"
    assert note == f"no font has the characters 마스; pictures show ma-seu instead. {why}"
    assert unused == f"the font of MASKCLS_FONT is not used, as {why}"


def drawn(text: str) -> Image.Image:
    image = Image.new("RGB", (60, 20), "white")
    write_text(image, 2, 15, text, size=11)
    return image


def test_pillows_own_font_has_what_every_picture_may_use() -> None:
    own = ImageFont.load_default(11)
    assert isinstance(own, ImageFont.FreeTypeFont)
    assert isinstance(own.path, io.BytesIO)
    with TTFont(io.BytesIO(own.path.getvalue())) as font:
        assert {*map(ord, fonts.IN_BASE), *range(32, 127)} <= set(font.getBestCmap())


# --- matplotlib


def test_a_png_figure_draws_any_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def png(name: str) -> bytes:
        def paint(axes) -> None:
            axes.bar([name, "b"], [1, 2])
            axes.set_xlabel(name)

        return to_png(Figure("bars", "t", "d", Table(["a"], [["b"]], "c"), paint))

    # Without a font, the spelling in Latin letters and no empty boxes; tick labels too, which are written when drawn.
    assert png("마스크") == png("ma-seu-keu") != png("착용")
    forget()
    installed(monkeypatch, make_font(tmp_path / "a.ttf", "마스크"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert png("마스크") != png("ma-seu-keu")
    squares = np.asarray(Image.open(io.BytesIO(png("마스크"))).convert("L"))
    assert (squares[-40:] < 100).sum() > 3 * 15**2  # three full squares below the axis


# --- where they are used


HANGUL = "tasks=[{name: mask, classes: [착용, 미착용]}]"


def test_a_sheet_and_a_training_say_once_that_no_font_has_a_class_name(
    drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(drawn / "train" / "images", tmp_path / "images")
    photos = [path.relative_to(tmp_path) for path in sorted((tmp_path / "images").rglob("*.*"))]
    rows = [f"{path.as_posix()},{path.parent.name},{'착용' if 'mask' in path.stem else '미착용'}" for path in photos]
    table = tmp_path / "table.csv"
    table.write_text("\n".join(["path,group,mask", *rows, ""]), encoding="utf-8")
    cfg = tiny("data.format=table", HANGUL)
    print_contact_sheet(look(table, cfg, tmp_path / "a.png", photos=2, draws=1))
    assert capsys.readouterr().out.count("no font has the characters 착용미; pictures show cag-yong-mi instead") == 1
    with Reporter() as report:
        check_experiment(read_experiment(cfg, table, RunDir(tmp_path / "run")), report)
    assert capsys.readouterr().err.count("no font has the characters 착용미; pictures show cag-yong-mi instead") == 1
