"""A function served over openpi's websocket protocol in one process, and asked from another.

The client's part is all that a robot's computer needs. Any openpi client can ask the same server.
"""

import multiprocessing
from multiprocessing.connection import Connection

import numpy as np

from roboscale.core import Field, Spec
from roboscale.policies.callables import as_policy
from roboscale.policies.remote import RemotePolicy, serve_policy

STATE = Field("observation.state", (2,), "float32", unit="rad", layout=("shoulder", "elbow"))


def go_home(observation: dict, instruction: str) -> np.ndarray:
    """Ten steps that bring both joints to zero, a fifth of what is left at a time; (10, 2)."""
    shares = 0.8 ** np.arange(1, 11)
    return np.outer(shares, observation["observation.state"]).astype(np.float32)


def server(pipe: Connection) -> None:
    policy = as_policy(go_home, spec=Spec((STATE,), 20.0))
    serve_policy(policy, port=0, on_ready=pipe.send)  # until SIGTERM


if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=server, args=(theirs,))
    process.start()
    try:
        port = ours.recv()
        with RemotePolicy(f"openpi://127.0.0.1:{port}") as policy:
            needed = policy.observation_spec
            print("the server needs", ", ".join(needed.names if needed else ()))
            session = policy.start("bring the arm to its home position", seed=0)
            chunk = session({"observation.state": np.array([1.0, -0.5], np.float32)})
        print("chunk of actions", chunk.actions.shape, "first row", np.round(chunk.rows[0], 2))
    finally:
        process.terminate()
        process.join()
