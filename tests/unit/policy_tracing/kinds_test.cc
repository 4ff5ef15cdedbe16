// Documents of both kinds in files: checked where the caller asks for it, refused everywhere else.
#include <gmock/gmock.h>

#include "policy/resource/gather.h"
#include "tests/unit/policy_tracing/specs.h"

namespace sluice::policy::tracing {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::string KindText(const std::string& kind, const std::string& metadata, const std::string& spec = "{loader: true}") {
  return "apiVersion: cilium.io/v1alpha1\nkind: " + kind + "\nmetadata: " + metadata + "\nspec: " + spec + "\n";
}

std::vector<std::string> Lines(const std::vector<Problem>& problems) {
  std::vector<std::string> lines;
  for (const Problem& problem : problems) lines.push_back(problem.ToString("f.yaml"));
  return lines;
}

ParsedText Checked(const std::string& text) { return ParseText("f.yaml", text, {.checked_kinds = CheckedKinds()}); }

TEST(TracingKinds, AreRefusedWhereTheyAreNotChecked) {
  for (const char* kind : {"TracingPolicy", "TracingPolicyNamespaced"}) {
    for (const bool skip : {false, true}) {
      const ParsedText parsed = ParseText("f.yaml", KindText(kind, "{name: a}"), {.skip_unknown = skip});
      EXPECT_THAT(
          Lines(parsed.problems),
          ElementsAre(fmt::format("f.yaml:2: document 1: kind: cilium.io/v1alpha1 {}: this version checks such "
                                  "policies with `sluice validate`, but does not enforce them yet: leave it out",
                                  kind)));
      EXPECT_THAT(parsed.skipped, IsEmpty());
      EXPECT_THAT(parsed.resources, IsEmpty());
    }
  }
  EXPECT_EQ(ParseResources("f.yaml", KindText("TracingPolicy", "{name: a}")).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(TracingKinds, AreCheckedWithTheirMetadata) {
  const ParsedText parsed =
      Checked(KindText("TracingPolicy", "{name: a}") + "---\n" + KindText("TracingPolicyNamespaced", "{name: a}") +
              "---\n" + KindText("TracingPolicyNamespaced", "{name: a, namespace: shop, annotations: {url: b}}"));
  EXPECT_THAT(Lines(parsed.problems), IsEmpty());
  ASSERT_EQ(parsed.checked.size(), 3U);
  EXPECT_EQ(parsed.checked[0].id, "TracingPolicy a");
  EXPECT_EQ(parsed.checked[1].id, "TracingPolicyNamespaced default/a");
  EXPECT_EQ(parsed.checked[2].id, "TracingPolicyNamespaced shop/a");
  EXPECT_EQ(parsed.checked[2].place.line, 11);
  EXPECT_EQ(parsed.without_namespace, 1U);
  EXPECT_THAT(Lines(Checked(KindText("TracingPolicy", "{name: a, namespace: shop}")).problems),
              ElementsAre("f.yaml:3: TracingPolicy a: metadata.namespace: a TracingPolicy has none, and would not be "
                          "limited to it"));
  EXPECT_THAT(Lines(Checked(KindText("TracingPolicy", "{name: A_b}")).problems).size(), 1U);
  EXPECT_THAT(Lines(Checked("apiVersion: cilium.io/v1\nkind: TracingPolicy\nmetadata: {name: a}\n").problems).size(),
              1U);
}

TEST(TracingKinds, ListsOfThem) {
  const std::string items = "items: [{metadata: {name: a}, spec: {loader: true}}, {metadata: {name: b}, spec: {}}]\n";
  const ParsedText parsed = Checked("apiVersion: cilium.io/v1alpha1\nkind: TracingPolicyList\n" + items);
  EXPECT_EQ(parsed.checked.size(), 1U);
  EXPECT_THAT(
      Lines(parsed.problems),
      ElementsAre("f.yaml:3: TracingPolicy b: spec: has no hook, and would do nothing: add kprobes, tracepoints, "
                  "lsmhooks, fentries, uprobes or usdts"));
}

TEST(TracingKinds, OneNameIsOnePolicy) {
  const std::string a = KindText("TracingPolicy", "{name: a}");
  EXPECT_THAT(
      Lines(Checked(a + "---\n" + a).problems),
      ElementsAre("f.yaml:6: TracingPolicy a: defined twice: the first definition is on line 1. Kubernetes would "
                  "keep the last: remove one"));
  const GatheredTexts gathered = Gather({{"one.yaml", a}, {"two.yaml", a}}, {.checked_kinds = CheckedKinds()});
  EXPECT_EQ(gathered.checked, 1U);
  EXPECT_THAT(gathered.notices, ElementsAre("one.yaml:1: TracingPolicy/a: checked only: this version does not enforce "
                                            "such policies yet"));
  ASSERT_EQ(gathered.problems.size(), 1U);
  EXPECT_EQ(
      gathered.problems[0].problem.ToString("two.yaml"),
      "two.yaml:1: TracingPolicy a: defined twice: one.yaml:1 has it too. Kubernetes would keep the last: remove one");
}

}  // namespace
}  // namespace sluice::policy::tracing
