// A TCP port of 127.0.0.1 that is free now.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <string>

#include "base/fd.h"

namespace sluice::test {

// "127.0.0.1:PORT".
inline std::string FreeLoopbackAddress() {
  const Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in any{};
  any.sin_family = AF_INET;
  any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(any);
  EXPECT_EQ(bind(fd.get(), reinterpret_cast<sockaddr*>(&any), size), 0);
  EXPECT_EQ(getsockname(fd.get(), reinterpret_cast<sockaddr*>(&any), &size), 0);
  return "127.0.0.1:" + std::to_string(ntohs(any.sin_port));
}

}  // namespace sluice::test
