"""AliveCor's ATC files, what Kardia devices record."""

from __future__ import annotations

import struct
import zlib
from functools import partial
from pathlib import Path

import numpy as np

from anyecg.data.own.channels import Channel
from anyecg.data.own.formats import FileFormat, Request
from anyecg.types import CANONICAL_LEADS, DataError

SIGNATURE = b"ALIVE\0\0\0"
FIRST = 12  # bytes: signature and version
LEADS = dict(zip((b"ecg ", *(b"ecg%c" % mark for mark in b"23456789abc")), CANONICAL_LEADS))
WORDS = 1  # the format of samples: 16 bits, signed


class ATC(FileFormat):
    """AliveCor's `.atc`: one to twelve leads of one rate in blocks, each with a checksum (ATC File Format 1.7).

    The specification calls the checksum a CRC-32, AliveCor's own reader sums the bytes; either is right here. Averaged
    and median beats are blocks of their own and stay apart.
    """

    suffixes = (".atc",)
    derives = True

    def recognises(self, path: Path, head: bytes) -> bool:
        return head.startswith(SIGNATURE)

    def read(self, path: Path, request: Request) -> list[Channel]:
        """DataError where the file is cut short, has no format or no samples, or a block of them is damaged."""
        blocks = _blocks(path, path.read_bytes(), request)
        if b"fmt " not in blocks:
            raise DataError(f"{path}: has no block 'fmt ' with its sampling rate; is it cut short?")
        try:
            kind, rate, nanovolts = struct.unpack_from("<BHH", blocks[b"fmt "])
        except struct.error:
            raise DataError(f"{path}: damaged: its block 'fmt ' is {len(blocks[b'fmt '])} bytes, 8 are due") from None
        if kind != WORDS:
            raise DataError(f"{path}: its samples are of kind {kind}, no 16-bit numbers")
        if not rate or not nanovolts:
            raise DataError(f"{path}: says {rate} Hz and {nanovolts} nV a step; neither can be 0")
        found = {lead: blocks[name] for name, lead in LEADS.items() if name in blocks}
        if not found:
            raise DataError(f"{path}: has no block of samples; is it cut short?")
        if odd := [lead for lead, data in found.items() if len(data) % 2]:
            raise DataError(f"{path}: damaged: lead {odd[0]} ends within a sample")
        return [Channel(lead, "nV", float(rate), partial(_samples, data, nanovolts)) for lead, data in found.items()]


def _samples(data: bytes, nanovolts: int) -> np.ndarray:
    return np.frombuffer(data, "<i2").astype(float) * nanovolts


def _blocks(path: Path, data: bytes, request: Request) -> dict[bytes, bytes]:
    """Name -> content of each block; DataError where one is cut short, or of what is needed is damaged."""
    found: dict[bytes, bytes] = {}
    at = FIRST
    while at < len(data):
        if at + 8 > len(data):
            request.note(f"{len(data) - at} bytes behind its last block are left out")
            break
        name, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        end = at + 8 + size
        needed = name == b"fmt " or name in LEADS
        if end + 4 > len(data):
            left = len(data) - at - 8
            raise DataError(f"{path}: cut short: block {_shown(name)} is {size:,} bytes, {left:,} are left")
        said = int.from_bytes(data[end : end + 4], "little")
        if said not in (sum(data[at:end]) & 0xFFFFFFFF, zlib.crc32(data[at:end])):
            if needed:
                raise DataError(f"{path}: damaged: the checksum of block {_shown(name)} is wrong")
            request.note(f"the checksum of block {_shown(name)}, which is not needed, is wrong")
        if name in found and needed:
            raise DataError(f"{path}: damaged: it has block {_shown(name)} twice")
        found.setdefault(name, data[at + 8 : end])
        at = end + 4
    return found


def _shown(name: bytes) -> str:
    return repr(name.decode("latin-1"))
