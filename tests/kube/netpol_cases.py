"""Runs cases of tests/data/netpol on the cluster, with real pods on both nodes: netpol_cases.py NUMBER...|all

Namespaces, pods, policies and labels go through kubectl; the program `reach` in each pod tries all others. The schema of
the cases is in tests/data/netpol/README.md. Without SCTP in the kernel, the agents' explanation is compared instead.
Environment: KUBECTL and KUBECONFIG; SLUICE, the client; AGENTS, the addresses of the nodes' agents.
"""

import concurrent.futures
import glob
import json
import os
import re
import socket
import subprocess
import sys
import time

import yaml

DATA = os.path.join(os.path.dirname(__file__), "..", "data", "netpol")
NODES = ("node-a", "node-b")
# For a change to arrive at both agents. It takes milliseconds; the limit is for a busy machine.
PATIENCE = 20
SCTP_NUMBER = 132


def run(*command, stdin=None):
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def kubectl(*arguments, stdin=None):
    return run(os.environ["KUBECTL"], *arguments, stdin=stdin)


def kernel_has_sctp():
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM, SCTP_NUMBER).close()
    except OSError:
        return False
    return True


def dump(objects):
    """As JSON: kubectl reads a bare y, as PyYAML writes it, as true."""
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})


class World:
    """The nine pods of world.yaml."""

    def __init__(self):
        with open(os.path.join(DATA, "world.yaml"), encoding="utf-8") as file:
            self.data = yaml.safe_load(file)
        self.namespaces = {one["name"]: one["labels"] for one in self.data["namespaces"]}
        self.pods = [f"{namespace}/{name}" for namespace in self.namespaces for name in self.data["pods"]]
        self.addresses = {}

    def make(self):
        self.remove(wait=True)  # what a run before may have left
        kubectl("apply", "-f", "-", stdin=dump(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
            for name, labels in self.namespaces.items()))
        deadline = time.monotonic() + PATIENCE
        for namespace in self.namespaces:  # made by the controller manager; pods are refused before
            while not kubectl("get", "serviceaccounts", "-n", namespace, "-o", "name"):
                if time.monotonic() > deadline:
                    raise RuntimeError(f"no service account in namespace {namespace}")
                time.sleep(0.2)
        kubectl("apply", "-f", "-", stdin=dump(self.pod(number, pod) for number, pod in enumerate(self.pods)))
        for namespace in self.namespaces:
            kubectl("wait", "--for=condition=Ready", "--timeout=90s", "pod", "--all", "-n", namespace)
        for pod in self.pods:
            namespace, name = pod.split("/")
            self.addresses[pod] = kubectl("get", "pod", name, "-n", namespace, "-o", "jsonpath={.status.podIP}")

    def pod(self, number, pod):
        namespace, name = pod.split("/")
        ports = [{"containerPort": port, "protocol": protocol, "name": f"serve-{port}-{protocol.lower()}"}
                 for port in self.data["ports"] for protocol in self.data["protocols"]]
        return {"apiVersion": "v1", "kind": "Pod",
                "metadata": {"name": name, "namespace": namespace, "labels": {"pod": name}},
                "spec": {"nodeSelector": {"kubernetes.io/hostname": NODES[number % 2]},
                         "terminationGracePeriodSeconds": 1, "dnsPolicy": "Default",
                         "containers": [{"name": "main", "image": "localhost/tools:1", "imagePullPolicy": "Never",
                                         "command": ["serve", *map(str, self.data["ports"])], "ports": ports}]}}

    def remove(self, wait=False):
        kubectl("delete", "namespace", f"--wait={str(wait).lower()}", "--ignore-not-found", *self.namespaces)

    def side(self, text):
        """Absent: every pod. "x": the pods of a namespace. "x/a": one pod."""
        found = [pod for pod in self.pods if text is None or text in (pod, pod.split("/")[0])]
        if not found:
            raise RuntimeError(f"{text} is no pod and no namespace")
        return found

    def table(self, rules):
        cells = {(one, other): True for one in self.pods for other in self.pods if one != other}
        for rule in rules:
            for one in self.side(rule.get("from")):
                for other in self.side(rule.get("to")):
                    if one != other:
                        cells[one, other] = rule["allowed"]
        return cells

    def fill(self, text):
        """Replaces ${ip POD}, ${host POD} and ${block POD}."""
        def value(match):
            address = self.addresses[match[2]]
            block = f"{int(address.split('.')[0]) & 0xf0}.0.0.0/4"
            return {"ip": address, "host": f"{address}/32", "block": block}[match[1]]
        return re.sub(r"\$\{(\w+) ([^}]*)\}", value, text)


class Case:
    def __init__(self, world, data, context):
        self.world = world
        self.number = data["number"]
        self.name = data["name"]
        self.steps = data["steps"]
        self.context = context
        self.labels = []  # kubectl's arguments that undo
        self.policies = set()

    def perform(self, step):
        if "apply" in step:
            text = self.world.fill(step["apply"])
            for policy in yaml.safe_load_all(text):
                self.policies.add((policy["metadata"]["namespace"], policy["metadata"]["name"]))
            kubectl("apply", "-f", "-", stdin=text)
        if "label" in step:
            self.label(step["label"])
        for policy in step.get("delete", []):
            namespace, name = policy.split("/")
            kubectl("delete", "networkpolicy", "-n", namespace, name)
            self.policies.discard((namespace, name))

    def label(self, label):
        if "namespace" in label:
            target = ["namespace", label["namespace"]]
            known = self.world.namespaces[label["namespace"]]
        else:
            namespace, name = label["pod"].split("/")
            target = ["pod", name, "-n", namespace]
            known = {"pod": name}
        kubectl("label", "--overwrite", *target, *(f"{key}={value}" for key, value in label["set"].items()))
        undo = [f"{key}={known[key]}" if key in known else f"{key}-" for key in label["set"]]
        self.labels.append([*target, *undo])

    def put_back(self):
        for namespace, name in self.policies:
            kubectl("delete", "networkpolicy", "-n", namespace, name)
        for label in self.labels:
            kubectl("label", "--overwrite", *label)


def reach(world, cells, probe):
    """What the pods say, by cell: open, closed or refused."""
    def from_pod(pod):
        namespace, name = pod.split("/")
        others = {world.addresses[to]: to for (one, to) in cells if one == pod}
        targets = [("+" if cells[pod, to] else "-") + address for address, to in others.items()]
        said = kubectl("exec", "-n", namespace, name, "--", "reach", probe["protocol"].lower(), str(probe["port"]), *targets)
        return {(pod, others[address]): answer for address, answer in map(str.split, said.splitlines())}

    answers = {}
    with concurrent.futures.ThreadPoolExecutor(len(world.pods)) as pool:
        for said in pool.map(from_pod, world.pods):
            answers.update(said)
    return answers


def explain(world, cells, probe):
    """What the agents explain, by cell: open or closed. Each agent is asked about the half of the pods."""
    def cell(pair):
        agent = os.environ["AGENTS"].split()[world.pods.index(pair[0]) % 2]
        done = subprocess.run(
            [os.environ["SLUICE"], "--server", agent, "explain", "--from", world.addresses[pair[0]], "--to",
             world.addresses[pair[1]], "--port", f"{probe['port']}/{probe['protocol']}"],
            capture_output=True, text=True, check=False)
        if done.returncode not in (0, 3):
            raise RuntimeError(f"explain: {done.stdout}{done.stderr}")
        return pair, "open" if done.returncode == 0 else "closed"

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        return dict(pool.map(cell, cells))


def evaluate(world, step, look):
    """Waits until every cell is as expected. Returns what still differs at the end, and the number of looks."""
    cells = world.table(step["expect"])
    deadline = time.monotonic() + PATIENCE
    looks = 0
    while True:
        looks += 1
        answers = look(world, cells, step["probe"])
        wrong = [f"{one} -> {to}: {answers[one, to]}, expected {'open' if allowed else 'closed'}"
                 for (one, to), allowed in cells.items() if answers[one, to] != ("open" if allowed else "closed")]
        if not wrong or time.monotonic() > deadline:
            return wrong, looks


def load(world):
    cases = []
    for path in glob.glob(os.path.join(DATA, "*.yaml")):
        if os.path.basename(path) == "world.yaml":
            continue
        with open(path, encoding="utf-8") as file:
            data = yaml.safe_load(file)
        cases += [Case(world, one, data["context"]) for one in data["cases"]]
    return sorted(cases, key=lambda case: case.number)


def main():
    world = World()
    chosen = [case for case in load(world) if "all" in sys.argv or str(case.number) in sys.argv]
    if not chosen:
        sys.exit("no such case")
    sctp = kernel_has_sctp()
    failed = []
    again = 0
    try:
        world.make()
        for protocol in ("TCP", "UDP"):
            probe = {"protocol": protocol, "port": 80}
            wrong, _ = evaluate(world, {"probe": probe, "expect": []}, reach)
            if wrong:
                sys.exit(f"without policies, not every pod reaches every other by {protocol}: {'; '.join(wrong[:5])}")
        for case in chosen:
            explained = case.context == "SCTP" and not sctp
            for number, step in enumerate(case.steps, 1):
                case.perform(step)
                wrong, looks = evaluate(world, step, explain if explained else reach)
                again += looks > 1
                if wrong:
                    failed.append(case.number)
                    print(f"FAILED: case {case.number}, step {number}: {len(wrong)} of 72: {'; '.join(wrong[:8])}")
            case.put_back()
            print(f"case {case.number}: {case.name}{' (explained: this kernel has no SCTP)' if explained else ''}",
                  flush=True)
    finally:
        world.remove()
    print(f"{len(chosen)} cases, {again} steps had to be looked at again")
    if failed:
        sys.exit(f"failed: {sorted(set(failed))}")


main()
