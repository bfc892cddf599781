"""What a file format is, and what a caller says of a file that is in one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from anyecg.registry import Registry

if TYPE_CHECKING:  # the table below is read where no file is
    from anyecg.data.own.channels import Channel, Leads

HEAD = 65_536  # bytes that a format may know a file by

# In this order a file is tried, by its content and then by its suffix.
file_formats = Registry(
    "file_format",
    {
        "wfdb": "anyecg.data.own.wfdb_record:WFDB",
        "dicom": "anyecg.data.own.dicom:DICOM",
        "scp": "anyecg.data.own.scp:SCP",
        "ishne": "anyecg.data.own.ishne:ISHNE",
        "atc": "anyecg.data.own.alivecor:ATC",
        "edf": "anyecg.data.own.edf:EDF",
        "hl7_aecg": "anyecg.data.own.hl7_aecg:AnnotatedECG",
        "muse_xml": "anyecg.data.own.muse_xml:MuseXML",
        "sierra_xml": "anyecg.data.own.sierra_xml:SierraXML",
        "schiller_xml": "anyecg.data.own.schiller_xml:SchillerXML",
        "hdf5": "anyecg.data.own.hdf5:HDF5",
        "numpy": "anyecg.data.own.array:NumPy",
        "matlab": "anyecg.data.own.matlab:Matlab",
        "table": "anyecg.data.own.table:Table",
    },
)


@dataclass
class Request:
    """What the caller of `read_ecg` says of a file, and what is noted while it is read.

    leads: one name a channel, or {a channel's name: lead}, or None; fs: Hz or None; units: a voltage or None; record:
    which recording of a file that holds several; notes: sentences for the user, in their order.
    """

    leads: Leads = None
    fs: float | None = None
    units: str | None = None
    record: str | int | None = None
    notes: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        """Tell the user something that was assumed, mended or left out."""
        if text not in self.notes:
            self.notes.append(text)

    @property
    def count(self) -> int | None:
        """How many channels the caller names, None where `leads` is no list."""
        return len(self.leads) if self.leads is not None and not isinstance(self.leads, Mapping) else None


class FileFormat:
    """A format of ECG files: a subclass is one file, here or in a folder of one's own ("module:Class").

    suffixes: in small letters, with the point; derives: III, aVR, aVL and aVF are computed from I and II where its
    devices store only these.
    """

    suffixes: ClassVar[tuple[str, ...]] = ()
    derives: ClassVar[bool] = False

    def recognises(self, path: Path, head: bytes) -> bool:
        """Whether a file that begins with `head` is certainly in this format, whatever its suffix."""
        return False

    def read(self, path: Path, request: Request) -> list[Channel]:
        """The channels of the file; DataError where it is broken or needs a word that `request` does not have."""
        raise NotImplementedError


def root_element(head: bytes) -> str:
    """The name of an XML file's outermost element, without a namespace's prefix; "" where the bytes begin no XML."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = head.decode("utf-16", errors="ignore")
    elif b"\0" in head[:4]:
        text = head.decode("utf-16-be" if head[:1] == b"\0" else "utf-16-le", errors="ignore")
    else:
        text = head.decode("utf-8-sig", errors="ignore")
    text = re.sub(r"<!--.*?-->|<\?.*?\?>|<!DOCTYPE[^>\[]*(\[.*?\])?[^>]*>", "", text, flags=re.DOTALL).lstrip()
    match = re.match(r"<(?:[\w.-]+:)?([\w.-]+)", text)
    return match[1] if match else ""
