"""SCP-ECG (EN 1064, ISO 11073-91064): sections, Huffman codes, differences, reference beats, bimodal compression."""

from __future__ import annotations

import binascii
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from anyecg.data.own.channels import Channel
from anyecg.data.own.formats import FileFormat, Request
from anyecg.types import DataError

HEADER = 16  # bytes of a section before its data
DEFAULT_TABLE = 19999  # in place of a number of Huffman tables: the one of the standard
LONGEST = 24 * 3600 * 1000  # samples of a lead
# Codes of leads in section 3; those not listed are no lead of the twelve.
LEADS = {1: "I", 2: "II", **{number + 2: f"V{number}" for number in range(1, 8)}, 61: "III", 62: "aVR", 63: "aVL"}
LEADS |= {64: "aVF", 65: "-aVR", 66: "V8", 67: "V9", 10: "V2R", 11: "V3R", 12: "V4R", 13: "V5R", 14: "V6R", 15: "V7R"}
LEADS |= {16: "X", 17: "Y", 18: "Z", 19: "CC5", 20: "CM5"}


@dataclass(frozen=True)
class Code:
    """A prefix of a Huffman table: bits of the whole code, whether it is a value (or a change of table), the value."""

    bits: int
    value: bool
    base: int


@dataclass
class Beats:
    """Section 4: samples (from 1) of each beat, and where the reference beat has its fiducial point.

    zones: (type, first sample of subtraction, fiducial point, last sample); kept: (first, last) of the areas that
    bimodal compression keeps at the full rate.
    """

    milliseconds: int = 0
    fiducial: int = 0
    zones: list[tuple[int, int, int, int]] = field(default_factory=list)
    kept: list[tuple[int, int]] = field(default_factory=list)


@dataclass
class Part:
    """Section 5 or 6: nanovolts a step, microseconds a sample, kind of differences, bimodal, bytes of each lead."""

    step: int
    interval: int
    differences: int
    bimodal: bool
    leads: list[bytes]


class SCP(FileFormat):
    """SCP-ECG files: the rhythm data of section 6, with the reference beat added where it was subtracted."""

    suffixes = (".scp",)
    derives = True

    def recognises(self, path: Path, head: bytes) -> bool:
        if len(head) < 38:
            return False
        number, length = struct.unpack_from("<HI", head, 8)
        own, _, place = struct.unpack_from("<HII", head, 22)
        return number == 0 and own == 0 and place == 7 and length >= HEADER + 10

    def read(self, path: Path, request: Request) -> list[Channel]:
        """The leads of section 6; DataError where a section is cut short, missing or damaged (its checksum tells)."""
        data = path.read_bytes()
        sections = _sections(path, data, request)
        if 6 not in sections or 3 not in sections:
            raise DataError(f"{path}: has no section {3 if 3 not in sections else 6}, so no rhythm data")
        codes, spans, flags = _leads(path, sections[3])
        tables = _tables(path, sections[2]) if 2 in sections else None
        rhythm = _part(path, sections[6], 6, len(codes))
        beats = _beats(path, sections[4], flags) if 4 in sections else Beats()
        median = _part(path, sections[5], 5, len(codes)) if 5 in sections and len(sections[5]) >= 6 else None
        subtracted = bool(flags & 1)
        full = rhythm.interval
        factor = 1
        if median is not None and (subtracted or rhythm.bimodal) and median.interval < rhythm.interval:
            full, (factor, rest) = median.interval, divmod(rhythm.interval, median.interval)
            if rest:
                raise DataError(f"{path}: rhythm data of {rhythm.interval} us a sample, reference beat of {full}")
        elif rhythm.bimodal and beats.kept:
            full, factor = rhythm.interval // 4, 4
        if rhythm.step == 0 or full == 0:
            raise DataError(f"{path}: its amplitude step is {rhythm.step} nV, its interval {full} us; it is damaged")
        kept = beats.kept or [(zone[1], zone[3]) for zone in beats.zones]
        reference = _reference(path, median, beats, tables, subtracted)
        channels = []
        for index, (code, (first, last)) in enumerate(zip(codes, spans)):
            size = last - first + 1
            held = _held(size, first, kept, factor)
            raw = _decoded(path, rhythm, index, held, tables)
            values = (_expanded(raw, size, first, kept, factor) if factor > 1 else raw) * float(rhythm.step)
            if reference is not None and median is not None:
                _add(values, first, reference[index] * float(median.step), beats)
            name = LEADS.get(code, f"SCP lead {code}")
            channels.append((name, first, values))
        start = min(first for _, first, _ in channels)
        end = max(first + values.size for _, first, values in channels)
        if len({(first, values.size) for _, first, values in channels}) > 1:
            request.note("its leads begin or end at different times; what a lead lacks is invalid")
        return [
            Channel(name, "nV", 1e6 / full, partial(_placed, values, first - start, end - start))
            for name, first, values in channels
        ]


def _placed(values: np.ndarray, begin: int, size: int) -> np.ndarray:
    made = np.full(size, np.nan)
    made[begin : begin + values.size] = values
    return made


def _sections(path: Path, data: bytes, request: Request) -> dict[int, bytes]:
    """Section number -> its data, of those that have any; a note where a checksum is wrong."""
    if len(data) < 6 + HEADER:
        raise DataError(f"{path}: {len(data)} bytes are no SCP-ECG file; it is cut short")
    checksum, size = struct.unpack_from("<HI", data)
    if size > len(data):
        raise DataError(f"{path}: cut short: it says {size:,} bytes and holds {len(data):,}")
    if size < len(data):
        request.note(f"left out {len(data) - size:,} byte(s) behind its end")
    data = data[:size]
    wrong = [] if binascii.crc_hqx(data[2:], 0xFFFF) == checksum else ["the file"]
    length = struct.unpack_from("<I", data, 10)[0]
    if not HEADER <= length <= size - 6:
        raise DataError(f"{path}: damaged: its section of pointers is {length:,} bytes long")
    sections = {}
    for place in range(6 + HEADER, 6 + length - 9, 10):
        number, count, index = struct.unpack_from("<HII", data, place)
        if number == 0 or count <= HEADER or number > 12:
            continue
        if index < 1 or index - 1 + count > size:
            raise DataError(f"{path}: cut short or damaged: section {number} lies behind its end")
        body = data[index - 1 : index - 1 + count]
        own, inside = struct.unpack_from("<HH", body)
        if inside != number:
            raise DataError(f"{path}: damaged: section {number} calls itself {inside}")
        if binascii.crc_hqx(body[2:], 0xFFFF) != own and number in (2, 3, 4, 5, 6):
            wrong.append(f"section {number}")
        sections[number] = body[HEADER:]
    if wrong:
        request.note(f"the checksum of {', '.join(wrong)} is wrong: it was changed after it was written")
    return sections


def _leads(path: Path, body: bytes) -> tuple[list[int], list[tuple[int, int]], int]:
    """Section 3: the leads' codes, their first and last samples (from 1), and its flags."""
    count = body[0]
    if count == 0 or len(body) < 2 + 9 * count:
        raise DataError(f"{path}: damaged: section 3 describes {count} leads in {len(body)} bytes")
    fields = [struct.unpack_from("<IIB", body, 2 + 9 * index) for index in range(count)]
    for first, last, code in fields:
        if not 1 <= first <= last or last - first >= LONGEST:
            raise DataError(f"{path}: damaged: lead {code} lasts from sample {first} to {last}")
    return [code for _, _, code in fields], [(first, last) for first, last, _ in fields], body[1]


def _beats(path: Path, body: bytes, flags: int) -> Beats:
    if len(body) < 6:
        raise DataError(f"{path}: damaged: section 4 is {len(body)} bytes long")
    milliseconds, fiducial, count = struct.unpack_from("<HHH", body)
    beats = Beats(milliseconds, fiducial)
    place = 6
    if place + 14 * count <= len(body):
        beats.zones = [struct.unpack_from("<HIII", body, place + 14 * index) for index in range(count)]
        place += 14 * count
        if place + 8 * count <= len(body):
            beats.kept = [struct.unpack_from("<II", body, place + 8 * index) for index in range(count)]
    elif flags & 1:
        raise DataError(f"{path}: cut short or damaged: section 4 lists {count} beats")
    return beats


def _part(path: Path, body: bytes, number: int, count: int) -> Part:
    if len(body) < 6 + 2 * count:
        raise DataError(f"{path}: cut short or damaged: section {number} is {len(body)} bytes long")
    step, interval, differences, bimodal = struct.unpack_from("<HHBB", body)
    lengths = struct.unpack_from(f"<{count}H", body, 6)
    if differences > 2 or 6 + 2 * count + sum(lengths) > len(body):
        raise DataError(f"{path}: cut short or damaged: section {number} says {sum(lengths):,} bytes of leads")
    leads, place = [], 6 + 2 * count
    for length in lengths:
        leads.append(body[place : place + length])
        place += length
    return Part(step, interval, differences, bool(bimodal), leads)


def _tables(path: Path, body: bytes) -> list[dict[tuple[int, int], Code]]:
    """Section 2: each table by (bits, prefix)."""
    count = struct.unpack_from("<H", body)[0] if len(body) >= 2 else 0
    if count == DEFAULT_TABLE:
        return [_default()]
    tables, place = [], 2
    for _ in range(count):
        if place + 2 > len(body):
            break
        codes = struct.unpack_from("<H", body, place)[0]
        place += 2
        table = {}
        for _ in range(codes):
            if place + 9 > len(body):
                raise DataError(f"{path}: cut short or damaged: section 2 describes {count} tables of Huffman codes")
            prefix, bits, mode, base, stored = struct.unpack_from("<BBBhI", body, place)
            place += 9
            if not 1 <= prefix <= 32 or bits < prefix or bits - prefix > 32:
                raise DataError(f"{path}: damaged: a Huffman code of {prefix} bits in {bits}")
            # the first bit that is sent is the lowest of the number
            key = int(f"{stored & ((1 << prefix) - 1):0{prefix}b}"[::-1], 2)
            table[prefix, key] = Code(bits, mode != 0, base)
        tables.append(table)
    if not tables or not all(tables):
        raise DataError(f"{path}: damaged: section 2 has no table of Huffman codes")
    return tables


def _default() -> dict[tuple[int, int], Code]:
    """The standard's table: 0, then 1, -1, 2, -2, ... to 8 by rising length, then 8 and 16 bits as they are."""
    table = {(1, 0): Code(1, True, 0)}
    for size in range(1, 9):
        ones = (1 << size) - 1
        table[size + 2, ones << 2] = Code(size + 2, True, size)
        table[size + 2, (ones << 2) | 1] = Code(size + 2, True, -size)
    table[10, 0b1111111110] = Code(18, True, 0)
    table[10, 0b1111111111] = Code(26, True, 0)
    return table


def _decoded(path: Path, part: Part, index: int, count: int, tables: list | None) -> np.ndarray:
    """int64 `[count]`: the samples of one lead in steps, differences undone."""
    data = part.leads[index]
    if tables is None:
        if len(data) < 2 * count:
            raise DataError(f"{path}: cut short: lead {index + 1} has {len(data) // 2:,} of {count:,} samples")
        values = np.frombuffer(data, "<i2", count).astype(np.int64)
    else:
        values = np.array(_huffman(path, data, count, tables), np.int64)
    if part.differences == 1:
        values = np.cumsum(values)
    elif part.differences == 2 and values.size > 2:
        slopes = np.cumsum(np.concatenate((values[1:2] - values[:1], values[2:])))
        values = np.concatenate((values[:1], values[:1] + np.cumsum(slopes)))
    return values.astype(np.int16).astype(np.int64)  # what overflowed in 16 bits on the way comes back


def _huffman(path: Path, data: bytes, count: int, tables: list[dict[tuple[int, int], Code]]) -> list[int]:
    """`count` numbers from a stream of Huffman codes, the highest bit of each byte first."""
    if count > 8 * len(data):
        raise DataError(f"{path}: cut short: {count:,} samples of a lead in {len(data):,} bytes")
    bits = f"{int.from_bytes(data, 'big'):0{8 * len(data)}b}" if data else ""
    lengths = [sorted({length for length, _ in table}) for table in tables]
    values: list[int] = []
    table, place = 0, 0
    while len(values) < count:
        for length in lengths[table]:
            chunk = bits[place : place + length]
            code = tables[table].get((length, int(chunk, 2))) if len(chunk) == length else None
            if code is not None:
                break
        else:
            raise DataError(f"{path}: cut short or damaged: its Huffman codes end after {len(values):,} of {count:,}")
        place += length
        if not code.value:
            table = code.base - 1
            if not 0 <= table < len(tables):
                raise DataError(f"{path}: damaged: a change to Huffman table {code.base} of {len(tables)}")
            continue
        more = code.bits - length
        value = code.base
        if more:
            chunk = bits[place : place + more]
            if len(chunk) < more:
                raise DataError(f"{path}: cut short: its Huffman codes end after {len(values):,} of {count:,} samples")
            place += more
            value += int(chunk, 2) - ((1 << more) if chunk[0] == "1" else 0)
        values.append(value)
    return values


def _free(size: int, first: int, kept: Sequence[tuple[int, int]]) -> list[tuple[int, int, bool]]:
    """(begin, end, whether it is kept at the full rate), from 0, over all samples of a lead."""
    stretches, place = [], 0
    for begin, end in sorted(kept):
        begin, end = max(begin - first, place), min(end - first + 1, size)
        if end <= begin:
            continue
        if begin > place:
            stretches.append((place, begin, False))
        stretches.append((begin, end, True))
        place = end
    if place < size:
        stretches.append((place, size, False))
    return stretches


def _held(size: int, first: int, kept: Sequence[tuple[int, int]], factor: int) -> int:
    """How many samples are stored of `size`."""
    if factor == 1:
        return size
    return sum(
        end - begin if full else sum(divmod(end - begin, factor)) for begin, end, full in _free(size, first, kept)
    )


def _expanded(raw: np.ndarray, size: int, first: int, kept: Sequence[tuple[int, int]], factor: int) -> np.ndarray:
    """Float `[size]`: the samples between the kept areas, of which one in `factor` is stored, by straight lines.

    A stored sample stands in the middle of its `factor`; what is left of a stretch is stored as it is.
    """
    made, place = np.empty(size), 0
    for begin, end, full in _free(size, first, kept):
        if full:
            made[begin:end] = raw[place : place + end - begin]
            place += end - begin
            continue
        count, rest = divmod(end - begin, factor)
        if count:
            where = np.arange(count * factor)
            made[begin : begin + where.size] = np.interp(
                where, np.arange(count) * factor + factor // 2, raw[place : place + count]
            )
        made[end - rest : end] = raw[place + count : place + count + rest]
        place += count + rest
    return made


def _reference(
    path: Path, median: Part | None, beats: Beats, tables: list | None, subtracted: bool
) -> list[np.ndarray] | None:
    """The reference beat of each lead in steps, where it was subtracted."""
    if not subtracted or not beats.zones:
        return None
    if median is None or not median.interval or not median.step:
        raise DataError(f"{path}: its reference beat was subtracted, and section 5 with the beat is missing")
    count = round(beats.milliseconds * 1000 / median.interval)
    return [_decoded(path, median, index, count, tables) for index in range(len(median.leads))]


def _add(values: np.ndarray, first: int, beat: np.ndarray, beats: Beats) -> None:
    """Add the reference beat (type 0) to a lead in its zones, in place."""
    for kind, begin, fiducial, end in beats.zones:
        if kind != 0:
            continue
        offset = fiducial - beats.fiducial + 1  # the sample of the lead at which the beat's first stands
        low = max(begin, first, offset)
        high = min(end, first + values.size - 1, offset + beat.size - 1)
        if high >= low:
            values[low - first : high - first + 1] += beat[low - offset : high - offset + 1]
