"""What the Linux kernel refuses to the process that calls this: other processes, the network, foreign files.

A seccomp filter answers the system calls for these with EPERM; Landlock lets files be written below one folder only.
Both hold for good, for an ordinary user and for root, in a container too, and whatever the process runs.

Sources: linux/Documentation/userspace-api/seccomp_filter.rst and landlock.rst; numbers from asm/unistd_64.h (x86-64)
and asm-generic/unistd.h (AArch64).
"""

import ctypes
import errno
import os
import platform
import struct
import sys
from collections.abc import Iterable

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _FILTER = 1, 38, 22, 2
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _REFUSE, _UNKNOWN = 0x7FFF0000, 0x00050000 | errno.EPERM, 0x00050000 | errno.ENOSYS
_NUMBER_AT, _ARCH_AT, _FIRST_ARGUMENT_AT = 0, 4, 16
_CLONE_THREAD = 0x00010000
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC

_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
_REFUSED = {
    # other processes; a thread comes by clone, which is looked at
    "fork": (57, None), "vfork": (58, None), "execve": (59, 221), "execveat": (322, 281), "ptrace": (101, 117),
    "kill": (62, 129), "tkill": (200, 130), "tgkill": (234, 131), "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240), "pidfd_send_signal": (424, 424), "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "process_madvise": (440, 440), "setsid": (112, 157), "setpgid": (109, 154), "setpriority": (141, 140),
    # the network, and io_uring, which would go past this filter
    "socket": (41, 198), "connect": (42, 203), "bind": (49, 200), "listen": (50, 201), "sendto": (44, 206),
    "sendmsg": (46, 211), "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    # what outlives the process, or is the system's
    "shmget": (29, 194), "msgget": (68, 186), "semget": (64, 190), "mq_open": (240, 180), "mount": (165, 40),
    "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "unshare": (272, 97), "setns": (308, 268),
    "bpf": (321, 280), "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218),
    "perf_event_open": (298, 241), "userfaultfd": (323, 282), "init_module": (175, 105), "finit_module": (313, 273),
    "delete_module": (176, 106), "reboot": (169, 142), "settimeofday": (164, 170), "clock_settime": (227, 112),
    "sethostname": (170, 161),
    # properties of files, which Landlock leaves alone
    "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452), "chown": (92, None),
    "fchown": (93, 55), "lchown": (94, None), "fchownat": (260, 54), "utime": (132, None), "utimes": (235, None),
    "futimesat": (261, None), "utimensat": (280, 88), "setxattr": (188, 5), "lsetxattr": (189, 6),
    "fsetxattr": (190, 7), "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16),
    "truncate": (76, 45),
}  # fmt: skip
_CHANGING = {
    # where there is no Landlock, no file is changed at all
    "creat": (85, None), "unlink": (87, None), "unlinkat": (263, 35), "rename": (82, None), "renameat": (264, 38),
    "renameat2": (316, 276), "rmdir": (84, None), "mkdir": (83, None), "mkdirat": (258, 34), "link": (86, None),
    "linkat": (265, 37), "symlink": (88, None), "symlinkat": (266, 36), "mknod": (133, None), "mknodat": (259, 33),
}  # fmt: skip
_CLONE, _CLONE3, _OPENAT2, _PRLIMIT = (56, 220), (435, 435), (437, 437), (302, 261)
_OPENS = (((2, None), 1), ((257, 56), 2))
"""``open`` and ``openat``, and which argument has the flags."""

_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT, _BENEATH = 444, 445, 446, 1
_WRITE, _REMOVE, _MAKE, _REFER, _TRUNCATE, _DEVICE_CONTROL = 1 << 1, 3 << 4, 0x7F << 6, 1 << 13, 1 << 14, 1 << 15


def limit_process(folder: str) -> tuple[str, ...]:
    """Takes from this process, and whatever it runs, what it doesn't need. There is no way back.

    Args:
        folder: below which files may be written.

    Returns:
        What the kernel refuses from here on, of ``"files"``, ``"network"`` and ``"processes"``; nothing where the
        system has no such means.
    """
    if not can_limit():
        return ()
    machine = _ARCHITECTURES[platform.machine()]
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, 9, 0, 0, 0)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        return ()
    held = _files_below(libc, folder)
    place, architecture = machine
    program = b"".join(_program(place, architecture, changes_files=held))
    buffer = ctypes.create_string_buffer(program)
    head = struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(buffer))
    if libc.prctl(_PR_SET_SECCOMP, _FILTER, ctypes.create_string_buffer(head), 0, 0):
        return ("files",) if held else ()
    return "files", "network", "processes"


def can_limit() -> bool:
    """Whether this is a system on which the kernel can be asked."""
    return sys.platform == "linux" and platform.machine() in _ARCHITECTURES and sys.maxsize > 2**32


def _program(place: int, architecture: int, changes_files: bool) -> Iterable[bytes]:
    """The filter, an instruction of eight bytes at a time."""
    yield _instruction(_LOAD, _ARCH_AT)
    yield from (_instruction(_EQUAL, architecture, 1, 0), _instruction(_RETURN, _REFUSE))
    yield _instruction(_LOAD, _NUMBER_AT)
    if place == 0:  # the x32 interface of x86-64
        yield from (_instruction(_AT_LEAST, 0x40000000, 0, 1), _instruction(_RETURN, _REFUSE))
    tables = [_REFUSED] if changes_files else [_REFUSED, _CHANGING]
    for table in tables:
        for numbers in table.values():
            yield from _answer(numbers[place], _REFUSE)
    yield from _answer(_CLONE3[place], _UNKNOWN)  # the C library then takes clone
    yield from _looked_at(_CLONE[place], 0, _CLONE_THREAD, refused_if_set=False)
    yield from _looked_at(_PRLIMIT[place], 0, 0xFFFFFFFF, refused_if_set=True)  # of other processes
    yield from _answer(_OPENAT2[place], _UNKNOWN)  # whose flags cannot be seen from here
    for numbers, argument in _OPENS:
        if changes_files:
            yield from _not_emptied(numbers[place], argument)
        else:
            yield from _looked_at(numbers[place], argument, _WRITING, refused_if_set=True)
    yield _instruction(_RETURN, _ALLOW)


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("HBBI", code, if_true, if_false, value)


def _answer(number: int | None, answer: int) -> Iterable[bytes]:
    if number is not None:
        yield from (_instruction(_EQUAL, number, 0, 1), _instruction(_RETURN, answer))


def _looked_at(number: int | None, argument: int, bits: int, refused_if_set: bool) -> Iterable[bytes]:
    """A call whose fate hangs on some bits of an argument; it ends the filter for this call."""
    if number is None:
        return
    yield _instruction(_EQUAL, number, 0, 4)
    yield _instruction(_LOAD, _FIRST_ARGUMENT_AT + 8 * argument)
    yield _instruction(_ANY_BIT, bits, 0, 1)
    yield _instruction(_RETURN, _REFUSE if refused_if_set else _ALLOW)
    yield _instruction(_RETURN, _ALLOW if refused_if_set else _REFUSE)


def _not_emptied(number: int | None, argument: int) -> Iterable[bytes]:
    """Opening for reading alone empties no file, which Landlock before its third version lets happen."""
    if number is None:
        return
    yield _instruction(_EQUAL, number, 0, 5)
    yield _instruction(_LOAD, _FIRST_ARGUMENT_AT + 8 * argument)
    yield _instruction(_ANY_BIT, os.O_WRONLY | os.O_RDWR, 1, 0)
    yield _instruction(_ANY_BIT, os.O_TRUNC, 1, 0)
    yield _instruction(_RETURN, _ALLOW)
    yield _instruction(_RETURN, _REFUSE)


def _files_below(libc: ctypes.CDLL, folder: str) -> bool:
    """Lets files be written below a folder, and into the null device, only; False where there is no Landlock."""
    version = libc.syscall(_LANDLOCK_CREATE, None, ctypes.c_size_t(0), 1)
    if version < 1:
        return False
    handled = _WRITE | _REMOVE | _MAKE
    handled |= (_REFER if version >= 2 else 0) | (_TRUNCATE if version >= 3 else 0)
    handled |= _DEVICE_CONTROL if version >= 5 else 0
    rules = libc.syscall(
        _LANDLOCK_CREATE, ctypes.create_string_buffer(struct.pack("Q", handled), 8), ctypes.c_size_t(8), 0
    )
    if rules < 0:
        return False
    try:
        into = _WRITE | _REMOVE | (0b110 << 6) | (handled & (_REFER | _TRUNCATE))  # folders and regular files
        for path, access in ((folder, into), (os.devnull, handled & (_WRITE | _TRUNCATE))):
            opened = os.open(path, os.O_RDONLY if path == os.devnull else os.O_RDONLY | os.O_DIRECTORY)
            try:
                rule = ctypes.create_string_buffer(struct.pack("=Qi", access, opened), 12)
                if libc.syscall(_LANDLOCK_ADD, rules, _BENEATH, rule, 0):
                    return False
            finally:
                os.close(opened)
        return not libc.syscall(_LANDLOCK_RESTRICT, rules, 0)
    finally:
        os.close(rules)
