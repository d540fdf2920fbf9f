"""Put on the path of a fleet under test: notes every import, connection and written file that must not be.

Python imports `sitecustomize` at start. Forbidden imports and connections fail; all three kinds are written to the
file that `EVERYWEAR_GUARD_LOG` names, so that the test sees them even where the product would catch the error.
"""

import os
import sys

FORBIDDEN = {"torch", "torchvision", "mediapipe", "onnxruntime", "tensorflow", "diffusers", "transformers"}
UNSEEN = {"uvloop"}  # connects and looks up names in C, where no audit event is raised; asyncio's own loop takes over
LOG = os.environ["EVERYWEAR_GUARD_LOG"]
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND


def note(text):
    with open(LOG, "a") as log:
        log.write(text + "\n")


class Guard:
    def find_spec(self, name, path=None, target=None):
        package = name.partition(".")[0]
        if package in FORBIDDEN:
            note(f"import {name}")
        if package in FORBIDDEN | UNSEEN:
            raise ImportError(f"{name} is forbidden here")
        return None


def is_local(address):
    if not isinstance(address, tuple):
        return True  # a socket of the file system
    return address[0] in ("127.0.0.1", "::1", "localhost", "", None) or str(address[0]).startswith("127.")


def audit(event, arguments):
    if event in ("socket.connect", "socket.sendto", "socket.bind") and not is_local(arguments[1]):
        note(f"{event} {arguments[1]}")
        raise PermissionError("no connections to other machines here")
    if event == "socket.getaddrinfo" and not is_local((arguments[0],)):
        note(f"{event} {arguments[0]}")
        raise PermissionError("no look-ups of other machines here")
    if event == "open" and isinstance(arguments[0], (str, bytes, os.PathLike)) and arguments[2] & WRITING:
        path = os.fsdecode(arguments[0])
        if path not in (LOG, os.devnull):
            note(f"write {path} by {os.getpid()}")


sys.meta_path.insert(0, Guard())
sys.addaudithook(audit)
note(f"guarded {os.getpid()}")
