#include "ctrl/detect/rule_follower.h"

#include <gmock/gmock.h>

#include "tests/unit/detect/rules.h"

namespace sluice::detect {
namespace {

using namespace std::chrono_literals;
using test::Eventually;
using test::RuleText;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

class RuleFollowerTest : public testing::Test {
 protected:
  std::unique_ptr<RuleFollower> Make(std::vector<std::string> paths) {
    return std::make_unique<RuleFollower>(RuleFollower::Options{.files = {.paths = std::move(paths)}, .look = 5ms},
                                          &sensors_, &detector_);
  }
  std::vector<std::string> InForce() const {
    std::vector<std::string> names;
    for (const telemetry::RuleNumbers& rule : detector_.Rules()) names.push_back(rule.rule);
    return names;
  }

  test::Directory directory_;
  telemetry::EventHub hub_{{.node = "node-1"}, [](bool) {}};
  telemetry::Detector detector_{{.node = "node-1"}, &hub_, nullptr};
  // The types that the sensors were asked for, and the rules in force at that moment.
  struct Asked {
    bool opens = false;
    bool makes = false;
    std::vector<std::string> in_force;
  };
  std::vector<Asked> asked_;
  Status refusal_;
  SensorNeeds sensors_{[this](const Rulesets& rulesets) -> Status {
    SL_RETURN_IF_ERROR(refusal_);
    policy::rules::EventSet types;
    for (const auto& ruleset : rulesets) types |= ruleset->event_types();
    asked_.push_back({.opens = types.test(*policy::rules::FindEventType("openat")),
                      .makes = types.test(*policy::rules::FindEventType("mkdir")),
                      .in_force = InForce()});
    return OkStatus();
  }};
};

TEST_F(RuleFollowerTest, FilesBuildOnEachOtherInTheirOrder) {
  std::filesystem::create_directory(directory_.path("d"));
  directory_.Write("d/20.yaml", RuleText("Two", "evt.type = mkdir"));
  directory_.Write("d/10.yaml", RuleText("Ten", "evt.type = openat"));
  directory_.Write("d/notes.txt", "no rules");
  const std::string last =
      directory_.Write("last.yaml", "- {rule: Two, enabled: false, override: {enabled: replace}}\n");
  const auto follower = Make({directory_.path("d"), last});
  const Status loaded = follower->Reload();
  ASSERT_TRUE(loaded.ok()) << loaded;
  EXPECT_THAT(InForce(), ElementsAre("Ten"));
  const auto numbers = follower->Numbers();
  EXPECT_TRUE(numbers.in_force);
  ASSERT_THAT(numbers.files, SizeIs(3));
  EXPECT_EQ(numbers.files[0].path, directory_.path("d/10.yaml"));
  EXPECT_THAT(numbers.files[0].sha256, SizeIs(64));
  EXPECT_GT(numbers.loaded_ns, 0);
}

TEST_F(RuleFollowerTest, RulesBelowThePriorityAreLeftOut) {
  const std::string file = directory_.Write(
      "r.yaml", RuleText("High", "evt.type = openat", "ERROR") + RuleText("Low", "evt.type = mkdir", "NOTICE"));
  const auto loaded = LoadRuleFiles({.paths = {file}, .lowest = policy::rules::Priority::kError});
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  ASSERT_THAT(loaded->ruleset->rules(), SizeIs(1));
  EXPECT_EQ(loaded->ruleset->rules()[0].name, "High");
  EXPECT_EQ(loaded->switched_off, 1U);
}

TEST_F(RuleFollowerTest, SensorsWidenBeforeTheRulesAndNarrowAfterThem) {
  const std::string file = directory_.Write("r.yaml", RuleText("Opens", "evt.type = openat"));
  const auto follower = Make({file});
  ASSERT_TRUE(follower->Reload().ok());
  directory_.Write("r.yaml", RuleText("Makes", "evt.type = mkdir"));
  ASSERT_TRUE(follower->Reload().ok());
  ASSERT_THAT(asked_, SizeIs(3));
  EXPECT_TRUE(asked_[1].opens && asked_[1].makes) << "both, and the old rules are in force";
  EXPECT_THAT(asked_[1].in_force, ElementsAre("Opens"));
  EXPECT_TRUE(!asked_[2].opens && asked_[2].makes) << "the new ones only, and they are in force";
  EXPECT_THAT(asked_[2].in_force, ElementsAre("Makes"));
}

TEST_F(RuleFollowerTest, AWrongFileKeepsTheEarlierRulesAndSaysWhy) {
  const std::string file = directory_.Write("r.yaml", RuleText("One", "evt.type = openat"));
  const auto follower = Make({file});
  ASSERT_TRUE(follower->Reload().ok());
  directory_.Write("r.yaml", "- rule: One\n  condition: proc.nam = x\n");
  const Status refused = follower->Reload();
  EXPECT_TRUE(absl::IsInvalidArgument(refused));
  EXPECT_THAT(Message(refused), HasSubstr(file + ":1:"));
  EXPECT_THAT(InForce(), ElementsAre("One"));
  EXPECT_EQ(follower->Numbers().problem, Message(refused));
  EXPECT_EQ(follower->Numbers().refusals, 1U);
  std::filesystem::remove(file);
  EXPECT_FALSE(follower->Reload().ok());
  EXPECT_THAT(InForce(), ElementsAre("One"));
  directory_.Write("r.yaml", RuleText("Two", "evt.type = openat"));
  refusal_ = MakeError(absl::StatusCode::kFailedPrecondition, "the verifier refuses it");
  EXPECT_THAT(Message(follower->Reload()), HasSubstr("verifier"));
  EXPECT_THAT(InForce(), ElementsAre("One"));
  refusal_ = OkStatus();
  EXPECT_TRUE(follower->Reload().ok());
  EXPECT_THAT(InForce(), ElementsAre("Two"));
  EXPECT_EQ(follower->Numbers().problem, "");
}

TEST_F(RuleFollowerTest, TraceesPoliciesAreRulesToo) {
  directory_.Write("a.yaml", RuleText("One", "evt.type = openat"));
  directory_.Write("b.yaml",
                   "type: policy\nname: p\nscope: [global]\nrules: [{event: mkdir}, {event: proc_kcore_read}]\n");
  const auto loaded = LoadRuleFiles({.paths = {directory_.path()}});
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  std::vector<std::string> names;
  for (const auto& rule : loaded->ruleset->rules()) names.push_back(rule.name);
  EXPECT_THAT(names, ElementsAre("One", "p: mkdir", "p: proc_kcore_read"));
  EXPECT_THAT(loaded->files, SizeIs(2));
  const std::string wrong =
      directory_.Write("c.yaml", "type: policy\nname: p\nscope: [global]\nrules: [{event: mkdir}]\n");
  EXPECT_THAT(Message(LoadRuleFiles({.paths = {directory_.path()}}).status()),
              HasSubstr(wrong + ":4: rule p: mkdir is in "));
  directory_.Write("c.yaml", "type: policy\nname: q\nscope: [global]\nrules: [{event: net_packet_dns}]\n");
  EXPECT_THAT(Message(LoadRuleFiles({.paths = {directory_.path()}}).status()),
              HasSubstr(wrong + ":4: Policy/q: rules[0].event: \"net_packet_dns\""));
}

// A detector may build on one of another file, and take a list from a third.
TEST_F(RuleFollowerTest, TraceesDetectorsAreRulesToo) {
  directory_.Write("a.yaml",
                   "type: detector\nid: a\nproduced_event: {name: outer, version: 1.0.0}\n"
                   "requirements: {events: [{name: inner, scope_filters: [container]}]}\n");
  const std::string inner = directory_.Write(
      "b.yaml",
      "type: detector\nid: b\nproduced_event: {name: inner, version: 1.0.0}\nrequirements: {events: [{name: openat}]}\n"
      "conditions: ['getEventData(\"pathname\") in PLACES']\n");
  EXPECT_THAT(Message(LoadRuleFiles({.paths = {directory_.path()}}).status()),
              HasSubstr(inner + ":5: Detector/inner: conditions[0]: column 29: there is no list PLACES"));
  directory_.Write("c.yaml", "type: string_list\nname: PLACES\nvalues: [/etc/shadow]\n");
  directory_.Write("d.yaml", RuleText("One", "evt.type = openat"));
  const auto loaded = LoadRuleFiles({.paths = {directory_.path()}});
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  std::vector<std::string> names;
  for (const auto& rule : loaded->ruleset->rules()) names.push_back(rule.name);
  EXPECT_THAT(names, ElementsAre("One", "outer", "inner"));
  EXPECT_THAT(loaded->files, SizeIs(4));
  directory_.Write("e.yaml", "type: policy\nname: p\nscope: [comm=ls]\nrules: [{event: outer}]\n");
  const auto with_policy = LoadRuleFiles({.paths = {directory_.path()}});
  ASSERT_TRUE(with_policy.ok()) << with_policy.status();
  ASSERT_THAT(with_policy->ruleset->rules(), SizeIs(4));
  EXPECT_EQ(with_policy->ruleset->rules()[1].name, "p: outer") << "before the detectors";
}

TEST_F(RuleFollowerTest, ADirectoryWithoutRulesIsAnError) {
  const auto loaded = LoadRuleFiles({.paths = {directory_.path()}});
  EXPECT_THAT(Message(loaded.status()), HasSubstr("there is no *.yaml or *.yml file"));
}

TEST_F(RuleFollowerTest, ChangesAreFollowed) {
  const std::string file = directory_.Write("r.yaml", RuleText("One", "evt.type = openat"));
  const auto follower = Make({directory_.path()});
  ASSERT_TRUE(follower->Reload().ok());
  follower->Follow();
  directory_.Write("more.yaml", RuleText("More", "evt.type = mkdir"));
  EXPECT_TRUE(Eventually([&] { return InForce() == std::vector<std::string>{"More", "One"}; }));
  directory_.Write("more.yaml", "- nothing\n");
  EXPECT_TRUE(Eventually([&] { return follower->Numbers().refusals > 0; }));
  EXPECT_THAT(InForce(), ElementsAre("More", "One"));
  std::filesystem::remove(directory_.path("more.yaml"));
  EXPECT_TRUE(Eventually([&] { return InForce() == std::vector<std::string>{"One"}; }));
  EXPECT_TRUE(Eventually([&] { return follower->Numbers().problem.empty(); })) << "told after the rules changed";
}

TEST_F(RuleFollowerTest, ARecordingAddsToWhatTheRulesNeed) {
  const std::string file = directory_.Write("r.yaml", RuleText("One", "evt.type = openat"));
  const auto follower = Make({file});
  ASSERT_TRUE(follower->Reload().ok());
  policy::rules::EventSet types;
  types.set(*policy::rules::FindEventType("mkdir"));
  const auto number = sensors_.AddRecording(types);
  ASSERT_TRUE(number.ok()) << number.status();
  EXPECT_TRUE(asked_.back().opens && asked_.back().makes);
  sensors_.RemoveRecording(*number);
  EXPECT_TRUE(asked_.back().opens && !asked_.back().makes);
  EXPECT_FALSE(sensors_.AddRecording({}).ok());
  SensorNeeds none(nullptr);
  EXPECT_EQ(none.AddRecording(types).status().code(), absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace sluice::detect
