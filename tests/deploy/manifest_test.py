"""deploy/kubernetes/sluice.yaml, as it is in the repository: rights, mounts, options. Needs no helm."""

import os
import re
import unittest

import yaml

import common

MANIFEST = "deploy/kubernetes/sluice.yaml"


def objects():
    return [one for one in yaml.safe_load_all(common.read(MANIFEST)) if one]


def of_kind(kind):
    found = [one for one in objects() if one["kind"] == kind]
    assert len(found) == 1, f"{len(found)} objects of kind {kind}"
    return found[0]


def pod():
    return of_kind("DaemonSet")["spec"]["template"]["spec"]


def container(name):
    return next(one for one in pod()["containers"] if one["name"] == name)


def rights_of(role):
    """The verbs of each resource."""
    rights = {}
    for rule in role["rules"]:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                rights[f"{resource}.{group}"] = rule["verbs"]
    return rights


class Manifest(unittest.TestCase):
    def test_kinds(self):
        self.assertEqual(
            sorted(one["kind"] for one in objects()),
            ["ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "CustomResourceDefinition",
             "CustomResourceDefinition", "DaemonSet",
             "Namespace", "ResourceQuota", "Service", "ServiceAccount"])

    def test_reads_much_and_writes_little(self):
        read = ["get", "list", "watch"]
        self.assertEqual(rights_of(of_kind("ClusterRole")), {
            "pods.": read, "namespaces.": read, "nodes.": read, "services.": read,
            "endpointslices.discovery.k8s.io": read,
            "networkpolicies.networking.k8s.io": read,
            "networkpolicies.sluice.dev": read, "clusternetworkpolicies.sluice.dev": read,
            "responses.sluice.dev": read,
            "tracingpolicies.cilium.io": read, "tracingpoliciesnamespaced.cilium.io": read,
            "kubearmorpolicies.security.kubearmor.com": read, "kubearmorhostpolicies.security.kubearmor.com": read,
            "kubearmorclusterpolicies.security.kubearmor.com": read,
            "networkpolicies/status.sluice.dev": ["patch"], "clusternetworkpolicies/status.sluice.dev": ["patch"],
            "events.": ["create"],
        })

    def test_the_test_clusters_agent_has_the_same_rights(self):
        roles = [one for one in yaml.safe_load_all(common.read("scripts/kube/agent-rights.yaml"))
                 if one["kind"] == "ClusterRole"]
        self.assertEqual([rights_of(one) for one in roles], [rights_of(of_kind("ClusterRole"))])

    def test_capabilities_are_those_of_the_unit_file(self):
        unit = re.search(r"^CapabilityBoundingSet=(.*)$", common.read("deploy/sluice.service"), re.M).group(1)
        capabilities = container("agent")["securityContext"]["capabilities"]
        self.assertEqual({f"CAP_{name}" for name in capabilities["add"]}, set(unit.split()))
        for one in pod()["containers"]:
            context = one["securityContext"]
            self.assertEqual(context["capabilities"]["drop"], ["ALL"])
            self.assertFalse(context["privileged"])
            self.assertFalse(context["allowPrivilegeEscalation"])
            self.assertTrue(context["readOnlyRootFilesystem"])
            self.assertEqual(context["seccompProfile"], {"type": "RuntimeDefault"})
        self.assertNotIn("add", container("cni")["securityContext"]["capabilities"])

    def test_mounts_belong_to_volumes_and_have_a_reason(self):
        volumes = {one["name"] for one in pod()["volumes"]}
        mounted = {mount["name"] for one in pod()["containers"] for mount in one["volumeMounts"]}
        self.assertEqual(volumes, mounted)
        template = common.read("deploy/helm/sluice/templates/daemonset.yaml") + common.read(
            "deploy/helm/sluice/templates/_agent.tpl")
        for name in volumes:
            self.assertRegex(template, rf"# [^\n]+\n\s*- name: {name}\n\s*mountPath: ", f"{name}: no comment above it")
        # Only privileged containers may have mounts that the node sees.
        self.assertNotIn("Bidirectional", common.read(MANIFEST))

    def test_readme_has_each_right_and_mount(self):
        readme = common.read("deploy/README.md")
        section = re.search(r"### Rights and mounts\n(.*?)\n### ", readme, re.S).group(1)
        rows = dict(re.findall(r"^\| ([^|]+) \| ([^|]+) \|", section, re.M))
        named = {name for row in rows for name in re.findall(r"`([^`]+)`", row)}
        paths = {one["hostPath"]["path"] for one in pod()["volumes"]}
        capabilities = set(container("agent")["securityContext"]["capabilities"]["add"])
        self.assertTrue(pod()["hostNetwork"] and pod()["hostPID"])
        self.assertEqual({name for name in named if name.startswith("/")}, paths)
        self.assertEqual({name for name in named if name.isupper()}, capabilities)
        self.assertLessEqual({"hostNetwork", "hostPID", "RuntimeDefault", "Unconfined", "spc_t"}, named)
        self.assertIn(f"port {container('agent')['ports'][0]['hostPort']} of the node", rows)
        read_only = {name for row in rows if "read-only" in row for name in re.findall(r"`(/[^`]+)`", row)}
        by_name = {one["name"]: one["hostPath"]["path"] for one in pod()["volumes"]}
        self.assertEqual({by_name[mount["name"]] for mount in container("agent")["volumeMounts"]
                          if mount.get("readOnly")}, read_only)

    def test_the_plugins_container_has_the_runtimes_profiles(self):
        self.assertNotIn("appArmorProfile", container("cni")["securityContext"])
        self.assertEqual(container("agent")["securityContext"]["appArmorProfile"], {"type": "Unconfined"})

    def test_probes(self):
        agent = container("agent")
        for probe, where in (("startupProbe", "/healthz"), ("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")):
            self.assertEqual(agent[probe]["httpGet"]["path"], where)
            self.assertEqual(agent[probe]["httpGet"]["host"], "127.0.0.1")

    def test_options_exist(self):
        known = set(re.findall(r"--[a-z-]+", common.run(os.path.join(common.BIN, "sluiced"), "--help")))
        used = {argument.split("=")[0] for argument in container("agent")["args"]}
        template = common.read("deploy/helm/sluice/templates/_agent.tpl")
        used |= set(re.findall(r"^- (--[a-z-]+)", template, re.M))
        self.assertGreater(len(used), 8)
        self.assertLessEqual(used, known)

    def test_plugins_options_exist(self):
        plugin = os.path.join(common.BIN, "sluice-cni")
        if not os.path.exists(plugin):
            self.skipTest("sluice-cni was not built")
        known = set(re.findall(r"--[a-z-]+", common.run(plugin, "--help")))
        templates = common.read("deploy/helm/sluice/templates/daemonset.yaml") + common.read(
            "deploy/helm/sluice/templates/_uninstall.tpl")
        used = {"--watch", "--conf-dir", "--bin-dir", "--when-agent-away", "--drop-in", "--keep-binary"}
        for option in used:
            self.assertIn(option, templates)
        self.assertLessEqual(used, known)

    def test_versions_agree(self):
        version = re.search(r"project\(sluice VERSION ([0-9.]+)", common.read("CMakeLists.txt")).group(1)
        chart = yaml.safe_load(common.read("deploy/helm/sluice/Chart.yaml"))
        self.assertEqual(chart["appVersion"], version)
        self.assertEqual(container("agent")["image"], f"localhost/sluice:{version}")

    def test_readme_names_every_value(self):
        readme = common.read("deploy/helm/sluice/README.md")
        for name in yaml.safe_load(common.read("deploy/helm/sluice/values.yaml")):
            self.assertIn(f"`{name}", readme)


if __name__ == "__main__":
    common.main()
