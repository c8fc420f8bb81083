"""Wanting to stop: a signal once, a signal twice, a reader that has gone."""

from __future__ import annotations

import os
import signal

import pytest
from solidgreen.interrupt import Interrupt


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_and_the_second_is_the_process_own_again(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with Interrupt() as stop:
        assert not stop()
        os.kill(os.getpid(), number)
        assert stop()
        assert signal.getsignal(number) is before
    assert signal.getsignal(number) is before


def test_the_signals_are_given_back_when_nothing_happened() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with Interrupt():
        pass
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_process_nobody_reads_any_more_is_asked_to_stop() -> None:
    reader, writer = os.pipe()
    try:
        stop = Interrupt(output=writer)
        assert not stop()
        os.close(reader)
        assert stop()
    finally:
        os.close(writer)


def test_a_process_whose_starter_is_gone_is_asked_to_stop() -> None:
    there = [True]
    stop = Interrupt(gone=lambda: not there[0])
    assert not stop()
    there[0] = False
    assert stop()
