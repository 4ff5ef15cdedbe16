#include "perf/net/sluice_node.h"

#include <unistd.h>

#include "base/log.h"
#include "ctrl/node/binder.h"
#include "kernel/datapath/root.h"
#include "kernel/net/conntrack.h"
#include "policy/network/compiler.h"
#include "policy/resource/parser.h"

namespace sluice::perf {

StatusOr<std::unique_ptr<SluiceNode>> SluiceNode::Start(const test::TestNode& node, const Options& options) {
  static int roots = 0;
  std::unique_ptr<SluiceNode> sluice(new SluiceNode(node, fmt::format("/sys/fs/bpf/slbench-{}-{}", getpid(), roots++)));
  SL_RETURN_IF_ERROR(node.Run([&] { return sluice->Open(options); }));
  return sluice;
}

Status SluiceNode::Open(const Options& options) {
  SL_ASSIGN_OR_RETURN(datapath_, datapath::BpfDatapath::Open({.bpf_root = root_,
                                                              .object = {.event_rate = SL_SECOND_NS},
                                                              .services = options.services != nullptr}));
  SL_ASSIGN_OR_RETURN(auto parsed, policy::ParseResources("benchmark", options.resources));
  policy::ResourceMap resources;
  std::map<policy::ObjectName, policy::Binding> bindings;
  std::set<datapath::PodNamespace> namespaces;
  std::uint32_t endpoint = 0;
  for (policy::Resource& resource : parsed) {
    if (resource.workload != nullptr) {
      SL_ASSIGN_OR_RETURN(node::BoundWorkload bound, node::Bind(test::EnterForSockets(), *resource.workload));
      bound.binding.endpoint = ++endpoint;
      bound.facts.endpoint = endpoint;
      bindings[bound.name] = bound.binding;
      namespaces.insert({bound.netns, bound.netns_cookie, bound.netns_path});
      SL_RETURN_IF_ERROR(
          datapath_->AttachPod({bound.binding.ifindex, bound.host_interface, bound.facts, bound.takes_frames}));
    }
    resources.insert_or_assign(resource.id, std::move(resource));
  }
  SL_ASSIGN_OR_RETURN(const auto ip4, policy::Address::Parse(node_.ip4()));
  SL_ASSIGN_OR_RETURN(const auto ip6, policy::Address::Parse(node_.ip6()));
  SL_ASSIGN_OR_RETURN(const auto snapshot, policy::Snapshot::Build(resources, bindings, {ip4, ip6}));
  SL_ASSIGN_OR_RETURN(const auto compiled, policy::Compile(snapshot, datapath_->limits()));
  SL_RETURN_IF_ERROR(datapath_->Commit(compiled.tables));
  if (options.services != nullptr) {
    SL_RETURN_IF_ERROR(datapath_->SetNamespaces(namespaces));
    SL_RETURN_IF_ERROR(datapath_->services().Set(options.services));
    SL_ASSIGN_OR_RETURN(programs_, bpf::ServicePrograms::Start(root_));
  }
  if (options.uplink) {
    SL_ASSIGN_OR_RETURN(const datapath::XdpMode mode, datapath_->AttachUplink("uplink"));
    if (mode != datapath::XdpMode::kNative) return MakeError(absl::StatusCode::kInternal, "no native XDP on a veth");
  }
  // No redirected flow rechecks whether the host lets it pass, so that all packets are counted on one path.
  SL_RETURN_IF_ERROR(datapath_->SetRedirectRecheck(std::chrono::hours(1)));
  SL_RETURN_IF_ERROR(datapath_->SetHostTracksTcp(net::TracksTcpWindows()));
  return datapath_->Configure(options.redirects ? SL_SETTING_REDIRECT : 0);
}

SluiceNode::~SluiceNode() {
  programs_.reset();
  datapath_.reset();
  const Status gone = node_.Run([&] { return datapath::Uninstall(root_).status(); });
  if (!gone.ok()) LogWarn("{}: {}", root_, Message(gone));
}

std::string WorkloadYaml(const test::TestPod& pod) {
  return fmt::format(
      "---\n{{apiVersion: sluice.dev/v1alpha1, kind: Workload, metadata: {{name: {0}, namespace: bench, labels: {{app: "
      "{0}}}}}, spec: {{netns: {1}}}}}\n",
      pod.name, pod.netns_path);
}

}  // namespace sluice::perf
