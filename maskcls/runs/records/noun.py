"""What the groups of a run's data set are called: people, patients, photos."""

from __future__ import annotations

from maskcls import config
from maskcls.groupnouns import Noun
from maskcls.rundir import RunDir
from maskcls.schema.group_noun import group_noun


def noun_of_run(run: RunDir) -> Noun:
    """Return the noun for one group and for several, from the run's configuration; raises ConfigError."""
    return group_noun(config.of_run(run.config))
