// When another process takes the port of a datagram socket, at either end of a flow, the earlier process's record ends
// and a new one begins, each with its own packets. No rule uses processes here; reuse_test.cc covers that.
#include <fcntl.h>
#include <unistd.h>

#include <filesystem>
#include <set>

#include "tests/attribution/fixture.h"

namespace sluice::test {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t kAlways = SL_SETTING_REDIRECT | SL_SETTING_REDIRECT_ALWAYS;

struct Record {
  pid_t initiator = 0, responder = 0;
  std::uint64_t forward = 0, backward = 0;  // packets
  bool operator==(const Record&) const = default;
};

void PrintTo(const Record& record, std::ostream* out) {
  *out << "{" << record.initiator << " -> " << record.responder << ": " << record.forward << " and " << record.backward
       << " packets}";
}

// For children.
struct Socket {
  explicit Socket(bool ipv6, std::uint16_t port = 0, bool reuse = false) : ipv6(ipv6) {
    fd = socket(ipv6 ? AF_INET6 : AF_INET, SOCK_DGRAM, 0);
    const int on = reuse ? 1 : 0;
    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
    const sockaddr_storage any = Named("", port);
    if (port != 0) Require(bind(fd, reinterpret_cast<const sockaddr*>(&any), size()) == 0);
  }
  sockaddr_storage Named(const std::string& ip, std::uint16_t port) const {
    sockaddr_storage address{};
    address.ss_family = ipv6 ? AF_INET6 : AF_INET;
    auto* const ip4 = reinterpret_cast<sockaddr_in*>(&address);
    auto* const ip6 = reinterpret_cast<sockaddr_in6*>(&address);
    ip4->sin_port = htons(port);  // same offset as sin6_port
    if (!ip.empty())
      inet_pton(address.ss_family, ip.c_str(), ipv6 ? static_cast<void*>(&ip6->sin6_addr) : &ip4->sin_addr);
    return address;
  }
  socklen_t size() const { return ipv6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in); }
  void Connect(const sockaddr_storage& to) const {
    Require(connect(fd, reinterpret_cast<const sockaddr*>(&to), size()) == 0);
  }
  void Send(const sockaddr_storage& to) const {
    Require(sendto(fd, "x", 1, 0, reinterpret_cast<const sockaddr*>(&to), size()) == 1);
  }
  void Receive() const { ReceiveByte(fd); }
  void Answer() const {
    sockaddr_storage from{};
    socklen_t length = sizeof(from);
    char byte;
    Require(recvfrom(fd, &byte, 1, 0, reinterpret_cast<sockaddr*>(&from), &length) == 1);
    Send(from);
  }

  bool ipv6;
  int fd;
};

// Loading the programs takes seconds, so one test runs many scenarios, each with different ports.
class PortTakeover : public AttributionFixture {
 protected:
  using Scenario = void (PortTakeover::*)();

  void Begin(const TestNode::Options& options, const std::string& policies = {}) {
    Build(options);
    if (HasFatalFailure()) return;
    DatapathFixture::Open();
    if (HasFatalFailure()) return;
    Enforce(policies);
    BeginSensors(bpf::SocketBackEnd::kAuto);
  }
  // Runs all scenarios with IPv4 and IPv6, under each of these settings.
  void Each(const std::vector<std::uint32_t>& settings, const std::map<std::string, Scenario>& scenarios) {
    for (const std::uint32_t flags : settings) {
      Configure(SL_SETTING_EVENTS | flags);
      for (const bool ipv6 : {false, true}) {
        for (const auto& [name, scenario] : scenarios) {
          SCOPED_TRACE(fmt::format("{}, IPv{}, settings {}", name, ipv6 ? 6 : 4, flags));
          ipv6_ = ipv6;
          ++server_port_;
          ++client_port_;
          begun_.clear();
          ended_.clear();
          (this->*scenario)();
          if (HasFatalFailure()) return;
        }
      }
    }
  }

  sockaddr_storage At(const std::string& pod, std::uint16_t port) const {
    return Socket(ipv6_).Named(ipv6_ ? Pod(pod).ip6 : Pod(pod).ip4, port);
  }
  // A process in `pod` that binds the port, and has ended when this returns.
  pid_t Run(const std::string& pod, std::uint16_t port, const std::function<void(const Socket&)>& body) {
    const pid_t child = In(pod, [&] { body(Socket(ipv6_, port)); });
    EXPECT_EQ(Reap(child), 0);
    return child;
  }
  pid_t SendFrom(const std::string& pod, int datagrams, bool connected = false) {
    const sockaddr_storage to = At("db", server_port_);
    return Run(pod, client_port_, [&](const Socket& socket) {
      if (connected) socket.Connect(to);
      for (int i = 0; i < datagrams; ++i) socket.Send(to);
    });
  }
  // A process in db that has server_port_ when this returns, and answers this many datagrams.
  pid_t Serve(int datagrams) {
    Arrival ready;
    const pid_t child = In("db", [&] {
      const Socket socket(ipv6_, server_port_);
      Require(write(ready.fd(), "x", 1) == 1);
      for (int i = 0; i < datagrams; ++i) socket.Answer();
    });
    EXPECT_TRUE(ready.Wait());
    return child;
  }
  // A socket of the test itself that receives without answering.
  Fd Sink(const std::string& pod, std::uint16_t port) const {
    Fd fd;
    const Status opened = node_->RunIn(Pod(pod), [&] {
      fd = Fd(Socket(ipv6_, port).fd);
      return OkStatus();
    });
    EXPECT_TRUE(opened.ok()) << opened;
    return fd;
  }
  // A client that sends a question for each byte in `asks`, and waits for its answer.
  struct Client {
    pid_t pid;
    bool is_here;  // and so known
    int asks[2], answers[2];
    pid_t known() const { return is_here ? pid : 0; }
    void Ask(int questions, bool answered = true) {
      char byte = answered ? 'a' : 'u';
      for (int i = 0; i < questions; ++i) {
        ASSERT_EQ(write(asks[1], &byte, 1), 1);
        ASSERT_EQ(read(answers[0], &byte, 1), 1);
      }
    }
    void End() {
      close(asks[1]);
      EXPECT_EQ(Reap(pid), 0);
      close(answers[0]);
    }
  };
  Client Ask() {
    Client client;
    client.is_here = asker_ != "outside";
    EXPECT_EQ(pipe2(client.asks, O_CLOEXEC) + pipe2(client.answers, O_CLOEXEC), 0);
    const sockaddr_storage to = At("db", server_port_);
    client.pid = In(asker_, [&] {
      close(client.asks[1]);
      const Socket socket(ipv6_, client_port_);
      for (char byte; read(client.asks[0], &byte, 1) == 1;) {
        socket.Send(to);
        if (byte == 'a') socket.Receive();
        Require(write(client.answers[1], &byte, 1) == 1);
      }
    });
    close(client.asks[0]);
    close(client.answers[1]);
    return client;
  }

  // The records of the flow between the two ports, oldest first: ended ones, then the current one.
  std::vector<Record> Records() {
    Poll();
    std::vector<Record> records;
    for (const sl_flow_event& event : ended_) records.push_back(Told(event.entry));
    if (const auto flow = Flow(protocol_, client_port_)) records.push_back(Told(flow->entry));
    return records;
  }
  void ExpectRecords(const std::vector<Record>& expected) {
    const auto settled = fixture().Settle();
    EXPECT_TRUE(settled.ok()) << settled.status();
    EXPECT_EQ(Records(), expected) << "the test itself is " << getpid();
    EXPECT_EQ(begun_.size(), expected.size()) << "each has begun once, by an id of its own";
    std::set<std::uint64_t> ids;
    for (const sl_flow_event& event : ended_) ids.insert(event.entry.id);
    if (const auto flow = Flow(protocol_, client_port_)) ids.insert(flow->entry.id);
    EXPECT_EQ(std::set<std::uint64_t>(begun_.begin(), begun_.end()), ids);
  }

 public:  // for the lists in the tests
  void AnotherProcessSendsByThePort();
  void AnotherProcessAsksByThePortAndIsAnswered();
  void TheSameProcessGoesOn();
  void AWorkerThatSharesTheSocket();
  void TwoProcessesThatTakeTurnsByAPortThatTheyShare();
  void AnotherProcessReceivesAndAnswers();
  void AnotherProcessReceivesAndSaysNothing();
  void WhatNobodyReceivesIsOfTheRecordBefore();
  void AServerThatBindsAnewGoesOn();
  void AWorkerOfTheNextServerAnswers();
  void AnotherProcessReceivesWhatWasAnswered();
  void AFloodOfSocketsOfOthers();
  void WhoIsDeniedByThePortOfOneThatWas();
  void WhoIsDeniedAConnectionByIt();
  void ProcessesOfTheNodeItself();

 protected:
  void Poll() {
    const auto polled = datapath_->PollEvents([&](const sl_flow_event& event) {
      if (event.key.protocol != protocol_ ||
          (event.key.lo_port != htons(client_port_) && event.key.hi_port != htons(client_port_)))
        return;
      if (event.type == SL_FLOW_NEW) begun_.push_back(event.entry.id);
      if (event.type == SL_FLOW_END) ended_.push_back(event);
    });
    EXPECT_TRUE(polled.ok()) << polled.status();
  }
  Record Told(const sl_flow_entry& entry) {
    const auto pid = [&](sl_process_id id) {
      const auto instance = fixture().tree().Find(id);
      return instance ? static_cast<pid_t>(instance->pid) : 0;
    };
    if (protocol_ == IPPROTO_UDP) {
      const std::uint64_t bytes = (ipv6_ ? 40 : 20) + 8 + 1;
      EXPECT_EQ(entry.forward_bytes, entry.forward_packets * bytes);
      EXPECT_EQ(entry.reply_bytes, entry.reply_packets * bytes);
    }
    return {pid(entry.initiator_process), pid(entry.responder_process), entry.forward_packets, entry.reply_packets};
  }

  std::string asker_ = "web";  // the client's pod
  int protocol_ = IPPROTO_UDP;
  bool ipv6_ = false;
  std::uint16_t server_port_ = 7000, client_port_ = 8000;
  std::vector<sl_flow_event> ended_;
  std::vector<std::uint64_t> begun_;
};

void PortTakeover::AnotherProcessSendsByThePort() {
  const Fd sink = Sink("db", server_port_);
  const pid_t first = SendFrom("web", 3), second = SendFrom("web", 2, true), third = SendFrom("web", 1);
  ExpectRecords({{first, 0, 3, 0}, {second, 0, 2, 0}, {third, 0, 1, 0}});
}

void PortTakeover::AnotherProcessAsksByThePortAndIsAnswered() {
  const pid_t server = Serve(12);
  const sockaddr_storage to = At("db", server_port_);
  const auto ask = [&](int questions, bool connected) {
    return Run("web", client_port_, [&](const Socket& socket) {
      if (connected) socket.Connect(to);
      for (int i = 0; i < questions; ++i) {
        socket.Send(to);
        socket.Receive();
      }
    });
  };
  const pid_t first = ask(5, true), second = ask(4, false), third = ask(3, true);
  EXPECT_EQ(Reap(server), 0);
  ExpectRecords({{first, server, 5, 5}, {second, server, 4, 4}, {third, server, 3, 3}});
}

void PortTakeover::TheSameProcessGoesOn() {
  const Fd sink = Sink("db", server_port_);
  const sockaddr_storage to = At("db", server_port_);
  const pid_t only = Run("web", client_port_, [&](const Socket& first) {
    for (int i = 0; i < 3; ++i) first.Send(to);
    close(first.fd);
    const Socket second(ipv6_, client_port_);
    for (int i = 0; i < 3; ++i) second.Send(to);
  });
  ExpectRecords({{only, 0, 6, 0}});
}

void PortTakeover::AWorkerThatSharesTheSocket() {
  const Fd sink = Sink("db", server_port_);
  const sockaddr_storage to = At("db", server_port_);
  const pid_t parent = Run("web", client_port_, [&](const Socket& socket) {
    for (int i = 0; i < 2; ++i) socket.Send(to);
    pids()[0] = Fork([&] {
      for (int i = 0; i < 3; ++i) socket.Send(to);
    });
    Require(Reap(pids()[0]) == 0);
  });
  const pid_t next = SendFrom("web", 1);
  ExpectRecords({{parent, 0, 2, 0}, {pids()[0], 0, 3, 0}, {next, 0, 1, 0}});
}

void PortTakeover::TwoProcessesThatTakeTurnsByAPortThatTheyShare() {
  const Fd sink = Sink("db", server_port_);
  const sockaddr_storage to = At("db", server_port_);
  int turns[2][2], done[2];
  ASSERT_EQ(pipe2(turns[0], O_CLOEXEC) + pipe2(turns[1], O_CLOEXEC) + pipe2(done, O_CLOEXEC), 0);
  pid_t speakers[2];
  for (int i = 0; i < 2; ++i) {
    speakers[i] = In("web", [&] {
      close(turns[0][1]);
      close(turns[1][1]);
      const Socket socket(ipv6_, client_port_, true);
      for (char byte; read(turns[i][0], &byte, 1) == 1;) {
        socket.Send(to);
        Require(write(done[1], &byte, 1) == 1);
      }
    });
  }
  char byte = 'x';
  for (const int turn : {0, 1, 1, 0}) {
    ASSERT_EQ(write(turns[turn][1], &byte, 1), 1);
    ASSERT_EQ(read(done[0], &byte, 1), 1);
  }
  for (const int fd : {turns[0][1], turns[1][1]}) close(fd);
  for (const pid_t speaker : speakers) EXPECT_EQ(Reap(speaker), 0);
  for (const int fd : {turns[0][0], turns[1][0], done[0], done[1]}) close(fd);
  ExpectRecords({{speakers[0], 0, 1, 0}, {speakers[1], 0, 2, 0}, {speakers[0], 0, 1, 0}});
}

void PortTakeover::AnotherProcessReceivesAndAnswers() {
  pid_t server = Serve(4);
  Client client = Ask();
  client.Ask(4);
  EXPECT_EQ(Reap(server), 0);
  const pid_t second = Serve(3);
  client.Ask(3);
  EXPECT_EQ(Reap(second), 0);
  const pid_t third = Serve(1);
  client.Ask(1);
  EXPECT_EQ(Reap(third), 0);
  client.End();
  ExpectRecords({{client.known(), server, 4, 4}, {client.known(), second, 3, 3}, {client.known(), third, 1, 1}});
}

void PortTakeover::AnotherProcessReceivesAndSaysNothing() {
  const pid_t server = Serve(4);
  Client client = Ask();
  client.Ask(4);
  EXPECT_EQ(Reap(server), 0);
  const Fd sink = Sink("db", server_port_);
  client.Ask(3, false);
  client.End();
  ExpectRecords({{client.known(), server, 4, 4}, {client.known(), getpid(), 3, 0}});
}

void PortTakeover::WhatNobodyReceivesIsOfTheRecordBefore() {
  const pid_t server = Serve(4);
  Client client = Ask();
  client.Ask(4);
  EXPECT_EQ(Reap(server), 0);
  client.Ask(2, false);
  client.Ask(1, false);
  const pid_t next = Serve(2);
  // The client's socket is not connected, so it gets no ICMP unreachable errors.
  client.Ask(2);
  EXPECT_EQ(Reap(next), 0);
  client.End();
  ExpectRecords({{client.known(), server, 7, 4}, {client.known(), next, 2, 2}});
}

void PortTakeover::AServerThatBindsAnewGoesOn() {
  Arrival ready;
  int again[2];
  ASSERT_EQ(pipe2(again, O_CLOEXEC), 0);
  const pid_t server = In("db", [&] {
    const Socket first(ipv6_, server_port_);
    Require(write(ready.fd(), "x", 1) == 1);
    for (int i = 0; i < 3; ++i) first.Answer();
    close(first.fd);
    const Socket second(ipv6_, server_port_);
    Require(write(again[1], "x", 1) == 1);
    for (int i = 0; i < 3; ++i) second.Answer();
  });
  ASSERT_TRUE(ready.Wait());
  Client client = Ask();
  client.Ask(3);
  char byte;
  ASSERT_EQ(read(again[0], &byte, 1), 1);
  client.Ask(3);
  EXPECT_EQ(Reap(server), 0);
  client.End();
  for (const int fd : again) close(fd);
  ExpectRecords({{client.known(), server, 6, 6}});
}

// A worker of the new server answers on their shared socket: the record belongs to the worker.
void PortTakeover::AWorkerOfTheNextServerAnswers() {
  const pid_t server = Serve(2);
  Client client = Ask();
  client.Ask(2);
  EXPECT_EQ(Reap(server), 0);
  Arrival ready;
  const pid_t parent = In("db", [&] {
    const Socket socket(ipv6_, server_port_);
    pids()[0] = Fork([&] {
      Require(write(ready.fd(), "x", 1) == 1);
      for (int i = 0; i < 3; ++i) socket.Answer();
    });
    Require(Reap(pids()[0]) == 0);
  });
  ASSERT_TRUE(ready.Wait());
  client.Ask(3);
  EXPECT_EQ(Reap(parent), 0);
  client.End();
  ExpectRecords({{client.known(), server, 2, 2}, {client.known(), pids()[0], 3, 3}});
}

// The server's later answers are received by another process than the one that asked.
void PortTakeover::AnotherProcessReceivesWhatWasAnswered() {
  int turns[2], done[2];
  ASSERT_EQ(pipe2(turns, O_CLOEXEC) + pipe2(done, O_CLOEXEC), 0);
  const sockaddr_storage to = At("db", server_port_), back = At("web", client_port_);
  Arrival ready;
  const pid_t server = In("db", [&] {
    close(turns[1]);
    const Socket socket(ipv6_, server_port_);
    Require(write(ready.fd(), "x", 1) == 1);
    for (char byte; read(turns[0], &byte, 1) == 1;) {
      socket.Send(back);
      Require(write(done[1], &byte, 1) == 1);
    }
  });
  ASSERT_TRUE(ready.Wait());
  const auto send = [&](int datagrams) {
    char byte = 'x';
    for (int i = 0; i < datagrams; ++i) {
      ASSERT_EQ(write(turns[1], &byte, 1), 1);
      ASSERT_EQ(read(done[0], &byte, 1), 1);
    }
  };
  const pid_t asker = In("web", [&] {
    const Socket socket(ipv6_, client_port_);
    socket.Send(to);
    for (int i = 0; i < 3; ++i) socket.Receive();
  });
  while (!Flow(protocol_, client_port_)) std::this_thread::yield();
  send(3);
  EXPECT_EQ(Reap(asker), 0);
  const Fd sink = Sink("web", client_port_);
  send(2);
  close(turns[1]);
  EXPECT_EQ(Reap(server), 0);
  for (const int fd : {turns[0], done[0], done[1]}) close(fd);
  ExpectRecords({{asker, server, 1, 3}, {getpid(), server, 0, 2}});
}

// Changes every slot of `sockets_closed`; no record may end because of it.
void PortTakeover::AFloodOfSocketsOfOthers() {
  const pid_t server = Serve(8);
  Client client = Ask();
  client.Ask(4);
  EXPECT_EQ(Reap(In("other",
                    [&] {
                      for (int i = 0; i < SL_SOCKETS_CLOSED * 5 / 4; ++i) close(Socket(ipv6_).fd);
                    })),
            0);
  client.Ask(4);
  EXPECT_EQ(Reap(server), 0);
  client.End();
  ExpectRecords({{client.known(), server, 8, 8}});
}

void PortTakeover::WhoIsDeniedByThePortOfOneThatWas() {
  const pid_t first = SendFrom("web", 3), second = SendFrom("web", 2);
  ExpectRecords({{first, 0, 3, 0}, {second, 0, 2, 0}});
}

void PortTakeover::WhoIsDeniedAConnectionByIt() {
  protocol_ = IPPROTO_TCP;
  const sockaddr_storage to = At("db", server_port_);
  const auto connect_once = [&] {
    const pid_t child = In("web", [&] {
      const int on = 1;
      const Socket any(ipv6_);
      const sockaddr_storage self = any.Named("", client_port_);
      const int fd = socket(self.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
      setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
      Require(bind(fd, reinterpret_cast<const sockaddr*>(&self), any.size()) == 0);
      Require(connect(fd, reinterpret_cast<const sockaddr*>(&to), any.size()) != 0 && errno == EINPROGRESS);
    });
    EXPECT_EQ(Reap(child), 0);
    return child;
  };
  const pid_t first = connect_once(), second = connect_once();
  ExpectRecords({{first, 0, 1, 0}, {second, 0, 1, 0}});
  protocol_ = IPPROTO_UDP;
}

void PortTakeover::ProcessesOfTheNodeItself() {
  const Fd sink = Sink("db", server_port_);
  const sockaddr_storage to = At("db", server_port_);
  const auto send = [&](int datagrams) {
    const pid_t child = Fork([&] {
      alarm(60);
      Require(setns(node_->fd(), CLONE_NEWNET) == 0);
      const Socket socket(ipv6_, client_port_);
      for (int i = 0; i < datagrams; ++i) socket.Send(to);
    });
    EXPECT_EQ(Reap(child), 0);
    return child;
  };
  const pid_t first = send(3), second = send(2);
  ExpectRecords({{first, 0, 3, 0}, {second, 0, 2, 0}});
}

TEST_F(PortTakeover, AtTheSendersEnd) {
  Begin({});
  Each({0, SL_SETTING_REDIRECT, kAlways},
       {
           {"AnotherProcessSendsByThePort", &PortTakeover::AnotherProcessSendsByThePort},
           {"AnotherProcessAsksByThePortAndIsAnswered", &PortTakeover::AnotherProcessAsksByThePortAndIsAnswered},
           {"TheSameProcessGoesOn", &PortTakeover::TheSameProcessGoesOn},
           {"AWorkerThatSharesTheSocket", &PortTakeover::AWorkerThatSharesTheSocket},
           {"TwoProcessesThatTakeTurnsByAPortThatTheyShare",
            &PortTakeover::TwoProcessesThatTakeTurnsByAPortThatTheyShare},
           {"ProcessesOfTheNodeItself", &PortTakeover::ProcessesOfTheNodeItself},
       });
}

TEST_F(PortTakeover, AtTheReceiversEnd) {
  Begin({});
  Each({0, SL_SETTING_REDIRECT, kAlways},
       {
           {"AnotherProcessReceivesAndAnswers", &PortTakeover::AnotherProcessReceivesAndAnswers},
           {"AnotherProcessReceivesAndSaysNothing", &PortTakeover::AnotherProcessReceivesAndSaysNothing},
           {"WhatNobodyReceivesIsOfTheRecordBefore", &PortTakeover::WhatNobodyReceivesIsOfTheRecordBefore},
           {"AServerThatBindsAnewGoesOn", &PortTakeover::AServerThatBindsAnewGoesOn},
           {"AWorkerOfTheNextServerAnswers", &PortTakeover::AWorkerOfTheNextServerAnswers},
           {"AnotherProcessReceivesWhatWasAnswered", &PortTakeover::AnotherProcessReceivesWhatWasAnswered},
       });
  Each({SL_SETTING_REDIRECT}, {{"AFloodOfSocketsOfOthers", &PortTakeover::AFloodOfSocketsOfOthers}});
}

TEST_F(PortTakeover, ByABridge) {
  Begin({.wiring = Wiring::kBridged});
  Each({0, SL_SETTING_REDIRECT},
       {
           {"AnotherProcessAsksByThePortAndIsAnswered", &PortTakeover::AnotherProcessAsksByThePortAndIsAnswered},
           {"AnotherProcessReceivesAndAnswers", &PortTakeover::AnotherProcessReceivesAndAnswers},
       });
}

TEST_F(PortTakeover, OfDeniedFlows) {
  Begin({}, DbPolicy());
  Each({0}, {{"WhoIsDeniedByThePortOfOneThatWas", &PortTakeover::WhoIsDeniedByThePortOfOneThatWas},
             {"WhoIsDeniedAConnectionByIt", &PortTakeover::WhoIsDeniedAConnectionByIt}});
}

TEST_F(PortTakeover, FromTheCard) {
  Begin({.outside = true});
  DatapathFixture::Run("outside", {"ethtool", "-K", "eth0", "tx", "off"});  // with checksums, like a real card
  DatapathFixture::Run("db", {"ethtool", "-K", "eth0", "gro", "on"});
  Enforce();  // detects that it now accepts frames
  const Status attached = node_->Run([&] { return datapath_->AttachUplink("uplink").status(); });
  ASSERT_TRUE(attached.ok()) << attached;
  asker_ = "outside";
  Each({0, SL_SETTING_REDIRECT, kAlways},
       {{"AnotherProcessReceivesAndAnswers", &PortTakeover::AnotherProcessReceivesAndAnswers},
        {"AnotherProcessReceivesAndSaysNothing", &PortTakeover::AnotherProcessReceivesAndSaysNothing}});
  EXPECT_GT(Count(SL_COUNTER_REDIRECT_DEVMAP), 0U);
}

// Rules by process, which find the right program behind each record.
TEST_F(PortTakeover, WhereARuleLooksAtTheProcess) {
  const std::string rules =
      fmt::format("[{{processes: {{binaries: [{}]}}}}]", std::filesystem::canonical("/proc/self/exe").string());
  Begin({},
        fmt::format("apiVersion: sluice.dev/v1alpha1\nkind: NetworkPolicy\nmetadata: {{name: web, namespace: shop}}\n"
                    "spec: {{podSelector: {{matchLabels: {{app: web}}}}, policyTypes: [Egress], egress: {0}}}\n---\n"
                    "apiVersion: sluice.dev/v1alpha1\nkind: NetworkPolicy\nmetadata: {{name: db, namespace: shop}}\n"
                    "spec: {{podSelector: {{matchLabels: {{app: db}}}}, policyTypes: [Ingress], ingress: {0}}}\n",
                    rules));
  Each({0, SL_SETTING_REDIRECT},
       {{"AnotherProcessAsksByThePortAndIsAnswered", &PortTakeover::AnotherProcessAsksByThePortAndIsAnswered},
        {"AnotherProcessReceivesAndAnswers", &PortTakeover::AnotherProcessReceivesAndAnswers}});
}

}  // namespace
}  // namespace sluice::test
