#include "ctrl/node/node_pods.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "policy/resource/parser.h"

namespace sluice::node {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

policy::ResourceMap Pods(const std::string& yaml) {
  const auto parsed = policy::ParseResources("test", yaml);
  EXPECT_TRUE(parsed.ok()) << parsed.status();
  policy::ResourceMap map;
  for (const policy::Resource& resource : *parsed) map[resource.id] = resource;
  return map;
}

std::string PodYaml(const std::string& uid, const std::string& more = "") {
  return "{apiVersion: v1, kind: Pod, metadata: {name: web-0, namespace: shop, uid: " + uid + ", labels: {app: web}" +
         more + "}, spec: {containers: [{name: c, ports: [{name: http, containerPort: 8080}]}]}}";
}

Sandbox MakeSandbox(const std::string& uid, const std::string& id, const std::string& netns) {
  return {.pod = {"shop", "web-0"}, .uid = uid, .id = id, .netns = netns};
}

const policy::Resource* FindWorkload(const policy::ResourceMap& map, const std::string& name) {
  const auto found = map.find({policy::Kind::kWorkload, {"shop", name}});
  return found == map.end() ? nullptr : &(*found).second;
}

TEST(NodePods, AKnownPodIsAWorkloadAsAFileWouldSayIt) {
  NodePods pods;
  pods.SetSandboxes({MakeSandbox("u1", "aaaa", "/run/netns/one")});
  const auto map = pods.AddTo(Pods(PodYaml("u1")));
  const policy::Resource* web = FindWorkload(map, "web-0");
  ASSERT_NE(web, nullptr);
  EXPECT_EQ(web->workload->netns, "/run/netns/one");
  EXPECT_EQ(web->workload->labels, (policy::Labels{{"app", "web"}}));
  EXPECT_EQ(web->workload->ports, (std::vector<policy::NamedPort>{{"http", 8080, policy::kTcp}}));
  EXPECT_EQ(web->workload->closed_because, "");
  const auto read = policy::ParseResources("get", web->yaml);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->front().yaml, web->yaml);
  EXPECT_EQ(read->front().workload->ports, web->workload->ports);
  EXPECT_EQ(map.of(policy::Kind::kPod).size(), 1U) << "the pod itself stays";
}

TEST(NodePods, APodThatTheApiServerHasNotToldOfIsClosed) {
  NodePods pods;
  pods.SetSandboxes({MakeSandbox("u1", "aaaa", "/run/netns/one")});
  EXPECT_THAT(FindWorkload(pods.AddTo({}), "web-0")->workload->closed_because, HasSubstr("Pod shop/web-0 (uid u1)"));
  const auto other = pods.AddTo(Pods(PodYaml("u2")));
  EXPECT_THAT(FindWorkload(other, "web-0")->workload->closed_because,
              HasSubstr("another pod of this name, with uid u2"));
  EXPECT_THAT(FindWorkload(other, "web-0")->workload->labels, IsEmpty());
  EXPECT_EQ(FindWorkload(pods.AddTo(Pods(PodYaml("u1"))), "web-0")->workload->closed_because, "");
}

// Of another pod of the name nothing is said about this one.
TEST(NodePods, TheOwnerIsThePodsOwn) {
  NodePods pods;
  pods.SetSandboxes({MakeSandbox("u1", "aaaa", "/run/netns/one")});
  const std::string owner =
      ", ownerReferences: [{apiVersion: apps/v1, kind: StatefulSet, name: web, controller: true}]";
  const auto known = pods.AddTo(Pods(PodYaml("u1", owner)));
  ASSERT_NE(FindWorkload(known, "web-0")->workload->owner, nullptr);
  EXPECT_EQ(FindWorkload(known, "web-0")->workload->owner->kind, "StatefulSet");
  const auto other = pods.AddTo(Pods(PodYaml("u2", owner)));
  EXPECT_EQ(FindWorkload(other, "web-0")->workload->owner, nullptr);
}

TEST(NodePods, AStaticPodIsKnownByItsConfigHash) {
  NodePods pods;
  pods.SetSandboxes({MakeSandbox("hash", "aaaa", "/run/netns/one")});
  const auto map = pods.AddTo(Pods(PodYaml("mirror", ", annotations: {kubernetes.io/config.hash: hash}")));
  EXPECT_EQ(FindWorkload(map, "web-0")->workload->closed_because, "");
}

TEST(NodePods, OneMadeAnewAfterADeletionByForceHasTheName) {
  NodePods pods;
  for (const bool new_first : {true, false}) {
    std::vector<Sandbox> sandboxes = {MakeSandbox("u1", "0123456789abcdef", "/run/netns/old"),
                                      MakeSandbox("u2", "fedcba9876543210", "/run/netns/new")};
    if (new_first) std::swap(sandboxes[0], sandboxes[1]);
    pods.SetSandboxes(sandboxes);
    const auto map = pods.AddTo(Pods(PodYaml("u2")));
    EXPECT_EQ(FindWorkload(map, "web-0")->workload->netns, "/run/netns/new");
    EXPECT_EQ(FindWorkload(map, "web-0")->workload->closed_because, "");
    const policy::Resource* old = FindWorkload(map, "web-0.sandbox-0123456789ab");
    ASSERT_NE(old, nullptr);
    EXPECT_EQ(old->workload->netns, "/run/netns/old");
    EXPECT_NE(old->workload->closed_because, "");
  }
  const auto unknown = pods.AddTo({});
  EXPECT_EQ(FindWorkload(unknown, "web-0")->workload->netns, "/run/netns/new") << "the newest";
}

TEST(NodePods, OneOnTheHostsNetworkIsNone) {
  NodePods pods;
  pods.SetSandboxes({MakeSandbox("u1", "aaaa", "")});
  EXPECT_THAT(pods.AddTo(Pods(PodYaml("u1"))).of(policy::Kind::kWorkload), IsEmpty());
}

TEST(NodePods, OneThatIsKnownByItsUidAloneHasTheNameThatTheApiServerGivesIt) {
  NodePods pods;
  Sandbox found = MakeSandbox("u1", "4026532001", "/run/netns/one");
  found.pod = {};
  found.cgroup = "/kubepods/podu1";
  pods.SetSandboxes({found});
  const auto unknown = pods.AddTo(Pods(PodYaml("u2")));
  EXPECT_EQ(FindWorkload(unknown, "web-0"), nullptr);
  const auto nameless = unknown.find({policy::Kind::kWorkload, {kUnknownNamespace, "u1"}});
  ASSERT_NE(nameless, unknown.end());
  EXPECT_EQ((*nameless).second.workload->netns, "/run/netns/one");
  EXPECT_EQ((*nameless).second.workload->cgroup, "") << "no record has its name";
  EXPECT_THAT((*nameless).second.workload->closed_because, HasSubstr("Pod with uid u1: "));

  const auto known = pods.AddTo(Pods(PodYaml("u1")));
  EXPECT_EQ(known.of(policy::Kind::kWorkload).size(), 1U);
  ASSERT_NE(FindWorkload(known, "web-0"), nullptr);
  EXPECT_EQ(FindWorkload(known, "web-0")->workload->closed_because, "");
  EXPECT_EQ(FindWorkload(known, "web-0")->workload->cgroup, "/kubepods/podu1");
  EXPECT_EQ(FindWorkload(known, "web-0")->workload->labels, (policy::Labels{{"app", "web"}}));

  found.uid = "hash";
  pods.SetSandboxes({found});
  const auto static_pod = pods.AddTo(Pods(PodYaml("mirror", ", annotations: {kubernetes.io/config.hash: hash}")));
  ASSERT_NE(FindWorkload(static_pod, "web-0"), nullptr);
  EXPECT_EQ(FindWorkload(static_pod, "web-0")->workload->closed_because, "");
}

TEST(NodePods, AnAnnotationTakesNoOtherPodsUid) {
  NodePods pods;
  Sandbox found = MakeSandbox("u1", "4026532001", "/run/netns/one");
  found.pod = {};
  pods.SetSandboxes({found});
  const auto map = pods.AddTo(Pods(PodYaml("u1") +
                                   "\n---\n{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: shop, uid: u2, "
                                   "annotations: {kubernetes.io/config.hash: u1}}}"));
  EXPECT_NE(FindWorkload(map, "web-0"), nullptr);
  EXPECT_EQ(FindWorkload(map, "a"), nullptr);
}

TEST(NodePods, OneOnTheHostsNetworkIsNoWorkloadThoughAProcessOfItHasANamespace) {
  NodePods pods;
  Sandbox found = MakeSandbox("u1", "4026532001", "/run/netns/one");
  found.pod = {};
  pods.SetSandboxes({found});
  EXPECT_EQ(
      FindWorkload(pods.AddTo(Pods("{apiVersion: v1, kind: Pod, metadata: {name: web-0, namespace: shop, uid: u1}, "
                                   "spec: {hostNetwork: true}}")),
                   "web-0"),
      nullptr);
}

TEST(NodePods, WhatDoesNotChangeIsShared) {
  NodePods pods;
  pods.SetSandboxes({MakeSandbox("u1", "aaaa", "/run/netns/one")});
  policy::ResourceMap kubernetes = Pods(PodYaml("u1"));
  const auto before = pods.AddTo(kubernetes);
  const auto more = Pods("{apiVersion: v1, kind: Pod, metadata: {name: far, namespace: shop, uid: u9}}");
  kubernetes.Merge(more);
  EXPECT_TRUE(pods.AddTo(kubernetes).Shares(policy::Kind::kWorkload, before)) << "another node's pod";
  pods.SetSandboxes({});
  EXPECT_THAT(pods.AddTo(kubernetes).of(policy::Kind::kWorkload), IsEmpty());
}

}  // namespace
}  // namespace sluice::node
