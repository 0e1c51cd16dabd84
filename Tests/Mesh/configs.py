"""The clusters that cluster-configs/ shows: started by their own scripts, on ports of their own."""

import os
import re
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from broker import ROOT, track, wait_until
from cases import case, check
from clusters import move_ports

import cases


class Place:
    """Where a client finds a broker."""

    def __init__(self, port):
        self.host, self.port, self.node_id = "127.0.0.1", port, port

    @property
    def bootstrap(self):
        return f"{self.host}:{self.port}"


def run_cluster(stage, count):
    for path in sorted((ROOT / "cluster-configs/mesh").glob("*.yaml")):
        done = subprocess.run([stage.binary, "serve", "--config", path, "--check"],
                              capture_output=True, text=True, timeout=20)
        check(done.returncode == 0, f"{path.name}: {done.stderr}")
    home = Path(tempfile.mkdtemp(prefix="gossamer-configs-"))
    folder = home / "cluster-configs/mesh"
    shutil.copytree(ROOT / "cluster-configs", home / "cluster-configs")
    ports = {}
    for path in folder.glob("*.yaml"):
        path.write_text(move_ports(path.read_text(), ports))
    brokers = [Place(ports[str(9091 + n)]) for n in range(1, count + 1)]
    environment = dict(os.environ, GOSSAMER=str(stage.binary), GOSSAMER_EVENT_LOOPS="1")
    try:
        for start in range(2):
            log = home / f"start-{start}.log"
            with open(log, "w") as out:
                script = track(subprocess.Popen(
                    [folder / "start", str(count)], stdout=out, stderr=out, env=environment,
                    stdin=subprocess.DEVNULL, start_new_session=True))
            try:
                def shown():
                    check(script.poll() is None, f"start ended: {log.read_text()}")
                    return "Clients may use any broker" in log.read_text()
                wait_until(shown, 60, "the members", 0.05)
                check(len(re.findall(r"\balive\b", log.read_text())) >= count, log.read_text())
                if start == 0:
                    cases.create_topic(brokers[0], "kept", 3)
                    cases.publish(brokers[1], "kept", [f"{n}" for n in range(30)])
                got = cases.consume(brokers[-1], "kept", 30)
                check(sorted(got, key=int) == [f"{n}" for n in range(30)], f"{got}")
                nodes, _ = cases.metadata(brokers[-1])
                check(set(nodes) == set(range(1, count + 1)), f"brokers {nodes}")
            finally:
                script.send_signal(signal.SIGINT)
                code = script.wait(60)
            check(code == 0 and "stopped cleanly" in log.read_text(), f"{code}: {log.read_text()}")
            for n in range(1, count + 1):
                text = (home / f"gossamer-data/mesh/n{n}.log").read_text()
                check("marked clean" in text, f"n{n}: {text}")
    finally:
        if script.poll() is None:
            script.kill()
    shutil.rmtree(home)
    return f"{count} brokers, started twice, stopped cleanly by Ctrl-C, records kept"


@case
def cluster_config_of_three(stage):
    return run_cluster(stage, 3)


@case
def cluster_config_of_five(stage):
    return run_cluster(stage, 5)
