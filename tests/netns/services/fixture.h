// Pods with the programs of Services at their sockets, and no program at their veths. db and other have what listens at
// kTarget; web is a client:
//   Put({{kVip, kTcp, {"db", "other"}}});
//   const Fd client = Open("web", AF_INET, SOCK_STREAM);
//   EXPECT_EQ(Connect(client, kVip), 0);
//   EXPECT_EQ(PeerOf(client), kVip);
#pragma once

#include <sys/socket.h>

#include <chrono>
#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include "kernel/bpf/service_programs.h"
#include "tests/netns/datapath/fixture.h"

namespace sluice::test {

class ServicesFixture : public DatapathFixture {
 protected:
  static constexpr std::uint16_t kTarget = 8080;
  static constexpr std::chrono::seconds kPatience{10};
  static constexpr std::uint8_t kTcp = policy::kTcp, kUdp = policy::kUdp;

  // An address and port; as text, "10.96.0.10:80" or "[fd00:96::10]:80", a v4-mapped one with its prefix.
  struct End {
    std::string ip;
    std::uint16_t port = 0;
    auto operator<=>(const End&) const = default;
    friend std::ostream& operator<<(std::ostream& out, const End& end) { return out << end.ip << " port " << end.port; }
  };
  inline static const End kVip{"10.96.0.10", 80}, kVip2{"10.96.0.11", 80}, kVip6{"fd00:96::10", 80};
  inline static const End kMapped{"::ffff:10.96.0.10", 80};

  struct TestService {
    End address;
    std::uint8_t protocol = policy::kTcp;
    std::vector<std::string> pods;  // its backends; with kTarget
    int affinity = 0;               // seconds
    std::string name = "shop";
    std::vector<End> ends;  // more backends
  };

  void SetUp() override;
  void TearDown() override;

  // Replaces all Services.
  Status TryPut(const std::vector<TestService>& services);
  void Put(const std::vector<TestService>& services);
  // The pods whose sockets are translated; at first web alone.
  void SetClients(const std::vector<std::string>& pods);
  void StartPrograms();

  static policy::Address AddressOf(const std::string& ip);
  // A socket of a pod, whose calls take at most `patience`.
  Fd Open(const std::string& pod, int family, int type, std::chrono::seconds patience = kPatience) const;
  // Bound to `port` of any address in the pod, IPv6 and IPv4; a stream listens.
  Fd Serve(const std::string& pod, int type, std::uint16_t port = kTarget) const;
  End In(const std::string& pod, int family = AF_INET) const;  // its address, with kTarget

  // 0 or errno.
  static int Connect(const Fd& socket, const End& to);
  static int Send(const Fd& socket, const End& to, const std::string& text = "ask");
  static int Send(const Fd& socket, const std::string& text = "ask");
  static int Disconnect(const Fd& socket);
  static End PeerOf(const Fd& socket);
  struct Datagram {
    std::string text;
    End from;
  };
  static Datagram Receive(const Fd& socket, int flags = 0);  // an empty text: nothing came
  // The first of these sockets that has a datagram or a connection; null: none has within `patience`. What a client has
  // sent, and a connection that it has made, may reach the server a moment later.
  static const Fd* FirstReached(std::initializer_list<const Fd*> servers,
                                std::chrono::milliseconds patience = kPatience);
  // The server waits for a datagram and answers it by "answer"; false: nothing came.
  static bool Answer(const Fd& server);
  // The listener waits for a connection and takes it; false: none came.
  static bool Accept(const Fd& listener);

  std::uint64_t CookieOf(const std::string& pod) const;

  Wiring wiring_ = Wiring::kRouted;
  bool outside_ = false;  // with a machine behind the node's uplink
  Fd db_tcp_, other_tcp_, db_udp_, other_udp_;
  std::unique_ptr<bpf::ServicePrograms> programs_;
};

}  // namespace sluice::test
