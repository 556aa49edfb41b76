"""What lets the world in while a policy acts: files, environment, network, other programs, text that becomes code.

A number belongs to content. What is read while acting is not content that can be digested before, so a function that
reaches one of these names is unverified. Clocks and unseeded random numbers are no such thing: they change results,
not what is tried.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType

from roboscale.core.canonical import has_type
from roboscale.core.classes import class_namespace, module_namespace

__all__ = ["PATH_METHODS", "READING_METHODS", "ExternalInput", "external_module", "external_name", "external_things"]


@dataclass(frozen=True, slots=True)
class ExternalInput:
    """Something that is read from outside: what that does, and by which name."""

    verb: str
    name: str


_FILE, _ENVIRONMENT, _NETWORK = "reads a file", "reads the environment", "talks to something outside"
_PROGRAM, _PERSON, _CODE, _NAMES = "starts a program", "asks a person", "runs text as code", "looks names up by itself"
_COMPILED, _DATABASE, _DEVICE = "calls compiled code", "reads a database", "reads a device"

_BY_MODULE: dict[str, dict[str, str]] = {
    _FILE: {
        "builtins": "open",
        "io": "open open_code FileIO",
        "os": "open read pread listdir scandir walk fwalk stat lstat access readlink getcwd",
        "os.path": "exists lexists isfile isdir islink getmtime getctime getsize samefile",
        "pathlib": "Path.open Path.read_text Path.read_bytes Path.exists Path.glob Path.iterdir Path.cwd",
        "glob": "glob iglob",
        "fileinput": "input FileInput",
        "linecache": "getline getlines",
        "pkgutil": "get_data",
        "importlib.resources": "files open_text open_binary read_text read_binary path as_file",
        "mmap": "mmap",
        "shelve": "open",
        "dbm": "open",
        "gzip": "open GzipFile",
        "bz2": "open BZ2File",
        "lzma": "open LZMAFile",
        "zipfile": "ZipFile",
        "tarfile": "open TarFile",
        "json": "load",
        "pickle": "load Unpickler",
        "marshal": "load",
        "tomllib": "load",
        "plistlib": "load",
        "wave": "open",
        "numpy": "load loadtxt genfromtxt fromfile fromregex memmap",
        "numpy.lib.format": "open_memmap read_array",
        "scipy.io": "loadmat",
        "scipy.sparse": "load_npz",
        "torch": "load",
        "torch.jit": "load",
        "torch.hub": "load load_state_dict_from_url",
        "safetensors": "safe_open",
        "safetensors.torch": "load_file load_model",
        "safetensors.numpy": "load_file",
        "joblib": "load",
        "cv2": "imread imreadmulti VideoCapture FileStorage",
        "PIL.Image": "open",
        "imageio": "imread mimread volread get_reader",
        "imageio.v2": "imread mimread volread get_reader",
        "imageio.v3": "imread imiter imopen",
        "matplotlib.image": "imread",
        "matplotlib.pyplot": "imread",
        "skimage.io": "imread",
        "av": "open",
        "h5py": "File",
        "zarr": "open open_group open_array load",
        "pandas": "read_csv read_table read_parquet read_json read_pickle read_excel read_hdf read_feather HDFStore",
        "pyarrow.parquet": "read_table ParquetFile ParquetDataset",
        "polars": "read_csv read_parquet read_json scan_csv scan_parquet",
        "onnxruntime": "InferenceSession",
        "onnx": "load",
        "tensorflow": "io saved_model",
        "keras.models": "load_model",
        "mujoco": "MjModel.from_xml_path MjModel.from_binary_path",
    },
    _ENVIRONMENT: {"os": "environ environb getenv getenvb", "sys": "argv"},
    _PERSON: {"builtins": "input", "sys": "stdin", "getpass": "getpass"},
    _PROGRAM: {
        "os": "system popen execv execve execvp fork forkpty posix_spawn spawnl spawnv",
        "pty": "spawn",
    },
    _CODE: {
        "builtins": "eval exec compile __import__",
        "importlib": "import_module reload",
        "importlib.util": "spec_from_file_location spec_from_loader module_from_spec",
        "importlib.machinery": "SourceFileLoader SourcelessFileLoader ExtensionFileLoader",
        "runpy": "run_module run_path",
        "code": "interact InteractiveInterpreter",
    },
    _COMPILED: {"ctypes": "CDLL PyDLL cdll pydll CFUNCTYPE PYFUNCTYPE", "numpy.ctypeslib": "load_library"},
    _NAMES: {
        "builtins": "globals",
        "sys": "modules _getframe _current_frames",
        "inspect": "currentframe stack getmodule",
        "gc": "get_objects get_referrers get_referents",
    },
}

_MODULES: dict[str, str] = {
    _NETWORK: "socket _socket ssl _ssl select selectors requests httpx aiohttp urllib.request urllib3 http.client "
    "http.server xmlrpc ftplib smtplib imaplib poplib telnetlib socketserver websockets websocket zmq grpc paramiko "
    "redis paho openai anthropic boto3 botocore huggingface_hub rclpy rospy multiprocessing.connection "
    "multiprocessing.shared_memory _posixshmem roboscale.policies.remote",
    _PROGRAM: "subprocess _posixsubprocess pexpect",
    _DATABASE: "sqlite3 _sqlite3 apsw psycopg psycopg2 pymongo sqlalchemy duckdb",
    _DEVICE: "serial usb hid pyrealsense2 pygame.joystick sounddevice pynput inputs evdev",
}

READING_METHODS = frozenset({"read_text", "read_bytes", "from_pretrained", "load_from_checkpoint", "from_xml_path"})
"""Methods that read files whosever they are."""

PATH_METHODS = frozenset({"open", "exists", "is_file", "is_dir", "iterdir", "glob", "rglob", "stat"})
"""Methods that do so where they are a path's; a gripper has `open` too."""

_NAMED = {
    f"{module}.{name}": ExternalInput(verb, name if module == "builtins" else f"{module}.{name}")
    for verb, modules in _BY_MODULE.items()
    for module, names in modules.items()
    for name in names.split()
}
_PREFIXES = {module: verb for verb, modules in _MODULES.items() for module in modules.split()}


def external_name(dotted: str) -> ExternalInput | None:
    """What the full name `dotted` (`numpy.load`) lets in."""
    return _NAMED.get(dotted) or external_module(dotted)


@lru_cache(maxsize=4096)
def external_module(dotted: str) -> ExternalInput | None:
    """What anything in a module like `requests.api` lets in; `dotted` may go on to a name in it."""
    parts = dotted.split(".")
    for length in range(1, len(parts) + 1):
        verb = _PREFIXES.get(".".join(parts[:length]))
        if verb is not None:
            return ExternalInput(verb, dotted)
    return None


def external_things() -> dict[int, ExternalInput]:
    """The id of every loaded thing that lets something in, under whatever name a user has imported it."""
    things: dict[int, ExternalInput] = {}
    for number, external in _things():
        things.setdefault(number, external)  # `io.open` is `open`
    return things


def _things() -> Iterator[tuple[int, ExternalInput]]:
    for external in _NAMED.values():
        dotted = external.name if "." in external.name else f"builtins.{external.name}"
        module_name, *rest = _split(dotted)
        thing: object = sys.modules.get(module_name)
        for name in rest:
            thing = _member(thing, name)
        if thing is not None and rest:
            yield id(thing), external


def _split(dotted: str) -> list[str]:
    """`pathlib.Path.open` as its module and the names in it."""
    parts = dotted.split(".")
    for length in range(len(parts) - 1, 0, -1):
        module = ".".join(parts[:length])
        if module in sys.modules:
            return [module, *parts[length:]]
    return [dotted]


def _member(thing: object, name: str) -> object:
    if has_type(thing, ModuleType):
        return module_namespace(thing).get(name)
    if has_type(thing, type):
        return class_namespace(thing).get(name)
    return None
