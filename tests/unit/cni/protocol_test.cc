// What plugin and agent say to each other.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <thread>

#include "api/cni.h"
#include "base/fd.h"

namespace sluice::cni {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

Deadline In(std::chrono::milliseconds time) { return Deadline::clock::now() + time; }

struct Pair {
  Fd one, other;
};
Pair MakePair() {
  int fds[2] = {-1, -1};
  EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
  return {Fd(fds[0]), Fd(fds[1])};
}

Request MakeAdd() {
  return {.command = Command::kAdd,
          .network = "cbr0",
          .attachment = {"4f5e", "eth0"},
          .netns = "/run/netns/x",
          .pod_namespace = "shop",
          .pod_name = "web-0",
          .pod_uid = "u1",
          .sandbox_id = "4f5e",
          .addresses = {"10.0.0.2", "fd00::2"},
          .host_interface = "veth1",
          .host_ifindex = 7,
          .timeout_ms = 20000};
}

TEST(CniProtocol, ARequestComesBackAsItWas) {
  const auto read = ParseRequest(ToJson(MakeAdd()));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(ToJson(*read), ToJson(MakeAdd()));
  EXPECT_EQ(read->attachment, (Attachment{"4f5e", "eth0"}));
  EXPECT_THAT(read->addresses, ElementsAre("10.0.0.2", "fd00::2"));
  EXPECT_EQ(read->host_ifindex, 7U);
  const auto gc =
      ParseRequest(ToJson({.command = Command::kGc, .network = "n", .valid = {{"a", "eth0"}, {"b", "n1"}}}));
  ASSERT_TRUE(gc.ok()) << gc.status();
  EXPECT_THAT(gc->valid, ElementsAre(Attachment{"a", "eth0"}, Attachment{"b", "n1"}));
}

TEST(CniProtocol, AnAnswerComesBackAsItWas) {
  const auto read = ParseAnswer(ToJson(Answer{.code = kTryAgain, .message = "later \"please\"", .details = "d"}));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->code, kTryAgain);
  EXPECT_EQ(read->message, "later \"please\"");
  EXPECT_EQ(read->details, "d");
}

TEST(CniProtocol, WhatIsWrongIsNamed) {
  for (const auto& [text, expected] : std::vector<std::pair<std::string, std::string>>{
           {"", "no JSON object"},
           {"[1]", "no JSON object"},
           {"{\"protocol\":1", "no JSON object"},
           {"{}", "protocol"},
           {R"({"protocol":"1"})", "protocol"},
           {R"({"protocol":1})", "command"},
           {R"({"protocol":1,"command":"add"})", "command"},
           {R"({"protocol":1,"command":7})", "command"},
           {R"({"protocol":1,"command":"DEL"})", "containerID"},
           {R"({"protocol":1,"command":"DEL","containerID":"../x","ifname":"eth0"})", "containerID"},
           {R"({"protocol":1,"command":"DEL","containerID":"x","ifname":"a/b"})", "ifname"},
           {R"({"protocol":1,"command":"ADD","containerID":"x","ifname":"eth0"})", "netns"},
           {R"({"protocol":1,"command":"ADD","containerID":"x","ifname":"eth0","netns":"/n"})", "podNamespace"},
           {R"({"protocol":1,"command":"STATUS","timeoutMs":-1})", "timeoutMs"},
           {R"({"protocol":1,"command":"STATUS","timeoutMs":1e300})", "timeoutMs"},
           {R"({"protocol":1,"command":"STATUS","hostIfindex":18446744073709551615})", "hostIfindex"},
           {R"({"protocol":1,"command":"STATUS","addresses":[1]})", "addresses"},
           {R"({"protocol":1,"command":"GC"})", "valid"},
           {R"({"protocol":1,"command":"GC","valid":[7]})", "valid[0]"},
           {R"({"protocol":1,"command":"GC","valid":[{"containerID":"a","ifname":"e"},{}]})", "valid[1]"},
           {R"({"protocol":1,"command":"STATUS","network":")" + std::string(5000, 'x') + "\"}", "network"}}) {
    const auto read = ParseRequest(text);
    EXPECT_EQ(read.status().code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(Message(read.status()), HasSubstr(expected)) << text;
  }
  EXPECT_EQ(ParseAnswer(R"({"protocol":1})").status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(CniProtocol, AnotherVersionIsNotGuessedAt) {
  const auto read = ParseRequest(R"({"protocol":2,"command":"STATUS"})");
  EXPECT_EQ(read.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(Message(read.status()), HasSubstr("version 2"));
}

TEST(CniProtocol, NamesOfFilesAreAttachmentsOnly) {
  const Attachment attachment{"4f-5.e_", "eth0"};
  EXPECT_EQ(*ParseFileName(FileName(attachment)), attachment);
  EXPECT_EQ(*ParseFileName("a@b@c"), (Attachment{"a", "b@c"}));
  for (const char* name :
       {"", "@", "a@", "@eth0", ".a@eth0", "a", "a@..", "a@0123456789abcdef", "a b@eth0", ".x.tmp"}) {
    EXPECT_FALSE(ParseFileName(name).ok()) << name;
  }
}

TEST(CniProtocol, AMessageEndsWhereItsSenderShutsDown) {
  const Pair pair = MakePair();
  const std::string text(kMaxMessage, 'x');
  std::thread sender([&] { EXPECT_TRUE(SendMessage(pair.one.get(), text, In(10s)).ok()); });
  const auto read = ReceiveMessage(pair.other.get(), In(10s));
  sender.join();
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->size(), kMaxMessage);
}

TEST(CniProtocol, MoreThanTheLimitIsRefused) {
  Pair pair = MakePair();
  std::thread sender([&] { (void)SendMessage(pair.one.get(), std::string(kMaxMessage + 1, 'x'), In(10s)); });
  const auto read = ReceiveMessage(pair.other.get(), In(10s));
  EXPECT_EQ(read.status().code(), absl::StatusCode::kResourceExhausted);
  pair.other = Fd();
  sender.join();
}

TEST(CniProtocol, NobodyIsWaitedForForLonger) {
  const Pair pair = MakePair();
  EXPECT_EQ(ReceiveMessage(pair.one.get(), In(50ms)).status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(SendMessage(pair.one.get(), std::string(8 << 20, 'x'), In(50ms)).code(),
            absl::StatusCode::kDeadlineExceeded);
}

TEST(CniProtocol, AReaderThatHasGoneIsAnError) {
  Pair pair = MakePair();
  pair.other = Fd();
  EXPECT_EQ(SendMessage(pair.one.get(), "x", In(1s)).code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace sluice::cni
