"""``svertka kaggle`` with the real package against a local server; no secret is ever shown."""

import base64
import io
import json
import os
import re
import subprocess
import sys
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec

import pytest

from svertka.cli import kaggle as verbs
from svertka.errors import ConfigError, MissingExtraError, NotFoundError

needs_package = pytest.mark.skipif(find_spec("kaggle") is None, reason="the package kaggle is not installed")

KEY, SIGNATURE = "k3y-that-nobody-may-see", "signature-that-is-a-key-too"
SERVICE = "/api/v1/competitions.CompetitionApiService/"


class Stand(BaseHTTPRequestHandler):
    """Stands in for Kaggle, as a proxy for http://localhost: the package's own settings lead here."""

    def do_POST(self):
        body = json.loads(self._body() or b"{}")
        path = re.sub(r"^http://[^/]+", "", self.path)
        self.server.asked.append((path, body, self.headers.get("Authorization", "")))
        if self.server.status != 200:
            self._json({"code": self.server.status, "message": f"refused, {SIGNATURE}"}, self.server.status)
        elif path == SERVICE + "DownloadDataFiles":
            self.send_response(302)
            self.send_header("Location", f"http://localhost/files/cells.zip?Signature={SIGNATURE}")
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif path == SERVICE + "StartSubmissionUpload":
            self._json({"token": "upload-7", "createUrl": f"http://localhost/upload?Signature={SIGNATURE}"})
        elif path == SERVICE + "CreateSubmission":
            self._json({"message": "Successfully submitted to Solar cells", "ref": 41})
        else:
            self._json({"code": 404, "message": "no such method"}, 404)

    def do_GET(self):
        self._send(self.server.archive, "application/zip")

    def do_PUT(self):
        self.server.uploaded.append(self._body())
        self._json({})

    def _body(self):
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _json(self, value, status=200):
        self._send(json.dumps(value).encode(), "application/json", status)

    def _send(self, content, kind, status=200):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server():
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("train.csv", "id,label\n1,a\n")
        archive.writestr("train/1.png", b"")
        archive.writestr("sample_submission.csv", "id,label\n2,a\n")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Stand)
    server.archive, server.status, server.asked, server.uploaded = content.getvalue(), 200, [], []
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def svertka(server, tmp_path):
    """Runs the command with credentials where the package looks for them, as talkative as it can be made."""

    def run(*words, credentials=True, **more):
        proxy = f"http://127.0.0.1:{server.server_port}"
        env = {name: value for name, value in os.environ.items() if not name.upper().endswith("_PROXY")}
        env |= {"HOME": str(tmp_path / "home"), "KAGGLE_API_ENVIRONMENT": "LOCALHOST", "VERBOSE": "1"}
        env |= {"HTTP_PROXY": proxy, "http_proxy": proxy}
        env |= {"KAGGLE_USERNAME": "ada", "KAGGLE_KEY": KEY} if credentials else {}
        (tmp_path / "home").mkdir(exist_ok=True)
        code = "from svertka.cli.main import main; main()"
        done = subprocess.run(
            [sys.executable, "-c", code, "kaggle", *words], env=env | more, cwd=tmp_path, capture_output=True, text=True
        )
        said = done.stdout + done.stderr
        for secret in (KEY, SIGNATURE, base64.b64encode(f"ada:{KEY}".encode()).decode()):
            assert secret not in said
        return done

    return run


@needs_package
def test_a_competition_is_downloaded_and_unpacked(svertka, server, tmp_path):
    done = svertka("download", "https://www.kaggle.com/competitions/solar-cells/data")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "3 files in solar-cells\nNext: svertka train solar-cells\n"
    assert (tmp_path / "solar-cells/train.csv").read_text() == "id,label\n1,a\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "solar-cells"]
    ((path, body, authorization),) = server.asked
    assert (path, body["competitionName"]) == (SERVICE + "DownloadDataFiles", "solar-cells")
    assert base64.b64decode(authorization.removeprefix("Basic ")).decode() == f"ada:{KEY}"  # it did sign in
    again = svertka("download", "solar-cells")
    assert again.returncode == 2
    assert (
        again.stderr
        == "svertka: solar-cells is there already and is not overwritten; name another folder with --out.\n"
    )


@needs_package
def test_a_submission_is_sent(svertka, server, tmp_path):
    (tmp_path / "submission.csv").write_text("id,label\n2,a\n")
    done = svertka("submit", "solar-cells", "submission.csv", "--message", "a probe")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == "Kaggle: Successfully submitted to Solar cells"
    assert server.uploaded == [b"id,label\n2,a\n"]
    path, body, _ = server.asked[-1]
    assert path == SERVICE + "CreateSubmission"
    assert (body["competitionName"], body["blobFileTokens"], body["submissionDescription"]) == (
        "solar-cells",
        "upload-7",
        "a probe",
    )


@needs_package
@pytest.mark.parametrize(
    ("status", "said"),
    [
        (401, "Kaggle doesn't accept the credentials"),
        (403, "accept its rules at https://www.kaggle.com/competitions/solar-cells/rules"),
        (404, "Kaggle knows no competition 'solar-cells'"),
        (500, "Kaggle answers with HTTP status 500"),
    ],
)
def test_a_refusal_says_what_to_do(svertka, server, tmp_path, status, said):
    server.status = status
    done = svertka("download", "solar-cells")
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "solar-cells").exists()


@needs_package
def test_a_traceback_tells_no_secret_either(svertka, server):
    """The fixture looks for the secrets in all that is printed."""
    server.status = 500
    assert "RemoteError" in svertka("--debug", "download", "solar-cells").stderr


@needs_package
def test_without_credentials_it_says_where_they_come_from(svertka, server):
    done = svertka("download", "solar-cells", credentials=False)
    assert done.returncode == 2
    assert done.stderr.startswith(
        "svertka: Kaggle's package finds no valid credentials; sign in with `kaggle auth login`"
    )
    assert server.asked == []


@needs_package
def test_a_server_that_is_away_is_one_line(svertka):
    done = svertka("download", "solar-cells", HTTP_PROXY="http://127.0.0.1:9", http_proxy="http://127.0.0.1:9")
    assert done.returncode == 2
    assert "Kaggle cannot be reached or its answer is not understood (ProxyError)" in done.stderr


def test_without_the_package_it_names_the_extra(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(verbs, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'svertka\[kaggle\]'"):
        verbs.download("solar-cells")


@pytest.mark.parametrize("name", ["../etc", "", "a b", "https://example.org/solar-cells"])
def test_a_name_that_is_none_is_refused(name):
    with pytest.raises(ConfigError, match="expected its name as in its address"):
        verbs.download(name)


def test_a_submission_that_is_not_there_is_named(tmp_path):
    with pytest.raises(NotFoundError, match=r"gone\.csv is no file; expected the submission to send"):
        verbs.submit("solar-cells", str(tmp_path / "gone.csv"), "")
