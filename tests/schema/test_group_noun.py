"""What the groups are called."""

import pytest

from maskcls.config import load
from maskcls.errors import ConfigError
from maskcls.schema.group_noun import group_noun


@pytest.mark.parametrize(
    ("settings", "nouns"),
    [
        ([], ("person", "people")),
        (["data.format=table"], ("group", "groups")),
        (["data.format=table", "data.group=none"], ("photo", "photos")),
        (["data.format=table", "data.group=group"], ("group", "groups")),
        (["data.format=table", "data.group=patient"], ("patient", "patients")),
        (["data.format=table", "data.group=person"], ("person", "people")),
        (["data.format=table", "data.group=Family"], ("family", "families")),
        (["data.format=table", "data.group=day"], ("day", "days")),
        (["data.format=table", "data.group=box"], ("box", "boxes")),
        (["data.format=table", "data.group=patient_id"], ("patient_id group", "patient_id groups")),
        (["data.format=table", "data.group=patients"], ("patients group", "patients groups")),
        (["data.format=table", "data.group=ID"], ("ID group", "ID groups")),
        (["data.format=folders"], ("photo", "photos")),
        (["data.format=folders", "data.group=none"], ("photo", "photos")),
        (["data.format=folders", r"data.group='([^/]+)_\d+\.png'"], ("group", "groups")),
        (["data.format=folders", r"data.group='(?P<patient>p\d+)'"], ("patient", "patients")),
    ],
)
def test_nouns(settings: list[str], nouns: tuple[str, str]) -> None:
    assert group_noun(load(None, settings)[0]) == nouns


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (["data.group=patient"], "auto with data.format=contest"),
        (["data.group=none"], "auto with data.format=contest"),
        (["data.format=folders", "data.group='x(y'"], "a regular expression with one group"),
        (["data.format=folders", "data.group=xy"], "a regular expression with one group"),
        (["data.format=folders", "data.group='(x)(y)'"], "a regular expression with one group"),
    ],
)
def test_a_group_that_the_layout_does_not_have_is_refused(settings: list[str], expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(None, settings)
    assert expected in str(caught.value)
