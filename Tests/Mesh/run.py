#!/usr/bin/env python3
"""The mesh with real processes and real clients: joining, metadata, faults, restarts, strangers.

Every case starts brokers of its own on free ports, and waits for events with a bound, not for time.
Cases that cut networks need root and network namespaces; where there are none they are skipped, and
the line says so.
"""

import argparse
import os
import subprocess
import sys
import time
import traceback
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PYTHON = ROOT / ".venv-clients/bin/python"
sys.path.insert(0, str(HERE.parent / "Support"))

try:
    import confluent_kafka  # noqa: F401
except ImportError:
    # The clients live in a virtual environment; this program runs there too.
    if not PYTHON.exists():
        sys.exit(f"error: {PYTHON} is missing; run scripts/setup")
    if os.environ.get("GOSSAMER_TESTS_REENTERED"):
        raise
    os.environ["GOSSAMER_TESTS_REENTERED"] = "1"
    os.execv(PYTHON, [str(PYTHON), *sys.argv])

from broker import DEFAULT_BINARY, BrokerError, end_with_children  # noqa: E402
from cases import CASES, Failure, Skip, Stage  # noqa: E402

import joining  # noqa: E402, F401
import metadata  # noqa: E402, F401
import leaders  # noqa: E402, F401
import lives  # noqa: E402, F401
import upgrade  # noqa: E402, F401
import configs  # noqa: E402, F401
import architectures  # noqa: E402, F401
import strangers  # noqa: E402, F401
import networks  # noqa: E402, F401
import moves  # noqa: E402, F401
import replicas  # noqa: E402, F401
import roles  # noqa: E402, F401
import operating  # noqa: E402, F401
import topics  # noqa: E402, F401
import offsets  # noqa: E402, F401


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", type=Path, default=DEFAULT_BINARY)
    parser.add_argument("--only", default="", help="part of a case's name")
    parser.add_argument("--list", action="store_true", help="print the names and exit")
    options = parser.parse_args()
    cases = {name: run for name, run in CASES.items() if options.only in name}
    if options.list:
        print("\n".join(cases))
        return 0
    if not options.binary.exists():
        sys.exit(f"error: {options.binary} is missing; run `swift build -c release`")
    end_with_children()
    stage = Stage(options.binary.resolve(), PYTHON)
    passed = failed = skipped = 0
    for name, run in cases.items():
        started = time.monotonic()
        try:
            detail = run(stage)
            print(f"ok   {name}: {detail}, {time.monotonic() - started:.1f}s", flush=True)
            passed += 1
        except Skip as reason:
            print(f"skip {name}: {reason}", flush=True)
            skipped += 1
        except (Failure, BrokerError, subprocess.SubprocessError, OSError) as error:
            print(f"FAIL {name}: {error}, {time.monotonic() - started:.1f}s", flush=True)
            failed += 1
        except Exception:  # a client's exception, or a mistake of the test: it failed all the same
            print(f"FAIL {name}: {traceback.format_exc()}", flush=True)
            failed += 1
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
