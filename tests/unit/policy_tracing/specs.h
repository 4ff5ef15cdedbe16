// Specs of TracingPolicies for tests of the parser, and what it says of them. YAML's flow style keeps a case on a line.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "policy/tracing/parser.h"

namespace sluice::policy::tracing {

struct ParsedSpec {
  std::shared_ptr<const TracingPolicy> policy;  // null: there are problems
  std::vector<Problem> problems;
};

// The policy "p", or "shop/p" for a TracingPolicyNamespaced, whose document has `rest` beside its metadata.
inline ParsedSpec ParseDocument(const std::string& rest, const std::string& ns = "") {
  ParsedSpec parsed;
  const auto error = ParseYaml("apiVersion: cilium.io/v1alpha1\n" + rest, [&](const YamlNode& root, int) {
    const Document document{.origin = "p.yaml", .subject = "TracingPolicy p"};
    auto policy = ParseTracingPolicy(Field(document, root), {.ns = ns, .name = "p"});
    EXPECT_EQ(policy.ok(), document.problems.empty());
    if (policy.ok()) parsed.policy = *std::move(policy);
    parsed.problems = document.problems;
  });
  EXPECT_FALSE(error.has_value()) << rest << ": " << (error ? error->what : "");
  return parsed;
}

inline ParsedSpec ParseSpec(const std::string& spec, const std::string& ns = "") {
  return ParseDocument("spec: " + spec + "\n", ns);
}

// "FIELD: what is wrong" of the first problem, or "no error".
inline std::string ErrorOf(const std::string& spec, const std::string& ns = "") {
  const ParsedSpec parsed = ParseSpec(spec, ns);
  return parsed.problems.empty() ? "no error" : parsed.problems.front().what;
}

// The policy of a spec without problems.
inline std::shared_ptr<const TracingPolicy> PolicyOf(const std::string& spec) {
  const ParsedSpec parsed = ParseSpec(spec);
  EXPECT_TRUE(parsed.problems.empty()) << spec << ": " << parsed.problems.front().what;
  return parsed.policy;
}

inline std::string Kprobe(const std::string& fields) { return "{kprobes: [{" + fields + "}]}"; }
// A hook on a function of the kernel.
inline std::string Function(const std::string& fields) {
  return Kprobe("call: tcp_connect, syscall: false, " + fields);
}
inline std::string Lsm(const std::string& fields) { return "{lsmhooks: [{hook: file_open, " + fields + "}]}"; }
// One argument of a type, and one filter on it.
inline std::string Filter(const std::string& type, const std::string& operator_and_values) {
  return Function("args: [{index: 0, type: " + type +
                  "}], selectors: [{matchArgs: [{index: 0, operator: " + operator_and_values + "}]}]");
}
// A selector of a hook with two arguments: number 0 is a sock, number 1 an int.
inline std::string WithSelector(const std::string& fields) {
  return Function("args: [{index: 0, type: sock}, {index: 1, type: int}], selectors: [{" + fields + "}]");
}
// An action on a hook on security_file_open, which may be overridden.
inline std::string WithAction(const std::string& fields) {
  return Kprobe(
      "call: security_file_open, syscall: false, args: [{index: 0, type: sock}, {index: 1, type: int}], "
      "selectors: [{matchActions: [{" +
      fields + "}]}]");
}

// A rule: what it accepts, what it refuses, and what it then says.
struct RuleCase {
  std::string right;
  std::string wrong;
  std::string error;
};

inline void Check(const std::vector<RuleCase>& rules) {
  for (const RuleCase& rule : rules) {
    EXPECT_EQ(ErrorOf(rule.right), "no error") << rule.right;
    EXPECT_EQ(ErrorOf(rule.wrong), rule.error) << rule.wrong;
  }
}

}  // namespace sluice::policy::tracing
