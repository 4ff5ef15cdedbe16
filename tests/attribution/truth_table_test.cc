// Short connections at full load from hundreds of processes, each of which logs its work, compared with the processes
// in the flows' records. No record may lack a process or have a wrong one.
//
// SLUICE_TRUTH_CONNECTIONS: number of connections (default 10000), half of them TCP, half UDP.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <sstream>

#include "tests/attribution/fixture.h"

namespace sluice::test {
namespace {

constexpr std::uint16_t kFirstPort = 3000, kPorts = 8, kFirstLocalPort = 10000;
constexpr int kClients = 100, kWorkers = 24;  // processes of each protocol; workers: of each port's listener 3
enum Role { kClientRole, kServerRole };

struct Deed {
  std::uint32_t number;  // of the connection
  std::uint8_t protocol;
  std::uint8_t role;
  std::uint16_t local_port;  // the client's port; below its address and the server's port
  std::uint16_t server_port;
  std::uint32_t local_address;
  pid_t pid;
  std::uint64_t start_ticks;  // start time of the process as in /proc/PID/stat
};

// In memory shared by all processes.
class Log {
 public:
  explicit Log(std::size_t capacity)
      : capacity_(capacity), bytes_(sizeof(std::atomic<std::size_t>) + capacity * sizeof(Deed)) {
    memory_ = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory_ == MAP_FAILED) std::abort();
    size_ = new (memory_) std::atomic<std::size_t>(0);
  }
  ~Log() { munmap(memory_, bytes_); }
  void Add(const Deed& deed) {
    const std::size_t at = (*size_)++;
    Require(at < capacity_);
    begin()[at] = deed;
  }
  Deed* begin() const { return reinterpret_cast<Deed*>(size_ + 1); }
  Deed* end() const { return begin() + *size_; }

 private:
  const std::size_t capacity_, bytes_;
  void* memory_ = nullptr;
  std::atomic<std::size_t>* size_ = nullptr;
};

std::uint64_t StartTicks() {
  std::ifstream stat("/proc/self/stat");
  std::string text((std::istreambuf_iterator<char>(stat)), {});
  std::istringstream fields(text.substr(text.rfind(')') + 1));
  std::string field;
  for (int i = 3; i <= 22; ++i) fields >> field;
  return std::stoull(field);
}

struct Message {
  std::uint32_t number;
};

class TruthTable : public AttributionFixture {
 protected:
  // Each `number` gives a unique tuple: two pods, eight ports, then the next local port.
  void Converse(std::uint32_t number, int type, const char* pod, Log& log, std::uint64_t ticks) const {
    const int protocol = type == SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP;
    const int fd = socket(AF_INET, type, 0);
    const int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    sockaddr_in self = Address(pod, static_cast<std::uint16_t>(kFirstLocalPort + number / (2 * kPorts)));
    const sockaddr_in to = Address("db", static_cast<std::uint16_t>(kFirstPort + number / 2 % kPorts));
    const auto* const address = reinterpret_cast<const sockaddr*>(&to);
    Require(bind(fd, reinterpret_cast<sockaddr*>(&self), sizeof(self)) == 0);
    const bool connected = type == SOCK_STREAM || number / 2 % 3 != 0;
    if (connected) Require(connect(fd, address, sizeof(to)) == 0);
    // Datagrams may be lost and are sent again. TCP does that itself, and gets the same total time.
    constexpr int kAttempts = 20;
    const timeval patience{type == SOCK_DGRAM ? 1 : kAttempts, 0};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    Message message{number};
    for (int attempt = 0;; ++attempt) {
      Require(attempt < kAttempts);
      Require(sendto(fd, &message, sizeof(message), MSG_NOSIGNAL, connected ? nullptr : address,
                     connected ? 0 : sizeof(to)) == sizeof(message));
      const ssize_t got = recv(fd, &message, sizeof(message), 0);
      if (got == sizeof(message)) break;
      Require(type == SOCK_DGRAM && got < 0 && errno == EAGAIN);
    }
    socklen_t length = sizeof(self);
    Require(getsockname(fd, reinterpret_cast<sockaddr*>(&self), &length) == 0);
    log.Add({number, static_cast<std::uint8_t>(protocol), kClientRole, ntohs(self.sin_port), ntohs(to.sin_port),
             self.sin_addr.s_addr, getpid(), ticks});
    close(fd);
  }

  pid_t StartClient(int index, int type, std::uint32_t connections, Log& log) const {
    const char* const pod = index % 2 == 0 ? "web" : "other";
    return In(pod, [&, index, type] {
      alarm(600);
      const std::uint64_t ticks = StartTicks();
      // The connections of this process: every kClients-th one of its pod's.
      for (std::uint32_t number = index; number < connections; number += kClients)
        Converse(number, type, pod, log, ticks);
    });
  }

  // Half of the TCP workers read the peer's address, half do not.
  pid_t StartWorker(int index, int fd, int type, Log& log) const {
    return Fork([&, index, fd, type] {
      alarm(600);
      const std::uint64_t ticks = StartTicks();
      for (;;) {
        Message message;
        sockaddr_in peer{};
        socklen_t length = sizeof(peer);
        auto* const address = reinterpret_cast<sockaddr*>(&peer);
        Deed deed{0,           static_cast<std::uint8_t>(type == SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP),
                  kServerRole, 0,
                  0,           0,
                  getpid(),    ticks};
        if (type == SOCK_DGRAM) {
          Require(recvfrom(fd, &message, sizeof(message), 0, address, &length) == sizeof(message));
          deed.number = message.number;
          log.Add(deed);
          Require(sendto(fd, &message, sizeof(message), 0, address, length) == sizeof(message));
          continue;
        }
        const int accepted = index % 2 == 0 ? accept(fd, nullptr, nullptr) : accept(fd, address, &length);
        Require(accepted >= 0 && recv(accepted, &message, sizeof(message), MSG_WAITALL) == sizeof(message));
        deed.number = message.number;
        log.Add(deed);
        Require(send(accepted, &message, sizeof(message), MSG_NOSIGNAL) == sizeof(message));
        close(accepted);
      }
    });
  }

  struct Tally {
    std::uint64_t right = 0, wrong = 0, absent = 0, no_flow = 0;
  };
  void Compare(const Deed& deed, sl_process_id id, Tally* tally) {
    if (id == 0) {
      tally->absent++;
      return;
    }
    const auto instance = fixture().tree().Find(id);
    const std::uint64_t tick_ns = 1'000'000'000 / static_cast<std::uint64_t>(sysconf(_SC_CLK_TCK));
    const bool right =
        instance && static_cast<pid_t>(instance->pid) == deed.pid && instance->birth_ns / tick_ns == deed.start_ticks;
    right ? tally->right++ : tally->wrong++;
    if (!right)
      std::cout << "connection " << deed.number << " of process " << deed.pid << " is said to be of "
                << (instance ? std::to_string(instance->pid) : "nobody") << ", this test is " << getpid() << "\n";
  }
};

TEST_F(TruthTable, EveryConnectionHasItsProcessAtBothEnds) {
  const char* const wanted = std::getenv("SLUICE_TRUTH_CONNECTIONS");
  const auto connections = static_cast<std::uint32_t>(wanted != nullptr ? std::atoi(wanted) : 10000) / 2;
  bpf::ObjectOptions tables = FixtureOptions::SmallTables();
  tables.flows = 8 * connections + 8192;
  BeginPackets({}, tables);
  ASSERT_FALSE(HasFatalFailure());
  for (const TestPod& pod : node_->pods()) {  // the test binds every port explicitly
    ASSERT_TRUE(node_->netns(pod).Sysctl("net/ipv4/ip_local_port_range", "1024 2000").ok());
  }
  BeginSensors(bpf::SocketBackEnd::kAuto);
  ASSERT_FALSE(HasFatalFailure());

  Log log(5UL * connections + 1000);
  std::vector<Fd> sockets;
  std::vector<pid_t> workers, clients;
  for (int i = 0; i < kWorkers; ++i) {
    const auto port = static_cast<std::uint16_t>(kFirstPort + i % kPorts);
    if (i < kPorts)
      for (const int type : {SOCK_STREAM, SOCK_DGRAM}) sockets.push_back(Open("db", type, port));
    for (const int t : {0, 1})
      workers.push_back(
          StartWorker(i / kPorts, sockets[2 * (i % kPorts) + t].get(), t ? SOCK_DGRAM : SOCK_STREAM, log));
  }
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < kClients; ++i)
    for (const int type : {SOCK_STREAM, SOCK_DGRAM}) clients.push_back(StartClient(i, type, connections, log));
  for (const pid_t client : clients) EXPECT_EQ(Reap(client), 0);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  for (const pid_t worker : workers) kill(worker, SIGTERM);
  for (const pid_t worker : workers) EXPECT_EQ(Reap(worker), SIGTERM);
  ASSERT_TRUE(fixture().Settle().ok());

  using Tuple = std::tuple<int, std::uint32_t, std::uint16_t, std::uint16_t>;  // protocol, address, ports
  std::map<Tuple, sl_flow_entry> flows;
  const auto read = datapath_->Flows();
  ASSERT_TRUE(read.ok()) << read.status();
  for (const datapath::FlowRecord& flow : *read) {
    const bool hi = (flow.entry.flags & SL_CT_INITIATOR_HI) != 0;
    std::uint32_t address;
    memcpy(&address, (hi ? flow.key.hi : flow.key.lo).bytes + 12, sizeof(address));
    flows[{flow.key.protocol, address, ntohs(hi ? flow.key.hi_port : flow.key.lo_port),
           ntohs(hi ? flow.key.lo_port : flow.key.hi_port)}] = flow.entry;
  }
  std::map<std::pair<int, std::uint32_t>, Tuple> tuples;
  std::map<std::pair<int, std::uint32_t>, const Deed*> served;  // by whom last
  for (const Deed& deed : log) {
    if (deed.role == kClientRole)
      tuples[{deed.protocol, deed.number}] = {deed.protocol, deed.local_address, deed.local_port, deed.server_port};
    else
      served[{deed.protocol, deed.number}] = &deed;
  }
  EXPECT_EQ(tuples.size(), 2UL * connections);
  std::map<std::pair<int, int>, Tally> tallies;  // by protocol and role
  const auto evaluate = [&](const Deed& deed) {
    Tally& tally = tallies[{deed.protocol, deed.role}];
    const auto flow = flows.find(tuples[{deed.protocol, deed.number}]);
    if (flow == flows.end()) {
      tally.no_flow++;
      return;
    }
    Compare(deed, deed.role == kClientRole ? flow->second.initiator_process : flow->second.responder_process, &tally);
  };
  for (const Deed& deed : log)
    if (deed.role == kClientRole) evaluate(deed);
  for (const auto& [key, deed] : served) evaluate(*deed);

  std::cout << 2 * connections << " connections of " << clients.size() << " clients with " << workers.size()
            << " workers in " << took.count() << " s\n";
  for (const auto& [key, tally] : tallies) {
    const auto& [protocol, role] = key;
    std::cout << (protocol == IPPROTO_TCP ? "TCP " : "UDP ") << (role == kClientRole ? "client" : "server") << ": "
              << tally.right << " right, " << tally.wrong << " wrong, " << tally.absent << " absent, " << tally.no_flow
              << " without a flow\n";
    EXPECT_EQ(tally.right, connections);
    EXPECT_EQ(tally.wrong + tally.absent + tally.no_flow, 0U);
  }
  EXPECT_EQ(tallies.size(), 4U);
}

}  // namespace
}  // namespace sluice::test
