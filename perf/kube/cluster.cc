#include "perf/kube/cluster.h"

#include <fmt/format.h>

namespace sluice::perf {
namespace {

constexpr int kNamespaces = 50;
constexpr int kReplicas = 20;
constexpr int kPodsOfANode = 30;

constexpr char kPods[] = "/api/v1/pods", kNamespacesPath[] = "/api/v1/namespaces", kServices[] = "/api/v1/services",
               kSlices[] = "/apis/discovery.k8s.io/v1/endpointslices", kNodes[] = "/api/v1/nodes",
               kPolicies[] = "/apis/networking.k8s.io/v1/networkpolicies",
               kOwnPolicies[] = "/apis/sluice.dev/v1alpha1/networkpolicies";

std::string NamespaceOf(int number) { return fmt::format("bench-{}", number % kNamespaces); }

struct PodText {
  std::string ns, name, app, node, ip;
};

// With the parts that a kubelet and a Deployment's controller add; some 2.5 KB.
std::string PodJson(const PodText& pod, std::uint64_t version) {
  static const std::string filler(700, 'x');
  return fmt::format(
      R"({{"metadata":{{"name":"{1}","generateName":"{2}-5d4f8c7b9-","namespace":"{0}","uid":"uid-{1}","resourceVersion":"{5}",)"
      R"("creationTimestamp":"2026-01-01T00:00:00Z","labels":{{"app":"{2}","pod-template-hash":"5d4f8c7b9"}},)"
      R"("annotations":{{"example.com/config":"{6}"}},"ownerReferences":[{{"apiVersion":"apps/v1","kind":"ReplicaSet",)"
      R"("name":"{2}-5d4f8c7b9","uid":"r","controller":true,"blockOwnerDeletion":true}}]}},"spec":{{"nodeName":"{3}",)"
      R"("volumes":[{{"name":"config","configMap":{{"name":"config","defaultMode":420}}}}],"containers":[{{"name":"server",)"
      R"("image":"registry.example/server:1.2.3","args":["{6}"],"ports":[{{"name":"http","containerPort":8080,)"
      R"("protocol":"TCP"}}],"resources":{{"requests":{{"cpu":"100m","memory":"64Mi"}}}}}}],"restartPolicy":"Always",)"
      R"("serviceAccountName":"default","tolerations":[{{"key":"node.kubernetes.io/not-ready","operator":"Exists",)"
      R"("effect":"NoExecute","tolerationSeconds":300}}]}},"status":{{"phase":"Running","hostIP":"192.168.0.7",)"
      R"("podIP":"{4}","podIPs":[{{"ip":"{4}"}}],"conditions":[{{"type":"Ready","status":"True","lastProbeTime":null,)"
      R"("lastTransitionTime":"2026-01-01T00:00:00Z"}}],"containerStatuses":[{{"name":"server","ready":true,)"
      R"("restartCount":0,"image":"registry.example/server:1.2.3","containerID":"containerd://{7:064x}",)"
      R"("state":{{"running":{{"startedAt":"2026-01-01T00:00:00Z"}}}}}}],"qosClass":"Burstable"}}}})",
      pod.ns, pod.name, pod.app, pod.node, pod.ip, version, filler, std::hash<std::string>()(pod.name));
}

std::string AppOf(int pod) { return fmt::format("app-{}", pod / kReplicas); }

void PutPod(int number, const std::string& app, ApiServer& api) {
  const PodText pod{.ns = NamespaceOf(number / kReplicas),
                    .name = fmt::format("{}-5d4f8c7b9-{:05}", AppOf(number), number),
                    .app = app,
                    .node = fmt::format("node-{}", 1 + number / kPodsOfANode),
                    .ip = fmt::format("11.{}.{}.{}", number / 65536, number / 256 % 256, number % 256)};
  api.Put(kPods, pod.ns + "/" + pod.name, [&](std::uint64_t version) { return PodJson(pod, version); });
}

void PutServices(int services, ApiServer& api) {
  for (int i = 0; i < services; ++i) {
    const std::string ns = NamespaceOf(i), name = fmt::format("service-{}", i);
    api.Put(kServices, ns + "/" + name, [&](std::uint64_t version) {
      return fmt::format(
          R"({{"metadata":{{"name":"{1}","namespace":"{0}","uid":"s{2}","resourceVersion":"{3}"}},"spec":{{"type":"ClusterIP",)"
          R"("clusterIP":"10.96.{4}.{5}","clusterIPs":["10.96.{4}.{5}"],"selector":{{"app":"app-{2}"}},)"
          R"("ports":[{{"name":"http","port":80,"targetPort":8080,"protocol":"TCP"}}]}}}})",
          ns, name, i, version, i / 250, i % 250 + 1);
    });
    api.Put(kSlices, ns + "/" + name + "-a", [&](std::uint64_t version) {
      std::string endpoints;
      for (int j = 0; j < kReplicas; ++j) {
        const int pod = i * kReplicas + j;
        endpoints += fmt::format(
            R"({}{{"addresses":["11.{}.{}.{}"],"conditions":{{"ready":true,"serving":true,"terminating":false}},)"
            R"("nodeName":"node-{}"}})",
            j == 0 ? "" : ",", pod / 65536, pod / 256 % 256, pod % 256, 1 + pod / kPodsOfANode);
      }
      return fmt::format(R"({{"metadata":{{"name":"{1}-a","namespace":"{0}","uid":"e{2}","resourceVersion":"{3}",)"
                         R"("labels":{{"kubernetes.io/service-name":"{1}"}}}},"addressType":"IPv4","endpoints":[{4}],)"
                         R"("ports":[{{"name":"http","port":8080,"protocol":"TCP"}}]}})",
                         ns, name, i, version, endpoints);
    });
  }
}

void PutPolicies(int policies, ApiServer& api) {
  for (int i = 0; i < policies; ++i) {
    const std::string ns = NamespaceOf(i), name = fmt::format("policy-{}", i);
    api.Put(kPolicies, ns + "/" + name, [&](std::uint64_t version) {
      return fmt::format(
          R"({{"metadata":{{"name":"{1}","namespace":"{0}","uid":"p{2}","resourceVersion":"{3}"}},"spec":{{)"
          R"("podSelector":{{"matchLabels":{{"app":"app-{2}"}}}},"policyTypes":["Ingress"],"ingress":[{{"from":[)"
          R"({{"podSelector":{{"matchLabels":{{"app":"app-{4}"}}}}}},{{"namespaceSelector":{{"matchLabels":{{)"
          R"("kubernetes.io/metadata.name":"{5}"}}}}}}],"ports":[{{"port":8080,"protocol":"TCP"}}]}}]}}}})",
          ns, name, i, version, i + kNamespaces, NamespaceOf(i + 1));
    });
  }
}

void PutProbePolicy(ApiServer& api) {
  api.Put(kPolicies, std::string(kNamespace) + "/probe", [](std::uint64_t version) {
    return fmt::format(
        R"({{"metadata":{{"name":"probe","namespace":"{}","uid":"probe","resourceVersion":"{}"}},"spec":{{)"
        R"("podSelector":{{"matchLabels":{{"app":"server"}}}},"policyTypes":["Ingress"],"ingress":[{{"from":[)"
        R"({{"podSelector":{{"matchLabels":{{"app":"friend"}}}}}}]}}]}}}})",
        kNamespace, version);
  });
}

}  // namespace

void Fill(const ClusterSizes& sizes, ApiServer& api) {
  for (const char* path : {kPods, kNamespacesPath, kServices, kSlices, kNodes, kPolicies, kOwnPolicies})
    api.Serve(path);
  for (int i = 0; i < kNamespaces; ++i) {
    api.Put(kNamespacesPath, "/" + NamespaceOf(i), [&](std::uint64_t version) {
      return fmt::format(
          R"({{"metadata":{{"name":"{0}","uid":"n{1}","resourceVersion":"{2}","labels":{{"kubernetes.io/metadata.name":"{0}"}}}}}})",
          NamespaceOf(i), i, version);
    });
  }
  for (int i = 0; i < sizes.pods; ++i) PutPod(i, AppOf(i), api);
  PutServices(sizes.services, api);
  PutPolicies(sizes.policies, api);
  PutProbePolicy(api);
}

void ChangePod(int number, ApiServer& api) { PutPod(number, "changed-" + AppOf(number), api); }

void PutLocalPod(const std::string& name, const std::string& app, const std::string& ip, ApiServer& api) {
  const PodText pod{.ns = kNamespace, .name = name, .app = app, .node = kNodeName, .ip = ip};
  api.Put(kPods, pod.ns + "/" + name, [&](std::uint64_t version) { return PodJson(pod, version); });
}

}  // namespace sluice::perf
