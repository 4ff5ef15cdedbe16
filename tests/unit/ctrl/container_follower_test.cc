#include "ctrl/hooks/container_follower.h"

#include <gmock/gmock.h>

#include <filesystem>

#include "ctrl/hooks/hook_controller.h"
#include "policy/resource/parser.h"
#include "policy/tracing/parser.h"
#include "tests/support/fake_hooks.h"
#include "tests/support/node_fixture.h"

namespace sluice::hooks {
namespace {

// A directory is as good as a cgroup: what counts is its inode.
TEST(ContainerFollower, TellsOfAContainerOnceItsCgroupExists) {
  const std::string root = testing::TempDir() + "/sluice-follower-" + std::to_string(getpid());
  std::filesystem::create_directories(root + "/pod1");
  test::FakeKernel kernel;
  HookController::Options options = kernel.Options();
  options.cgroup_root = root;
  options.inode = InodeOfFile;
  HookController hooks(options);
  const auto parsed = policy::ParseResources(
      "f.yaml",
      "{apiVersion: sluice.dev/v1alpha1, kind: Workload, metadata: {namespace: shop, name: web}, spec: {netns: "
      "/nowhere, "
      "cgroup: /pod1}}\n---\n"
      "{apiVersion: cilium.io/v1alpha1, kind: TracingPolicy, metadata: {name: main}, spec: {containerSelector: "
      "{matchLabels: {name: main}}, kprobes: [{call: sys_openat}]}}",
      {.more_kinds = policy::tracing::KindParsers(policy::tracing::Reading::kParsed)});
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  policy::ResourceMap resources;
  for (const policy::Resource& resource : *parsed) resources[resource.id] = resource;
  ASSERT_TRUE(hooks.Enforce({.resources = resources, .bindings = {}}).ok());
  const auto is_enabled = [&] {
    const auto reports = hooks.reports();
    return reports.begin()->second.state == ReportedState::kEnabled;
  };
  EXPECT_FALSE(is_enabled());

  ContainerFollower follower(
      {.tell = [&](const auto& all) { return hooks.SetContainers(all); }, .cgroup_root = root, .inode = InodeOfFile});
  follower.Set({{.id = "c1", .name = "main", .repository = "", .cgroup = "/pod1/c1"},
                {.id = "c2", .name = "side", .repository = "", .cgroup = ""}});
  ASSERT_TRUE(test::Eventually(is_enabled));
  EXPECT_EQ(kernel.subject_count(), 1U) << "the workload";
  std::filesystem::create_directories(root + "/pod1/c1");
  ASSERT_TRUE(test::Eventually([&] { return kernel.subject_count() == 2; }));
  EXPECT_EQ(kernel.subjects()[1].key, "shop/web/c1");
  EXPECT_THAT(kernel.subjects()[1].cgroups, testing::ElementsAre(InodeOfFile(root + "/pod1/c1")));
  follower.Set({});
  EXPECT_TRUE(test::Eventually([&] { return kernel.subject_count() == 1; }));
  std::filesystem::remove_all(root);
}

}  // namespace
}  // namespace sluice::hooks
