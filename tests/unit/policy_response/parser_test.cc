#include "policy/response/parser.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/policy_response/responses.h"

namespace sluice::policy::response {
namespace {

using testing::ElementsAre;

constexpr char kWhole[] = R"(
  match:
  - {sources: [Rule], rules: ["Terminal shell *"], tags: [shell], priority: warning}
  - {sources: [KubeArmor, Denial], policies: [shop/web, "guard-*"], severity: 7}
  workloads:
  - {namespaces: ["shop*"], selector: {matchLabels: {app: web}}}
  - {names: [ops/db-0]}
  - {host: true}
  never:
  - {namespaces: [kube-system]}
  do:
    quarantine: {}
    kill: {target: Tree}
    collect: {written: false, maxFiles: 4, maxBytes: 1048576}
    notify: {url: "https://siem.example:8443/alerts", caFile: /etc/ca.pem, certificateFile: /etc/c.pem, keyFile: /etc/k.pem, tokenFile: /etc/t}
  dryRun: true
  rateLimit: {perWorkload: 2, total: 5, seconds: 30}
)";

TEST(ResponseParser, ReadsEverything) {
  const auto response = ResponseOf(kWhole);
  ASSERT_NE(response, nullptr);
  EXPECT_EQ(response->name, "r");
  ASSERT_EQ(response->match.size(), 2U);
  const Condition& rule = response->match[0];
  EXPECT_THAT(rule.sources, ElementsAre(Source::kRule));
  EXPECT_THAT(rule.rules, ElementsAre("Terminal shell *"));
  EXPECT_THAT(rule.tags, ElementsAre("shell"));
  EXPECT_EQ(rule.priority, rules::Priority::kWarning);
  const Condition& policy = response->match[1];
  EXPECT_THAT(policy.sources, ElementsAre(Source::kKubeArmor, Source::kDenial));
  EXPECT_THAT(policy.policies, ElementsAre("shop/web", "guard-*"));
  EXPECT_EQ(policy.severity, 7);
  ASSERT_EQ(response->workloads.size(), 3U);
  EXPECT_THAT(response->workloads[0].namespaces, ElementsAre("shop*"));
  EXPECT_TRUE(response->workloads[0].selector->Matches({{"app", "web"}}));
  EXPECT_THAT(response->workloads[1].names, ElementsAre("ops/db-0"));
  EXPECT_TRUE(response->workloads[2].host);
  ASSERT_EQ(response->never.size(), 1U);
  EXPECT_TRUE(response->quarantine);
  EXPECT_TRUE(response->kill->tree);
  EXPECT_TRUE(response->collect->executable);
  EXPECT_FALSE(response->collect->written);
  EXPECT_EQ(response->collect->max_files, 4U);
  EXPECT_EQ(response->collect->max_bytes, 1U << 20U);
  EXPECT_EQ(response->notify->url, "https://siem.example:8443/alerts");
  EXPECT_EQ(response->notify->ca_file, "/etc/ca.pem");
  EXPECT_EQ(response->notify->certificate_file, "/etc/c.pem");
  EXPECT_EQ(response->notify->key_file, "/etc/k.pem");
  EXPECT_EQ(response->notify->token_file, "/etc/t");
  EXPECT_TRUE(response->dry_run);
  EXPECT_EQ(response->limits.per_workload, 2U);
  EXPECT_EQ(response->limits.total, 5U);
  EXPECT_EQ(response->limits.period_seconds, 30U);
}

TEST(ResponseParser, WhatIsLeftOutHasADefault) {
  const auto response = ResponseOf("{match: [{sources: [Hook]}], do: {kill: {}, collect: {}}}");
  ASSERT_NE(response, nullptr);
  EXPECT_FALSE(response->quarantine);
  EXPECT_FALSE(response->kill->tree);
  EXPECT_TRUE(response->collect->written);
  EXPECT_TRUE(response->collect->memory);
  EXPECT_FALSE(response->notify);
  EXPECT_FALSE(response->dry_run);
  EXPECT_EQ(response->limits.per_workload, 10U);
  EXPECT_EQ(response->limits.total, 100U);
  EXPECT_EQ(response->limits.period_seconds, 60U);
}

TEST(ResponseParser, ErrorsNameFileLineFieldAndValue) {
  const ParsedText parsed = ParseSpec("\n  match: [{sources: [Hook]}]\n  do:\n    kill: {target: Group}");
  ASSERT_EQ(parsed.problems.size(), 1U);
  EXPECT_EQ(parsed.problems.front().ToString("r.yaml"),
            "r.yaml:7: Response r: spec.do.kill.target: unknown target \"Group\": known are Process, Tree");
}

TEST(ResponseParser, RefusesWhatIsWrongOrHasNoEffect) {
  const std::string match = "match: [{sources: [Hook]}]", kill = "do: {kill: {}}";
  const auto with = [&](const std::string& more) { return "{" + match + ", " + kill + ", " + more + "}"; };
  const auto of = [&](const std::string& condition) { return "{match: [" + condition + "], " + kill + "}"; };
  const auto doing = [&](const std::string& actions) { return "{" + match + ", do: " + actions + "}"; };
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"{" + kill + "}", "spec.match: missing"},
      {"{" + match + "}", "spec.do: missing"},
      {with("then: {}"), "spec.then: unknown field"},
      {with("never:"), "spec.never: has no value: give it one, or leave the field out"},
      {with("never: []"), "spec.never: is empty: leave it out, or name something"},
      {with("never: [{}]"), "spec.never[0]: has no condition: name workloads, or leave the entry out"},
      {with("workloads: [{names: [web]}]"),
       "spec.workloads[0].names[0]: \"web\": write NAMESPACE/NAME; * stands for any text"},
      {with("workloads: [{host: true, namespaces: [a]}]"),
       "spec.workloads[0]: host: processes outside of workloads have no name, namespace or labels: give it its own "
       "entry"},
      {with("dryRun: 1"), "spec.dryRun: must be true or false, got 1"},
      {with("rateLimit: {perWorkload: 0}"),
       "spec.rateLimit.perWorkload: must be a decimal number from 1 to 10000, got 0"},
      {with("rateLimit: {perWorkload: 5, total: 4}"),
       "spec.rateLimit.perWorkload: 5 answers for one workload, but only 4 in total"},
      {of("{}"), "spec.match[0]: matches everything: name a source, or more"},
      {of("{sources: [Hooks]}"), "spec.match[0].sources[0]: unknown source \"Hooks\": did you mean Hook?"},
      {of("{priority: 3}"), "spec.match[0].priority: must be a string: quote it (\"3\")"},
      {of("{priority: high}"),
       "spec.match[0].priority: unknown priority \"high\": known are Emergency, Alert, Critical, Error, Warning, "
       "Notice, Informational and Debug"},
      {of("{severity: 11}"), "spec.match[0].severity: must be a decimal number from 1 to 10, got 11"},
      {of("{sources: [Hook], priority: Error}"),
       "spec.match[0].priority: only the source Rule has it, so this entry would match nothing"},
      {of("{sources: [Rule, Denial], severity: 3}"),
       "spec.match[0].severity: only the source KubeArmor has it, so this entry would match nothing"},
      {of("{sources: [Rule], policies: [a]}"),
       "spec.match[0].policies: the source Rule has no policy: write the rule's name in rules"},
      {of("{tags: [\"\"]}"), "spec.match[0].tags[0]: is empty"},
      {doing("{}"), "spec.do: does nothing: add quarantine, capture, kill, collect or notify"},
      {doing("{quarantine: }"), "spec.do.quarantine: has no value: give it one, or leave the field out"},
      {doing("{quarantine: {for: 1h}}"), "spec.do.quarantine.for: unknown field"},
      {doing("{capture: {seconds: 5}}"), "spec.do.capture.seconds: unknown field"},
      {doing("{collect: {executable: false, written: false, memory: false}}"), "spec.do.collect: collects nothing"},
      {doing("{collect: {maxFiles: 1000}}"),
       "spec.do.collect.maxFiles: must be a decimal number from 1 to 256, got 1000"},
      {doing("{notify: {}}"), "spec.do.notify.url: missing"},
      {doing("{notify: {url: \"ftp://a/\"}}"),
       "spec.do.notify.url: \"ftp://a/\": write http://HOST/PATH or https://HOST/PATH"},
      {doing("{notify: {url: \"http:///a\"}}"),
       "spec.do.notify.url: \"http:///a\": write http://HOST/PATH or https://HOST/PATH"},
      {doing("{notify: {url: \"https://a\", keyFile: /k}}"), "spec.do.notify: certificateFile and keyFile go together"},
      {doing("{notify: {url: \"http://a\", tokenFile: /t}}"),
       "spec.do.notify: caFile, certificateFile and tokenFile are for an https URL"},
      {doing("{notify: {url: \"https://a\", caFile: ca.pem}}"), "spec.do.notify.caFile: \"ca.pem\" is not absolute"},
  };
  for (const auto& [spec, error] : cases) EXPECT_EQ(ErrorOf(spec), error) << spec;
}

TEST(ResponseParser, ItHasNoNamespace) {
  const auto parsed = ParseText("r.yaml",
                                "{apiVersion: sluice.dev/v1alpha1, kind: Response, metadata: {name: r, namespace: a}, "
                                "spec: {match: [{sources: [Hook]}], do: {kill: {}}}}",
                                {.more_kinds = KindParsers()});
  ASSERT_EQ(parsed.problems.size(), 1U);
  EXPECT_THAT(parsed.problems.front().what, testing::HasSubstr("namespace"));
}

}  // namespace
}  // namespace sluice::policy::response
