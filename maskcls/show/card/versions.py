"""The card's sections about licence, versions and hashes."""

from __future__ import annotations

from collections.abc import Mapping

from maskcls.runs.networks import predicting, run_networks, weights_hash
from maskcls.runs.reported.network_logs import network_title
from maskcls.runs.reported.reported_run import ReportedRun
from maskcls.show.card.markdown import escaped, section, table_markdown
from maskcls.show.pages.table import Table

EXPORTED = "exported file"


def licence_part(licence: str) -> str:
    """Return the licence as it was given; "": not stated."""
    stated = escaped(licence) or "Not stated. Without a licence nobody but the owner may use this model."
    return section("Licence", stated, "The licences of the starting weights and of the photos apply as well.")


def are_named_in(card: bytes, files: Mapping[str, str]) -> bool:
    """Tell whether a card, as bytes, is one of exported files of these names, with any hashes."""
    lines = card.decode(errors="replace").splitlines()
    return bool(files) and all(any(line.startswith(f"| {EXPORTED} | {name} | ") for line in lines) for name in files)


def versions_part(reported: ReportedRun, files: Mapping[str, str]) -> str:
    """Return the versions of the training and hashes of the run, its networks and the exported files.

    files  {name: sha256} of what the card is written beside.
    """
    env, cfg = reported.environment, reported.config
    versions = {"maskcls": env.maskcls, "Python": env.python, **env.packages}
    networks = predicting(run_networks(cfg, env.folds), cfg.predict.networks)
    hashes = [
        *([EXPORTED, name, digest] for name, digest in files.items()),
        *(["file of the run", name, digest] for name, digest in env.hashes.items()),
        *(["weights", network_title(one), weights_hash(one.folder(reported.run))] for one in networks),
    ]
    return section(
        "Versions and hashes",
        table_markdown(Table(["package", "version"], [list(one) for one in versions.items()], "Of the training")),
        table_markdown(Table(["what", "name", "sha256"], hashes, "Hashes")),
    )
