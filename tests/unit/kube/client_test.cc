// The whole client against a server that misbehaves, over loopback.
#include "ctrl/kube/client.h"

#include <zlib.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/unit/kube/fixture.h"
#include "tests/unit/kube/scripted_server.h"

namespace sluice::kube {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;
using Phase = ResourceState::Phase;

constexpr char kPods[] = "/api/v1/pods";
constexpr char kNamespaces[] = "/api/v1/namespaces";
constexpr char kPolicies[] = "/apis/networking.k8s.io/v1/networkpolicies";
constexpr char kOwnPolicies[] = "/apis/sluice.dev/v1alpha1/networkpolicies";

bool Eventually(const std::function<bool()>& holds, std::chrono::milliseconds longest = 20s) {
  const auto deadline = std::chrono::steady_clock::now() + longest;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(2ms);
  }
  return true;
}

// A resource that works: a list, and watches that stay open.
class Served {
 public:
  Served(ScriptedServer& server, const std::string& path, std::string list) : list_(std::move(list)) {
    server.On(path, script());
  }
  ScriptedServer::Script script() {
    return [this](const Exchange& exchange) {
      const std::lock_guard lock(mutex_);
      if (!exchange.request().is_watch()) {
        ++lists_;
        return exchange.Reply(200, list_);
      }
      exchange.Head(200);
      watches_.push_back(exchange);
    };
  }
  void SetList(const std::string& list) {
    const std::lock_guard lock(mutex_);
    list_ = list;
  }
  std::size_t lists() const {
    const std::lock_guard lock(mutex_);
    return lists_;
  }
  std::size_t watches() const {
    const std::lock_guard lock(mutex_);
    return watches_.size();
  }
  Exchange last() const {
    const std::lock_guard lock(mutex_);
    return watches_.back();
  }

 private:
  mutable std::mutex mutex_;
  std::string list_;
  std::size_t lists_ = 0;
  std::vector<Exchange> watches_;
};

class KubeClient : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"https_proxy", "HTTPS_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"}) ::unsetenv(name);
    options_.timing = {.watch_min = 10s,
                       .watch_max = 20s,
                       .watchdog = 200ms,
                       .short_watch = 0ms,
                       .backoff_first = 10ms,
                       .backoff_last = 80ms,
                       .connect_timeout = 2s,
                       .header_timeout = 2s,
                       .list_timeout = 5s,
                       .low_speed_bytes = 1000,
                       .low_speed_time = 1s,
                       .credentials = 50ms,
                       .distrust = 300ms};
    directory_ =
        std::filesystem::temp_directory_path() /
        fmt::format("sluice-kube-{}-{}", ::getpid(), ::testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::create_directories(directory_);
    StartServer({});
  }
  void TearDown() override {
    client_.reset();
    server_.reset();
    std::filesystem::remove_all(directory_);
  }

  // TLS with HTTP/2, unless `options` say otherwise.
  void StartServer(ScriptedServer::Options options, bool tls = true) {
    if (tls && !options.identity) options.identity = MakeCertificate(ca_);
    server_.reset();
    server_ = std::make_unique<ScriptedServer>(options);
    config_.server = server_->url();
    config_.ca.text = ca_.certificate;
  }
  Served& Serve(const std::string& path, const std::string& list) {
    return *served_.emplace_back(std::make_unique<Served>(*server_, path, list));
  }
  void StartClient(std::vector<policy::Kind> kinds = {policy::Kind::kPod}) {
    std::vector<ResourceSpec> specs;
    for (const policy::Kind kind : kinds) specs.push_back(SpecOf(kind));
    auto client = Client::Create(config_, specs, sink_, options_);
    ASSERT_TRUE(client.ok()) << client.status();
    client_ = std::move(*client);
  }
  ResourceState state(std::size_t resource = 0) const { return client_->state().resources[resource]; }
  bool WatchedBy(std::size_t resource = 0) const {
    return Eventually([&] { return state(resource).phase == Phase::kWatching; });
  }
  bool FailsWith(const std::string& text, std::size_t resource = 0) const {
    const bool failed = Eventually([&] { return state(resource).last_error.find(text) != std::string::npos; });
    if (!failed) ADD_FAILURE() << "instead: " << state(resource).last_error;
    return failed;
  }
  bool Has(const std::map<std::string, std::string>& objects, const std::string& resource = "pods") const {
    const bool has = Eventually([&] { return sink_.objects(resource) == objects; });
    if (!has) ADD_FAILURE() << ::testing::PrintToString(sink_.objects(resource));
    return has;
  }
  // Declared after what scripts refer to: ends client and server before that goes.
  auto EndFirst() {
    return std::shared_ptr<void>(nullptr, [this](void*) {
      client_.reset();
      server_.reset();
    });
  }
  std::string Write(const std::string& name, const std::string& text) const {
    // Replaced as the kubelet does it: never half a file.
    std::ofstream(directory_ / (name + ".new")) << text;
    std::filesystem::rename(directory_ / (name + ".new"), directory_ / name);
    return directory_ / name;
  }

  const Identity ca_ = MakeCa("test CA");
  std::filesystem::path directory_;
  std::unique_ptr<ScriptedServer> server_;
  std::vector<std::unique_ptr<Served>> served_;
  ApiConfig config_;
  ClientOptions options_;
  RecordingSink sink_;
  std::unique_ptr<Client> client_;
};

TEST_F(KubeClient, AllWatchesShareOneHttp2Connection) {
  Serve(kPods, ListJson(7, {ObjectJson("a", 1)}));
  Serve(kNamespaces, ListJson(7, {ObjectJson("shop", 2)}));
  Serve(kPolicies, ListJson(7, {ObjectJson("db", 3)}));
  Serve(kOwnPolicies, ListJson(7, {ObjectJson("web", 4)}));
  StartClient(
      {policy::Kind::kPod, policy::Kind::kNamespace, policy::Kind::kNetworkPolicy, policy::Kind::kSluiceNetworkPolicy});
  for (std::size_t i = 0; i < 4; ++i) ASSERT_TRUE(WatchedBy(i));
  served_[0]->last().Body(EventJson("MODIFIED", ObjectJson("a", 8)));
  served_[3]->last().Body(EventJson("DELETED", ObjectJson("web", 9)));
  EXPECT_TRUE(Has({{"a", "a@8"}}));
  EXPECT_TRUE(Has({}, "networkpolicies.sluice.dev"));
  EXPECT_EQ(server_->connections(), 1U);
  EXPECT_EQ(server_->requests().size(), 8U);
  for (const Request& request : server_->requests()) EXPECT_EQ(request.http, 2);
}

TEST_F(KubeClient, SpeaksHttp1WithAndWithoutTls) {
  for (const bool tls : {true, false}) {
    client_.reset();
    StartServer({.http2 = false}, tls);
    Served& pods = Serve(kPods, ListJson(7, {ObjectJson("a", 1)}));
    Serve(kNamespaces, ListJson(7, {}));
    StartClient({policy::Kind::kPod, policy::Kind::kNamespace});
    ASSERT_TRUE(WatchedBy(0) && WatchedBy(1)) << tls;
    pods.last().Body(EventJson("ADDED", ObjectJson("b", tls ? 8 : 9)));
    EXPECT_TRUE(Has({{"a", "a@1"}, {"b", tls ? "b@8" : "b@9"}}));
    for (const Request& request : server_->requests()) EXPECT_EQ(request.http, 1);
  }
}

TEST_F(KubeClient, ATruncatedListKeepsWhatIsKnown) {
  Served& pods = Serve(kPods, ListJson(7, {ObjectJson("a", 1)}));
  StartClient();
  ASSERT_TRUE(WatchedBy());
  const std::string list = ListJson(9, {ObjectJson("b", 8)});
  pods.SetList(list.substr(0, list.size() - 10));
  pods.last().Body(EventJson("ERROR", StatusJson(410, "Expired")));
  EXPECT_TRUE(FailsWith("pods: list: not JSON"));
  EXPECT_TRUE(Has({{"a", "a@1"}}));
  pods.SetList(list);
  EXPECT_TRUE(Has({{"b", "b@8"}}));
}

TEST_F(KubeClient, ABrokenOffListIsAnError) {
  std::atomic<int> tries = 0;
  Served pods(*server_, "/unused", ListJson(9, {ObjectJson("b", 8)}));
  const auto end = EndFirst();
  server_->On(kPods, [&](const Exchange& exchange) {
    if (exchange.request().is_watch() || ++tries > 2) return pods.script()(exchange);
    exchange.Head(200);
    exchange.Body(R"({"metadata":{"resourceVersion":"9"},"items":[]})");  // complete JSON, and yet not the end
    exchange.Drop();
  });
  StartClient();
  EXPECT_TRUE(Has({{"b", "b@8"}}));
  EXPECT_GE(state().errors, 2U);
}

TEST_F(KubeClient, ABrokenOffWatchGoesOnWhereItWas) {
  Served& pods = Serve(kPods, ListJson(7, {ObjectJson("a", 1)}));
  StartClient();
  ASSERT_TRUE(WatchedBy());
  pods.last().Body(EventJson("MODIFIED", ObjectJson("a", 8)));
  ASSERT_TRUE(Has({{"a", "a@8"}}));
  pods.last().Drop();
  ASSERT_TRUE(Eventually([&] { return pods.watches() == 2; }));
  EXPECT_THAT(pods.last().request().query, HasSubstr("resourceVersion=8&"));
  EXPECT_EQ(pods.lists(), 1U);
}

TEST_F(KubeClient, SlowBytesAreGivenUp) {
  std::atomic<bool> slow = true;
  Served pods(*server_, "/unused", ListJson(7, {ObjectJson("a", 1)}));
  const auto end = EndFirst();
  server_->On(kPods, [&](const Exchange& exchange) {
    if (!slow) return pods.script()(exchange);
    exchange.Head(200);
    exchange.Body("{");  // and no more
  });
  StartClient();
  EXPECT_TRUE(FailsWith("Operation too slow"));
  slow = false;
  EXPECT_TRUE(Has({{"a", "a@1"}}));
}

TEST_F(KubeClient, AHungWatchIsReplaced) {
  options_.timing.watch_min = options_.timing.watch_max = 1s;
  Served& pods = Serve(kPods, ListJson(7, {ObjectJson("a", 1)}));
  StartClient();
  ASSERT_TRUE(WatchedBy());
  EXPECT_TRUE(FailsWith("did not end in 1 s"));
  ASSERT_TRUE(Eventually([&] { return pods.watches() >= 2; }));
  EXPECT_EQ(server_->requests().at(1).connection, 1U);
  EXPECT_EQ(server_->requests().at(2).connection, 2U);  // the first one may be dead
  EXPECT_TRUE(Has({{"a", "a@1"}}));
}

TEST_F(KubeClient, AWrongContentTypeIsAnError) {
  server_->On(kPods, [](const Exchange& exchange) {
    exchange.Reply(200, ListJson(7, {}), {{"content-type", "application/vnd.kubernetes.protobuf"}});
  });
  StartClient();
  EXPECT_TRUE(FailsWith("content type application/vnd.kubernetes.protobuf and not application/json"));
  EXPECT_THAT(sink_.lines(), IsEmpty());
}

TEST_F(KubeClient, AnObjectOf100MegabytesIsGivenUp) {
  options_.limits.page_bytes = 4U << 20U;
  options_.limits.object_bytes = 1U << 20U;
  const std::string megabyte(1U << 20U, 'x');
  Served pods(*server_, "/unused", ListJson(7, {ObjectJson("a", 1)}));
  std::atomic<bool> huge_list = true;
  const auto end = EndFirst();
  server_->On(kPods, [&](const Exchange& exchange) {
    if (exchange.request().is_watch() || !huge_list) return pods.script()(exchange);
    exchange.Head(200);
    exchange.Body(R"({"metadata":{"resourceVersion":"7"},"items":[{"x":")");
    exchange.Repeat(megabyte, 100);
  });
  StartClient();
  EXPECT_TRUE(FailsWith("objects has more than 4194304 bytes"));
  huge_list = false;
  ASSERT_TRUE(WatchedBy());
  pods.last().Body(R"({"type":"ADDED","object":{"x":")");
  pods.last().Repeat(megabyte, 100);
  EXPECT_TRUE(FailsWith("an event of more than 1048576 bytes"));
  EXPECT_TRUE(Has({{"a", "a@1"}}));
}

TEST_F(KubeClient, AGoAwayMovesNewRequestsToAnotherConnection) {
  Served& pods = Serve(kPods, ListJson(7, {ObjectJson("a", 1)}));
  StartClient();
  ASSERT_TRUE(WatchedBy());
  pods.last().GoAway();
  pods.last().Body(EventJson("MODIFIED", ObjectJson("a", 8)));  // the old stream still works
  ASSERT_TRUE(Has({{"a", "a@8"}}));
  pods.last().End();
  ASSERT_TRUE(Eventually([&] { return pods.watches() == 2; }));
  EXPECT_EQ(pods.last().request().connection, 2U);
  EXPECT_THAT(pods.last().request().query, HasSubstr("resourceVersion=8&"));
  pods.last().Body(EventJson("DELETED", ObjectJson("a", 9)));
  EXPECT_TRUE(Has({}));
}

TEST_F(KubeClient, WaitsAsLongAsRetryAfterSays) {
  std::atomic<int> tries = 0;
  Served pods(*server_, "/unused", ListJson(7, {ObjectJson("a", 1)}));
  const auto end = EndFirst();
  server_->On(kPods, [&](const Exchange& exchange) {
    if (++tries > 1) return pods.script()(exchange);
    exchange.Reply(429, StatusJson(429, "TooManyRequests"), {{"retry-after", "1"}});
  });
  const auto begin = std::chrono::steady_clock::now();
  StartClient();
  EXPECT_TRUE(Has({{"a", "a@1"}}));
  EXPECT_GE(std::chrono::steady_clock::now() - begin, 1s);
}

TEST_F(KubeClient, ATokenThatRotatesIsReadAgain) {
  std::atomic<int> refused = 0;
  std::string valid = "first";
  std::mutex mutex;
  Served pods(*server_, "/unused", ListJson(7, {ObjectJson("a", 1)}));
  const auto end = EndFirst();
  server_->On(kPods, [&](const Exchange& exchange) {
    const std::lock_guard lock(mutex);
    if (exchange.request().headers.at("authorization") == "Bearer " + valid) return pods.script()(exchange);
    ++refused;
    exchange.Reply(401, StatusJson(401, "Unauthorized"));
  });
  options_.timing.credentials = 1h;  // so that only the 401 makes it look
  config_.token.file = Write("token", "first\n");
  StartClient();
  ASSERT_TRUE(WatchedBy());
  {
    const std::lock_guard lock(mutex);
    valid = "second";
    Write("token", "second\n");
  }
  pods.last().Body(BookmarkJson(8));
  pods.last().End();
  ASSERT_TRUE(Eventually([&] { return pods.watches() == 2; }));
  EXPECT_EQ(refused, 1);
  EXPECT_EQ(state().errors, 0U);
}

TEST_F(KubeClient, ATokenIsReadEachMinuteAnyway) {
  Served& pods = Serve(kPods, ListJson(7, {ObjectJson("a", 1)}));
  config_.token.file = Write("token", "first");
  StartClient();
  ASSERT_TRUE(WatchedBy());
  Write("token", "second");
  std::this_thread::sleep_for(60ms);  // longer than Timing::credentials
  pods.last().Body(BookmarkJson(8));
  pods.last().End();
  ASSERT_TRUE(Eventually([&] { return pods.watches() == 2; }));
  EXPECT_EQ(pods.last().request().headers.at("authorization"), "Bearer second");

  // A file that is gone: the last token goes on, and the state says it.
  std::filesystem::remove(directory_ / "token");
  std::this_thread::sleep_for(60ms);
  pods.last().Body(BookmarkJson(9));
  pods.last().End();
  ASSERT_TRUE(Eventually([&] { return pods.watches() == 3; }));
  EXPECT_EQ(pods.last().request().headers.at("authorization"), "Bearer second");
  EXPECT_TRUE(Eventually([&] { return !client_->state().credentials_error.empty(); }));
  EXPECT_THAT(client_->state().credentials_error, HasSubstr("/token"));
}

TEST_F(KubeClient, ACaThatRotatesIsReadAgain) {
  Served& pods = Serve(kPods, ListJson(7, {ObjectJson("a", 1)}));
  config_.ca = {.file = Write("ca.crt", ca_.certificate)};
  StartClient();
  ASSERT_TRUE(WatchedBy());
  const Identity other = MakeCa("another CA");
  server_->SetIdentity(MakeCertificate(other));
  server_->DropConnections();
  EXPECT_TRUE(FailsWith("certificate"));
  EXPECT_EQ(pods.watches(), 1U);
  EXPECT_TRUE(Has({{"a", "a@1"}}));
  Write("ca.crt", other.certificate);
  EXPECT_TRUE(Eventually([&] { return pods.watches() >= 2; }));
}

TEST_F(KubeClient, AServerWithAnotherCaIsRefused) {
  Serve(kPods, ListJson(7, {ObjectJson("a", 1)}));
  for (const char* name : {"another CA", "test CA"}) {
    server_->SetIdentity(MakeCertificate(MakeCa(name)));
    StartClient();
    EXPECT_TRUE(FailsWith("SSL")) << name;
    client_.reset();
  }
  EXPECT_THAT(server_->requests(), IsEmpty());  // nobody saw a token
}

TEST_F(KubeClient, InsecureAndNamedServers) {
  StartServer({.identity = MakeCertificate(MakeCa("unknown"), "kubernetes.default")});
  Serve(kPods, ListJson(7, {ObjectJson("a", 1)}));
  config_.ca = {};
  config_.insecure_skip_tls_verify = true;
  StartClient();
  EXPECT_TRUE(WatchedBy());
  client_.reset();

  config_.insecure_skip_tls_verify = false;
  config_.ca.text = ca_.certificate;
  server_->SetIdentity(MakeCertificate(ca_, "api.example"));
  config_.tls_server_name = "other.example";
  StartClient();
  EXPECT_TRUE(FailsWith("other.example"));
  client_.reset();
  config_.tls_server_name = "api.example";
  StartClient();
  EXPECT_TRUE(WatchedBy());
  EXPECT_EQ(server_->server_name(), "api.example");
  EXPECT_EQ(server_->requests().back().headers.at("host"), fmt::format("127.0.0.1:{}", server_->port()));
}

TEST_F(KubeClient, ClientCertificatesAndPasswords) {
  StartServer({.identity = MakeCertificate(ca_), .client_ca = ca_.certificate});
  Serve(kPods, ListJson(7, {ObjectJson("a", 1)}));
  StartClient();
  EXPECT_TRUE(FailsWith("pods: list"));
  EXPECT_THAT(server_->requests(), IsEmpty());
  client_.reset();
  const Identity own = MakeCertificate(ca_, "sluice");
  config_.client_certificate.text = own.certificate;
  config_.client_key.text = own.key;
  config_.username = "user";
  config_.password = "pass";
  StartClient();
  EXPECT_TRUE(WatchedBy());
  EXPECT_EQ(server_->requests().front().headers.at("authorization"), "Basic dXNlcjpwYXNz");
}

TEST_F(KubeClient, AServerThatGoesAndComesBack) {
  Served& pods = Serve(kPods, ListJson(7, {ObjectJson("a", 1)}));
  StartClient();
  ASSERT_TRUE(WatchedBy());
  const int port = server_->port();
  const auto script = pods.script();
  server_.reset();
  ASSERT_TRUE(Eventually([&] { return state().failures >= 3; }));
  EXPECT_FALSE(state().synced_since);
  EXPECT_TRUE(Has({{"a", "a@1"}}));
  StartServer({.port = port});
  server_->On(kPods, script);
  pods.SetList(ListJson(9, {ObjectJson("a", 8)}));
  ASSERT_TRUE(WatchedBy());
  EXPECT_TRUE(state().synced_since);
  EXPECT_EQ(state().failures, 0U);
  pods.last().Body(EventJson("ADDED", ObjectJson("b", 20)));
  EXPECT_TRUE(Eventually([&] { return sink_.objects().contains("b"); }));
}

TEST_F(KubeClient, AnEmptyListAfterARestoreIsBelievedLate) {
  Served& pods = Serve(kPods, ListJson(700, {ObjectJson("a", 1), ObjectJson("b", 2)}));
  StartClient();
  ASSERT_TRUE(WatchedBy());
  const auto begin = std::chrono::steady_clock::now();
  pods.SetList(ListJson(20, {}));
  pods.last().Body(EventJson("ERROR", StatusJson(410, "Expired")));
  ASSERT_TRUE(Eventually([&] { return state().distrusted_since.has_value(); }));
  EXPECT_EQ(sink_.objects().size(), 2U);
  EXPECT_THAT(state().distrust_reason, HasSubstr("the list is empty (0 objects as of 20)"));
  EXPECT_TRUE(Has({}));
  EXPECT_GE(std::chrono::steady_clock::now() - begin, options_.timing.distrust);
  EXPECT_GE(pods.lists(), 4U);
  EXPECT_TRUE(Eventually([&] { return !state().distrusted_since; }));
}

TEST_F(KubeClient, AForbiddenResourceDoesNotStopTheOthers) {
  server_->On(kPolicies, [](const Exchange& exchange) { exchange.Reply(403, StatusJson(403, "Forbidden")); });
  Served& pods = Serve(kPods, ListJson(7, {ObjectJson("a", 1)}));
  StartClient({policy::Kind::kNetworkPolicy, policy::Kind::kPod, policy::Kind::kSluiceNetworkPolicy});
  ASSERT_TRUE(WatchedBy(1));
  EXPECT_TRUE(Eventually([&] { return state(0).phase == Phase::kForbidden; }));
  EXPECT_THAT(state(0).last_error, HasSubstr("networkpolicies: list: 403 Forbidden: told so"));
  EXPECT_TRUE(Eventually([&] { return state(2).phase == Phase::kAbsent; }));  // 404: the CRD is not installed
  EXPECT_TRUE(state(2).listed);
  EXPECT_EQ(state(2).errors, 0U);
  EXPECT_TRUE(Eventually([&] { return state(0).requests > 2 && state(2).requests > 2; }));  // tried again
  pods.last().Body(EventJson("MODIFIED", ObjectJson("a", 8)));
  EXPECT_TRUE(Has({{"a", "a@8"}}));
}

TEST_F(KubeClient, ListsComeCompressed) {
  std::vector<std::string> objects;
  std::map<std::string, std::string> wanted;
  for (int i = 0; i < 500; ++i) {
    objects.push_back(ObjectJson(fmt::format("pod-{}", i), i + 1));
    wanted[fmt::format("pod-{}", i)] = fmt::format("pod-{}@{}", i, i + 1);
  }
  const std::string list = ListJson(700, objects);
  std::string packed(list.size() + 100, 0);
  z_stream stream{};
  ASSERT_EQ(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(list.data()));
  stream.avail_in = static_cast<uInt>(list.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  ASSERT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  Served pods(*server_, "/unused", "");
  const auto end = EndFirst();
  server_->On(kPods, [&](const Exchange& exchange) {
    if (exchange.request().is_watch()) return pods.script()(exchange);
    EXPECT_EQ(exchange.request().headers.at("accept-encoding"), "gzip");
    exchange.Reply(200, packed, {{"content-encoding", "gzip"}});
  });
  StartClient();
  EXPECT_TRUE(Has(wanted));
  EXPECT_LT(packed.size(), list.size() / 3);
  EXPECT_EQ(state().bytes_received, list.size());
}

TEST_F(KubeClient, EndsAtOnceWhileEverythingHangs) {
  Serve(kPods, ListJson(7, {ObjectJson("a", 1)}));
  server_->On(kNamespaces, [](const Exchange&) {});
  server_->On("/x", [](const Exchange&) {});
  StartClient({policy::Kind::kPod, policy::Kind::kNamespace});
  ASSERT_TRUE(WatchedBy());
  std::atomic<int> cancelled = 0;
  const auto end = EndFirst();
  for (int i = 0; i < 10; ++i) {
    client_->Send({.path = "/x", .body = "{}", .done = [&](const Status& status) {
                     cancelled += status.code() == absl::StatusCode::kCancelled ? 1 : 0;
                   }});
  }
  const auto begin = std::chrono::steady_clock::now();
  client_.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s);
  EXPECT_EQ(cancelled, 10);
}

// Writing to a connection that the server has closed must not end the process.
TEST_F(KubeClient, AClosedConnectionIsNoSigpipe) {
  server_->On("/x", [](const Exchange&) {});
  for (int i = 0; i < 10; ++i) {
    Served& pods = Serve(kPods, ListJson(7, {ObjectJson("a", 1)}));
    StartClient();
    ASSERT_TRUE(WatchedBy());
    for (int n = 0; n < 4; ++n) client_->Send({.path = "/x", .body = std::string(1 << 20, ' ')});
    server_->DropConnections();
    const bool is_waited_for = i % 2 == 0;
    EXPECT_TRUE(!is_waited_for || Eventually([&] { return pods.watches() > 1; }));
    client_.reset();
  }
}

TEST_F(KubeClient, WritesReachTheServer) {
  server_->On("/apis/sluice.dev/v1alpha1/namespaces/shop/networkpolicies/db/status",
              [](const Exchange& exchange) { exchange.Reply(200, "{}"); });
  StartClient({});
  std::atomic<int> done = 0;
  const auto end = EndFirst();
  client_->Send({.path = "/apis/sluice.dev/v1alpha1/namespaces/shop/networkpolicies/db/status",
                 .body = R"({"status":{}})",
                 .done = [&](const Status& status) { done = status.ok() ? 1 : -1; }});
  EXPECT_TRUE(Eventually([&] { return done == 1; }));
  const Request request = server_->requests().at(0);
  EXPECT_EQ(request.method, "PATCH");
  EXPECT_EQ(request.headers.at("content-type"), "application/merge-patch+json");
  EXPECT_EQ(request.body, R"({"status":{}})");
  EXPECT_TRUE(Eventually([&] { return client_->state().writes.succeeded == 1; }));

  client_->Send({.method = "POST",
                 .path = "/nowhere",
                 .content_type = "application/json",
                 .body = "{}",
                 .done = [&](const Status& status) { done = static_cast<int>(status.code()) + 100; }});
  EXPECT_TRUE(Eventually([&] { return done == 100 + static_cast<int>(absl::StatusCode::kNotFound); }));
  EXPECT_THAT(client_->state().writes.last_error, StartsWith("POST /nowhere: 404"));
}

TEST_F(KubeClient, ATokenIsInNoError) {
  config_.token.text = "secret-token";
  config_.server = "https://127.0.0.1:1";
  StartClient();
  EXPECT_TRUE(FailsWith("pods: list"));
  EXPECT_THAT(state().last_error, ::testing::Not(HasSubstr("secret-token")));
}

TEST_F(KubeClient, AFileOfCredentialsThatIsMissingIsAnErrorAtOnce) {
  config_.token.file = directory_ / "none";
  const auto client = Client::Create(config_, {}, sink_, options_);
  ASSERT_FALSE(client.ok());
  EXPECT_THAT(Message(client.status()), HasSubstr("/none"));
  config_.token.file = Write("token", "two\nlines");
  EXPECT_THAT(Message(Client::Create(config_, {}, sink_, options_).status()), HasSubstr("character that no token has"));
}

}  // namespace
}  // namespace sluice::kube
