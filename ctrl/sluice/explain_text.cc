#include "ctrl/sluice/explain_text.h"

#include <fmt/format.h>

#include "base/printable.h"

#include "telemetry/event/flow_text.h"

namespace sluice::client {
namespace {

using End = v1::Explanation::End;

std::string NameText(const End& end) {
  return Printable(end.workload().empty() ? end.address() : end.namespace_() + "/" + end.workload());
}

std::string EndText(const End& end) {
  return fmt::format("{} ({})", NameText(end), Printable(end.workload().empty() ? end.entity() : end.address()));
}

bool HasDefaultDeny(const v1::Explanation::Direction& direction) {
  for (const v1::PolicyRef& ref : direction.policies()) {
    if (ref.effect() == v1::PolicyRef::DEFAULT_DENY) return true;
  }
  return false;
}

// The process that a process-dependent decision was made for; `option` is the one that sets it.
std::string ProcessText(const v1::Explanation::Direction& direction, const char* option) {
  if (!direction.by_process()) return "";
  if (!direction.process().empty()) return fmt::format("  for {}\n", PrintableWord(direction.process()));
  return fmt::format("  for a process that is not known: name it with {}\n", option);
}

const char* WhyText(const std::string& exempt, const v1::Explanation::Direction& direction) {
  if (exempt == "FROM_NODE") return ": no policy is asked, as the node itself is always let in";
  if (exempt == "TO_ITSELF") return ": no policy is asked, as a workload always reaches itself";
  if (HasDefaultDeny(direction)) return ": these policies isolate it, and no rule allows the flow";
  return direction.isolated() ? "" : ": no policy isolates it";
}

std::string NearMissText(const v1::Explanation::NearMiss& miss) {
  const v1::PolicyRef& policy = miss.policy();
  std::string text =
      Printable(fmt::format("  {} {} would allow it, but for:", telemetry::PolicyName(policy), policy.rule())) + "\n";
  for (const std::string& difference : miss.differences()) text += "    " + Printable(difference) + "\n";
  return text;
}

std::string DirectionText(const char* name, const char* option, const End& end,
                          const v1::Explanation::Direction& direction, const v1::Explanation& explanation) {
  if (direction.quarantined()) {
    return fmt::format("{} of {}: DENIED: it is in quarantine, and the other end is not on the allow list\n", name,
                       NameText(end));
  }
  // The other end is in quarantine and stops the flow.
  if (explanation.quarantined())
    return fmt::format("{}: no policy of {} is asked: quarantine decides\n", name, NameText(end));
  if (direction.verdict().empty()) {
    return fmt::format("{}: nothing is decided at {}: it is no workload\n", name, NameText(end));
  }
  std::string text = fmt::format("{} of {}: {}{}\n", name, NameText(end), Printable(direction.verdict()),
                                 WhyText(explanation.exempt(), direction));
  text += ProcessText(direction, option);
  for (const v1::PolicyRef& ref : direction.policies()) text += "  " + telemetry::PolicyText(ref) + "\n";
  for (const v1::Explanation::NearMiss& miss : direction.near_misses()) text += NearMissText(miss);
  return text;
}

const char* OperationWords(const std::string& operation) {
  if (operation == "EXECUTE") return "executes";
  return operation == "OPEN_FOR_WRITING" ? "opens for writing" : "opens";
}

std::string FindingText(const v1::OperationExplanation::Finding& finding) {
  const v1::PolicyRef& policy = finding.policy();
  std::string text = fmt::format("{} {} {}: {}", policy.kind(), telemetry::PolicyName(policy), policy.rule(),
                                 fmt::join(finding.actions(), ", "));
  if (policy.effect() == v1::PolicyRef::DEFAULT_DENY) text += " by the default posture of this rule's allow list";
  if (policy.would() == v1::PolicyRef::DEFAULT_DENY) text += " by the default posture of this rule's allow list";
  if (!finding.hook().empty()) text += ", at " + finding.hook();
  if (finding.unknown_size() != 0)
    text += fmt::format(", if what is not known here holds: {}", fmt::join(finding.unknown(), ", "));
  if (finding.monitor()) text += " (monitor: it only counts)";
  return "  " + Printable(text) + "\n";
}

}  // namespace

std::string OperationText(const v1::OperationExplanation& explanation) {
  std::string text = explanation.allowed() ? "allowed\n" : "denied\n";
  const std::string by = explanation.revision() == 0 ? std::string("by the given resources")
                                                     : fmt::format("by policy revision {}", explanation.revision());
  const std::string program = explanation.program().empty() ? "a program that is not known" : explanation.program();
  text += Printable(fmt::format("{}: {} {} {}, {}", explanation.from(), program,
                                OperationWords(explanation.operation()), explanation.path(), by)) +
          "\n" + Printable(explanation.reason()) + "\n";
  for (const auto& finding : explanation.findings()) text += FindingText(finding);
  for (const std::string& note : explanation.notes()) text += "note: " + Printable(note) + "\n";
  for (const v1::ProgramLink& link : explanation.links()) text += "note: " + telemetry::LinkText(link) + "\n";
  return text;
}

std::string ExplanationText(const v1::Explanation& explanation) {
  std::string text = explanation.allowed() ? "allowed\n" : "denied\n";
  const std::string port = explanation.port() == 0 ? "" : fmt::format("{}/", explanation.port());
  const std::string by = explanation.revision() == 0 ? std::string("by the given resources")
                                                     : fmt::format("by policy revision {}", explanation.revision());
  text += fmt::format("{} -> {} {}{}, {}\n", EndText(explanation.from()), EndText(explanation.to()), port,
                      Printable(explanation.protocol()), by);
  if (!explanation.reason().empty()) text += Printable(explanation.reason()) + "\n";
  if (explanation.reason().empty() && explanation.audit_denied()) text += "policies in audit would deny it\n";
  text += DirectionText("egress", "--process", explanation.from(), explanation.egress(), explanation);
  text += DirectionText("ingress", "--listener", explanation.to(), explanation.ingress(), explanation);
  for (const v1::ProgramLink& link : explanation.links()) text += "note: " + telemetry::LinkText(link) + "\n";
  return text;
}

}  // namespace sluice::client
