"""ECG-Reasoning-Benchmark's released layout: a JSON file a chain, in a folder a diagnosis (arXiv 2603.14326).

The fields are those of its README: `metadata` (ecg_id, target_dx, dx_label, path_idx) and `data` with
`initial_diagnostic_question` and `reasoning`, a list of `criterion_selection`, `finding_identification`,
`ecg_grounding` (a list of lead, wave and measurement grounding) and `diagnostic_decision`. Files of its first commits,
whose paths and steps have other names, are read as well.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from anyecg.tasks.reasoning.steps import Chain, Step
from anyecg.types import DataError

ORDER = (  # of the steps of a criterion: names in the files -> ours
    (("criterion_selection",), "criterion"),
    (("finding_identification", "finding"), "finding"),
    (("ecg_grounding", "grounding"), ""),
    (("diagnostic_decision", "decision"), "decision"),
)
GROUNDING = {"lead_grounding": "lead", "wave_grounding": "wave", "measurement_grounding": "measurement"}


def released_files(folder: Path | str) -> list[Path]:
    """The files of a folder as released about one source, `DIAGNOSIS/*.json`; DataError where there is none."""
    root = Path(folder).expanduser()
    found = sorted(root.glob("*/*.json"))
    if not found:
        raise DataError(
            f"{root} holds no DIAGNOSIS/*.json; give ECG-Reasoning-Benchmark's data/ptbxl or data/mimic_iv_ecg"
        )
    return found


def released_chains(folder: Path | str) -> Iterator[tuple[str, str, Chain]]:
    """(name, the source's id of the ECG, chain) of every file; DataError where one is not of the layout."""
    for path in released_files(folder):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            yield f"{path.parent.name}/{path.stem}", str(content["metadata"]["ecg_id"]), chain_in(content)
        except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
            raise DataError(
                f"{path}: is no chain of ECG-Reasoning-Benchmark ({type(error).__name__}: {error}); download it again, "
                f"or leave it out"
            ) from error


def chain_in(content: Mapping[str, Any]) -> Chain:
    """The chain of a file's content; KeyError or TypeError where a field is missing."""
    about, data = content["metadata"], content["data"]
    holds = bool(about["dx_label"])
    first = data["initial_diagnostic_question"]
    options = tuple(map(str, first["options"]))
    steps = [Step("diagnosis", first["question"], options, (options.index("Yes" if holds else "No"),))]
    paths = data["reasoning"] if "reasoning" in data else data[f"path_{int(about.get('path_idx', 0)) + 1}"]
    for criterion in paths:
        for names, kind in ORDER:
            name = next((name for name in names if name in criterion), None)
            if name is None:
                continue
            held = criterion[name]
            for question in held if isinstance(held, list) else [held]:
                steps.append(_step(question, kind or GROUNDING[question["question_type"]]))
    return Chain(str(about["target_dx"]), holds, tuple(steps))


def _step(question: Mapping[str, Any], kind: str) -> Step:
    options, right = tuple(map(str, question["options"])), question["answer_idx"]
    indices = tuple(sorted(right)) if isinstance(right, list) else (right,)
    if not all(isinstance(n, int) and 0 <= n < len(options) for n in indices):
        raise ValueError(f"answer_idx {right} is no place among {len(options)} options")
    return Step(kind, str(question["question"]), options, indices, several=isinstance(right, list))
