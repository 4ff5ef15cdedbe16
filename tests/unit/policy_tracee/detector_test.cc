// Detectors and their lists, from text to what they hit.
#include "policy/tracee/detector.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "policy/tracee/policy.h"
#include "tests/unit/policy_tracee/made_call.h"

namespace sluice::policy::tracee {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// `more`: lines at the top level.
std::string DetectorText(const std::string& name, const std::string& events, const std::string& more = "") {
  return fmt::format(
      "type: detector\nid: id-{0}\nproduced_event: {{name: {0}, version: 1.0.0, description: why, tags: [t]}}\n"
      "requirements: {{events: [{1}]}}\n{2}",
      name, events, more);
}

LoadedDetectors Load(const std::vector<std::string>& texts) {
  std::vector<DetectorFile> files;
  for (std::size_t i = 0; i < texts.size(); ++i) files.push_back({.path = fmt::format("{}.yaml", i), .text = texts[i]});
  return LoadDetectors(files);
}

std::vector<std::string> ErrorsOf(const std::vector<std::string>& texts) {
  std::vector<std::string> errors;
  for (const FileProblem& one : Load(texts).problems) errors.push_back(one.problem.ToString(one.file));
  return errors;
}

std::vector<std::string> DetectorHits(const std::vector<std::string>& texts, Made made) {
  const LoadedDetectors loaded = Load(texts);
  EXPECT_THAT(ErrorsOf(texts), IsEmpty());
  return HitsOf(loaded.rules, made);
}

TEST(TraceeDetector, ADetectorIsARule) {
  const auto loaded = Load(
      {DetectorText("found", "{name: openat, data_filters: [pathname=/tmp*], scope_filters: [comm=ls]}",
                    "threat: {name: n, description: d, severity: HIGH, mitre: {technique: {id: T1, name: x}, tactic: "
                    "{name: why}}}\n"
                    "conditions: [workload.process.real_user.id == 0]\n"
                    "auto_populate: {threat: true, detected_from: true}\n"
                    "output: {fields: [{name: path, expression: 'getEventData(\"pathname\")'}]}\n")});
  ASSERT_EQ(loaded.problems.size(), 0U) << loaded.problems.front().problem.what;
  ASSERT_EQ(loaded.rules.size(), 1U);
  const rules::Rule& rule = loaded.rules.front();
  EXPECT_EQ(rule.name, "found");
  EXPECT_EQ(rule.description, "why");
  EXPECT_EQ(rule.priority, rules::Priority::kError);
  EXPECT_THAT(rule.tags, testing::UnorderedElementsAre("tracee", "t", "T1"));
  EXPECT_EQ(rule.file, "0.yaml");
  EXPECT_EQ(rule.place.line, 1);
  Made made("openat");
  EXPECT_THAT(HitsOf(loaded.rules, made), ElementsAre("found"));
  made.process.credentials.uid = 5;
  EXPECT_THAT(HitsOf(loaded.rules, made), IsEmpty());
  made.process.credentials.uid = 0;
  made.descriptor.raw_name = "/etc/x";
  EXPECT_THAT(HitsOf(loaded.rules, made), IsEmpty());
}

TEST(TraceeDetector, OneOfTheFiltersOfANameIsEnough) {
  const std::string text = DetectorText("found", "{name: openat, data_filters: [pathname=/etc/x, pathname=/tmp/x]}");
  EXPECT_THAT(DetectorHits({text}, Made("openat")), ElementsAre("found"));
  EXPECT_THAT(DetectorHits({text}, Made("open")), IsEmpty());
}

TEST(TraceeDetector, ListsAreSharedByAllFiles) {
  const std::string text =
      DetectorText("found", "{name: execve}", "conditions: ['getEventData(\"pathname\") in TOOLS']\n");
  const std::string list = "type: string_list\nname: TOOLS\nvalues: [/usr/bin/ls, /usr/bin/cat]\n";
  EXPECT_THAT(DetectorHits({text, list}, Made("execve", 0)), ElementsAre("found"));
  Made other("execve", 0);
  other.process.executable.path = "/usr/bin/dd";
  EXPECT_THAT(DetectorHits({text, list}, other), IsEmpty());
  EXPECT_THAT(ErrorsOf({text}),
              ElementsAre("0.yaml:5: Detector/found: conditions[0]: column 29: there is no list TOOLS"));
}

// The last one comes first: where only the first rule counts, it says most.
TEST(TraceeDetector, DetectorsBuildOnEachOther) {
  const std::string first = DetectorText("opened", "{name: openat, data_filters: [pathname=/tmp*]}",
                                         "output: {fields: [{name: what, expression: 'getEventData(\"pathname\")'}, "
                                         "{name: where, expression: workload.container.id}]}\n");
  const std::string second =
      DetectorText("inside", "{name: opened, scope_filters: [container], data_filters: ['what=*x']}",
                   "output: {fields: [{name: box, expression: 'getEventData(\"where\")'}]}\n");
  const std::string third = DetectorText("known", "{name: inside}", "conditions: ['getEventData(\"box\") != \"\"']\n");
  EXPECT_THAT(DetectorHits({first, second, third}, Made("openat")), ElementsAre("known", "inside", "opened"));
  EXPECT_THAT(DetectorHits({third, second, first}, Made("openat")), ElementsAre("known", "inside", "opened"));
  Made on_host("openat");
  on_host.event.container = &rules::HostContainer();
  EXPECT_THAT(DetectorHits({first, second, third}, on_host), ElementsAre("opened"));
  Made elsewhere("openat");
  elsewhere.descriptor.raw_name = "/tmp/y";
  EXPECT_THAT(DetectorHits({first, second, third}, elsewhere), ElementsAre("opened"));
}

TEST(TraceeDetector, EachOfSeveralEventsIsARule) {
  const std::string text = DetectorText("found", "{name: openat}, {name: open, dependency: optional}");
  EXPECT_THAT(DetectorHits({text}, Made("open")), ElementsAre("found: open"));
  EXPECT_THAT(DetectorHits({text}, Made("openat")), ElementsAre("found: openat"));
}

TEST(TraceeDetector, WhatIsWrongOrMissingIsNamed) {
  const auto event = [](const std::string& text) { return DetectorText("d", text); };
  const auto more = [](const std::string& text) { return DetectorText("d", "{name: openat}", text + "\n"); };
  const auto requirement = [](const std::string& text) {
    return "type: detector\nid: x\nproduced_event: {name: found, version: 1.0.0}\nrequirements: {" + text +
           ", events: [{name: open}]}\n";
  };
  const std::vector<std::pair<std::string, std::string>> cases = {
      {event("{name: net_packet_dns}"),
       "requirements.events[0].name: \"net_packet_dns\": there is no such event here: packets' contents are not "
       "decoded"},
      {event("{name: openatt}"), "\"openatt\": there is no such event here: did you mean openat?"},
      {event("{name: d}"), "\"d\": detectors that need each other"},
      {event("{name: openat}, {name: openat}"), "\"openat\" is there twice"},
      {event("{name: openat, dependency: maybe}"), "dependency: \"maybe\": expected one of required, optional"},
      {event("{name: openat, min_version: new}"), "min_version: \"new\": expected a version, as in 1.0.0"},
      {event("{name: openat, data_filters: [mode=1]}"),
       "data_filters[0]: mode: of the event openat filters may name pathname, flags"},
      {event("{name: openat, scope_filters: [container=started]}"), "whether a container is new is not known here"},
      {event("{dependency: required}"), "requirements.events[0].name: missing"},
      {event(""), "requirements.events: missing"},
      {more("conditions: ['size(\"a\") > 1']"), "conditions[0]: column 1: size() is not known here"},
      {more("output: {fields: [{name: a, expression: 'string(1)'}]}"),
       "expression: column 1: string() is not known here"},
      {more("output: {fields: [{name: a}]}"), "output.fields[0].expression: missing"},
      {more("threat: {description: d}"), "threat.severity: missing"},
      {more("threat: {severity: bad}"), "\"bad\": expected one of info, low, medium, high, critical"},
      {more("response: kill"), "response: unknown field"},
      {"type: detector\nid: x\n", "produced_event: missing"},
      {"type: detector\nproduced_event: {name: found, version: 1.0.0}\n", "id: missing"},
      {"type: detector\nid: x\nproduced_event: {name: openat, version: 1.0.0}\nrequirements: {events: [{name: "
       "open}]}\n",
       "produced_event.name: \"openat\" is an event of the sensors"},
      {requirement("architectures: [s390x]"), "architectures: the detector is not for this machine"},
      {requirement("enrichments: [{name: executable-hash}]"), "\"executable-hash\": events do not have that here"},
      {"type: detector\nid: x\nproduced_event: {name: found, version: 1.0.0, fields: [{name: a, type: text}]}\n"
       "requirements: {events: [{name: open}]}\n",
       "\"text\": expected one of string, int32, int64, uint32, uint64, bool, bytes"},
      {"type: string_list\nname: shells\nvalues: [a]\n", "name: \"shells\": expected capitals with _ between"},
      {"type: string_list\nname: SHELLS\n", "values: missing"},
  };
  for (const auto& [text, error] : cases) {
    const auto errors = ErrorsOf({text});
    ASSERT_FALSE(errors.empty()) << text;
    EXPECT_THAT(errors.front(), HasSubstr(error)) << text;
    EXPECT_THAT(errors.front(), testing::StartsWith("0.yaml:")) << text;
    EXPECT_THAT(Load({text}).rules, IsEmpty());
  }
}

TEST(TraceeDetector, AProblemIsOnlyOfThoseThatNeedIt) {
  const std::string wrong = DetectorText("wrong", "{name: nothing_such}");
  const std::string above = DetectorText("above", "{name: wrong}");
  const std::string right = DetectorText("right", "{name: openat}");
  const LoadedDetectors loaded = Load({above, wrong, right});
  ASSERT_EQ(loaded.rules.size(), 1U);
  EXPECT_EQ(loaded.rules.front().name, "right");
  EXPECT_THAT(ErrorsOf({above, wrong, right}),
              testing::UnorderedElementsAre(HasSubstr("1.yaml:4: Detector/wrong: requirements.events[0].name"),
                                            HasSubstr("\"wrong\": the detector of this event is refused")));
}

TEST(TraceeDetector, NamesAreTakenOnce) {
  EXPECT_THAT(ErrorsOf({DetectorText("a", "{name: openat}"), DetectorText("a", "{name: open}")}),
              ElementsAre(HasSubstr("1.yaml:1: document 1: id: \"id-a\" is that of another detector")));
  const std::string list = "type: string_list\nname: A\nvalues: [a]\n";
  EXPECT_THAT(ErrorsOf({list, list}), ElementsAre(HasSubstr("there are two lists \"A\"")));
}

TEST(TraceeDetector, CirclesAreRefused) {
  const auto errors =
      ErrorsOf({DetectorText("a", "{name: b}"), DetectorText("b", "{name: c}"), DetectorText("c", "{name: a}")});
  EXPECT_THAT(errors, testing::Contains(HasSubstr("detectors that need each other")));
  EXPECT_THAT(Load({DetectorText("a", "{name: b}"), DetectorText("b", "{name: a}")}).rules, IsEmpty());
}

TEST(TraceeDetector, PoliciesNameWhatItProduces) {
  const auto loaded =
      Load({DetectorText("found", "{name: openat}, {name: open}",
                         "output: {fields: [{name: what, expression: 'getEventData(\"pathname\")'}]}\n")});
  ASSERT_THAT(loaded.problems, IsEmpty());
  const auto policy = [&](const std::string& scope, const std::string& filters) {
    return LoadPolicies(
        "p.yaml",
        "type: policy\nname: p\nscope: [" + scope + "]\nrules: [{event: found, filters: [" + filters + "]}]\n",
        loaded.events);
  };
  const auto is_hit = [&](const std::string& scope, const std::string& filters, Made made) {
    const LoadedPolicies policies = policy(scope, filters);
    EXPECT_THAT(policies.problems, IsEmpty());
    return HitsOf(policies.rules, made) == std::vector<std::string>{"p: found"};
  };
  EXPECT_TRUE(is_hit("global", "", Made("openat")));
  EXPECT_TRUE(is_hit("global", "", Made("open")));
  EXPECT_FALSE(is_hit("global", "", Made("creat")));
  EXPECT_TRUE(is_hit("comm=ls", "data.what=/tmp*", Made("open")));
  EXPECT_FALSE(is_hit("comm=cat", "", Made("open")));
  EXPECT_FALSE(is_hit("comm=cat", "", Made("openat")));
  EXPECT_FALSE(is_hit("global", "data.what=/etc*", Made("openat")));
  const LoadedPolicies wrong = policy("global", "data.pathname=/tmp");
  ASSERT_FALSE(wrong.problems.empty());
  EXPECT_THAT(wrong.problems.front().what, HasSubstr("data.pathname: of the event found filters may name what"));
}

TEST(TraceeDetector, ItsTextIsKnown) {
  EXPECT_TRUE(IsDetectorText("type: detector\n"));
  EXPECT_TRUE(IsDetectorText("type: String_List\n"));
  EXPECT_FALSE(IsDetectorText("type: policy\n"));
  EXPECT_FALSE(IsDetectorText("- rule: x\n"));
  EXPECT_FALSE(IsDetectorText("a: [\n"));
}

}  // namespace
}  // namespace sluice::policy::tracee
