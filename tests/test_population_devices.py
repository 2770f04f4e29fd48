"""The same table on 1, 2 and 8 devices, and from 2 processes."""

import json
import socket
import subprocess
import sys

import pytest

from jaxnet.populations import use_all_cores

# A model with everything in it that a device might do in another order; 11 members do not divide.
SCRIPT = """
import json, sys, hashlib
import jax
devices, process, processes, address, out = json.loads(sys.argv[1])
from jaxnet.populations import samplers, sweep, use_all_cores
assert use_all_cores(devices) == devices
if processes > 1:
    jax.distributed.initialize(address, processes, process)
import numpy as np
from jaxnet import Setup, mlp, optimizers
from jaxnet.data import datasets
assert jax.local_device_count() == devices and jax.process_count() == processes
data = datasets.moons(jax.random.key(0), 70, noise=0.2)
def build(h):
    model = mlp((2, 6, 2), batch_norm=True, keep_prob=h["keep_prob"])
    return Setup(model, optimizers.adam(h["learning_rate"]))
space = {"learning_rate": ("log_uniform", 1e-3, 1e38), "keep_prob": ("uniform", 0.5, 1.0)}
points = samplers.random(jax.random.key(5), space, 11)
seen = []
found = sweep(build, points, data, dev=data, key=jax.random.key(1), batch_size=16, epochs=3,
              on_progress=lambda p: seen.append(p), out=out)
digest = hashlib.sha256()
for leaf in jax.tree.leaves([part.runs for part in found.parts]):
    digest.update(np.ascontiguousarray(leaf).tobytes())
print(json.dumps({"table": found.table(), "runs": digest.hexdigest(), "mine": seen[-1].members}))
"""


def run(*settings):
    """Start a process for each setting; their answers once all have ended."""
    started = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT, json.dumps(setting)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for setting in settings
    ]
    answers = []
    for process in started:
        out, err = process.communicate(timeout=240)
        assert process.returncode == 0, err
        # NaN, which is a score here, is not equal to itself: numbers stay words.
        answers.append(json.loads(out.splitlines()[-1], parse_constant=str))
    return answers


@pytest.fixture(scope="module")
def one_device():
    (answer,) = run((1, 0, 1, None, None))
    assert answer["mine"] == 11
    assert not all(row["finite"] for row in answer["table"]), "one of them is to blow up"
    return answer


@pytest.mark.parametrize("devices", [2, 8])
def test_devices(devices, one_device):
    (answer,) = run((devices, 0, 1, None, None))
    assert answer == one_device


def test_two_processes(one_device, tmp_path):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    out = str(tmp_path / "out")
    answers = run((1, 0, 2, address, out), (1, 1, 2, address, out))
    assert [answer.pop("mine") for answer in answers] == [6, 5]
    expected = {name: one_device[name] for name in ("table", "runs")}
    assert answers == [expected, expected]


LATE = """
import jax
jax.numpy.zeros(3)
from jaxnet.populations import use_all_cores
assert use_all_cores(1) == 1
use_all_cores(3)
"""


@pytest.mark.parametrize("count", [0, -1])
def test_no_number_of_devices(count):
    with pytest.raises(ValueError, match="count: expected a whole number ≥ 1"):
        use_all_cores(count)


def test_too_late_is_an_error():
    done = subprocess.run([sys.executable, "-c", LATE], capture_output=True, text=True)
    assert done.returncode == 1
    assert "RuntimeError: use_all_cores: JAX has started already, with 1 device(s)" in done.stderr
