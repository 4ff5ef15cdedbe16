#include "ctrl/sluice/cluster_text.h"

#include <gmock/gmock.h>

namespace sluice::client {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

cluster::NodeStatus* AddNode(const std::string& name, cluster::ClusterStatus* status) {
  cluster::NodeStatus& node = *status->add_nodes();
  node.set_node(name);
  node.set_state(cluster::NodeStatus::CONNECTED);
  node.set_version("1.2.3");
  node.mutable_agent()->set_ready(true);
  node.mutable_agent()->set_workloads(7);
  return &node;
}

class ClusterText : public ::testing::Test {
 protected:
  ClusterText() {
    status_.set_version("9.8.7");
    status_.set_source("--agent");
    AddNode("node-1", &status_);
    other_ = AddNode("node-2", &status_);
  }
  cluster::ClusterStatus status_;
  cluster::NodeStatus* other_ = nullptr;
};

TEST_F(ClusterText, AllIsInPlaceWhenEachNodeIs) {
  EXPECT_TRUE(IsInPlace(status_));
  EXPECT_THAT(StatusText(status_), HasSubstr("relay 9.8.7: 2 of 2 nodes answer, found by --agent\n"));
  EXPECT_THAT(StatusText(status_), HasSubstr("node-2  connected"));
}

TEST_F(ClusterText, AMissingNodeIsNotInPlace) {
  other_->set_state(cluster::NodeStatus::MISSING);
  other_->set_problem("connection\x1b[31m refused");
  other_->clear_agent();
  EXPECT_FALSE(IsInPlace(status_));
  EXPECT_THAT(StatusText(status_), HasSubstr("1 of 2 nodes answer"));
  EXPECT_THAT(StatusText(status_), HasSubstr("missing"));
  EXPECT_THAT(StatusText(status_), Not(HasSubstr("\x1b")));
  EXPECT_THAT(NotInPlaceText(status_), HasSubstr("node node-2 is missing: connection"));
}

TEST_F(ClusterText, ANodeThatDoesNotEnforceIsNotInPlace) {
  other_->mutable_agent()->set_ready(false);
  EXPECT_FALSE(IsInPlace(status_));
  EXPECT_THAT(NotInPlaceText(status_), HasSubstr("node node-2 is not in place: the agent runs but does not enforce"));
  other_->clear_agent();
  EXPECT_FALSE(IsInPlace(status_));
  EXPECT_THAT(NotInPlaceText(status_), HasSubstr("did not tell its status in time"));
}

TEST_F(ClusterText, ARelayThatDoesNotKnowItsNodesIsNotInPlace) {
  status_.set_left_out(3);
  EXPECT_FALSE(IsInPlace(status_));
  EXPECT_THAT(NotInPlaceText(status_), HasSubstr("3 nodes are left out"));
  status_.set_problem("pods: list: 403");
  EXPECT_THAT(NotInPlaceText(status_), HasSubstr("does not know which nodes there are: pods: list: 403"));
  EXPECT_THAT(StatusText(status_), HasSubstr("which nodes there are: pods: list: 403"));
  const cluster::ClusterStatus none;
  EXPECT_FALSE(IsInPlace(none));
  EXPECT_EQ(NotInPlaceText(none), "the relay has no nodes");
}

}  // namespace
}  // namespace sluice::client
