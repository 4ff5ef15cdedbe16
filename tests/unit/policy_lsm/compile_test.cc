// Compiled policies: the tables say what the reference evaluator says, and what cannot be enforced is refused.
#include "policy/lsm/compile.h"

#include <gmock/gmock.h>

#include "policy/lsm/evaluate_tables.h"
#include "tests/unit/policy_lsm/random_policies.h"

namespace sluice::policy::lsm {
namespace {

using testing::HasSubstr;

// Numbers of some calls; the others are not there.
std::optional<std::uint32_t> CallNumber(std::string_view name) {
  if (name == "openat") return 257;
  if (name == "unlink") return 87;
  if (name == "setuid") return 105;
  return std::nullopt;
}

const CompileOptions kOptions{.seed = 0x1234'5678'9abc'def0, .syscall_number = CallNumber};

std::vector<std::shared_ptr<const Policy>> Parsed(const std::vector<std::string>& specs) {
  std::vector<std::shared_ptr<const Policy>> policies;
  for (const std::string& spec : specs) {
    // Lenient: random rules may be without effect.
    ParsedSpec parsed =
        ParseSpec(spec, {.lenient = true, .name = std::string(1, static_cast<char>('a' + policies.size()))});
    if (parsed.policy != nullptr) policies.push_back(std::move(parsed.policy));
  }
  return policies;
}

std::string Describe(const Decision& decision) {
  std::string text(InfoOf(decision.action).name);
  if (decision.policy == nullptr || decision.action == Action::kAllow) return text;
  return fmt::format("{}{} by {} {}", text, decision.by_posture ? ", posture" : "", decision.policy->name.ToString(),
                     decision.rule->field);
}

std::string Describe(const Compiled& compiled, const TableDecision& decision) {
  if (decision.verdict == SL_LSM_PASS) return "Allow";
  const CompiledRule& rule = compiled.rules.at(decision.rule.value());
  return fmt::format("{}{} by {} {}", decision.verdict == SL_LSM_BLOCK ? "Block" : "Audit",
                     decision.reason == SL_LSM_BY_POSTURE ? ", posture" : "", rule.policy->name.ToString(),
                     rule.rule->field);
}

// The reference, without the rules about calls only if the operation has a path.
Decision Reference(const std::vector<std::shared_ptr<const Policy>>& policies, const Postures& postures,
                   const Subject& subject, const Operation& operation, std::vector<Policy>* storage) {
  const auto* const use = std::get_if<SystemCallUse>(&operation);
  const bool only_paths = use != nullptr && !use->path.empty();
  storage->clear();
  storage->reserve(policies.size());
  std::vector<const Policy*> some;
  for (const auto& policy : policies) {
    storage->push_back(*policy);
    if (only_paths) std::erase_if(storage->back().syscalls, [](const SyscallRule& rule) { return !rule.path; });
    some.push_back(&storage->back());
  }
  return Evaluate(some, postures, subject, operation);
}

TEST(LsmTables, SayWhatTheReferenceSays) {
  RandomPolicies random(20261201);
  int blocked = 0, audited = 0, passed = 0;
  for (int world = 0; world < 400; ++world) {
    const std::vector<std::string> specs = random.Specs();
    const auto policies = Parsed(specs);
    if (policies.empty()) continue;
    const Postures postures = random.AnyPostures();
    const auto compiled = Compile({{.key = "w", .policies = policies, .postures = postures}}, kOptions);
    ASSERT_TRUE(compiled.ok()) << compiled.status();
    ASSERT_EQ((*compiled)->profiles.at("w"), 0U);
    for (int i = 0; i < 40; ++i) {
      const Subject subject = random.AnySubject();
      const Operation operation = random.AnyOperation();
      const auto* const use = std::get_if<SystemCallUse>(&operation);
      std::vector<Policy> storage;
      const Decision expected = Reference(policies, postures, subject, operation, &storage);
      const TableDecision decision =
          EvaluateTables(**compiled, 0, subject, operation, use == nullptr ? 0 : *CallNumber(use->name));
      ASSERT_EQ(Describe(**compiled, decision), Describe(expected))
          << "world " << world << ", operation " << operation.index() << "\n"
          << fmt::format("{}", fmt::join(specs, "\n"));
      ++(expected.action == Action::kBlock ? blocked : expected.action == Action::kAudit ? audited : passed);
    }
  }
  EXPECT_GT(blocked, 1000);
  EXPECT_GT(audited, 1000);
  EXPECT_GT(passed, 1000);
}

TEST(LsmTables, WorkloadsWithTheSamePoliciesShareAProfile) {
  const auto policies = Parsed({"{file: {matchPaths: [{path: /a}]}}", "{process: {matchPaths: [{path: /b}]}}"});
  const auto compiled = Compile({{.key = "x", .policies = policies},
                                 {.key = "y", .policies = {policies[1], policies[0]}},
                                 {.key = "z", .policies = policies, .postures = {.file = Posture::kBlock}},
                                 {.key = "none"}},
                                kOptions);
  ASSERT_TRUE(compiled.ok()) << compiled.status();
  EXPECT_EQ((*compiled)->tables.profiles.size(), 2U);
  EXPECT_EQ((*compiled)->profiles.at("x"), (*compiled)->profiles.at("y"));
  EXPECT_NE((*compiled)->profiles.at("x"), (*compiled)->profiles.at("z"));
  EXPECT_FALSE((*compiled)->profiles.contains("none"));
}

TEST(LsmTables, OnlyWhatRulesAreAboutIsNeeded) {
  const auto needs = [](const std::string& spec) {
    const auto compiled = Compile({{.key = "w", .policies = Parsed({spec})}}, kOptions);
    return compiled.ok() ? (*compiled)->needs : Needs{};
  };
  EXPECT_EQ(needs("{file: {matchPaths: [{path: /a}]}}"), (Needs{.file = true}));
  EXPECT_EQ(needs("{process: {matchPaths: [{path: /a}]}}"), (Needs{.process = true}));
  EXPECT_EQ(needs("{presets: [{name: anonMapExec}]}"), (Needs{.code_mappings = true}));
  EXPECT_EQ(needs("{presets: [{name: protectEnv}]}"), (Needs{.file = true}));
  EXPECT_EQ(needs("{network: {matchProtocols: [{protocol: tcp}]}}"), (Needs{.network = true}));
  EXPECT_EQ(needs("{capabilities: {matchCapabilities: [{capability: net_raw}]}}"), (Needs{.capabilities = true}));
  EXPECT_EQ(needs("{syscalls: {matchSyscalls: [{syscall: [unlink]}]}}"), (Needs{.system_calls = true}));
  EXPECT_EQ(needs("{syscalls: {matchPaths: [{syscall: [unlink], path: /a}]}}"), (Needs{.process = true, .file = true}));
  EXPECT_EQ(needs("{network: {matchPeers: [{cidr: 10.0.0.0/8}]}}"), Needs{});
}

std::string CompileError(const std::vector<std::string>& specs) {
  const auto compiled = Compile({{.key = "w", .policies = Parsed(specs)}}, kOptions);
  return compiled.ok() ? "no error" : std::string(compiled.status().message());
}

TEST(LsmTables, WhatCannotBeEnforcedIsRefusedByName) {
  EXPECT_EQ(CompileError({"{syscalls: {matchPaths: [{syscall: [statfs], path: /a}]}}"}),
            "policy shop/a: line 1: spec.syscalls.matchPaths[0]: the path of the system call statfs is not seen: leave "
            "it out, or write a rule of matchSyscalls");
  EXPECT_THAT(CompileError({"{file: {matchPatterns: [{pattern: '/**a" + std::string(13, '?') + "'}]}}"}),
              HasSubstr("spec.file.matchPatterns[0]: the pattern needs more than 4096 states"));
  std::string rules;
  for (int i = 0; i < 65; ++i) rules += fmt::format("{{path: /p{}, allowedArgs: [a{}]}}, ", i, i);
  EXPECT_THAT(CompileError({"{process: {matchPaths: [" + rules + "]}}"}),
              HasSubstr("allowedArgs: the policies of a workload may have 64 different lists"));
}

// More patterns than one automaton can tell apart.
TEST(LsmTables, ManyPatternsHaveSeveralAutomata) {
  std::string rules;
  for (int i = 0; i < 300; ++i) rules += fmt::format("{{pattern: '/**/f{}/*.x{}'}}, ", i, i);
  const auto policies = Parsed({"{file: {matchPatterns: [" + rules + "]}}"});
  const auto compiled = Compile({{.key = "w", .policies = policies}}, kOptions);
  ASSERT_TRUE(compiled.ok()) << compiled.status();
  EXPECT_GT((*compiled)->tables.automata.size(), 1U);
  const auto verdict = [&](const std::string& path) {
    return EvaluateTables(**compiled, 0, {}, Opening{.path = path}).verdict;
  };
  for (int i = 0; i < 300; ++i) EXPECT_EQ(verdict(fmt::format("/a/f{}/g.x{}", i, i)), SL_LSM_BLOCK) << i;
  EXPECT_EQ(verdict("/a/f7/g.x8"), SL_LSM_PASS);
  EXPECT_EQ(verdict("/a/f7/b/g.x7"), SL_LSM_PASS);
}

TEST(LsmTables, TooMuchIsRefusedByName) {
  std::vector<std::string> specs;
  for (int i = 0; i < 9; ++i) {
    std::string rules;
    for (int j = 0; j < 1000; ++j) rules += fmt::format("{{path: /p/{}/{}}}, ", i, j);
    specs.push_back("{file: {matchPaths: [" + rules + "]}}");
  }
  EXPECT_EQ(CompileError(specs), "the KubeArmor policies of this node need 9000 rules: at most 8192 are possible");
}

}  // namespace
}  // namespace sluice::policy::lsm
