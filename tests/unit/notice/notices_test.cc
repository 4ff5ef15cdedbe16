// Who writes what about which object, and how often: with clocks that the test moves.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "ctrl/notice/node_notices.h"
#include "ctrl/notice/nodes_of_pods.h"
#include "ctrl/notice/policy_notices.h"
#include "ctrl/notice/turn.h"

namespace sluice::notice {
namespace {

using nlohmann::json;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

std::set<std::string> Nodes(int count) {
  std::set<std::string> nodes;
  for (int i = 0; i < count; ++i) nodes.insert("node-" + std::to_string(i));
  return nodes;
}

TEST(NoticeTurn, EachTurnIsOneNodesAndObjectsAreSharedOut) {
  const std::set<std::string> nodes = Nodes(20);
  std::map<std::string, int> first;
  for (int uid = 0; uid < 400; ++uid) {
    std::map<std::size_t, int> turns;
    for (const std::string& node : nodes) {
      const std::size_t turn = TurnOf(node, nodes, std::to_string(uid));
      ++turns[turn];
      if (turn == 0) ++first[node];
    }
    for (std::size_t turn = 0; turn < kTurns; ++turn) ASSERT_EQ(turns[turn], 1) << uid << " " << turn;
    ASSERT_EQ(turns[kTurns], 16);
  }
  ASSERT_EQ(first.size(), 20U);
  for (const auto& [node, count] : first) EXPECT_LT(count, 60) << node;
}

TEST(NoticeTurn, AnotherNodeChangesLittle) {
  const std::set<std::string> nodes = Nodes(20), more = Nodes(21);
  int changed = 0;
  for (int uid = 0; uid < 400; ++uid) {
    for (const std::string& node : nodes) {
      const std::string text = std::to_string(uid);
      if (TurnOf(node, nodes, text) == 0 && TurnOf(node, more, text) != 0) ++changed;
    }
  }
  EXPECT_LT(changed, 60);
}

TEST(NoticeTurn, ANodeThatNobodyKnowsHasATurnToo) {
  EXPECT_EQ(TurnOf("alone", {}, "uid"), 0U);
  EXPECT_LE(TurnOf("alone", Nodes(2), "uid"), 2U);
}

TEST(NodesOfPods, CountsPodsByUid) {
  NodesOfPods pods;
  pods.Put("a", "");
  EXPECT_THAT(pods.nodes(), IsEmpty());
  pods.Put("a", "node-1");
  pods.Put("a", "node-1");
  pods.Put("b", "node-1");
  pods.Put("c", "node-2");
  EXPECT_THAT(pods.nodes(), ElementsAre("node-1", "node-2"));
  pods.Remove("a");
  pods.Remove("c");
  pods.Remove("never-there");
  EXPECT_THAT(pods.nodes(), ElementsAre("node-1"));
  pods.Put("b", "node-3");
  EXPECT_THAT(pods.nodes(), ElementsAre("node-3"));
}

class PolicyNoticesTest : public ::testing::Test {
 protected:
  static SeenPolicy Own(const std::string& refused = "", std::int64_t generation = 1) {
    return {.about = {"sluice.dev/v1alpha1", "NetworkPolicy", "shop", "db", "uid-db"},
            .generation = generation,
            .resource_version = "77",
            .has_status = true,
            .enforced = std::nullopt,
            .refused = refused};
  }
  static SeenPolicy Kubernetes(const std::string& refused) {
    SeenPolicy policy = Own(refused);
    policy.about.api_version = "networking.k8s.io/v1";
    policy.has_status = false;
    return policy;
  }
  // As the server shows it after `write`.
  static SeenPolicy With(SeenPolicy policy, const kube::Write& write) {
    const json one = json::parse(write.body)["status"]["conditions"][0];
    policy.enforced = Condition{.status = one["status"],
                                .reason = one["reason"],
                                .message = one["message"],
                                .generation = one["observedGeneration"],
                                .since = one["lastTransitionTime"]};
    policy.resource_version = "78";
    return policy;
  }
  std::vector<kube::Write> Due(bool in_force = true, std::size_t room = 64) {
    return notices_.Due(nodes_, in_force, room, now_, wall_);
  }

  const kube::WallTime wall_{std::chrono::seconds(1'767'225'600)};  // 2026-01-01
  kube::TimePoint now_ = kube::TimePoint() + std::chrono::hours(9);
  std::set<std::string> nodes_;
  PolicyNotices notices_{"here"};
};

TEST_F(PolicyNoticesTest, ARefusedPolicyHasOneEventAndACondition) {
  notices_.See(Own("NetworkPolicy shop/db: spec.ingress[0].ports[0].endPort: 79 is below port 80"), now_);
  const auto writes = Due();
  ASSERT_THAT(writes, SizeIs(2));
  EXPECT_EQ(writes[0].method, "POST");
  EXPECT_EQ(writes[0].path, "/api/v1/namespaces/shop/events");
  EXPECT_TRUE(writes[0].ok_if_there);
  const json event = json::parse(writes[0].body);
  EXPECT_EQ(event["reason"], "PolicyRefused");
  EXPECT_EQ(event["type"], "Warning");
  EXPECT_THAT(event["message"], HasSubstr("endPort: 79 is below port 80"));
  EXPECT_THAT(event["message"], HasSubstr("apply the policy again"));
  EXPECT_EQ(event["involvedObject"]["kind"], "NetworkPolicy");
  EXPECT_EQ(event["involvedObject"]["apiVersion"], "sluice.dev/v1alpha1");
  EXPECT_EQ(event["involvedObject"]["uid"], "uid-db");
  EXPECT_EQ(event["source"]["host"], "here");
  EXPECT_EQ(event["firstTimestamp"], "2026-01-01T00:00:00Z");
  EXPECT_EQ(writes[1].method, "PATCH");
  EXPECT_EQ(writes[1].path, "/apis/sluice.dev/v1alpha1/namespaces/shop/networkpolicies/db/status");
  const json patch = json::parse(writes[1].body);
  EXPECT_EQ(patch["metadata"]["resourceVersion"], "77") << "so that a newer version is not written about";
  EXPECT_EQ(patch["status"]["conditions"][0]["status"], "False");
  EXPECT_EQ(patch["status"]["observedGeneration"], 1);

  EXPECT_THAT(Due(), IsEmpty()) << "once";
  const SeenPolicy told =
      With(Own("NetworkPolicy shop/db: spec.ingress[0].ports[0].endPort: 79 is below port 80"), writes[1]);
  notices_.See(told, now_);
  EXPECT_THAT(Due(), IsEmpty()) << "what the server shows now is what we wrote";
}

TEST_F(PolicyNoticesTest, AMendedPolicyIsEnforced) {
  notices_.See(Own("bad"), now_);
  const auto refused = Due();
  ASSERT_THAT(refused, SizeIs(2));
  SeenPolicy mended = With(Own("bad"), refused[1]);
  mended.refused.clear();
  mended.generation = 2;
  notices_.See(mended, now_);
  EXPECT_THAT(Due(false), IsEmpty()) << "nothing is said to be enforced that is not";
  const auto writes = Due();
  ASSERT_THAT(writes, SizeIs(1));
  const json one = json::parse(writes[0].body)["status"]["conditions"][0];
  EXPECT_EQ(one["status"], "True");
  EXPECT_EQ(one["observedGeneration"], 2);
  // Another change of the same status keeps the time.
  SeenPolicy again = With(mended, writes[0]);
  again.enforced->since = "2025-12-31T00:00:00Z";
  again.generation = 3;
  notices_.See(again, now_);
  const auto third = Due();
  ASSERT_THAT(third, SizeIs(1));
  EXPECT_EQ(json::parse(third[0].body)["status"]["conditions"][0]["lastTransitionTime"], "2025-12-31T00:00:00Z");
}

TEST_F(PolicyNoticesTest, AKubernetesPolicyHasEventsOnly) {
  notices_.See(Kubernetes(""), now_);
  EXPECT_THAT(Due(), IsEmpty());
  notices_.See(Kubernetes("bad"), now_);
  EXPECT_THAT(Due(), SizeIs(1));
}

TEST_F(PolicyNoticesTest, TheEventOfEachGenerationHasAnotherName) {
  std::set<json> names;
  for (const std::int64_t generation : {1, 2, 2}) {
    notices_.See(Kubernetes("bad"), now_);
    SeenPolicy policy = Kubernetes("bad");
    policy.generation = generation;
    notices_.See(policy, now_);
    for (const kube::Write& write : Due()) names.insert(json::parse(write.body)["metadata"]["name"]);
  }
  EXPECT_THAT(names, SizeIs(2));
  for (const json& name : names) EXPECT_THAT(name.get<std::string>(), ::testing::StartsWith("db."));
}

// 5,000 agents see the same policy.
TEST_F(PolicyNoticesTest, OneAgentWritesAndOthersOnlyIfItDoesNot) {
  nodes_ = Nodes(200);
  std::map<std::string, std::unique_ptr<PolicyNotices>> agents;
  for (const std::string& node : nodes_) agents[node] = std::make_unique<PolicyNotices>(node);
  for (const auto& [node, agent] : agents) agent->See(Own("bad"), now_);
  const auto write = [&] {
    std::vector<kube::Write> all;
    for (const auto& [node, agent] : agents) {
      for (kube::Write& one : agent->Due(nodes_, true, 64, now_, wall_)) all.push_back(std::move(one));
    }
    return all;
  };
  const auto writes = write();
  ASSERT_THAT(writes, SizeIs(2)) << "one Event and one condition, of one agent";
  EXPECT_THAT(write(), IsEmpty());

  // Nobody sees the condition: the server lost it. The next agents try, and the server knows their Event by its name.
  const auto name_of = [](const kube::Write& one) { return json::parse(one.body)["metadata"]["name"]; };
  std::size_t later = 0;
  for (int second = 1; second < 120; ++second) {
    now_ += seconds(1);
    for (const kube::Write& one : write()) {
      ++later;
      if (one.method == "POST") {
        EXPECT_EQ(name_of(one), name_of(writes[0]));
      }
    }
  }
  EXPECT_EQ(later, 2 * (kTurns - 1));
}

TEST_F(PolicyNoticesTest, TheConditionOfTheFirstAgentSilencesTheOthers) {
  nodes_ = Nodes(50);
  std::map<std::string, std::unique_ptr<PolicyNotices>> agents;
  for (const std::string& node : nodes_) agents[node] = std::make_unique<PolicyNotices>(node);
  for (const auto& [node, agent] : agents) agent->See(Own(), now_);
  std::vector<kube::Write> all;
  const auto write = [&] {
    for (const auto& [node, agent] : agents) {
      for (kube::Write& one : agent->Due(nodes_, true, 64, now_, wall_)) all.push_back(std::move(one));
    }
  };
  write();
  ASSERT_THAT(all, SizeIs(1));
  for (const auto& [node, agent] : agents) agent->See(With(Own(), all[0]), now_);
  for (int second = 1; second < 120; ++second) {
    now_ += seconds(1);
    write();
  }
  EXPECT_THAT(all, SizeIs(1));
}

// During an upgrade, two versions may see a policy differently.
TEST_F(PolicyNoticesTest, AnotherVersionsVerdictIsNotFoughtAboutForEver) {
  std::size_t written = 0;
  for (int round = 0; round < 20; ++round) {
    SeenPolicy policy = Own();
    policy.enforced =
        Condition{.status = "False", .reason = "PolicyRefused", .message = "", .generation = 1, .since = ""};
    notices_.See(policy, now_);
    written += Due().size();
  }
  EXPECT_EQ(written, PolicyNotices::kTries);
  SeenPolicy other_words = Own("", 2);
  other_words.enforced =
      Condition{.status = "True", .reason = "Enforced", .message = "x", .generation = 2, .since = ""};
  notices_.See(other_words, now_);
  EXPECT_FALSE(notices_.HasDue()) << "only the words differ";
}

TEST_F(PolicyNoticesTest, ADeletedPolicyIsForgottenUnlessItIsAnotherOne) {
  notices_.See(Own("bad"), now_);
  notices_.Forget("sluice.dev/v1alpha1", {.key = {"shop", "db"}, .uid = "of-the-former-one"});
  notices_.Forget("networking.k8s.io/v1", {.key = {"shop", "db"}, .uid = "uid-db"});
  EXPECT_THAT(Due(true, 1), IsEmpty()) << "there is no room";
  EXPECT_THAT(Due(), SizeIs(2));
  notices_.See(Own("worse"), now_);
  notices_.Forget("sluice.dev/v1alpha1", {.key = {"shop", "db"}, .uid = "uid-db"});
  EXPECT_THAT(Due(), IsEmpty());
}

TEST_F(PolicyNoticesTest, WritesComeInPieces) {
  for (int i = 0; i < 100; ++i) {
    SeenPolicy policy = Own();
    policy.about.name = policy.about.uid = "p" + std::to_string(i);
    notices_.See(policy, now_);
  }
  const std::size_t first = Due(true, 10).size();
  EXPECT_LE(first, 10U);
  EXPECT_GE(first, 9U);
  EXPECT_EQ(Due(true, 1000).size(), 100 - first);
}

class NodeNoticesTest : public ::testing::Test {
 protected:
  std::vector<std::string> Messages(const std::vector<NodeProblem>& problems) {
    std::vector<std::string> messages;
    for (const kube::Write& write : notices_.Due(problems, now_, {})) {
      messages.push_back(json::parse(write.body)["message"]);
    }
    return messages;
  }
  static NodeProblem Pod(const std::string& message, const std::string& uid = "u") {
    return {.about = {"v1", "Pod", "shop", "web", uid}, .reason = "PodNotEnforced", .message = message};
  }
  kube::TimePoint now_ = kube::TimePoint() + std::chrono::hours(9);
  NodeNotices notices_{"here"};
};

TEST_F(NodeNoticesTest, OnlyWhatLastsIsTold) {
  EXPECT_THAT(Messages({Pod("no veth")}), IsEmpty());
  now_ += NodeNotices::kLasting - seconds(1);
  EXPECT_THAT(Messages({Pod("no veth")}), IsEmpty());
  EXPECT_THAT(Messages({}), IsEmpty()) << "it has passed";
  now_ += seconds(1);
  EXPECT_THAT(Messages({Pod("no veth")}), IsEmpty()) << "anew";
  now_ += NodeNotices::kLasting;
  EXPECT_THAT(Messages({Pod("no veth")}), ElementsAre("no veth"));
  now_ += std::chrono::hours(1);
  EXPECT_THAT(Messages({Pod("no veth")}), IsEmpty()) << "once";
}

TEST_F(NodeNoticesTest, AMessageThatChangesIsToldAtABoundedRate) {
  Messages({Pod("a")});
  now_ += NodeNotices::kLasting;
  EXPECT_THAT(Messages({Pod("a")}), ElementsAre("a"));
  std::size_t told = 0;
  for (int second = 0; second < 900; ++second) {
    now_ += seconds(1);
    told += Messages({Pod("a " + std::to_string(second))}).size();
  }
  EXPECT_EQ(told, 3U);
}

TEST_F(NodeNoticesTest, AnotherPodOfTheNameIsAnotherObject) {
  Messages({Pod("a", "1"), Pod("a", "2")});
  now_ += NodeNotices::kLasting;
  EXPECT_THAT(Messages({Pod("a", "1"), Pod("a", "2")}), ElementsAre("a", "a"));
}

TEST_F(PolicyNoticesTest, AClusterNetworkPolicyIsToldTheSameOfAndApartFromOthersOfItsName) {
  notices_.See(Own(), now_);
  SeenPolicy cluster = Own("ClusterNetworkPolicy db: spec.defaultDeny: missing");
  cluster.about = {"sluice.dev/v1alpha1", "ClusterNetworkPolicy", "", "db", "uid-cluster"};
  notices_.See(cluster, now_);
  std::vector<std::string> paths;
  for (const kube::Write& write : Due()) paths.push_back(write.path);
  EXPECT_THAT(paths,
              ::testing::UnorderedElementsAre("/apis/sluice.dev/v1alpha1/namespaces/shop/networkpolicies/db/status",
                                              "/api/v1/namespaces/default/events",
                                              "/apis/sluice.dev/v1alpha1/clusternetworkpolicies/db/status"));
}

TEST(NoticeWrites, LongAndForeignTextsAreCutAndReplaced) {
  const kube::Write write = EventWrite({.about = {"v1", "Node", "", std::string(253, 'n'), ""},
                                        .reason = "NotEnforced",
                                        .message = std::string(5000, '\xff'),
                                        .node = "here"},
                                       {});
  EXPECT_EQ(write.path, "/api/v1/namespaces/default/events");
  const json event = json::parse(write.body);
  EXPECT_LE(event["metadata"]["name"].get<std::string>().size(), 253U);
  EXPECT_LE(event["message"].get<std::string>().size(), 3 * kMaxMessage);
  EXPECT_FALSE(event["involvedObject"].contains("namespace"));
  const kube::Write patch =
      ConditionWrite({"sluice.dev/v1alpha1", "NetworkPolicy", "a/../b", "x?y", ""}, "1", {}, nullptr, {});
  EXPECT_EQ(patch.path, "/apis/sluice.dev/v1alpha1/namespaces/a%2F..%2Fb/networkpolicies/x%3Fy/status");
}

}  // namespace
}  // namespace sluice::notice
