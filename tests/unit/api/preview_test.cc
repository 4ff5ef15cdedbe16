#include "ctrl/explain/preview.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/api/world.h"

namespace sluice::explain {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr char kNobody[] = R"(
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: nobody, namespace: shop}
spec: {podSelector: {matchLabels: {app: web}}, policyTypes: [Egress]}
)";

v1::Flow FlowOf(const std::string& from, const std::string& to, std::uint32_t port, const std::string& program = "") {
  v1::Flow flow;
  flow.mutable_ip()->set_source(from);
  flow.mutable_ip()->set_destination(to);
  flow.mutable_l4()->set_protocol("TCP");
  flow.mutable_l4()->set_destination_port(port);
  flow.mutable_time()->set_seconds(1770000000 + port);
  if (!program.empty()) flow.mutable_source()->mutable_process()->set_binary(program);
  return flow;
}

class PreviewTest : public ::testing::Test {
 protected:
  StatusOr<std::shared_ptr<const policy::Snapshot>> With(const std::string& yaml, bool remove = false) const {
    SL_ASSIGN_OR_RETURN(const auto documents, policy::ParseResources("p.yaml", yaml));
    return WithChange(*view_.compiled.snapshot, view_.resources, documents, remove);
  }
  web::Preview Of(const std::string& yaml, const std::vector<v1::Flow>& flows, bool remove = false) const {
    const auto after = With(yaml, remove);
    EXPECT_TRUE(after.ok()) << after.status();
    if (!after.ok()) return {};
    Preview preview(view_.compiled.snapshot, *after, {});
    for (const v1::Flow& flow : flows) preview.Add(flow);
    return preview.answer();
  }

  const reconcile::View view_ = api::MakeView();  // only web-0 is enforced on here
};

TEST_F(PreviewTest, WhatWouldBeDenied) {
  const web::Preview preview = Of(kNobody, {FlowOf("10.1.0.2", "10.1.0.3", 5432), FlowOf("10.1.0.2", "10.1.0.3", 5432),
                                            FlowOf("10.1.0.2", "192.0.2.1", 443), FlowOf("192.0.2.1", "10.1.0.2", 80)});
  EXPECT_EQ(preview.flows(), 4U);
  ASSERT_THAT(preview.denied(), SizeIs(2));
  EXPECT_THAT(preview.allowed(), SizeIs(0));
  EXPECT_EQ(preview.denied(0).flows(), 2U);
  EXPECT_EQ(preview.denied(0).destination_address(), "10.1.0.3");
  ASSERT_THAT(preview.denied(0).policies(), SizeIs(2)) << "the new one, and the note of the one in audit";
  EXPECT_EQ(preview.denied(0).policies(0).name(), "nobody");
  EXPECT_EQ(preview.oldest().seconds(), 1770000080);
}

TEST_F(PreviewTest, WhatWouldBeAllowed) {
  // In force: web may not call anybody.
  policy::ResourceMap resources = view_.resources;
  const auto parsed = policy::ParseResources("p.yaml", kNobody);
  resources.insert_or_assign(parsed->front().id, parsed->front());
  const auto before = WithChange(*view_.compiled.snapshot, view_.resources, *parsed, false);
  const auto after = WithChange(**before, resources, *parsed, true);
  ASSERT_TRUE(after.ok()) << after.status();
  Preview preview(*before, *after, {});
  preview.Add(FlowOf("10.1.0.2", "10.1.0.3", 5432));
  ASSERT_THAT(preview.answer().allowed(), SizeIs(1));
  EXPECT_THAT(preview.answer().denied(), SizeIs(0));
}

TEST_F(PreviewTest, RulesByProgram) {
  const std::string curl_only = R"(
apiVersion: sluice.dev/v1alpha1
kind: NetworkPolicy
metadata: {name: curl, namespace: shop}
spec:
  podSelector: {matchLabels: {app: web}}
  policyTypes: [Egress]
  egress: [{processes: {binaries: [/usr/bin/curl]}}]
)";
  const web::Preview preview =
      Of(curl_only, {FlowOf("10.1.0.2", "10.1.0.3", 80, "/usr/bin/curl"),
                     FlowOf("10.1.0.2", "10.1.0.3", 80, "/usr/bin/nc"), FlowOf("10.1.0.2", "10.1.0.3", 80)});
  ASSERT_THAT(preview.denied(), SizeIs(2)) << "nc, and the unknown program";
  EXPECT_EQ(preview.denied(0).source().process().binary(), "/usr/bin/nc");
}

TEST_F(PreviewTest, QuarantineStaysAsItIs) {
  const auto after = With(kNobody);
  Preview preview(view_.compiled.snapshot, *after, {.workloads = {{"shop", "web-0"}}, .allow = {}});
  preview.Add(FlowOf("10.1.0.2", "10.1.0.3", 5432));
  EXPECT_THAT(preview.answer().denied(), SizeIs(0)) << "denied before, too";
}

TEST_F(PreviewTest, FlowsOfOthersAreNotEvaluated) {
  v1::Flow strange = FlowOf("here", "there", 1);
  const web::Preview preview =
      Of(kNobody, {FlowOf("192.0.2.1", "192.0.2.2", 1), FlowOf("10.2.0.9", "10.1.0.3", 1), strange});
  EXPECT_EQ(preview.flows(), 0U);
  EXPECT_EQ(preview.not_evaluated(), 2U);
}

TEST_F(PreviewTest, IsBounded) {
  std::vector<v1::Flow> flows;
  for (std::uint32_t port = 1; port <= Preview::kMostChanges + 5; ++port)
    flows.push_back(FlowOf("10.1.0.2", "10.1.0.3", port));
  const web::Preview preview = Of(kNobody, flows);
  EXPECT_THAT(preview.denied(), SizeIs(Preview::kMostChanges));
  EXPECT_EQ(preview.left_out(), 5U);
}

TEST_F(PreviewTest, OnlyPoliciesThatExistCanBeRemoved) {
  EXPECT_THAT(Message(With(kNobody, true).status()), HasSubstr("NetworkPolicy shop/nobody: there is no such policy"));
  EXPECT_THAT(Message(With("{apiVersion: v1, kind: Namespace, metadata: {name: a}}").status()),
              HasSubstr("Namespace a: only policies of the network"));
}

}  // namespace
}  // namespace sluice::explain
