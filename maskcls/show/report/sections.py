"""The sections of the report page, in the order they are shown."""

from __future__ import annotations

from maskcls.show.report.choices import choices_section
from maskcls.show.report.classes import classes_section
from maskcls.show.report.confusion import confusion_section
from maskcls.show.report.curves import curves_section
from maskcls.show.report.mistakes import mistakes_section
from maskcls.show.report.network_input import network_input_section
from maskcls.show.report.people import people_section
from maskcls.show.report.provenance.configuration import configuration_section
from maskcls.show.report.provenance.environment import environment_section
from maskcls.show.report.provenance.lineage import lineage_section
from maskcls.show.report.provenance.seconds import seconds_section
from maskcls.show.report.reliability import reliability_section
from maskcls.show.report.score import score_section
from maskcls.show.report.section import JointSection, RunSection
from maskcls.show.report.side_by_side import side_by_side_section
from maskcls.show.report.slices import slices_section
from maskcls.show.report.values import values_section

OF_ALL: tuple[JointSection, ...] = (JointSection("side-by-side", "Runs side by side", side_by_side_section),)
OF_EACH: tuple[RunSection, ...] = (
    RunSection("score", "Score", score_section),
    RunSection("curves", "Curves", curves_section),
    RunSection("confusion", "Confusion", confusion_section),
    RunSection("classes", "Classes and support", classes_section),
    RunSection("reliability", "Reliability", reliability_section),
    RunSection("values", "Score by true value", values_section),
    RunSection("slices", "Slices", slices_section),
    RunSection("people", "People who disagree with themselves", people_section),
    RunSection("mistakes", "Mistakes", mistakes_section),
    RunSection("network-input", "What entered the networks", network_input_section),
    RunSection("choices", "Choices made on these rows", choices_section),
    RunSection("configuration", "Configuration", configuration_section),
    RunSection("environment", "Environment", environment_section),
    RunSection("lineage", "Lineage", lineage_section),
    RunSection("seconds", "Time", seconds_section),
)
