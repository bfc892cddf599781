"""`read_ecg`: which format a file is in, and the record it makes of what file and caller say."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from anyecg.data.own.array import NumPy, channels_of
from anyecg.data.own.channels import ASSUMED, Channel, Leads, hertz, named, of_one_rate, scales
from anyecg.data.own.digitise import read_page
from anyecg.data.own.formats import HEAD, FileFormat, Request, file_formats
from anyecg.data.own.magnitude import look, without_fill
from anyecg.data.own.picture import is_picture, read_picture
from anyecg.data.store.preprocess import lead_rows
from anyecg.types import CANONICAL_LEADS, AnyECGError, ConfigError, DataError, ECGRecord, Picture

log = logging.getLogger(__name__)


def read_ecg(
    path: Path | str,
    *,
    fs: float | None = None,
    leads: Leads = None,
    units: str | None = None,
    id: str | None = None,
    patient: str = "",
    format: str | None = None,
    record: str | int | None = None,
    digitise: bool = False,
) -> ECGRecord:
    """An ECG of one's own: float32 `[L, T]` in mV at its own rate, NaN where samples are invalid; `canonical` takes it
    on. What was assumed, mended or left out is logged, and stands in the record's `notes`.

    Args:
        path: WFDB (`.hea`, `.dat`, `.mat` beside a `.hea`, or the record's name), EDF or BDF, DICOM waveform, SCP-ECG,
            HL7 aECG, GE MUSE, Philips or Schiller XML, ISHNE, AliveCor ATC (Kardia), HDF5, MATLAB, a table (`.csv`,
            `.tsv`, `.txt`: a row a sample, a column a lead, or the reverse) or NumPy (`.npy`, `.npz`: `[L, T]` or
            `[T, L]`). The content decides before the suffix does.
        fs: Hz, where the file does not say it: NumPy, and a table without a column of time.
        leads: names, where the file does not say them: one a channel, in the file's order; or {channel: lead} to pick
            and name a few. Channels that are no lead by name are left out with a note.
        units: mV, uV, µV, nV or V, where the file does not say it; a table or an array is taken as mV.
        id: of the record; by default the file's name without suffix.
        patient: whom a split keeps together. The file's own patient name or number is never taken over: records end
            in stores, predictions and figures that are shared, so an identity is put there only by hand.
        format: name of a file format, or "module:Class" of one's own, where content and suffix do not tell.
        record: which recording, of a file that holds several (HDF5): its name or number.
        digitise: read the traces off a picture (`anyecg.data.own.digitise`): a straight scan of a clean page of ten
            seconds on grid paper. A picture that cannot be read so is a DataError that says why.

    Raises:
        DataError: the file is missing, cut short or broken; something it needs is not said; or the file says otherwise.
        AnyECGError: the format needs a library that is not installed.
    """
    if format is None and isinstance(path, (str, Path)) and is_picture(path) and Path(path).is_file():
        if not digitise:
            raise DataError(f"{path}: is a picture; digitise=True reads the traces off a clean page")
        picture = read_picture(path, id)
        found = read_page(Picture(picture.pixels, picture.id, patient))
    else:
        found = read_record(path, fs=fs, leads=leads, units=units, id=id, patient=patient, format=format, record=record)
    for note in found.notes:
        log.warning("%s: %s", path, note)
    return found


def read_array(
    signal: np.ndarray,
    *,
    fs: float | None = None,
    leads: Leads = None,
    units: str | None = None,
    id: str = "array",
    patient: str = "",
) -> ECGRecord:
    """An ECG of one's own that is in memory already, `[L, T]` or `[T, L]`; arguments and errors as for `read_ecg` of a
    `.npy` file, which says neither its rate nor its leads.
    """
    name = Path(id)
    request = Request(_lead_names(name, leads), hertz(name, fs), _word(name, "units", units))
    channels = channels_of(name, {"signal": np.asarray(signal)}, request)
    found = _record(name, channels, request, NumPy(), id=id, patient=patient)
    for note in found.notes:
        log.warning("%s: %s", id, note)
    return found


def read_record(
    path: Path | str,
    *,
    fs: float | None = None,
    leads: Leads = None,
    units: str | None = None,
    id: str | None = None,
    patient: str = "",
    format: str | None = None,
    record: str | int | None = None,
) -> ECGRecord:
    """As `read_ecg`, with nothing logged."""
    path = _path(path)
    request = Request(_lead_names(path, leads), hertz(path, fs), _word(path, "units", units), record)
    reader = _format(path, format)
    with _naming(path, reader):
        channels = reader.read(path, request)
    stem = path.stem if path.suffix.lower() in _suffixes() else path.name
    return _record(path, channels, request, reader, id=stem if id is None else id, patient=patient)


def _record(
    path: Path, channels: list[Channel], request: Request, reader: FileFormat, *, id: str, patient: str
) -> ECGRecord:
    """The record of a file's channels: of one rate, in mV, under the names that file and caller give."""
    rate, kept = of_one_rate(path, named(path, channels, request), request)
    factors = scales(path, kept, request)
    with _naming(path, reader), np.errstate(over="ignore", invalid="ignore"):
        rows = [
            np.asarray(np.asarray(channel.values()) * factor, np.float32) for (_, channel), factor in zip(kept, factors)
        ]
    if len({row.shape for row in rows}) > 1:
        raise DataError(f"{path}: its leads differ in length ({', '.join(f'{row.size:,}' for row in rows)} samples)")
    signal, names = np.stack(rows), [name for name, _ in kept]
    if signal.shape[1] == 0:
        raise DataError(f"{path}: holds no samples")
    signal[~np.isfinite(signal)] = np.nan
    if np.isnan(signal).all():
        raise DataError(f"{path}: not one of its samples is a finite number; is it the right file?")
    without_fill(signal, names, request)
    if reader.derives:
        signal, names = derived(signal, names, request)
    look(signal, names, request, said=request.units is not None or any(channel.unit for _, channel in kept))
    return ECGRecord(signal, rate, tuple(names), id, patient, ASSUMED, notes=tuple(request.notes))


def derived(signal: np.ndarray, names: Sequence[str], request: Request) -> tuple[np.ndarray, list[str]]:
    """The signal `[L, T]` with III, aVR, aVL and aVF where only I and II were stored, in the order of the twelve."""
    places, _ = lead_rows(tuple(names))
    rows = {CANONICAL_LEADS[lead]: signal[row] for lead, row in places.items()}
    absent = [lead for lead in CANONICAL_LEADS[2:6] if lead not in rows]
    if not absent or not {"I", "II"} <= rows.keys():
        return signal, list(names)
    one, two = rows["I"], rows["II"]
    made = {"III": two - one, "aVR": -(one + two) / 2, "aVL": one - two / 2, "aVF": two - one / 2}
    request.note(f"{', '.join(absent)}: computed from I and II, which the device stored")
    rows |= {lead: made[lead] for lead in absent}
    order = [lead for lead in CANONICAL_LEADS if lead in rows]
    return np.stack([rows[lead] for lead in order]).astype(np.float32), order


def _path(path: object) -> Path:
    try:
        return Path(path)  # type: ignore[arg-type]
    except TypeError:
        raise DataError(f"path={path!r} is no path of a file; pass a string or a pathlib.Path") from None


def _lead_names(path: Path, leads: object) -> Leads:
    """`leads` as text; DataError where it is none."""
    if leads is None:
        return None
    if isinstance(leads, (str, bytes)):
        return (_text(path, leads),)
    if isinstance(leads, Mapping):
        return {_text(path, channel): _text(path, lead) for channel, lead in leads.items()}
    try:
        return tuple(_text(path, lead) for lead in leads)  # type: ignore[attr-defined]
    except TypeError:
        raise DataError(f"{path}: leads={leads!r} is no list of names; pass one a channel") from None


def _text(path: Path, word: object) -> str:
    if isinstance(word, bytes):
        word = word.decode("utf-8", errors="replace")
    if not isinstance(word, str):
        raise DataError(f"{path}: leads= has {word!r}, which is no name of a lead; pass text such as 'II'")
    return str(word)


def _word(path: Path, key: str, word: object) -> str | None:
    if word is None or isinstance(word, str):
        return word
    raise DataError(f"{path}: {key}={word!r} is no text; pass one word for all leads, such as {key}='uV'")


def _suffixes() -> list[str]:
    formats: list[type[FileFormat]] = [file_formats[name] for name in file_formats.table()]
    return [suffix for known in formats for suffix in known.suffixes]


def _format(path: Path, name: str | None) -> FileFormat:
    """The format that a caller names, that a file's content or else its suffix tells; DataError where none does."""
    try:
        there = path.is_file()
        if there:
            with path.open("rb") as file:
                head = file.read(HEAD)
        beside = not there and Path(f"{path}.hea").is_file()
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be opened ({error})") from None
    if not there and not beside:
        raise DataError(f"there is no file {path}, nor a WFDB record of that name")
    if name is not None:
        try:
            return file_formats[name]()
        except ConfigError as error:
            raise DataError(f"{path}: format={name!r}: {error}") from None
    if beside:
        return file_formats["wfdb"]()
    formats = [file_formats[known]() for known in file_formats.table()]
    for known in formats:
        if known.recognises(path, head):
            return known
    suffix = path.suffix.lower()
    for known in formats:
        if suffix in known.suffixes and suffix != ".xml":
            return known
    if Path(f"{path}.hea").is_file():
        return file_formats["wfdb"]()
    raise DataError(
        f"{path}: no known format; {', '.join(dict.fromkeys(_suffixes()))} and DICOM are read (format= names one)"
    )


@contextmanager
def _naming(path: Path, reader: FileFormat) -> Iterator[None]:
    """Whatever a library raises on a broken file becomes a DataError that names the file."""
    try:
        yield
    except AnyECGError:
        raise
    except Exception as error:
        raise DataError(
            f"{path}: cannot be read as {type(reader).__name__}: cut short or broken "
            f"({type(error).__name__}: {str(error)[:300]})"
        ) from error
