"""ISHNE Holter recordings."""

from __future__ import annotations

from pathlib import Path

from anyecg.data.own.channels import Channel
from anyecg.data.own.formats import FileFormat, Request
from anyecg.data.own.toolkit import channels, parsed
from anyecg.types import DataError

NUMBER = "Lead "  # begins what the library calls a lead whose code says no place


class ISHNE(FileFormat):
    """The ISHNE standard output format of Holter recordings (`ISHNE1.0`)."""

    suffixes = (".ecg", ".ishne")

    def recognises(self, path: Path, head: bytes) -> bool:
        return head.startswith(b"ISHNE1.0")

    def read(self, path: Path, request: Request) -> list[Channel]:
        """All leads; a note where the length in the header is another than that of the samples."""
        record = parsed(path, "ishne_holter", "ISHNEHolterParser", request)
        says, holds = record.raw_metadata["ecg_size"], record.raw_metadata["samples_per_lead"]
        if holds < says and path.stat().st_size < 522 + 2 * says:
            raise DataError(f"{path}: cut short: its header says {says:,} samples a lead, it holds {holds:,}")
        if says not in (holds, holds * len(record.leads)):
            request.note(f"its header says {says:,} samples a lead, it holds {holds:,}; it may be cut short")
        for lead in record.leads:
            if lead.label.startswith(NUMBER):
                lead.label = f"channel {lead.label.removeprefix(NUMBER)}"
        return channels(record.leads)
