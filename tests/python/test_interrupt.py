"""Ctrl-C ends whatever takes long, with KeyboardInterrupt and no damage. All of it in processes of their own."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import routesig as rs

HERE = Path(__file__).resolve().parent
LONG_CALLS = HERE / "long_calls.py"
BEFORE_THE_SIGNAL = 0.5  # seconds
SOON = 20  # seconds: each call would take minutes. It is a tenth of a second where nothing else runs.


def run(arguments, **options):
    """A process that imports the package which is tested."""
    paths = [str(Path(rs.__file__).resolve().parents[1]), os.environ.get("PYTHONPATH", "")]
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))},
        **options,
    )


@pytest.mark.parametrize("threads", [1, 3])
def test_every_long_call_ends_soon_after_ctrl_c(threads):
    pytest.importorskip("sklearn", reason="t-SNE is scikit-learn's")
    done = run([LONG_CALLS, str(threads), str(BEFORE_THE_SIGNAL)], timeout=1500)
    assert done.returncode == 0, done.stderr
    seconds = dict(line.split("\t") for line in done.stdout.splitlines())
    assert "well" in seconds, done.stderr
    assert len(seconds) > 30
    late = {name: text for name, text in seconds.items() if text == "None" or float(text) > SOON}
    assert not late, f"None: ended by itself; else seconds after the signal: {late}"


def test_work_of_another_thread_goes_on():
    program = """
        import os, signal, threading
        import numpy as np
        import routesig as rs

        signal.signal(signal.SIGINT, signal.default_int_handler)
        rs.set_num_threads(2)
        counts = np.random.default_rng(0).integers(5, 50, (300, 8, 64))
        sigs = rs.SignatureSet.from_counts(counts, tasks=["a", "b"] * 150, unequal_layers=True)
        expected = rs.similarity(sigs, metric="jensen-shannon")
        found = []
        compute = lambda: found.append(rs.similarity(sigs, metric="jensen-shannon"))
        others = [threading.Thread(target=compute) for _ in range(3)]
        try:
            for other in others:
                other.start()
            threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
            rs.statistics.permutation_test(sigs, permutations=10_000_000)
        except KeyboardInterrupt:
            print("interrupted")
        for other in others:
            other.join()
        assert len(found) == 3
        for one in found:
            np.testing.assert_array_equal(one, expected)
        print("the others are done")
    """
    done = run(["-c", textwrap.dedent(program)], timeout=600)
    assert done.stdout == "interrupted\nthe others are done\n", done.stderr


def test_what_another_signal_handler_raises_ends_the_work_too():
    program = """
        import signal
        import numpy as np
        import routesig as rs

        class Enough(Exception):
            pass

        def enough(*_):
            sigs = rs.SignatureSet.from_counts([[[9, 1]], [[1, 9]]])
            print(rs.similarity(sigs).shape)  # a handler may compute as well
            raise Enough

        signal.signal(signal.SIGALRM, enough)
        counts = np.random.default_rng(0).integers(5, 50, (3000, 16, 64))
        sigs = rs.SignatureSet.from_counts(counts, unequal_layers=True)
        for threads in (1, 3):
            rs.set_num_threads(threads)
            signal.setitimer(signal.ITIMER_REAL, 0.3)
            try:
                rs.similarity(sigs, metric="jensen-shannon")
            except Enough:
                print("enough")
    """
    done = run(["-c", textwrap.dedent(program)], timeout=600)
    assert done.stdout == "(2, 2)\nenough\n(2, 2)\nenough\n", done.stderr


def test_a_handler_that_raises_nothing_lets_the_work_go_on():
    program = """
        import signal
        import numpy as np
        import routesig as rs

        seen = []
        signal.signal(signal.SIGALRM, lambda *_: seen.append(1))
        sigs = rs.SignatureSet.from_counts(np.random.default_rng(0).integers(5, 50, (500, 8, 64)), unequal_layers=True)
        expected = rs.similarity(sigs, metric="jensen-shannon")
        signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
        while not seen:
            np.testing.assert_array_equal(rs.similarity(sigs, metric="jensen-shannon"), expected)
        print("well")
    """
    done = run(["-c", textwrap.dedent(program)], timeout=600)
    assert done.stdout == "well\n", done.stderr
