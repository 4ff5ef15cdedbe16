#include "telemetry/http_server.h"

#include <gmock/gmock.h>

#include <atomic>
#include <thread>

#include "tests/unit/telemetry/http_get.h"

namespace sluice::telemetry {
namespace {

using ::testing::HasSubstr;

std::unique_ptr<HttpServer> Serve(const std::string& address = "127.0.0.1:0") {
  auto server = HttpServer::Start(
      address, {{"/metrics", [] { return HttpReply{.content_type = "text/x-test", .body = "m 1\n"}; }},
                {"/readyz", [] { return HttpReply{.code = 503, .body = "not yet\n"}; }}});
  EXPECT_TRUE(server.ok()) << server.status();
  return server.ok() ? std::move(*server) : nullptr;
}

// One server for the tests that only ask.
class HttpRequests : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { server_ = Serve(); }
  static void TearDownTestSuite() { server_.reset(); }
  static int port() { return server_->port(); }

 private:
  static inline std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpRequests, AnswersOnItsPaths) {
  ASSERT_GT(port(), 0);
  const HttpAnswer metrics = HttpGet(port(), "/metrics");
  EXPECT_EQ(metrics.code, 200);
  EXPECT_EQ(metrics.body, "m 1\n");
  EXPECT_THAT(metrics.headers, HasSubstr("Content-Type: text/x-test"));
  EXPECT_THAT(metrics.headers, HasSubstr("Content-Length: 4"));
  const HttpAnswer ready = HttpGet(port(), "/readyz");
  EXPECT_EQ(ready.code, 503);
  EXPECT_EQ(ready.body, "not yet\n");
}

TEST_F(HttpRequests, QueryIsNotPartOfThePath) { EXPECT_EQ(HttpGet(port(), "/metrics?x=1").code, 200); }

TEST_F(HttpRequests, SaysWhatIsServed) {
  for (const char* const path : {"/", "/metric", "/metrics/", "/../etc/passwd"}) {
    const HttpAnswer answer = HttpGet(port(), path);
    EXPECT_EQ(answer.code, 404) << path;
    EXPECT_THAT(answer.body, HasSubstr("/metrics /readyz")) << path;
  }
}

TEST_F(HttpRequests, OnlyReads) {
  EXPECT_EQ(HttpGet(port(), "/metrics", "POST").code, 405);
  EXPECT_EQ(HttpGet(port(), "/metrics", "DELETE").code, 405);
  const HttpAnswer head = HttpGet(port(), "/metrics", "HEAD");
  EXPECT_EQ(head.code, 200);
  EXPECT_EQ(head.body, "");
  EXPECT_THAT(head.headers, HasSubstr("Content-Length: 4"));
}

TEST(HttpServer, PortZeroGivesEachItsOwn) {
  const auto a = Serve(), b = Serve();
  EXPECT_NE(a->port(), b->port());
  EXPECT_EQ(HttpGet(a->port(), "/metrics").code, 200);
}

TEST(HttpServer, StopsAtOnceWhereverItListens) {
  for (const char* const address : {"127.0.0.1:0", "0.0.0.0:0", ":0", "[::1]:0", "[::]:0"}) {
    auto started = HttpServer::Start(address, {});
    if (!started.ok() && address[0] == '[') continue;  // no IPv6 here
    ASSERT_TRUE(started.ok()) << started.status();
    const auto begin = std::chrono::steady_clock::now();
    started->reset();
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(1)) << address;
  }
}

TEST(HttpServer, PortThatIsTakenIsNamed) {
  const auto first = Serve();
  const std::string address = "127.0.0.1:" + std::to_string(first->port());
  const auto second = HttpServer::Start(address, {});
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(Message(second.status()), HasSubstr(address));
}

TEST(HttpServer, GivesItsPortBack) {
  const int port = Serve()->port();
  EXPECT_TRUE(Serve("127.0.0.1:" + std::to_string(port)));
}

TEST(HttpServer, RefusesWhatIsNoAddress) {
  for (const char* const address : {"", "9464", "localhost:9464", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x",
                                    "127.0.0.1:65536", "127.0.0.1:123456", "::1:9464", "[::1:9464", "[]:9464"}) {
    const auto server = HttpServer::Start(address, {});
    EXPECT_EQ(server.status().code(), absl::StatusCode::kInvalidArgument) << address;
    EXPECT_THAT(Message(server.status()), HasSubstr("IP:PORT")) << address;
  }
}

TEST_F(HttpRequests, AnswersManyAtOnce) {
  std::vector<std::thread> clients;
  std::atomic<int> good = 0;
  for (int i = 0; i < 16; i++) clients.emplace_back([&] { good += HttpGet(port(), "/metrics").body == "m 1\n"; });
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(good, 16);
}

}  // namespace
}  // namespace sluice::telemetry
