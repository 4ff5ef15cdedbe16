#include "telemetry/metrics/http_server.h"

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

// One server for all tests that only send requests.
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
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5)) << address;
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

// `from`: 127.0.0.x.
Fd ConnectTo(int port, std::uint8_t from = 1) {
  Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in own{};
  own.sin_family = AF_INET;
  own.sin_addr.s_addr = htonl(INADDR_LOOPBACK - 1 + from);
  EXPECT_EQ(bind(fd.get(), reinterpret_cast<sockaddr*>(&own), sizeof own), 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<std::uint16_t>(port));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(connect(fd.get(), reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
  return fd;
}

void Say(const Fd& fd, std::string_view text) { send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL); }

// True when the other end closes it now or within the time.
bool EndsWithin(const Fd& fd, int seconds) {
  const timeval limit{.tv_sec = seconds, .tv_usec = 0};
  setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  char byte = 0;
  ssize_t got = 0;
  while ((got = recv(fd.get(), &byte, 1, 0)) > 0) {
  }
  return got == 0 || errno == ECONNRESET;
}

// Connections that send nothing, or byte by byte, delay no other client, whatever their number.
TEST(HttpServer, SlowClientsDelayNobody) {
  const auto server = Serve();
  std::vector<Fd> slow;
  for (int i = 0; i < 500; ++i) {
    slow.push_back(ConnectTo(server->port()));
    if (i % 2 == 0) Say(slow.back(), "GET /metrics HT");
  }
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(HttpGet(server->port(), "/readyz").code, 503);
    EXPECT_EQ(HttpGet(server->port(), "/metrics").code, 200);
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
  EXPECT_GT(server->dropped(), 400U);
}

// The same for clients that do not read their answer.
TEST(HttpServer, WhoDoesNotReadAtOnePathDelaysNobodyAtAnother) {
  auto server =
      HttpServer::Start("127.0.0.1:0", {{"/large", [] { return HttpReply{.body = std::string(16U << 20, 'x')}; }},
                                        {"/small", [] { return HttpReply{.body = "y"}; }}});
  ASSERT_TRUE(server.ok()) << server.status();
  std::vector<Fd> slow;
  for (int i = 0; i < 64; ++i) {
    slow.push_back(ConnectTo((*server)->port()));
    Say(slow.back(), "GET /large HTTP/1.1\r\n\r\n");
    char byte = 0;
    EXPECT_EQ(recv(slow.back().get(), &byte, 1, 0), 1) << i << ": the beginning of its answer";
    EXPECT_EQ(HttpGet((*server)->port(), "/small").body, "y") << i;
  }
  EXPECT_GE((*server)->dropped(), 31U);
}

TEST(HttpServer, ARequestHasItsTimeHoweverItDrips) {
  auto server = HttpServer::Start("127.0.0.1:0", {}, {.request_time = std::chrono::milliseconds(300)});
  ASSERT_TRUE(server.ok()) << server.status();
  const Fd fd = ConnectTo((*server)->port());
  const auto begin = std::chrono::steady_clock::now();
  while ((*server)->dropped() == 0 && std::chrono::steady_clock::now() - begin < std::chrono::seconds(10)) {
    Say(fd, "x");
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_EQ((*server)->dropped(), 1U);
  EXPECT_TRUE(EndsWithin(fd, 5));
}

TEST(HttpServer, AnAnswerThatIsNotTakenIsDropped) {
  auto server = HttpServer::Start("127.0.0.1:0",
                                  {{"/large", [] { return HttpReply{.body = std::string(64U << 20, 'x')}; }},
                                   {"/small", [] { return HttpReply{.body = "y"}; }}},
                                  {.connections = 8, .answer_time = std::chrono::milliseconds(300)});
  ASSERT_TRUE(server.ok()) << server.status();
  std::vector<Fd> slow;
  for (int i = 0; i < 3; ++i) {
    slow.push_back(ConnectTo((*server)->port()));
    Say(slow.back(), "GET /large HTTP/1.1\r\n\r\n");
  }
  const auto begin = std::chrono::steady_clock::now();
  while ((*server)->dropped() < 3 && std::chrono::steady_clock::now() - begin < std::chrono::seconds(20)) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_EQ((*server)->dropped(), 3U);
  EXPECT_EQ(HttpGet((*server)->port(), "/small").body, "y");
}

// A slow path delays no other path, and its answer is made once for all that wait for it.
TEST(HttpServer, APathThatTakesLongDelaysNoOther) {
  std::atomic<int> made = 0;
  std::atomic<bool> go = false;
  auto server = HttpServer::Start("127.0.0.1:0", {{"/slow",
                                                   [&] {
                                                     made++;
                                                     while (!go) std::this_thread::yield();
                                                     return HttpReply{.body = "slow"};
                                                   }},
                                                  {"/quick", [] { return HttpReply{.body = "quick"}; }}});
  ASSERT_TRUE(server.ok()) << server.status();
  std::vector<std::thread> clients;
  std::atomic<int> good = 0;
  for (int i = 0; i < 20; i++) {
    clients.emplace_back([&] { good += HttpGet((*server)->port(), "/slow").body == "slow"; });
  }
  while (made == 0) std::this_thread::yield();
  EXPECT_EQ(HttpGet((*server)->port(), "/quick").body, "quick");
  go = true;
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(good, 20);
}

// Two paths whose answers wait for a permission.
class HttpShares : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto slow = [this] {
      asked_++;
      go_.wait(false);
      return HttpReply{.body = "slow"};
    };
    auto server = HttpServer::Start(
        "127.0.0.1:0", {{"/a", slow}, {"/b", slow}, {"/quick", [] { return HttpReply{.body = "quick"}; }}});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }
  void TearDown() override { Go(); }
  void Go() {
    go_ = true;
    go_.notify_all();
  }
  // 64 requests of 127.0.0.`from`, which wait for their answers as far as they are let in.
  void Flood(std::uint8_t from, const std::vector<std::string>& paths) {
    for (std::size_t i = 0; i < 64; ++i) {
      flood_.push_back(ConnectTo(server_->port(), from));
      Say(flood_.back(), "GET " + paths[i % paths.size()] + " HTTP/1.1\r\n\r\n");
    }
    while (asked_ < static_cast<int>(paths.size())) std::this_thread::yield();
    HttpGet(server_->port(), "/none");  // when this is answered, all earlier requests have been handled
  }

  std::atomic<int> asked_ = 0;
  std::atomic<bool> go_ = false;
  std::unique_ptr<HttpServer> server_;
  std::vector<Fd> flood_;
};

TEST_F(HttpShares, OneClientLeavesOthersTheirPlaces) {
  Flood(2, {"/a", "/b"});
  EXPECT_EQ(HttpGet(server_->port(), "/quick").body, "quick");
  EXPECT_GE(server_->dropped(), 15U);
}

TEST_F(HttpShares, OneClientLeavesOthersTheirPlacesAtAPath) {
  Flood(2, {"/a"});
  const Fd other = ConnectTo(server_->port(), 1);
  Say(other, "GET /a HTTP/1.1\r\n\r\n");
  HttpGet(server_->port(), "/none");  // the other's was looked at
  Go();
  char answer[16] = "";
  EXPECT_EQ(recv(other.get(), answer, 12, MSG_WAITALL), 12);
  EXPECT_EQ(std::string(answer), "HTTP/1.1 200");
}

// The client with most connections gives way, not the first one.
TEST_F(HttpShares, TwoClientsLeaveAThirdItsPlaces) {
  Flood(2, {"/a"});
  for (int i = 0; i < 64; ++i) flood_.push_back(ConnectTo(server_->port(), 3));
  const Fd third = ConnectTo(server_->port(), 4);
  for (int i = 0; i < 64; ++i) flood_.push_back(ConnectTo(server_->port(), 3));
  EXPECT_EQ(HttpGet(server_->port(), "/quick").body, "quick");
  Say(third, "GET /quick HTTP/1.1\r\n\r\n");
  char answer[16] = "";
  EXPECT_EQ(recv(third.get(), answer, 12, MSG_WAITALL), 12);
  EXPECT_EQ(std::string(answer), "HTTP/1.1 200");
}

TEST(HttpServer, RefusesWhatIsNoRequest) {
  const auto server = Serve();
  for (const auto& [text, code] : {std::pair<std::string, int>{"\x16\x03\x01 TLS\r\n\r\n", 400},
                                   {"GET\r\n\r\n", 400},
                                   {"GET http://x/ HTTP/1.1\r\n\r\n", 400},
                                   {"GET /metrics HTTP/2.0\r\n\r\n", 400},
                                   {"GET /metrics HTTP/1.1\r\nX: " + std::string(9000, 'x'), 431},
                                   {"GET /metrics HTTP/1.0\n\n", 200}}) {
    const Fd fd = ConnectTo(server->port());
    Say(fd, text);
    char answer[16] = "";
    EXPECT_EQ(recv(fd.get(), answer, 12, MSG_WAITALL), 12) << text;
    EXPECT_EQ(std::string(answer + 9, 3), std::to_string(code)) << text;
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
