// One HTTP request over a real socket on loopback.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "base/fd.h"

namespace sluice::telemetry {

struct HttpAnswer {
  int code = 0;
  std::string headers;
  std::string body;
};

inline HttpAnswer HttpGet(int port, const std::string& path, const std::string& method = "GET") {
  HttpAnswer answer;
  const Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<std::uint16_t>(port));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(connect(fd.get(), reinterpret_cast<sockaddr*>(&to), sizeof to), 0) << "port " << port;
  const std::string request = method + " " + path + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
  EXPECT_EQ(send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL), static_cast<ssize_t>(request.size()));
  std::string text;
  char buffer[4096];
  for (ssize_t got = 0; (got = read(fd.get(), buffer, sizeof buffer)) > 0;)
    text.append(buffer, static_cast<std::size_t>(got));
  const std::size_t end = text.find("\r\n\r\n");
  EXPECT_NE(end, std::string::npos) << text;
  if (end == std::string::npos || sscanf(text.c_str(), "HTTP/1.1 %d", &answer.code) != 1) return answer;
  answer.headers = text.substr(0, end);
  answer.body = text.substr(end + 4);
  return answer;
}

}  // namespace sluice::telemetry
