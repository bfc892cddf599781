"""The simulated ECG as carts and Holter recorders write it, by encoders of the formats' own descriptions."""

import base64
import binascii
import struct
import zlib

import numpy as np

from tests.data.own.own_files import FS, LEADS, SIGNAL

SCP_CODES = dict(zip(LEADS, (1, 2, 61, 62, 63, 64, 3, 4, 5, 6, 7, 8)))
ISHNE_CODES = dict(zip(LEADS, range(5, 17)))
STEP = 2500  # nV


def steps(leads=LEADS, signal=SIGNAL, nanovolts=STEP):
    """int64 `[L, T]` of the named leads."""
    return np.rint(signal[[LEADS.index(lead) for lead in leads]] * 1e6 / nanovolts).astype(np.int64)


def section(number, body):
    body = body + b"\0" * (len(body) % 2)
    rest = struct.pack("<HIBB6s", number, len(body) + 16, 20, 20, b"") + body
    return struct.pack("<H", binascii.crc_hqx(rest, 0xFFFF)) + rest


def differences(values, order):
    """Differences of the first or second order; the first `order` values stay as they are."""
    if order == 0:
        return values
    made = np.diff(values, order)
    return np.concatenate((values[:1], np.diff(values[:2]) if order == 1 else values[1:2], made[order == 1 :]))


def huffman(values):
    bits = []
    for value in map(int, values):
        if value == 0:
            bits.append("0")
        elif abs(value) <= 8:
            bits.append("1" * abs(value) + "0" + ("1" if value < 0 else "0"))
        elif -128 <= value < 128:
            bits.append("1111111110" + f"{value & 0xFF:08b}")
        else:
            bits.append("1111111111" + f"{value & 0xFFFF:016b}")
    text = "".join(bits)
    text += "0" * (-len(text) % 8)
    return int(text, 2).to_bytes(len(text) // 8, "big")


def coded(rows, order, packed):
    return [
        huffman(differences(row, order)) if packed else differences(row, order).astype("<i2").tobytes() for row in rows
    ]


def data_section(number, rows, interval, order, packed, bimodal=0):
    parts = coded(rows, order, packed)
    head = struct.pack("<HHBB", STEP, interval, order, bimodal)
    return section(number, head + struct.pack(f"<{len(parts)}H", *map(len, parts)) + b"".join(parts))


def scp(path, leads=("I", "II", "V1", "V2", "V3", "V4", "V5", "V6"), order=2, packed=True, beats=(), factor=1):
    """An SCP-ECG file; beats: fiducial samples (from 1) at which a reference beat of 0.4 s is subtracted; factor:
    bimodal compression outside 40 samples around them."""
    rows = steps(leads)
    size = rows.shape[1]
    sections = [section(1, b"\xff\0\0")]
    if packed:
        sections.append(section(2, struct.pack("<H", 19999)))
    flags = bool(beats) and factor == 1
    described = b"".join(struct.pack("<IIB", 1, size, SCP_CODES[lead]) for lead in leads)
    sections.append(section(3, struct.pack("<BB", len(leads), flags | 4) + described))
    if beats:
        beat = rows[:, beats[0] - 101 : beats[0] + 99]
        zones = b"".join(struct.pack("<HIII", 0, at - 100, at, at + 99) for at in beats)
        kept = [(at - 20, at + 20) for at in beats]
        sections.append(
            section(
                4,
                struct.pack("<HHH", 400, 101, len(beats))
                + zones
                + b"".join(struct.pack("<II", *area) for area in kept),
            )
        )
        sections.append(data_section(5, beat, 2000, order, packed))
        if flags:
            rows = rows.copy()
            for at in beats:
                rows[:, at - 101 : at + 99] -= beat
        else:
            rows = np.stack([decimated(row, kept, factor) for row in rows])
    sections.append(data_section(6, rows, 2000 * factor, order, packed, int(factor > 1)))
    place = 7 + 16 + 10 * (len(sections) + 1)
    pointers = struct.pack("<HII", 0, 16 + 10 * (len(sections) + 1), 7)
    for made in sections:
        pointers += struct.pack("<HII", struct.unpack_from("<H", made, 2)[0], len(made), place)
        place += len(made)
    body = section(0, pointers) + b"".join(sections)
    rest = struct.pack("<I", len(body) + 6) + body
    path.write_bytes(struct.pack("<H", binascii.crc_hqx(rest, 0xFFFF)) + rest)
    return path


def decimated(row, kept, factor):
    """The means of each `factor` samples outside the kept areas; what is left of a stretch stays as it is."""
    parts, place = [], 0
    for begin, end in [*[(begin - 1, end) for begin, end in kept], (row.size, row.size)]:
        free = row[place:begin]
        whole = free.size // factor * factor
        parts += [np.rint(free[:whole].reshape(-1, factor).mean(axis=1)), free[whole:], row[begin:end]]
        place = end
    return np.concatenate(parts).astype(np.int64)


def ishne(path, leads=LEADS):
    rows = steps(leads)
    count = len(leads)
    codes, gains = [ISHNE_CODES.get(lead, 0) for lead in leads], [STEP] * count
    pad = [-9] * (12 - count)
    head = struct.pack("<iiii", 0, rows.shape[1], 522, 522) + struct.pack("<h", 1) + bytes(40 + 40 + 20)
    head += struct.pack("<hh9h3h", 0, 0, *[1] * 9, *[0] * 3) + struct.pack("<h", count)
    head += struct.pack("<12h12h12h", *codes, *pad, *[0] * 12, *gains, *pad) + struct.pack("<h", 0)
    head = head.ljust(272 - 10, b"\0")[: 272 - 10] + struct.pack("<h", int(FS))
    head = head.ljust(512, b"\0")
    check = binascii.crc_hqx(head, 0xFFFF)
    path.write_bytes(b"ISHNE1.0" + struct.pack("<H", check) + head + rows.T.astype("<i2").tobytes())
    return path


def atc(path, leads=LEADS[:6], beats=True, version=4, summed=True):
    """AliveCor's blocks, by its specification 1.7; summed: checksums as its own reader has them, not CRC-32."""

    def block(name, body):
        whole = name + struct.pack("<I", len(body)) + body
        return whole + struct.pack("<I", sum(whole) if summed else zlib.crc32(whole))

    marks = [b"ecg ", *(b"ecg%c" % mark for mark in b"23456789abc")]
    data = (
        b"ALIVE\0\0\0" + struct.pack("<I", version) + block(b"info", b"2026-01-01T12:00:00.000+00:00".ljust(264, b"\0"))
    )
    data += block(b"fmt ", struct.pack("<BHHBH", 1, int(FS), STEP, 2, 0))
    for lead, row in zip(leads, steps(leads)):
        data += block(marks[LEADS.index(lead)], row.astype("<i2").tobytes())
    data += block(b"avg ", steps()[0, :300].astype("<i2").tobytes()) if beats else b""
    path.write_bytes(data + block(b"ann ", struct.pack("<IIH", int(FS), 500, 1)))
    return path


def muse(path, leads=("I", "II", "V1", "V2", "V3", "V4", "V5", "V6"), unit="MICROVOLTS", step=2.5):
    def wave(kind, rows):
        made = ""
        for lead, row in zip(leads, rows):
            data = row.astype("<i2").tobytes()
            made += (
                f"<LeadData><LeadByteCountTotal>{len(data)}</LeadByteCountTotal><LeadID>{lead}</LeadID>"
                f"<LeadSampleCountTotal>{row.size}</LeadSampleCountTotal><LeadSampleSize>2</LeadSampleSize>"
                f"<LeadAmplitudeUnitsPerBit>{step}</LeadAmplitudeUnitsPerBit><LeadAmplitudeUnits>{unit}"
                f"</LeadAmplitudeUnits><LeadDataCRC32>{zlib.crc32(data)}</LeadDataCRC32>"
                f"<WaveFormData>{base64.encodebytes(data).decode()}</WaveFormData></LeadData>"
            )
        return f"<Waveform><WaveformType>{kind}</WaveformType><SampleBase>500</SampleBase><SampleExponent>0</SampleExponent>{made}</Waveform>"

    rows = steps(leads)
    path.write_text(
        '<?xml version="1.0" encoding="ISO-8859-1"?><!DOCTYPE RestingECG SYSTEM "restecg.dtd"><RestingECG>'
        f"{wave('Median', rows[:, :600])}{wave('Rhythm', rows)}</RestingECG>"
    )
    return path


def aecg(path, leads=LEADS, increment="0.002", unit="uV", step=2.5, prefix=""):
    rows = steps(leads)
    sequences = "".join(
        f'<component><sequence><code code="MDC_ECG_LEAD_{lead}"/><value xsi:type="SLIST_PQ"><origin value="0" unit="{unit}"/>'
        f'<scale value="{step}" unit="{unit}"/><digits>{" ".join(map(str, row))}</digits></value></sequence></component>'
        for lead, row in zip(leads, rows)
    )
    path.write_text(
        '<?xml version="1.0"?><AnnotatedECG xmlns="urn:hl7-org:v3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'
        f'<component><series><code code="RHYTHM"/><component><sequenceSet><component><sequence>'
        f'<code code="TIME_ABSOLUTE"/><value xsi:type="GLIST_TS"><head value="20200101"/><increment value="{increment}" '
        f'unit="s"/></value></sequence></component>{sequences}</sequenceSet></component></series></component></AnnotatedECG>'
    )
    return path


def sierra(path, encoding="utf-16"):
    data = base64.b64encode(steps(nanovolts=5000).astype("<i2").tobytes()).decode()
    milliseconds = round(SIGNAL.shape[1] / FS * 1000)
    path.write_bytes(
        (
            f'<?xml version="1.0" encoding="{encoding}"?><restingecgdata xmlns="http://www3.medical.philips.com"><documentinfo>'
            "<documenttype>PhilipsECG</documenttype><documentversion>1.04</documentversion></documentinfo><dataacquisition>"
            "<signalcharacteristics><samplingrate>500</samplingrate><resolution>5</resolution><signalsigned>True</signalsigned>"
            "<numberchannelsallocated>12</numberchannelsallocated></signalcharacteristics></dataacquisition><waveforms>"
            f'<parsedwaveforms dataencoding="Base64" compression="Uncompressed" durationperchannel="{milliseconds}" '
            f'samplespersecond="500" resolution="5" numberofleads="12" leadlabels="{" ".join(LEADS)}">{data}'
            "</parsedwaveforms></waveforms></restingecgdata>"
        ).encode(encoding)
    )
    return path


def schiller(path):
    def waves(kind, rows):
        made = "".join(
            f"<channel><name>{lead.upper()}</name><data>{','.join(map(str, row))},</data><datastype>COMMASEPARATE</datastype>"
            f"<samplecount>{row.size}</samplecount></channel>"
            for lead, row in zip(LEADS, rows)
        )
        return (
            f"<wavedata><type>{kind}</type><resolution><samplerate><exponent>1</exponent><value>500</value></samplerate><yres>"
            f"<unitperbit>2.5</unitperbit><units>UV</units></yres></resolution>{made}</wavedata>"
        )

    rows = steps()
    path.write_text(
        '<?xml version="1.0"?><com.xiriuz.sema.xml.schillerEDI.SchillerEDI><eventdata><event>'
        f"{waves('ECG_AVERAGES', rows[:, :500])}{waves('ECG_RHYTHMS', rows)}</event></eventdata>"
        "</com.xiriuz.sema.xml.schillerEDI.SchillerEDI>"
    )
    return path
