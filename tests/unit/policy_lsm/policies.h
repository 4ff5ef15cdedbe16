// Specs of KubeArmor policies for tests of the parser and the evaluator, and what these say. YAML's flow style keeps a
// case on a line.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "policy/lsm/evaluate.h"
#include "policy/lsm/parser.h"

namespace sluice::policy::lsm {

struct ParsedSpec {
  std::shared_ptr<const Policy> policy;  // null: there are problems
  std::vector<Problem> problems;
  std::vector<Problem> warnings;
};

struct HowToParse {
  Policy::Kind kind = Policy::Kind::kPods;
  bool lenient = false;
  std::string name = "p";
};

// The policy "shop/p"; of other kinds "p".
inline ParsedSpec ParseSpec(const std::string& spec, const HowToParse& how = {}) {
  ParsedSpec parsed;
  const auto visit = [&](const YamlNode& root, int) {
    const Document document{.origin = "p.yaml", .subject = "policy p", .lenient = how.lenient};
    const std::string ns = how.kind == Policy::Kind::kPods ? "shop" : "";
    auto policy = ParsePolicy(Field(document, root), how.kind, {.ns = ns, .name = how.name});
    EXPECT_EQ(policy.ok(), document.problems.empty()) << spec;
    if (policy.ok()) parsed.policy = *std::move(policy);
    parsed.problems = document.problems;
    parsed.warnings = document.warnings;
  };
  const auto error = ParseYaml("spec: " + spec + "\n", visit);
  EXPECT_FALSE(error.has_value()) << spec << ": " << (error ? error->what : "");
  return parsed;
}

inline ParsedSpec ParseLenient(const std::string& spec, Policy::Kind kind = Policy::Kind::kPods) {
  return ParseSpec(spec, {.kind = kind, .lenient = true});
}

inline std::string FirstOf(const std::vector<Problem>& problems, const std::string& none) {
  return problems.empty() ? none : problems.front().what;
}

// "FIELD: what is wrong" of the first problem, or "no error".
inline std::string ErrorOf(const std::string& spec, Policy::Kind kind = Policy::Kind::kPods) {
  return FirstOf(ParseSpec(spec, {.kind = kind}).problems, "no error");
}

// The first warning of a spec without problems, or "no warning".
inline std::string WarningOf(const std::string& spec, const HowToParse& how = {}) {
  const ParsedSpec parsed = ParseSpec(spec, how);
  EXPECT_EQ(FirstOf(parsed.problems, "no error"), "no error") << spec;
  return FirstOf(parsed.warnings, "no warning");
}

// The policy of a spec without problems.
inline std::shared_ptr<const Policy> PolicyOf(const std::string& spec, const HowToParse& how = {}) {
  ParsedSpec parsed = ParseSpec(spec, how);
  EXPECT_EQ(FirstOf(parsed.problems, "no error"), "no error") << spec;
  return std::move(parsed.policy);
}

// A rule of the format: what it accepts, what it refuses, and what it then says.
struct RuleCase {
  std::string right;
  std::string wrong;
  std::string error;
};

inline void Check(const std::vector<RuleCase>& rules, Policy::Kind kind = Policy::Kind::kPods) {
  for (const RuleCase& rule : rules) {
    EXPECT_EQ(ErrorOf(rule.right, kind), "no error") << rule.right;
    EXPECT_EQ(ErrorOf(rule.wrong, kind), rule.error) << rule.wrong;
  }
}

// The policies of one workload.
class Policies {
 public:
  // Each with a name of its own: "a", "b", ...
  explicit Policies(const std::vector<std::string>& specs) {
    for (const std::string& spec : specs) {
      owned_.push_back(PolicyOf(spec, {.name = std::string(1, static_cast<char>('a' + owned_.size()))}));
    }
  }

  // "Block: a spec.process.matchPaths[0]"; by the default posture "Block: posture a spec...."; "Allow" if nothing is
  // about it.
  std::string On(const Operation& operation, const Subject& subject = {}, const Postures& postures = {}) const {
    std::vector<const Policy*> policies;
    for (const auto& policy : owned_) policies.push_back(policy.get());
    const Decision decision = Evaluate(policies, postures, subject, operation);
    std::string text(InfoOf(decision.action).name);
    if (decision.policy == nullptr) return text;
    return fmt::format("{}: {}{} {}", text, decision.by_posture ? "posture " : "", decision.policy->name.name,
                       decision.rule->field);
  }

  // By the default posture "block".
  std::string OnClosed(const Operation& operation, const Subject& subject = {}) const {
    return On(operation, subject, {Posture::kBlock, Posture::kBlock, Posture::kBlock});
  }

 private:
  std::vector<std::shared_ptr<const Policy>> owned_;
};

}  // namespace sluice::policy::lsm
