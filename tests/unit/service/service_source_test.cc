// The real API client and a server of the test's own, from the objects to the table.
#include "ctrl/service/service_source.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <thread>

#include "ctrl/kube/client.h"
#include "tests/unit/kube/scripted_server.h"

namespace sluice::service {
namespace {

using kube::ScriptedServer;
using ::testing::ElementsAre;

constexpr char kServicesPath[] = "/api/v1/services";
constexpr char kSlicesPath[] = "/apis/discovery.k8s.io/v1/endpointslices";
constexpr char kOldSlicesPath[] = "/apis/discovery.k8s.io/v1beta1/endpointslices";
constexpr char kNodesPath[] = "/api/v1/nodes";

std::string Service(const std::string& name, const std::string& ip, int version = 1) {
  return fmt::format(R"({{"metadata": {{"name": "{}", "namespace": "shop", "resourceVersion": "{}"}},
                         "spec": {{"clusterIP": "{}", "ports": [{{"port": 80, "nodePort": 30080}}]}}}})",
                     name, version, ip);
}
std::string Slice(const std::string& service, const std::string& ip, int version = 1) {
  return fmt::format(R"({{"metadata": {{"name": "{0}-1", "namespace": "shop", "resourceVersion": "{2}",
                            "labels": {{"kubernetes.io/service-name": "{0}"}}}}, "addressType": "IPv4",
                         "endpoints": [{{"addresses": ["{1}"]}}], "ports": [{{"port": 8080}}]}})",
                     service, ip, version);
}
constexpr char kNode[] = R"({"metadata": {"name": "here", "resourceVersion": "1"},
  "status": {"addresses": [{"type": "InternalIP", "address": "172.16.0.1"}]}})";

class ServiceSourceTest : public ::testing::Test, public kube::Sink {
 protected:
  ~ServiceSourceTest() override { client_.reset(); }

  StatusOr<kube::Converted> Convert(const kube::ResourceSpec& spec, const kube::ObjectMeta&,
                                    const simdjson::dom::element& object) override {
    return ServiceSource::Convert(spec, object);
  }
  void Apply(const kube::ResourceSpec& spec, kube::Batch batch) override { source_.Apply(spec, batch); }

  // Lists `object`, alone, and keeps its watch open.
  void Serve(const std::string& path, const std::string& object) {
    server_.On(path, [this, path, object](const kube::Exchange& exchange) {
      if (!exchange.request().is_watch()) {
        exchange.Reply(200, fmt::format(R"({{"metadata": {{"resourceVersion": "1"}}, "items": [{}]}})", object));
        return;
      }
      exchange.Head(200);
      const std::lock_guard lock(mutex_);
      watches_.insert_or_assign(path, exchange);
    });
  }
  void ServeAll() {
    Serve(kServicesPath, Service("web", "10.96.0.1"));
    Serve(kSlicesPath, Slice("web", "10.1.0.1"));
    Serve(kNodesPath, kNode);
  }
  void Start() {
    kube::ApiConfig config;
    config.server = server_.url();
    kube::ClientOptions options;
    options.timing.backoff_first = std::chrono::milliseconds(10);
    options.timing.backoff_last = std::chrono::milliseconds(50);
    auto client = kube::Client::Create(std::move(config), source_.specs(), *this, options);
    ASSERT_TRUE(client.ok()) << client.status();
    client_ = *std::move(client);
  }
  void Send(const std::string& path, const std::string& type, const std::string& object) {
    ASSERT_TRUE(Eventually([&] {
      const std::lock_guard lock(mutex_);
      return watches_.contains(path);
    }));
    std::string line = fmt::format(R"({{"type": "{}", "object": {}}})", type, object);
    std::replace(line.begin(), line.end(), '\n', ' ');  // one event, one line
    const std::lock_guard lock(mutex_);
    watches_.at(path).Body(line + "\n");
  }
  static bool Eventually(const std::function<bool()>& holds) {
    for (int i = 0; i < 1000; ++i) {
      if (holds()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }
  // "10.96.0.1:80/TCP 10.1.0.1" for each address. Not there yet: "none".
  std::vector<std::string> Lines() {
    const auto table = source_.Table(false);
    if (!table) return {"none"};
    std::vector<std::string> lines;
    for (const auto& [frontend, entry] : *table) {
      lines.push_back(frontend.ToString());
      for (const policy::Backend& backend : entry.backends) lines.back() += " " + backend.address.ToString();
    }
    return lines;
  }
  bool EventuallyLines(const std::vector<std::string>& wanted) {
    return Eventually([&] { return Lines() == wanted; });
  }
  kube::ResourceState StateOf(const std::string& name) const {
    for (const kube::ResourceState& state : client_->state().resources) {
      if (state.name == name) return state;
    }
    return {};
  }

  ServiceSource source_{"here"};
  std::mutex mutex_;
  std::map<std::string, kube::Exchange> watches_;
  ScriptedServer server_{{}};
  std::unique_ptr<kube::Client> client_;
};

TEST_F(ServiceSourceTest, TheTableFollowsTheServer) {
  ServeAll();
  Start();
  ASSERT_TRUE(EventuallyLines({"10.96.0.1:80/TCP 10.1.0.1", "172.16.0.1:30080/TCP 10.1.0.1"}));
  const auto first = source_.Table(false);
  EXPECT_EQ(source_.Table(false), first);
  Send(kSlicesPath, "MODIFIED", Slice("web", "10.1.0.2", 2));
  EXPECT_TRUE(EventuallyLines({"10.96.0.1:80/TCP 10.1.0.2", "172.16.0.1:30080/TCP 10.1.0.2"}));
  Send(kNodesPath, "DELETED", kNode);
  EXPECT_TRUE(EventuallyLines({"10.96.0.1:80/TCP 10.1.0.2"}));
  Send(kSlicesPath, "DELETED", Slice("web", "10.1.0.2", 3));
  EXPECT_TRUE(EventuallyLines({"10.96.0.1:80/TCP"}));
  Send(kServicesPath, "DELETED", Service("web", "10.96.0.1", 4));
  EXPECT_TRUE(EventuallyLines({}));
}

TEST_F(ServiceSourceTest, KubernetesBefore121HasV1Beta1) {
  Serve(kServicesPath, Service("web", "10.96.0.1"));
  Serve(kOldSlicesPath, Slice("web", "10.1.0.1"));
  Serve(kNodesPath, "");
  Start();
  EXPECT_TRUE(EventuallyLines({"10.96.0.1:80/TCP 10.1.0.1"}));
}

// A table without the slices would end every connection to a Service.
TEST_F(ServiceSourceTest, ThereIsNoTableBeforeAllHasBeenRead) {
  Serve(kServicesPath, Service("web", "10.96.0.1"));
  Serve(kNodesPath, kNode);
  server_.On(kSlicesPath, [](const kube::Exchange& exchange) { exchange.Reply(403, "{}"); });
  Start();
  ASSERT_TRUE(Eventually([&] { return StateOf("services").listed && StateOf("endpointslices").failures > 1; }));
  EXPECT_THAT(Lines(), ElementsAre("none"));
  Serve(kSlicesPath, Slice("web", "10.1.0.1"));
  EXPECT_TRUE(EventuallyLines({"10.96.0.1:80/TCP 10.1.0.1", "172.16.0.1:30080/TCP 10.1.0.1"}));
}

TEST_F(ServiceSourceTest, AServerWithoutEndpointSlicesGivesNoTable) {
  Serve(kServicesPath, Service("web", "10.96.0.1"));
  Serve(kNodesPath, kNode);
  Start();
  ASSERT_TRUE(Eventually([&] { return StateOf("endpointslices").phase == kube::ResourceState::Phase::kAbsent; }));
  ASSERT_TRUE(Eventually([&] { return StateOf("services").listed && StateOf("node").listed; }));
  EXPECT_THAT(Lines(), ElementsAre("none"));
}

TEST_F(ServiceSourceTest, ANodeThatCannotBeReadIsNotWaitedForWhenToldSo) {
  ServeAll();
  server_.On(kNodesPath, [](const kube::Exchange& exchange) { exchange.Reply(403, "{}"); });
  Start();
  ASSERT_TRUE(Eventually([&] { return StateOf("node").failures > 0 && StateOf("endpointslices").listed; }));
  ASSERT_TRUE(Eventually([&] { return source_.Table(true) != nullptr; }));
  EXPECT_THAT(Lines(), ElementsAre("none"));
}

TEST_F(ServiceSourceTest, WithoutTheServerTheTableStays) {
  ServeAll();
  Start();
  ASSERT_TRUE(EventuallyLines({"10.96.0.1:80/TCP 10.1.0.1", "172.16.0.1:30080/TCP 10.1.0.1"}));
  const auto table = source_.Table(false);
  for (const char* path : {kServicesPath, kSlicesPath, kNodesPath}) {
    server_.On(path, [](const kube::Exchange& exchange) { exchange.Drop(); });
  }
  server_.DropConnections();
  ASSERT_TRUE(Eventually([&] { return StateOf("services").failures > 2 && StateOf("endpointslices").failures > 2; }));
  EXPECT_EQ(source_.Table(false), table);
}

TEST_F(ServiceSourceTest, ARefusedObjectLeavesItsFormerVersionAndTheRest) {
  ServeAll();
  Start();
  ASSERT_TRUE(EventuallyLines({"10.96.0.1:80/TCP 10.1.0.1", "172.16.0.1:30080/TCP 10.1.0.1"}));
  Send(kSlicesPath, "MODIFIED", Slice("web", "10.1.0", 2));
  Send(kServicesPath, "ADDED", Service("other", "10.96.0.2", 3));
  EXPECT_TRUE(EventuallyLines({"10.96.0.1:80/TCP 10.1.0.1", "10.96.0.2:80/TCP", "172.16.0.1:30080/TCP"}))
      << "of the node port, other is the lesser name";
  EXPECT_TRUE(Eventually([&] { return StateOf("endpointslices").refused_objects == 1; }));
}

}  // namespace
}  // namespace sluice::service
