#include "ctrl/relay/nodes.h"

#include <gmock/gmock.h>

#include <fstream>

#include "ctrl/relay/node_file.h"
#include "tests/unit/relay/cluster_fixture.h"

namespace sluice::cluster {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class NodesTest : public ClusterTest {
 protected:
  std::vector<std::string> Connected() const {
    std::vector<std::string> names;
    for (const NodePtr& node : nodes_->connected()) names.push_back(node->name());
    return names;
  }
};

TEST(NodeAddressTest, ReadsAddressesAndNames) {
  const auto read = [](const std::string& text) {
    const auto node = ParseNodeAddress(text);
    return node.ok() ? node->name + "|" + node->address : "";
  };
  EXPECT_EQ(read("unix:///run/a.sock"), "|unix:///run/a.sock");
  EXPECT_EQ(read("/run/a.sock"), "|unix:///run/a.sock");
  EXPECT_EQ(read("node-1=10.0.0.1:9471"), "node-1|10.0.0.1:9471");
  EXPECT_EQ(read("[fd00::1]:9471"), "|[fd00::1]:9471");
  EXPECT_EQ(read("a.example:9471"), "|a.example:9471");
  for (const char* const bad : {"", "=", "node-1=", "=10.0.0.1:1", "10.0.0.1", "10.0.0.1:", ":9471", "10.0.0.1:http",
                                "a b=10.0.0.1:1", "http://10.0.0.1:1", "unix:a.sock"}) {
    EXPECT_EQ(read(bad), "") << bad;
  }
}

TEST_F(NodesTest, KnowsWhoAnswersAndUnderWhichName) {
  StartAgent("node-2");
  StartAgent("node-1");
  Know({"node-1", "node-2", "node-3"});
  ASSERT_TRUE(AwaitConnected(2));
  EXPECT_THAT(Connected(), ElementsAre("node-1", "node-2"));
  EXPECT_THAT(nodes_->MissingText(), HasSubstr("2 of 3 nodes answer; missing: " + AddressOf("node-3") + " ("));
  ClusterStatus status;
  nodes_->Describe(&status);
  ASSERT_EQ(status.nodes_size(), 3);
  EXPECT_EQ(status.source(), "the test");
  EXPECT_EQ(status.nodes(0).version(), "1.2.3");
  EXPECT_EQ(status.nodes(2).state(), NodeStatus::MISSING);
  EXPECT_NE(status.nodes(2).problem(), "");
}

TEST_F(NodesTest, NoticesAgentsThatGoAndComeBack) {
  FakeNode& agent = StartAgent("node-1");
  Know({"node-1"});
  ASSERT_TRUE(AwaitConnected(1));
  const std::uint64_t seen = nodes_->WaitForChange(0, std::chrono::milliseconds(0));
  agent.Stop();
  ASSERT_TRUE(AwaitConnected(0));
  EXPECT_NE(nodes_->WaitForChange(seen, std::chrono::seconds(5)), seen);
  EXPECT_EQ(nodes_->all().front()->name(), "node-1") << "the name stays";
  agent.Start();
  ASSERT_TRUE(AwaitConnected(1));
  EXPECT_EQ(nodes_->MissingText(), "");
}

TEST_F(NodesTest, AnAgentThatHangsIsMissing) {
  FakeNode& agent = StartAgent("node-1");
  Know({"node-1"});
  ASSERT_TRUE(AwaitConnected(1));
  agent.HangStatus(true);
  ASSERT_TRUE(AwaitConnected(0));
  EXPECT_THAT(nodes_->MissingText(), HasSubstr("no answer within 0.5 s"));
  agent.HangStatus(false);
  ASSERT_TRUE(AwaitConnected(1));
}

TEST_F(NodesTest, TwoAgentsCannotBeTheSameNode) {
  agents_.push_back(std::make_unique<FakeNode>("node-1", AddressOf("a")));
  Know({"a", "b"});
  ASSERT_TRUE(AwaitConnected(1));
  agents_.push_back(std::make_unique<FakeNode>("node-1", AddressOf("b")));
  ASSERT_TRUE(Eventually([&] { return nodes_->MissingText().find("says that it is node-1") != std::string::npos; }));
  EXPECT_EQ(nodes_->connected().size(), 1U);
  EXPECT_EQ(nodes_->connected().front()->address(), AddressOf("a"));
}

TEST_F(NodesTest, AnAgentsNameIsNotBelievedWhereItIsKnown) {
  agents_.push_back(std::make_unique<FakeNode>("node-2", AddressOf("a")));
  nodes_ = std::make_unique<Nodes>(Quick());
  nodes_->Set({{.name = "node-1", .address = AddressOf("a")}}, "the test");
  ASSERT_TRUE(AwaitConnected(1));
  EXPECT_THAT(Connected(), ElementsAre("node-1"));
}

TEST_F(NodesTest, NodesThatStayKeepTheirConnection) {
  StartAgent("node-1");
  StartAgent("node-2");
  Know({"node-1"});
  ASSERT_TRUE(AwaitConnected(1));
  const NodePtr before = nodes_->all().front();
  Know({"node-1", "node-2"});
  EXPECT_EQ(nodes_->all().size(), 2U);
  ASSERT_TRUE(AwaitConnected(2));
  EXPECT_EQ(nodes_->all().front(), before);
  Know({"node-2"});
  EXPECT_THAT(Connected(), ElementsAre("node-2"));
}

TEST_F(NodesTest, BeyondTheLimitNodesAreLeftOutAndCounted) {
  std::vector<std::string> names;
  for (int i = 0; i < 11; ++i) names.push_back(fmt::format("node-{:02}", i));
  Know(names);
  ClusterStatus status;
  nodes_->Describe(&status);
  EXPECT_EQ(status.nodes_size(), 8);
  EXPECT_EQ(status.left_out(), 3U);
}

TEST_F(NodesTest, AFileIsFollowedAndABadOneChangesNothing) {
  StartAgent("node-1");
  StartAgent("node-2");
  const std::string path = directory_ + "/agents";
  std::ofstream(path) << "# two\n" << AddressOf("node-1") << "  # the first\n\n";
  nodes_ = std::make_unique<Nodes>(Quick());
  const auto file = NodeFile::Start(path, {}, nodes_.get());
  ASSERT_TRUE(file.ok()) << file.status();
  ASSERT_TRUE(AwaitConnected(1));
  std::ofstream(path, std::ios::app) << "two=" << AddressOf("node-2") << "\n";
  ASSERT_TRUE(AwaitConnected(2));
  EXPECT_THAT(Connected(), ElementsAre("node-1", "two"));
  std::ofstream(path) << AddressOf("node-1") << "\nnonsense\n";
  const auto problem = [&] {
    ClusterStatus status;
    nodes_->Describe(&status);
    return status.problem();
  };
  ASSERT_TRUE(Eventually([&] { return !problem().empty(); }));
  EXPECT_THAT(problem(), HasSubstr(path + ":2: nonsense"));
  EXPECT_EQ(nodes_->all().size(), 2U);
  std::ofstream(path) << AddressOf("node-1") << "\n";
  ASSERT_TRUE(Eventually([&] { return nodes_->all().size() == 1 && problem().empty(); }));
}

TEST(NodeFileTest, NamesTheFileAndTheLine) {
  const auto missing = ReadNodeFile("/nowhere/agents");
  EXPECT_THAT(Message(missing.status()), HasSubstr("/nowhere/agents: cannot be opened"));
}

}  // namespace
}  // namespace sluice::cluster
