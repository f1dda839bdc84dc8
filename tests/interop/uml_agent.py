"""Carries out commands inside the machine of uml.py, as its first process. SPDX-License-Identifier: ISC

Each TCP connection to PORT carries one request and its answer, each a line of JSON: {"do": NAME, ...} is answered by
{"value": ...} or {"error": TEXT}.
"""
import json
import os
import socketserver
import subprocess

PORT = 7000
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8"}

processes = {}                  # started by spawn(), by PID


def run(argv, stdin, timeout):
    """Runs a command to its end; returns [exit status, stdout, stderr]."""
    done = subprocess.run(argv, input=stdin or "", capture_output=True, text=True, timeout=timeout, env=ENVIRONMENT)
    return [done.returncode, done.stdout, done.stderr]


def spawn(argv, log, env):
    """Starts a process with its output in the file `log`; returns its PID."""
    with open(log, "ab") as output:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                   env={**ENVIRONMENT, **env}, start_new_session=True)
    processes[process.pid] = process
    return process.pid


def poll(pid):
    """Returns the exit status of a process of spawn(), or None while it runs."""
    return processes[pid].poll()


def kill(pid, number):
    """Sends a signal to a process of spawn() and to all that it has started, unless it has ended."""
    if processes[pid].poll() is None:
        os.killpg(pid, number)


def write(path, text, mode):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, mode), "w", encoding="utf-8") as file:
        file.write(text)


def read(path):
    """Returns the text of a file, "" when it does not exist."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except FileNotFoundError:
        return ""


DO = {function.__name__: function for function in (run, spawn, poll, kill, write, read)}


class Request(socketserver.StreamRequestHandler):
    def handle(self):
        request = json.loads(self.rfile.readline())
        try:
            answer = {"value": DO[request.pop("do")](**request)}
        except Exception as error:  # is raised by the caller
            answer = {"error": f"{type(error).__name__}: {error}"}
        self.wfile.write(json.dumps(answer).encode() + b"\n")


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


def network(devices):
    """Gives the devices their addresses: "vec0=192.0.2.2/24,vec1=..."."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for part in devices.split(","):
        device, address = part.split("=")
        subprocess.run(["ip", "link", "set", device, "up"], check=True)
        subprocess.run(["ip", "addr", "add", address, "dev", device], check=True)
    write("/proc/sys/net/ipv4/ip_forward", "1\n", 0o644)


def main():
    network(os.environ["mendip_devices"])
    Server(("0.0.0.0", PORT), Request).serve_forever()


if __name__ == "__main__":
    main()
