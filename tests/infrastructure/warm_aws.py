"""The real AWS CLI, imported once: starting it takes half a second, and the tests call it a hundred times.

Run by the interpreter of `.venv-infra` with the path of a socket, this serves calls, each in a forked child
with the caller's arguments, environment, folder and streams. `CLIENT` is the `aws` that calls it.
"""

import json
import os
import signal
import socket
import sys
import traceback

CLIENT = """#!{python} -IS
import json, os, socket, sys
with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
    server.connect({path!r})
    socket.send_fds(server, [b"!"], [0, 1, 2])
    call = json.dumps([sys.argv[1:], dict(os.environ), os.getcwd()]).encode()
    server.sendall(len(call).to_bytes(4, "big") + call)
    sys.exit(int(server.recv(8) or b"70"))
"""


def serve(path: str) -> None:
    from awscli.clidriver import create_clidriver  # of .venv-infra alone

    create_clidriver().session.get_service_model("dynamodb")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(path)
        listener.listen()
        while True:
            caller, _ = listener.accept()
            if os.fork() == 0:
                answer(caller)
            caller.close()


def answer(caller: socket.socket) -> None:
    from awscli.clidriver import main

    code = 70
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        _, streams, _, _ = socket.recv_fds(caller, 1, 3)
        received = caller.makefile("rb")
        arguments, environment, folder = json.loads(received.read(int.from_bytes(received.read(4), "big")))
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
        data = os.environ["AWS_DATA_PATH"]  # set by awscli on its import
        os.environ.clear()
        os.environ.update(environment, AWS_DATA_PATH=data)
        os.chdir(folder)
        sys.argv = ["aws", *arguments]
        code = main() or 0
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else 1
    except BaseException:  # noqa: BLE001 - this process is the whole call
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        caller.sendall(str(code).encode())
        os._exit(0)


if __name__ == "__main__":
    serve(sys.argv[1])
