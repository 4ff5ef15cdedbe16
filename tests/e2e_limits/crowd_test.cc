// Very many clients at once: the agent continues to enforce and answer, with few threads and little memory.
#include <fcntl.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <fstream>
#include <optional>

#include "api/sluice.grpc.pb.h"
#include "testbed/command.h"
#include "testbed/traffic.h"
#include "tests/support/environment.h"
#include "tests/support/node_fixture.h"

namespace sluice::test {
namespace {

using namespace std::chrono_literals;

constexpr std::uint16_t kPort = 1000;
constexpr std::uint16_t kDenied = 1001;
constexpr int kStreams = 10000;
constexpr int kFollowers = 60;  // api::CallLimits
constexpr int kChannels = 200;
constexpr int kIdle = 500;
// Limits for the cost of all clients; see docs/testing.md.
constexpr std::uint64_t kMoreKib = 256U << 10;
constexpr std::uint64_t kMoreThreads = 200;

// 500 connections to the metrics, half of which send one byte a second.
constexpr const char* kSlowLoris = R"(
import socket, sys, time
host, port = sys.argv[1].rsplit(':', 1)
def connect():
    s = socket.create_connection((host, int(port)))
    s.setblocking(False)
    return s
socks = [connect() for _ in range(500)]
print('connected', flush=True)
while True:
    for i, s in enumerate(socks):
        try:
            if i % 2: s.send(b'G')
        except OSError:
            try: socks[i] = connect()
            except OSError: pass
    time.sleep(1)
)";

std::uint64_t OfStatus(pid_t pid, const std::string& field) {
  std::ifstream in(fmt::format("/proc/{}/status", pid));
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with(field + ":")) return std::stoull(line.substr(field.size() + 1));
  }
  return 0;
}

std::vector<Fd> IdleConnections(const std::string& address) {
  const std::string path = address.substr(std::string("unix://").size());
  std::vector<Fd> idle;
  for (int i = 0; i < kIdle; ++i) {
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    path.copy(to.sun_path, sizeof(to.sun_path) - 1);
    Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(connect(fd.get(), reinterpret_cast<sockaddr*>(&to), sizeof(to)), 0) << i;
    idle.push_back(std::move(fd));
  }
  return idle;
}

class Followers {
 public:
  explicit Followers(const std::string& address) {
    v1::ObserveRequest request;
    request.set_follow(true);
    for (int i = 0; i < kChannels; ++i) {
      grpc::ChannelArguments arguments;
      arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
      stubs_.push_back(
          v1::Sluice::NewStub(grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments)));
    }
    for (int i = 0; i < kStreams; ++i) {
      One& one = *all_.emplace_back(std::make_unique<One>());
      one.reader =
          stubs_[static_cast<std::size_t>(i % kChannels)]->AsyncObserve(&one.context, request, &queue_, nullptr);
      one.reader->Finish(&one.status, &one);
    }
  }
  // Waits until this many have ended; a minute at most.
  void WaitForEnds(int count) {
    const auto deadline = std::chrono::system_clock::now() + 60s;
    void* tag = nullptr;
    bool ok = false;
    while (ended_ < count && queue_.AsyncNext(&tag, &ok, deadline) == grpc::CompletionQueue::GOT_EVENT) {
      if (tag != nullptr) ended_++;
    }
  }
  int ended() const { return ended_; }
  ~Followers() {
    for (const auto& one : all_) one->context.TryCancel();
    WaitForEnds(kStreams);
    queue_.Shutdown();
  }

 private:
  struct One {
    grpc::ClientContext context;
    std::unique_ptr<grpc::ClientAsyncReader<v1::Event>> reader;
    grpc::Status status;
  };
  grpc::CompletionQueue queue_;
  std::vector<std::unique_ptr<v1::Sluice::Stub>> stubs_;
  std::vector<std::unique_ptr<One>> all_;
  int ended_ = 0;
};

TEST(Crowd, TenThousandStreamsAndSlowClientsStopNothing) {
  SL_REQUIRE_NETNS();
  SL_REQUIRE_BPF();
  auto created = NodeFixture::Create({.pods = {"web", "db"}, .args = {}, .outside = false});
  ASSERT_TRUE(created.ok()) << created.status();
  NodeFixture& fixture = **created;
  const Status applied = fixture.agent().Apply(fixture.WorkloadYaml("web", "{app: web}") +
                                               fixture.WorkloadYaml("db", "{app: db}") + kDbAtUdp1000);
  ASSERT_TRUE(applied.ok()) << applied;
  const auto echo = EchoServer::Start(fixture.netns_fd("db"), {kPort, kDenied});
  ASSERT_TRUE(echo.ok()) << echo.status();
  const auto pinger =
      Pinger::Start({.netns_fd = fixture.netns_fd("web"), .destination = fixture.ip4("db"), .port = kPort});
  ASSERT_TRUE(pinger.ok()) << pinger.status();
  const std::uint64_t memory = OfStatus(fixture.agent().pid(), "VmRSS");
  const std::uint64_t threads = OfStatus(fixture.agent().pid(), "Threads");

  std::optional<ChildProcess> loris;
  const Status begun = fixture.node().Run([&]() -> Status {
    auto started = ChildProcess::Start({"python3", "-c", kSlowLoris, fixture.agent().metrics_address()});
    if (!started.ok()) return started.status();
    loris = *std::move(started);
    return OkStatus();
  });
  ASSERT_TRUE(begun.ok()) << begun;
  ASSERT_TRUE(loris && loris->WaitForOutput("connected").ok());
  const auto idle = IdleConnections(fixture.agent().api_address());
  Followers followers(fixture.agent().api_address());
  followers.WaitForEnds(kStreams - kFollowers);
  EXPECT_EQ(followers.ended(), kStreams - kFollowers) << "these are told that there are enough";

  const std::uint64_t more_memory = OfStatus(fixture.agent().pid(), "VmHWM") - memory;
  const std::uint64_t more_threads = OfStatus(fixture.agent().pid(), "Threads") - threads;
  RecordProperty("more_kib", static_cast<int>(more_memory));
  RecordProperty("more_threads", static_cast<int>(more_threads));
  std::printf("memory %lu KiB, at most %lu KiB more; %lu threads more\n", memory, more_memory, more_threads);
  EXPECT_LT(more_memory, kMoreKib);
  EXPECT_LT(more_threads, kMoreThreads);
  for (int i = 0; i < 5; ++i) {
    const auto status = fixture.agent().Sluice({"status"});
    ASSERT_TRUE(status.ok()) << status.status();
    EXPECT_EQ(status->exit_code, 0) << status->err;
    const auto ready = fixture.Run({"curl", "--silent", "--noproxy", "*", "--max-time", "5",
                                    "http://" + fixture.agent().metrics_address() + "/readyz"});
    ASSERT_TRUE(ready.ok()) << ready.status();
    EXPECT_EQ(ready->output, "ready\n");
  }
  // It enforces, and still accepts changes.
  EXPECT_EQ(fixture.Udp("web", "db", kPort, true), ProbeOutcome::kAllowed);
  EXPECT_EQ(fixture.Udp("web", "db", kDenied, false), ProbeOutcome::kTimeout);
  const Status deleted = fixture.agent().Delete({policy::Kind::kNetworkPolicy, {"shop", "db"}});
  EXPECT_TRUE(deleted.ok()) << deleted;
  EXPECT_EQ(fixture.Udp("web", "db", kDenied, true), ProbeOutcome::kAllowed);
  EXPECT_EQ((*pinger)->counts().lost, 0U);
}

}  // namespace
}  // namespace sluice::test
