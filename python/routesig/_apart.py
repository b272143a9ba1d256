"""Work that a stranger's file may make endless, done in another process: it is ended there, and this process goes on.

    ids = apart("routesig._chat:rendered_ids", os.fspath(folder), prompts)

A helper process imports transformers once and forks for each piece of work, which then takes milliseconds. It ends with
this process.
"""

import atexit
import contextlib
import functools
import importlib
import json
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import IO, Any

SECONDS = 10.0  # of a processor, for each value; 20 times as long by the clock
BYTES = 2 << 30  # beyond what the helper has when the work begins
_FULL = 2  # the exit code of work that got no memory
_LOCK = threading.Lock()
_PROGRAM = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from routesig._apart import serve; serve()"
_QUIET = {
    "HF_HUB_OFFLINE": "1",
    "MALLOC_ARENA_MAX": "2",  # memory that is only reserved counts
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


class EndedError(Exception):
    """The work was ended before it was done.

    Attributes
    ----------
    done : int
        The values that it had given.
    """

    def __init__(self, why: str, done: int) -> None:
        super().__init__(why)
        self.done = done


def apart(work: str, *arguments: Any) -> list[Any]:
    """The values that the generator `module:function` gives for these arguments. Values and arguments are JSON.

    Raises
    ------
    EndedError
        Where a value takes too long or too much memory.
    FormatError, ValueError, ImportError
        As the generator raises them.
    """
    request = {"work": work, "arguments": arguments, "seconds": SECONDS, "bytes": BYTES}
    with _LOCK:
        helper = _running()
        try:
            answers = list(_answers(helper, request))
        except BaseException:  # Ctrl-C among them: what comes next must not be taken for another's answer
            _end(helper, os.getpid())
            raise
    *said, code = answers
    values = [value for kind, value in said if kind == "value"]
    for kind, message in said:
        if kind != "value":
            raise _error(kind)(message)
    if code:
        raise EndedError(_why(code), len(values))
    return values


def _error(kind: str) -> type[Exception]:
    from routesig import _core

    return {"FormatError": _core.FormatError, "ImportError": ImportError}.get(kind, ValueError)


def _why(code: int) -> str:
    if code in (-signal.SIGPROF, -signal.SIGALRM):
        return f"it takes more than {SECONDS:g} seconds of a processor"
    if code in (_FULL, -signal.SIGABRT, -signal.SIGKILL):
        return f"it takes more than {BYTES >> 20} MiB of memory"
    return f"its process ended with code {code}"


def _running() -> "subprocess.Popen[bytes]":
    helper = _helper(os.getpid())
    if helper.poll() is not None:
        _helper.cache_clear()
        helper = _helper(os.getpid())
    return helper


@functools.cache
def _helper(pid: int) -> "subprocess.Popen[bytes]":
    """The helper of this process, which has to begin its own after a fork."""
    helper = subprocess.Popen(
        [sys.executable, "-I", "-c", _PROGRAM, json.dumps(sys.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **_QUIET},
        start_new_session=True,  # Ctrl-C is for this process
    )
    atexit.register(_end, helper, pid)
    return helper


def _end(helper: "subprocess.Popen[bytes]", pid: int) -> None:
    if os.getpid() != pid:
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(helper.pid, signal.SIGKILL)
    helper.communicate()


def _answers(helper: "subprocess.Popen[bytes]", request: dict[str, Any]) -> Iterator[Any]:
    """Pairs (kind, value), and at last the exit code of the work."""
    stdin, stdout = helper.stdin, helper.stdout
    assert stdin is not None
    assert stdout is not None
    with contextlib.suppress(BrokenPipeError):
        stdin.write(json.dumps(request).encode() + b"\n")
        stdin.flush()
    for line in stdout:
        answer = json.loads(line)
        yield answer
        if isinstance(answer, int):
            return
    raise RuntimeError(f"the process that does what is done apart ended with code {helper.wait()}")


def serve() -> None:
    """What the helper does: a fork for each line of stdin, whose answers are lines of stdout."""
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # libraries may print
    sys.modules["torch"] = None  # type: ignore[assignment]  # a tokenizer needs none, and it takes seconds to import
    with contextlib.suppress(ImportError):  # said by the work
        importlib.import_module("transformers").AutoTokenizer  # noqa: B018
    for line in sys.stdin.buffer:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                _work(json.loads(line), answers)
                code = 0
            except MemoryError:
                code = _FULL
            finally:
                os._exit(code)
        _say(answers, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


def _work(request: dict[str, Any], answers: IO[bytes]) -> None:
    module, _, name = request["work"].partition(":")
    work = getattr(importlib.import_module(module), name)
    with open("/proc/self/statm") as file:
        size = int(file.read().split()[0]) * resource.getpagesize()
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    most = size + int(request["bytes"])
    resource.setrlimit(resource.RLIMIT_AS, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))
    values = work(*request["arguments"])
    try:
        while True:
            signal.setitimer(signal.ITIMER_PROF, request["seconds"])
            signal.setitimer(signal.ITIMER_REAL, 20 * request["seconds"])
            _say(answers, ["value", next(values)])
    except StopIteration:
        return
    except (ValueError, ImportError) as error:
        _say(answers, [type(error).__name__, str(error)])


def _say(answers: IO[bytes], what: Any) -> None:
    line = memoryview(json.dumps(what).encode() + b"\n")
    while line:
        line = line[answers.write(line) :]
