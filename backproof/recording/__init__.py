"""Recordings: what one run did, step by step, on disk. Written in one environment, judged in another."""

from backproof.recording.layout import Source
from backproof.recording.reader import Recording
from backproof.recording.writer import RecordingWriter

__all__ = ["Recording", "RecordingWriter", "Source"]
