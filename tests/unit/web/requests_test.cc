// Each request without a network: rights, headers, limits and bad input.
#include "ctrl/web/requests.h"

#include <nlohmann/json.hpp>

#include <fstream>

#include "ctrl/web/pages.h"
#include "tests/unit/api_server/server_world.h"
#include "tests/unit/telemetry_hubble/flows.h"

namespace sluice::web {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;

const std::string kRead(32, 'r');
const std::string kQuarantine(32, 'q');

struct Route {
  const char* method;
  const char* path;
};
constexpr Route kRoutes[] = {{"GET", "/api/session"},   {"GET", "/api/map"},        {"GET", "/api/events"},
                             {"GET", "/api/processes"}, {"GET", "/api/status"},     {"POST", "/api/explain"},
                             {"POST", "/api/preview"},  {"POST", "/api/quarantine"}};

class WebRequests : public api::ServerFixture {
 protected:
  void SetUp() override {
    ASSERT_TRUE(Start({}).ok());
    std::ofstream(directory_ + "/read") << kRead;
    std::ofstream(directory_ + "/quarantine") << kQuarantine;
    requests_ = std::make_unique<Requests>(
        service_.get(),
        AccessOptions{.read_token = directory_ + "/read", .quarantine_token = directory_ + "/quarantine"});
  }

  static HttpRequest Of(const std::string& method, const std::string& path, const std::string& token = kRead,
                        const std::string& body = "") {
    HttpRequest request{.method = method, .path = path, .body = body, .peer = "127.0.0.1:4711"};
    request.headers = {{"sluice-page", "1"}, {"authorization", "Bearer " + token}};
    if (!body.empty()) request.headers["content-type"] = "application/json";
    return request;
  }
  HttpReply Get(const std::string& path, std::map<std::string, std::string> query = {}) {
    HttpRequest request = Of("GET", path);
    request.query = std::move(query);
    return requests_->Answer(request);
  }
  HttpReply Post(const std::string& path, const json& body, const std::string& token = kRead) {
    return requests_->Answer(Of("POST", path, token, body.dump()));
  }
  static std::string ErrorOf(const HttpReply& reply) {
    const json body = json::parse(reply.body, nullptr, false);
    return body.is_object() ? body.value("error", "") : "no JSON: " + reply.body;
  }
  void Remember(v1::Flow flow) { telemetry_.history().Push(telemetry::EventOf(std::move(flow))); }

  std::unique_ptr<Requests> requests_;
};

TEST_F(WebRequests, NothingWithoutAToken) {
  for (const auto& [method, path] : kRoutes) {
    SCOPED_TRACE(path);
    HttpRequest request = Of(method, path, "wrong", "{}");
    const HttpReply wrong = requests_->Answer(request);
    EXPECT_EQ(wrong.code, 401);
    EXPECT_EQ(wrong.headers.at("WWW-Authenticate"), "Bearer");
    request.headers.erase("authorization");
    EXPECT_EQ(requests_->Answer(request).code, 401);
    request = Of(method, path, kQuarantine, "{}");
    request.headers.erase("sluice-page");
    EXPECT_EQ(requests_->Answer(request).code, 403) << "another site's page";
    EXPECT_NE(requests_->Answer(Of(method, path, kRead, "{}")).code, 401);
  }
}

TEST_F(WebRequests, EveryReplyHasTheHeadersOfSecurity) {
  for (const char* const path : {"/", "/app.js", "/none", "/api/none", "/api/session", "/api/map"}) {
    SCOPED_TRACE(path);
    for (const std::string& token : {kRead, std::string("wrong")}) {
      const HttpReply reply = requests_->Answer(Of("GET", path, token));
      const std::string csp = reply.headers.at("Content-Security-Policy");
      EXPECT_THAT(csp, AllOf(HasSubstr("default-src 'none'"), HasSubstr("script-src 'self';"),
                             HasSubstr("frame-ancestors 'none'"), HasSubstr("require-trusted-types-for 'script'")));
      EXPECT_EQ(csp.find("unsafe"), std::string::npos);
      EXPECT_EQ(csp.find('*'), std::string::npos);
      EXPECT_EQ(reply.headers.at("X-Content-Type-Options"), "nosniff");
      EXPECT_EQ(reply.headers.at("Referrer-Policy"), "no-referrer");
      EXPECT_EQ(reply.headers.at("Cross-Origin-Resource-Policy"), "same-origin");
      EXPECT_FALSE(reply.headers.contains("Set-Cookie"));
      EXPECT_FALSE(reply.headers.contains("Access-Control-Allow-Origin"));
      EXPECT_FALSE(reply.headers.contains("Strict-Transport-Security"));
    }
  }
  EXPECT_EQ(Get("/api/session").headers.at("Cache-Control"), "no-store");
  HttpRequest by_tls = Of("GET", "/");
  by_tls.tls = true;
  EXPECT_TRUE(requests_->Answer(by_tls).headers.contains("Strict-Transport-Security"));
}

TEST_F(WebRequests, PageFiles) {
  if (FindPage("/") == nullptr) GTEST_SKIP() << "built without the page: no esbuild";
  HttpRequest request{.method = "GET", .path = "/app.js"};
  const HttpReply plain = requests_->Answer(request);
  EXPECT_EQ(plain.code, 200) << "the page has no secrets, and asks for a token";
  EXPECT_FALSE(plain.headers.contains("Content-Encoding"));
  request.headers["accept-encoding"] = "gzip, br";
  const HttpReply zipped = requests_->Answer(request);
  EXPECT_EQ(zipped.headers.at("Content-Encoding"), "gzip");
  EXPECT_LT(zipped.body.size(), plain.body.size());
  request.method = "POST";
  EXPECT_EQ(requests_->Answer(request).code, 405);
}

TEST_F(WebRequests, UnknownPathsAndMethods) {
  EXPECT_EQ(Get("/api/none").code, 404);
  EXPECT_THAT(ErrorOf(Get("/api/x\x1b[31m")), HasSubstr("\\x1b"));
  EXPECT_EQ(Get("/../../etc/passwd").code, 404);
  const HttpReply wrong = Get("/api/quarantine");
  EXPECT_EQ(wrong.code, 405);
  EXPECT_EQ(wrong.headers.at("Allow"), "POST");
  EXPECT_EQ(requests_->Answer(Of("DELETE", "/api/map")).code, 405);
}

TEST_F(WebRequests, SessionSaysWhatTheTokenMay) {
  const json reader = json::parse(Get("/api/session").body);
  EXPECT_FALSE(reader.contains("mayQuarantine"));
  EXPECT_THAT(reader["caller"], "the web page's read token, from 127.0.0.1:4711");
  const json both = json::parse(requests_->Answer(Of("GET", "/api/session", kQuarantine)).body);
  EXPECT_TRUE(both["mayQuarantine"]);
}

TEST_F(WebRequests, OnlyTheQuarantineTokenMayQuarantine) {
  const json wanted = {{"namespace", "shop"}, {"name", "nobody"}};
  const HttpReply refused = Post("/api/quarantine", wanted);
  EXPECT_EQ(refused.code, 403);
  EXPECT_THAT(ErrorOf(refused), HasSubstr("read token, from 127.0.0.1:4711 may only read"));
  EXPECT_THAT(log(), HasSubstr("read token"));
  EXPECT_EQ(Post("/api/quarantine", wanted, kQuarantine).code, 404) << "there is no such workload";
  std::vector<std::pair<std::string, bool>> told;
  for (const auto& event : telemetry_.history().Read()) {
    if (event->has_change()) told.emplace_back(event->change().caller(), !event->change().problem().empty());
  }
  EXPECT_THAT(told, ::testing::ElementsAre(std::pair("the web page's read token, from 127.0.0.1:4711", true),
                                           std::pair("the web page's quarantine token, from 127.0.0.1:4711", true)));
}

TEST_F(WebRequests, MapOfASpan) {
  Remember(telemetry::WebToDb());
  const std::int64_t ns = 1772600767'000000000;  // 2026-03-04T05:06:07Z
  const json map = json::parse(Get("/api/map", {{"seconds", "60"}, {"until", std::to_string(ns + 10'000000000)}}).body);
  ASSERT_EQ(map["edges"].size(), 1U) << map;
  EXPECT_EQ(map["edges"][0]["from"], "shop/web-0");
  const json later =
      json::parse(Get("/api/map", {{"seconds", "60"}, {"until", std::to_string(ns + 3600'000000000)}}).body);
  EXPECT_FALSE(later.contains("edges"));
  EXPECT_EQ(later["oldest"], "2026-03-04T05:06:07.123456789Z");
  EXPECT_EQ(ErrorOf(Get("/api/map", {{"seconds", "0"}})), "seconds 0: expected a number from 1 to 604800");
  EXPECT_EQ(Get("/api/map", {{"span", "1"}}).code, 400);
}

TEST_F(WebRequests, EventsAreFilteredAndBounded) {
  for (int i = 0; i < 30; ++i) {
    v1::Flow flow = telemetry::WebToDb();
    flow.mutable_time()->set_seconds(1770000000 + i);
    flow.set_flow_id(std::to_string(i));
    if (i % 3 == 0) flow.set_verdict(v1::Flow::DROPPED);
    Remember(std::move(flow));
  }
  const auto events = [&](std::map<std::string, std::string> query) {
    return json::parse(Get("/api/events", std::move(query)).body)["events"];
  };
  EXPECT_EQ(events({}).size(), 30U);
  EXPECT_EQ(events({{"verdict", "DROPPED"}}).size(), 10U);
  EXPECT_EQ(events({{"q", "SHOP/WEB"}}).size(), 30U);
  EXPECT_EQ(events({{"q", "shop/db"}}).size(), 0U);
  const json newest = events({{"verdict", "DROPPED"}, {"q", "web"}, {"last", "2"}});
  ASSERT_EQ(newest.size(), 2U);
  EXPECT_EQ(newest[1]["flowId"], "27");
  EXPECT_EQ(events({{"since", "1770000028000000000"}}).size(), 2U);
  EXPECT_EQ(Get("/api/events", {{"last", "2000"}}).code, 400);
}

TEST_F(WebRequests, ExplainAnswersAsTheCommandDoes) {
  const HttpReply reply =
      Post("/api/explain", {{"from", "192.0.2.1"}, {"to", "192.0.2.2"}, {"protocol", "TCP"}, {"port", 80}});
  EXPECT_EQ(reply.code, 200);
  EXPECT_TRUE(json::parse(reply.body)["explanation"]["allowed"]);
  const HttpReply unknown =
      Post("/api/explain", {{"from", "shop/none"}, {"to", "192.0.2.2"}, {"protocol", "TCP"}, {"port", 80}});
  EXPECT_EQ(unknown.code, 404);
  EXPECT_THAT(ErrorOf(unknown), HasSubstr("shop/none: no such workload or pod"));
}

TEST_F(WebRequests, BadBodiesAreNamed) {
  const auto answer = [&](const std::string& body) {
    return requests_->Answer(Of("POST", "/api/explain", kRead, body));
  };
  EXPECT_THAT(ErrorOf(answer("{")), HasSubstr("the request's body"));
  EXPECT_THAT(ErrorOf(answer(R"({"form":"x"})")), HasSubstr("form"));
  EXPECT_EQ(answer(R"({"port":"many"})").code, 400);
  EXPECT_EQ(answer(std::string(5000, '[')).code, 400);
  EXPECT_EQ(answer("\xff\xfe").code, 400);
  HttpRequest form = Of("POST", "/api/explain", kRead, "{}");
  form.headers["content-type"] = "text/plain";
  EXPECT_THAT(ErrorOf(requests_->Answer(form)), HasSubstr("Content-Type text/plain: expected application/json"));
}

TEST_F(WebRequests, PreviewOfBadPolicies) {
  EXPECT_THAT(ErrorOf(Post("/api/preview", {{"yaml", "kind: ["}})), HasSubstr("policy:1"));
  EXPECT_EQ(Post("/api/preview", {{"yaml", ""}}).code, 400);
  const HttpReply pod = Post("/api/preview", {{"yaml", "{apiVersion: v1, kind: Namespace, metadata: {name: a}}"}});
  EXPECT_EQ(pod.code, 400);
  EXPECT_THAT(ErrorOf(pod), HasSubstr("Namespace a: only policies of the network have a preview"));
  const HttpReply gone = Post("/api/preview", {{"yaml", kPolicy}, {"remove", true}});
  EXPECT_EQ(gone.code, 404);
  const HttpReply nothing = Post("/api/preview", {{"yaml", kPolicy}});
  ASSERT_EQ(nothing.code, 200) << nothing.body;
  EXPECT_EQ(json::parse(nothing.body)["documents"][0], "NetworkPolicy shop/p");
}

}  // namespace
}  // namespace sluice::web
