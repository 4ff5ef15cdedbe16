#include "policy/resource/pod_owner.h"

#include "tests/unit/policy/documents.h"

namespace sluice::policy {
namespace {

std::string OwnerOf(const ControllerReference& controller, const Labels& labels = {}) {
  const auto owner = ResolvePodOwner(controller, labels);
  return owner ? owner->kind + "/" + owner->name : "none";
}

std::string OwnerOfJob(const std::string& name) { return OwnerOf({"batch/v1", "Job", name}); }

TEST(PodOwner, OfAReplicaSetWithTheHashOfItsPodsItIsTheDeployment) {
  const Labels labels = {{"pod-template-hash", "5d4f8c7b9"}};
  EXPECT_EQ(OwnerOf({"apps/v1", "ReplicaSet", "web-5d4f8c7b9"}, labels), "Deployment/web");
  EXPECT_EQ(OwnerOf({"apps/v1", "ReplicaSet", "a-b-c-5d4f8c7b9"}, labels), "Deployment/a-b-c");
}

TEST(PodOwner, OfAnotherReplicaSetItIsTheReplicaSet) {
  const Labels labels = {{"pod-template-hash", "5d4f8c7b9"}};
  EXPECT_EQ(OwnerOf({"apps/v1", "ReplicaSet", "web-5d4f8c7b9"}), "ReplicaSet/web-5d4f8c7b9");
  EXPECT_EQ(OwnerOf({"apps/v1", "ReplicaSet", "web-5d4f8c7b9"}, {{"pod-template-hash", "77"}}),
            "ReplicaSet/web-5d4f8c7b9");
  EXPECT_EQ(OwnerOf({"apps/v1", "ReplicaSet", "5d4f8c7b9"}, labels), "ReplicaSet/5d4f8c7b9");
  EXPECT_EQ(OwnerOf({"apps/v1", "ReplicaSet", "-5d4f8c7b9"}, labels), "ReplicaSet/-5d4f8c7b9");
  EXPECT_EQ(OwnerOf({"apps/v1", "ReplicaSet", "web-"}, {{"pod-template-hash", ""}}), "ReplicaSet/web-");
  EXPECT_EQ(OwnerOf({"example.com/v1", "ReplicaSet", "web-5d4f8c7b9"}, labels), "ReplicaSet/web-5d4f8c7b9");
}

TEST(PodOwner, OfAJobThatEndsInTheTimeOfItsScheduleItIsTheCronJob) {
  EXPECT_EQ(OwnerOfJob("backup-29733120"), "CronJob/backup") << "minutes";
  EXPECT_EQ(OwnerOfJob("backup-1606780800"), "CronJob/backup") << "seconds, before Kubernetes 1.21";
  EXPECT_EQ(OwnerOfJob("nightly-db-backup-29733120"), "CronJob/nightly-db-backup");
}

TEST(PodOwner, OfAnotherJobItIsTheJob) {
  for (const char* name : {"backup", "backup-1", "backup-20261130", "backup-2026113012", "backup-29733120x", "29733120",
                           "-29733120", "backup-", "backup-029733120", "backup-99999999999999999999"}) {
    EXPECT_EQ(OwnerOfJob(name), std::string("Job/") + name);
  }
  const std::string longest(52, 'a');
  EXPECT_EQ(OwnerOfJob(longest + "-29733120"), "CronJob/" + longest);
  EXPECT_EQ(OwnerOfJob(longest + "a-29733120"), "Job/" + longest + "a-29733120");
  EXPECT_EQ(OwnerOf({"example.com/v1", "Job", "backup-29733120"}), "Job/backup-29733120");
}

TEST(PodOwner, AllOthersAreAsTheReferenceSays) {
  EXPECT_EQ(OwnerOf({"apps/v1", "StatefulSet", "db"}), "StatefulSet/db");
  EXPECT_EQ(OwnerOf({"apps/v1", "DaemonSet", "proxy"}), "DaemonSet/proxy");
  EXPECT_EQ(OwnerOf({"v1", "ReplicationController", "old"}), "ReplicationController/old");
  EXPECT_EQ(OwnerOf({"example.com/v1", "Node", "n"}), "Node/n");
  EXPECT_EQ(OwnerOf({"v1", "Node", "node-1"}), "none") << "a static pod";
  EXPECT_EQ(OwnerOf({"v1", "", "a"}), "none");
  EXPECT_EQ(OwnerOf({"v1", "A", ""}), "none");
  EXPECT_EQ(OwnerOf({"v1", "A", std::string(254, 'a')}), "none");
}

std::string OwnerInDocument(const std::string& references) {
  const auto resources = Parse("apiVersion: v1\nkind: Pod\nmetadata: {name: p, labels: {pod-template-hash: \"77\"}, " +
                               references + "}\n");
  const auto& owner = resources.front().pod->owner;
  return owner ? owner->kind + "/" + owner->name : "none";
}

TEST(PodOwner, IsTheControllerAmongTheReferencesOfADocument) {
  EXPECT_EQ(OwnerInDocument("ownerReferences: [{apiVersion: v1, kind: ConfigMap, name: a, uid: x},"
                            " {apiVersion: apps/v1, kind: ReplicaSet, name: web-77, uid: y, controller: true}]"),
            "Deployment/web");
  EXPECT_EQ(OwnerInDocument("ownerReferences: [{apiVersion: v1, kind: ConfigMap, name: a, controller: false}]"),
            "none");
  EXPECT_EQ(OwnerInDocument("ownerReferences: []"), "none");
  EXPECT_EQ(OwnerInDocument("annotations: {}"), "none");
}

}  // namespace
}  // namespace sluice::policy
