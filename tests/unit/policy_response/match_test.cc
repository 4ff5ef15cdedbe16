#include "policy/response/match.h"

#include <gtest/gtest.h>

#include <functional>
#include <random>

#include "tests/unit/policy_response/responses.h"

namespace sluice::policy::response {
namespace {

TEST(ResponsePattern, AStarIsAnyRun) {
  EXPECT_TRUE(PatternMatches("", ""));
  EXPECT_TRUE(PatternMatches("*", ""));
  EXPECT_TRUE(PatternMatches("web", "web"));
  EXPECT_TRUE(PatternMatches("w*b", "wb"));
  EXPECT_TRUE(PatternMatches("*a*b*", "xaxaxbx"));
  EXPECT_TRUE(PatternMatches("a*ab", "aaab"));
  EXPECT_TRUE(PatternMatches("shop/web-*", "shop/web-0"));
  EXPECT_FALSE(PatternMatches("web", "web-0"));
  EXPECT_FALSE(PatternMatches("web", "Web"));
  EXPECT_FALSE(PatternMatches("a*b", "abc"));
  EXPECT_FALSE(PatternMatches("", "a"));
  EXPECT_FALSE(PatternMatches("a?c", "abc"));
}

// The obvious definition, which takes long for long texts.
bool Simple(std::string_view pattern, std::string_view text) {
  if (pattern.empty()) return text.empty();
  if (pattern[0] == '*') return Simple(pattern.substr(1), text) || (!text.empty() && Simple(pattern, text.substr(1)));
  return !text.empty() && text[0] == pattern[0] && Simple(pattern.substr(1), text.substr(1));
}

TEST(ResponsePattern, AsTheSimpleDefinitionSays) {
  std::mt19937 random(1);
  const auto text = [&](const char* letters, std::size_t count) {
    std::string made;
    for (std::size_t i = random() % 8; i > 0; --i) made += letters[random() % count];
    return made;
  };
  int matched = 0;
  for (int i = 0; i < 100'000; ++i) {
    const std::string pattern = text("ab*", 3), word = text("ab", 2);
    ASSERT_EQ(PatternMatches(pattern, word), Simple(pattern, word)) << pattern << " " << word;
    matched += Simple(pattern, word) ? 1 : 0;
  }
  EXPECT_GT(matched, 1000);
}

bool AnswersTo(const std::string& match, const std::function<void(Cause&)>& change) {
  const auto response = ResponseOf("{match: [" + match + "], do: {kill: {}}}");
  Cause cause{.source = Source::kHook,
              .policies = {{"", "guard"}},
              .rules = {"selectors[0]"},
              .tags = {"net", "shell"},
              .workload = {"shop", "web-0"},
              .labels = {{"app", "web"}}};
  change(cause);
  return response != nullptr && Answers(*response, cause);
}
void Nothing(Cause&) {}

TEST(ResponseMatch, EverythingThatAnEntryNamesMustHold) {
  EXPECT_TRUE(AnswersTo("{sources: [Hook]}", Nothing));
  EXPECT_FALSE(AnswersTo("{sources: [Denial]}", Nothing));
  EXPECT_TRUE(AnswersTo("{sources: [Denial]}, {sources: [Hook]}", Nothing)) << "one entry is enough";
  EXPECT_TRUE(AnswersTo("{policies: [guard]}", Nothing));
  EXPECT_TRUE(AnswersTo("{policies: [\"gu*\"]}", Nothing));
  EXPECT_FALSE(AnswersTo("{policies: [\"shop/gu*\"]}", Nothing)) << "it has no namespace";
  EXPECT_TRUE(AnswersTo("{policies: [\"shop/gu*\"]}", [](Cause& c) { c.policies = {{"shop", "guard"}}; }));
  EXPECT_TRUE(AnswersTo("{policies: [guard]}", [](Cause& c) { c.policies = {{"shop", "guard"}}; }));
  EXPECT_TRUE(AnswersTo("{policies: [b]}", [](Cause& c) { c.policies = {{"x", "a"}, {"x", "b"}}; }));
  EXPECT_TRUE(AnswersTo("{rules: [\"selectors[*\"]}", Nothing));
  EXPECT_FALSE(AnswersTo("{rules: [x]}", Nothing));
  EXPECT_TRUE(AnswersTo("{tags: [x, shell]}", Nothing));
  EXPECT_FALSE(AnswersTo("{tags: [x]}", Nothing));
  EXPECT_FALSE(AnswersTo("{tags: [shell], policies: [other]}", Nothing));
}

TEST(ResponseMatch, PriorityIsOfRulesAndSeverityOfKubeArmor) {
  const auto rule = [](rules::Priority priority) {
    return [priority](Cause& cause) {
      cause.source = Source::kRule;
      cause.priority = priority;
    };
  };
  EXPECT_TRUE(AnswersTo("{priority: Warning}", rule(rules::Priority::kWarning)));
  EXPECT_TRUE(AnswersTo("{priority: Warning}", rule(rules::Priority::kCritical)));
  EXPECT_FALSE(AnswersTo("{priority: Warning}", rule(rules::Priority::kNotice)));
  EXPECT_FALSE(AnswersTo("{priority: Debug}", Nothing)) << "a hook has none";
  EXPECT_TRUE(AnswersTo("{severity: 5}", [](Cause& cause) { cause.severity = 5; }));
  EXPECT_FALSE(AnswersTo("{severity: 5}", [](Cause& cause) { cause.severity = 4; }));
  EXPECT_FALSE(AnswersTo("{severity: 1}", Nothing));
}

TEST(ResponseMatch, TheHostIsOnlyMeantWhereItIsNamed) {
  const auto is_for = [](const std::string& workloads, const ObjectName& workload, const Labels& labels = {}) {
    const auto response =
        ResponseOf("{match: [{sources: [Hook]}], do: {kill: {}}" + (workloads.empty() ? "" : ", " + workloads) + "}");
    const Cause cause{.source = Source::kHook, .workload = workload, .labels = labels};
    return response != nullptr && Answers(*response, cause);
  };
  const ObjectName web{"shop", "web-0"}, host;
  EXPECT_TRUE(is_for("", web));
  EXPECT_FALSE(is_for("", host));
  EXPECT_TRUE(is_for("workloads: [{host: true}]", host));
  EXPECT_FALSE(is_for("workloads: [{host: true}]", web));
  EXPECT_TRUE(is_for("workloads: [{host: true}, {namespaces: [\"*\"]}]", web));
  EXPECT_FALSE(is_for("workloads: [{namespaces: [\"*\"]}]", host));
  EXPECT_TRUE(is_for("workloads: [{names: [\"shop/web-*\"]}]", web));
  EXPECT_FALSE(is_for("workloads: [{names: [\"shop/web\"]}]", web));
  EXPECT_TRUE(is_for("workloads: [{selector: {matchLabels: {app: web}}}]", web, {{"app", "web"}}));
  EXPECT_FALSE(is_for("workloads: [{selector: {matchLabels: {app: web}}}]", web));
  EXPECT_FALSE(is_for("workloads: [{namespaces: [ops], selector: {matchLabels: {app: web}}}]", web, {{"app", "web"}}));
}

TEST(ResponseMatch, NeverSparesWorkloads) {
  const auto response = ResponseOf(
      "{match: [{sources: [Hook]}], do: {kill: {}}, never: [{namespaces: [\"kube-*\"]}, {names: [shop/db-0]}, "
      "{selector: {matchExpressions: [{key: safe, operator: Exists}]}}]}");
  ASSERT_NE(response, nullptr);
  const auto spares = [&](const ObjectName& workload, const Labels& labels = {}) {
    return Spares(*response, {.workload = workload, .labels = labels});
  };
  EXPECT_TRUE(spares({"kube-system", "dns"}));
  EXPECT_TRUE(spares({"shop", "db-0"}));
  EXPECT_TRUE(spares({"shop", "web-0"}, {{"safe", ""}}));
  EXPECT_FALSE(spares({"shop", "web-0"}));
  EXPECT_FALSE(spares({}));
}

}  // namespace
}  // namespace sluice::policy::response
