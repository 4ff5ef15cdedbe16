// What the kernel leaves out, whose the rest is, and what is lost.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/calls/call_fixture.h"
#include "tests/support/environment.h"

namespace sluice::test {
namespace {

namespace fs = std::filesystem;

using policy::rules::Container;
using telemetry::CallOwner;
using telemetry::ProcessInstance;

// The files of the events that came through, by their last names.
std::vector<std::string> NamesOf(CallFixture& fixture, pid_t pid) {
  std::vector<std::string> names = fixture.Lines(pid, {"fd.name"});
  for (std::string& name : names) name = fs::path(name).filename();
  return names;
}

void OpenAt(const std::string& path, int flags = O_RDONLY) {
  const long file = syscall(SYS_openat, AT_FDCWD, path.c_str(), flags, 0600);
  if (file >= 0) close(static_cast<int>(file));
}

TEST(CallFilter, FailingCallsModesAndNamesAreLeftOutInTheKernel) {
  SL_REQUIRE_BPF();
  const TempDir directory;
  const std::string at = fs::canonical(directory.path());
  for (const char* const name : {"key.pem", "note", "wtmp", "shadow"}) directory.Write(name, "x", 0600);
  auto fixture = CallFixture::Create({});
  ASSERT_TRUE(fixture.ok()) << fixture.status();
  (*fixture)->Keep({"fd.name"});
  ASSERT_TRUE((*fixture)
                  ->Require({"evt.type=openat and evt.is_open_read=true and fd.num>=0 and (fd.name=" + at +
                                 "/shadow or fd.name endswith .pem)",
                             "evt.type=openat and evt.is_open_write=true and fd.filename=wtmp"})
                  .ok());
  const pid_t child = Fork([&] {
    for (const char* const name : {"key.pem", "note", "wtmp", "shadow", "none", "none.pem"}) OpenAt(at + "/" + name);
    for (const char* const name : {"key.pem", "note", "wtmp", "shadow"}) OpenAt(at + "/" + name, O_WRONLY);
    OpenAt(at + "/shadow2", O_RDWR | O_CREAT);
  });
  Reap(child);
  (*fixture)->Drain();
  EXPECT_EQ(NamesOf(**fixture, child), (std::vector<std::string>{"key.pem", "shadow", "wtmp"}));
}

TEST(CallFilter, PartsOfNamesAreFoundInTheKernel) {
  SL_REQUIRE_BPF();
  const TempDir directory;
  const std::string at = fs::canonical(directory.path());
  fs::create_directory(at + "/sub");
  for (const char* const name : {"id_rsa_of_mine", "id_ed25519", "plain"}) directory.Write(name, "x", 0600);
  auto fixture = CallFixture::Create({});
  ASSERT_TRUE(fixture.ok()) << fixture.status();
  (*fixture)->Keep({"fd.name", "fd.nameraw"});
  ASSERT_TRUE((*fixture)
                  ->Require({"evt.type=openat and evt.is_open_read=true and fd.name contains id_rsa_of",
                             "evt.type=openat and evt.is_open_read=true and fd.nameraw contains ../p"})
                  .ok());
  const pid_t child = Fork([&] {
    for (const char* const name : {"id_rsa_of_mine", "id_ed25519", "plain", "sub/../plain", "sub/..//plain", "sub/"})
      OpenAt(at + "/" + name);
  });
  Reap(child);
  (*fixture)->Drain();
  const auto lines = (*fixture)->Lines(child, {"fd.name", "fd.nameraw"});
  EXPECT_EQ(lines,
            (std::vector<std::string>{at + "/id_rsa_of_mine " + at + "/id_rsa_of_mine",
                                      at + "/plain " + at + "/sub/../plain", at + "/plain " + at + "/sub/../plain"}));
}

TEST(CallFilter, PortsAreComparedInTheKernel) {
  SL_REQUIRE_BPF();
  auto fixture = CallFixture::Create({});
  ASSERT_TRUE(fixture.ok()) << fixture.status();
  (*fixture)->Keep({"evt.type", "evt.res", "fd.sport"});
  ASSERT_TRUE(
      (*fixture)->Require({"evt.type=connect and fd.sport in (4001, 4003)", "evt.type=bind and fd.sport=4001"}).ok());
  const pid_t child = Fork([&] {
    for (const std::uint16_t port : {4001, 4002, 4003}) {
      sockaddr_in address{};
      address.sin_family = AF_INET;
      address.sin_port = htons(port);
      address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      const auto* const to = reinterpret_cast<const sockaddr*>(&address);
      connect(socket(AF_INET, SOCK_DGRAM, 0), to, sizeof(address));  // no packet is sent
      bind(socket(AF_INET, SOCK_DGRAM, 0), to, sizeof(address));
      if (port == 4002) connect(socket(AF_INET, SOCK_STREAM, 0), to, sizeof(address));  // nobody listens
    }
  });
  Reap(child);
  (*fixture)->Drain();
  // A connect that failed may have had any port: the kernel does not ask the caller's memory.
  EXPECT_EQ((*fixture)->Lines(child, {"evt.type", "evt.res", "fd.sport"}),
            (std::vector<std::string>{"connect SUCCESS 4001", "bind SUCCESS 4001", "connect ECONNREFUSED 4002",
                                      "connect SUCCESS 4003"}));
}

TEST(CallFilter, LongNamesAreNotMissed) {
  SL_REQUIRE_BPF();
  const TempDir directory;
  const std::string deep = fs::canonical(directory.path()).string() + "/" + std::string(120, 'd');
  fs::create_directory(deep);
  for (const std::string& name : {std::string(80, 'e') + ".key", std::string("x")})
    std::ofstream(deep + "/" + name) << 1;
  auto fixture = CallFixture::Create({});
  ASSERT_TRUE(fixture.ok()) << fixture.status();
  (*fixture)->Keep({"fd.name"});
  ASSERT_TRUE((*fixture)
                  ->Require({"evt.type=openat and fd.name startswith " + deep + "/x",
                             "evt.type=openat and fd.name endswith " + std::string(80, 'e') + ".key"})
                  .ok());
  const pid_t child = Fork([&] {
    OpenAt(deep + "/x");
    OpenAt(deep + "/" + std::string(80, 'e') + ".key");
    OpenAt(deep);
  });
  Reap(child);
  (*fixture)->Drain();
  const auto names = NamesOf(**fixture, child);
  EXPECT_TRUE(std::ranges::find(names, "x") != names.end());
  EXPECT_TRUE(std::ranges::find(names, std::string(80, 'e') + ".key") != names.end());
}

TEST(CallFilter, RulesAreReplacedWithoutABlindMoment) {
  SL_REQUIRE_BPF();
  auto fixture = CallFixture::Create({.ring_bytes = 8U << 20});
  ASSERT_TRUE(fixture.ok()) << fixture.status();
  (*fixture)->Keep({"evt.arg.sig"});
  const auto one = RulesOf({"evt.type = kill and evt.arg.sig = SIGUSR1"});
  const auto two = RulesOf({"evt.type in (kill, dup) and evt.arg.sig = SIGUSR1", "evt.type = openat and fd.name = /x"});
  calls::CallStore& store = (*fixture)->store();
  ASSERT_TRUE(store.Require({one}).ok());
  Signal begin;
  constexpr int kCalls = 20'000;
  const pid_t child = Fork([&] {
    begin.Wait();
    for (int i = 0; i < kCalls; ++i) kill(0x7ffffff0, SIGUSR1);
  });
  begin.Raise();
  for (int i = 0; i < 20; ++i) {
    const auto& next = i % 2 == 0 ? two : one;
    ASSERT_TRUE(store.Require({one, two}).ok());
    ASSERT_TRUE(store.Require({next}).ok());
    (*fixture)->Drain();
  }
  Reap(child);
  (*fixture)->Drain();
  EXPECT_EQ((*fixture)->Lines(child, {"evt.arg.sig"}).size(), static_cast<std::size_t>(kCalls));
  EXPECT_TRUE((*fixture)->source().TakeLosses().empty());
}

TEST(CallFilter, NothingIsAttachedWithoutANeed) {
  SL_REQUIRE_BPF();
  auto fixture = CallFixture::Create({});
  ASSERT_TRUE(fixture.ok()) << fixture.status();
  EXPECT_FALSE((*fixture)->store().attached());
  EXPECT_EQ((*fixture)->store().bytes(), 0U);
  ASSERT_TRUE((*fixture)->Require({"evt.type = read"}).ok());  // no sensor for it
  EXPECT_FALSE((*fixture)->store().attached());
  ASSERT_TRUE((*fixture)->Require({"evt.type = kill"}).ok());
  EXPECT_TRUE((*fixture)->store().attached());
  EXPECT_GT((*fixture)->store().bytes(), 0U);
  ASSERT_TRUE((*fixture)->Require({}).ok());
  EXPECT_FALSE((*fixture)->store().attached());
  const pid_t child = Fork([] { kill(0x7ffffff0, SIGUSR1); });
  Reap(child);
  (*fixture)->Drain();
  EXPECT_TRUE((*fixture)->seen().empty());
}

// Two workloads by their network namespaces: the test says which process is of which.
class Workloads : public testing::Test {
 protected:
  void Start(std::uint32_t ring_bytes) {
    SL_REQUIRE_BPF();
    auto made = CallFixture::Create(
        {.ring_bytes = ring_bytes, .owner = [this](const ProcessInstance& instance) { return OwnerOf(instance.pid); }});
    ASSERT_TRUE(made.ok()) << made.status();
    fixture_ = *std::move(made);
  }

  CallOwner OwnerOf(std::uint32_t pid) const {
    if (const auto known = pods_.find(pid); known != pods_.end()) return known->second;
    return {.container = {std::shared_ptr<void>(), &policy::rules::HostContainer()}, .final = true, .workload = {}};
  }

  // A child in a network namespace of its own, that waits for the signal.
  pid_t Run(const std::string& name, const Signal& signal, const std::function<void()>& body) {
    Arrival arrival;
    const pid_t child = Fork([&] {
      if (unshare(CLONE_NEWNET) != 0) _exit(1);
      if (write(arrival.fd(), "x", 1) != 1) _exit(1);
      signal.Wait();
      body();
    });
    EXPECT_TRUE(arrival.Wait());
    auto container = std::make_shared<Container>();
    container->id = container->full_id = name + "-id";
    container->pod_name = name;
    container->pod_namespace = "shop";
    pods_[static_cast<std::uint32_t>(child)] = {.container = container, .final = true, .workload = {"shop", name}};
    return child;
  }

  std::map<std::uint32_t, CallOwner> pods_;
  std::unique_ptr<CallFixture> fixture_;
};

TEST_F(Workloads, EventsOfOneThatNoRuleWantsAreLeftOut) {
  Start(1U << 20);
  if (fixture_ == nullptr) return;
  fixture_->Keep({"evt.type"});
  ASSERT_TRUE(fixture_->Require({"evt.type = kill and k8s.pod.name = web"}).ok());
  std::map<std::string, std::size_t> counts;
  for (const char* const name : {"web", "db"}) {
    Signal first, second;
    const pid_t child = Run(name, first, [&] {
      kill(0x7ffffff0, SIGUSR1);
      second.Wait();
      for (int i = 0; i < 10; ++i) kill(0x7ffffff0, SIGUSR1);
    });
    first.Raise();
    while (fixture_->Lines(child, {"evt.type"}).empty()) fixture_->Drain();  // the first one tells whose it is
    second.Raise();
    Reap(child);
    fixture_->Drain();
    counts[name] = fixture_->Lines(child, {"evt.type"}).size();
  }
  EXPECT_EQ(counts["web"], 11U);
  EXPECT_EQ(counts["db"], 1U);
}

TEST_F(Workloads, OneWhoseFactsChangeIsLookedAtAnew) {
  Start(1U << 20);
  if (fixture_ == nullptr) return;
  fixture_->Keep({"evt.type"});
  ASSERT_TRUE(fixture_->Require({"evt.type = kill and container.image.repository = web"}).ok());
  Signal first, second, called, third;
  const pid_t child = Run("db", first, [&] {
    kill(0x7ffffff0, SIGUSR1);
    second.Wait();
    kill(0x7ffffff0, SIGUSR1);
    called.Raise();
    third.Wait();
    for (int i = 0; i < 10; ++i) kill(0x7ffffff0, SIGUSR1);
  });
  first.Raise();
  while (fixture_->Lines(child, {"evt.type"}).empty()) fixture_->Drain();
  second.Raise();  // no rule can want this one
  auto known = std::make_shared<Container>(*pods_.begin()->second.container);
  known->image_repository = "web";
  called.Wait();
  fixture_->Drain();
  EXPECT_EQ(fixture_->Lines(child, {"evt.type"}).size(), 1U);
  pods_.begin()->second.container = known;
  fixture_->store().ForgetPlaces();
  third.Raise();
  Reap(child);
  fixture_->Drain();
  EXPECT_EQ(fixture_->Lines(child, {"evt.type"}).size(), 11U);
}

TEST_F(Workloads, AFloodOfOneLeavesRoomForAnother) {
  Start(256U << 10);
  if (fixture_ == nullptr) return;
  fixture_->Keep({"evt.type"});
  ASSERT_TRUE(fixture_->Require({"evt.type in (kill, dup)"}).ok());
  constexpr int kFlood = 20'000, kFew = 20;
  const auto act = [&](int count, const Signal& second) {
    kill(0x7ffffff0, SIGUSR1);
    second.Wait();
    for (int i = 0; i < count; ++i) kill(0x7ffffff0, SIGUSR1);
  };
  Signal first, flood, few;
  const pid_t loud = Run("loud", first, [&] { act(kFlood, flood); });
  const pid_t quiet = Run("quiet", first, [&] { act(kFew, few); });
  first.Raise();
  while (fixture_->Lines(loud, {"evt.type"}).empty() || fixture_->Lines(quiet, {"evt.type"}).empty()) fixture_->Drain();
  flood.Raise();
  Reap(loud);  // the ring is full by now
  few.Raise();
  Reap(quiet);
  fixture_->Drain();
  const std::size_t told = fixture_->Lines(loud, {"evt.type"}).size();
  EXPECT_EQ(fixture_->Lines(quiet, {"evt.type"}).size(), kFew + 1U);
  EXPECT_LT(told, static_cast<std::size_t>(kFlood));
  const auto losses = fixture_->source().TakeLosses();
  ASSERT_EQ(losses.size(), 1U);
  EXPECT_EQ(policy::rules::NameOf(*losses[0].type), "kill");
  EXPECT_EQ(losses[0].workload, (policy::ObjectName{"shop", "loud"}));
  EXPECT_EQ(losses[0].count, kFlood + 1U - told);
  EXPECT_TRUE(fixture_->source().TakeLosses().empty());
}

}  // namespace
}  // namespace sluice::test
