#include "tests/attribution/fixture.h"

#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

namespace sluice::test {

using namespace std::chrono_literals;

void AttributionFixture::SetUp() {
  DatapathFixture::SetUp();
  pids_ = static_cast<pid_t*>(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  ASSERT_NE(pids_, MAP_FAILED);
}

void AttributionFixture::TearDown() {
  fixture_.reset();
  if (pids_ != nullptr) munmap(pids_, 4096);
  DatapathFixture::TearDown();
}

void AttributionFixture::Begin(bpf::SocketBackEnd back_end, const std::string& policies) {
  BeginPackets(policies);
  BeginSensors(back_end);
}

void AttributionFixture::BeginPackets(const std::string& policies, const bpf::ObjectOptions& object) {
  Build({});
  DatapathFixture::Open(object);
  Enforce(policies);
}

void AttributionFixture::BeginSensors(bpf::SocketBackEnd back_end) {
  auto fixture = SensorFixture::Create({.probes = {.pin_root = root()}, .socket_back_end = back_end});
  ASSERT_TRUE(fixture.ok()) << fixture.status();
  fixture_ = *std::move(fixture);
  ASSERT_NE(fixture_->sensor().sockets(), nullptr);
}

Fd AttributionFixture::Open(const std::string& pod, int type, std::uint16_t port) const {
  Fd fd;
  const Status opened = node_->RunIn(Pod(pod), [&]() -> Status {
    fd = Fd(socket(AF_INET, type | SOCK_CLOEXEC, 0));
    sockaddr_in any{};
    any.sin_family = AF_INET;
    any.sin_port = htons(port);
    if (!fd.valid() || (port != 0 && bind(fd.get(), reinterpret_cast<sockaddr*>(&any), sizeof(any)) != 0) ||
        (type == SOCK_STREAM && listen(fd.get(), 1024) != 0))
      return ErrnoError(errno, "open port {} in {}", port, pod);
    return OkStatus();
  });
  EXPECT_TRUE(opened.ok()) << opened;
  return fd;
}

pid_t AttributionFixture::In(const std::string& pod, const std::function<void()>& body) const {
  const int netns = node_->netns(Pod(pod)).fd();
  return Fork([&] {
    alarm(60);
    Require(setns(netns, CLONE_NEWNET) == 0);
    body();
  });
}

sockaddr_in AttributionFixture::Address(const std::string& pod, std::uint16_t port) const {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  inet_pton(AF_INET, Pod(pod).ip4.c_str(), &address.sin_addr);
  return address;
}

std::optional<datapath::FlowRecord> AttributionFixture::Flow(int protocol, std::uint16_t port) const {
  const auto flows = datapath_->Flows();
  EXPECT_TRUE(flows.ok()) << flows.status();
  if (!flows.ok()) return {};
  for (const datapath::FlowRecord& flow : *flows) {
    if (flow.key.protocol == protocol && (flow.key.lo_port == htons(port) || flow.key.hi_port == htons(port)))
      return flow;
  }
  return {};
}

AttributionFixture::Processes AttributionFixture::Find(int protocol, std::uint16_t port) {
  Processes found;
  if (const auto flow = Flow(protocol, port)) {
    found.initiator = fixture_->tree().Find(flow->entry.initiator_process);
    found.responder = fixture_->tree().Find(flow->entry.responder_process);
  }
  return found;
}

AttributionFixture::Processes AttributionFixture::ExpectProcesses(int protocol, std::uint16_t port, pid_t initiator,
                                                                  pid_t responder) {
  const auto deadline = std::chrono::steady_clock::now() + 3s;
  const auto settled = fixture_->Settle();
  EXPECT_TRUE(settled.ok()) << settled.status();
  Processes found = Find(protocol, port);
  while ((found.initiator_pid() != initiator || found.responder_pid() != responder) &&
         std::chrono::steady_clock::now() < deadline) {
    std::this_thread::yield();
    found = Find(protocol, port);
  }
  EXPECT_TRUE(Flow(protocol, port)) << "no flow of protocol " << protocol << " at port " << port;
  EXPECT_EQ(found.initiator_pid(), initiator) << "initiator; the test itself is " << getpid();
  EXPECT_EQ(found.responder_pid(), responder) << "responder; the test itself is " << getpid();
  return found;
}

std::string MissingForBackEnd(bpf::SocketBackEnd back_end) {
  static std::map<bpf::SocketBackEnd, std::string> known;
  if (const auto it = known.find(back_end); it != known.end()) return it->second;
  const auto probes = bpf::SocketProbes::Start({.back_end = back_end});
  return known[back_end] = probes.ok() ? "" : sluice::Message(probes.status());
}

void Require(bool done) {
  if (!done) _exit(99);
}

int Connected(const sockaddr_in& to, int type) {
  const int fd = socket(AF_INET, type, 0);
  Require(fd >= 0 && connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof(to)) == 0);
  return fd;
}

void SendByte(int fd) { Require(send(fd, "x", 1, MSG_NOSIGNAL) == 1); }

void ReceiveByte(int fd) {
  char byte;
  Require(recv(fd, &byte, 1, 0) >= 0);
}

void SwapBytes(int fd) {
  SendByte(fd);
  ReceiveByte(fd);
}

void Echo(int fd) {
  char byte;
  while (recv(fd, &byte, 1, 0) == 1) SendByte(fd);
}

}  // namespace sluice::test
