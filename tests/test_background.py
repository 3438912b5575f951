"""Work in a thread of its own."""

import threading

import pytest

from ldarnet.background import Background


def test_calls_run_in_order_in_one_other_thread():
    background, seen = Background(), []
    for number in range(1000):
        background.call(lambda n: seen.append((n, threading.get_ident())), number)
    background.finish()
    assert [n for n, _ in seen] == list(range(1000))
    assert len({thread for _, thread in seen}) == 1
    assert seen[0][1] != threading.get_ident()


def test_an_error_ends_the_work_and_comes_back():
    background, seen = Background(most_waiting=2), []
    background.call(seen.append, 1)
    background.call(int, "x")
    with pytest.raises(ValueError, match="invalid literal"):
        for number in range(100):  # more than may wait: nobody hangs
            background.call(seen.append, number)
    with pytest.raises(ValueError, match="invalid literal"):
        background.finish()
    assert seen == [1]


def test_the_caller_waits_where_too_much_is_waiting():
    gate, background = threading.Event(), Background(most_waiting=2)
    background.call(gate.wait)
    for _ in range(2):
        background.call(int)
    blocked = threading.Thread(target=background.call, args=(int,))
    blocked.start()
    blocked.join(0.2)
    assert blocked.is_alive()
    gate.set()
    blocked.join(5)
    assert not blocked.is_alive()
    background.finish()
    background.finish()


def test_stopping_raises_nothing():
    background = Background()
    background.call(int, "x")
    background.stop()
