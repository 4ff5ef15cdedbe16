#include "ctrl/node/process_owners.h"

#include <gtest/gtest.h>

namespace sluice::node {
namespace {

using policy::ObjectName;

policy::Workload Named(const std::string& name, const std::string& cgroup = "") {
  policy::Workload workload;
  workload.name = {"shop", name};
  workload.cgroup = cgroup;
  return workload;
}

const std::optional<ObjectName> kNobody;
const std::optional<ObjectName> kWeb = ObjectName{"shop", "web"};
const std::optional<ObjectName> kDb = ObjectName{"shop", "db"};

TEST(ProcessOwners, ByNetworkNamespace) {
  ProcessOwners owners;
  owners.Add(Named("web"), 7);
  owners.Add(Named("db"), 8);
  EXPECT_EQ(owners.Find(7, ""), kWeb);
  EXPECT_EQ(owners.Find(8, "/any"), kDb);
  EXPECT_EQ(owners.Find(9, ""), kNobody);
  EXPECT_EQ(owners.Find(0, ""), kNobody);
}

TEST(ProcessOwners, ByTheInnermostCgroupThatSomebodyClaims) {
  ProcessOwners owners;
  owners.Add(Named("web", "/pods/a"), 0);
  owners.Add(Named("db", "/pods/a/b/"), 0);
  EXPECT_EQ(owners.Find(0, "/pods/a"), kWeb);
  EXPECT_EQ(owners.Find(0, "/pods/a/c/d"), kWeb);
  EXPECT_EQ(owners.Find(0, "/pods/a/b"), kDb);
  EXPECT_EQ(owners.Find(0, "/pods/a/b/c"), kDb);
  EXPECT_EQ(owners.Find(0, "/pods/ab"), kNobody) << "of another name that begins alike";
  EXPECT_EQ(owners.Find(0, "/pods"), kNobody);
  EXPECT_EQ(owners.Find(0, "/"), kNobody);
}

TEST(ProcessOwners, CgroupCountsMoreThanNamespace) {
  ProcessOwners owners;
  owners.Add(Named("web", "/pods/web"), 7);
  owners.Add(Named("db"), 8);
  EXPECT_EQ(owners.Find(8, "/pods/web/x"), kWeb);
  EXPECT_EQ(owners.Find(8, "/system"), kDb);
}

TEST(ProcessOwners, WhatSeveralClaimIsNobodys) {
  ProcessOwners owners;
  owners.Add(Named("web", "/pods"), 7);
  owners.Add(Named("db", "/pods"), 7);
  EXPECT_EQ(owners.Find(7, ""), kNobody);
  EXPECT_EQ(owners.Find(7, "/pods/x"), kNobody);
}

}  // namespace
}  // namespace sluice::node
