#include "ctrl/explain/reason.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "telemetry/event/flow_text.h"

namespace sluice::explain {
namespace {

using Direction = v1::Explanation::Direction;

constexpr std::size_t kMostListed = 3;

std::string EndName(const v1::Explanation::End& end) {
  if (!end.workload().empty()) return end.namespace_() + "/" + end.workload();
  return end.entity() == "node" ? "the node" : end.address();
}

// "a", "a and b", "a, b, c and 4 more": those of the policies that have `effect`, with their rules.
struct Subjects {
  std::string text;
  bool several = false;
};
Subjects PoliciesWith(const Direction& direction, v1::PolicyRef::Effect effect) {
  std::vector<std::string> names;
  for (const v1::PolicyRef& ref : direction.policies()) {
    if (ref.effect() != effect) continue;
    names.push_back(fmt::format("{}{}{}", telemetry::PolicyName(ref), ref.rule().empty() ? "" : " ", ref.rule()));
  }
  Subjects subjects{.several = names.size() > 1};
  if (names.size() > kMostListed) {
    const auto left_out = names.size() - kMostListed;
    names.resize(kMostListed);
    subjects.text = fmt::format("{} and {} more", fmt::join(names, ", "), left_out);
  } else if (!names.empty()) {
    const std::string last = names.back();
    names.pop_back();
    subjects.text = names.empty() ? last : fmt::format("{} and {}", fmt::join(names, ", "), last);
  }
  return subjects;
}

// What `direction` says at its end, as a main clause. Empty: nothing.
std::string Clause(const Direction& direction, const char* name, const v1::Explanation::End& end) {
  const std::string at = EndName(end);
  if (direction.verdict().empty()) return "";
  if (const Subjects deny = PoliciesWith(direction, v1::PolicyRef::DENY); !deny.text.empty()) {
    return fmt::format("{} {} it at {}", deny.text, deny.several ? "deny" : "denies", at);
  }
  if (const Subjects isolate = PoliciesWith(direction, v1::PolicyRef::DEFAULT_DENY); !isolate.text.empty()) {
    return fmt::format("{} {} {} for {}, and no rule allows it", isolate.text, isolate.several ? "isolate" : "isolates",
                       at, name);
  }
  if (const Subjects allow = PoliciesWith(direction, v1::PolicyRef::ALLOW); !allow.text.empty()) {
    return fmt::format("{} {} it at {}", allow.text, allow.several ? "allow" : "allows", at);
  }
  return fmt::format("no policy isolates {} for {}", at, name);
}

std::string QuarantineReason(const v1::Explanation& explanation) {
  std::string who;
  for (const auto& [direction, end] :
       {std::pair{&explanation.egress(), &explanation.from()}, {&explanation.ingress(), &explanation.to()}}) {
    if (direction->quarantined()) who += (who.empty() ? "" : " and ") + EndName(*end);
  }
  return fmt::format("quarantine stops it at {}; no policy is asked", who);
}

std::string PolicyReason(const v1::Explanation& explanation) {
  std::vector<std::string> clauses;
  const bool denied = !explanation.allowed();
  const auto add = [&](const Direction& direction, const char* name, const v1::Explanation::End& end) {
    // A rule that allows the flow at one end does not explain why the other end denies it.
    if (denied && direction.verdict() != "DENIED") return;
    if (std::string clause = Clause(direction, name, end); !clause.empty()) clauses.push_back(std::move(clause));
  };
  add(explanation.egress(), "egress", explanation.from());
  add(explanation.ingress(), "ingress", explanation.to());
  if (clauses.empty()) return "no policy decides it, as neither end is a workload";
  return fmt::format("{}", fmt::join(clauses, "; "));
}

std::string Reason(const v1::Explanation& explanation) {
  if (explanation.quarantined()) return QuarantineReason(explanation);
  if (explanation.exempt() == "FROM_NODE") {
    return fmt::format("the node itself always reaches {}; no policy is asked", EndName(explanation.to()));
  }
  if (explanation.exempt() == "TO_ITSELF") return "a workload always reaches itself; no policy is asked";
  return PolicyReason(explanation);
}

}  // namespace

std::string ReasonText(const v1::Explanation& explanation) {
  std::string text = Reason(explanation);
  for (const char* start : {"no policy", "quarantine", "the node", "a workload"}) {
    if (text.starts_with(start))
      text.front() = static_cast<char>(std::toupper(static_cast<unsigned char>(text.front())));
  }
  text += ".";
  if (explanation.audit_denied()) text += " Policies in audit would deny it.";
  return text;
}

}  // namespace sluice::explain
