#include "ctrl/cri/sandbox_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>

#include <thread>

#include "ctrl/cri/runtime_reply.h"
#include "tests/unit/cri/fake_runtime.h"

namespace sluice::cri {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr auto kContainerd = FakeRuntime::Kind::kContainerd;
constexpr auto kCrio = FakeRuntime::Kind::kCrio;

// Long enough for a busy machine; a test that passes does not wait for it.
constexpr seconds kPatience{20};

template <typename Condition>
bool Eventually(const Condition& condition) {
  for (const auto end = steady_clock::now() + kPatience; steady_clock::now() < end;) {
    if (condition()) return true;
    std::this_thread::sleep_for(milliseconds(2));
  }
  return condition();
}

WatchOptions OptionsFor(const FakeRuntime& runtime) { return {.endpoints = {runtime.endpoint()}}; }

std::unique_ptr<SandboxWatch> StartWatch(const WatchOptions& options) {
  auto watch = SandboxWatch::Start(options);
  EXPECT_TRUE(watch.ok()) << watch.status();
  return *std::move(watch);
}

std::vector<std::string> IdsOfSandboxes(const SandboxWatch& watch) {
  std::vector<std::string> ids;
  for (const node::Sandbox& sandbox : watch.sandboxes()) ids.push_back(sandbox.id);
  return ids;
}

// Waits until the eventfd is readable, and reads it.
bool Woken(const SandboxWatch& watch, milliseconds patience) {
  pollfd waiting{.fd = watch.fd(), .events = POLLIN, .revents = 0};
  if (poll(&waiting, 1, static_cast<int>(patience.count())) != 1) return false;
  eventfd_t count = 0;
  return eventfd_read(watch.fd(), &count) == 0;
}

bool Synced(const SandboxWatch& watch) {
  return Eventually([&] { return watch.state().synced; });
}

bool HasIds(const SandboxWatch& watch, const std::vector<std::string>& ids) {
  return Eventually([&] { return IdsOfSandboxes(watch) == ids; });
}

TEST(SandboxWatch, ListsWhatIsThere) {
  for (const auto kind : {kContainerd, kCrio}) {
    FakeRuntime runtime(kind);
    runtime.AddSandbox({.id = "aaaa", .pod = "web-0"});
    runtime.AddSandbox({.id = "bbbb", .pod = "dns", .host_network = true});
    runtime.Serve();
    const auto watch = StartWatch(OptionsFor(runtime));
    ASSERT_TRUE(Synced(*watch)) << watch->state().last_error;
    EXPECT_THAT(watch->sandboxes(), ElementsAre(node::Sandbox{.pod = {"shop", "web-0"},
                                                              .uid = "uid-web-0",
                                                              .id = "aaaa",
                                                              .netns = "/run/netns/aaaa",
                                                              .interface = "eth0",
                                                              .cgroup = "/kubepods/poduid-web-0"},
                                                node::Sandbox{.pod = {"shop", "dns"},
                                                              .uid = "uid-dns",
                                                              .id = "bbbb",
                                                              .netns = "",
                                                              .interface = "eth0",
                                                              .cgroup = "/kubepods/poduid-dns"}));
    const WatchState state = watch->state();
    EXPECT_EQ(state.runtime, kind == kContainerd ? "containerd 1.2.3" : "cri-o 1.2.3");
    EXPECT_EQ(state.endpoint, runtime.endpoint());
    EXPECT_GE(state.lists, 1U);
    EXPECT_EQ(state.unread, 0U);
    EXPECT_TRUE(Woken(*watch, kPatience));
  }
}

TEST(SandboxWatch, InTheOrderOfTheirCreation) {
  FakeRuntime runtime(kContainerd);
  runtime.AddSandbox({.id = "aaaa", .pod = "web-0", .created_at = 30});
  runtime.AddSandbox({.id = "bbbb", .pod = "web-0", .created_at = 10});
  runtime.AddSandbox({.id = "dddd", .pod = "web-2", .created_at = 20});
  runtime.AddSandbox({.id = "cccc", .pod = "web-1", .created_at = 20});
  runtime.Serve();
  const auto watch = StartWatch(OptionsFor(runtime));
  EXPECT_TRUE(HasIds(*watch, {"bbbb", "cccc", "dddd", "aaaa"}));
}

// With a poll once an hour, only an event can bring a list.
TEST(SandboxWatch, AnEventBringsAList) {
  FakeRuntime runtime(kContainerd);
  runtime.Serve();
  WatchOptions options = OptionsFor(runtime);
  options.poll_with_events = std::chrono::hours(1);
  const auto watch = StartWatch(options);
  ASSERT_TRUE(Eventually([&] { return runtime.subscribers() == 1; }));
  EXPECT_TRUE(watch->state().events);
  std::this_thread::sleep_for(milliseconds(1'500));  // the lists that follow on the subscription
  const int lists = runtime.lists();
  std::this_thread::sleep_for(milliseconds(500));
  EXPECT_EQ(runtime.lists(), lists) << "no event, no list";
  Woken(*watch, milliseconds(0));

  runtime.AddSandbox({.id = "aaaa", .pod = "web-0"});
  runtime.Tell("/tasks/start");
  EXPECT_TRUE(Woken(*watch, kPatience));
  EXPECT_THAT(IdsOfSandboxes(*watch), ElementsAre("aaaa"));
  EXPECT_EQ(watch->state().events_seen, 1U);

  runtime.RemoveSandbox("aaaa");
  runtime.Tell("/tasks/exit");
  EXPECT_TRUE(Woken(*watch, kPatience));
  EXPECT_THAT(IdsOfSandboxes(*watch), IsEmpty());
  EXPECT_EQ(runtime.statuses(), 1) << "what is known is not asked for again";
  EXPECT_THAT(runtime.filters(), ElementsAre(AllOf(HasSubstr("namespace==k8s.io"), HasSubstr("tasks"))));
}

// containerd tells of a sandbox's process before its list has the sandbox.
TEST(SandboxWatch, AnEventThatComesBeforeTheListHasIt) {
  FakeRuntime runtime(kContainerd);
  runtime.Serve();
  WatchOptions options = OptionsFor(runtime);
  options.poll_with_events = std::chrono::hours(1);
  const auto watch = StartWatch(options);
  ASSERT_TRUE(Eventually([&] { return runtime.subscribers() == 1; }));
  std::this_thread::sleep_for(milliseconds(1'500));
  const int lists = runtime.lists();
  runtime.Tell("/tasks/start");
  ASSERT_TRUE(Eventually([&] { return runtime.lists() > lists; }));
  runtime.AddSandbox({.id = "aaaa", .pod = "web-0"});
  EXPECT_TRUE(HasIds(*watch, {"aaaa"}));
}

TEST(SandboxWatch, ManyEventsAreOneList) {
  FakeRuntime runtime(kContainerd);
  runtime.Serve();
  WatchOptions options = OptionsFor(runtime);
  options.poll_with_events = std::chrono::hours(1);
  const auto watch = StartWatch(options);
  ASSERT_TRUE(Eventually([&] { return runtime.subscribers() == 1; }));
  std::this_thread::sleep_for(milliseconds(1'500));
  const int lists = runtime.lists();
  const auto start = steady_clock::now();
  for (int i = 0; i < 1'000; ++i) runtime.Tell("/tasks/start");
  ASSERT_TRUE(Eventually([&] { return watch->state().events_seen == 1'000; }));
  std::this_thread::sleep_for(milliseconds(1'500));
  const auto passed = std::chrono::duration_cast<milliseconds>(steady_clock::now() - start);
  EXPECT_GT(runtime.lists(), lists);
  EXPECT_LE(runtime.lists() - lists, passed / milliseconds(100) + 1);
}

// A probe that the kubelet executes in a container ends every few seconds.
TEST(SandboxWatch, TheEndOfAnExecutedProcessIsNoEvent) {
  FakeRuntime runtime(kContainerd);
  runtime.Serve();
  const auto watch = StartWatch(OptionsFor(runtime));
  ASSERT_TRUE(Eventually([&] { return runtime.subscribers() == 1; }));
  runtime.Tell("/tasks/exit", "aaaa", "probe");
  runtime.Tell("/tasks/exit", "aaaa", "aaaa");
  ASSERT_TRUE(Eventually([&] { return watch->state().events_seen != 0; }));
  std::this_thread::sleep_for(milliseconds(300));  // both were sent at once
  EXPECT_EQ(watch->state().events_seen, 1U);
}

TEST(SandboxWatch, WithoutEventsItPolls) {
  FakeRuntime runtime(kCrio);
  runtime.Serve();
  WatchOptions options = OptionsFor(runtime);
  options.poll_with_events = std::chrono::hours(1);
  options.poll_without_events = milliseconds(200);
  const auto watch = StartWatch(options);
  ASSERT_TRUE(Synced(*watch));
  ASSERT_TRUE(Eventually([&] { return !watch->state().events; }));
  runtime.AddSandbox({.id = "aaaa", .pod = "web-0"});
  EXPECT_TRUE(HasIds(*watch, {"aaaa"}));
  runtime.RemoveSandbox("aaaa");
  EXPECT_TRUE(HasIds(*watch, {}));
  EXPECT_TRUE(watch->state().synced) << "that it has no events is no fault";
  EXPECT_EQ(watch->state().last_error, "");
}

TEST(SandboxWatch, WhileTheRuntimeIsAwayWhatIsKnownStays) {
  for (const auto kind : {kContainerd, kCrio}) {
    FakeRuntime runtime(kind);
    runtime.AddSandbox({.id = "aaaa", .pod = "web-0"});
    runtime.AddSandbox({.id = "bbbb", .pod = "web-1"});
    runtime.Serve();
    const auto watch = StartWatch(OptionsFor(runtime));
    ASSERT_TRUE(HasIds(*watch, {"aaaa", "bbbb"}));
    ASSERT_TRUE(Synced(*watch));
    const auto synced_since = watch->state().since;
    while (Woken(*watch, milliseconds(0))) {
    }

    runtime.Stop();
    ASSERT_TRUE(Eventually([&] { return !watch->state().synced; }));
    EXPECT_TRUE(Woken(*watch, kPatience));
    EXPECT_GT(watch->state().since, synced_since);
    EXPECT_NE(watch->state().last_error, "");
    EXPECT_FALSE(watch->state().events);
    EXPECT_THAT(IdsOfSandboxes(*watch), ElementsAre("aaaa", "bbbb"));

    runtime.RemoveSandbox("aaaa");
    runtime.AddSandbox({.id = "cccc", .pod = "web-2"});
    runtime.Serve();
    EXPECT_TRUE(HasIds(*watch, {"bbbb", "cccc"}));
    ASSERT_TRUE(Synced(*watch));
    EXPECT_EQ(runtime.statuses(), 3) << "what was known is not asked for again";
    if (kind == kContainerd) {
      EXPECT_TRUE(Eventually([&] { return runtime.subscribers() == 1 && watch->state().events; }));
    }
  }
}

TEST(SandboxWatch, AListThatFailsEndsNothing) {
  FakeRuntime runtime(kCrio);
  runtime.AddSandbox({.id = "aaaa", .pod = "web-0"});
  runtime.Serve();
  WatchOptions options = OptionsFor(runtime);
  options.poll_without_events = milliseconds(100);
  const auto watch = StartWatch(options);
  ASSERT_TRUE(HasIds(*watch, {"aaaa"}));
  runtime.FailLists({grpc::StatusCode::UNKNOWN, "server is not initialized yet"}, grpc::Status::OK);
  ASSERT_TRUE(Eventually([&] { return !watch->state().synced; }));
  EXPECT_THAT(watch->state().last_error, HasSubstr("list of pod sandboxes: server is not initialized yet"));
  EXPECT_THAT(IdsOfSandboxes(*watch), ElementsAre("aaaa"));
  runtime.FailLists(grpc::Status::OK, grpc::Status::OK);
  EXPECT_TRUE(Synced(*watch));
}

TEST(SandboxWatch, ARuntimeThatHangsIsAway) {
  FakeRuntime runtime(kCrio);
  runtime.AddSandbox({.id = "aaaa", .pod = "web-0"});
  runtime.Serve();
  WatchOptions options = OptionsFor(runtime);
  options.poll_without_events = milliseconds(100);
  options.call_deadline = milliseconds(1'000);
  const auto watch = StartWatch(options);
  ASSERT_TRUE(HasIds(*watch, {"aaaa"}));
  runtime.Hang(true);
  ASSERT_TRUE(Eventually([&] { return !watch->state().synced; }));
  EXPECT_THAT(IdsOfSandboxes(*watch), ElementsAre("aaaa"));
  runtime.Hang(false);
  EXPECT_TRUE(Synced(*watch));
}

TEST(SandboxWatch, EndsAtOnceWhileACallHangs) {
  FakeRuntime runtime(kContainerd);
  runtime.Hang(true);
  runtime.Serve();
  WatchOptions options = OptionsFor(runtime);
  options.call_deadline = std::chrono::hours(1);
  auto watch = StartWatch(options);
  std::this_thread::sleep_for(milliseconds(200));
  EXPECT_EQ(watch->state().lists, 0U);
  const auto start = steady_clock::now();
  watch.reset();
  EXPECT_LT(steady_clock::now() - start, seconds(10));
}

// As containerd's does where a shim hangs: the other sandboxes must be known all the same.
TEST(SandboxWatch, AStatusThatHangsKeepsNoOtherBack) {
  FakeRuntime runtime(kContainerd);
  runtime.AddSandbox({.id = "aaaa", .pod = "stuck", .hangs = true});
  for (int i = 0; i < 40; ++i) {
    runtime.AddSandbox({.id = "b" + std::to_string(i), .pod = "web-" + std::to_string(i), .created_at = i + 10});
  }
  runtime.Serve();
  WatchOptions options = OptionsFor(runtime);
  options.call_deadline = milliseconds(2'000);
  const auto watch = StartWatch(options);
  ASSERT_TRUE(Synced(*watch));
  EXPECT_EQ(watch->sandboxes().size(), 40U);
  EXPECT_EQ(watch->state().unread, 1U);
  EXPECT_NE(watch->state().unread_error, "");
  runtime.AddSandbox({.id = "cccc", .pod = "late", .created_at = 100});
  runtime.Tell("/tasks/start");
  EXPECT_TRUE(Eventually([&] { return watch->sandboxes().size() == 41; }));
  runtime.AddSandbox({.id = "aaaa", .pod = "stuck"});
  EXPECT_TRUE(Eventually([&] { return watch->sandboxes().size() == 42 && watch->state().unread == 0; }));
  EXPECT_EQ(watch->state().unread_error, "");
}

TEST(SandboxWatch, ASandboxThatCannotBePlacedIsLeftOutAndSaid) {
  for (const char* info :
       {"{", R"({"pid": 0})", R"({"runtimeSpec": {"linux": {"namespaces": [{"type": "network"}]}}})"}) {
    FakeRuntime runtime(kContainerd);
    runtime.AddSandbox({.id = "aaaa", .pod = "web-0", .info = info});
    runtime.AddSandbox({.id = "bbbb", .pod = "web-1"});
    runtime.Serve();
    const auto watch = StartWatch(OptionsFor(runtime));
    ASSERT_TRUE(Synced(*watch));
    EXPECT_THAT(IdsOfSandboxes(*watch), ElementsAre("bbbb")) << "never as one of the host's network";
    EXPECT_EQ(watch->state().unread, 1U) << info;
    EXPECT_THAT(watch->state().unread_error, HasSubstr(info[1] == '\0' ? "JSON" : "network namespace"));
    runtime.AddSandbox({.id = "aaaa", .pod = "web-0"});
    EXPECT_TRUE(HasIds(*watch, {"aaaa", "bbbb"}));
  }
}

TEST(SandboxWatch, TheProcessIsTheLastResort) {
  FakeRuntime runtime(kContainerd);
  runtime.AddSandbox({.id = "aaaa", .pod = "web-0", .info = R"({"pid": 4711})"});
  runtime.Serve();
  const auto watch = StartWatch(OptionsFor(runtime));
  ASSERT_TRUE(HasIds(*watch, {"aaaa"}));
  EXPECT_EQ(watch->sandboxes()[0].netns, "/proc/4711/ns/net");
}

TEST(SandboxWatch, OneThatEndsBetweenListAndStatusIsNoFault) {
  FakeRuntime runtime(kContainerd);
  runtime.AddSandbox({.id = "aaaa", .pod = "web-0", .state_in_status = runtime::v1::SANDBOX_NOTREADY});
  runtime.AddSandbox({.id = "bbbb", .pod = "web-1", .info = R"({"pid": 1, "netNamespaceClosed": true})"});
  runtime.AddSandbox({.id = "cccc", .pod = "web-2", .hangs = true});
  runtime.AddSandbox({.id = "dddd", .pod = "web-3"});
  runtime.Serve();
  const auto watch = StartWatch(OptionsFor(runtime));
  ASSERT_TRUE(Eventually([&] { return runtime.statuses() >= 4; }));
  runtime.RemoveSandbox("cccc");  // its status is NOT_FOUND now
  ASSERT_TRUE(HasIds(*watch, {"dddd"}));
  EXPECT_EQ(watch->state().unread, 0U) << watch->state().unread_error;
}

TEST(SandboxWatch, AboveTheLimitTheNewestAreLeftOut) {
  FakeRuntime runtime(kCrio);
  for (int i = 0; i < 5; ++i) {
    runtime.AddSandbox({.id = "s" + std::to_string(i), .pod = "web", .created_at = 100 - i});
  }
  runtime.Serve();
  WatchOptions options = OptionsFor(runtime);
  options.max_sandboxes = 3;
  options.poll_without_events = milliseconds(100);
  const auto watch = StartWatch(options);
  ASSERT_TRUE(HasIds(*watch, {"s4", "s3", "s2"}));
  EXPECT_TRUE(Eventually([&] { return watch->state().left_out == 2; }));
  runtime.RemoveSandbox("s3");
  EXPECT_TRUE(HasIds(*watch, {"s4", "s2", "s1"}));
  EXPECT_TRUE(Eventually([&] { return watch->state().left_out == 1; }));
}

TEST(SandboxWatch, Containers) {
  FakeRuntime runtime(kContainerd);
  runtime.AddSandbox({.id = "aaaa", .pod = "web-0"});
  runtime.AddContainer("c1", "aaaa", "server", 2);
  runtime.AddContainer("c2", "gone", "server", 0);
  runtime.Serve();
  const auto watch = StartWatch(OptionsFor(runtime));
  ASSERT_TRUE(Eventually([&] { return !watch->containers().empty(); }));
  EXPECT_THAT(watch->containers(),
              ElementsAre(Container{.id = "c1",
                                    .name = "server",
                                    .pod = {"shop", "web-0"},
                                    .pod_uid = "uid-web-0",
                                    .sandbox = "aaaa",
                                    .cgroup = "/kubepods.slice/kubepods-pod1.slice/cri-containerd-c1.scope",
                                    .repository = "registry.example:5000/shop/server",
                                    .attempt = 2,
                                    .runtime = "containerd",
                                    .image = "registry.example:5000/shop/server:1.0",
                                    .tag = "1.0",
                                    .privileged = false}));
  ASSERT_TRUE(Eventually([&] { return runtime.subscribers() == 1; }));
  runtime.RemoveContainer("c1");
  runtime.AddContainer("c3", "aaaa", "server", 3);
  runtime.Tell("/tasks/start");
  ASSERT_TRUE(Eventually([&] { return watch->containers().size() == 1 && watch->containers()[0].id == "c3"; }));

  // Pods go on being followed where containers cannot be listed.
  runtime.FailLists(grpc::Status::OK, {grpc::StatusCode::INTERNAL, "no containers"});
  runtime.AddSandbox({.id = "bbbb", .pod = "web-1"});
  runtime.Tell("/tasks/start");
  EXPECT_TRUE(HasIds(*watch, {"aaaa", "bbbb"}));
  EXPECT_TRUE(Eventually([&] { return watch->state().containers_error == "list of containers: no containers"; }));
  EXPECT_TRUE(watch->state().synced);
  EXPECT_EQ(watch->containers().size(), 1U);
}

// Its first process starts a moment later, and should have a name then.
TEST(SandboxWatch, AContainerIsKnownOnceItIsCreatedAndEachChangeIsTold) {
  FakeRuntime runtime(kContainerd);
  runtime.AddSandbox({.id = "aaaa", .pod = "web-0"});
  runtime.AddContainer("c1", "aaaa", "server", 0, runtime::v1::CONTAINER_CREATED);
  runtime.AddContainer("c2", "aaaa", "init", 0, runtime::v1::CONTAINER_EXITED);
  std::mutex mutex;
  std::vector<std::vector<std::string>> told;
  WatchOptions options = OptionsFor(runtime);
  options.on_containers = [&](const std::vector<Container>& containers) {
    std::vector<std::string> names;
    for (const Container& one : containers) names.push_back(one.id + " " + one.name);
    const std::lock_guard lock(mutex);
    told.push_back(std::move(names));
  };
  const auto is_told = [&](const std::vector<std::string>& names) {
    return Eventually([&] {
      const std::lock_guard lock(mutex);
      return !told.empty() && told.back() == names;
    });
  };
  runtime.Serve();
  const auto watch = StartWatch(std::move(options));
  EXPECT_TRUE(is_told({"c1 server"}));
  ASSERT_TRUE(Eventually([&] { return runtime.subscribers() == 1; }));
  runtime.AddContainer("c1", "aaaa", "server", 0);
  runtime.AddContainer("c3", "aaaa", "debugger", 0);
  runtime.Tell("/containers/create");
  EXPECT_TRUE(is_told({"c1 server", "c3 debugger"}));
  runtime.RemoveContainer("c3");
  runtime.Tell("/tasks/exit", "c3", "c3");
  EXPECT_TRUE(is_told({"c1 server"}));
}

TEST(SandboxWatch, ThatThereAreNoContainersIsToldToo) {
  FakeRuntime runtime(kContainerd);
  std::atomic<int> told = 0;
  WatchOptions options = OptionsFor(runtime);
  options.on_containers = [&](const std::vector<Container>& containers) { told += containers.empty() ? 1 : 100; };
  runtime.Serve();
  const auto watch = StartWatch(std::move(options));
  EXPECT_TRUE(Eventually([&] { return told == 1; }));
  ASSERT_TRUE(Eventually([&] { return watch->state().lists > 2; }));
  EXPECT_EQ(told, 1) << "nothing has changed since";
}

// What the kubelet asks for may be an id, and the name is in the reference then.
TEST(RuntimeReply, WhatIsKnownOfAContainer) {
  runtime::v1::Container listed;
  listed.set_id("c1");
  runtime::v1::PodSandbox sandbox;
  runtime::v1::ContainerStatusResponse response;
  runtime::v1::ContainerStatus& status = *response.mutable_status();
  status.set_state(runtime::v1::CONTAINER_RUNNING);
  status.mutable_image()->set_image("docker.io/library/nginx:1.25");
  status.set_image_ref("docker.io/library/nginx@sha256:0123");
  status.set_image_id("sha256:4567");
  runtime::v1::Mount& data = *status.add_mounts();
  data.set_host_path("/srv/data");
  data.set_container_path("/data");
  data.set_propagation(runtime::v1::PROPAGATION_HOST_TO_CONTAINER);
  runtime::v1::Mount& host = *status.add_mounts();
  host.set_host_path("/");
  host.set_container_path("/host");
  host.set_readonly(true);
  (*response.mutable_info())["info"] = R"({"config": {"linux": {"security_context": {"privileged": true}}}})";
  const auto container = ToContainer(listed, sandbox, "containerd", response);
  ASSERT_TRUE(container.ok()) << container.status();
  EXPECT_EQ(container->runtime, "containerd");
  EXPECT_EQ(container->image, "docker.io/library/nginx:1.25");
  EXPECT_EQ(container->repository, "docker.io/library/nginx");
  EXPECT_EQ(container->tag, "1.25");
  EXPECT_EQ(container->image_digest, "sha256:0123");
  EXPECT_EQ(container->image_id, "4567");
  EXPECT_EQ(container->privileged, true);
  EXPECT_THAT(
      container->mounts,
      ElementsAre(
          ContainerMount{.source = "/srv/data", .destination = "/data", .writable = true, .propagation = "rslave"},
          ContainerMount{.source = "/", .destination = "/host", .writable = false, .propagation = "private"}));
  status.mutable_image()->set_image("sha256:4567");
  const auto by_id = ToContainer(listed, sandbox, "containerd", response);
  ASSERT_TRUE(by_id.ok()) << by_id.status();
  EXPECT_EQ(by_id->image, "docker.io/library/nginx");
  EXPECT_EQ(by_id->repository, "docker.io/library/nginx");
  EXPECT_EQ(by_id->tag, "");
}

TEST(RuntimeReply, TheTagOfAnImage) {
  EXPECT_EQ(TagOf("docker.io/library/nginx:1.25"), "1.25");
  EXPECT_EQ(TagOf("registry.example:5000/nginx"), "");
  EXPECT_EQ(TagOf("registry.example:5000/nginx:1@sha256:0123"), "1");
  EXPECT_EQ(TagOf("nginx@sha256:0123"), "");
  EXPECT_EQ(TagOf("sha256:0123"), "");
}

TEST(RuntimeReply, TheRepositoryOfAnImage) {
  EXPECT_EQ(RepositoryOf("docker.io/library/nginx:1.25"), "docker.io/library/nginx");
  EXPECT_EQ(RepositoryOf("registry.example:5000/nginx"), "registry.example:5000/nginx");
  EXPECT_EQ(RepositoryOf("registry.example:5000/nginx:1@sha256:0123"), "registry.example:5000/nginx");
  EXPECT_EQ(RepositoryOf("nginx:1.25"), "nginx");
  EXPECT_EQ(RepositoryOf("sha256:0123"), "") << "no name";
  EXPECT_EQ(RepositoryOf(""), "");
}

// The second socket is that of a runtime, the first one that of something else, the third one is never asked.
TEST(SandboxWatch, TheFirstEndpointThatAnswersIsKept) {
  FakeRuntime first(kContainerd);
  FakeRuntime second(kCrio);
  FakeRuntime third(kContainerd);
  second.AddSandbox({.id = "bbbb", .pod = "web-1"});
  second.Serve();
  third.AddSandbox({.id = "cccc", .pod = "web-2"});
  third.Serve();
  const auto watch = StartWatch(
      {.endpoints = {first.endpoint(), second.endpoint(), third.endpoint()}, .poll_without_events = milliseconds(100)});
  ASSERT_TRUE(HasIds(*watch, {"bbbb"}));
  second.Stop();
  first.Serve();
  ASSERT_TRUE(Eventually([&] { return !watch->state().synced; }));
  std::this_thread::sleep_for(seconds(1));
  EXPECT_FALSE(watch->state().synced);
  EXPECT_THAT(IdsOfSandboxes(*watch), ElementsAre("bbbb")) << "the pods of another runtime do not replace these";
  second.Serve();
  EXPECT_TRUE(Synced(*watch));
}

TEST(SandboxWatch, NoRuntimeAtAll) {
  FakeRuntime runtime(kContainerd);
  const auto watch = StartWatch(OptionsFor(runtime));
  ASSERT_TRUE(Eventually([&] { return !watch->state().last_error.empty(); }));
  EXPECT_THAT(watch->state().last_error, HasSubstr(runtime.endpoint()));
  EXPECT_FALSE(watch->state().synced);
  EXPECT_EQ(watch->state().lists, 0U);
  runtime.AddSandbox({.id = "aaaa", .pod = "web-0"});
  runtime.Serve();
  EXPECT_TRUE(HasIds(*watch, {"aaaa"}));
}

TEST(SandboxWatch, RefusesOtherEndpoints) {
  EXPECT_EQ(SandboxWatch::Start({.endpoints = {}}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(SandboxWatch::Start({.endpoints = {"127.0.0.1:1234"}}).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace sluice::cri
