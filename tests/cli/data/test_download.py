"""Downloading: what is asked first, what is fetched, and what becomes of files that are cut, damaged or missing."""

import hashlib
import http.server
import threading
from functools import partial

import pytest
import wfdb
from wfdb.io import download as wfdb_download

from anyecg.cli.data import download
from anyecg.data.__main__ import main
from anyecg.data.dataset.licences import LICENCES, SOURCES
from tests.data.native import write_annotated

NAME = "mit_bih_arrhythmia"


class PhysioNet(http.server.SimpleHTTPRequestHandler):
    """A tree of databases that can cut a file short, damage it, or die after a number of requests."""

    def do_GET(self):
        self.server.asked.append(self.path)
        name = self.path.rpartition("/")[2]
        if len(self.server.asked) > self.server.lives:
            return self.connection.close()
        if name in self.server.cut:
            content = (self.server.root / self.path[1:]).read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            return self.wfile.write(content[: len(content) // 2])
        if name in self.server.damaged:
            self.send_response(200)
            self.end_headers()
            return self.wfile.write(b"damaged")
        return super().do_GET()

    def log_message(self, *_):
        pass


def publish(root, slug, version="1.0.0", records=("100", "101", "102"), prefix=""):
    """A release in PhysioNet's layout: records with annotations, RECORDS, LICENSE.txt, a table, SHA256SUMS.txt."""
    folder = root / slug / version
    for record in records:
        write_annotated(folder / prefix, record)
    (folder / prefix / "RECORDS").write_text("".join(f"{record}\n" for record in records))
    (folder / "LICENSE.txt").write_text("licence\n")
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()} {path.relative_to(folder)}\n" for path in files]
    (folder / "SHA256SUMS.txt").write_text("".join(lines))
    return folder


@pytest.fixture
def server(tmp_path, monkeypatch):
    root = tmp_path / "files"
    root.mkdir()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(PhysioNet, directory=str(root)))
    server.root, server.asked, server.cut, server.damaged, server.lives = root, [], set(), set(), 10_000
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    monkeypatch.setattr(wfdb_download.config, "db_index_url", f"http://127.0.0.1:{server.server_port}/")
    monkeypatch.setattr(download, "WAITS", (0, 0))
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def mitdb(server):
    return publish(server.root, "mitdb")


def command(folder, *more, name=NAME):
    return main(["download", name, "--to", str(folder), "--yes", *more])


def names(folder):
    return sorted(
        str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and path.name != ".lock"
    )


def test_a_release_comes_whole_and_reads(mitdb, tmp_path, capsys):
    assert command(tmp_path / "to") == 0
    assert names(tmp_path / "to") == names(mitdb)
    assert all((tmp_path / "to" / name).read_bytes() == (mitdb / name).read_bytes() for name in names(mitdb))
    assert wfdb.rdrecord(str(tmp_path / "to" / "100")).sig_len == 30 * 360
    told = capsys.readouterr().out
    for words in ("MIT-BIH Arrhythmia Database, version 1.0.0", "100 MB", "ODC-By 1.0", "Moody, Mark", "PhysioBank"):
        assert words in told
    assert f"--root {NAME}={tmp_path / 'to'}" in told


def test_nothing_right_is_fetched_again(mitdb, server, tmp_path, capsys):
    command(tmp_path / "to")
    server.asked.clear()
    assert command(tmp_path / "to") == 0
    assert server.asked == ["/mitdb/1.0.0/SHA256SUMS.txt"]
    assert f"(0 fetched, {len(names(mitdb)) - 1} there already)" in capsys.readouterr().out


def test_a_file_that_is_cut_or_damaged_on_disk_is_fetched_again(mitdb, server, tmp_path):
    command(tmp_path / "to")
    (tmp_path / "to" / "100.dat").write_bytes((mitdb / "100.dat").read_bytes()[:1000])
    (tmp_path / "to" / "101.atr").write_bytes(b"x" * (mitdb / "101.atr").stat().st_size)  # of the right size
    server.asked.clear()
    assert command(tmp_path / "to") == 0
    assert sorted(server.asked[1:]) == ["/mitdb/1.0.0/100.dat", "/mitdb/1.0.0/101.atr"]
    assert (tmp_path / "to" / "100.dat").read_bytes() == (mitdb / "100.dat").read_bytes()


def test_a_connection_that_is_cut_leaves_no_half_file_and_goes_on(mitdb, server, tmp_path, capsys):
    server.cut = {"101.dat"}
    assert command(tmp_path / "to") == 2
    told = capsys.readouterr().err
    assert (
        f"{wfdb_download.config.db_index_url}mitdb/1.0.0/101.dat cannot be reached" in told
        and "the same command goes on" in told
    )
    assert not (tmp_path / "to" / "101.dat").exists() and (tmp_path / "to" / "100.dat").exists()
    server.cut = set()
    server.asked.clear()
    assert command(tmp_path / "to") == 0
    assert names(tmp_path / "to") == names(mitdb) and "/mitdb/1.0.0/100.dat" not in server.asked


@pytest.mark.parametrize("lives", [0, 1, 5])
def test_a_server_that_dies_is_one_message_and_the_rest_comes_later(mitdb, server, tmp_path, capsys, lives):
    server.lives = lives
    assert command(tmp_path / "to") == 2
    told = capsys.readouterr().err
    assert told.count("cannot be reached") == 1 and wfdb_download.config.db_index_url in told
    server.lives = 10_000
    assert command(tmp_path / "to") == 0
    assert names(tmp_path / "to") == names(mitdb)


def test_a_connection_that_fails_once_is_tried_again(mitdb, server, tmp_path, monkeypatch):
    real, failed = wfdb_download.dl_full_file, []

    def flaky(url, target):
        if url.endswith("101.dat") and not failed:
            failed.append(url)
            raise ConnectionError("reset")
        real(url, target)

    monkeypatch.setattr(wfdb_download, "dl_full_file", flaky)
    assert command(tmp_path / "to") == 0 and failed


def test_files_that_stay_wrong_are_named_and_the_others_kept(mitdb, server, tmp_path, capsys):
    server.damaged = {"101.dat"}
    (mitdb / "102.atr").unlink()
    assert command(tmp_path / "to") == 2
    told = capsys.readouterr().err
    assert "2 of 11 files are not as SHA256SUMS.txt says" in told and "Give the same command" in told
    assert (
        f"{tmp_path / 'to' / '101.dat'} came with checksum" in told
        and f"{tmp_path / 'to' / '102.atr'} is not on the server" in told
    )
    assert server.asked.count("/mitdb/1.0.0/101.dat") == 2
    assert sorted(set(names(mitdb)) - set(names(tmp_path / "to"))) == ["101.dat"]
    server.damaged = set()
    assert command(tmp_path / "to") == 2
    assert "1 of 11 files" in capsys.readouterr().err


def test_a_limit_brings_the_first_records_and_every_index(mitdb, tmp_path):
    assert command(tmp_path / "to", "--limit", "2") == 0
    assert set(names(mitdb)) - set(names(tmp_path / "to")) == {"102.hea", "102.dat", "102.atr"}
    assert command(tmp_path / "to") == 0
    assert names(tmp_path / "to") == names(mitdb)


def test_a_source_that_is_part_of_a_release_comes_alone(server, tmp_path, capsys):
    publish(server.root, "challenge-2021", "1.0.3", ("HR0001",), "training/ptb-xl/g1")
    publish(server.root, "challenge-2021", "1.0.3", ("A0001", "A0002"), "training/cpsc_2018/g1")
    assert command(tmp_path / "to", name="cpsc2018") == 0
    came = names(tmp_path / "to")
    assert (
        "training/cpsc_2018/g1/A0002.hea" in came
        and "LICENSE.txt" in came
        and not any("ptb-xl" in name for name in came)
    )
    assert f"--root cpsc2018={tmp_path / 'to' / 'training' / 'cpsc_2018'}" in capsys.readouterr().out


def test_two_releases_do_not_mix_in_one_folder(mitdb, server, tmp_path, capsys):
    publish(server.root, "edb", records=("e0103",))
    command(tmp_path / "to")
    assert command(tmp_path / "to", name="european_st_t") == 2
    assert "another release's" in capsys.readouterr().err
    assert names(tmp_path / "to") == sorted([*names(mitdb), "SHA256SUMS.txt.part"])
    assert command(tmp_path / "to") == 0


def test_an_answer_that_is_no_list_of_checksums_is_told(mitdb, tmp_path, capsys):
    (mitdb / "SHA256SUMS.txt").write_text("<html>Log in to the hotel's network</html>")
    assert command(tmp_path / "to") == 2
    assert "is no list of checksums" in capsys.readouterr().err
    (mitdb / "SHA256SUMS.txt").write_text(f"{'0' * 64} ../../outside\n")
    assert command(tmp_path / "to") == 2
    assert not (tmp_path / "outside").exists()


def test_a_hanging_server_and_an_unusable_folder_are_told(mitdb, tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("")
    assert command(tmp_path / "file") == 2
    assert str(tmp_path / "file") in capsys.readouterr().err
    waiting = threading.Event()
    monkeypatch.setattr(wfdb_download, "dl_full_file", lambda *_: waiting.wait())
    monkeypatch.setattr(download, "STALL", 0.1)
    assert command(tmp_path / "to") == 2
    waiting.set()
    assert "no file has come" in capsys.readouterr().err


def test_nothing_is_fetched_before_the_terms_are_accepted(mitdb, server, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    assert main(["download", NAME, "--to", str(tmp_path / "to")]) == 2
    told = capsys.readouterr()
    assert "--yes" in told.err and "ODC-By 1.0" in told.out
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda *_: "n")
    assert main(["download", NAME, "--to", str(tmp_path / "to")]) == 1
    assert server.asked == [] and not (tmp_path / "to").exists()
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    assert main(["download", NAME, "--to", str(tmp_path / "to")]) == 0


@pytest.mark.parametrize("given, said", [
    (["download"], "--list"), (["download", NAME, "--yes"], "--to DIR"), (["download", NAME, "--to", "x", "--limit", "0"], "--limit"),
    (["download", "ecgqa", "--to", "x", "--yes"], "github.com/Jwoo5/ecg-qa"),
])  # fmt: skip
def test_what_cannot_be_downloaded_is_told(given, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(given) == 2
    assert said in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_every_source_is_listed_with_terms_and_citation(capsys):
    assert main(["download", "--list"]) == 0
    told = capsys.readouterr().out
    for name, source in SOURCES.items():
        assert name in told and source.licence in told
        assert source.licence in LICENCES and source.cite
        assert all(text in download.introduction(source) for text in (source.title, source.page, *source.cite))
