"""The CustomResourceDefinitions: made from docs/schema, structural, and refuse what the parser refuses."""

import copy
import glob
import os
import sys
import tempfile
import unittest

import jsonschema
import yaml

import common

KINDS = {"NetworkPolicy": "snp", "ClusterNetworkPolicy": "scnp"}  # with their short names
VALUE_RULES = {"required", "minProperties", "maxProperties", "minItems", "maxItems", "minLength", "maxLength", "minimum",
               "maximum", "pattern", "enum", "format"}


def file_of(kind):
    return f"deploy/helm/sluice/files/{kind[:-1].lower()}ies.sluice.dev.yaml"


def load(kind):
    return yaml.safe_load(common.read(file_of(kind)))


def schema_of(kind):
    return load(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


def validator_of(kind):
    return jsonschema.Draft7Validator(as_json_schema(schema_of(kind)))


def as_json_schema(schema):
    """`nullable` and int-or-string in the words of JSON Schema; unknown fields refused, as by --validate=strict."""
    if isinstance(schema, list):
        return [as_json_schema(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    out = {}
    for name, value in schema.items():
        if name == "properties":
            out[name] = {field: as_json_schema(one) for field, one in value.items()}
        else:
            out[name] = as_json_schema(value)
    if out.pop("x-kubernetes-int-or-string", False):
        out["type"] = ["integer", "string"]
    if out.pop("nullable", False):
        out["type"] = (out["type"] if isinstance(out["type"], list) else [out["type"]]) + ["null"]
    is_object = out.get("type") == "object" or "object" in out.get("type", [])
    if is_object and out.get("properties") and "x-kubernetes-preserve-unknown-fields" not in out:
        out["additionalProperties"] = False
    return out


GOOD = {
    "apiVersion": "sluice.dev/v1alpha1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "web", "namespace": "shop"},
    "spec": {
        "podSelector": {"matchExpressions": [{"key": "app", "operator": "In", "values": ["web"]}]},
        "policyTypes": ["Ingress", "Egress"],
        "mode": "Audit",
        "unknownProcesses": "Allow",
        "ingress": [{
            "from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}],
            "ports": [{"port": 80, "endPort": 90}, {"port": "http"}, {"protocol": "UDP"}],
            "action": "Deny",
            "processes": {"binaries": ["/usr/bin/curl", "**/psql"]},
        }],
        "egress": [{"to": [{"podSelector": {}, "namespaceSelector": {"matchLabels": {"team": "a"}}}]}],
    },
}


def changed(*way, to):
    """GOOD with another value at a place."""
    policy = copy.deepcopy(GOOD)
    at = policy
    for name in way[:-1]:
        at = at[name]
    at[way[-1]] = to
    return policy


RULE = ("spec", "ingress", 0)
BAD = {
    "no spec": {name: value for name, value in GOOD.items() if name != "spec"},
    "an unknown field": changed("spec", "podSelektor", to={}),
    "an unknown field of a rule": changed(*RULE, "port", to=[]),
    "an unknown mode": changed("spec", "mode", to="Warn"),
    "an unknown direction": changed("spec", "policyTypes", to=["Both"]),
    "an unknown action": changed(*RULE, "action", to="Reject"),
    "an unknown protocol": changed(*RULE, "ports", 0, to={"protocol": "ICMP"}),
    "a port of 0": changed(*RULE, "ports", 0, to={"port": 0}),
    "a port that is too large": changed(*RULE, "ports", 0, to={"port": 65536}),
    "a port's name with capitals": changed(*RULE, "ports", 0, to={"port": "Http"}),
    "endPort without port": changed(*RULE, "ports", 0, to={"endPort": 90}),
    "endPort beside a name": changed(*RULE, "ports", 0, to={"port": "http", "endPort": 90}),
    "a peer of nothing": changed(*RULE, "from", 0, to={}),
    "ipBlock beside a selector": changed(*RULE, "from", 0, to={"ipBlock": {"cidr": "10.0.0.0/8"}, "podSelector": {}}),
    "ipBlock without cidr": changed(*RULE, "from", 0, to={"ipBlock": {"except": []}}),
    "an address for a prefix": changed(*RULE, "from", 0, to={"ipBlock": {"cidr": "10.0.0.1"}}),
    "In without values": changed("spec", "podSelector", to={"matchExpressions": [{"key": "a", "operator": "In"}]}),
    "Exists with values": changed(
        "spec", "podSelector", to={"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["b"]}]}),
    "an unknown operator": changed("spec", "podSelector", to={"matchExpressions": [{"key": "a", "operator": "Gt"}]}),
    "a label's value that is too long": changed("spec", "podSelector", to={"matchLabels": {"a": "b" * 64}}),
    "processes of nothing": changed(*RULE, "processes", to={}),
    "no program": changed(*RULE, "processes", to={"binaries": []}),
    "a relative program": changed(*RULE, "processes", to={"binaries": ["curl"]}),
}


def of_cluster(policy):
    """The same policy as a ClusterNetworkPolicy."""
    policy = copy.deepcopy(policy)
    policy["kind"] = "ClusterNetworkPolicy"
    del policy["metadata"]["namespace"]
    if "spec" in policy:
        policy["spec"] = {"namespaceSelector": {"matchLabels": {"team": "a"}}, "defaultDeny": False} | policy["spec"]
    return policy


def without(policy, field):
    policy = copy.deepcopy(policy)
    del policy["spec"][field]
    return policy


GOODS = {"NetworkPolicy": GOOD, "ClusterNetworkPolicy": of_cluster(GOOD)}
BADS = {
    "NetworkPolicy": BAD | {
        "a default deny": changed("spec", "defaultDeny", to=False),
        "namespaces": changed("spec", "namespaceSelector", to={}),
    },
    "ClusterNetworkPolicy": {what: of_cluster(policy) for what, policy in BAD.items()} | {
        "no namespaces": without(of_cluster(GOOD), "namespaceSelector"),
        "namespaces of null": of_cluster(changed("spec", "namespaceSelector", to=None)),
        "namespaces In without values": of_cluster(changed(
            "spec", "namespaceSelector", to={"matchExpressions": [{"key": "a", "operator": "In"}]})),
        "no default deny": without(of_cluster(GOOD), "defaultDeny"),
        "a default deny of null": of_cluster(changed("spec", "defaultDeny", to=None)),
        "a default deny as text": of_cluster(changed("spec", "defaultDeny", to="false")),
        "a peer without namespaces": of_cluster(changed(*RULE, "from", 0, to={"podSelector": {}})),
        "a tier": of_cluster(changed("spec", "tier", to="Admin")),
    },
}


class Structural(unittest.TestCase):
    def structural(self, schema, where, in_rules=False):
        """The API server's conditions for structural schemas."""
        for name in ("anyOf", "allOf", "oneOf"):
            for one in schema.get(name, []):
                self.structural(one, f"{where}.{name}", True)
        if "not" in schema:
            self.structural(schema["not"], f"{where}.not", True)
        if in_rules:
            allowed = VALUE_RULES | {"properties", "items", "anyOf", "allOf", "oneOf", "not"}
            self.assertLessEqual(set(schema), allowed, f"{where}: only restricts values")
        elif not schema.get("x-kubernetes-int-or-string"):
            self.assertIsInstance(schema.get("type"), str, f"{where}: one type")
        self.assertFalse("properties" in schema and "additionalProperties" in schema, f"{where}: either of the two")
        for name, one in schema.get("properties", {}).items():
            self.structural(one, f"{where}.{name}", in_rules)
        for name in ("items", "additionalProperties"):
            if name in schema:
                self.structural(schema[name], f"{where}.{name}", in_rules)


class Crd(Structural):
    def test_is_made_from_the_schema(self):
        for kind in KINDS:
            made = common.run(sys.executable, common.path("deploy/helm/make-crd"), kind)
            self.assertEqual(made, common.read(file_of(kind)), f"run: deploy/helm/make-crd {kind} > {file_of(kind)}")

    def test_is_structural(self):
        for kind in KINDS:
            self.structural(schema_of(kind), kind)
            self.assertNotIn("$ref", common.read(file_of(kind)))

    def test_names_columns_and_status(self):
        columns = {"NetworkPolicy": "Isolates", "ClusterNetworkPolicy": "Default-Deny"}
        for kind, short in KINDS.items():
            spec = load(kind)["spec"]
            self.assertEqual(spec["scope"], "Cluster" if kind.startswith("Cluster") else "Namespaced")
            self.assertEqual(spec["names"]["kind"], kind)
            self.assertEqual(spec["names"]["shortNames"], [short])
            self.assertEqual(spec["names"]["categories"], ["sluice"])
            version = spec["versions"][0]
            self.assertEqual(version["subresources"], {"status": {}})
            self.assertEqual([one["name"] for one in version["additionalPrinterColumns"]],
                             ["Mode", columns[kind], "Enforced", "Reason", "Age"])

    def test_takes_and_refuses(self):
        for kind in KINDS:
            validator = validator_of(kind)
            self.assertEqual([error.message for error in validator.iter_errors(GOODS[kind])], [])
            for what, policy in BADS[kind].items():
                self.assertFalse(validator.is_valid(policy), f"{kind} takes {what}")

    def test_the_parser_agrees(self):
        sluice = os.path.join(common.BIN, "sluice")
        with tempfile.TemporaryDirectory() as directory:
            name = os.path.join(directory, "policy.yaml")

            def write(policy):
                with open(name, "w", encoding="utf-8") as file:
                    yaml.dump(policy, file)

            for kind in KINDS:
                write(GOODS[kind])
                common.run(sluice, "check", "-f", name)
                for what, policy in BADS[kind].items():
                    write(policy)
                    self.assertIn("policy.yaml", common.is_refused(sluice, "check", "-f", name), f"{kind}: {what}")

    def test_takes_the_examples(self):
        found = set()
        for name in glob.glob(common.path("deploy/examples/*.yaml")):
            for document in yaml.safe_load_all(common.read(name)):
                if document["kind"] in KINDS and document["apiVersion"] == "sluice.dev/v1alpha1":
                    found.add((name, document["kind"]))
                    errors = validator_of(document["kind"]).iter_errors(document)
                    self.assertEqual([error.message for error in errors], [], name)
        self.assertGreaterEqual(len(found), 3)
        self.assertEqual({kind for _, kind in found}, set(KINDS))


class ResponseDefinition(unittest.TestCase):
    """That of Responses, which have neither rules nor a status."""

    FILE = "deploy/helm/sluice/files/responses.sluice.dev.yaml"
    GOOD = {
        "apiVersion": "sluice.dev/v1alpha1",
        "kind": "Response",
        "metadata": {"name": "cut-off"},
        "spec": {
            "match": [{"sources": ["Hook", "Denial"], "policies": ["shop/*"], "tags": ["files"]}, {"severity": 7}],
            "workloads": [{"namespaces": ["shop"], "selector": {"matchLabels": {"app": "web"}}}, {"host": True}],
            "never": [{"names": ["shop/db-*"]}],
            "do": {"quarantine": {}, "capture": {}, "kill": {"target": "Tree"}, "collect": {"maxFiles": 4},
                   "notify": {"url": "https://siem.example/a", "caFile": "/etc/ca.pem"}},
            "dryRun": True,
            "rateLimit": {"perWorkload": 2, "total": 10, "seconds": 30},
        },
    }

    def refuses(self, what, *way, to):
        wrong = copy.deepcopy(self.GOOD)
        at = wrong
        for name in way[:-1]:
            at = at[name]
        at[way[-1]] = to
        self.assertFalse(self.validator.is_valid(wrong), what)

    def setUp(self):
        definition = yaml.safe_load(common.read(self.FILE))
        self.spec = definition["spec"]
        self.validator = jsonschema.Draft7Validator(
            as_json_schema(self.spec["versions"][0]["schema"]["openAPIV3Schema"]))

    def test_made_from_the_schema(self):
        made = common.run(sys.executable, common.path("deploy/helm/make-crd"), "Response")
        self.assertEqual(made, common.read(self.FILE), f"run: deploy/helm/make-crd Response > {self.FILE}")

    def test_names(self):
        self.assertEqual(self.spec["scope"], "Cluster")
        self.assertEqual(self.spec["names"]["plural"], "responses")
        self.assertNotIn("subresources", self.spec["versions"][0])

    def test_takes_what_the_parser_takes(self):
        self.assertEqual(list(self.validator.iter_errors(self.GOOD)), [])
        for file in glob.glob(os.path.join(common.ROOT, "deploy/examples/responses/*.yaml")):
            with open(file, encoding="utf-8") as example:
                self.assertEqual(list(self.validator.iter_errors(yaml.safe_load(example))), [], file)

    def test_refuses_what_the_parser_refuses(self):
        spec = ("spec",)
        self.refuses("no match", *spec, "match", to=[])
        self.refuses("a match of everything", *spec, "match", 0, to={})
        self.refuses("an unknown source", *spec, "match", 0, "sources", to=["Hooks"])
        self.refuses("a severity of 11", *spec, "match", 1, "severity", to=11)
        self.refuses("a workload without a namespace", *spec, "never", 0, "names", to=["db"])
        self.refuses("nothing to do", *spec, "do", to={})
        self.refuses("an unknown action", *spec, "do", "restart", to={})
        self.refuses("an unknown target", *spec, "do", "kill", "target", to="Group")
        self.refuses("another protocol", *spec, "do", "notify", "url", to="ftp://a/")
        self.refuses("a relative path", *spec, "do", "notify", "caFile", to="ca.pem")
        self.refuses("a limit of nothing", *spec, "rateLimit", "total", to=0)


if __name__ == "__main__":
    common.main()
