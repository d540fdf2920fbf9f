"""Put on the path of a fleet under test: notes every import and every connection that must not happen.

Python imports `sitecustomize` at start. Forbidden imports fail; both kinds are written to the file that
`EVERYWEAR_GUARD_LOG` names, so that the test sees them even where the product would catch the error.
"""

import os
import sys

FORBIDDEN = {"torch", "torchvision", "mediapipe", "onnxruntime", "tensorflow", "diffusers", "transformers"}
LOG = os.environ["EVERYWEAR_GUARD_LOG"]


def note(text):
    with open(LOG, "a") as log:
        log.write(text + "\n")


class Guard:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in FORBIDDEN:
            note(f"import {name}")
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


sys.meta_path.insert(0, Guard())
sys.addaudithook(audit)
note(f"guarded {os.getpid()}")
