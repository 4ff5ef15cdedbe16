"""The CustomResourceDefinitions of hook policies: made from the parser's tables, structural, and refuse what it refuses."""

import copy
import glob
import json
import os
import sys
import tempfile
import unittest

import jsonschema
import yaml

import common
import crd_test

KINDS = {"TracingPolicy": ("tracingpolicies", "tgtp", "Cluster"),
         "TracingPolicyNamespaced": ("tracingpoliciesnamespaced", "tgtpn", "Namespaced")}
# kubectl apply keeps the whole object in an annotation, which the API server limits to 256 KiB.
MAX_BYTES = 256 * 1024

SPEC = {
    "podSelector": {"matchLabels": {"app": "web"}},
    "containerSelector": {"matchExpressions": [{"key": "repo", "operator": "NotIn", "values": ["docker.io/istio/proxyv2"]}]},
    "nodeSelector": {"matchExpressions": [{"key": "tier", "operator": "Exists"}]},
    "options": [{"name": "policy-mode", "value": "monitor"}],
    "lists": [{"name": "dups", "type": "syscalls", "values": ["sys_dup", "sys_dup2"]}],
    "kprobes": [
        {
            "call": "security_file_permission",
            "syscall": False,
            "return": True,
            "args": [{"index": 0, "type": "file"}, {"index": 1, "type": "int"}],
            "returnArg": {"index": 0, "type": "int"},
            "returnArgAction": "Post",
            "selectors": [{
                "matchArgs": [{"index": 0, "operator": "Equal", "values": ["/default.json"]},
                              {"index": 1, "operator": "Equal", "values": ["4"]}],
                "matchPIDs": [{"operator": "NotIn", "values": [0, 1], "isNamespacePID": True}],
                "matchBinaries": [{"operator": "Prefix", "values": ["/usr/bin/"]}],
                "matchNamespaces": [{"namespace": "Pid", "operator": "NotIn", "values": ["host_ns"]}],
                "matchCapabilities": [{"type": "Effective", "operator": "In", "values": ["CAP_SYS_ADMIN"]}],
                "matchWorkloads": [{"hostSelector": {}}],
                "matchActions": [{"action": "Override", "argError": -1}, {"action": "Post", "rateLimit": "5m"}],
            }],
        },
        {"call": "list:dups", "selectors": [{"matchActions": [{"action": "Signal", "argSig": 10}]}]},
    ],
    "tracepoints": [{"subsystem": "sched", "event": "sched_process_exec", "raw": True,
                     "args": [{"index": 2, "type": "linux_binprm"}]}],
    "lsmhooks": [{"hook": "file_open", "args": [{"index": 0, "type": "file"}],
                  "selectors": [{"matchActions": [{"action": "Quarantine"}]}]}],
}


def policy_of(kind, spec):
    metadata = {"name": "files"} | ({"namespace": "shop"} if kind == "TracingPolicyNamespaced" else {})
    return {"apiVersion": "cilium.io/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}


def changed(*way, to):
    """SPEC with another value at a place."""
    spec = copy.deepcopy(SPEC)
    at = spec
    for name in way[:-1]:
        at = at[name]
    at[way[-1]] = to
    return spec


HOOK = ("kprobes", 0)
SELECTOR = HOOK + ("selectors", 0)


def action(**fields):
    return changed(*SELECTOR, "matchActions", to=[fields])


BAD = {
    "no hook": {"podSelector": {}},
    "an unknown field": changed("podSelektor", to={}),
    "an unknown field of a hook": changed(*HOOK, "selector", to=[]),
    "no function": changed(*HOOK, to={"syscall": False}),
    "too many selectors": changed(*HOOK, "selectors", to=[{}] * 6),
    "too many arguments": changed(*HOOK, "args", to=[{"index": i % 6, "type": "int"} for i in range(6)]),
    "an index that is too large": changed(*HOOK, "args", 0, "index", to=6),
    "an argument without index": changed(*HOOK, "args", 0, to={"type": "file"}),
    "an unknown type": changed(*HOOK, "args", 0, "type", to="inode"),
    "an unknown operator": changed(*SELECTOR, "matchArgs", 0, "operator", to="Equals"),
    "expressions": changed(*SELECTOR, "matchArgs", 0, "operator", to="CelExpr"),
    "a filter on nothing": changed(*SELECTOR, "matchArgs", 0, to={"operator": "Equal", "values": ["/a"]}),
    "too many filters": changed(*SELECTOR, "matchArgs", to=[{"index": 0, "operator": "Equal", "values": ["/a"]}] * 6),
    "a return without returnArg": changed("kprobes", 1, to={"call": "sys_dup", "return": True}),
    "a value of a wrong type": changed(*SELECTOR, "matchArgs", 1, "values", to=[{"a": 1}]),
    "an unknown action": action(action="Kill"),
    "an action that calls out": action(action="GetUrl", argUrl="http://127.0.0.1"),
    "a field of another action": action(action="Sigkill", rateLimit="5m"),
    "Override of nothing": action(action="Override"),
    "Override of two things": action(action="Override", argError=-1, argNewSymbol="a"),
    "Signal without one": action(action="Signal"),
    "a signal that is too large": action(action="Signal", argSig=65),
    "a scope without a rate": action(action="Post", rateLimitScope="global"),
    "an unknown unit": action(action="Post", rateLimit="5d"),
    "too many actions": changed(*SELECTOR, "matchActions", to=[{"action": "NoPost"}] * 4),
    "Set on return": changed(*SELECTOR, "matchReturnActions", to=[{"action": "Set", "argValue": 1}]),
    "pids of no list": changed(*SELECTOR, "matchPIDs", 0, "values", to=[]),
    "a pid that is too large": changed(*SELECTOR, "matchPIDs", 0, "values", to=[4194305]),
    "an operator that filters on pids do not have": changed(*SELECTOR, "matchPIDs", 0, "operator", to="Equal"),
    "an unknown namespace": changed(*SELECTOR, "matchNamespaces", 0, "namespace", to="Network"),
    "a namespace by name": changed(*SELECTOR, "matchNamespaces", 0, "values", to=["host"]),
    "an unknown set of capabilities": changed(*SELECTOR, "matchCapabilities", 0, "type", to="Ambient"),
    "children of a prefix": changed(*SELECTOR, "matchBinaries", 0, "followChildren", to=True),
    "labels of the host": changed("hostSelector", to={"matchLabels": {"a": "b"}}),
    "a container's image": changed("containerSelector", to={"matchLabels": {"image": "a"}}),
    "containers by existence": changed("containerSelector", to={"matchExpressions": [{"key": "name", "operator": "Exists"}]}),
    "In without values": changed("nodeSelector", to={"matchExpressions": [{"key": "a", "operator": "In"}]}),
    "an unknown option": changed("options", to=[{"name": "mode", "value": "monitor"}]),
    "an unknown mode": changed("options", to=[{"name": "policy-mode", "value": "audit"}]),
    "a list of nothing": changed("lists", 0, "type", to="calls"),
    "an LSM hook by its function": changed("lsmhooks", 0, "hook", to="security_file_open"),
    "a tracepoint without event": changed("tracepoints", 0, to={"subsystem": "sched"}),
    "a uprobe of two kinds": changed("uprobes", to=[{"path": "/bin/a", "symbols": ["a"], "offsets": [1]}]),
    "a uprobe of a relative path": changed("uprobes", to=[{"path": "bin/a", "symbols": ["a"]}]),
    "a message that is too long": changed(*HOOK, "message", to="x" * 257),
    "two enforcers": changed("enforcers", to=[{"calls": ["sys_dup"]}] * 2),
}


def file_of(kind):
    return f"deploy/helm/sluice/files/{KINDS[kind][0]}.cilium.io.yaml"


def schema_of(kind):
    return yaml.safe_load(common.read(file_of(kind)))["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


class TracingCrd(crd_test.Structural):
    def test_is_made_from_the_tables(self):
        for kind in KINDS:
            made = common.run(sys.executable, common.path("deploy/helm/make-tracing-crd"), kind)
            self.assertEqual(made, common.read(file_of(kind)),
                             f"run: deploy/helm/make-tracing-crd {kind} > {file_of(kind)}")

    def test_is_structural_and_of_the_kind(self):
        for kind, (plural, short, scope) in KINDS.items():
            self.structural(schema_of(kind), kind)
            whole = yaml.safe_load(common.read(file_of(kind)))
            names = whole["spec"]["names"]
            self.assertEqual((names["plural"], names["shortNames"], whole["spec"]["scope"]), (plural, [short], scope))
            self.assertEqual(whole["metadata"]["name"], plural + ".cilium.io")
            self.assertLess(len(json.dumps(whole)), MAX_BYTES)

    def test_takes_and_refuses_as_the_parser_does(self):
        sluice = os.path.join(common.BIN, "sluice")
        with tempfile.TemporaryDirectory() as directory:
            name = os.path.join(directory, "policy.yaml")
            for kind in KINDS:
                validator = jsonschema.Draft7Validator(crd_test.as_json_schema(schema_of(kind)))
                good = policy_of(kind, SPEC)
                self.assertEqual([error.message for error in validator.iter_errors(good)], [])
                bad = {what: policy_of(kind, spec) for what, spec in BAD.items()}
                if kind == "TracingPolicyNamespaced":
                    bad["the host"] = policy_of(kind, changed("hostSelector", to={}))
                for what, policy in ({"": good} | bad).items():
                    with open(name, "w", encoding="utf-8") as file:
                        yaml.dump(policy, file)
                    self.assertEqual(validator.is_valid(policy), not what, f"{kind}: {what}")
                    if what:
                        self.assertIn("policy.yaml", common.is_refused(sluice, "validate", "-f", name), f"{kind}: {what}")
                    else:
                        common.run(sluice, "validate", "-f", name)

    def test_takes_the_examples(self):
        validator = jsonschema.Draft7Validator(crd_test.as_json_schema(schema_of("TracingPolicy")))
        names = glob.glob(common.path("deploy/examples/tracing-policies/*.yaml"))
        # People's own files, where there are some: SLUICE_CORPORA.
        corpora = os.environ.get("SLUICE_CORPORA", "")
        names += glob.glob(f"{corpora}/tetragon/examples/**/*.yaml", recursive=True) if corpora else []
        self.assertTrue(names)
        for name in names:
            with open(name, encoding="utf-8") as file:
                documents = [one for one in yaml.safe_load_all(file) if isinstance(one, dict)]
            for document in documents:
                if document.get("kind") != "TracingPolicy":
                    continue
                errors = [f"{'.'.join(map(str, error.path))}: {error.message[:200]}"
                          for error in validator.iter_errors(document)]
                refused = any(action in str(document) for action in ("GetUrl", "DnsLookup"))
                self.assertEqual(bool(errors), refused, f"{name}: {errors}")


if __name__ == "__main__":
    common.main()
