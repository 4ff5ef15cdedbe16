// Detections by HTTP, against a server that misbehaves, over loopback.
#include "ctrl/detect/http_sender.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "tests/unit/detect/rules.h"
#include "tests/unit/kube/scripted_server.h"

namespace sluice::detect {
namespace {

using namespace std::chrono_literals;
using kube::Exchange;
using kube::MakeCa;
using kube::MakeCertificate;
using kube::ScriptedServer;
using Sent = telemetry::DetectionSender::Sent;
using test::Detection;
using test::Eventually;
using testing::HasSubstr;

class HttpSenderTest : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"https_proxy", "HTTPS_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"}) ::unsetenv(name);
  }
  std::unique_ptr<HttpSender> Make(const HttpReceiver& receiver) {
    auto sender = HttpSender::Create(receiver, {.connect_timeout = 2s, .write_timeout = 2s});
    EXPECT_TRUE(sender.ok()) << sender.status();
    return sender.ok() ? *std::move(sender) : nullptr;
  }
  test::Directory directory_;
};

TEST_F(HttpSenderTest, PostsFalcosJsonOnOneConnection) {
  ScriptedServer server({});
  server.On("/falco", [](const Exchange& exchange) { exchange.Reply(200, "{}"); });
  const auto sender = Make({.url = server.url() + "/falco?source=sluice"});
  for (int i = 0; i < 3; ++i) {
    const auto result = sender->Send(*Detection("A rule", "web-0"));
    ASSERT_EQ(result.sent, Sent::kDone) << result.problem;
  }
  const auto requests = server.requests();
  ASSERT_EQ(requests.size(), 3U);
  EXPECT_EQ(requests[2].method, "POST");
  EXPECT_EQ(requests[2].query, "source=sluice");
  EXPECT_EQ(requests[2].headers.at("content-type"), "application/json");
  EXPECT_EQ(requests[2].connection, 1U);
  const auto json = nlohmann::json::parse(requests[2].body);
  EXPECT_EQ(json["rule"], "A rule");
  EXPECT_EQ(json["priority"], "Critical");
  EXPECT_EQ(json["hostname"], "node-1");
}

TEST_F(HttpSenderTest, BothSidesShowCertificates) {
  const kube::Identity ca = MakeCa("ca"), own = MakeCertificate(ca, "agent");
  ScriptedServer server({.identity = MakeCertificate(ca), .client_ca = ca.certificate});
  server.On("/", [](const Exchange& exchange) { exchange.Reply(204, ""); });
  HttpReceiver receiver{.url = server.url(),
                        .ca = directory_.Write("ca", ca.certificate),
                        .certificate = directory_.Write("cert", own.certificate),
                        .key = directory_.Write("key", own.key)};
  EXPECT_EQ(Make(receiver)->Send(*Detection("r")).sent, Sent::kDone);
  EXPECT_EQ(server.requests().size(), 1U);
  HttpReceiver without = receiver;
  without.certificate = without.key = "";
  EXPECT_EQ(Make(without)->Send(*Detection("r")).sent, Sent::kLater);
  HttpReceiver of_another_ca = receiver;
  of_another_ca.ca = directory_.Write("other", MakeCa("other").certificate);
  EXPECT_EQ(Make(of_another_ca)->Send(*Detection("r")).sent, Sent::kLater);
  EXPECT_EQ(server.requests().size(), 1U) << "the agent says nothing to a server that it does not trust";
}

TEST_F(HttpSenderTest, AnswersDecideWhetherItIsTriedAgain) {
  ScriptedServer server({});
  int code = 400;
  server.On("/", [&code](const Exchange& exchange) {
    exchange.Reply(code, "no", code == 503 ? Exchange::Headers{{"retry-after", "7"}} : Exchange::Headers{});
  });
  const auto sender = Make({.url = server.url()});
  auto result = sender->Send(*Detection("r"));
  EXPECT_EQ(result.sent, Sent::kRefused);
  EXPECT_THAT(result.problem, HasSubstr("400"));
  code = 503;
  for (int i = 0; i < 4; ++i) {
    result = sender->Send(*Detection("r"));
    EXPECT_EQ(result.sent, Sent::kLater);
    EXPECT_EQ(result.at_earliest, 7s);
  }
  EXPECT_EQ(sender->Send(*Detection("r")).sent, Sent::kRefused) << "five times is enough for one detection";
  EXPECT_EQ(sender->Send(*Detection("next")).sent, Sent::kLater);
  code = 202;
  EXPECT_EQ(sender->Send(*Detection("next")).sent, Sent::kDone);
}

TEST_F(HttpSenderTest, AServerThatIsGoneComesBack) {
  int port = 0;
  {
    ScriptedServer server({});
    port = server.port();
  }
  const auto sender = Make({.url = "http://127.0.0.1:" + std::to_string(port) + "/"});
  const auto result = sender->Send(*Detection("r"));
  EXPECT_EQ(result.sent, Sent::kLater);
  EXPECT_NE(result.problem, "");
  ScriptedServer server({.port = port});
  server.On("/", [](const Exchange& exchange) { exchange.Reply(200, ""); });
  EXPECT_EQ(sender->Send(*Detection("r")).sent, Sent::kDone);
}

TEST_F(HttpSenderTest, ASilentServerIsGivenUpAndTheEndWaitsForNobody) {
  ScriptedServer server({});
  server.On("/", [](const Exchange&) {});
  telemetry::DetectionOutput::Options options{.name = "http", .first_pause = 1ms, .at_end = 50ms};
  auto sender = Make({.url = server.url()});
  const auto begin = std::chrono::steady_clock::now();
  {
    telemetry::DetectionOutput output(options, std::move(sender));
    output.Offer(Detection("r"));
    ASSERT_TRUE(Eventually([&] { return !server.requests().empty(); }));
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 1900ms) << "less than the time-out of the exchange";
}

TEST_F(HttpSenderTest, WrongReceiversAreRefused) {
  for (const auto& [receiver, problem] : std::vector<std::pair<HttpReceiver, const char*>>{
           {{.url = "falco:2801"}, "expected http://HOST... or https://HOST..."},
           {{.url = "https:///x"}, "there is no host"},
           {{.url = "https://me:secret@host/"}, "must not have a user"},
           {{.url = "http://h/a b"}, "blanks"},
           {{.url = "https://h/", .certificate = "/c"}, "needs its key"},
           {{.url = "https://h/", .ca = "/no/such/ca"}, "/no/such/ca"}}) {
    const auto made = HttpSender::Create(receiver);
    EXPECT_FALSE(made.ok());
    EXPECT_THAT(Message(made.status()), HasSubstr(problem));
  }
}

}  // namespace
}  // namespace sluice::detect
