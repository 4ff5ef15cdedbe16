// A small API server for tests of the whole agent: lists and watches the objects that a test puts into it, over HTTP on
// 127.0.0.1. It can be away, and come back at the same port.
//   FakeApiServer api(node.fd());
//   api.Put(kPods, R"({"metadata": {"name": "web", "namespace": "shop", ...}})");
#pragma once

#include <fmt/format.h>

#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "testbed/netns.h"
#include "tests/unit/kube/scripted_server.h"

namespace sluice::test {

inline constexpr char kPods[] = "/api/v1/pods";
inline constexpr char kNamespaces[] = "/api/v1/namespaces";
inline constexpr char kPolicies[] = "/apis/networking.k8s.io/v1/networkpolicies";

class FakeApiServer {
 public:
  // In the network namespace of `netns_fd`, which must outlive this.
  explicit FakeApiServer(int netns_fd) : netns_fd_(netns_fd) { ComeBack(); }

  int port() const { return port_; }
  std::string kubeconfig() const {
    return fmt::format(
        "apiVersion: v1\nkind: Config\ncurrent-context: test\n"
        "clusters: [{{name: test, cluster: {{server: \"http://127.0.0.1:{}\"}}}}]\n"
        "users: [{{name: test, user: {{token: secret}}}}]\n"
        "contexts: [{{name: test, context: {{cluster: test, user: test}}}}]\n",
        port_);
  }

  void GoAway() { server_.reset(); }
  void ComeBack() {
    {
      const std::lock_guard lock(mutex_);
      watches_.clear();
    }
    const Status started = RunIn(netns_fd_, [this] {
      server_ = std::make_unique<kube::ScriptedServer>(kube::ScriptedServer::Options{.port = port_});
      return OkStatus();
    });
    static_cast<void>(started);
    port_ = server_->port();
    for (const char* path : {kPods, kNamespaces, kPolicies})
      server_->On(path, [this, path](const kube::Exchange& exchange) { Answer(path, exchange); });
  }

  void Put(const std::string& path, const std::string& text) {
    auto object = nlohmann::json::parse(text);
    const std::lock_guard lock(mutex_);
    object["metadata"]["resourceVersion"] = std::to_string(++version_);
    auto& known = objects_[path];
    const std::string key = KeyOf(object);
    Send(path, known.contains(key) ? "MODIFIED" : "ADDED", object);
    known[key] = std::move(object);
  }
  void Delete(const std::string& path, const std::string& ns, const std::string& name) {
    const std::lock_guard lock(mutex_);
    auto& known = objects_[path];
    const auto found = known.find(ns + "/" + name);
    if (found == known.end()) return;
    found->second["metadata"]["resourceVersion"] = std::to_string(++version_);
    Send(path, "DELETED", found->second);
    known.erase(found);
  }

 private:
  static std::string KeyOf(const nlohmann::json& object) {
    return object["metadata"].value("namespace", "") + "/" + object["metadata"].value("name", "");
  }
  void Send(const std::string& path, const char* type, const nlohmann::json& object) {
    for (const kube::Exchange& watch : watches_[path])
      watch.Body(nlohmann::json{{"type", type}, {"object", object}}.dump() + "\n");
  }
  void Answer(const std::string& path, const kube::Exchange& exchange) {
    const std::lock_guard lock(mutex_);
    if (exchange.request().is_watch()) {
      exchange.Head(200);
      watches_[path].push_back(exchange);
      return;
    }
    nlohmann::json list = {{"kind", "List"}, {"metadata", {{"resourceVersion", std::to_string(version_)}}}};
    list["items"] = nlohmann::json::array();
    for (const auto& [key, object] : objects_[path]) list["items"].push_back(object);
    exchange.Reply(200, list.dump());
  }

  const int netns_fd_;
  int port_ = 0;
  std::mutex mutex_;
  int version_ = 100;
  std::map<std::string, std::map<std::string, nlohmann::json>> objects_;
  std::map<std::string, std::vector<kube::Exchange>> watches_;
  std::unique_ptr<kube::ScriptedServer> server_;  // last: its thread calls Answer
};

}  // namespace sluice::test
