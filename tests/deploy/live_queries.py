"""Runs each query of the dashboards and of the alerts at a Prometheus that scrapes a busy agent.

live_queries.py URL SECONDS [METRIC...]

Each panel's query has to answer with a number, and each selector of an alert has to select something, within so many
seconds. The metrics that are named are those that this machine cannot have: what needs them may be empty, and has to be,
as otherwise nobody would notice that the exception is not needed any more. Prints what fails; exit code 1 then.
"""

import json
import math
import re
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

import monitoring_test as monitoring

SELECTOR = re.compile(r"\b(up|sluice_\w+|process_\w+)\b(\{[^}]*\})?")


def ask(url, expression):
    """The samples of an instant query; raises ValueError with Prometheus' own message."""
    try:
        with urllib.request.urlopen(url + "/api/v1/query?" + urllib.parse.urlencode({"query": expression})) as answer:
            return json.load(answer)["data"]["result"]
    except urllib.error.HTTPError as error:
        raise ValueError(json.load(error)["error"]) from error


def values(samples):
    return [float(one["value"][1]) for one in samples if not math.isnan(float(one["value"][1]))]


def filled(expression):
    """As Grafana fills it in, for a short test."""
    for name, value in (("$__rate_interval", "20s"), ("$__range", "5m")):
        expression = expression.replace(name, value)
    return re.sub(r"\$\w+", ".*", expression)


def problem_of(url, where, expression, absent):
    """None: it is as it should be."""
    is_alert = where.startswith(monitoring.RULES)
    try:
        found = values(ask(url, expression))
        for name, matchers in SELECTOR.findall(expression):
            if name in absent:
                return f"{name} is there after all" if ask(url, name) else None
            # An alert may well be about a label that a healthy agent never has.
            if not ask(url, name if is_alert else name + matchers):
                return f"nothing matches {name}{matchers}"
    except ValueError as error:
        return str(error)
    return None if found or is_alert else "empty"


def main():
    url, seconds, absent = sys.argv[1], float(sys.argv[2]), set(sys.argv[3:])
    known = monitoring.known_metrics()
    for name in absent - set(known):
        sys.exit(f"{name}: no such metric in docs/metrics.md")
    waiting = [(where, filled(expression)) for where, expression in monitoring.expressions()]
    total, end = len(waiting), time.monotonic() + seconds
    while True:
        failed = []
        for where, expression in waiting:
            try:
                problem = problem_of(url, where, expression, absent)
            except urllib.error.URLError as error:
                problem = f"no Prometheus: {error.reason}"
            if problem:
                failed.append((where, expression, problem))
        waiting = [(where, expression) for where, expression, _ in failed]
        if not failed or time.monotonic() > end:
            break
        time.sleep(0.5)
    for where, expression, problem in failed:
        print(f"{where}: {problem}\n    {expression}")
    print(f"{total - len(failed)} of {total} queries are answered")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
