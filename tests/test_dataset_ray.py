"""The engine of a cluster: two nodes on this machine, one of which dies in the middle of a run."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pretend_bulk import bytes_of, run

from toolkit.dataset.bulk.folder import SetFolder
from toolkit.dataset.bulk.manifest import Manifest
from toolkit.dataset.bulk.verify import verify

ray = pytest.importorskip("ray", reason="needs the extra `scale`")
pytestmark = pytest.mark.slow
SCRIPT = Path(__file__).with_name("pretend_bulk.py")
COUNT, PORT, PATIENCE_S = 16, 26379, 240
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "disabled",
    "RAY_DISABLE_IMPORT_WARNING": "1",
    "TQDM_DISABLE": "1",
}
FAST = {  # a dead node is noticed after two seconds, not half a minute
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_failure_threshold": "3",
    "RAY_health_check_initial_delay_ms": "500",
}


class Cluster:
    """Two nodes on the loopback device, each a process group that can be killed as a whole."""

    def __init__(self, folder):
        self.env, self.address, self.nodes = os.environ | QUIET | FAST, f"127.0.0.1:{PORT}", []
        head = ("--head", f"--port={PORT}", "--include-dashboard=false", f"--temp-dir={folder}")
        head += ("--include-log-monitor=false",)
        self.add(*head)

    def add(self, *options):
        """A node; its ports are given, since a busy machine is slow to find free ones."""
        first = PORT + 10 * (len(self.nodes) + 1)
        names = ("dashboard-agent-grpc", "dashboard-agent-listen", "runtime-env-agent")
        names += ("metrics-export",)
        ports = [f"--{name}-port={first + i}" for i, name in enumerate(names)]
        where = options or (f"--address={self.address}",)
        size = ("--num-cpus=2", "--object-store-memory=100000000")
        common = ("--node-ip-address=127.0.0.1", "--block", "--disable-usage-stats")
        ray_start = [str(Path(sys.executable).with_name("ray")), "start"]
        command = [*ray_start, *where, *ports, *size, *common]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.nodes.append(subprocess.Popen(command, env=self.env, start_new_session=True, **quiet))

    def wait_for(self, num):
        """Wait until so many nodes are alive."""
        code = f"""import ray, time
ray.init(address="{self.address}", log_to_driver=False)
while sum(node["Alive"] for node in ray.nodes()) != {num}:
    time.sleep(0.2)
"""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            command = [sys.executable, "-c", code]
            asked = subprocess.run(
                command, env=self.env, capture_output=True, timeout=PATIENCE_S, check=False
            )
            if asked.returncode == 0:
                return
        raise TimeoutError(f"no cluster of {num} nodes after {PATIENCE_S} s")

    def drive(self, out, **options):
        """A driver of its own."""
        options = {"count": COUNT, "engine": "ray", "workers": 2, "rejects": [3]} | options
        command = [sys.executable, str(SCRIPT), str(out), json.dumps(options)]
        env = self.env | {"RAY_ADDRESS": self.address}
        return subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True)

    def kill(self, node):
        """Every process of a node at once, as when a machine loses its power."""
        group = self.nodes[node]
        os.killpg(group.pid, signal.SIGKILL)
        group.wait()

    def stop(self):
        for node, process in enumerate(self.nodes):
            if process.poll() is None:
                self.kill(node)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    cluster = Cluster(tmp_path_factory.mktemp("r"))
    try:
        cluster.wait_for(1)
        cluster.add()
        cluster.wait_for(2)
        yield cluster
    except TimeoutError as error:  # Ray gives up on a node whose helpers need more than 15 s
        pytest.skip(f"Ray does not start here: {error}")
    finally:
        cluster.stop()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The set of an undisturbed local run."""
    path = tmp_path_factory.mktemp("sets") / "whole"
    run(path, COUNT, rejects=(3,))
    return path


def wait_until_made(out, num, driver):
    deadline = time.monotonic() + PATIENCE_S
    while len(list((out / "work").glob("*.tar"))) + 5 * len(list((out / "shards").glob("*"))) < num:
        assert driver.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)


def test_a_driver_and_then_a_node_die(cluster, whole, tmp_path):
    out = tmp_path / "set"
    driver = cluster.drive(out, seconds=0.3)
    wait_until_made(out, 3, driver)
    driver.kill()
    driver.wait()
    again = cluster.drive(out, seconds=0.3)
    wait_until_made(out, 7, again)
    cluster.kill(1)
    assert again.wait(PATIENCE_S) == 0, again.stderr.read()
    assert bytes_of(out) == bytes_of(whole)
    assert verify(SetFolder(out)) == []
    assert Manifest.load(SetFolder(out)).people == COUNT - 1


def test_what_the_cluster_lacks_is_one_error(cluster, tmp_path):
    driver = cluster.drive(tmp_path / "set", cpus=100)
    _, text = driver.communicate(timeout=PATIENCE_S)
    last = text.strip().splitlines()[-1]
    assert driver.returncode and "MissingCapabilityError: engine ray: got a cluster with" in last
