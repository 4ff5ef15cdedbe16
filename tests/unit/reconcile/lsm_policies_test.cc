// KubeArmor policies beside the other resources: what is applied, saved, refused and restored.
#include "tests/support/fake_lsm.h"
#include "tests/unit/reconcile/controller_world.h"

namespace sluice::reconcile {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string Armor(const std::string& name, const std::string& spec = "process: {matchPaths: [{path: /bin/cat}]}") {
  return "{apiVersion: security.kubearmor.com/v1, kind: KubeArmorPolicy, metadata: {name: " + name +
         ", namespace: shop}, spec: {" + spec + "}}\n---\n";
}

policy::ResourceId ArmorId(const std::string& name) { return {policy::Kind::kKubeArmorPolicy, {"shop", name}}; }

class LsmPolicies : public ControllerTest {
 protected:
  void SetUp() override {
    Plug("web", 11);
    ASSERT_TRUE(RestartWithLsm().ok());
    ASSERT_TRUE(Apply(Workload("web", "10.0.0.1")).ok());
    kernel_.TakeCalls();
  }
  Status RestartWithLsm() {
    lsm_ = std::make_unique<lsm::LsmController>(kernel_.Options());
    Start(nullptr, lsm_.get());
    return controller_->Restore({.directory = directory_, .kubernetes = kubernetes_}, saved_);
  }

  test::FakeLsm kernel_;
  std::unique_ptr<lsm::LsmController> lsm_;
};

TEST_F(LsmPolicies, AreAppliedSavedAndDeletedAsOtherResourcesAre) {
  const auto revision = Apply(Armor("a"));
  ASSERT_TRUE(revision.ok()) << revision.status();
  EXPECT_THAT(kernel_.rules(), ElementsAre("shop/a spec.process.matchPaths[0]"));
  EXPECT_TRUE(saved_.resources.contains(ArmorId("a")));
  EXPECT_EQ(*Apply(Armor("a")), *revision);  // nothing is different
  EXPECT_EQ(*controller_->Delete({ArmorId("a")}), *revision + 1);
  EXPECT_THAT(kernel_.rules(), IsEmpty());
  EXPECT_FALSE(saved_.resources.contains(ArmorId("a")));
}

TEST_F(LsmPolicies, ARefusedOneChangesNothingElse) {
  ASSERT_TRUE(Apply(Armor("a")).ok());
  const auto view = controller_->view();
  const auto saved = saved_.resources.size();
  kernel_.lacks = "no BPF programs at LSM hooks";
  for (const bool dry : {true, false}) {
    const std::string both = Armor("b") + Policy("db");
    const Status refused = dry ? controller_->Try(Parse(both), {}).status() : Apply(both).status();
    EXPECT_EQ(Message(refused), "KubeArmorPolicy shop/b: no BPF programs at LSM hooks");
  }
  EXPECT_EQ(controller_->view(), view);
  EXPECT_EQ(saved_.resources.size(), saved);
  EXPECT_THAT(kernel_.rules(), ElementsAre("shop/a spec.process.matchPaths[0]"));
}

TEST_F(LsmPolicies, AChangeThatCannotBeSavedIsTakenBack) {
  ASSERT_TRUE(Apply(Armor("a")).ok());
  fail_after_enforcing_ = MakeError(absl::StatusCode::kResourceExhausted, "the disk is full");
  EXPECT_FALSE(Apply(Armor("b", "presets: [{name: exec}]")).ok());
  EXPECT_THAT(kernel_.rules(), ElementsAre("shop/a spec.process.matchPaths[0]"));
  EXPECT_FALSE(lsm_->reports().contains(ArmorId("b")));
}

TEST_F(LsmPolicies, AreInForceAgainAfterARestartBeforeTheOldOnesEnd) {
  ASSERT_TRUE(Apply(Armor("a") + Armor("b", "presets: [{name: exec}]")).ok());
  kernel_.TakeCalls();
  ASSERT_TRUE(RestartWithLsm().ok());
  EXPECT_THAT(kernel_.TakeCalls(), ElementsAre("Open", "Replace shop/web", "SetSubjects shop/web", "EndEarlier"));
  // A kernel that can no more leaves what there is, and stops nothing else.
  kernel_.lacks = "no BPF programs at LSM hooks";
  ASSERT_TRUE(RestartWithLsm().ok());
  EXPECT_THAT(kernel_.TakeCalls(), IsEmpty()) << "nor does it end the agent before";
  EXPECT_EQ(lsm_->reports().at(ArmorId("a")).problem, "no BPF programs at LSM hooks");
  EXPECT_TRUE(controller_->view()->holding.empty());
}

TEST_F(LsmPolicies, CoverAWorkloadBeforeItIsAttached) {
  ASSERT_TRUE(Apply(Armor("a")).ok());
  kernel_.TakeCalls();
  Plug("db", 12);
  kernel_.FailNext("Replace shop/db shop/web", MakeError(absl::StatusCode::kResourceExhausted, "8192 rules"));
  EXPECT_THAT(Message(Apply(Workload("db", "10.0.0.2")).status()), HasSubstr("8192 rules"));
  EXPECT_TRUE(IsClosed(12));
  kernel_.TakeCalls();
  ASSERT_TRUE(Apply(Workload("db", "10.0.0.2")).ok());
  EXPECT_THAT(kernel_.TakeCalls(), ElementsAre("Replace shop/db shop/web", "SetSubjects shop/db shop/web"));
}

TEST_F(LsmPolicies, AnAgentWithoutThemRefusesThem) {
  ASSERT_TRUE(Restart().ok());
  EXPECT_EQ(Message(Apply(Armor("a")).status()), "KubeArmorPolicy shop/a: this agent enforces no such policies");
}

// Rules about peers are part of the generation.
TEST_F(LsmPolicies, PeersAreInTheTablesOfThePacketPath) {
  kernel_.lacks = "no BPF programs at LSM hooks";
  ASSERT_TRUE(Apply(Armor("a", "network: {matchPeers: [{cidr: 10.9.0.0/16, fromSource: [{path: /bin/nc}]}]}")).ok());
  EXPECT_EQ(controller_->view()->compiled.rulesets.size(), 1U);
  ASSERT_TRUE(controller_->Delete({ArmorId("a")}).ok());
  EXPECT_TRUE(controller_->view()->compiled.rulesets.empty());
}

}  // namespace
}  // namespace sluice::reconcile
