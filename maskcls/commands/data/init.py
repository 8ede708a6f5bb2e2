"""maskcls data init: propose a configuration for a data set, and write it with the reasons as comments."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from maskcls import config, files
from maskcls.data.layouts import source
from maskcls.data.proposal.of_data import label_settings, read_labels
from maskcls.data.proposal.proposal import Proposal, propose
from maskcls.files import OutputFile
from maskcls.machine import cores
from maskcls.show.data.proposal_file import file_text


def init(data: Path, output: Path, *, tasks: Sequence[str], group: str, force: bool) -> Proposal:
    """Write a proposed configuration, which loads as it is.

    tasks, group  as in `read_labels`.

    Raises BusyError when the output exists, unless `force`; DataError and UsageError for data that cannot be described.
    """
    files.refuse_finished(output, inputs=[data], force=force)
    found = read_labels(data, tasks=tasks, group=group)
    cfg = config.validate(label_settings(found.labels), where=str(data))
    source.read_labelled(data, cfg.data.format, cfg.space, None, cfg.data.group)  # what train would refuse, too
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else ""
    proposal = propose(found, cores=cores(), gpu=gpu)
    files.commit_outputs([OutputFile(output, file_text(proposal, data, output).encode())], force=force)
    return proposal
