#include "ctrl/node/node_pods.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "policy/resource/resource_emit.h"

namespace sluice::node {
namespace {

using policy::Kind;
using policy::ObjectName;
using policy::Pod;
using policy::Resource;
using policy::ResourceMap;

constexpr std::size_t kShownId = 12;

bool IsOf(const Sandbox& sandbox, const Pod* pod) {
  return pod != nullptr && (sandbox.uid == pod->uid || (!pod->config_hash.empty() && sandbox.uid == pod->config_hash));
}

std::shared_ptr<const Pod> FindPod(const ResourceMap& resources, const ObjectName& name) {
  const auto found = resources.find({Kind::kPod, name});
  return found == resources.end() ? nullptr : (*found).second.pod;
}

std::string WhyClosed(const Sandbox& sandbox, const Pod* pod) {
  if (sandbox.pod.name.empty()) {
    return fmt::format(
        "Pod with uid {}: its processes are here, and the API server has not told of it; it opens once it "
        "does",
        sandbox.uid);
  }
  const std::string name = fmt::format("Pod {} (uid {})", sandbox.pod.ToString(), sandbox.uid);
  if (pod == nullptr) return name + ": the API server has not told of it; it opens once it does";
  return fmt::format("{}: the API server has another pod of this name, with uid {}; it opens once it tells of this one",
                     name, pod->uid);
}

// As a file would say it, in the normal form of all documents.
std::string TextOf(const policy::Workload& workload) {
  nlohmann::ordered_json metadata = {{"name", workload.name.name}, {"namespace", workload.name.ns}};
  if (!workload.labels.empty()) metadata["labels"] = workload.labels;
  nlohmann::ordered_json spec = {{"netns", workload.netns}, {"interface", workload.interface}};
  for (const policy::NamedPort& port : workload.ports) {
    spec["ports"].push_back(
        {{"name", port.name}, {"port", port.port}, {"protocol", policy::ProtocolName(port.protocol)}});
  }
  if (!workload.cgroup.empty()) spec["cgroup"] = workload.cgroup;
  const nlohmann::ordered_json document = {{"apiVersion", policy::KindApiVersion(Kind::kWorkload)},
                                           {"kind", policy::KindName(Kind::kWorkload)},
                                           {"metadata", metadata},
                                           {"spec", spec}};
  std::string text;
  policy::ParseYaml(document.dump(), [&](const policy::YamlNode& root, int) { text = policy::EmitYaml(root); });
  return text;
}

Resource MakeWorkload(const ObjectName& name, const Sandbox& sandbox, const std::shared_ptr<const Pod>& pod) {
  policy::Workload workload{
      .name = name, .netns = sandbox.netns, .interface = sandbox.interface, .cgroup = sandbox.cgroup};
  if (sandbox.pod.name.empty()) workload.cgroup.clear();  // records would show its name
  if (IsOf(sandbox, pod.get())) {
    workload.labels = pod->labels;
    workload.ports = pod->ports;
    workload.owner = pod->owner;
  } else {
    workload.closed_because = WhyClosed(sandbox, pod.get());
  }
  Resource resource{.id = {Kind::kWorkload, name}, .yaml = TextOf(workload)};
  resource.workload = std::make_shared<const policy::Workload>(std::move(workload));
  return resource;
}

ObjectName WorkloadName(const Sandbox& sandbox) {
  return sandbox.pod.name.empty() ? ObjectName{kUnknownNamespace, sandbox.uid} : sandbox.pod;
}

// The pod's name goes to the sandbox that is this pod's, else to the newest.
std::map<ObjectName, Sandbox> NameSandboxes(const std::vector<Sandbox>& sandboxes, const ResourceMap& kubernetes) {
  std::map<ObjectName, const Sandbox*> firsts;
  for (const Sandbox& sandbox : sandboxes) {
    if (sandbox.netns.empty()) continue;
    const Sandbox*& first = firsts[WorkloadName(sandbox)];
    const auto pod = FindPod(kubernetes, sandbox.pod);
    if (first == nullptr || IsOf(sandbox, pod.get()) || !IsOf(*first, pod.get())) first = &sandbox;
  }
  std::map<ObjectName, Sandbox> named;
  for (const Sandbox& sandbox : sandboxes) {
    if (sandbox.netns.empty()) continue;
    ObjectName name = WorkloadName(sandbox);
    if (firsts.at(name) != &sandbox) name.name += ".sandbox-" + sandbox.id.substr(0, kShownId);
    named[std::move(name)] = sandbox;
  }
  return named;
}

}  // namespace

void NodePods::SetSandboxes(std::vector<Sandbox> sandboxes) { sandboxes_ = std::move(sandboxes); }

std::vector<Sandbox> NodePods::Named(const ResourceMap& kubernetes) {
  std::vector<Sandbox> named = sandboxes_;
  for (Sandbox& sandbox : named) {
    if (!sandbox.pod.name.empty()) continue;
    if (!indexed_.Shares(Kind::kPod, kubernetes)) {
      indexed_ = kubernetes;
      names_by_uid_.clear();
      for (const auto& [id, resource] : kubernetes.of(Kind::kPod))
        if (!resource.pod->uid.empty()) names_by_uid_.emplace(resource.pod->uid, id.name);
      // Who may annotate a pod may give it any hash: it never takes another pod's uid.
      for (const auto& [id, resource] : kubernetes.of(Kind::kPod))
        if (!resource.pod->config_hash.empty()) names_by_uid_.emplace(resource.pod->config_hash, id.name);
    }
    if (const auto found = names_by_uid_.find(sandbox.uid); found != names_by_uid_.end()) sandbox.pod = found->second;
    // Some of its processes may have a namespace of their own.
    const auto pod = FindPod(kubernetes, sandbox.pod);
    if (pod != nullptr && pod->host_network) sandbox.netns.clear();
  }
  return named;
}

ResourceMap NodePods::AddTo(ResourceMap kubernetes) {
  std::map<ObjectName, Made> made;
  ResourceMap workloads;
  bool is_new = false;
  for (auto& [name, sandbox] : NameSandboxes(Named(kubernetes), kubernetes)) {
    Made& one = made[name];
    one.pod = FindPod(kubernetes, sandbox.pod);
    const auto before = made_.find(name);
    if (before != made_.end() && before->second.pod == one.pod && before->second.sandbox == sandbox) {
      one = before->second;
    } else {
      one.workload = MakeWorkload(name, sandbox, one.pod);
      one.sandbox = std::move(sandbox);
      is_new = true;
    }
    workloads[one.workload.id] = one.workload;
  }
  if (is_new || made.size() != made_.size()) workloads_ = std::move(workloads);
  made_ = std::move(made);
  kubernetes.Merge(workloads_);
  return kubernetes;
}

}  // namespace sluice::node
