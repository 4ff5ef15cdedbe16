// The real agent beside an API server and a container runtime that the test plays; pods are network namespaces with
// real packets. web and db are known to both, and db is open for web alone.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/e2e_kube/fake_api_server.h"
#include "tests/support/environment.h"
#include "tests/support/node_fixture.h"
#include "tests/unit/cri/fake_runtime.h"

namespace sluice::test {

inline constexpr std::uint16_t kPort = 1000;

// Of Debian's package containernetworking-plugins.
inline constexpr char kCniPlugins[] = "/usr/lib/cni";

inline constexpr char kAllowWeb[] =
    R"({"metadata": {"name": "db", "namespace": "shop"}, "spec": {"podSelector": {"matchLabels": {"app": "db"}},
        "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "web"}}}]}]}})";

class KubernetesFixture : public ::testing::Test {
 protected:
  void SetUp() override {
    SL_REQUIRE_NETNS();
    SL_REQUIRE_BPF();
    char directory[] = "/tmp/sluice-kube-XXXXXX";
    ASSERT_NE(::mkdtemp(directory), nullptr);
    directory_ = directory;
    runtime_.Serve();
  }
  ~KubernetesFixture() override {
    std::error_code ignored;  // a policy of a test that has failed may still protect a file
    std::filesystem::remove_all(directory_, ignored);
  }

  void Start() {
    auto fixture = NodeFixture::Create({.pods = {"web", "db", "new"},
                                        .args = AgentArguments(),
                                        .outside = false,
                                        .before = before_,
                                        .prepare = [this](TestNode& node) {
                                          api_ = std::make_unique<FakeApiServer>(node.fd());
                                          std::ofstream(Kubeconfig()) << api_->kubeconfig();
                                          for (const std::string& path : forbidden_) api_->Forbid(path);
                                          api_->Put(kNamespaces, R"({"metadata": {"name": "shop", "uid": "n1"}})");
                                          api_->Put(kPods, Pod("web", "web"));
                                          api_->Put(kPods, Pod("db", "db"));
                                          api_->Put(kPolicies, kAllowWeb);
                                          for (const char* pod : {"web", "db"}) AddSandbox(node, pod);
                                          Prepare(node);
                                        }});
    ASSERT_TRUE(fixture.ok()) << fixture.status();
    fixture_ = *std::move(fixture);
    auto servers =
        ProbeServers::Start({{.netns_fd = fixture_->netns_fd("db"), .protocol = policy::kUdp, .port = kPort}});
    ASSERT_TRUE(servers.ok()) << servers.status();
    servers_ = *std::move(servers);
  }

  // Runs before the agent starts.
  virtual void Prepare(TestNode&) {}
  // What the agent's --cri is.
  virtual std::string Cri() const { return runtime_.endpoint(); }

  std::string Kubeconfig() const { return directory_ + "/kubeconfig"; }
  std::vector<std::string> AgentArguments() const {
    std::vector<std::string> arguments = {
        "--kube", Kubeconfig(), "--cri", Cri(), "--cni-socket", directory_ + "/cni.sock", "--node-name", "here"};
    arguments.insert(arguments.end(), more_arguments_.begin(), more_arguments_.end());
    return arguments;
  }
  // Runs a CNI plugin as a container runtime does, for a pod of namespace shop.
  CommandResult RunCni(const std::string& plugin, const std::string& command, const std::string& sandbox,
                       const std::string& netns, const std::string& pod, const std::string& config) const {
    std::ofstream(directory_ + "/config") << config;
    const auto ran = fixture_->Run(
        {"sh", "-c",
         fmt::format("CNI_COMMAND={0} CNI_CONTAINERID={1} CNI_NETNS={2} CNI_IFNAME=eth0 CNI_PATH={3} "
                     "CNI_ARGS='IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME={4};K8S_POD_UID=uid-{4}' {5} "
                     "<{6}/config",
                     command, sandbox, netns, kCniPlugins, pod, plugin, directory_)});
    EXPECT_TRUE(ran.ok()) << ran.status();
    return ran.value_or(CommandResult());
  }
  static std::string Pod(const std::string& name, const std::string& app, const std::string& uid = "") {
    return fmt::format(
        R"({{"metadata": {{"name": "{0}", "namespace": "shop", "uid": "{2}", "labels": {{"app": "{1}"}}}},
            "spec": {{"nodeName": "here", "containers": [{{"name": "c"}}]}}, "status": {{"phase": "Running"}}}})",
        name, app, uid.empty() ? "uid-" + name : uid);
  }
  static std::string Id(char digit) { return std::string(64, digit); }  // of a container
  void AddSandbox(const TestNode& node, const std::string& pod) {
    const std::string id = "sandbox-" + pod;
    runtime_.AddSandbox(
        {.id = id,
         .pod = pod,
         .info =
             fmt::format(R"({{"runtimeSpec": {{"linux": {{"namespaces": [{{"type": "network", "path": "{}"}}]}}}}}})",
                         node.pod(pod).netns_path)});
    runtime_.Tell("/tasks/start", id, id);
  }
  // The first line of `text` whose first word is `word`.
  static std::string Line(const std::string& text, const std::string& word) {
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
      std::istringstream words(line);
      std::string first;
      if (words >> first && (first == word || first == word + ":")) return line;
    }
    return "";
  }
  bool EventuallyUdp(const std::string& from, bool allowed) {
    return Eventually([&] { return (fixture_->Udp(from, "db", kPort, allowed) == ProbeOutcome::kAllowed) == allowed; });
  }
  std::string Sluice(const std::vector<std::string>& arguments) const {
    const auto result = fixture_->agent().Sluice(arguments);
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? result->out + result->err : "";
  }

  std::string directory_;
  std::vector<std::string> forbidden_;       // paths of the API server
  std::vector<std::string> more_arguments_;  // of the agent
  std::vector<std::string> before_;          // a command that runs it, as AgentProcess::Options has it
  cri::FakeRuntime runtime_{cri::FakeRuntime::Kind::kContainerd};
  std::unique_ptr<FakeApiServer> api_;
  std::unique_ptr<NodeFixture> fixture_;
  std::unique_ptr<ProbeServers> servers_;
};

}  // namespace sluice::test
