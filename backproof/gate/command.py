"""``backproof gate``: read, judge, write what was asked for, print; or accept."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from backproof.config import find
from backproof.errors import BackproofError
from backproof.files import replace_file, writing
from backproof.gate import baseline, github, machine, words
from backproof.gate.facts import Facts, of_summary
from backproof.gate.judge import Judgement, compare, differences, judge
from backproof.gate.junit import junit
from backproof.report.store import SUMMARY
from backproof.shown import shown

BASELINE = "baseline.json"
STEP_SUMMARY = "GITHUB_STEP_SUMMARY"


def run(options: argparse.Namespace) -> int:
    """0 where nothing got worse, 1 where something did.

    Raises:
        BackproofError: for options that do not go together, and for a summary or a baseline that is unusable.
    """
    reports = _reports()
    summary, kept = options.summary or reports / SUMMARY, options.baseline or reports / BASELINE
    _check(options, summary, kept)
    if options.update_baseline:
        return accept(summary, kept, options.reason)
    _clear(options)
    before, after = baseline.read(kept).facts, of_summary(summary)
    found = judge(before, after)
    _write(options, found, before, after)
    print(words.terminal(found, words.report_of(after)))
    for line in github.errors(found) if options.github else ():
        print(line)
    return int(bool(found.failures))


def _reports() -> Path:
    config = find()
    return config.root / "reports" if config else Path("reports")


def _check(options: argparse.Namespace, summary: Path, kept: Path) -> None:
    if options.update_baseline and not (options.reason or "").strip():
        raise BackproofError("--update-baseline needs --reason TEXT: why is the difference accepted?")
    if options.reason is not None and not options.update_baseline:
        raise BackproofError("--reason goes with --update-baseline; nothing was accepted")
    if options.update_baseline and (options.junit or options.json or options.markdown or options.github):
        raise BackproofError("--junit, --json, --markdown and --github tell a judgement; --update-baseline makes none")
    taken = {summary.resolve(), kept.resolve()}
    if len(taken) < 2:
        raise BackproofError(f"{summary} is given as summary and as baseline; they are two files")
    for path in filter(None, (options.junit, options.json, options.markdown)):
        if path.resolve() in taken:
            raise BackproofError(f"{path} is the summary, the baseline or another output; choose another file")
        taken.add(path.resolve())


def _clear(options: argparse.Namespace) -> None:
    """What an earlier run wrote is gone before this one judges: a refusal must not leave its answer behind."""
    for path in filter(None, (options.junit, options.json, options.markdown)):
        with writing(path.parent):
            path.unlink(missing_ok=True)


def _write(options: argparse.Namespace, found: Judgement, before: Facts, after: Facts) -> None:
    for path, content in _outputs(options, found, before, after):
        with writing(path.parent):
            replace_file(path, content)
    if options.github and options.markdown is None and (step := os.environ.get(STEP_SUMMARY)):
        # Appended: what earlier commands of the step wrote there stays.
        with writing(Path(step).parent), Path(step).open("ab") as file:
            file.write(_markdown(found, after))


def _outputs(
    options: argparse.Namespace, found: Judgement, before: Facts, after: Facts
) -> Iterator[tuple[Path, bytes]]:
    if options.junit:
        yield options.junit, junit(found).encode()
    if options.json:
        yield options.json, machine.document(found, before, after)
    if options.markdown:
        yield options.markdown, _markdown(found, after)


def _markdown(found: Judgement, after: Facts) -> bytes:
    return github.summary(found, str(words.report_of(after))).encode()


def accept(summary: Path, kept: Path, reason: str) -> int:
    """Show what differs, and keep the summary's facts as the baseline from now on; always 0.

    Raises:
        BackproofError: also for a file in the baseline's place that is none, or none that this version reads.
    """
    after = of_summary(summary)
    if kept.exists():
        print(_accepted(baseline.read(kept).facts, after))
    else:
        print(f"The first baseline: {sum(key.layer > 0 for key in after.entries)} checks.")
    date, said = datetime.now(UTC).date().isoformat(), shown(" ".join(reason.split()), 1000)
    baseline.write(kept, after, said, date)
    print(f"\n{shown(kept, 400)} is the baseline from now on ({date}: {said}).")
    return 0


def _accepted(before: Facts, after: Facts) -> str:
    found = compare(before, after)
    parts = [f"accepted: {shown(reason, 400)}" for reason in differences(before, after)]
    parts += [f"differs from the baseline's run: {shown(note, 400)}" for note in found.notes]
    said = ["\n".join(parts)] if parts else []
    said += [words.table(found.changes)] if found.changes else ["No check got worse or better than noise does."]
    counts = ", ".join(words.counted(change.kind for change in found.failures))
    return "\n\n".join([*said, f"Accepted: {counts or 'nothing that would have closed the gate'}."])
