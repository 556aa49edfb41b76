"""What is read from outside while acting is a doubt; what was read before is content."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from roboscale.core import identify

Load = Callable[[Mapping[str, str]], ModuleType]


READING = {
    "return open('x').read()": "act reads a file while acting (open)",
    "import io\nreturn io.open('x')": "act reads a file while acting (open)",
    "return np.load('x')": "act reads a file while acting (numpy.load)",
    "import numpy as other\nreturn other.loadtxt('x')": "act reads a file while acting (numpy.loadtxt)",
    "from numpy import fromfile as f\nreturn f('x')": "act reads a file while acting (numpy.fromfile)",
    "return np.lib.format.open_memmap('x')": "act reads a file while acting (numpy.lib.format.open_memmap)",
    "return alias(o)": "act reads a file while acting (numpy.load)",
    "return TABLE['load'](o)": "act reads a file while acting (pickle.load)",
    "m = np\nreturn m.genfromtxt(o)": "act reads a file while acting (numpy.genfromtxt)",
    "return json.load(o)": "act reads a file while acting (json.load)",
    "return pathlib.Path('x').read_text()": "act reads a file while acting (.read_text)",
    "return pathlib.Path('x').open()": "act reads a file while acting (.open)",
    "return FOLDER.joinpath('x').exists()": "act reads a file while acting (.exists)",
    "return os.environ['x']": "act reads the environment while acting (os.environ)",
    "return os.getenv('x')": "act reads the environment while acting (os.getenv)",
    "from os import environ\nreturn environ": "act reads the environment while acting (os.environ)",
    "return os.listdir()": "act reads a file while acting (os.listdir)",
    "return os.path.exists('x')": "act reads a file while acting (os.path.exists)",
    "return input()": "act asks a person while acting (input)",
    "return eval('o')": "act runs text as code while acting (eval)",
    "exec('o = 1')": "act runs text as code while acting (exec)",
    "return __import__('math')": "act runs text as code while acting (__import__)",
    "import importlib\nreturn importlib.import_module(o)":
        "act runs text as code while acting (importlib.import_module)",
    "return globals()['x']": "act looks names up by itself while acting (globals)",
    "import sys\nreturn sys.modules['x'].y": "act looks names up by itself while acting (sys.modules)",
    "import subprocess\nreturn subprocess.run(o)": "act starts a program while acting (subprocess.run)",
    "import socket\nreturn socket.create_connection(o)":
        "act talks to something outside while acting (socket.create_connection)",
    "from urllib.request import urlopen\nreturn urlopen(o)":
        "act talks to something outside while acting (urllib.request.urlopen)",
    "import urllib.request as r\nreturn r.urlopen(o)":
        "act talks to something outside while acting (urllib.request.urlopen)",
    "import httpx\nreturn httpx.get(o)": "act talks to something outside while acting (httpx.get)",
    "import sqlite3\nreturn sqlite3.connect(o)": "act reads a database while acting (sqlite3.connect)",
    "import not_loaded\nreturn not_loaded.f(o)": "act imports a module while acting (not_loaded)",
    "import not_there\nreturn not_there.f(o)": "act imports a module while acting (not_there)",
    "def inner():\n    return open('x')\nreturn inner()": "act reads a file while acting (open)",
    "return getattr(np, 'load')(o)": "act reads a file while acting (numpy.load)",
    "return getattr(READS, 'again')(o)": "Reads.again reads a file while acting (numpy.load)",
    "return list(map(lambda p: open(p), o))": "act reads a file while acting (open)",
    "return helper(o)": "helper reads a file while acting (open)",
    "return Reads('x')": "Reads.__init__ reads a file while acting (numpy.load)",
    "return MADE['reads'](o)": "Reads.__init__ reads a file while acting (numpy.load)",
    "return [make(o) for make in (Reads,)]": "Reads.__init__ reads a file while acting (numpy.load)",
    "return functools.partial(Reads, 'x')()": "Reads.__init__ reads a file while acting (numpy.load)",
    "return Reads.made()": "Reads.__init__ reads a file while acting (numpy.load)",
    "return READS.again()": "Reads.again reads a file while acting (numpy.load)",
    "return INDEXED[o]": "Indexed.__getitem__ reads a file while acting (open)",
    "return READS.part": "Reads.part reads a file while acting (json.load)",
    "return method(o)": "Reads.again reads a file while acting (numpy.load)",
    "return part(o)": "helper reads a file while acting (open)",
}  # fmt: skip

NOT_READING = [
    "return isinstance(o, Reads)",
    "return READS.other() + 1",
    "return Reads.level",
    "gripper.open()\nreturn o",
    "return time.time(), np.random.rand(), random.random()",
    "return re.compile('a'), o.eval(), o.load('x')",
    "return FOLDER.name",
    "import math\nreturn math.sin(o)",
    "return np.linalg.norm(o) + np.load_threshold if o else getattr(helpers, 'x' + o)",
    "print(o)\nreturn json.dumps(o), os.path.join('a', 'b'), pickle.dumps(o)",
    "from scipy.spatial import Delaunay\nreturn Delaunay(o)",
]

READER = """
import functools, json, os, pathlib, pickle, random, re, time
import numpy as np
import helpers
from numpy import load as alias
TABLE = {"load": pickle.load}
FOLDER = pathlib.Path("x")


class Gripper:
    def open(self):
        return 1


gripper = Gripper()


def helper(o):
    return open(o)


part = functools.partial(helper, 1)


class Reads:
    level = 1

    def __init__(self, path):
        self.weights = np.load(path)

    @classmethod
    def made(cls):
        return cls("x")

    def again(self, o=None):
        return np.load("x")

    def other(self):
        return 1

    @property
    def part(self):
        return json.load(self)

    def save(self, path):
        open(path)


class Indexed:
    def __getitem__(self, o):
        return open(o)


INDEXED = Indexed()
READS = Reads.__new__(Reads)
MADE = {"reads": Reads}
method = READS.again


def act(o):
"""


def reader(body: str) -> dict[str, str]:
    text = READER if "FOLDER" in body or "pathlib" in body else READER.replace('FOLDER = pathlib.Path("x")', "")
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    return {"policy.py": text + lines, "not_loaded.py": "", "helpers.py": "xx = 1"}


@pytest.mark.parametrize("body", READING, ids=lambda body: body.splitlines()[-1])
def test_what_is_read_while_acting_is_a_doubt(load: Load, body: str):
    assert READING[body] in identify(load(reader(body)).act).unverified


@pytest.mark.parametrize("body", NOT_READING, ids=lambda body: body.splitlines()[-1][:40])
def test_what_is_not_read_while_acting_is_none(load: Load, body: str):
    assert identify(load(reader(body)).act).unverified == ()


def test_a_file_that_was_read_before_is_known_by_what_was_read(load: Load, tmp_path: Path):
    files = {
        "policy.py": f"""
            import numpy as np
            DATA = np.load({str(tmp_path / "data.npy")!r})

            class Policy:
                def __init__(self, path):
                    self.data = np.load(path)

                def __call__(self, o):
                    return self.data @ o

                def load(self, path):
                    self.__init__(path)

            policy = Policy({str(tmp_path / "data.npy")!r})

            def act(o):
                return DATA @ o
        """
    }
    np.save(tmp_path / "data.npy", np.ones(3))
    module = load(files)
    function, instance = identify(module.act), identify(module.policy)
    assert function.verified and instance.verified and identify(module.policy.__call__).verified
    assert identify(module.Policy).unverified == ("Policy.__init__ reads a file while acting (numpy.load)",)
    np.save(tmp_path / "data.npy", np.zeros(3))
    module = load(files)
    assert identify(module.act) != function and identify(module.policy) != instance


def test_methods_that_will_be_called_may_be_named(load: Load):
    module = load(
        {"policy.py": "class P:\n    def act(self, o):\n        return o\n    def film(self):\n        open('x')\n"}
    )
    assert not identify(module.P()).verified and identify(module.P(), calls=["act"]).verified
