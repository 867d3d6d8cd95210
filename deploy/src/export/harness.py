"""Runs an exported model on records from stdin and writes what it does to stdout."""

import subprocess
import sys

import numpy
import onnxruntime

model, self_test, observation, params, action = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
failed = subprocess.run([sys.executable, self_test, model], stdout=subprocess.DEVNULL).returncode
sys.stdout.buffer.write(bytes([failed]))
sys.stdout.buffer.flush()
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
masked = any(i.name == "mask" for i in session.get_inputs())
record = numpy.dtype([("observation", "=f4", observation), ("mask", "?", params), ("draws", "=f8", action)])
while len(data := sys.stdin.buffer.read(record.itemsize)) == record.itemsize:
    row = numpy.frombuffer(data, record)
    given = {"observation": row["observation"].reshape(1, observation)}
    if masked:
        given["mask"] = row["mask"].reshape(1, params)
    computed, chosen = session.run(["params", "action"], given)
    drawn = numpy.zeros(action, numpy.float32)
    sys.stdout.buffer.write(b"\0" + computed.tobytes() + chosen.tobytes() + drawn.tobytes())
    sys.stdout.buffer.flush()
