# A daemon of which only the answers are there. SPDX-License-Identifier: ISC
"""For what mendipctl makes of answers that a real daemon has after long preparations."""
import json
import socketserver
import threading


class Puppet:
    """Within it, mendipctl -s PATH gets results[COMMAND] of each command, and `asked` has (command, arguments)."""

    def __init__(self, path, results):
        self.asked = []
        puppet = self

        class Client(socketserver.StreamRequestHandler):
            def handle(self):
                for line in self.rfile:
                    request = json.loads(line)
                    puppet.asked.append((request["command"], request["args"]))
                    answer = {"ok": True, "result": results[request["command"]]}
                    self.wfile.write(json.dumps(answer).encode() + b"\n")

        self.server = socketserver.ThreadingUnixStreamServer(path, Client)
        self.server.daemon_threads = True

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
