#include "ctrl/api/resource_facts.h"

#include <nlohmann/json.hpp>
#include <set>

#include "policy/network/evaluate.h"
#include "telemetry/event/json.h"
#include "telemetry/event/pod_owner.h"

namespace sluice::api {
namespace {

constexpr std::size_t kMaxSelected = 100;  // as PolicyFacts.workloads

void AddAddresses(const std::vector<policy::Address>& addresses, google::protobuf::RepeatedPtrField<std::string>* out) {
  for (const policy::Address& address : addresses) *out->Add() = address.ToString();
}

policy::Labels NamespaceLabels(const std::string& ns, const reconcile::View& view) {
  if (!view.compiled.snapshot) return {};
  const auto found = view.compiled.snapshot->namespaces.find(ns);
  return found == view.compiled.snapshot->namespaces.end() ? policy::Labels() : *found->second;
}

// Kind by kind, in the order of their names.
std::vector<const policy::NetworkPolicy*> PoliciesOf(const policy::Workload& workload, const reconcile::View& view) {
  const policy::Labels namespace_labels = NamespaceLabels(workload.name.ns, view);
  std::vector<const policy::NetworkPolicy*> selecting;
  for (const policy::Kind kind : policy::kPolicyKinds) {
    const std::string ns = policy::IsNamespaced(kind) ? workload.name.ns : "";
    const auto& policies = view.resources.of(kind);
    auto at = policies.lower_bound({kind, {ns, ""}});
    for (; at != policies.end() && at->first.name.ns == ns; ++at) {
      const policy::NetworkPolicy& policy = *at->second.policy;
      if (policy.Selects(workload.name.ns, namespace_labels, workload.labels)) selecting.push_back(&policy);
    }
  }
  return selecting;
}

void AddWorkload(const policy::Workload& workload, const reconcile::View& view, v1::Resource* out) {
  out->mutable_labels()->insert(workload.labels.begin(), workload.labels.end());
  v1::WorkloadFacts& facts = *out->mutable_workload();
  if (workload.owner) telemetry::SetOwner(*workload.owner, facts.mutable_owner());
  if (const auto unbound = view.unbound.find(workload.name); unbound != view.unbound.end()) {
    facts.set_problem(unbound->second);
  }
  for (const policy::NetworkPolicy* const policy : PoliciesOf(workload, view)) {
    const std::string name = policy::ResourceId{policy::KindOf(policy->api), policy->name}.ToString();
    if (policy->applies_to_ingress) facts.add_ingress_policies(name);
    if (policy->applies_to_egress) facts.add_egress_policies(name);
  }
  const policy::Endpoint* endpoint =
      view.compiled.snapshot ? view.compiled.snapshot->FindByName(workload.name) : nullptr;
  if (!endpoint) return AddAddresses(workload.ips, facts.mutable_ips());
  AddAddresses(endpoint->ips, facts.mutable_ips());
  facts.set_ifindex(endpoint->ifindex);
  if (endpoint->ips.empty()) return;
  const auto& addresses = view.compiled.tables.addresses;
  if (const auto known = addresses.find(endpoint->ips.front()); known != addresses.end()) {
    facts.set_identity(known->second.identity);
  }
}

void AddPod(const policy::Pod& pod, v1::Resource* out) {
  out->mutable_labels()->insert(pod.labels.begin(), pod.labels.end());
  v1::PodFacts& facts = *out->mutable_pod();
  AddAddresses(pod.ips, facts.mutable_ips());
  facts.set_host_network(pod.host_network);
  facts.set_finished(pod.finished);
  if (pod.owner) telemetry::SetOwner(*pod.owner, facts.mutable_owner());
}

void AddPolicy(const policy::NetworkPolicy& policy, const reconcile::View& view, v1::Resource* out) {
  v1::PolicyFacts& facts = *out->mutable_policy();
  if (policy.Isolates(policy::Direction::kIngress)) facts.add_directions("INGRESS");
  if (policy.Isolates(policy::Direction::kEgress)) facts.add_directions("EGRESS");
  facts.set_mode(policy.mode == policy::PolicyMode::kAudit ? "Audit" : "Enforce");
  if (!view.compiled.snapshot) return;
  std::uint32_t selected = 0;
  std::vector<std::string> local, others;
  for (const policy::Endpoint& endpoint : view.compiled.snapshot->endpoints) {
    if (!policy::Selects(policy, endpoint)) continue;
    selected++;
    std::vector<std::string>& names = endpoint.ifindex != 0 ? local : others;
    if (names.size() < kMaxSelected) names.push_back(endpoint.name.ToString());
  }
  facts.set_selected(selected);
  local.insert(local.end(), others.begin(), others.end());
  if (local.size() > kMaxSelected) local.resize(kMaxSelected);
  facts.mutable_workloads()->Assign(local.begin(), local.end());
}

// Without a report: the agent holds, or has not come to it.
v1::TracingPolicyFacts TracingFacts(const policy::ResourceId& id, const FactSources& sources) {
  if (const auto report = sources.hook_policies.find(id); report != sources.hook_policies.end())
    return ToFacts(report->second);
  v1::TracingPolicyFacts facts;
  facts.set_state(ToString(hooks::ReportedState::kError));
  facts.set_problem(sources.view.holding.empty() ? "it is not in force" : "holding: " + sources.view.holding);
  return facts;
}

v1::KubeArmorPolicyFacts KubeArmorFacts(const policy::Resource& resource, const FactSources& sources) {
  if (const auto report = sources.lsm_policies.find(resource.id); report != sources.lsm_policies.end())
    return ToFacts(*resource.lsm, report->second);
  const std::string& holding = sources.view.holding;
  return ToFacts(*resource.lsm, {.problem = holding.empty() ? "it is not in force" : "holding: " + holding});
}

template <typename Rules>
void AddActions(const Rules& rules, std::set<policy::lsm::Action>* actions) {
  for (const auto& one : rules) actions->insert(one.rule.effect.action);
}

StatusOr<std::string> FactsJson(const v1::Resource& facts) {
  switch (facts.facts_case()) {
    case v1::Resource::kWorkload:
      return telemetry::ToJson(facts.workload());
    case v1::Resource::kPolicy:
      return telemetry::ToJson(facts.policy());
    case v1::Resource::kTracingPolicy:
      return telemetry::ToJson(facts.tracing_policy());
    case v1::Resource::kKubearmorPolicy:
      return telemetry::ToJson(facts.kubearmor_policy());
    case v1::Resource::kResponse:
      return telemetry::ToJson(facts.response());
    case v1::Resource::kPod:
    case v1::Resource::FACTS_NOT_SET:
      break;
  }
  return std::string();
}

}  // namespace

v1::TracingPolicyFacts ToFacts(const hooks::PolicyReport& report) {
  v1::TracingPolicyFacts facts;
  facts.set_state(ToString(report.state));
  facts.set_problem(report.problem);
  facts.set_memory_bytes(report.numbers.memory_bytes);
  for (const hooks::HookNumbers& hook : report.numbers.hooks) {
    v1::TracingPolicyFacts::Hook& out = *facts.add_hooks();
    out.set_hook(hook.hook);
    out.set_attached(hook.attached);
    out.set_matches(hook.counts[SL_HOOK_COUNT_MATCHED]);
    for (std::size_t i = 0; i < hook.counts.size(); ++i) {
      if (i == SL_HOOK_COUNT_MATCHED || hook.counts[i] == 0) continue;
      v1::TracingPolicyFacts::Count& count = *out.add_counts();
      count.set_what(hooks::kHookCountNames[i]);
      count.set_count(hook.counts[i]);
    }
  }
  return facts;
}

v1::KubeArmorPolicyFacts ToFacts(const policy::lsm::Policy& policy, const lsm::LsmPolicyReport& report) {
  v1::KubeArmorPolicyFacts facts;
  facts.set_state(report.problem.empty() ? "enforced" : "error");
  facts.set_problem(report.problem);
  std::set<policy::lsm::Action> actions;
  AddActions(policy.process, &actions);
  AddActions(policy.file, &actions);
  AddActions(policy.protocols, &actions);
  AddActions(policy.peers, &actions);
  AddActions(policy.capabilities, &actions);
  AddActions(policy.syscalls, &actions);
  AddActions(policy.presets, &actions);
  for (const policy::lsm::Action action : actions) facts.add_actions(std::string(policy::lsm::InfoOf(action).name));
  facts.set_blocked(report.blocked);
  facts.set_audited(report.audited);
  facts.set_selected(static_cast<std::uint32_t>(report.workloads.size()));
  for (const std::string& workload : report.workloads) {
    if (static_cast<std::size_t>(facts.workloads_size()) == kMaxSelected) break;
    facts.add_workloads(workload.empty() ? "node" : workload);
  }
  return facts;
}

v1::ResponseFacts ToFacts(const policy::response::Response& response, const respond::Report& report) {
  v1::ResponseFacts facts;
  facts.set_state(response.dry_run ? "dry-run" : "active");
  if (response.quarantine) facts.add_actions("quarantine");
  if (response.capture) facts.add_actions("capture");
  if (response.kill) facts.add_actions(response.kill->tree ? "kill tree" : "kill process");
  if (response.collect) facts.add_actions("collect");
  if (response.notify) facts.add_actions("notify");
  std::set<policy::response::Source> named;
  bool any = false;
  for (const policy::response::Condition& condition : response.match) {
    any = any || condition.sources.empty();
    named.insert(condition.sources.begin(), condition.sources.end());
  }
  if (any) facts.add_sources("any");
  for (const policy::response::Source source : named) {
    if (!any) facts.add_sources(std::string(policy::response::InfoOf(source).name));
  }
  for (const auto& outcomes : report.counts) {
    facts.set_answers(facts.answers() + outcomes[v1::Response::DONE] + outcomes[v1::Response::DRY_RUN]);
    facts.set_failed(facts.failed() + outcomes[v1::Response::FAILED]);
  }
  facts.set_spared(report.spared);
  facts.set_limited(report.limited);
  if (report.last) *facts.mutable_last() = *report.last;
  return facts;
}

void AddFacts(const policy::Resource& resource, const FactSources& sources, v1::Resource* out) {
  if (resource.ns) out->mutable_labels()->insert(resource.ns->labels.begin(), resource.ns->labels.end());
  if (resource.workload) {
    AddWorkload(*resource.workload, sources.view, out);
    out->mutable_workload()->set_quarantined(sources.quarantine.workloads.contains(resource.id.name));
  }
  if (resource.pod) AddPod(*resource.pod, out);
  if (resource.policy) AddPolicy(*resource.policy, sources.view, out);
  if (resource.tracing) *out->mutable_tracing_policy() = TracingFacts(resource.id, sources);
  if (resource.lsm) *out->mutable_kubearmor_policy() = KubeArmorFacts(resource, sources);
  if (resource.response) {
    const auto report = sources.responses.find(resource.id.name.name);
    *out->mutable_response() =
        ToFacts(*resource.response, report == sources.responses.end() ? respond::Report() : report->second);
  }
}

StatusOr<std::string> AddStatus(const std::string& document, const v1::Resource& facts) {
  SL_ASSIGN_OR_RETURN(const std::string status, FactsJson(facts));
  if (status.empty()) return document;
  auto json = nlohmann::ordered_json::parse(document, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || json.contains("status")) return document;
  auto& out = json["status"] = nlohmann::ordered_json::parse(status, nullptr, /*allow_exceptions=*/false);
  if (facts.origin() != v1::ORIGIN_UNSPECIFIED) out["origin"] = v1::Origin_Name(facts.origin());
  if (facts.shadows()) out["shadows"] = true;
  return json.dump();
}

}  // namespace sluice::api
