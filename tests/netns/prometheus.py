"""Runs Debian's Prometheus in a namespace of a testbed.Testbed, and asks it. SPDX-License-Identifier: ISC"""
import json
import re
import urllib.error
import urllib.parse
import urllib.request

from daemons import expect, wait_for

PORT = 9090
CONFIG = """
global: {{ scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s }}
rule_files: [{rules}]
scrape_configs: [{{ job_name: mendip, static_configs: [{{ targets: ["127.0.0.1:9500"] }}] }}]
"""


def with_short_waits(rules):
    """The text of alert rules with the times for which a condition has to last cut to a few seconds."""
    text, count = re.subn(r"^(\s+for: )\d+[mh]$", r"\g<1>2s", rules, flags=re.M)
    expect(count > 5, "no rule waits: the search is wrong")
    return text


class Prometheus:
    """Scrapes 127.0.0.1:9500 of the namespace once a second; rules: text of a file of rules. It ends with the testbed."""

    def __init__(self, bed, ns, rules):
        self.ns = ns
        for name, text in (("rules.yml", rules), ("prometheus.yml", CONFIG.format(rules=bed.path("rules.yml")))):
            with open(bed.path(name), "w", encoding="utf-8") as f:
                f.write(text)
        self.log = bed.path("prometheus.log")
        self.process = ns.popen("prometheus", f"--config.file={bed.path('prometheus.yml')}", f"--storage.tsdb.path={bed.path('tsdb')}",
                                f"--web.listen-address=127.0.0.1:{PORT}", "--log.level=warn", log=self.log)
        wait_for(lambda: self.process.poll() is not None or self.is_ready(), self.said, 30)
        expect(self.process.poll() is None, self.said())

    def said(self):
        with open(self.log, encoding="utf-8") as f:
            return f"Prometheus: {f.read()[-2000:]}"

    def fetch(self, path):
        def get():
            with urllib.request.urlopen(f"http://127.0.0.1:{PORT}{path}", timeout=10) as answer:
                return answer.read()
        return self.ns.call(get)

    def is_ready(self):
        try:
            return bool(self.fetch("/-/ready"))
        except OSError:
            return False

    def ask(self, path, **parameters):
        """Returns `data` of an answer of the API."""
        try:
            answer = json.loads(self.fetch(f"/api/v1/{path}?{urllib.parse.urlencode(parameters)}"))
        except urllib.error.HTTPError as e:
            raise AssertionError(f"{path} {parameters}: {e.read().decode()}") from e
        expect(answer["status"] == "success" and not answer.get("warnings"), f"{path} {parameters}: {answer}")
        return answer["data"]

    def query(self, query):
        """Returns [(labels, value)] of now."""
        return [(s["metric"], float(s["value"][1])) for s in self.ask("query", query=query)["result"]]

    def value(self, query):
        """The only value of a query, or None."""
        found = self.query(query)
        return found[0][1] if len(found) == 1 else None

    def history(self, query, start, end, step=1):
        """Returns [(labels, [(time, value), ...])]."""
        data = self.ask("query_range", query=query, start=start, end=end, step=step)
        return [(s["metric"], [(t, float(v)) for t, v in s["values"]]) for s in data["result"]]

    def firing(self):
        """Returns {name: alert} of the alerts that are raised."""
        return {a["labels"]["alertname"]: a for a in self.ask("alerts")["alerts"] if a["state"] == "firing"}

    def names(self):
        """The names of all samples that it has."""
        return set(self.ask("label/__name__/values"))
