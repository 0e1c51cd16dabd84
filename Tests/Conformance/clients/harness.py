"""What every Python client program of the conformance suite shares.

A program registers cases with `@case(name, ...)` and ends with `main()`. The runner calls it as
    program --list                       one JSON object per case
    program CASE BOOTSTRAP [BOOTSTRAP]   runs one case; exit code 0 well, 1 failed, 77 skipped
While a case runs, a line `@broker ACTION [INDEX]` on standard output asks the runner to act on the
broker (kill, stop, start, restart); the runner answers with one line on standard input.
"""

import json
import sys
import time
import traceback

CASES = {}
SKIPPED = 77

# No single wait of a case is longer; the runner's own deadline for the case is the safety net.
WAIT = 30.0


class Skip(Exception):
    """The client lacks what the case is about; the message says what."""


def case(name, config=None, brokers=1, deadline=60, alone=False):
    """Registers a case. `config` is YAML for the broker; `alone` keeps other cases off the CPU."""

    def register(function):
        CASES[name] = (function, dict(
            name=name, config=config, brokers=brokers, deadline=deadline, alone=alone))
        return function

    return register


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def equal(got, expected, what):
    if got != expected:
        raise AssertionError(f"{what}: expected {short(expected)}, got {short(got)}")


def short(value, limit=400):
    text = repr(value)
    return text if len(text) <= limit else f"{text[:limit]}... ({len(text)} characters)"


def wait_for(condition, what, deadline=WAIT, pause=0.02):
    """Polls until `condition()` is true and returns what it gave."""
    end = time.monotonic() + deadline
    while True:
        value = condition()
        if value:
            return value
        check(time.monotonic() < end, f"{what}: not within {deadline:g} s")
        time.sleep(pause)


def broker(action, index=0):
    """Asks the runner to kill, stop, start or restart a broker, and waits until that is done."""
    print(f"@broker {action} {index}", flush=True)
    answer = sys.stdin.readline().strip()
    check(answer == "done", f"runner could not {action} the broker: {answer}")


def values(count, size=100, tag="m"):
    """`count` distinct, compressible payloads that carry their number."""
    filler = b"abcdefgh" * (size // 8 + 1)
    return [(f"{tag}-{number:08d}-".encode() + filler)[:size] for number in range(count)]


def main():
    if sys.argv[1:] == ["--list"]:
        for _, options in CASES.values():
            print(json.dumps(options))
        return
    name, *bootstraps = sys.argv[1:]
    try:
        CASES[name][0](*bootstraps)
    except Skip as reason:
        print(f"@skip {reason}", flush=True)
        sys.exit(SKIPPED)
    except BaseException:
        traceback.print_exc(file=sys.stdout)
        sys.stdout.flush()
        sys.exit(1)
