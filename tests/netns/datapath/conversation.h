// One client socket and one server socket in two network namespaces, which exchange data on each call.
//   auto talk = Conversation::Open({.client = web, .server = db, .to = service, .port = 80, .server_port = 8080});
//   ASSERT_TRUE(talk.ok()) << talk.status();
//   EXPECT_TRUE((*talk)->Exchange());
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/fd.h"
#include "policy/resource/address.h"
#include "policy/resource/model.h"
#include "testbed/netns.h"

namespace sluice::test {

class Conversation {
 public:
  struct Ends {
    const TestNetNs* client = nullptr;
    const TestNetNs* server = nullptr;
    policy::Address to;  // the address that the client connects to
    std::uint16_t port = 0;
    std::uint16_t server_port = 0;  // the port that the server listens on; 0: `port`
    std::uint8_t protocol = policy::kTcp;
  };
  // With TCP, the connection is established. DeadlineExceeded: no answer.
  static StatusOr<std::unique_ptr<Conversation>> Open(const Ends& ends);

  // The client sends `bytes` (at most 60000), and the server sends as many back. False: data did not arrive in time.
  bool Exchange(std::size_t bytes = 100);
  // Both ends close, the client first; true once both have seen it.
  bool Close();
  std::uint16_t client_port() const { return client_port_; }

 private:
  Conversation() = default;

  bool is_tcp_ = true;
  Fd client_;
  Fd server_;
  std::uint16_t client_port_ = 0;
};

}  // namespace sluice::test
