"""Philips' Sierra XML, of PageWriter carts and HeartStart monitors."""

from __future__ import annotations

from pathlib import Path

from anyecg.data.own.channels import Channel
from anyecg.data.own.formats import FileFormat, Request, root_element
from anyecg.data.own.toolkit import channels, parsed


class SierraXML(FileFormat):
    """Philips Sierra ECG XML 1.03 and 1.04, compressed (XLI) or not: the rhythm, representative beats apart."""

    suffixes = (".xml",)
    derives = True

    def recognises(self, path: Path, head: bytes) -> bool:
        return root_element(head).lower() == "restingecgdata"

    def read(self, path: Path, request: Request) -> list[Channel]:
        """The leads of the parsed waveforms."""
        return channels(parsed(path, "sierra_xml", "SierraXMLParser", request).leads)
