// The compiled rules say what the reference evaluator says.
#include "policy/rules/ruleset.h"

#include <gtest/gtest.h>

#include "policy/rules/event_sets.h"
#include "tests/unit/policy_rules/random_condition.h"
#include "tests/unit/policy_rules/scene.h"

namespace sluice::policy::rules {
namespace {

Rule RuleOf(const std::string& condition) {
  Rule rule;
  rule.name = rule.condition_text = condition;
  rule.condition = BoundOf(condition);
  rule.event_types = EventTypesOf(*rule.condition);
  return rule;
}

std::vector<std::uint32_t> Expected(const std::vector<Rule>& rules, const Event& event) {
  std::vector<std::uint32_t> matches;
  for (std::uint32_t i = 0; i < rules.size(); ++i) {
    if (Evaluate(*rules[i].condition, event)) matches.push_back(i);
  }
  return matches;
}

TEST(Ruleset, RandomConditionsAreDecidedAsByTheReference) {
  std::size_t met = 0, not_met = 0;
  for (std::uint32_t seed = 1; seed <= 150; ++seed) {
    RandomText random(seed);
    std::vector<Rule> rules;
    for (int i = 0; i < 12; ++i) rules.push_back(RuleOf(random.Condition(3)));
    const auto ruleset = Ruleset::Compile(rules);
    Matcher matcher(ruleset);
    for (int i = 0; i < 100; ++i) {
      const RandomEvent event(random);
      const std::vector<std::uint32_t> expected = Expected(rules, event.event);
      const auto all = matcher.Match(event.event, MatchMode::kAll);
      ASSERT_EQ(std::vector<std::uint32_t>(all.begin(), all.end()), expected) << "seed " << seed << ", event " << i;
      const auto first = matcher.Match(event.event, MatchMode::kFirst);
      ASSERT_EQ(first.size(), expected.empty() ? 0U : 1U);
      ASSERT_TRUE(expected.empty() || first[0] == expected[0]);
      met += expected.size();
      not_met += rules.size() - expected.size();
      // A rule is never true for a type that its set leaves out.
      for (const std::uint32_t rule : expected) ASSERT_TRUE(rules[rule].event_types.test(event.event.type));
    }
  }
  EXPECT_GT(met, 20'000U);
  EXPECT_GT(not_met, 20'000U);
}

TEST(Ruleset, RulesOfOtherTypesAreNotLookedAt) {
  const auto ruleset = Ruleset::Compile({RuleOf("evt.type = execve and proc.name = bash"),
                                         RuleOf("evt.type in (open, openat) and fd.name startswith /etc"),
                                         RuleOf("evt.type = openat and container.id != host")});
  const auto roots = [&](const char* type, bool on_host) {
    return ruleset->Roots(*FindEventType(type), on_host).size();
  };
  EXPECT_EQ(roots("read", false), 0U);
  EXPECT_EQ(roots("execve", false), 1U);
  EXPECT_EQ(roots("open", false), 1U);
  EXPECT_EQ(roots("openat", false), 2U);
  EXPECT_EQ(roots("openat", true), 1U);  // the third rule is for containers only
  EXPECT_EQ(ruleset->event_types().count(), 3U);
}

TEST(Ruleset, SharedPartsAreThereOnce) {
  const auto one = Ruleset::Compile({RuleOf("evt.type = open and fd.name contains a and proc.name in (x, y)")});
  const auto two = Ruleset::Compile({RuleOf("evt.type = open and fd.name contains a and proc.name in (x, y)"),
                                     RuleOf("evt.type = open and proc.name in (x, y) and fd.name contains a")});
  EXPECT_EQ(one->graph().nodes.size(), two->graph().nodes.size());
  EXPECT_EQ(two->leaves().size(), 2U);
}

TEST(Ruleset, DisabledRulesAreNotThere) {
  std::vector<Rule> rules = {RuleOf("proc.name = bash"), RuleOf("proc.name = bash")};
  rules[0].enabled = false;
  const auto ruleset = Ruleset::Compile(rules);
  ASSERT_EQ(ruleset->rules().size(), 1U);
  const Scene scene;
  Matcher matcher(ruleset);
  EXPECT_EQ(matcher.Match(scene.event, MatchMode::kAll).size(), 1U);
}

TEST(Ruleset, ARuleForEveryEventIsTrueForEachType) {
  const auto ruleset = Ruleset::Compile({RuleOf("evt.num > 0")});
  Scene scene;
  Matcher matcher(ruleset);
  for (EventType type = 0; type < EventTypeNames().size(); ++type) {
    scene.event.type = type;
    EXPECT_EQ(matcher.Match(scene.event).size(), 1U);
  }
  scene.event.type = kMaxEventTypes;  // what no sensor sends
  EXPECT_TRUE(matcher.Match(scene.event).empty());
}

TEST(Ruleset, ManyPartsAreSearchedTogether) {
  std::vector<Rule> rules;
  for (const char* part : {"a", "cat", "/etc", "shadow", "-c", "zzz", "cat /", "t", ""}) {
    rules.push_back(RuleOf(fmt::format("proc.cmdline contains \"{}\"", part)));
    rules.push_back(RuleOf(fmt::format("proc.cmdline icontains \"{}\"", part)));
  }
  const auto ruleset = Ruleset::Compile(rules);
  ASSERT_TRUE(ruleset->slots().at(0).contains);
  ASSERT_TRUE(ruleset->slots().at(0).contains_folded);
  Scene scene;
  Matcher matcher(ruleset);
  for (const char* text : {"bash -c cat /etc/shadow", "BASH CAT /ETC", "", "zz", "zzzcat"}) {
    scene.shell.command_line = text;
    const auto all = matcher.Match(scene.event, MatchMode::kAll);
    EXPECT_EQ(std::vector<std::uint32_t>(all.begin(), all.end()), Expected(rules, scene.event)) << text;
  }
}

TEST(Ruleset, NamesOfHostsAreKnown) {
  const auto ruleset = Ruleset::Compile(
      {RuleOf("fd.sip.name = kubernetes.default.svc.cluster.local"), RuleOf("fd.cip.name in (a.example, b.example)")});
  EXPECT_EQ(ruleset->HostNames(),
            (std::vector<std::string>{"a.example", "b.example", "kubernetes.default.svc.cluster.local"}));
}

}  // namespace
}  // namespace sluice::policy::rules
