"""An exported ONNX file as a `PhotoModel`. Needs onnxruntime and numpy, but not torch.

N photos, J joint classes, H height, W width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from maskcls import files
from maskcls.errors import ResourceError, WeightsError
from maskcls.export.graph_names import CHOSEN, INPUT, JOINT_OUTPUT, check_graph
from maskcls.export.onnx_facts import from_metadata
from maskcls.labels import Floats, Ints, LabelSpace
from maskcls.machine import cores, is_memory_error
from maskcls.results.decisions.rule import DecisionRule
from maskcls.results.photo_model import Photo, check_photo
from maskcls.runs.decision import Decision, decided

BATCH = 32  # photos at a time
MODEL = files.FileKind("the model", WeightsError, 2**31)  # an ONNX file is one protobuf message


@dataclass(frozen=True, eq=False)
class OnnxModel:
    """The networks of an exported file, ready to predict arrays; see `PhotoModel`.

    decision    None: the most probable class.
    batch_size  largest number of photos at a time; only photos of one size are predicted together.
    """

    session: Any
    space: LabelSpace
    facts: Mapping[str, Any]
    sha256: str
    decision: Decision | None = None
    batch_size: int = BATCH

    @property
    def decode_size(self) -> tuple[int, int]:
        """Smallest (height, width) in pixels for decoding a photo."""
        height, width = self.facts["decode_size"]
        return int(height), int(width)

    @property
    def origin(self) -> Mapping[str, Any]:
        """Run, weights and views, as those of the run itself; and the hash of the file."""
        names = ("maskcls", "run", "run_hashes", "weights", "views", "networks")
        return {**{name: self.facts.get(name) for name in names}, "engine": "onnxruntime", "file_sha256": self.sha256}

    def prepare(self, photo: Photo) -> Photo:
        """Return the photo: the graph resizes it."""
        return photo

    def predict(self, photos: Sequence[Photo]) -> Floats:
        """Return joint probabilities (N, J) float32."""
        return self.run(photos)[0]

    def run(self, photos: Sequence[Photo]) -> tuple[Floats, Ints]:
        """Return joint probabilities (N, J) float32, and the joint classes (N,) int64 that the graph decides on."""
        for place, photo in enumerate(photos):
            check_photo(photo, f"photo {place}")
        prob_NJ = np.empty((len(photos), self.space.size), dtype=np.float32)
        chosen_N = np.empty(len(photos), dtype=np.int64)
        for places in batches_of_one_size([photo.shape[:2] for photo in photos], self.batch_size):
            batch_BHWC = np.stack([photos[place] for place in places])
            prob_NJ[places], chosen_N[places] = self.session.run(
                [JOINT_OUTPUT, JOINT_OUTPUT + CHOSEN], {INPUT: batch_BHWC}
            )
        return prob_NJ, chosen_N

    def decide(self, prob_NJ: Floats) -> Ints:
        """Return the joint class (N,) int64 of each row."""
        return decided(prob_NJ, self.space, self.decision)


def batches_of_one_size(sizes: Sequence[tuple[int, ...]], batch_size: int) -> list[list[int]]:
    """Return places of photos of the same size, at most `batch_size` at a time; each place once.

    >>> batches_of_one_size([(2, 3), (4, 4), (2, 3), (2, 3)], 2)
    [[0, 2], [3], [1]]
    """
    places: dict[tuple[int, ...], list[int]] = {}
    for place, size in enumerate(sizes):
        places.setdefault(size, []).append(place)
    return [same[i : i + batch_size] for same in places.values() for i in range(0, len(same), batch_size)]


def open_onnx(path: Path, *, threads: int | None = None, batch_size: int = BATCH) -> OnnxModel:
    """Open a file that `maskcls export` wrote, with the decision rule that it was exported with.

    threads  None: one per core that this process may use.

    Raises ResourceError when onnxruntime is not installed, WeightsError for a file that cannot be read or is from
    another program.
    """
    data = files.read_file(path, MODEL)
    return onnx_model(data, where=str(path), threads=threads, batch_size=batch_size)


def onnx_model(data: bytes, *, where: str, threads: int | None = None, batch_size: int = BATCH) -> OnnxModel:
    """Open the content of such a file; where: its name in messages."""
    session = _session(data, where, threads or cores())
    facts = from_metadata(session.get_modelmeta().custom_metadata_map, where=where)
    try:
        space, decision = LabelSpace.from_json(facts["tasks"]), _decision(facts)
        _check_facts(facts)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise WeightsError(
            "the metadata of the ONNX file is damaged",
            where=where,
            got=repr(error),
            fix="export the run again: maskcls export RUN -o FILE",
        ) from None
    check_graph(session, space, where=where)
    return OnnxModel(session, space, facts, files.sha256(data), decision, batch_size)


def _session(data: bytes, where: str, threads: int) -> Any:
    try:
        import onnxruntime
    except ImportError:
        from maskcls.config.installed_extras import check_extra

        check_extra("export", needed_by=where, packages=["onnxruntime"])
        raise ResourceError(
            "onnxruntime is installed, but cannot be imported",
            where=where,
            fix="pip install --force-reinstall onnxruntime",
        ) from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3  # errors; its warnings are about the graph, not about the user's photos
    try:
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has a type of its own for each cause
        if is_memory_error(error):
            raise
        got = " ".join(str(error).split())[:200]
        raise WeightsError(
            "this is not an ONNX file that onnxruntime can read",
            where=where,
            got=got,
            fix="export the run again: maskcls export RUN -o FILE",
        ) from None


def _check_facts(facts: Mapping[str, Any]) -> None:
    """Raise KeyError, TypeError, ValueError or OverflowError for facts that are missing or have another form."""
    height, width = map(int, facts["decode_size"])
    if min(height, width) < 1:
        raise ValueError(f"decode_size {height} x {width}")
    texts = [text for task in facts["tasks"] for text in (task["name"], *task["classes"])]
    if not all(isinstance(text, str) for text in texts):
        raise TypeError("names of tasks and classes are no text")
    if not isinstance(facts["views"], str) or not isinstance(facts["networks"], str):
        raise TypeError("views and networks are no text")


def _decision(facts: Mapping[str, Any]) -> Decision | None:
    if (found := facts["decision"]) is None:
        return None
    rule = DecisionRule.from_json(found["rule"])
    return Decision(LabelSpace.from_json(facts["tasks"]), found["temperatures"], rule, None, found["oof_sha256"])
