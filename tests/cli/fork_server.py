"""Run Python programs of the guide in forks of one process that has imported them already.

Each is still a process with its own output, environment and exit code, but starts in milliseconds.
`python -S fork_server.py SOCKET PROGRAM ARGUMENTS…` is the other side: it lends its own output.
"""

import json
import os
import socket
import sys
from collections.abc import Callable, Mapping

Program = Callable[[list[str]], int]

_LONGEST = 1024 * 1024


def serve(path: str, programs: Mapping[str, Program]) -> None:
    """Serve until the process is ended."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        while True:
            connection, _ = listener.accept()
            with connection:
                text, descriptors, _, _ = socket.recv_fds(connection, _LONGEST, 3)
                asked = json.loads(text)
                child = os.fork()
                if child == 0:
                    _run(programs[asked["program"]], asked, descriptors)
                for descriptor in descriptors:
                    os.close(descriptor)
                _, status = os.waitpid(child, 0)
                connection.send(bytes((os.waitstatus_to_exitcode(status) & 0xFF,)))


def _run(program: Program, asked: Mapping[str, object], descriptors: list[int]) -> None:
    """Become the program, with the output of whoever asked; never returns."""
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
    os.environ.clear()
    os.environ.update(asked["environment"])  # type: ignore[call-overload]
    code = 1
    try:
        code = program(list(asked["arguments"]))  # type: ignore[call-overload]
    except SystemExit as leaving:
        code = int(leaving.code or 0)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def ask(path: str, program: str, arguments: list[str]) -> int:
    """Have a program run, and return its exit code."""
    asked = {"program": program, "arguments": arguments, "environment": dict(os.environ)}
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        socket.send_fds(connection, [json.dumps(asked).encode()], [0, 1, 2])
        return connection.recv(1)[0]


if __name__ == "__main__":
    raise SystemExit(ask(sys.argv[1], sys.argv[2], sys.argv[3:]))
