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
inputs = {i.name: i.shape for i in session.get_inputs()}
names = [o.name for o in session.get_outputs()]
memory = numpy.zeros((1, inputs["memory"][1]), numpy.float32) if "memory" in inputs else None
fields = [("first", "?"), ("observation", "=f4", (observation,)), ("mask", "?", (params,)), ("draws", "=f8", (action,))]
record = numpy.dtype(fields)
while len(data := sys.stdin.buffer.read(record.itemsize)) == record.itemsize:
    row = numpy.frombuffer(data, record)
    given = {"observation": row["observation"].reshape(1, observation)}
    if "mask" in inputs:
        given["mask"] = row["mask"].reshape(1, params)
    if memory is not None:
        if row["first"].any():
            memory = numpy.zeros_like(memory)
        given["memory"] = memory
    answer = dict(zip(names, session.run(names, given)))
    computed, chosen = answer["params"], answer["action"]
    # An observation that makes no sense is not to be remembered.
    if memory is not None and numpy.isfinite(computed).all() and numpy.isfinite(answer["next_memory"]).all():
        memory = answer["next_memory"]
    drawn = numpy.zeros(action, numpy.float32)
    sys.stdout.buffer.write(b"\0" + computed.tobytes() + chosen.tobytes() + drawn.tobytes())
    sys.stdout.buffer.flush()
