"""The sections of the report page, in the order they are shown."""

from __future__ import annotations

from maskcls.show.report.score import score_section
from maskcls.show.report.section import JointSection, Section

OF_ALL: tuple[JointSection, ...] = ()
OF_EACH: tuple[Section, ...] = (Section("score", "Score", score_section),)
