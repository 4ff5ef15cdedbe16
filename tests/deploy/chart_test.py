"""The chart, by helm: what it refuses, and what other values make of it."""

import os
import subprocess
import sys
import tempfile
import unittest

import yaml

import common

CHART = "deploy/helm/sluice"
FOUND = subprocess.run([common.path("deploy/helm/find-helm")], capture_output=True, text=True, check=False)
HELM = FOUND.stdout.strip()


def template(*arguments):
    """Objects by kind; several of one kind: the last."""
    text = common.run(HELM, "template", "test", CHART, "--namespace", "net", *arguments)
    return {one["kind"]: one for one in yaml.safe_load_all(text) if one}


def sets(**values):
    return [word for name, value in values.items() for word in ("--set", f"{name.replace('__', '.')}={value}")]


def pod(found):
    return found["DaemonSet"]["spec"]["template"]["spec"]


class Chart(unittest.TestCase):
    def test_lint(self):
        common.run(HELM, "lint", "--strict", CHART)

    def test_manifest_is_rendered_from_it(self):
        made = common.run(common.path("deploy/kubernetes/render"), "--print")
        self.assertEqual(made, common.read("deploy/kubernetes/sluice.yaml"), "run: deploy/kubernetes/render")

    def test_refuses_values(self):
        for name, value in (("unknown", "1"), ("image.tga", "x"), ("prometheus.port", "80"), ("cni.exclusive", "true"),
                            ("cni.whenAgentAway", "open"), ("uplinks", "eth0"), ("cri.socket", "run/crio.sock"),
                            ("image.digest", "abc"), ("extraArgs[0]", "debug"), ("quarantineAllow[0]", "10.0.0.1"),
                            ("otlp.endpoint", "collector:4317"), ("otlp.logs[0]", "flows")):
            with self.subTest(value=f"{name}={value}"):
                self.assertIn("schema", common.is_refused(HELM, "template", CHART, "--set", f"{name}={value}"))

    def test_agents_options(self):
        found = template("--set", "uplinks={eth0,eth1}", "--set", "quarantineAllow={10.0.0.0/8}",
                         "--set", "extraArgs={--max-flows=1000000}", "--set-string", "resourceFiles.base\\.yaml=a: b",
                         *sets(redirect="false", keepEstablished="true", debug="true", prometheus__enabled="false",
                               cri__socket="/run/crio/crio.sock"))
        arguments = pod(found)["containers"][0]["args"]
        for argument in ("--uplink=eth0", "--uplink=eth1", "--quarantine-allow=10.0.0.0/8", "--max-flows=1000000",
                         "--resources=/etc/sluice/resources", "--no-redirect", "--keep-established", "--debug",
                         "--metrics=127.0.0.1:9464", "--cri=unix:///run/crio/crio.sock"):
            self.assertIn(argument, arguments)
        paths = {one["hostPath"]["path"] for one in pod(found)["volumes"] if "hostPath" in one}
        self.assertIn("/run/crio", paths)
        self.assertEqual(found["ConfigMap"]["data"], {"base.yaml": "a: b"})
        self.assertNotIn("Service", found)

    def test_opentelemetry(self):
        agent = pod(template())["containers"][0]
        self.assertFalse([one for one in agent["args"] if "otlp" in one])
        found = pod(template("--set", "otlp.logs={denied,flow}",
                             *sets(otlp__endpoint="https://10.0.0.1:4317", otlp__metricsInterval="30",
                                   otlp__secret__name="otel", otlp__secret__ca="ca.crt", otlp__secret__headers="h")))
        arguments = [one for one in found["containers"][0]["args"] if "otlp" in one]
        self.assertEqual(sorted(arguments), [
            "--otlp-headers=/etc/sluice/otlp/h", "--otlp-logs=denied,flow", "--otlp-metrics-interval=30",
            "--otlp-tls-ca=/etc/sluice/otlp/ca.crt", "--otlp=https://10.0.0.1:4317"])
        self.assertIn("/etc/sluice/otlp", [one["mountPath"] for one in found["containers"][0]["volumeMounts"]])
        self.assertIn("otel", [one["secret"]["secretName"] for one in found["volumes"] if "secret" in one])
        none = pod(template("--set", "otlp.logs=null", *sets(otlp__endpoint="http://127.0.0.1:4317")))
        self.assertIn("--otlp-logs=none", none["containers"][0]["args"])

    def test_image_by_digest(self):
        digest = "sha256:" + "0" * 64
        found = template(*sets(image__repository="registry.example/sluice", image__digest=digest))
        self.assertEqual(pod(found)["containers"][0]["image"], f"registry.example/sluice@{digest}")

    def test_without_the_plugin(self):
        found = pod(template(*sets(cni__enabled="false")))
        self.assertEqual([one["name"] for one in found["containers"]], ["agent"])
        self.assertIn("--cni-socket=", found["containers"][0]["args"])
        self.assertFalse([one for one in found["volumes"] if one["name"].startswith("cni-")])

    def test_without_a_runtime(self):
        found = pod(template(*sets(cri__socket="")))
        self.assertIn("--cri=proc", found["containers"][0]["args"])
        self.assertFalse([one for one in found["volumes"] if one["name"] == "cri"])
        self.assertFalse([one for one in found["containers"][0]["volumeMounts"] if one["name"] == "cri"])

    def test_uninstall_runs_both_and_then_waits(self):
        found = pod(template(*sets(uninstall="true")))
        steps = [one["command"] + one["args"] for one in found["initContainers"]]
        self.assertEqual([step[:2] for step in steps],
                         [["/usr/bin/sluice-cni", "uninstall"], ["/usr/sbin/sluiced", "--uninstall"]])
        [waiting] = found["containers"]
        self.assertEqual(waiting["command"], ["/usr/bin/sleep", "infinity"])
        # Helm merges containers of one name, and the agent's named port would be missing from its probes.
        self.assertNotIn(waiting["name"], [one["name"] for one in pod(template())["containers"]])
        self.assertFalse(found["automountServiceAccountToken"])
        mounts = {one["mountPath"] for one in found["initContainers"][1]["volumeMounts"]}
        self.assertEqual(mounts, {"/sys/fs/bpf", "/var/lib/sluice", "/run/sluice"})
        volumes = {one["name"] for one in found["volumes"]}
        self.assertEqual(volumes, {"bpffs", "state", "run", "cni-conf", "cni-bin"})

    def test_monitoring(self):
        found = template(*sets(prometheus__serviceMonitor__enabled="true", prometheus__podMonitor__enabled="true",
                               prometheus__serviceMonitor__labels__release="kube", prometheus__rules__enabled="true",
                               dashboards__enabled="true"))
        monitor = found["ServiceMonitor"]
        self.assertEqual(monitor["metadata"]["labels"]["release"], "kube")
        # The metrics have a label `namespace`, that of the workload.
        self.assertTrue(monitor["spec"]["endpoints"][0]["honorLabels"])
        self.assertTrue(found["PodMonitor"]["spec"]["podMetricsEndpoints"][0]["honorLabels"])
        labels = found["Service"]["metadata"]["labels"]
        for name, value in monitor["spec"]["selector"]["matchLabels"].items():
            self.assertEqual(labels[name], value)
        rules = yaml.safe_load(common.read("deploy/prometheus/rules.yaml"))
        self.assertEqual(found["PrometheusRule"]["spec"], rules)
        [(name, text)] = found["ConfigMap"]["data"].items()
        self.assertEqual(text, common.read(f"deploy/dashboards/{name}").rstrip("\n"))
        self.assertEqual(found["ConfigMap"]["metadata"]["labels"]["grafana_dashboard"], "1")

    def test_older_and_newer_kubernetes(self):
        old = template("--kube-version", "1.20.2")["DaemonSet"]["spec"]["template"]
        self.assertEqual(old["metadata"]["annotations"]["container.apparmor.security.beta.kubernetes.io/agent"],
                         "unconfined")
        self.assertNotIn("appArmorProfile", old["spec"]["containers"][0]["securityContext"])
        uninstall = template("--kube-version", "1.20.2", *sets(uninstall="true"))["DaemonSet"]["spec"]["template"]
        self.assertIn("container.apparmor.security.beta.kubernetes.io/remove-agent",
                      uninstall["metadata"]["annotations"])
        new = template("--kube-version", "1.34.1-gke.1")["DaemonSet"]["spec"]["template"]
        self.assertEqual(new["spec"]["containers"][0]["securityContext"]["appArmorProfile"], {"type": "Unconfined"})

    def test_profiles_of_the_node(self):
        local = sets(appArmorProfile__type="Localhost", appArmorProfile__localhostProfile="sluice",
                     seccompProfile__type="Localhost", seccompProfile__localhostProfile="profiles/sluice.json")
        new = pod(template("--kube-version", "1.34.1", *local))["containers"]
        self.assertEqual(new[0]["securityContext"]["appArmorProfile"],
                         {"type": "Localhost", "localhostProfile": "sluice"})
        for one in new:
            self.assertEqual(one["securityContext"]["seccompProfile"],
                             {"type": "Localhost", "localhostProfile": "profiles/sluice.json"})
        for profile, expected in ((local, "localhost/sluice"),
                                  (sets(appArmorProfile__type="RuntimeDefault"), "runtime/default")):
            old = template("--kube-version", "1.20.2", *profile)["DaemonSet"]["spec"]["template"]
            self.assertEqual(old["metadata"]["annotations"]["container.apparmor.security.beta.kubernetes.io/agent"],
                             expected)
        for kind in ("appArmorProfile", "seccompProfile"):
            for values in ([f"{kind}.type=Localhost"], [f"{kind}.type=Any"], [f"{kind}.localhostProfile=x"]):
                arguments = [word for one in values for word in ("--set", one)]
                self.assertIn("schema", common.is_refused(HELM, "template", CHART, *arguments))

    def test_relay(self):
        self.assertNotIn("Deployment", template())
        found = template(*sets(relay__enabled="true", prometheus__enabled="false"))
        relay = found["Deployment"]["spec"]["template"]
        [container] = relay["spec"]["containers"]
        arguments = container["args"]
        self.assertIn("--kube-selector=app.kubernetes.io/name=sluice,app.kubernetes.io/instance=test", arguments)
        self.assertIn("--agent-tls-name=agent.sluice.local", arguments)
        self.assertFalse([one for one in arguments if one.startswith("--listen")], "only in its pod")
        # It finds agents only, and nobody takes it for one.
        agents = found["DaemonSet"]["spec"]["template"]["metadata"]["labels"]
        selector = dict(one.split("=") for one in arguments[1].removeprefix("--kube-selector=").split(","))
        self.assertLessEqual(selector.items(), agents.items())
        labels = relay["metadata"]["labels"]
        self.assertFalse(selector.items() <= labels.items())
        self.assertFalse(found["DaemonSet"]["spec"]["selector"]["matchLabels"].items() <= labels.items())
        self.assertLessEqual(found["Service"]["spec"]["selector"].items(), labels.items())
        self.assertEqual(found["Role"]["rules"],
                         [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]}])
        self.assertEqual(container["securityContext"]["capabilities"], {"drop": ["ALL"]})
        self.assertTrue(relay["spec"]["securityContext"]["runAsNonRoot"])
        self.assertNotIn("hostNetwork", relay["spec"])
        agent = pod(found)["containers"][0]
        self.assertIn("--relay-api=0.0.0.0:9471", agent["args"])
        self.assertIn("relay-tls", {one["name"] for one in agent["volumeMounts"]})
        served = template(*sets(relay__enabled="true", relay__serverSecret="web", prometheus__enabled="false"))
        self.assertIn("--listen=[::]:4246",
                      served["Deployment"]["spec"]["template"]["spec"]["containers"][0]["args"])
        self.assertEqual([one["name"] for one in served["Service"]["spec"]["ports"]], ["metrics", "grpc"])
        self.assertIn("schema", common.is_refused(HELM, "template", CHART, "--set", "relay.port=1"))

    def test_packs(self):
        with tempfile.TemporaryDirectory() as directory:
            common.run(HELM, "package", CHART, "--destination", directory)
            [name] = os.listdir(directory)
            self.assertRegex(name, r"^sluice-.*\.tgz$")


if __name__ == "__main__":
    if not HELM:
        print(f"skipped: {FOUND.stderr.strip()}")
        sys.exit(77)
    common.main()
