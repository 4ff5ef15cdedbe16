#include "perf/update/update_suite.h"

#include <linux/pkt_cls.h>

#include "base/log.h"
#include "ctrl/node/binder.h"
#include "kernel/bpf/packet_programs.h"
#include "kernel/bpf/system.h"
#include "perf/cpu.h"
#include "perf/elapsed.h"
#include "perf/network.h"
#include "perf/orderly_end.h"
#include "perf/program/frame.h"
#include "perf/update/node.h"
#include "perf/update/traffic.h"
#include "perf/update/world.h"
#include "policy/network/diff.h"
#include "policy/resource/parser.h"
#include "testbed/netns.h"

namespace sluice::perf {
namespace {

constexpr auto kAllowed = static_cast<std::uint32_t>(TC_ACT_UNSPEC), kDenied = static_cast<std::uint32_t>(TC_ACT_SHOT);
constexpr int kClients = 64;
constexpr int kPace = 1100;  // for 1,000 a second; updates enforced after the run's time do not count
constexpr char kFromPeer[] = "{podSelector: {matchLabels: {app: remote-0}}}";
constexpr char kFromTier[] = "{namespaceSelector: {matchLabels: {tier: one}}}";
constexpr char kFromWave[] = "{podSelector: {matchLabels: {wave: w0}}}";

StatusOr<ProbePacket> PacketTo(Node* node, const char* pod, const std::string& interface, std::uint8_t flags) {
  ProbePacket packet;
  packet.program_fd = node->datapath().object().program_fd("tc_to_pod");
  SL_ASSIGN_OR_RETURN(packet.input.ifindex, InterfaceIndex(interface));
  SL_ASSIGN_OR_RETURN(packet.input.ingress_ifindex, InterfaceIndex("uplink"));
  SL_ASSIGN_OR_RETURN(const policy::Address source, policy::Address::Parse(kPeer));
  SL_ASSIGN_OR_RETURN(const policy::Address destination, policy::Address::Parse(pod));
  packet.input.frame = MakeFrame({.source = source,
                                  .destination = destination,
                                  .source_port = 40000,
                                  .destination_port = kProbePort,
                                  .flags = flags});
  return packet;
}

// The interfaces of the local workloads, one for a later workload, and one where packets arrive.
Status MakeInterfaces(const UpdateSizes& sizes) {
  std::string lines = "link add uplink type veth peer name wire\n";
  lines += fmt::format("link add {0} type veth peer name peer-{0}\nlink set {0} up\n", kNewInterface);
  for (int i = 0; i < sizes.local; ++i)
    lines += fmt::format("link add {0} type veth peer name peer-{0}\nlink set {0} up\n", LocalInterface(i));
  return RunIp(lines);
}

class Changes {
 public:
  Changes(const UpdateSizes& sizes, const RunOptions& options, Node* node)
      : sizes_(sizes), options_(options), node_(*node) {}

  Status Measure(Rows* rows) {
    SL_ASSIGN_OR_RETURN(packet_, PacketTo(&node_, kPod, LocalInterface(0), kSyn));
    SL_RETURN_IF_ERROR(node_.Apply(NamespaceYaml("one") + WorkloadsYaml(sizes_, 0) + PoliciesYaml(sizes_, 7000) +
                                   "---\n" + ProbeYaml("")));
    for (int run = 0; run < options_.runs; ++run) {
      LogInfo("update: round {} of {}", run + 1, options_.runs);
      SL_RETURN_IF_ERROR(MeasureChanges(rows));
      SL_RETURN_IF_ERROR(MeasureNewWorkload(rows));
      SL_RETURN_IF_ERROR(MeasureTables(rows));
    }
    return OkStatus();
  }

 private:
  // Milliseconds from the call to the first packet with the new verdict.
  StatusOr<double> Enforced(const std::string& yaml, const ProbePacket& packet, bool allowed_after) {
    Probe probe(packet, allowed_after ? kDenied : kAllowed, allowed_after ? kAllowed : kDenied);
    const Clock::time_point start = Clock::now();
    SL_RETURN_IF_ERROR(node_.Apply(yaml));
    SL_ASSIGN_OR_RETURN(const Clock::time_point changed, probe.Changed());
    return Milliseconds(start, changed);
  }

  // Measures both ways: an allow and a denial.
  Status ThereAndBack(const std::string& what, const std::string& allows, const std::string& denies, Rows* rows) {
    for (const bool allow : {true, false}) {
      SL_RETURN_IF_ERROR(OrderlyEnd::Check());
      const StatusOr<double> enforced = Enforced(allow ? allows : denies, packet_, allow);
      if (!enforced.ok()) return Annotate(enforced.status(), what);
      rows->Add("enforced/" + what, "", *enforced);
      const ChangePhases& phases = node_.phases();
      rows->Add("phase/parse/" + what, "", phases.parse);
      rows->Add("phase/plan/" + what, "", phases.plan);
      rows->Add("phase/enforce/" + what, "", phases.enforce);
      rows->Add("phase/save/" + what, "", phases.save);
    }
    return OkStatus();
  }

  Status MeasureChanges(Rows* rows) {
    const std::string none = ProbeYaml(""), policies = PoliciesYaml(sizes_, 7000) + "---\n";
    SL_RETURN_IF_ERROR(ThereAndBack("one-rule", ProbeYaml(kFromPeer), none, rows));
    SL_RETURN_IF_ERROR(
        ThereAndBack("policies", PoliciesYaml(sizes_, 7001) + "---\n" + ProbeYaml(kFromPeer), policies + none, rows));
    SL_RETURN_IF_ERROR(node_.Apply(NamespaceYaml("two") + "---\n" + ProbeYaml(kFromTier)));
    SL_RETURN_IF_ERROR(ThereAndBack("namespace-label", NamespaceYaml("one"), NamespaceYaml("two"), rows));
    SL_RETURN_IF_ERROR(node_.Apply(WorkloadsYaml(sizes_, 1) + "---\n" + ProbeYaml(kFromWave)));
    SL_RETURN_IF_ERROR(ThereAndBack("workload-labels", WorkloadsYaml(sizes_, 0), WorkloadsYaml(sizes_, 1), rows));
    return node_.Apply(none);
  }

  // From the workload's resource to its first packet; before that, its interface is closed or unknown.
  Status MeasureNewWorkload(Rows* rows) {
    SL_ASSIGN_OR_RETURN(const ProbePacket packet, PacketTo(&node_, kNewPod, kNewInterface, kSyn));
    const StatusOr<double> enforced = Enforced(NewWorkloadYaml(), packet, true);
    if (!enforced.ok()) return Annotate(enforced.status(), "new-workload");
    rows->Add("enforced/new-workload", "", *enforced);
    return node_.Delete({policy::Kind::kWorkload, {"bench", "new"}});
  }

  // Below the controller: the time without any computation.
  Status MeasureTables(Rows* rows) {
    SL_RETURN_IF_ERROR(node_.Apply(ProbeYaml(kFromPeer)));
    policy::Tables tables[2];
    for (const int port : {7002, 7003}) {
      SL_RETURN_IF_ERROR(node_.Apply(OtherPolicy(1, port)));
      tables[port % 2] = node_.view()->compiled.tables;
    }
    datapath::BpfDatapath* const datapath = &node_.datapath();
    for (const policy::Tables& table : tables) SL_RETURN_IF_ERROR(datapath->Commit(table));  // into both epochs
    for (int i = 0; i < 4; ++i) {
      const Clock::time_point start = Clock::now();
      SL_RETURN_IF_ERROR(datapath->Commit(tables[i % 2]));
      rows->Add("commit/one-rule", "", Milliseconds(start, Clock::now()));
      Clock::time_point waiting = Clock::now();
      SL_RETURN_IF_ERROR(packet_programs_.WaitForRunning());
      rows->Add("commit/wait", "", Milliseconds(waiting, Clock::now()));
      waiting = Clock::now();
      SL_RETURN_IF_ERROR(bpf::WaitForRunningPrograms());
      rows->Add("commit/grace-period", "", Milliseconds(waiting, Clock::now()));
    }
    SL_RETURN_IF_ERROR(MeasureComputation(tables, rows));
    const std::chrono::milliseconds duration(options_.brief ? 50 : 1000);
    SL_RETURN_IF_ERROR(datapath->Commit(node_.view()->compiled.tables));
    const TrafficRun runs[] = {{"quiet", 0, 0, duration},
                               {"updates:1000/s", kPace, kClients, duration},
                               {"updates:max", -1, kClients, duration},
                               {"updates:one-client", -1, 1, duration}};
    SL_ASSIGN_OR_RETURN(const ProbePacket packet, PacketTo(&node_, kPod, LocalInterface(0), kAck));
    // Each client has its own policy, and switches between two ports in it.
    std::vector<policy::Resource> policies[2];
    for (int i = 0; i < 2 * kClients; ++i) {
      SL_ASSIGN_OR_RETURN(auto parsed, policy::ParseResources(
                                           "benchmark", OtherPolicy(1 + i / 2 % (sizes_.policies - 2), 7004 + i % 2)));
      policies[i % 2].push_back(std::move(parsed.front()));
    }
    const ClientUpdate update = [&](int client, int number) {
      return node_.controller().Apply({policies[number % 2][client]}).status();
    };
    for (const TrafficRun& run : runs) {
      SL_RETURN_IF_ERROR(OrderlyEnd::Check());
      SL_RETURN_IF_ERROR(MeasureTraffic(datapath, update, packet, run, rows));
    }
    return node_.Apply(ProbeYaml(""));
  }

  // The parts of phase/plan and phase/enforce.
  Status MeasureComputation(const policy::Tables (&tables)[2], Rows* rows) {
    const auto view = node_.view();
    std::map<policy::ObjectName, policy::Binding> bindings;
    for (const policy::Endpoint& endpoint : view->compiled.snapshot->endpoints)
      if (endpoint.endpoint != 0) bindings[endpoint.name] = {endpoint.ifindex, endpoint.endpoint, endpoint.ips};
    Clock::time_point start = Clock::now();
    for (const auto& [id, resource] : view->resources)
      if (resource.workload != nullptr)
        SL_RETURN_IF_ERROR(node::Bind(test::EnterForSockets(), *resource.workload).status());
    rows->Add("compute/bind", "", Milliseconds(start, Clock::now()));
    start = Clock::now();
    SL_ASSIGN_OR_RETURN(auto snapshot, policy::Snapshot::Build(view->resources, bindings, {}));
    const Clock::time_point built = Clock::now();
    SL_ASSIGN_OR_RETURN(const auto compiled, policy::Compile(std::move(snapshot)));
    const Clock::time_point done = Clock::now();
    const std::size_t edits = policy::Diff(tables[0], tables[1]).size();
    const Clock::time_point compared = Clock::now();
    if (edits == 0 || compiled.tables.peers.empty())
      return MakeError(absl::StatusCode::kInternal, "a changed policy changes nothing");
    rows->Add("compute/snapshot", "", Milliseconds(start, built));
    rows->Add("compute/compile", "", Milliseconds(built, done));
    rows->Add("compute/diff", "", Milliseconds(done, compared));
    return OkStatus();
  }

  std::string OtherPolicy(int number, int port) const {
    return fmt::format(
        "{{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {{name: policy-{0}, namespace: bench}}, "
        "spec: {{podSelector: {{matchLabels: {{app: local-{1}}}}}, ingress: [{{from: [{2}], ports: [{{port: "
        "{3}}}]}}]}}}}\n",
        number, number % sizes_.local, kFromPeer, port);
  }

  const UpdateSizes sizes_;
  const RunOptions& options_;
  Node& node_;
  ProbePacket packet_;
  bpf::PacketPrograms packet_programs_;
};

StatusOr<Report> RunOnThisThread(const RunOptions& options) {
  const UpdateSizes sizes = options.brief ? kBriefUpdate : kFullUpdate;
  SL_RETURN_IF_ERROR(EnterOwnNetwork());
  SL_ASSIGN_OR_RETURN(const int cpu, OtherCpu());
  SL_RETURN_IF_ERROR(StayOn(cpu));
  SL_RETURN_IF_ERROR(MakeInterfaces(sizes));
  SL_ASSIGN_OR_RETURN(const auto node, Node::Create());
  Rows rows;
  SL_RETURN_IF_ERROR(Changes(sizes, options, node.get()).Measure(&rows));
  return Report{.unit = "ms",
                .rows = std::move(rows).Take(options),
                .left_out = {"gRPC and the client's start: times begin at the call of the controller"}};
}

}  // namespace

std::vector<std::string> UpdateRows(bool /*brief*/) {
  std::vector<std::string> rows;
  for (const char* const change : {"one-rule", "policies", "namespace-label", "workload-labels"})
    for (const char* const what : {"enforced", "phase/parse", "phase/plan", "phase/enforce", "phase/save"})
      rows.push_back(fmt::format("{}/{}", what, change));
  rows.insert(rows.end(), {"enforced/new-workload", "commit/one-rule", "commit/wait", "commit/grace-period",
                           "compute/bind", "compute/snapshot", "compute/compile", "compute/diff"});
  rows.emplace_back("traffic/quiet");
  for (const std::string name : {"traffic/updates:1000/s", "traffic/updates:max", "traffic/updates:one-client"})
    rows.insert(rows.end(), {name, name + "/achieved", name + "/lost"});
  return rows;
}

StatusOr<Report> RunUpdateSuite(const RunOptions& options) {
  StatusOr<Report> report = InvalidError("not run");
  std::thread([&] { report = RunOnThisThread(options); }).join();  // its namespace and CPU affinity end with it
  return report;
}

}  // namespace sluice::perf
