#include "ctrl/cri/runtime_info.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice::cri {
namespace {

// The fields around those that matter are what containerd 1.6 sends beside them.
constexpr const char* kContainerdInfo = R"({
  "pid": 4711, "processStatus": "running", "netNamespaceClosed": false, "image": "pause:3", "snapshotter": "overlayfs",
  "config": {"metadata": {"name": "web-0"}, "linux": {"cgroup_parent": "/kubepods/burstable/podu1"}},
  "runtimeSpec": {"ociVersion": "1.0.2", "process": {"args": ["/pause"]}, "linux": {
    "namespaces": [{"type": "pid"}, {"type": "network", "path": "/var/run/netns/cni-1"}, {"type": "mount"}],
    "cgroupsPath": "/kubepods/burstable/podu1/aaaa"}}})";

TEST(RuntimeInfo, OfContainerd) {
  const auto info = ParseRuntimeInfo(kContainerdInfo);
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->netns, "/var/run/netns/cni-1");
  EXPECT_EQ(info->pid, 4711U);
  EXPECT_EQ(info->cgroup, "/kubepods/burstable/podu1/aaaa");
  EXPECT_EQ(info->pod_cgroup, "/kubepods/burstable/podu1");
  EXPECT_FALSE(info->netns_closed);
}

TEST(RuntimeInfo, OfContainerdWhereAShimRunsTheSandbox) {
  const auto info = ParseRuntimeInfo(R"({"pid": 5, "netNamespaceClosed": true, "runtimeSpec": null,
    "config": {"linux": {"cgroup_parent": "/kubepods.slice/kubepods-podu1.slice"}},
    "sandboxMetadata": {"Version": "v1", "Metadata": {"ID": "aaaa", "NetNSPath": "/var/run/netns/cni-2"}}})");
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->netns, "/var/run/netns/cni-2");
  EXPECT_EQ(info->cgroup, "");
  EXPECT_EQ(info->pod_cgroup, "/kubepods.slice/kubepods-podu1.slice");
  EXPECT_TRUE(info->netns_closed);
}

// Its sandboxes have no process of their own, so there is no pid.
TEST(RuntimeInfo, OfCrio) {
  const auto info = ParseRuntimeInfo(R"({"runtimeSpec": {"linux": {
    "namespaces": [{"type": "network", "path": "/var/run/netns/6b1"}],
    "cgroupsPath": "kubepods-besteffort-podu1.slice:crio:aaaa"}}})");
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->netns, "/var/run/netns/6b1");
  EXPECT_EQ(info->pid, 0U);
  EXPECT_EQ(info->cgroup, "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-podu1.slice/crio-aaaa.scope");
  EXPECT_EQ(info->pod_cgroup, "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-podu1.slice");
}

TEST(RuntimeInfo, WhatIsMissingIsEmpty) {
  for (const char* json :
       {"{}", R"({"runtimeSpec": {}})", R"({"runtimeSpec": {"linux": {"namespaces": null}}, "pid": null})",
        R"({"runtimeSpec": {"linux": {"namespaces": [{"type": "network"}, {"type": "pid", "path": "/x"}]}}})"}) {
    const auto info = ParseRuntimeInfo(json);
    ASSERT_TRUE(info.ok()) << json << info.status();
    EXPECT_EQ(info->netns + info->cgroup + info->pod_cgroup, "") << json;
    EXPECT_EQ(info->pid, 0U) << json;
  }
}

TEST(RuntimeInfo, WhetherItIsPrivileged) {
  const std::pair<const char*, std::optional<bool>> kCases[] = {
      {R"({"config": {"linux": {"security_context": {"privileged": true}}}})", true},
      {R"({"config": {"linux": {"security_context": {"namespace_options": {}}}}})", false},
      {R"({"config": {"metadata": {"name": "c"}}})", false},
      {R"({"privileged": true, "runtimeSpec": {}})", true},
      {R"({"privileged": false, "runtimeSpec": {}})", false},
      {R"({"runtimeSpec": {}, "config": 3})", std::nullopt},
  };
  for (const auto& [json, privileged] : kCases) {
    const auto info = ParseRuntimeInfo(json);
    ASSERT_TRUE(info.ok()) << json << info.status();
    EXPECT_EQ(info->privileged, privileged) << json;
  }
}

TEST(RuntimeInfo, TheImageThatWasAskedFor) {
  EXPECT_EQ(ParseRuntimeInfo(R"({"config": {"image": {"image": "sha256:01ab"}}})")->image, "sha256:01ab");
}

TEST(RuntimeInfo, AWrongFormIsAnError) {
  for (const char* json :
       {"", "{", "[]", "null", "7", R"({"pid": "1"})", R"({"pid": -1})", R"({"pid": 4294967296})", R"({"pid": 1.5})",
        R"({"netNamespaceClosed": 1})", R"({"runtimeSpec": {"linux": {"namespaces": {}}}})",
        R"({"runtimeSpec": {"linux": {"namespaces": [{"type": "network", "path": 1}]}}})",
        R"({"runtimeSpec": {"linux": {"cgroupsPath": []}}})", R"({"privileged": "yes"})",
        R"({"config": {"linux": {"security_context": {"privileged": 1}}}})",
        R"({"config": {"image": {"image": 7}}})"}) {
    EXPECT_EQ(ParseRuntimeInfo(json).status().code(), absl::StatusCode::kInvalidArgument) << json;
  }
  // A value where an object should be has no fields.
  EXPECT_TRUE(ParseRuntimeInfo(R"({"runtimeSpec": [1], "config": 3, "sandboxMetadata": "x"})").ok());
}

TEST(RuntimeInfo, CgroupPathsOfBothDrivers) {
  EXPECT_EQ(CgroupPath(""), "");
  EXPECT_EQ(CgroupPath("/kubepods/podu1/aaaa"), "/kubepods/podu1/aaaa");
  EXPECT_EQ(CgroupPath("k8s.io/aaaa"), "/k8s.io/aaaa");
  EXPECT_EQ(CgroupPath("kubepods-podu1.slice:cri-containerd:aaaa"),
            "/kubepods.slice/kubepods-podu1.slice/cri-containerd-aaaa.scope");
  EXPECT_EQ(CgroupPath("-.slice:crio:aaaa"), "/crio-aaaa.scope");
  EXPECT_EQ(CgroupPath(":crio:aaaa"), "/system.slice/crio-aaaa.scope");
  EXPECT_EQ(CgroupPath("kubepods.slice::aaaa"), "/kubepods.slice/aaaa.scope");
  EXPECT_EQ(CgroupPath("a-b-c.slice"), "/a.slice/a-b.slice/a-b-c.slice");
  EXPECT_EQ(CgroupPath("/kubelet.slice/kubelet-kubepods.slice"), "/kubelet.slice/kubelet-kubepods.slice");
}

}  // namespace
}  // namespace sluice::cri
