#include "ctrl/sluice/status_text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/printable.h"
#include "base/table.h"
#include "ctrl/sluice/object_table.h"
#include "ctrl/sluice/some_of.h"
#include "telemetry/event/event_time.h"

namespace sluice::client {
namespace {

// "\n" and the table; nothing when it has no rows.
std::string Section(const Table& table) { return table.empty() ? "" : "\n" + table.ToString(); }

std::string ProgramsText(const v1::AgentStatus& status) {
  Table table({{"PROGRAM"}, {"INTERFACE"}, {"IFINDEX"}, {"MODE"}});
  for (const auto& program : status.programs()) {
    table.Add({program.program(), program.interface(), std::to_string(program.ifindex()), program.mode()});
  }
  std::string text = Section(table);
  for (const auto& program : status.programs()) {
    if (program.tunnels().empty()) continue;
    text += Printable(fmt::format("{} carries {}: {} sees only the outer packets", program.interface(),
                                  SomeOf(program.tunnels(), ", "), program.program())) +
            "\n";
  }
  return text;
}

std::string MapsText(const v1::AgentStatus& status) {
  Table table({{"MAP"},
               {"ENTRIES", Align::kRight},
               {"CAPACITY", Align::kRight},
               {"FILL", Align::kRight},
               {"REFUSED", Align::kRight}});
  for (const auto& map : status.maps()) {
    const double fill = map.capacity() == 0 ? 0 : 100.0 * static_cast<double>(map.entries()) / map.capacity();
    table.Add({map.name(), std::to_string(map.entries()), std::to_string(map.capacity()), fmt::format("{:.1f}%", fill),
               std::to_string(map.refused())});
  }
  return Section(table);
}

std::string Count(int count, const char* what) { return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s"); }

// "2 workloads and 1 interface are closed: nothing passes there".
std::string ClosedText(const v1::AgentStatus& status) {
  const auto open = static_cast<int>(std::count_if(status.unbound().begin(), status.unbound().end(),
                                                   [](const auto& unbound) { return unbound.open(); }));
  const int closed = status.unbound_size() - open;
  std::vector<std::string> parts;
  if (closed != 0) parts.push_back(Count(closed, "workload"));
  if (status.closed_size() != 0) parts.push_back(Count(status.closed_size(), "interface"));
  std::string text;
  if (!parts.empty()) {
    const bool one = closed + status.closed_size() == 1;
    text = fmt::format("{} {} closed: nothing passes there", fmt::join(parts, " and "), one ? "is" : "are");
  }
  if (open == 0) return text;
  return fmt::format("{}{}{} neither enforced on nor closed", text, text.empty() ? "" : "; ", Count(open, "workload"));
}

std::string FirstClosed(const v1::AgentStatus& status) {
  if (status.unbound_size() == 0) {
    const auto& first = status.closed(0);
    return fmt::format("interface {} ({}): {}", first.interface(), first.ifindex(), first.problem());
  }
  const auto& first = status.unbound(0);
  return fmt::format("{}/{}: {}", first.namespace_(), first.name(), first.problem());
}

std::string UnboundText(const v1::AgentStatus& status) {
  Table table({{"NOT ENFORCED ON"}, {"BECAUSE"}});
  for (const auto& unbound : status.unbound()) {
    table.Add({unbound.namespace_() + "/" + unbound.name(), unbound.problem()});
  }
  for (const auto& closed : status.closed()) {
    table.Add({fmt::format("interface {} ({})", closed.interface(), closed.ifindex()), closed.problem()});
  }
  return Section(table);
}

std::string QuarantineText(const v1::AgentStatus& status) {
  Table table({{"IN QUARANTINE"}});
  for (const std::string& workload : status.quarantine().workloads()) table.Add({workload});
  if (table.empty()) return "";
  const auto& allow = status.quarantine().allow();
  return Section(table) + (allow.empty() ? "" : Printable("allowed peers: " + SomeOf(allow, ", ")) + "\n");
}

std::string IntegrityText(const v1::AgentStatus& status) {
  Table table({{"CHANGED BY OTHERS AND PUT BACK"}, {"TIMES", Align::kRight}});
  for (const auto& repair : status.repairs()) table.Add({repair.what(), std::to_string(repair.count())});
  const std::string& problem = status.integrity_problem();
  return Section(table) + (problem.empty() ? "" : "\nNOT PUT BACK YET: " + Printable(problem) + "\n");
}

std::string KubernetesText(const v1::AgentStatus& status) {
  if (!status.has_kubernetes()) return "";
  Table table({{"FROM KUBERNETES"}, {"STATE"}, {"SYNCED"}, {"SINCE"}, {"OBJECTS", Align::kRight}, {"PROBLEM"}});
  for (const auto& source : status.kubernetes().sources()) {
    std::string problem = source.synced() ? "" : source.problem();
    if (source.refused() != 0) {
      problem += fmt::format("{}{}: {}", problem.empty() ? "" : "; ",
                             Count(static_cast<int>(source.refused()), "bad object"), source.problem());
    }
    table.Add({source.name(), source.state(), source.synced() ? "yes" : "no",
               source.has_since() ? telemetry::TimeText(source.since()) : "-", std::to_string(source.objects()),
               problem});
  }
  return Section(table) + Printable("API server: " + status.kubernetes().server()) + "\n";
}

std::string PolicyName(const v1::ResourceRef& ref) {
  return ref.namespace_().empty() ? ref.name() : fmt::format("{}/{}", ref.namespace_(), ref.name());
}

std::string HookPoliciesText(const v1::AgentStatus& status) {
  Table table(
      {{"HOOK POLICY"}, {"STATE"}, {"HOOKS"}, {"MEMORY", Align::kRight}, {"MATCHES", Align::kRight}, {"ACTIONS"}});
  std::string problems;
  for (const auto& policy : status.hook_policies()) {
    const v1::TracingPolicyFacts& facts = policy.facts();
    std::vector<std::string> hooks;
    for (const auto& hook : facts.hooks()) hooks.push_back(HookText(hook));
    table.Add({PolicyName(policy.ref()), facts.state(), hooks.empty() ? "-" : fmt::format("{}", fmt::join(hooks, ", ")),
               MemoryText(facts.memory_bytes()), std::to_string(MatchesOf(facts)), ActionsText(facts)});
    if (!facts.problem().empty())
      problems += Printable(fmt::format("{} is not in force: {}", PolicyName(policy.ref()), facts.problem())) + "\n";
  }
  return Section(table) + problems;
}

std::string KubeArmorPoliciesText(const v1::AgentStatus& status) {
  Table table({{"KUBEARMOR POLICY"},
               {"STATE"},
               {"ACTIONS"},
               {"WORKLOADS", Align::kRight},
               {"BLOCKED", Align::kRight},
               {"AUDITED", Align::kRight}});
  std::string problems;
  for (const auto& policy : status.kubearmor_policies()) {
    const v1::KubeArmorPolicyFacts& facts = policy.facts();
    table.Add({PolicyName(policy.ref()), facts.state(), fmt::format("{}", fmt::join(facts.actions(), ", ")),
               std::to_string(facts.selected()), std::to_string(facts.blocked()), std::to_string(facts.audited())});
    if (!facts.problem().empty())
      problems += Printable(fmt::format("{} is not in force: {}", PolicyName(policy.ref()), facts.problem())) + "\n";
  }
  return Section(table) + problems;
}

// Rules without a hit or a loss are not listed one by one.
std::string DetectionRulesText(const v1::AgentStatus& status) {
  if (!status.has_detection_rules()) return "";
  const v1::AgentStatus::DetectionRules& rules = status.detection_rules();
  Table table({{"RULE"}, {"PRIORITY"}, {"MATCHES", Align::kRight}, {"LOST", Align::kRight}, {"MISSED", Align::kRight}});
  for (const auto& rule : rules.rules()) {
    if (rule.matches() + rule.missed() == 0) continue;
    table.Add({Printable(rule.rule()), v1::Detection::Priority_Name(rule.priority()), std::to_string(rule.matches()),
               std::to_string(rule.lost()), std::to_string(rule.missed())});
  }
  Table outputs({{"OUTPUT"}, {"SENT", Align::kRight}, {"LOST", Align::kRight}, {"QUEUED", Align::kRight}, {"PROBLEM"}});
  for (const auto& output : rules.outputs()) {
    outputs.Add({Printable(output.output()), std::to_string(output.sent()), std::to_string(output.lost()),
                 std::to_string(output.queued()), Printable(output.problem())});
  }
  std::string text = fmt::format("\ndetection rules in force: {}, of {} files; events: {}\n", rules.rules_size(),
                                 rules.files_size(), rules.events());
  if (!rules.problem().empty())
    text += fmt::format("the newest rules files are not in force: {}\n", Printable(rules.problem()));
  if (!rules.missing().empty()) text += fmt::format("no sensor: {}\n", Printable(rules.missing()));
  return text + Section(table) + Section(outputs);
}

// Of hook and KubeArmor policies: "TracingPolicy files is not in force: ...". Empty: all are.
std::string FirstInError(const v1::AgentStatus& status) {
  const auto first = [](const auto& policies) -> std::string {
    for (const auto& policy : policies) {
      if (policy.facts().problem().empty()) continue;
      return fmt::format("{} {} is not in force: {}", policy.ref().kind(), PolicyName(policy.ref()),
                         policy.facts().problem());
    }
    return "";
  };
  const std::string hook = first(status.hook_policies());
  return hook.empty() ? first(status.kubearmor_policies()) : hook;
}

std::string LostText(const v1::AgentStatus& status) {
  Table table({{"LOST EVENTS"}, {"COUNT", Align::kRight}});
  for (const auto& lost : status.lost()) table.Add({lost.cause(), std::to_string(lost.count())});
  return Section(table);
}

std::string FeaturesText(const v1::AgentStatus& status) {
  Table table({{"KERNEL FEATURE"}, {"PRESENT"}, {"WITHOUT IT"}});
  for (const auto& feature : status.features()) {
    table.Add({feature.name(), feature.present() ? "yes" : "no", feature.present() ? "" : feature.cost()});
  }
  return Section(table);
}

std::string HoldingText(const v1::AgentStatus& status) {
  return "holding: what the kernel had stays in force and the rest is closed: " + Printable(status.holding());
}

template <typename Rights, typename Confinement>
std::string RightsText(const char* title, const Rights& rights, const Confinement& confinement) {
  Table table({{title}, {"FOR"}});
  for (const auto& right : rights) table.Add({right.name(), right.use()});
  if (table.empty()) return "";
  std::string all;
  for (const std::string& by : confinement) all += (all.empty() ? "" : ", ") + Printable(by);
  return Section(table) + (all.empty() ? "" : "confined by: " + all + "\n");
}

// "packets of 3 workloads are kept: 960 KiB of 65536 KiB; 2 files, 40 KiB, in /var/lib/sluice/captures".
std::string CapturesText(const v1::AgentStatus::Captures& captures) {
  if (captures.count() == 0 && captures.files() == 0) return "";
  std::string text = fmt::format("packets of {} workloads are kept: {} KiB of {} KiB; {} files, {} KiB, in {}",
                                 captures.count(), captures.bytes() >> 10, captures.max_bytes() >> 10, captures.files(),
                                 captures.file_bytes() >> 10, Printable(captures.directory()));
  if (captures.suppressed() != 0) text += fmt::format("; {} alerts got none", captures.suppressed());
  if (captures.lost() != 0) text += fmt::format("; {} packets lost", captures.lost());
  return text + "\n";
}

}  // namespace

std::string StatusText(const v1::AgentStatus& status) {
  std::string text =
      fmt::format("{}: policy revision {}, generation {}, workloads {}\n", status.ready() ? "enforcing" : "not ready",
                  status.revision(), status.generation(), status.workloads());
  if (const std::string closed = ClosedText(status); !closed.empty()) text += closed + "\n";
  if (!status.holding().empty()) text += HoldingText(status) + "\n";
  text += fmt::format("sluiced {} on {}", Printable(status.version()), Printable(status.node()));
  if (status.has_start_time()) text += " since " + telemetry::TimeText(status.start_time());
  text += fmt::format(", followers {}\n", status.followers());
  if (!status.process_sensors().empty())
    text += fmt::format("processes are seen by {}s\n", Printable(status.process_sensors()));
  text += CapturesText(status.captures());
  return text + UnboundText(status) + KubernetesText(status) + IntegrityText(status) + QuarantineText(status) +
         HookPoliciesText(status) + KubeArmorPoliciesText(status) + DetectionRulesText(status) + ProgramsText(status) +
         MapsText(status) + LostText(status) + FeaturesText(status) +
         RightsText("RIGHT", status.rights(), status.confinement()) +
         RightsText("RIGHT OF THE HELPER", status.helper_rights(), status.helper_confinement());
}

bool IsInPlace(const v1::AgentStatus& status) {
  return status.ready() && status.unbound_size() == 0 && status.closed_size() == 0 && FirstInError(status).empty();
}

std::string NotInPlaceText(const v1::AgentStatus& status) {
  if (!status.integrity_problem().empty()) {
    return "another program changed what the agent has in the kernel, and it cannot be put back: " +
           status.integrity_problem();
  }
  if (!status.holding().empty()) return HoldingText(status);
  if (std::string problem = FirstInError(status);
      !problem.empty() && status.unbound_size() + status.closed_size() == 0) {
    return problem;
  }
  if (status.unbound_size() + status.closed_size() == 0) {
    return "the agent runs but does not enforce yet: wait, or see its log for the reason";
  }
  return fmt::format("{}; the first is {}", ClosedText(status), FirstClosed(status));
}

}  // namespace sluice::client
