#include "ctrl/relay/kube_nodes.h"

#include <fstream>

#include "tests/unit/api_server/certificates.h"
#include "tests/unit/kube/scripted_server.h"
#include "tests/unit/relay/cluster_fixture.h"

namespace sluice::cluster {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr const char* kPath = "/api/v1/namespaces/sluice-system/pods";

std::string PodJson(const std::string& name, const std::string& node, const std::string& ip, int version = 1,
                    const std::string& phase = "Running") {
  return fmt::format(R"({{"metadata":{{"namespace":"sluice-system","name":"{0}","uid":"{0}","resourceVersion":"{3}"}},)"
                     R"("spec":{{"nodeName":"{1}","hostNetwork":true}},)"
                     R"("status":{{"phase":"{4}","podIPs":[{{"ip":"{2}"}}]}}}})",
                     name, node, ip, version, phase);
}

class KubeNodesTest : public ClusterTest {
 protected:
  void Serve(const std::string& items) {
    server_.On(kPath, [this, items](const kube::Exchange& exchange) {
      if (!exchange.request().is_watch()) {
        exchange.Reply(200,
                       fmt::format(R"({{"kind":"List","metadata":{{"resourceVersion":"9"}},"items":[{}]}})", items));
        return;
      }
      exchange.Head(200);
      const std::lock_guard lock(mutex_);
      watch_.emplace(exchange);
    });
  }
  void Start() {
    const std::string path = directory_ + "/kubeconfig";
    std::ofstream(path) << "apiVersion: v1\nkind: Config\ncurrent-context: here\n"
                        << "clusters: [{name: here, cluster: {server: \"" << server_.url() << "\"}}]\n"
                        << "users: [{name: me, user: {}}]\n"
                        << "contexts: [{name: here, context: {cluster: here, user: me, namespace: sluice-system}}]\n";
    auto options = Quick();
    // Whether there are such agents does not matter here, but TCP needs TLS.
    const test::Certificates certificates(directory_);
    certificates.MakeCa("ca");
    certificates.Issue("relay", "ca");
    options.tls.files = certificates.FilesOf("relay");
    nodes_ = std::make_unique<Nodes>(options);
    auto found = KubeNodes::Start({.kube = path, .ns = "", .selector = "app=sluice", .port = 9471}, nodes_.get());
    ASSERT_TRUE(found.ok()) << found.status();
    kube_ = *std::move(found);
  }
  void TearDown() override { kube_.reset(); }
  void Send(const std::string& type, const std::string& object) {
    ASSERT_TRUE(Eventually([&] {
      const std::lock_guard lock(mutex_);
      return watch_.has_value();
    }));
    const std::lock_guard lock(mutex_);
    watch_->Body(fmt::format(R"({{"type":"{}","object":{}}})", type, object) + "\n");
  }
  std::vector<std::string> Known() const {
    std::vector<std::string> known;
    for (const NodePtr& node : nodes_->all()) known.push_back(node->name() + " " + node->address());
    return known;
  }
  std::string Problem() const {
    ClusterStatus status;
    nodes_->Describe(&status);
    return status.problem();
  }
  bool EventuallyKnown(const std::vector<std::string>& wanted) {
    return Eventually([&] { return Known() == wanted; });
  }

  std::mutex mutex_;
  std::optional<kube::Exchange> watch_;
  kube::ScriptedServer server_{{}};
  std::unique_ptr<KubeNodes> kube_;
};

TEST_F(KubeNodesTest, EachRunningPodIsANodeAndChangesAreFollowed) {
  Serve(PodJson("a", "node-1", "192.0.2.1") + "," + PodJson("b", "node-2", "2001:db8::2") + "," +
        PodJson("c", "node-3", "192.0.2.3", 1, "Pending"));
  Start();
  ASSERT_TRUE(EventuallyKnown({"node-1 192.0.2.1:9471", "node-2 [2001:db8::2]:9471"})) << Problem();
  EXPECT_THAT(server_.requests().front().query, HasSubstr("labelSelector=app%3Dsluice"));
  Send("MODIFIED", PodJson("c", "node-3", "192.0.2.3", 10));
  EXPECT_TRUE(EventuallyKnown({"node-1 192.0.2.1:9471", "node-2 [2001:db8::2]:9471", "node-3 192.0.2.3:9471"}));
  Send("DELETED", PodJson("a", "node-1", "192.0.2.1", 11));
  EXPECT_TRUE(EventuallyKnown({"node-2 [2001:db8::2]:9471", "node-3 192.0.2.3:9471"}));
  EXPECT_TRUE(Eventually([&] { return Problem().empty(); }));
}

TEST_F(KubeNodesTest, AServerThatRefusesIsToldAndRemovesNothing) {
  server_.On(kPath, [](const kube::Exchange& exchange) { exchange.Reply(403, "{}"); });
  Start();
  EXPECT_TRUE(Eventually([&] { return Problem().find("403") != std::string::npos; })) << Problem();
  EXPECT_THAT(Known(), IsEmpty());
}

}  // namespace
}  // namespace sluice::cluster
