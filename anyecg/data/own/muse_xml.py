"""GE MUSE's XML of resting ECGs."""

from __future__ import annotations

from pathlib import Path

from anyecg.data.own.channels import Channel
from anyecg.data.own.formats import FileFormat, Request, root_element
from anyecg.data.own.toolkit import channels, parsed


class MuseXML(FileFormat):
    """GE MUSE RestingECG XML: the rhythm waveform, the median beat apart; eight leads are stored, four derived."""

    suffixes = (".xml",)
    derives = True

    def recognises(self, path: Path, head: bytes) -> bool:
        return root_element(head).lower() == "restingecg"

    def read(self, path: Path, request: Request) -> list[Channel]:
        """The leads of the rhythm waveform; lengths and checksums are compared with what the file says."""
        return channels(parsed(path, "ge_muse_xml", "GEMuseXMLParser", request).leads)
