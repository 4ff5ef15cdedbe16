"""Dashboards and alerts: each metric and label exists in docs/metrics.md, and each expression is valid PromQL."""

import glob
import json
import os
import re
import tempfile
import unittest

import yaml

import common

RULES = "deploy/prometheus/rules.yaml"
# Labels that Prometheus or the chart's monitors add.
TARGET_LABELS = {"instance", "job", "node", "le"}


def known_metrics():
    """Names, with those of the series of histograms; their labels."""
    metrics = {"up": set()}
    for name, kind, labels in re.findall(r"^\| `(\w+)` \| (\w+) \|[^|]*\| ([^|]*) \|", common.read("docs/metrics.md"),
                                         re.M):
        labels = set(re.findall(r"`(\w+)`", labels))
        for end in ("_bucket", "_sum", "_count") if kind == "histogram" else ("",):
            metrics[name + end] = labels
    return metrics


def dashboards():
    return {os.path.basename(name): json.loads(common.read(name))
            for name in glob.glob(common.path("deploy/dashboards/*.json"))}


def panels(dashboard):
    for panel in dashboard["panels"]:
        yield panel
        yield from panel.get("panels", [])


def expressions():
    """(where, expression) of all dashboards and rules."""
    for name, dashboard in dashboards().items():
        for panel in panels(dashboard):
            for target in panel.get("targets", []):
                yield f"{name}: {panel['title']}", target["expr"]
    for rule in rules():
        yield f"{RULES}: {rule['alert']}", rule["expr"]


def rules():
    return [rule for group in yaml.safe_load(common.read(RULES))["groups"] for rule in group["rules"]]


class Monitoring(unittest.TestCase):
    def check_names(self, where, text, metrics):
        """`text`: PromQL, or a query of a dashboard's variable."""
        found = re.findall(r"\b(up|sluice_\w+|process_\w+)\b(?:\{([^}]*)\})?", text)
        self.assertTrue(found, f"{where}: no metric in {text}")
        labels = set()
        for name, matchers in found:
            self.assertIn(name, metrics, where)
            labels |= metrics[name]
            for label in re.findall(r"(\w+) *(?:=~|!~|!=|=)", matchers):
                self.assertIn(label, metrics[name] | TARGET_LABELS, f"{where}: label of {name}")
        for grouped in re.findall(r"\bby \(([^)]*)\)", text):
            for label in grouped.split(","):
                self.assertIn(label.strip(), labels | TARGET_LABELS, f"{where}: by ({grouped})")
        return labels

    def test_metrics_and_labels_exist(self):
        metrics = known_metrics()
        self.assertGreater(len(metrics), 60)
        count = 0
        for where, expression in expressions():
            self.check_names(where, expression, metrics)
            count += 1
        self.assertGreater(count, 60)

    def test_variables_and_legends_exist(self):
        metrics = known_metrics()
        for name, dashboard in dashboards().items():
            variables = {"datasource", "__rate_interval", "__range"}
            for variable in dashboard["templating"]["list"]:
                variables.add(variable["name"])
                if variable["type"] == "query":
                    metric, label = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"]).groups()
                    labels = self.check_names(name, metric, metrics)
                    self.assertIn(label, labels | TARGET_LABELS, f"{name}: {variable['name']}")
            for panel in panels(dashboard):
                for target in panel.get("targets", []):
                    self.assertLessEqual(set(re.findall(r"\$(\w+)", target["expr"])), variables)
                    by = set(re.findall(r"\w+", " ".join(re.findall(r"by \(([^)]*)\)", target["expr"])))) or TARGET_LABELS
                    legend = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
                    self.assertLessEqual(legend, by, f"{name}: {panel['title']}")

    def test_layout(self):
        # Unique identifiers; no two panels at one place.
        found = dashboards()
        self.assertEqual(len({one["uid"] for one in found.values()}), len(found))
        for name, dashboard in found.items():
            taken = {}
            identifiers = [panel["id"] for panel in panels(dashboard)]
            self.assertEqual(len(set(identifiers)), len(identifiers), name)
            for panel in panels(dashboard):
                at = panel["gridPos"]
                self.assertLessEqual(at["x"] + at["w"], 24)
                for x in range(at["x"], at["x"] + at["w"]):
                    for y in range(at["y"], at["y"] + at["h"]):
                        self.assertNotIn((x, y), taken, f"{name}: {panel['title']} over {taken.get((x, y))}")
                        taken[x, y] = panel["title"]

    def test_expressions_are_valid(self):
        def rule(index, expression):
            for name, value in (("$__rate_interval", "5m"), ("$__range", "1h")):
                expression = expression.replace(name, value)
            return {"record": f"test:{index}", "expr": re.sub(r"\$\w+", ".*", expression)}

        group = {"name": "all", "rules": [rule(index, text) for index, (_, text) in enumerate(expressions())]}
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            yaml.dump({"groups": [group]}, file)
            file.flush()
            common.run("promtool", "check", "rules", file.name)

    def test_alerts(self):
        common.run("promtool", "check", "rules", RULES)
        common.run("promtool", "test", "rules", "deploy/prometheus/rules_test.yaml")
        tested = {alert["alertname"] for test in yaml.safe_load(common.read("deploy/prometheus/rules_test.yaml"))["tests"]
                  for alert in test["alert_rule_test"] if alert["exp_alerts"]}
        self.assertEqual(tested, {rule["alert"] for rule in rules()})
        for rule in rules():
            self.assertIn(rule["labels"]["severity"], ("critical", "warning", "info"))
            self.assertEqual(set(rule["annotations"]), {"summary", "description"})


if __name__ == "__main__":
    common.main()
