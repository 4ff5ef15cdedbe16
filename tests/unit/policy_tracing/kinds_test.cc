// Documents of both kinds in files: resources where the caller asks for it, refused everywhere else.
#include <gmock/gmock.h>

#include "policy/resource/gather.h"
#include "tests/unit/policy_tracing/specs.h"

namespace sluice::policy::tracing {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::string KindText(const std::string& kind, const std::string& metadata, const std::string& spec = "{loader: true}") {
  return "apiVersion: cilium.io/v1alpha1\nkind: " + kind + "\nmetadata: " + metadata + "\nspec: " + spec + "\n";
}

std::vector<std::string> Lines(const std::vector<Problem>& problems) {
  std::vector<std::string> lines;
  for (const Problem& problem : problems) lines.push_back(problem.ToString("f.yaml"));
  return lines;
}

ParsedText Parsed(const std::string& text) {
  return ParseText("f.yaml", text, {.more_kinds = KindParsers(Reading::kParsed)});
}

TEST(TracingKinds, AreRefusedWhereNobodyAsksForThem) {
  for (const char* kind : {"TracingPolicy", "TracingPolicyNamespaced"}) {
    for (const bool skip : {false, true}) {
      const ParsedText parsed = ParseText("f.yaml", KindText(kind, "{name: a}"), {.skip_unknown = skip});
      ASSERT_EQ(parsed.problems.size(), 1U);
      EXPECT_THAT(
          Lines(parsed.problems)[0],
          HasSubstr(fmt::format("f.yaml:2: document 1: kind: apiVersion \"cilium.io/v1alpha1\" has no kind \"{}\" "
                                "here; known are v1 List, ",
                                kind)));
      EXPECT_THAT(parsed.skipped, IsEmpty());
      EXPECT_THAT(parsed.resources, IsEmpty());
    }
  }
  EXPECT_EQ(ParseResources("f.yaml", KindText("TracingPolicy", "{name: a}")).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(TracingKinds, AreReadWithTheirMetadata) {
  const ParsedText parsed =
      Parsed(KindText("TracingPolicy", "{name: a}") + "---\n" + KindText("TracingPolicyNamespaced", "{name: a}") +
             "---\n" + KindText("TracingPolicyNamespaced", "{name: a, namespace: shop, annotations: {url: b}}"));
  EXPECT_THAT(Lines(parsed.problems), IsEmpty());
  ASSERT_EQ(parsed.resources.size(), 3U);
  EXPECT_EQ(parsed.resources[0].id.ToString(), "TracingPolicy a");
  EXPECT_EQ(parsed.resources[1].id.ToString(), "TracingPolicyNamespaced default/a");
  EXPECT_EQ(parsed.resources[2].id.ToString(), "TracingPolicyNamespaced shop/a");
  EXPECT_EQ(parsed.resources[2].tracing->name, (ObjectName{"shop", "a"}));
  EXPECT_EQ(parsed.places[2].line, 11);
  // As it is saved.
  const auto again = ParseResources("state", parsed.resources[1].yaml, {.more_kinds = KindParsers(Reading::kParsed)});
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->front().id, parsed.resources[1].id);
  EXPECT_EQ(parsed.without_namespace, 1U);
  EXPECT_THAT(Lines(Parsed(KindText("TracingPolicy", "{name: a, namespace: shop}")).problems),
              ElementsAre("f.yaml:3: TracingPolicy a: metadata.namespace: a TracingPolicy has none, and would not be "
                          "limited to it"));
  EXPECT_THAT(Lines(Parsed(KindText("TracingPolicy", "{name: A_b}")).problems).size(), 1U);
  EXPECT_THAT(Lines(Parsed("apiVersion: cilium.io/v1\nkind: TracingPolicy\nmetadata: {name: a}\n").problems).size(),
              1U);
}

TEST(TracingKinds, ListsOfThem) {
  const std::string items = "items: [{metadata: {name: a}, spec: {loader: true}}, {metadata: {name: b}, spec: {}}]\n";
  const ParsedText parsed = Parsed("apiVersion: cilium.io/v1alpha1\nkind: TracingPolicyList\n" + items);
  EXPECT_EQ(parsed.resources.size(), 1U);
  EXPECT_THAT(
      Lines(parsed.problems),
      ElementsAre("f.yaml:3: TracingPolicy b: spec: has no hook, and would do nothing: add kprobes, tracepoints, "
                  "lsmhooks, fentries, uprobes or usdts"));
}

TEST(TracingKinds, OneNameIsOnePolicy) {
  const std::string a = KindText("TracingPolicy", "{name: a}");
  EXPECT_THAT(
      Lines(Parsed(a + "---\n" + a).problems),
      ElementsAre("f.yaml:6: TracingPolicy a: defined twice: the first definition is on line 1. Kubernetes would "
                  "keep the last: remove one"));
  const GatheredTexts gathered =
      Gather({{"one.yaml", a}, {"two.yaml", a}}, {.more_kinds = KindParsers(Reading::kParsed)});
  EXPECT_EQ(gathered.resources.size(), 1U);
  EXPECT_THAT(gathered.notices, IsEmpty());
  ASSERT_EQ(gathered.problems.size(), 1U);
  EXPECT_EQ(
      gathered.problems[0].problem.ToString("two.yaml"),
      "two.yaml:1: TracingPolicy a: defined twice: one.yaml:1 has it too. Kubernetes would keep the last: remove one");
}

}  // namespace
}  // namespace sluice::policy::tracing
