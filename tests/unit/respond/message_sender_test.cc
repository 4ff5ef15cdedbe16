// A real receiver on loopback, which answers as the test says.
#include "ctrl/respond/message_sender.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <chrono>
#include <mutex>
#include <thread>
#include <vector>

#include "base/fd.h"

namespace sluice::respond {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::HasSubstr;

class Receiver {
 public:
  // The status lines of its answers, in order; the last one for all that follow. "": none, the connection is closed.
  explicit Receiver(std::vector<std::string> answers) : answers_(std::move(answers)) {
    listener_ = Fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof(address);
    EXPECT_EQ(bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), length), 0);
    EXPECT_EQ(listen(listener_.get(), 8), 0);
    EXPECT_EQ(getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &length), 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread(&Receiver::Run, this);
  }
  ~Receiver() {
    stopping_ = true;
    thread_.join();
  }
  Receiver(const Receiver&) = delete;
  Receiver& operator=(const Receiver&) = delete;

  std::string Url() const { return fmt::format("http://127.0.0.1:{}/hits?a=b", port_); }
  std::vector<std::string> requests() {
    const std::lock_guard lock(mutex_);
    return requests_;
  }
  int connections() const { return connections_; }

 private:
  void Run() {
    while (!stopping_) {
      pollfd polled{listener_.get(), POLLIN, 0};
      if (poll(&polled, 1, 20) != 1) continue;
      const Fd connection(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      connections_++;
      while (!stopping_ && Serve(connection.get())) {
      }
    }
  }
  // One request. False: the connection is over.
  bool Serve(int connection) {
    std::string text;
    std::size_t wanted = std::string::npos;
    while (text.size() < wanted) {
      pollfd polled{connection, POLLIN, 0};
      if (poll(&polled, 1, 20) != 1) {
        if (stopping_) return false;
        continue;
      }
      char piece[4096];
      const ssize_t got = read(connection, piece, sizeof(piece));
      if (got <= 0) return false;
      text.append(piece, static_cast<std::size_t>(got));
      const std::size_t end = text.find("\r\n\r\n");
      const std::size_t length = text.find("Content-Length: ");
      if (end != std::string::npos) wanted = end + 4 + std::stoul(text.substr(length + 16));
    }
    const std::lock_guard lock(mutex_);
    const std::string answer = answers_[std::min(requests_.size(), answers_.size() - 1)];
    requests_.push_back(text);
    if (answer.empty()) return false;
    const std::string reply = "HTTP/1.1 " + answer + "\r\nContent-Length: 0\r\n\r\n";
    return write(connection, reply.data(), reply.size()) == static_cast<ssize_t>(reply.size());
  }

  const std::vector<std::string> answers_;
  Fd listener_;
  int port_ = 0;
  std::mutex mutex_;
  std::vector<std::string> requests_;  // by mutex_
  std::atomic<int> connections_ = 0;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

MessageSender::Options Quick() { return {.tries = 3, .first_pause = 1ms, .timeout = 2000ms}; }

TEST(MessageSender, PostsJsonAndKeepsTheConnection) {
  Receiver receiver({"200 OK"});
  MessageSender sender(Quick());
  for (int i = 0; i < 3; ++i) {
    const Status sent = sender.Send({.url = receiver.Url()}, R"({"a":1})");
    EXPECT_TRUE(sent.ok()) << sent;
  }
  ASSERT_EQ(receiver.requests().size(), 3U);
  EXPECT_THAT(receiver.requests().front(),
              AllOf(testing::StartsWith("POST /hits?a=b HTTP/1.1\r\n"), HasSubstr("Content-Type: application/json\r\n"),
                    testing::EndsWith("\r\n\r\n{\"a\":1}")));
  EXPECT_EQ(receiver.connections(), 1);
}

TEST(MessageSender, WhatMayPassIsTriedAgain) {
  Receiver receiver({"503 Busy", "", "204 Done"});
  EXPECT_TRUE(MessageSender(Quick()).Send({.url = receiver.Url()}, "{}").ok());
  EXPECT_EQ(receiver.requests().size(), 3U);
}

TEST(MessageSender, WhatDoesNotPassIsAnErrorAtOnce) {
  Receiver receiver({"403 Forbidden"});
  const Status sent = MessageSender(Quick()).Send({.url = receiver.Url()}, "{}");
  EXPECT_EQ(Message(sent), receiver.Url() + ": the receiver answers 403");
  EXPECT_EQ(receiver.requests().size(), 1U);
}

TEST(MessageSender, TriesEnd) {
  Receiver receiver({"503 Busy"});
  EXPECT_FALSE(MessageSender(Quick()).Send({.url = receiver.Url()}, "{}").ok());
  EXPECT_EQ(receiver.requests().size(), 3U);
}

TEST(MessageSender, AMissingFileIsNamed) {
  const Status sent = MessageSender(Quick()).Send({.url = "https://127.0.0.1:1/", .ca_file = "/nowhere/ca.pem"}, "{}");
  EXPECT_THAT(Message(sent), HasSubstr("/nowhere/ca.pem"));
}

TEST(MessageSender, AnInterruptEndsIt) {
  MessageSender sender({.tries = 100, .first_pause = 10s, .timeout = 2000ms});
  const auto begin = std::chrono::steady_clock::now();
  std::thread interrupt([&] {
    std::this_thread::sleep_for(50ms);
    sender.Interrupt();
  });
  EXPECT_FALSE(sender.Send({.url = "http://127.0.0.1:1/"}, "{}").ok());
  interrupt.join();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s);
}

}  // namespace
}  // namespace sluice::respond
