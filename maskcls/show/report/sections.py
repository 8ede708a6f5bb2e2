"""The sections of the report page, in the order they are shown."""

from __future__ import annotations

from maskcls.show.report.choices import choices_section
from maskcls.show.report.classes import classes_section
from maskcls.show.report.confusion import confusion_section
from maskcls.show.report.curves import curves_section
from maskcls.show.report.people import people_section
from maskcls.show.report.reliability import reliability_section
from maskcls.show.report.score import score_section
from maskcls.show.report.section import JointSection, Section
from maskcls.show.report.slices import slices_section
from maskcls.show.report.values import values_section

OF_ALL: tuple[JointSection, ...] = ()
OF_EACH: tuple[Section, ...] = (
    Section("score", "Score", score_section),
    Section("curves", "Curves", curves_section),
    Section("confusion", "Confusion", confusion_section),
    Section("classes", "Classes and support", classes_section),
    Section("reliability", "Reliability", reliability_section),
    Section("values", "Score by true number", values_section),
    Section("slices", "Slices", slices_section),
    Section("people", "People who disagree with themselves", people_section),
    Section("choices", "Choices made on these rows", choices_section),
)
