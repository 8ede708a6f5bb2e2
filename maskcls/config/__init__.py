"""The resolved configuration: read from files and the command line, checked, and written.

Builders read a configuration; components take plain arguments.
"""

from maskcls.config.files import find
from maskcls.config.keys import flatten, preset_keys, put
from maskcls.config.load import BACKBONE, DEFAULT, SettingOrigin, load, load_above, of_run, to_yaml, with_backbone
from maskcls.config.overrides import parse_override, refuse_set_twice, setting
from maskcls.config.validation import members, validate, without_automatic_baseline
from maskcls.config.written_form import written_settings

__all__ = [
    "BACKBONE",
    "DEFAULT",
    "SettingOrigin",
    "find",
    "flatten",
    "load",
    "load_above",
    "members",
    "of_run",
    "parse_override",
    "preset_keys",
    "put",
    "refuse_set_twice",
    "setting",
    "to_yaml",
    "validate",
    "with_backbone",
    "without_automatic_baseline",
    "written_settings",
]
