"""HL7 annotated ECG (the FDA's aECG)."""

from __future__ import annotations

from pathlib import Path

from anyecg.data.own.channels import Channel
from anyecg.data.own.formats import FileFormat, Request, root_element
from anyecg.data.own.toolkit import channels, parsed


class AnnotatedECG(FileFormat):
    """HL7 aECG XML: the first rhythm series, representative beats apart."""

    suffixes = (".xml",)
    derives = True

    def recognises(self, path: Path, head: bytes) -> bool:
        return root_element(head) == "AnnotatedECG"

    def read(self, path: Path, request: Request) -> list[Channel]:
        """The sequences of the first rhythm series whose codes are leads."""
        record = parsed(path, "hl7_aecg", "HL7aECGParser", request)
        exact = record.raw_metadata.get("rhythm_time", {}).get("sampling_rate_exact")
        request.notes = [note for note in request.notes if "is not an integer; rounded" not in note]
        whole = None if exact is None else round(exact)
        return channels(record.leads, whole if exact is not None and abs(exact - whole) < 1e-6 * exact else exact)
