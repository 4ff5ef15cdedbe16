// Correct records: the process that opened a flow, and its packet counts, when processes are short-lived and reuse
// ports that other processes just had.
//
// SLUICE_RECORD_CONNECTIONS: number of connections (default 600), a third of them TCP.
#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <thread>

#include "tests/e2e/api_client.h"
#include "tests/e2e/constants.h"
#include "tests/support/environment.h"
#include "tests/support/node_fixture.h"

namespace sluice::test {
namespace {

using namespace std::chrono_literals;

constexpr int kClients = 30, kPortsOfAClient = 4;

struct Deed {
  std::uint8_t protocol;
  std::uint16_t port;  // the client's
  pid_t pid;
  std::uint32_t packets;  // UDP
};

// In memory shared by all processes.
struct Log {
  std::atomic<std::uint32_t> size;
  Deed deeds[100000];
};

void Require(bool done) {
  if (!done) _exit(99);
}

pid_t ForkIn(int netns, const std::function<void()>& body) {
  const pid_t child = fork();
  if (child != 0) return child;
  alarm(300);
  if (netns >= 0) Require(setns(netns, CLONE_NEWNET) == 0);
  body();
  _exit(0);
}

int Reap(pid_t child) {
  int status = 0;
  return waitpid(child, &status, 0) == child ? status : -1;
}

int BoundSocket(int type, std::uint16_t port) {
  const int fd = socket(AF_INET, type, 0);
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  sockaddr_in any{};
  any.sin_family = AF_INET;
  any.sin_port = htons(port);
  Require(bind(fd, reinterpret_cast<sockaddr*>(&any), sizeof(any)) == 0);
  return fd;
}

class Records : public testing::Test {
 protected:
  void SetUp() override {
    SL_REQUIRE_NETNS();
    SL_REQUIRE_BPF();
    auto fixture = NodeFixture::Create({.pods = {"web", "db"}, .args = {}, .outside = false});
    ASSERT_TRUE(fixture.ok()) << fixture.status();
    fixture_ = *std::move(fixture);
    api_ = std::make_unique<ApiClient>(fixture_->agent().api_address());
    const Status applied =
        api_->Apply(fixture_->WorkloadYaml("web", "{app: web}") + fixture_->WorkloadYaml("db", "{app: db}"));
    ASSERT_TRUE(applied.ok()) << applied;
    log_ = static_cast<Log*>(
        mmap(nullptr, sizeof(Log), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    ASSERT_NE(log_, MAP_FAILED);
    server_ = ForkIn(fixture_->netns_fd("db"), [] { Serve(); });
  }
  void TearDown() override {
    StopFollowing();
    if (server_ > 0) {
      kill(server_, SIGKILL);
      Reap(server_);
    }
    if (log_ != nullptr) munmap(log_, sizeof(Log));
  }

  // Answers one byte on each connection; receives datagrams without answering.
  static void Serve() {
    alarm(0);
    BoundSocket(SOCK_DGRAM, kPort);
    const int listener = BoundSocket(SOCK_STREAM, kPort);
    Require(listen(listener, 1024) == 0);
    for (;;) {
      const int fd = accept(listener, nullptr, nullptr);
      char byte = 0;
      if (recv(fd, &byte, 1, 0) == 1) (void)send(fd, &byte, 1, MSG_NOSIGNAL);
      close(fd);
    }
  }

  void Follow() {
    v1::ObserveRequest request;
    request.set_follow(true);
    request.mutable_filter()->set_type("flow");
    request.mutable_filter()->set_port(kPort);
    stream_ = api_->stub().Observe(&context_, request);
    stream_->WaitForInitialMetadata();
    reader_ = std::thread([this] {
      for (v1::Event event; stream_->Read(&event);) {
        const std::lock_guard lock(mutex_);
        if (event.has_flow()) {
          begun_ += event.flow().event() == v1::Flow::NEW;
          flows_.push_back(std::move(*event.mutable_flow()));
        }
        if (event.has_lost()) lost_[event.lost().cause() + " " + event.lost().workload()] += event.lost().count();
      }
    });
  }
  void StopFollowing() {
    if (!reader_.joinable()) return;
    context_.TryCancel();
    reader_.join();
    (void)stream_->Finish();
  }
  std::string Lost() {
    const std::lock_guard lock(mutex_);
    std::string text;
    for (const auto& [cause, count] : lost_) text += fmt::format("{}: {} ", cause, count);
    return text;
  }
  // Reported until now, by flow id.
  std::map<std::string, std::vector<v1::Flow>> Told() {
    const std::lock_guard lock(mutex_);
    std::map<std::string, std::vector<v1::Flow>> told;
    for (const v1::Flow& flow : flows_) told[flow.flow_id()].push_back(flow);
    return told;
  }

  std::vector<v1::Flow> Listed() {
    v1::GetRequest request;
    request.set_kind("flows");
    grpc::ClientContext context;
    const auto listing = api_->stub().Get(&context, request);
    std::vector<v1::Flow> flows;
    for (v1::Object object; listing->Read(&object);) flows.push_back(object.flow());
    return flows;
  }

  void SendDatagrams(std::uint16_t port, std::uint32_t packets) const {
    const int fd = BoundSocket(SOCK_DGRAM, port);
    for (std::uint32_t i = 0; i < packets; ++i) {
      Require(sendto(fd, "x", 1, 0, reinterpret_cast<const sockaddr*>(&server_address_), sizeof(server_address_)) == 1);
    }
    log_->deeds[log_->size++] = {IPPROTO_UDP, port, getpid(), packets};
  }
  void Connect(std::uint16_t port) const {
    const int fd = BoundSocket(SOCK_STREAM, port);
    const linger reset{1, 0};  // so that the port can be reused at once
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    Require(connect(fd, reinterpret_cast<const sockaddr*>(&server_address_), sizeof(server_address_)) == 0);
    char byte = 'x';
    Require(send(fd, &byte, 1, 0) == 1 && recv(fd, &byte, 1, 0) == 1);
    log_->deeds[log_->size++] = {IPPROTO_TCP, port, getpid(), 0};
  }
  // Children that end at once, one after another; their connections use few ports.
  void RunClient(int client, int rounds) const {
    for (int round = 0; round < rounds; ++round) {
      const pid_t child = ForkIn(-1, [&] {
        const auto port = static_cast<std::uint16_t>(10000 + client * kPortsOfAClient + round % kPortsOfAClient);
        if (round / kPortsOfAClient % 3 == 0)
          Connect(port);
        else
          SendDatagrams(port, 1 + round % 3);
      });
      Require(Reap(child) == 0);
    }
  }

  std::unique_ptr<NodeFixture> fixture_;
  std::unique_ptr<ApiClient> api_;
  Log* log_ = nullptr;
  pid_t server_ = -1;
  sockaddr_in server_address_{};

 private:
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<v1::Event>> stream_;
  std::thread reader_;
  std::mutex mutex_;
  std::vector<v1::Flow> flows_;
  std::map<std::string, std::uint64_t> lost_;  // by cause and workload

 protected:
  std::atomic<std::uint32_t> begun_ = 0;
};

TEST_F(Records, EachProcessHasARecordOfItsOwnFromBeginningToEnd) {
  if (fixture_ == nullptr) return;
  const char* const wanted = std::getenv("SLUICE_RECORD_CONNECTIONS");
  const int rounds = (wanted != nullptr ? std::atoi(wanted) : 600) / kClients;
  server_address_.sin_family = AF_INET;
  server_address_.sin_port = htons(kPort);
  inet_pton(AF_INET, fixture_->node().pod("db").ip4.c_str(), &server_address_.sin_addr);
  Follow();
  std::vector<pid_t> clients;
  for (int i = 0; i < kClients; ++i)
    clients.push_back(ForkIn(fixture_->netns_fd("web"), [&] { RunClient(i, rounds); }));
  for (const pid_t client : clients) EXPECT_EQ(Reap(client), 0);
  ASSERT_EQ(log_->size, static_cast<std::uint32_t>(kClients * rounds));

  // All have begun; flows whose port was taken over have ended.
  EXPECT_TRUE(Eventually([&] { return begun_ >= log_->size; }, 30s)) << begun_ << " of " << log_->size;
  EXPECT_EQ(Lost(), "");
  const auto told = Told();

  std::map<std::tuple<std::string, std::uint32_t, std::uint32_t>, std::vector<std::string>> by_client;
  std::map<std::string, std::int64_t> starts;  // of processes, by exec id
  int without_source = 0, without_destination = 0;
  for (const auto& [id, events] : told) {
    const v1::Flow& first = events.front();
    EXPECT_FALSE(id.empty());
    EXPECT_EQ(first.event(), v1::Flow::NEW) << first.ShortDebugString();
    without_source += !first.source().has_process();
    without_destination += first.l4().protocol() == "TCP" && !first.destination().has_process();
    if (first.l4().protocol() == "UDP" || first.l4().protocol() == "TCP")
      by_client[{first.l4().protocol(), first.l4().source_port(), first.source().process().pid()}].push_back(id);
    for (const v1::Flow& event : events) {
      EXPECT_EQ(event.source().process().pid(), first.source().process().pid()) << event.ShortDebugString();
      EXPECT_EQ(event.start_time().nanos(), first.start_time().nanos());
      EXPECT_EQ(event.event() == v1::Flow::NEW, &event == &events.front());
      for (const v1::Process& process : {event.source().process(), event.destination().process()}) {
        const std::int64_t start = process.start_time().seconds() * 1'000'000'000 + process.start_time().nanos();
        EXPECT_EQ(starts.try_emplace(process.exec_id(), start).first->second, start) << process.exec_id();
      }
    }
    if (events.back().event() == v1::Flow::END && first.l4().protocol() == "TCP") {
      EXPECT_EQ(events.back().destination().process().pid(), static_cast<std::uint32_t>(server_)) << id;
    }
  }
  EXPECT_EQ(without_source, 0) << "of " << told.size();
  EXPECT_EQ(without_destination, 0) << "of " << told.size();

  // The packets of a record at its end, or now; a flow's end is reported a moment after it.
  std::map<std::string, std::uint64_t> packets;
  const auto all_known = [&] {
    for (const v1::Flow& flow : Listed()) packets[flow.flow_id()] = flow.forward().packets();
    for (const auto& [id, events] : Told())
      if (events.back().event() == v1::Flow::END) packets[id] = events.back().forward().packets();
    return std::all_of(told.begin(), told.end(), [&](const auto& one) { return packets.contains(one.first); });
  };
  EXPECT_TRUE(Eventually(all_known, 10s));
  int wrong = 0;
  for (std::uint32_t i = 0; i < log_->size; ++i) {
    const Deed& deed = log_->deeds[i];
    const auto ids =
        by_client.find({deed.protocol == IPPROTO_UDP ? "UDP" : "TCP", deed.port, static_cast<std::uint32_t>(deed.pid)});
    if (ids == by_client.end() || ids->second.size() != 1) {
      if (wrong++ < 5)
        ADD_FAILURE() << "process " << deed.pid << " by port " << deed.port << " has "
                      << (ids == by_client.end() ? 0 : ids->second.size()) << " records";
      continue;
    }
    const std::uint64_t count = packets[ids->second[0]];
    if (deed.protocol == IPPROTO_UDP ? count == deed.packets : count >= 3) continue;
    if (wrong++ < 5) ADD_FAILURE() << "process " << deed.pid << " sent " << deed.packets << ", told is " << count;
  }
  EXPECT_EQ(wrong, 0) << "of " << log_->size;
}

}  // namespace
}  // namespace sluice::test
