"""The CustomResourceDefinitions of KubeArmor's policies: made from the parser's tables, structural, and refuse what it
refuses."""

import copy
import glob
import json
import os
import subprocess
import sys
import tempfile

import jsonschema
import yaml

import common
import crd_test

GROUP = "security.kubearmor.com"
KINDS = {"KubeArmorPolicy": ("kubearmorpolicies", "ksp", "Namespaced"),
         "KubeArmorHostPolicy": ("kubearmorhostpolicies", "hsp", "Cluster"),
         "KubeArmorClusterPolicy": ("kubearmorclusterpolicies", "csp", "Cluster")}
# kubectl apply keeps the whole object in an annotation, which the API server limits to 256 KiB.
MAX_BYTES = 256 * 1024

SELECTORS = {
    "KubeArmorPolicy": {"selector": {"matchLabels": {"app": "web", "kubearmor.io/container.name": "[main, side]"},
                                     "matchExpressions": [{"key": "label", "operator": "NotIn", "values": ["a=b"]}]}},
    "KubeArmorHostPolicy": {"nodeSelector": {"matchLabels": {"kubernetes.io/hostname": "*"}}},
    "KubeArmorClusterPolicy": {"selector": {"matchExpressions": [{"key": "namespace", "operator": "In",
                                                                  "values": ["shop", "ops"]}]}},
}
SPEC = {
    "severity": 5,
    "tags": ["MITRE"],
    "message": "seen",
    "action": "Block",
    "process": {
        "matchPaths": [{"path": "/usr/bin/nc", "fromSource": [{"path": "/bin/sh"}]},
                       {"execname": "curl", "allowedArgs": ["-s"], "pts": True}],
        "matchDirectories": [{"dir": "/tmp/", "recursive": True, "ownerOnly": True}],
        "matchPatterns": [{"pattern": "/opt/**/bin/*"}],
    },
    "file": {"severity": 2, "matchPaths": [{"path": "/etc/shadow", "readOnly": True, "action": "Audit"}],
             "matchDirectories": [{"dir": "/"}]},
    "network": {"matchProtocols": [{"protocol": "TCP", "fromSource": [{"path": "/usr/bin/wget"}]}],
                "matchPeers": [{"cidr": "10.0.0.0/8", "port": 80, "endPort": 90, "protocol": "tcp",
                                "fromSource": [{"path": "/usr/bin/wget"}]}]},
    "capabilities": {"matchCapabilities": [{"capability": "net_raw"}]},
    "syscalls": {"matchSyscalls": [{"syscall": ["unlink"], "fromSource": [{"dir": "/bin/", "recursive": True}]}],
                 "matchPaths": [{"syscall": ["unlink"], "path": "/etc/", "recursive": True}], "action": "Audit"},
    "presets": [{"name": "exec", "action": "Audit"}],
}


def policy_of(kind, spec):
    metadata = {"name": "p"} | ({"namespace": "shop"} if kind == "KubeArmorPolicy" else {})
    return {"apiVersion": f"{GROUP}/v1", "kind": kind, "metadata": metadata, "spec": SELECTORS[kind] | spec}


def changed(*way, to):
    """SPEC with another value at a place."""
    spec = copy.deepcopy(SPEC)
    at = spec
    for name in way[:-1]:
        at = at[name]
    at[way[-1]] = to
    return spec


EXEC = ("process", "matchPaths", 0)
FROM = [{"path": "/a"}]
BAD = {
    "no rule": {"severity": 1},
    "a section without rules": {"process": {}},
    "a section with an empty list": {"process": {"matchPaths": []}},
    "an unknown field": changed("proces", to={}),
    "an unknown field of a rule": changed(*EXEC, "paths", to="/a"),
    "an unknown list": changed("process", "matchPath", to=[]),
    "a wrong action": changed("action", to="Deny"),
    "an action in lower case": changed("action", to="block"),
    "a wrong severity": changed("severity", to=11),
    "a severity as text": changed("severity", to="high"),
    "too many tags": changed("tags", to=["a"] * 65),
    "a message that is too long": changed("message", to="x" * 1025),
    "neither path nor execname": changed(*EXEC, to={"ownerOnly": True}),
    "path and execname": changed(*EXEC, to={"path": "/a", "execname": "a"}),
    "a relative path": changed(*EXEC, "path", to="bin/nc"),
    "a path with a wildcard": changed(*EXEC, "path", to="/bin/*"),
    "an execname with a directory": changed(*EXEC, to={"execname": "bin/nc"}),
    "a directory without its end": changed("process", "matchDirectories", 0, "dir", to="/tmp"),
    "a directory without dir": changed("process", "matchDirectories", 0, to={"recursive": True}),
    "a pattern that begins anywhere": changed("process", "matchPatterns", 0, "pattern", to="bin/nc"),
    "a flag as text": changed("file", "matchPaths", 0, "readOnly", to="no!"),
    "allowedArgs of files": changed("file", "matchPaths", 0, "allowedArgs", to=["-a"]),
    "too many arguments": changed(*EXEC, "allowedArgs", to=["-a"] * 21),
    "an argument that is too long": changed(*EXEC, "allowedArgs", to=["x" * 105]),
    "a source without path": changed(*EXEC, "fromSource", to=[{}]),
    "a directory as source": changed(*EXEC, "fromSource", to=[{"dir": "/bin/"}]),
    "an unknown protocol": changed("network", "matchProtocols", 0, "protocol", to="igmp"),
    "a peer without cidr": changed("network", "matchPeers", 0, to={"port": 80, "fromSource": FROM}),
    "a peer by name": changed("network", "matchPeers", 0, "cidr", to="example.org"),
    "a peer's protocol": changed("network", "matchPeers", 0, "protocol", to="icmp"),
    "endPort without port": changed("network", "matchPeers", 0,
                                    to={"cidr": "10.0.0.0/8", "endPort": 90, "fromSource": FROM}),
    "names": changed("network", "matchDNSQueries", to=[{"domain": "example.org"}]),
    "AppArmor's profile": changed("apparmor", to="profile a {}"),
    "no capability": changed("capabilities", "matchCapabilities", 0, to={"pts": True}),
    "system calls that are blocked": changed("syscalls", "action", to="Block"),
    "a rule that blocks system calls": changed("syscalls", "matchSyscalls", 0, "action", to="Block"),
    "no system call": changed("syscalls", "matchSyscalls", 0, "syscall", to=[]),
    "a directory and a file as source": changed("syscalls", "matchSyscalls", 0, "fromSource",
                                                to=[{"dir": "/bin/", "path": "/bin/a"}]),
    "an unknown preset": changed("presets", 0, "name", to="exe"),
    "a preset that is allowed": changed("presets", 0, "action", to="Allow"),
}
BAD_OF = {
    "KubeArmorPolicy": {
        "another key": SPEC | {"selector": {"matchExpressions": [{"key": "namespace", "operator": "In", "values": ["a"]}]}},
        "another operator": SPEC | {"selector": {"matchExpressions": [{"key": "label", "operator": "Exists"}]}},
        "nodes": SPEC | {"nodeSelector": {}},
    },
    "KubeArmorHostPolicy": {
        "pods": SPEC | {"selector": {}},
        "USB devices": SPEC | {"device": {"matchDevice": []}},
        "a protocol for all programs": changed("network", "matchProtocols", 0, to={"protocol": "tcp"}),
    },
    "KubeArmorClusterPolicy": {"labels": SPEC | {"selector": {"matchLabels": {"app": "web"}}}},
}


def file_of(kind):
    return f"deploy/helm/sluice/files/{KINDS[kind][0]}.{GROUP}.yaml"


def schema_of(kind):
    return yaml.safe_load(common.read(file_of(kind)))["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


def validator_of(kind):
    return jsonschema.Draft7Validator(crd_test.as_json_schema(schema_of(kind)))


def errors_of(validator, document):
    return [f"{'.'.join(map(str, error.path))}: {error.message[:200]}" for error in validator.iter_errors(document)]


class KubeArmorCrd(crd_test.Structural):
    def test_is_made_from_the_tables(self):
        for kind in KINDS:
            made = common.run(sys.executable, common.path("deploy/helm/make-kubearmor-crd"), kind)
            self.assertEqual(made, common.read(file_of(kind)),
                             f"run: deploy/helm/make-kubearmor-crd {kind} > {file_of(kind)}")

    def test_is_structural_and_of_the_kind(self):
        for kind, (plural, short, scope) in KINDS.items():
            self.structural(schema_of(kind), kind)
            whole = yaml.safe_load(common.read(file_of(kind)))
            names = whole["spec"]["names"]
            self.assertEqual((names["plural"], names["shortNames"], whole["spec"]["scope"]), (plural, [short], scope))
            self.assertEqual(whole["metadata"]["name"], f"{plural}.{GROUP}")
            self.assertLess(len(json.dumps(whole)), MAX_BYTES)

    def test_takes_and_refuses_as_the_parser_does(self):
        sluice = os.path.join(common.BIN, "sluice")
        with tempfile.TemporaryDirectory() as directory:
            name = os.path.join(directory, "policy.yaml")
            for kind in KINDS:
                validator = validator_of(kind)
                good = policy_of(kind, SPEC)
                self.assertEqual(errors_of(validator, good), [])
                bad = {what: policy_of(kind, spec) for what, spec in (BAD | BAD_OF[kind]).items()}
                for what, policy in ({"": good} | bad).items():
                    with open(name, "w", encoding="utf-8") as file:
                        yaml.dump(policy, file)
                    self.assertEqual(validator.is_valid(policy), not what, f"{kind}: {what}")
                    if what:
                        self.assertIn("policy.yaml", common.is_refused(sluice, "validate", "-f", name), f"{kind}: {what}")
                    else:
                        common.run(sluice, "validate", "-f", name)

    def test_takes_what_the_parser_takes(self):
        sluice = os.path.join(common.BIN, "sluice")
        validators = {kind: validator_of(kind) for kind in KINDS}
        names = glob.glob(common.path("deploy/examples/kubearmor-policies/*.yaml"))
        # People's own files, where there are some: SLUICE_CORPORA.
        corpora = os.environ.get("SLUICE_CORPORA", "")
        for corpus in ("kubearmor-templates", "kubearmor-tests") if corpora else ():
            names += glob.glob(f"{corpora}/{corpus}/**/*.yaml", recursive=True)
        taken = 0
        for name in names:
            done = subprocess.run([sluice, "validate", "-f", name], capture_output=True, check=False)
            if done.returncode != 0:
                continue
            try:
                documents = [one for one in yaml.safe_load_all(common.read(name)) if isinstance(one, dict)]
            except yaml.YAMLError:
                continue  # a tab before a comment, which this library alone refuses
            for document in documents:
                if document.get("kind") not in KINDS:
                    continue
                taken += 1
                self.assertEqual(errors_of(validators[document["kind"]], document), [], name)
        self.assertGreater(taken, 0)


if __name__ == "__main__":
    common.main()
