// A small API server for tests of the whole agent: lists and watches the objects that a test puts into it, over HTTP on
// 127.0.0.1; takes Events, and patches of status. It can be away, and come back at the same port.
//   FakeApiServer api(node.fd());
//   api.Put(kPods, R"({"metadata": {"name": "web", "namespace": "shop", ...}})");
#pragma once

#include <fmt/format.h>

#include <atomic>
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
inline constexpr char kOwnPolicies[] = "/apis/sluice.dev/v1alpha1/networkpolicies";
inline constexpr char kClusterPolicies[] = "/apis/sluice.dev/v1alpha1/clusternetworkpolicies";
inline constexpr char kHookPolicies[] = "/apis/cilium.io/v1alpha1/tracingpolicies";
inline constexpr char kNamespacedHookPolicies[] = "/apis/cilium.io/v1alpha1/tracingpoliciesnamespaced";
inline constexpr char kKubeArmorPolicies[] = "/apis/security.kubearmor.com/v1/kubearmorpolicies";
inline constexpr char kKubeArmorHostPolicies[] = "/apis/security.kubearmor.com/v1/kubearmorhostpolicies";
inline constexpr char kKubeArmorClusterPolicies[] = "/apis/security.kubearmor.com/v1/kubearmorclusterpolicies";
inline constexpr char kServices[] = "/api/v1/services";
inline constexpr char kSlices[] = "/apis/discovery.k8s.io/v1/endpointslices";
inline constexpr char kNodes[] = "/api/v1/nodes";
inline constexpr char kEvents[] = "/api/v1/namespaces/shop/events";
inline constexpr char kClusterEvents[] = "/api/v1/namespaces/default/events";  // about what has no namespace

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
    for (const char* path : {kPods, kNamespaces, kPolicies, kOwnPolicies, kServices, kSlices, kNodes}) Serve(path);
    for (const char* path : {kEvents, kClusterEvents}) {
      server_->On(path, [this](const kube::Exchange& exchange) { TakeEvent(exchange); });
    }
  }
  // From now on `path` is there, as after its definition was installed. kClusterPolicies, both kinds of
  // hook policies and KubeArmor's three kinds are not before.
  void Serve(const std::string& path) {
    server_->On(path, [this, path](const kube::Exchange& exchange) { Answer(path, exchange); });
  }
  // The account has no right to `path`, from now until the server goes away.
  void Forbid(const std::string& path) {
    server_->On(path,
                [](const kube::Exchange& exchange) { exchange.Reply(403, R"({"kind": "Status", "code": 403})"); });
  }

  void Put(const std::string& path, const std::string& text) {
    auto object = nlohmann::json::parse(text);
    const std::lock_guard lock(mutex_);
    object["metadata"]["resourceVersion"] = std::to_string(++version_);
    auto& known = objects_[path];
    const std::string key = KeyOf(object);
    int generation = 1;
    if (const auto old = known.find(key); old != known.end()) {
      generation = old->second["metadata"]["generation"];
      if (old->second["spec"] != object["spec"]) ++generation;
      if (old->second.contains("status") && !object.contains("status")) object["status"] = old->second["status"];
    }
    object["metadata"]["generation"] = generation;
    Send(path, known.contains(key) ? "MODIFIED" : "ADDED", object);
    known[key] = std::move(object);
    if (path != kOwnPolicies && path != kClusterPolicies) return;
    const nlohmann::json& metadata = known[key]["metadata"];
    const std::string ns = metadata.value("namespace", ""), name = metadata.value("name", "");
    const std::string status =
        path == kOwnPolicies
            ? fmt::format("/apis/sluice.dev/v1alpha1/namespaces/{}/networkpolicies/{}/status", ns, name)
            : fmt::format("{}/{}/status", kClusterPolicies, name);
    server_->On(status, [this, path, key](const kube::Exchange& exchange) { Patch(path, key, exchange); });
  }
  // "REASON NAME: MESSAGE" of each.
  std::vector<std::string> events() const {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> lines;
    for (const auto& [name, event] : events_) {
      lines.push_back(fmt::format("{} {}: {}", event.value("reason", ""), event["involvedObject"].value("name", ""),
                                  event.value("message", "")));
    }
    return lines;
  }
  // The only condition of one of Sluice's policies ("shop/own"; "/own" of kClusterPolicies): "Enforced=True as of 2".
  // Nothing: it has none.
  std::string condition(const std::string& key) const {
    const std::lock_guard lock(mutex_);
    const auto of_kind = objects_.find(key.starts_with('/') ? kClusterPolicies : kOwnPolicies);
    if (of_kind == objects_.end() || !of_kind->second.contains(key)) return "";
    const nlohmann::json& object = of_kind->second.at(key);
    if (!object.contains("status") || object["status"]["conditions"].size() != 1) return "";
    const nlohmann::json& one = object["status"]["conditions"][0];
    return fmt::format("{}={} as of {}", one.value("type", ""), one.value("status", ""),
                       one.value("observedGeneration", 0));
  }
  int patches() const { return patches_; }
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
  void TakeEvent(const kube::Exchange& exchange) {
    const auto event = nlohmann::json::parse(exchange.request().body);
    const std::lock_guard lock(mutex_);
    const bool is_new = events_.emplace(event["metadata"].value("name", ""), event).second;
    exchange.Reply(is_new ? 201 : 409, "{}");
  }
  void Patch(const std::string& path, const std::string& key, const kube::Exchange& exchange) {
    const auto patch = nlohmann::json::parse(exchange.request().body);
    const std::lock_guard lock(mutex_);
    ++patches_;
    nlohmann::json& object = objects_[path][key];
    if (patch["metadata"]["resourceVersion"] != object["metadata"]["resourceVersion"]) {
      return exchange.Reply(409, R"({"kind": "Status", "reason": "Conflict", "code": 409})");
    }
    object["status"].merge_patch(patch["status"]);
    object["metadata"]["resourceVersion"] = std::to_string(++version_);
    Send(path, "MODIFIED", object);
    exchange.Reply(200, object.dump());
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
  mutable std::mutex mutex_;
  std::map<std::string, nlohmann::json> events_;  // by name
  std::atomic<int> patches_ = 0;
  int version_ = 100;
  std::map<std::string, std::map<std::string, nlohmann::json>> objects_;
  std::map<std::string, std::vector<kube::Exchange>> watches_;
  std::unique_ptr<kube::ScriptedServer> server_;  // last: its thread calls Answer
};

}  // namespace sluice::test
