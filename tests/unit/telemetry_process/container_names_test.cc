#include "telemetry/process/container_names.h"

#include <gtest/gtest.h>

#include <thread>

namespace sluice::telemetry {
namespace {

const std::shared_ptr<const policy::PodOwner> kWeb =
    std::make_shared<const policy::PodOwner>(policy::PodOwner{"Deployment", "web"});

std::vector<Container> Containers(const std::vector<std::string>& ids) {
  std::vector<Container> containers;
  for (const std::string& id : ids) containers.push_back({.id = id, .name = "of-" + id, .pod = {"shop", "web-0"}});
  return containers;
}

std::string NameOf(const ContainerNames& names, const std::string& id) {
  const auto container = names.Find(id);
  return container ? container->name : "-";
}

TEST(ContainerNames, EachSourceReplacesWhatItSaid) {
  ContainerNames names(0);
  names.Set("runtime", Containers({"a", "b", ""}));
  names.Set("pod", Containers({"b", "c", "c"}));
  EXPECT_EQ(NameOf(names, "a") + NameOf(names, "b") + NameOf(names, "c"), "of-aof-bof-c");
  EXPECT_EQ(NameOf(names, ""), "-");
  names.Set("runtime", Containers({"d"}));
  EXPECT_EQ(NameOf(names, "a"), "-");
  EXPECT_EQ(NameOf(names, "b"), "of-b") << "the other source has it";
  names.Set("pod", {});
  EXPECT_EQ(NameOf(names, "b") + NameOf(names, "c"), "--");
  EXPECT_EQ(NameOf(names, "d"), "of-d");
}

TEST(ContainerNames, TheLastThatAreGoneAreRemembered) {
  ContainerNames names(2);
  names.Set("runtime", Containers({"a", "b", "c"}));
  names.Set("runtime", Containers({"b", "c"}));
  names.Set("runtime", Containers({"c"}));
  names.Set("runtime", {});
  EXPECT_EQ(NameOf(names, "a"), "-") << "only two are kept";
  EXPECT_EQ(NameOf(names, "b") + NameOf(names, "c"), "of-bof-c");
  names.Set("runtime", Containers({"b"}));
  names.Set("pod", Containers({"d", "e"}));
  names.Set("pod", {});
  EXPECT_EQ(NameOf(names, "b"), "of-b") << "it is there again";
  EXPECT_EQ(NameOf(names, "c"), "-");
}

// As the kubelet starts it anew: the name is the same, the id is another one.
TEST(ContainerNames, OneThatIsStartedAnewAndTheOneBeforeHaveTheSameName) {
  ContainerNames names;
  names.Set("runtime", {{.id = "first", .name = "server", .pod = {"shop", "web-0"}}});
  names.Set("runtime", {{.id = "second", .name = "server", .pod = {"shop", "web-0"}}});
  EXPECT_EQ(NameOf(names, "first"), "server");
  EXPECT_EQ(NameOf(names, "second"), "server");
}

TEST(ContainerNames, APodThatIsMadeAnewUnderANameLeavesTheOwnerOfTheOneBefore) {
  ContainerNames names;
  const auto bare = std::make_shared<const policy::PodOwner>(policy::PodOwner{"Job", "other"});
  names.Set("pod shop/web-0", {{.id = "old", .name = "server", .pod = {"shop", "web-0"}, .owner = kWeb}});
  names.Set("pod shop/web-0", {});
  names.Set("pod shop/web-0", {{.id = "new", .name = "server", .pod = {"shop", "web-0"}, .owner = bare}});
  EXPECT_EQ(names.Find("old")->owner->kind, "Deployment");
  EXPECT_EQ(names.Find("new")->owner->kind, "Job");
}

TEST(ContainerNames, AnotherSourceAddsTheOwner) {
  ContainerNames names;
  names.Set("runtime", Containers({"a"}));
  EXPECT_EQ(names.Find("a")->owner, nullptr);
  names.Set("pod", {{.id = "a", .name = "another", .pod = {"shop", "web-0"}, .owner = kWeb}});
  EXPECT_EQ(names.Find("a")->owner, kWeb);
  EXPECT_EQ(NameOf(names, "a"), "of-a");
}

EventPtr ExecIn(const std::string& container) {
  auto event = std::make_shared<v1::Event>();
  event->mutable_exec()->mutable_process()->set_container_id(container);
  return event;
}

TEST(ContainerNames, CompletesAProcessEventOnceItsContainerIsKnown) {
  ContainerNames names;
  const EventPtr event = ExecIn("a");
  EXPECT_EQ(names.Complete(event), event);
  names.Set("runtime", {{.id = "a", .name = "server", .pod = {"shop", "web-0"}, .owner = kWeb}});
  const EventPtr complete = names.Complete(event);
  EXPECT_EQ(event->exec().process().container_name(), "") << "others may be reading it";
  EXPECT_EQ(complete->exec().process().container_name(), "server");
  EXPECT_EQ(complete->exec().namespace_(), "shop");
  EXPECT_EQ(complete->exec().workload(), "web-0");
  EXPECT_EQ(complete->exec().owner().name(), "web");
  EXPECT_EQ(names.Complete(complete), complete) << "there is nothing to add";
  EXPECT_EQ(names.Complete(ExecIn(""))->exec().workload(), "");
}

TEST(ContainerNames, CompletesAHookToo) {
  ContainerNames names;
  names.Set("runtime", {{.id = "a", .name = "server", .pod = {"shop", "web-0"}, .owner = kWeb}});
  v1::Event hook;
  hook.mutable_hook()->mutable_process()->set_container_id("a");
  const EventPtr complete = names.Complete(std::make_shared<v1::Event>(hook));
  EXPECT_EQ(complete->hook().process().container_name(), "server");
  EXPECT_EQ(complete->hook().workload(), "web-0");
}

// A sandbox beside its pod's new one has another name than its pod.
TEST(ContainerNames, LeavesTheWorkloadThatAnEventNames) {
  ContainerNames names;
  names.Set("runtime", {{.id = "a", .name = "server", .pod = {"shop", "web-0"}, .owner = kWeb}});
  v1::Event exit;
  exit.mutable_exit()->mutable_process()->set_container_id("a");
  exit.mutable_exit()->set_namespace_("shop");
  exit.mutable_exit()->set_workload("web-0.sandbox-0123456789ab");
  const EventPtr complete = names.Complete(std::make_shared<v1::Event>(exit));
  EXPECT_EQ(complete->exit().workload(), "web-0.sandbox-0123456789ab");
  EXPECT_EQ(complete->exit().process().container_name(), "server");
  EXPECT_EQ(complete->exit().owner().kind(), "Deployment");
}

TEST(ContainerNames, CompletesBothEndsOfAFlow) {
  ContainerNames names;
  v1::Event event;
  event.mutable_flow()->mutable_source()->mutable_process()->set_container_id("a");
  event.mutable_flow()->mutable_destination()->mutable_process()->set_container_id("b");
  const auto flow = std::make_shared<const v1::Event>(event);
  names.Set("runtime", Containers({"b"}));
  EXPECT_EQ(names.Complete(flow)->flow().destination().process().container_name(), "of-b");
  EXPECT_EQ(names.Complete(flow)->flow().source().process().container_name(), "");
  names.Set("pod", Containers({"a"}));
  EXPECT_EQ(names.Complete(flow)->flow().source().process().container_name(), "of-a");
  EXPECT_FALSE(names.Complete(std::make_shared<v1::Event>())->has_flow());
}

TEST(ContainerNames, ManyThreads) {
  ContainerNames names(10);
  std::vector<std::thread> threads;
  for (const char* source : {"runtime", "pod"}) {
    threads.emplace_back([&names, source] {
      for (int i = 0; i < 500; ++i) names.Set(source, Containers({std::to_string(i), std::to_string(i + 1)}));
    });
  }
  threads.emplace_back([&names] {
    for (int i = 0; i < 500; ++i) {
      const auto found = names.Find(std::to_string(i));
      if (found) {
        EXPECT_EQ(found->name, "of-" + std::to_string(i));
      }
    }
  });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(NameOf(names, "500"), "of-500");
}

}  // namespace
}  // namespace sluice::telemetry
