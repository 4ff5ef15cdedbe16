// A controller with a packet path without a kernel, on a made-up node, with a store that saves in memory and fails on
// request.
//   ASSERT_TRUE(Apply(Workload("web", "10.0.0.1")).ok());
//   EXPECT_THAT(datapath_.calls(), ElementsAre("ResetEndpoint 1", "AttachPod veth-web", "Commit"));
// A workload is bound when Plug gave it an interface; its addresses are those of its spec.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <mutex>

#include "ctrl/reconcile/controller.h"
#include "policy/kinds/kinds.h"
#include "policy/resource/parser.h"
#include "tests/support/fake_datapath.h"

namespace sluice::reconcile {

class ControllerTest : public ::testing::Test {
 protected:
  ControllerTest() { Start(); }

  // A new controller, as after a restart of the agent: the store and the packet path stay.
  Status Restart() {
    Start();
    return controller_->Restore({.directory = directory_, .kubernetes = kubernetes_}, saved_);
  }
  void Start(hooks::HookController* hooks = nullptr, lsm::LsmController* lsm = nullptr) {
    controller_ = std::make_unique<Controller>(
        &datapath_,
        Node{[this](const policy::Workload& workload) { return Bind(workload); },
             [this]() -> StatusOr<std::vector<policy::Address>> {
               if (!addresses_error_.ok()) return addresses_error_;
               return node_addresses_;
             },
             [this](std::uint32_t ifindex) {
               const std::lock_guard lock(interfaces_mutex_);
               return std::any_of(interfaces_.begin(), interfaces_.end(),
                                  [&](const auto& one) { return one.second == ifindex; });
             },
             [this](const std::string& netns_path, std::uint64_t) { return !replaced_.contains(netns_path); },
             [this](const std::vector<const policy::Workload*>& workloads) { return HostEnds(workloads); },
             [this]() -> StatusOr<std::vector<node::HostEnd>> {
               std::vector<node::HostEnd> ends;
               const std::lock_guard lock(interfaces_mutex_);
               for (const auto& [name, ifindex] : interfaces_) ends.push_back({ifindex, "veth-" + name});
               return ends;
             }},
        [this](const StateChange& change, const std::function<Status()>& enforce) { return Save(change, enforce); },
        hooks, lsm);
  }

  // May be called from any thread.
  void Plug(const std::string& name, std::uint32_t ifindex) {
    const std::lock_guard lock(interfaces_mutex_);
    interfaces_[name] = ifindex;
  }
  void Unplug(const std::string& name) {
    const std::lock_guard lock(interfaces_mutex_);
    interfaces_.erase(name);
  }

  static std::string Workload(const std::string& name, const std::string& ip, const std::string& labels = "") {
    return fmt::format(
        "{{apiVersion: sluice.dev/v1alpha1, kind: Workload, metadata: {{name: {0}, namespace: shop, labels: {{{2}}}}}, "
        "spec: {{hostInterface: veth-{0}, ips: [{1}]}}}}\n---\n",
        name, ip, labels);
  }
  static std::string Policy(const std::string& name, const std::string& spec = "podSelector: {}") {
    return fmt::format(
        "{{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {{name: {}, namespace: shop}}, "
        "spec: {{{}}}}}\n---\n",
        name, spec);
  }
  static std::vector<policy::Resource> Parse(const std::string& yaml) {
    auto parsed =
        policy::ParseResources("test", yaml, {.more_kinds = policy::MoreKinds(policy::tracing::Reading::kParsed)});
    EXPECT_TRUE(parsed.ok()) << parsed.status();
    return parsed.ok() ? *std::move(parsed) : std::vector<policy::Resource>();
  }
  static policy::ResourceMap Map(const std::string& yaml) {
    policy::ResourceMap map;
    for (policy::Resource& resource : Parse(yaml)) map[resource.id] = resource;
    return map;
  }
  static policy::ResourceId WorkloadId(const std::string& name) { return {policy::Kind::kWorkload, {"shop", name}}; }
  static policy::ResourceId PolicyId(const std::string& name) { return {policy::Kind::kNetworkPolicy, {"shop", name}}; }

  StatusOr<std::uint64_t> Apply(const std::string& yaml) { return controller_->Apply(Parse(yaml)); }
  std::uint32_t NumberOf(const std::string& ip) const {
    const policy::Tables tables = datapath_.tables();
    const auto found = tables.addresses.find(policy::Address::Parse(ip).value());
    return found == tables.addresses.end() ? 0 : found->second.endpoint;
  }
  std::set<policy::ObjectName> Quarantined() const {
    const auto quarantine = controller_->quarantine();
    EXPECT_TRUE(quarantine.ok()) << quarantine.status();
    return quarantine.ok() ? quarantine->workloads : std::set<policy::ObjectName>();
  }
  std::set<std::uint32_t> QuarantinedInKernel() { return datapath_.ReadQuarantine()->endpoints; }

  std::string Problem(const std::string& name) const {
    const auto view = controller_->view();
    const auto unbound = view->unbound.find({"shop", name});
    return unbound == view->unbound.end() ? "" : unbound->second;
  }
  // Its programs are attached, but no generation has a workload behind it.
  bool IsClosed(std::uint32_t ifindex) const {
    return datapath_.pods().contains(ifindex) && !datapath_.EndpointsInForce().contains(ifindex);
  }
  // The kernel also has the facts that Bind found about the interface.
  bool IsEnforced(std::uint32_t ifindex) const {
    const auto pods = datapath_.pods();
    const auto pod = pods.find(ifindex);
    return pod != pods.end() && pod->second.facts.netns == static_cast<std::int32_t>(ifindex) &&
           datapath_.EndpointsInForce().contains(ifindex);
  }

  test::FakeDatapath datapath_;
  std::map<std::string, Status> bind_errors_;  // by name; the interface exists
  Status look_up_error_;                       // of every workload
  std::vector<std::string> looked_up_;         // names, in order
  std::set<std::string> replaced_;             // paths at which another network namespace is by now
  Status host_ends_error_;                     // also of every workload
  std::mutex interfaces_mutex_;
  std::map<std::string, std::uint32_t> interfaces_;  // guarded by interfaces_mutex_
  std::vector<policy::Address> node_addresses_ = {policy::Address::Parse("10.0.0.254").value()};
  Status addresses_error_;
  StatusOr<policy::ResourceMap> directory_ = policy::ResourceMap();
  StatusOr<policy::ResourceMap> kubernetes_ = policy::ResourceMap();
  StateStore::State saved_;
  int saves_ = 0;
  std::function<void()> while_saving_;
  Status fail_before_enforcing_;  // of the next Save
  Status fail_after_enforcing_;   // also of the next Save
  Status disk_;                   // of every Save
  std::unique_ptr<Controller> controller_;

 private:
  // 0: not found.
  std::uint32_t Find(const policy::Workload& workload) {
    const std::lock_guard lock(interfaces_mutex_);
    const auto found = interfaces_.find(workload.host_interface.substr(std::string("veth-").size()));
    return found == interfaces_.end() ? 0 : found->second;
  }

  StatusOr<node::BoundWorkload> Bind(const policy::Workload& workload) {
    looked_up_.push_back(workload.name.name);
    if (!look_up_error_.ok()) return look_up_error_;
    if (const auto error = bind_errors_.find(workload.name.name); error != bind_errors_.end()) return error->second;
    const std::uint32_t interface = Find(workload);
    if (interface == 0) {
      return MakeError(absl::StatusCode::kNotFound, "Workload {}: spec.hostInterface: there is no {}",
                       workload.name.ToString(), workload.host_interface);
    }
    node::BoundWorkload bound{.name = workload.name, .binding = {}, .host_interface = workload.host_interface};
    bound.binding.ifindex = interface;
    bound.binding.ips = workload.ips;
    bound.netns_path = "/run/netns/" + workload.name.name;
    bound.netns = interface;
    bound.facts.netns = static_cast<std::int32_t>(interface);
    return bound;
  }

  node::HostEndsByWorkload HostEnds(const std::vector<const policy::Workload*>& workloads) {
    node::HostEndsByWorkload ends;
    for (const policy::Workload* const workload : workloads) {
      const std::uint32_t interface = Find(*workload);
      if (interface == 0) continue;
      std::vector<node::HostEnd> own{{interface, workload->host_interface}};
      ends.emplace(workload->name,
                   host_ends_error_.ok() ? StatusOr<std::vector<node::HostEnd>>(own) : host_ends_error_);
    }
    return ends;
  }

  // Like StateStore::Save: all or nothing.
  Status Save(const StateChange& change, const std::function<Status()>& enforce) {
    saves_++;
    if (!fail_before_enforcing_.ok()) return std::exchange(fail_before_enforcing_, OkStatus());
    if (!disk_.ok()) return disk_;
    if (while_saving_) while_saving_();
    SL_RETURN_IF_ERROR(enforce());
    if (!fail_after_enforcing_.ok()) return std::exchange(fail_after_enforcing_, OkStatus());
    for (const policy::Resource& resource : change.puts) saved_.resources[resource.id] = resource;
    for (const policy::ResourceId& id : change.deletes) saved_.resources.erase(id);
    for (const policy::ObjectName& name : change.gone_endpoints) saved_.endpoints.Release(name);
    for (const auto& [name, number] : change.new_endpoints) {
      SL_RETURN_IF_ERROR(saved_.endpoints.Restore(name, number));
    }
    for (const policy::ObjectName& name : change.quarantines) saved_.quarantined.insert(name);
    for (const policy::ObjectName& name : change.releases) saved_.quarantined.erase(name);
    saved_.revision = change.revision;
    saved_.released_interfaces = {change.released_interfaces.begin(), change.released_interfaces.end()};
    if (change.refusals) saved_.refusals = *change.refusals;
    if (change.hook_settings) saved_.hook_settings = *change.hook_settings;
    if (change.ends_doubt) saved_.doubt.clear();
    if (change.ends_doubt) saved_.unknown = false;
    for (const policy::Resource& resource : change.puts) saved_.unreadable.erase(resource.id);
    for (const policy::ResourceId& id : change.deletes) saved_.unreadable.erase(id);
    return OkStatus();
  }
};

}  // namespace sluice::reconcile
