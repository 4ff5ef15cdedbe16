#include "telemetry/flow/policy_verdicts.h"

#include "telemetry/event/event_hub.h"
#include "telemetry/event/history.h"
#include "telemetry/flow/flow_sweeper.h"
#include "tests/unit/telemetry/scene.h"

namespace sluice::telemetry {
namespace {

using ::testing::ElementsAre;

constexpr const char* kDb =
    "podSelector: {matchLabels: {app: db}}, ingress: [{ports: [{port: 80}]}, {ports: [{port: 81}]}]";

class PolicyVerdictsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    sweeper_.CountVerdicts(&verdicts_);
    scene_.world.Apply(policy::PolicyYaml("shop", "db", kDb));
    ASSERT_TRUE(sweeper_.Sweep().ok());  // entries older than the agent
  }
  void AddFlow(const std::string& service) {
    FlowRecord record = scene_.Record("shop/web", "shop/db", service);
    record.slot = place_++;
    record.entry.id = place_;
    scene_.datapath.AddFlow(record);
  }
  std::vector<std::string> Lines(const PolicyVerdicts& verdicts) const {
    std::vector<std::string> lines;
    for (const auto& [rule, flows] : verdicts.Rows())
      lines.push_back(fmt::format("{} {} {}: {}", rule.policy.ToString(), rule.rule,
                                  v1::PolicyRef::Effect_Name(rule.effect), flows));
    return lines;
  }

  Scene scene_;
  FlowAssembler assembler_ = scene_.Assembler();
  History history_;
  EventHub hub_{{.node = "node-1", .queue_capacity = 1}, [](bool) {}};
  FlowSweeper sweeper_{&scene_.datapath, &assembler_, &history_, &hub_};
  PolicyVerdicts verdicts_{64};
  std::uint32_t place_ = 0;
};

TEST_F(PolicyVerdictsTest, EachFlowCountsOnceForTheRuleThatDecidedIt) {
  AddFlow("80/TCP");
  AddFlow("80/TCP");
  AddFlow("81/TCP");
  AddFlow("82/TCP");
  for (int pass = 0; pass < 2; ++pass) {
    ASSERT_TRUE(sweeper_.Sweep().ok());
    EXPECT_THAT(Lines(verdicts_), ElementsAre("shop/db  DEFAULT_DENY: 1", "shop/db ingress[0] ALLOW: 2",
                                              "shop/db ingress[1] ALLOW: 1", "other  EFFECT_UNSPECIFIED: 0"));
  }
}

TEST_F(PolicyVerdictsTest, WhatAnEarlierAgentCountedIsNotCountedAgain) {
  AddFlow("80/TCP");
  PolicyVerdicts next(16);
  sweeper_.CountVerdicts(&next);
  ASSERT_TRUE(sweeper_.Sweep().ok());
  ASSERT_TRUE(sweeper_.Sweep().ok());
  EXPECT_THAT(Lines(next), ElementsAre("other  EFFECT_UNSPECIFIED: 0"));
}

TEST_F(PolicyVerdictsTest, SeriesGoWithTheirPolicyAndAreBounded) {
  PolicyVerdicts few(8);  // one for a namespace
  sweeper_.CountVerdicts(&few);
  ASSERT_TRUE(sweeper_.Sweep().ok());
  AddFlow("80/TCP");
  AddFlow("81/TCP");
  ASSERT_TRUE(sweeper_.Sweep().ok());
  EXPECT_THAT(Lines(few), ElementsAre("shop/db ingress[0] ALLOW: 1", "other  EFFECT_UNSPECIFIED: 1"));
  scene_.world.Delete(policy::Kind::kNetworkPolicy, {"shop", "db"});
  ASSERT_TRUE(sweeper_.Sweep().ok());
  EXPECT_THAT(Lines(few), ElementsAre("other  EFFECT_UNSPECIFIED: 1"));
}

}  // namespace
}  // namespace sluice::telemetry
