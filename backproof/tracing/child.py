"""The process that runs the script: traces it, hands over each step, and says how it ended."""

from __future__ import annotations

import json
import os
import runpy
import signal
import sys
import threading
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from backproof.tracing.capture import Capture, Enough
from backproof.tracing.exchange import Outbox
from backproof.tracing.ledger import Ledger, Pass
from backproof.tracing.names import OUT, SCALARS, Meaning, canonical
from backproof.tracing.sightings import Sighting
from backproof.tracing.steps import Steps

JOB = "job.json"
GRACE = 2.0
"""Seconds that a script has to end by itself after it was told to: one that catches everything would go on."""


class TimeIsUp(BaseException):
    """Ends the script when its time is over."""


def main(folder: str) -> None:
    """Run the job of a folder and end this process, whatever threads the script has left."""
    job = json.loads((Path(folder) / JOB).read_text(encoding="utf-8"))
    outbox = Outbox(Path(folder))
    steps = Steps(job["steps"], outbox.put)

    def finish(passed: Pass) -> bool:
        enough = steps.add(passed)
        if enough:
            _end_after(GRACE, outbox, {"how": "enough"})
        return enough

    ledger = Ledger(finish)
    given = {name: meaning for name, key in job["names"].items() if (meaning := canonical(key))}
    capture = Capture(Path(job["script"]).parent, ledger, {k: Meaning(m.kind, m.number) for k, m in given.items()})
    _end_after(job["timeout"] + GRACE, outbox, {"how": "timeout"})
    facts = run(job["script"], job["arguments"], capture, job["timeout"])
    seen = ledger.seen
    if capture.failure is None:
        ledger.close(facts["how"] in ("ended", "exit"))
        steps.finish()
    else:
        facts = {"how": "failed", "error": described(capture.failure, os.path.dirname(__file__))}
    facts["unnamed"] = {label: [place, list(shape)] for label, (place, shape) in ledger.unnamed.items()}
    facts["partial"] = _partial(steps, seen)
    outbox.end(facts)
    for stream in (sys.stdout, sys.stderr):
        _flush(stream)
    os._exit(0)


def run(script: str, arguments: list[str], capture: Capture, timeout: float) -> dict[str, Any]:
    """Run a script as Python does, traced; how it ended."""
    sys.argv = [script, *arguments]
    sys.path.insert(0, os.path.dirname(script))
    try:
        _alarm(timeout)
        capture.start()
        runpy.run_path(script, run_name="__main__")
        for thread in threading.enumerate():
            if thread is not threading.current_thread() and not thread.daemon:
                thread.join()
        return {"how": "ended"}
    except Enough:
        return {"how": "enough"}
    except TimeIsUp:
        return {"how": "timeout"}
    except SystemExit as end:
        return {"how": "exit", "error": _exit(end)}
    except BaseException as error:
        return {"how": "raised", "error": described(error, capture.folder)}
    finally:
        capture.stop()
        _alarm(0)


def described(error: BaseException, folder: str) -> str:
    """``file.py:12: ZeroDivisionError: division by zero``, at the script's own line."""
    place = _place(error.__traceback__, folder)
    if isinstance(error, SyntaxError) and error.filename:
        place = f"{os.path.basename(error.filename)}:{error.lineno}"
    message = next(iter(str(error).splitlines()), "")
    if isinstance(error, EOFError):
        message = "it asks for input, and gets none here"
    elif isinstance(error, ModuleNotFoundError):
        message += f" (not installed beside {os.path.basename(sys.executable)}, which runs the script)"
    return f"{place}: {type(error).__name__}" + (f": {message}" if message else "")


def _place(trace: TracebackType | None, folder: str) -> str:
    place = "?"
    while trace is not None:
        file = os.path.realpath(trace.tb_frame.f_code.co_filename)
        if file.startswith(folder):
            place = f"{os.path.relpath(file, folder)}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place


def _exit(end: SystemExit) -> str:
    return "" if end.code in (None, 0) else f"it called sys.exit({end.code!r})"


def _partial(steps: Steps, seen: list[Sighting]) -> dict[str, list[str]]:
    """What was found of a step that was not complete, or what there was before any: quantity -> name, place."""
    if steps.partial is not None:
        return {key: [s.label, s.place] for key, s in steps.partial.quantities.items()}
    return {f"{s.kind}{_number(s)}": [s.label, s.place] for s in seen if s.kind not in SCALARS}


def _number(seen: Sighting) -> str:
    return " of the output" if seen.number == OUT else str(seen.number or "")


def _alarm(seconds: float) -> None:
    """Raise in the main thread after a time; systems without such a timer leave it to the parent."""
    if hasattr(signal, "setitimer"):
        signal.signal(signal.SIGALRM, _time_is_up if seconds else signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, seconds)


def _time_is_up(number: int, frame: FrameType | None) -> None:
    raise TimeIsUp


def _end_after(seconds: float, outbox: Outbox, facts: dict[str, Any]) -> None:
    """End the process from a thread of its own, whatever the script catches."""

    def end() -> None:
        outbox.end(facts)
        os._exit(0)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()


def _flush(stream: Any) -> None:
    try:
        stream.flush()
    except (OSError, ValueError, AttributeError):  # closed or replaced by the script, or its reader is gone
        return
