// Pods with real traffic, the packet path, and the sensors that report the process behind a flow.
//   Begin();                                        // pods, packet path, sensors
//   const Fd listener = Open("db", SOCK_STREAM, 1000);
//   const pid_t client = In("web", [&] { ... });    // a child in the pod's network namespace
//   Reap(client);
//   ExpectProcesses(IPPROTO_TCP, 1000, client, getpid());
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "tests/netns/datapath/fixture.h"
#include "tests/probes/sensor_fixture.h"

namespace sluice::test {

class AttributionFixture : public DatapathFixture {
 protected:
  void SetUp() override;
  void TearDown() override;

  void Begin(bpf::SocketBackEnd back_end, const std::string& policies = {});
  void BeginPackets(const std::string& policies = {}, const bpf::ObjectOptions& object = FixtureOptions::SmallTables());
  void BeginSensors(bpf::SocketBackEnd back_end);

  // Opened by this process in a pod, bound to `port` of any address (0: not bound); SOCK_STREAM: listens.
  Fd Open(const std::string& pod, int type, std::uint16_t port) const;
  // A child of this process, in the pod.
  pid_t In(const std::string& pod, const std::function<void()>& body) const;
  sockaddr_in Address(const std::string& pod, std::uint16_t port) const;

  // The flow with this port at one end, if any.
  std::optional<datapath::FlowRecord> Flow(int protocol, std::uint16_t port) const;
  struct Processes {
    std::optional<telemetry::ProcessInstance> initiator, responder;
    pid_t initiator_pid() const { return initiator ? static_cast<pid_t>(initiator->pid) : 0; }
    pid_t responder_pid() const { return responder ? static_cast<pid_t>(responder->pid) : 0; }
  };
  // Waits until the flow has these processes (0: none), because events may be delayed; the failure message has the
  // actual ones.
  Processes ExpectProcesses(int protocol, std::uint16_t port, pid_t initiator, pid_t responder);

  // Memory shared with the children, for the pids of their own children.
  volatile pid_t* pids() { return pids_; }
  SensorFixture& fixture() { return *fixture_; }

 private:
  Processes Find(int protocol, std::uint16_t port);

  std::unique_ptr<SensorFixture> fixture_;
  pid_t* pids_ = nullptr;
};

// Empty, or the reason why the kernel refuses the back end.
std::string MissingForBackEnd(bpf::SocketBackEnd back_end);

// For children: an error ends them with status 99.
int Connected(const sockaddr_in& to, int type = SOCK_STREAM);
void SendByte(int fd);
void ReceiveByte(int fd);  // or the end of the stream
void SwapBytes(int fd);    // sends one, receives one
void Echo(int fd);         // until the end of the stream
void Require(bool done);

}  // namespace sluice::test
