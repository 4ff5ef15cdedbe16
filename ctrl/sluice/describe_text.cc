#include "ctrl/sluice/describe_text.h"

#include <fmt/ranges.h>

#include "ctrl/sluice/find_resource.h"
#include "ctrl/sluice/object_table.h"
#include "ctrl/sluice/policy_text.h"
#include "policy/resource/parser.h"
#include "telemetry/event/event_time.h"
#include "telemetry/event/flow_text.h"
#include "telemetry/event/pod_owner.h"

namespace sluice::client {
namespace {

using NameList = google::protobuf::RepeatedPtrField<std::string>;

std::string Line(const char* title, const std::string& value) {
  return value.empty() ? "" : fmt::format("  {:<12}{}\n", std::string(title) + ":", value);
}

std::string Section(const std::string& title, const std::vector<std::string>& lines, const char* none) {
  std::string text = title + ":\n";
  for (const std::string& line : lines) text += "  " + line + "\n";
  return lines.empty() ? fmt::format("{}  {}\n", text, none) : text;
}

std::vector<std::string> ToVector(const NameList& names) { return {names.begin(), names.end()}; }

std::string FlowsText(const char* title, const std::vector<v1::Event>& flows) {
  std::vector<std::string> lines;
  for (const v1::Event& event : flows) lines.push_back(telemetry::EventText(event));
  return Section(title, lines, "none are known");
}

std::string WorkloadText(const v1::WorkloadFacts& facts, const std::vector<v1::Event>& flows) {
  std::string text = Line("Owner", telemetry::OwnerText(facts.owner()));
  text += Line("Addresses", fmt::format("{}", fmt::join(facts.ips(), ", ")));
  if (facts.ifindex() != 0) text += Line("Interface", fmt::format("ifindex {} on the node", facts.ifindex()));
  if (facts.identity() != 0) text += Line("Identity", std::to_string(facts.identity()));
  text += Line("State", StateText(facts));
  text += Line("Quarantine", facts.quarantined() ? "yes: no policy is asked" : "no");
  text += Section("Ingress policies", ToVector(facts.ingress_policies()),
                  "none: it is not isolated, and all may talk to it");
  text +=
      Section("Egress policies", ToVector(facts.egress_policies()), "none: it is not isolated, and may talk to all");
  return text + FlowsText("Last flows", flows);
}

std::string PodText(const v1::PodFacts& facts) {
  std::string text = Line("Owner", telemetry::OwnerText(facts.owner()));
  text += Line("Addresses", fmt::format("{}", fmt::join(facts.ips(), ", ")));
  text += Line("Network", facts.host_network() ? "the node's" : "its own");
  return text + Line("Phase", facts.finished() ? "finished: it has no address any more" : "running");
}

std::string DirectionText(const policy::NetworkPolicy& policy, policy::Direction direction) {
  const bool is_ingress = direction == policy::Direction::kIngress;
  const char* const title = is_ingress ? "Ingress" : "Egress";
  if (!policy.AppliesTo(direction)) return fmt::format("{}:\n  not isolated by this policy\n", title);
  return Section(title, RuleTexts(policy, direction),
                 policy.default_deny ? "no rules: nothing is allowed by this policy" : "no rules");
}

std::string SelectsText(const policy::NetworkPolicy& policy) {
  const bool all = policy.pod_selector.requirements.empty();
  if (!policy.namespace_selector) {
    return all ? "all workloads and pods of its namespace" : SelectorText(policy.pod_selector);
  }
  return fmt::format("{}, of {}", all ? "all workloads and pods" : SelectorText(policy.pod_selector),
                     policy.namespace_selector->requirements.empty()
                         ? "all namespaces"
                         : "namespaces with " + SelectorText(*policy.namespace_selector));
}

StatusOr<std::string> PolicyText(const v1::Resource& resource, const std::vector<v1::Event>& flows) {
  SL_ASSIGN_OR_RETURN(const auto parsed, policy::ParseResources(ResourceName(resource.ref()), resource.yaml()));
  if (parsed.size() != 1 || parsed.front().policy == nullptr) {
    return MakeError(absl::StatusCode::kInternal, "{}: the agent's document is no policy",
                     ResourceName(resource.ref()));
  }
  const policy::NetworkPolicy& policy = *parsed.front().policy;
  const v1::PolicyFacts& facts = resource.policy();
  std::string text = Line("API", resource.ref().api_version());
  text += Line("Mode", facts.mode());
  if (policy.namespace_selector) {
    text += Line("Isolates", policy.default_deny ? "yes" : "no: a flow that no rule matches is left to other policies");
  }
  text += Line("Selects", SelectsText(policy));
  text += DirectionText(policy, policy::Direction::kIngress) + DirectionText(policy, policy::Direction::kEgress);
  std::vector<std::string> workloads = ToVector(facts.workloads());
  if (facts.selected() > workloads.size()) {
    workloads.push_back(fmt::format("and {} more", facts.selected() - workloads.size()));
  }
  text += Section("Workloads and pods that it selects", workloads, "none");
  return text + FlowsText("Flows that it decided last", flows);
}

std::string TracingText(const v1::TracingPolicyFacts& facts) {
  std::string text = Line("State", StateText(facts));
  if (facts.memory_bytes() != 0) text += Line("Memory", MemoryText(facts.memory_bytes()) + " in the kernel");
  std::vector<std::string> hooks;
  for (const auto& hook : facts.hooks()) {
    std::string line = fmt::format("{}: matches {}", HookText(hook), hook.matches());
    for (const auto& count : hook.counts()) line += fmt::format(", {} {}", count.what(), count.count());
    hooks.push_back(std::move(line));
  }
  return text + Section("Hooks", hooks, "none are in force");
}

std::string KubeArmorText(const v1::KubeArmorPolicyFacts& facts) {
  std::string text =
      Line("State", StateText(facts)) + Line("Actions", fmt::format("{}", fmt::join(facts.actions(), ", ")));
  text += Line("Blocked", std::to_string(facts.blocked())) + Line("Audited", std::to_string(facts.audited()));
  std::vector<std::string> workloads = ToVector(facts.workloads());
  if (facts.selected() > workloads.size()) {
    workloads.push_back(fmt::format("and {} more", facts.selected() - workloads.size()));
  }
  return text + Section("Workloads of this node that it is for", workloads, "none");
}

std::string ResponseText(const v1::ResponseFacts& facts) {
  std::string text = Line("State", facts.state());
  text += Line("Sources", fmt::format("{}", fmt::join(facts.sources(), ", ")));
  text += Line("Actions", fmt::format("{}", fmt::join(facts.actions(), ", ")));
  text += Line("Answers", fmt::format("{}, failed {}", facts.answers(), facts.failed()));
  text += Line("Left out", fmt::format("{} spared by `never`, {} by `rateLimit`", facts.spared(), facts.limited()));
  return text + Line("Last", facts.has_last() ? telemetry::TimeText(facts.last()) : "-");
}

}  // namespace

StatusOr<std::string> DescribeText(const v1::Resource& resource, const std::vector<v1::Event>& flows) {
  std::string text = ResourceName(resource.ref()) + "\n" + Line("Labels", LabelsText(resource.labels()));
  if (resource.origin() != v1::ORIGIN_UNSPECIFIED) text += Line("Origin", OriginText(resource));
  switch (resource.facts_case()) {
    case v1::Resource::kWorkload:
      return text + WorkloadText(resource.workload(), flows);
    case v1::Resource::kPod:
      return text + PodText(resource.pod());
    case v1::Resource::kPolicy: {
      SL_ASSIGN_OR_RETURN(const std::string policy, PolicyText(resource, flows));
      return text + policy;
    }
    case v1::Resource::kTracingPolicy:
      return text + TracingText(resource.tracing_policy());
    case v1::Resource::kKubearmorPolicy:
      return text + KubeArmorText(resource.kubearmor_policy());
    case v1::Resource::kResponse:
      return text + ResponseText(resource.response());
    case v1::Resource::FACTS_NOT_SET:
      break;
  }
  return text;
}

}  // namespace sluice::client
