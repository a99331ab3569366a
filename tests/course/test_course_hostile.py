"""Hostile solutions are stopped and told in one line, and leave nothing: no process, no file, no change."""

import ctypes
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

from svertka.course.checker import check, unlimited
from svertka.course.findings import TaskVerdict
from svertka.course.plain_values import LARGEST_ARRAY, Unreadable, from_plain, to_plain
from svertka.course.sandbox import Stopped, Student, StudentLimits, held_by_system
from svertka.course.task_list import find_task
from svertka.course.wording import sentence, verdict_lines
from svertka.errors import DataError, NotFoundError
from svertka.messages.translator import Translator

LINUX = sys.platform == "linux"


def landlock():
    """Whether this kernel has it."""
    return ctypes.CDLL(None).syscall(444, None, ctypes.c_size_t(0), 1) >= 1


FUNCTION = "def convolution2d(image, kernel, padding=0, stride=1):\n"

HOSTILE = {
    "endless": ("    while True: pass", "stopped_time"),
    "eight_gigabytes": ("    return bytearray(8 << 30)", "stopped_memory"),
    "eight_gigabytes_of_zeros": ("    import numpy\n    return numpy.ones(1 << 30)", "stopped_memory"),
    "fork_bomb": ("    import os\n    while True: os.fork()", "stopped_processes"),
    "spawn": ("    import subprocess\n    subprocess.run(['sleep', '99'])", "stopped_processes"),
    "shell": ("    import os\n    os.system('touch VICTIM.new')", "stopped_processes"),
    "kill": ("    import os\n    os.kill(os.getppid(), 9)", "stopped_processes"),
    "write": ("    open('VICTIM.new', 'w').write('x')", "stopped_files"),
    "append": ("    open('VICTIM', 'a').write('x')", "stopped_files"),
    "write_by_number": ("    import os\n    os.open('VICTIM', os.O_WRONLY | os.O_TRUNC)", "stopped_files"),
    "delete": ("    import os\n    os.remove('VICTIM')", "stopped_files"),
    "delete_all": ("    import shutil\n    shutil.rmtree('FOLDER')", "stopped_files"),
    "delete_in_a_thread": (
        "    import os, threading\n    t = threading.Thread(target=os.remove, args=('VICTIM',))\n"
        "    t.start(); t.join()",
        "stopped_files",
    ),
    "delete_and_hush": (
        "    import os\n    try:\n        os.remove('VICTIM')\n    except BaseException:\n        return image",
        "stopped_files",
    ),
    "rename": ("    import os\n    os.rename('VICTIM', 'VICTIM.new')", "stopped_files"),
    "mode": ("    import os\n    os.chmod('VICTIM', 0)", "stopped_files"),
    "link": ("    import os\n    os.symlink('VICTIM', 'VICTIM.new')", "stopped_files"),
    "through_a_link": ("    import os\n    os.symlink('VICTIM', 'mine')", "stopped_files"),
    "network": ("    import socket\n    socket.create_connection(('127.0.0.1', PORT))", "stopped_network"),
    "names": ("    import socket\n    socket.getaddrinfo('localhost', 80)", "stopped_network"),
    "web": ("    import urllib.request\n    urllib.request.urlopen('http://127.0.0.1:PORT')", "stopped_network"),
    "native": ("    import ctypes\n    ctypes.CDLL(None).system(b'touch VICTIM.new')", "stopped_libraries"),
    "fill_the_disk": (
        "    for n in range(10**9):\n        with open(f'part{n}', 'wb') as file: file.write(bytes(8 << 20))",
        "stopped_disk",
    ),
    "exit_at_once": ("    import os\n    os._exit(0)", "stopped_ended"),
    "crash": ("    import os\n    os.abort()", "stopped_ended"),
    "exit": ("    import sys\n    sys.exit('bye')", "raised"),
    "interrupt": ("    raise KeyboardInterrupt", "raised"),
    "odd_exception": (
        "    class Odd(BaseException):\n        def __str__(self): raise self\n    raise Odd",
        "raised",
    ),
    "recursion": ("    return convolution2d(image, kernel)", "raised"),
    "talk_over": (
        "    import os\n    for n in range(3, 30):\n        try: os.write(n, b'{\"value\": 1}\\n')\n"
        "        except OSError: pass\n    return image",
        "no_array",
    ),
    "gibberish": (
        "    import os\n    for n in range(3, 30):\n        try: os.write(n, b'\\xff\\n')\n"
        "        except OSError: pass",
        "stopped_garbage",
    ),
    "chatter": (
        "    import os\n    while True:\n        for n in range(3, 30):\n"
        "            try: os.write(n, b'{}\\n' * 9999)\n            except OSError: pass",
        "stopped_garbage",
    ),
    "endless_line": (
        "    import os\n    while True:\n        for n in range(3, 30):\n            try: os.write(n, b'x' * 9999)\n"
        "            except OSError: pass",
        "stopped_garbage",
    ),
    "deep_folders": ("    import os\n    for n in range(3000): os.mkdir('deep'); os.chdir('deep')", None),
    "shut_folder": ("    import os\n    os.mkdir('shut', 0); os.makedirs('a/b/c'); os.umask(0o777)", None),
    "many_files": ("    for n in range(10**9): open(f'{n}', 'w').close()", None),
    "many_threads": (
        "    import threading, time\n    for _ in range(10**5): threading.Thread(target=time.sleep, args=(9,)).start()",
        None,
    ),
    "none": ("    return None", "no_array"),
    "text": ("    return 'zero'", "no_array"),
    "objects": ("    import numpy\n    return numpy.array([object()])", "no_array"),
    "complex": ("    return image * 1j", "no_array"),
    "huge_array": (f"    import numpy\n    return numpy.zeros({LARGEST_ARRAY + 1})", "no_array"),
    "dates": ("    import numpy\n    return numpy.array(['2026-01-01'], dtype='datetime64[D]')", "no_array"),
    "lying_array": (
        "    import numpy\n    class Liar(numpy.ndarray):\n        shape = property(lambda self: (1, 1))\n"
        "    return numpy.zeros((9, 9)).view(Liar)",
        "shape",
    ),
    "not_a_number": ("    import numpy\n    return image * numpy.nan", None),
    "infinite_int": ("    return [[10 ** 400]]", "no_array"),
    "changed": ("    image += 1\n    return image", "changed"),
    "emptied_builtins": ("    import builtins\n    builtins.getattr = None\n    return None", None),
}  # fmt: skip
SLOW = ("fill_the_disk", "endless_line")
"""On a busy machine time may be up first."""
AT_IMPORT = {
    "exit": ("import sys\nsys.exit(3)\n", "load"),
    "exit_at_once": ("import os\nos._exit(3)\n", "stopped_ended"),
    "delete": ("import os\nos.remove('VICTIM')\n", "stopped_files"),
    "unhook": ("import sys\nsys.addaudithook = None\nopen('VICTIM', 'w')\n", "stopped_files"),
    "memory": ("x = bytearray(8 << 30)\n", "stopped_memory"),
    "own_module": (
        "open('helper.py', 'w').write('import os; os.remove(\"VICTIM\")')\n"
        "import sys\nsys.path.insert(0, '.')\nimport helper\n",
        "load",
    ),
}


@pytest.fixture
def place(tmp_path):
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious/file.txt").write_text("mine")
    return tmp_path


@pytest.fixture(autouse=True)
def own_temporary_folder(tmp_path_factory, monkeypatch):
    """Other tests that run now have theirs."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("temporary")))


@pytest.fixture
def port():
    """A server on this machine that notes whether anybody comes."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        yield server.getsockname()[1]
        with pytest.raises(TimeoutError):
            server.accept()


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr("svertka.course.array_tasks.Student", lambda file: Student(file, StudentLimits(seconds=3)))


def judged(place, text, port=0):
    for name, value in (("VICTIM", place / "precious/file.txt"), ("FOLDER", place / "precious"), ("PORT", port)):
        text = text.replace(name, str(value))
    file = place / "convolution2d.py"
    file.write_text(text)
    before = traces()
    verdict = check(find_task("convolution2d"), file)
    assert traces() == before
    assert [path.relative_to(place).as_posix() for path in sorted(place.rglob("*"))] == [
        "convolution2d.py", "precious", "precious/file.txt",
    ]  # fmt: skip
    assert (place / "precious/file.txt").read_text() == "mine"
    assert oct((place / "precious/file.txt").stat().st_mode & 0o600) == "0o600"
    return verdict


def traces():
    """Folders of solutions that are left, and processes that were started by this one."""
    folders = {path.name for path in Path(tempfile.gettempdir()).glob("svertka-course-*")}
    return folders, children(os.getpid()) if LINUX else set()


def children(parent):
    listed = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(stat.read_text().rpartition(")")[2].split()[1]) == parent:
                listed.add(stat.parent.name)
        except (OSError, IndexError):
            continue
    return listed


def told_in_one_line(verdict: TaskVerdict):
    (bad,) = [finding for finding in verdict.findings if not finding.right]
    for language in ("en", "ru"):
        said = sentence(bad, Translator(language))
        assert "\n" not in said and 20 < len(said) < 500
        assert "".join(verdict_lines(verdict, Translator(language)))
    return bad


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_function_is_stopped_and_leaves_nothing(place, port, quick, name):
    body, code = HOSTILE[name]
    if "gigabytes" in name and not LINUX:
        pytest.skip("memory is limited on Linux alone")
    started = time.monotonic()
    bad = told_in_one_line(judged(place, FUNCTION + body + "\n", port))
    assert code is None or bad.code == code or (name in SLOW and bad.code == "stopped_time")
    assert time.monotonic() - started < 20


@pytest.mark.parametrize("name", AT_IMPORT)
def test_a_hostile_import_is_stopped_and_leaves_nothing(place, name):
    text, code = AT_IMPORT[name]
    assert told_in_one_line(judged(place, text + FUNCTION + "    return image\n")).code == code


def test_the_line_of_the_file_is_told(place):
    bad = told_in_one_line(judged(place, FUNCTION + "    x = 1\n    open('VICTIM', 'w')\n"))
    assert bad.values["line"] == 3
    assert "line 3" in sentence(bad, Translator("en"))
    assert "file.txt" in sentence(bad, Translator("en"))


def test_what_it_prints_goes_nowhere_however_much(place, capfd):
    text = FUNCTION + "    for _ in range(1 << 14): print('x' * 65536)\n    return None\n"  # a gigabyte
    assert told_in_one_line(judged(place, text)).code == "no_array"
    assert capfd.readouterr().out == ""


def test_questions_at_the_terminal_are_not_waited_for(place):
    bad = told_in_one_line(judged(place, FUNCTION + "    return input('how much?')\n"))
    assert (bad.code, bad.values["kind"]) == ("raised", "EOFError")


def test_it_sees_nothing_of_the_user(place, monkeypatch):
    monkeypatch.setenv("MY_SECRET_TOKEN", "hidden")
    text = "import os\nfrom pathlib import Path\nseen = dict(os.environ)\nhome = str(Path.home())\nhere = os.getcwd()\n"
    (place / "look.py").write_text(text)
    with Student(place / "look.py") as student:
        student.load()
        seen, home, here = (student.get(name) for name in ("seen", "home", "here"))
    assert "MY_SECRET_TOKEN" not in seen and "hidden" not in seen.values()
    assert home == here and "svertka-course-" in here
    assert not Path(here).exists()


@pytest.mark.skipif(LINUX and not landlock(), reason="without Landlock nothing is written at all")
def test_its_own_folder_may_be_written_and_is_deleted(place):
    (place / "write.py").write_text(
        "import os, tempfile\nopen('a', 'w').write('x')\nos.mkdir('b')\nos.rename('a', 'b/c')\n"
        "with tempfile.TemporaryFile() as f: f.write(b'x')\nseen = os.listdir('b')\nhere = os.getcwd()\n"
    )
    with Student(place / "write.py") as student:
        assert student.load().raised is None
        assert student.get("seen") == ["c"]
        here = student.get("here")
    assert not Path(here).exists()


# --- the kernel's part, without Python's guard -----------------------------------------------------------------------

NATIVE = """
import ctypes, errno, json, os, sys, threading
sys.path[:] = json.loads(sys.argv[1])
from svertka.course.kernel_limits import limit_process
inside, victim = sys.argv[2:4]
libc = ctypes.CDLL(None, use_errno=True)
held = limit_process(inside)

def tried(*call):
    ctypes.set_errno(0)
    return libc.syscall(*call) >= 0 or errno.errorcode[ctypes.get_errno()]

path, new = victim.encode(), (victim + ".new").encode()
number = {"socket": 41, "fork": 57, "vfork": 58, "kill": 62, "unlink": 87, "chmod": 90, "rename": 82, "truncate": 76,
          "symlink": 88, "mkdir": 83, "open": 2, "execve": 59, "unshare": 272, "shmget": 29, "io_uring_setup": 425}
found = {
    "socket": tried(number["socket"], 2, 1, 0), "unix": tried(number["socket"], 1, 1, 0),
    "fork": tried(number["fork"]), "vfork": tried(number["vfork"]), "clone": tried(56, 17, 0, 0, 0, 0),
    "x32": tried(0x40000000 + 57), "execve": tried(number["execve"], b"/bin/true", None, None),
    "kill": tried(number["kill"], os.getppid(), 0), "unlink": tried(number["unlink"], path),
    "chmod": tried(number["chmod"], path, 0), "rename": tried(number["rename"], path, new),
    "truncate": tried(number["truncate"], path, 0), "symlink": tried(number["symlink"], path, new),
    "mkdir": tried(number["mkdir"], new, 511), "write": tried(number["open"], path, os.O_WRONLY, 0),
    "empty": tried(number["open"], path, os.O_TRUNC, 0), "openat2": tried(437, -100, path, None, 0),
    "create": tried(number["open"], new, os.O_CREAT | os.O_WRONLY, 438),
    "unshare": tried(number["unshare"], 0x10000000), "shmget": tried(number["shmget"], 0, 4096, 0o1600),
    "io_uring": tried(number["io_uring_setup"], 1, None), "limits_of_others": tried(302, os.getppid(), 7, None, None),
}
fine = {"read": os.path.getsize(victim), "inside": tried(2, (inside + "/x").encode(), os.O_CREAT | os.O_WRONLY, 438)}
thread = threading.Thread(target=lambda: fine.update(thread=True)); thread.start(); thread.join()
print(json.dumps([held, found, fine]))
"""


NATIVE_TESTED = pytest.mark.skipif(
    not LINUX or os.uname().machine != "x86_64", reason="the numbers of calls are those of Linux on x86-64"
)


def tried_natively(place, before=""):
    """What the kernel answers to each call, and what is still possible, with some code run before the limits."""
    (place / "inside").mkdir()
    code = NATIVE.replace("held = ", f"import svertka.course.kernel_limits as k\n{before}\nheld = ")
    paths = json.dumps([each for each in sys.path if each])
    done = subprocess.run(
        [sys.executable, "-c", code, paths, str(place / "inside"), str(place / "precious/file.txt")],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    held, found, fine = json.loads(done.stdout)
    assert {name: code for name, code in found.items() if code not in ("EPERM", "EACCES", "ENOSYS")} == {}
    assert (place / "precious/file.txt").read_text() == "mine"
    assert sorted(path.name for path in (place / "precious").iterdir()) == ["file.txt"]
    return held, fine


@NATIVE_TESTED
@pytest.mark.skipif(LINUX and not landlock(), reason="this kernel has no Landlock")
def test_the_kernel_refuses_what_native_code_tries(place):
    held, fine = tried_natively(place)
    assert set(held) == {"network", "processes", "files"}
    assert fine == {"read": 4, "inside": True, "thread": True}


@NATIVE_TESTED
@pytest.mark.skipif(LINUX and not landlock(), reason="this kernel has no Landlock")
def test_an_older_landlock_leaves_nothing_open(place):
    _, fine = tried_natively(place, "k._TRUNCATE = k._REFER = k._DEVICE_CONTROL = 0")
    assert fine == {"read": 4, "inside": True, "thread": True}


@NATIVE_TESTED
def test_without_landlock_nothing_is_written_at_all(place):
    held, fine = tried_natively(place, "k._files_below = lambda *_: False")
    assert set(held) == {"network", "processes", "files"}
    assert fine == {"read": 4, "inside": "EPERM", "thread": True}


def test_a_process_goes_with_who_asked(place, monkeypatch):
    """Killed, svertka cannot tidy up; the solution's process ends all the same, and a later check does the rest."""
    monkeypatch.setenv("TMPDIR", str(place / "temporary"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    (place / "temporary").mkdir()
    (place / "sleep.py").write_text("import time\ndef f():\n    time.sleep(60)\n")
    paths = json.dumps([each for each in sys.path if each])
    code = (
        "import sys, json; sys.path[:] = json.loads(sys.argv[1])\n"
        "from pathlib import Path; from svertka.course.sandbox import held_by_system, Student\n"
        "with Student(Path(sys.argv[2])) as s:\n"
        "    s.load(); print(s._process.pid, flush=True); s.call('f')\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, paths, str(place / "sleep.py")], stdout=subprocess.PIPE
    ) as asker:
        pid = int(asker.stdout.readline())
        asker.kill()
        asker.wait()
    (left,) = (place / "temporary").iterdir()
    held_by_system()
    assert left.is_dir()  # it may be in use
    os.utime(left, (0, 0))
    held_by_system()
    assert list((place / "temporary").iterdir()) == []
    for _ in range(100):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (OSError, IndexError):
            return
        if state == "Z" or not LINUX:
            return
        time.sleep(0.05)
    pytest.fail(f"process {pid} is still there")


# --- values and files ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [1, 2.5, "text", None, True, [1, [2.0, "x"]], {"a": [1], "b": {"c": 2}}, np.arange(6).reshape(2, 3),
     np.array([[True, False]]), np.array(2.5), np.zeros((0, 3)), np.array([np.nan, np.inf]), np.float32([1.5])],
    ids=repr,
)  # fmt: skip
def test_values_come_through_as_they_are(value):
    back = from_plain(json.loads(json.dumps(to_plain(value))))
    if isinstance(value, np.ndarray):
        assert (back.dtype, back.shape) == (value.dtype, value.shape)
        np.testing.assert_array_equal(back, value)
    else:
        assert back == value


@pytest.mark.parametrize("value", [object(), {1, 2}, 1j, np.array([1j]), np.array(["a"]), 1 << 80, print])
def test_of_other_things_the_type_alone_comes_through(value):
    assert isinstance(from_plain(to_plain(value)), Unreadable)


@pytest.mark.parametrize(
    "forged",
    [{"array": "float64", "shape": [2], "data": [1]}, {"array": "O", "shape": [1], "data": [1]},
     {"array": "float64", "shape": [-1], "data": [1]}, {"array": "float64", "shape": [1], "data": ["1"]},
     {"array": "float64", "shape": 1, "data": [1]}, {"what": 1}],
)  # fmt: skip
def test_forged_values_are_refused(forged):
    with pytest.raises(ValueError):
        from_plain(forged)


def test_files_that_are_no_solution(place):
    with pytest.raises(NotFoundError, match="does not exist; expected your solution"):
        Student(place / "absent.py").__enter__()
    (place / "bytes.py").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="is no UTF-8 text"):
        Student(place / "bytes.py").__enter__()
    if hasattr(os, "mkfifo"):
        os.mkfifo(place / "pipe.py")
        with pytest.raises(DataError, match="cannot be read"):
            Student(place / "pipe.py").__enter__()


FORGED = """
import os
for n in range(3, 30):
    try: os.write(n, b'%s\\n')
    except OSError: pass
def initialise(seed): pass
loss_and_gradients = train = predict = vgg_block = initialise
"""


@pytest.mark.parametrize("task", ["numpy-cnn", "vgg-block"])
@pytest.mark.parametrize("value", ["1", "[1]", '{"dict": []}', '{"dict": [["loss", 1], ["kind", 2]]}', '["train"]'])
def test_forged_answers_are_not_believed(place, task, value):
    if task == "vgg-block":
        pytest.importorskip("torch")
    names = '["initialise", "loss_and_gradients", "train", "predict", "vgg_block"]'
    lines = "".join(f'{{"value": {each}}}\\n' for each in (names, value, value, value))
    (place / "forged.py").write_text(FORGED % lines.removesuffix("\\n"))
    (bad,) = [finding for finding in check(find_task(task), place / "forged.py").findings if not finding.right]
    assert bad.code in ("stopped_garbage", "no_labels")


@pytest.mark.skipif(not LINUX, reason="elsewhere Python's own guard is all there is")
def test_without_pythons_guard_the_kernel_still_refuses(place):
    text = (
        "import gc, sys\nfrom svertka.course.student_process import AuditGuard\n"
        "AuditGuard.__call__ = lambda *_: None\n" + FUNCTION + "    open('VICTIM', 'w')\n"
    )
    bad = told_in_one_line(judged(place, text))
    assert (bad.code, bad.values["kind"]) == ("raised", "PermissionError")


@pytest.mark.skipif(not LINUX or os.uname().machine not in ("x86_64", "aarch64"), reason="other systems limit less")
def test_linux_limits_everything():
    assert unlimited() == ()


def test_elsewhere_it_is_said_what_is_not_limited(monkeypatch):
    monkeypatch.setattr("svertka.course.checker.held_by_system", lambda: ())
    verdict = TaskVerdict(task="filters", findings=(), unlimited=unlimited())
    said = " ".join(verdict_lines(verdict, Translator("en")))
    assert "files, network, other processes, memory. Check only code that you trust." in said


def test_a_stop_is_no_error_of_ours():
    assert not isinstance(Stopped("time"), ValueError)
