#include "tests/support/node_fixture.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <net/if.h>

#include <thread>

#include "kernel/bpf/hook.h"

namespace sluice::test {
namespace {

constexpr std::chrono::seconds kPatience{10};
constexpr std::chrono::milliseconds kSilence{300};

}  // namespace

StatusOr<std::unique_ptr<NodeFixture>> NodeFixture::Create(const Options& options) {
  std::unique_ptr<NodeFixture> fixture(new NodeFixture());
  SL_ASSIGN_OR_RETURN(fixture->node_, TestNode::Create({.pods = options.pods, .outside = options.outside}));
  if (options.prepare) options.prepare(*fixture->node_);
  SL_ASSIGN_OR_RETURN(
      fixture->agent_,
      AgentProcess::Start({.netns_fd = fixture->node_->fd(), .before = options.before, .args = options.args}));
  return fixture;
}

policy::Address NodeFixture::ip4(const std::string& pod) const {
  return policy::Address::Parse(node_->pod(pod).ip4).value();  // valid: from TestNode
}

std::string NodeFixture::WorkloadYaml(const std::string& pod, const std::string& labels) const {
  return fmt::format(
      "---\n"
      "apiVersion: sluice.dev/v1alpha1\n"
      "kind: Workload\n"
      "metadata: {{name: {}, namespace: shop, labels: {}}}\n"
      "spec: {{netns: {}}}\n",
      pod, labels, node_->pod(pod).netns_path);
}

ProbeOutcome NodeFixture::ProbeOnce(std::uint8_t protocol, const std::string& from, const std::string& to,
                                    std::uint16_t port, bool expect_allowed) const {
  const auto results = RunProbes({{.netns_fd = netns_fd(from),
                                   .destination = ip4(to),
                                   .protocol = protocol,
                                   .port = port,
                                   .timeout = expect_allowed ? std::chrono::milliseconds(kPatience) : kSilence}});
  return results.ok() ? results->front().outcome : ProbeOutcome::kError;
}

ProbeOutcome NodeFixture::Udp(const std::string& from, const std::string& to, std::uint16_t port,
                              bool expect_allowed) const {
  return ProbeOnce(policy::kUdp, from, to, port, expect_allowed);
}

ProbeOutcome NodeFixture::Tcp(const std::string& from, const std::string& to, std::uint16_t port,
                              bool expect_allowed) const {
  return ProbeOnce(policy::kTcp, from, to, port, expect_allowed);
}

StatusOr<bool> NodeFixture::Explain(const std::string& from, const std::string& to, const std::string& port) const {
  constexpr int kAllowed = 0;
  constexpr int kDenied = 3;
  SL_ASSIGN_OR_RETURN(const ClientResult told,
                      agent_->Sluice({"explain", "--from", "shop/" + from, "--to", "shop/" + to, "--port", port}));
  if (told.exit_code == kAllowed) return true;
  if (told.exit_code == kDenied) return false;
  return MakeError(absl::StatusCode::kInternal, "sluice explain exited with {}: {}", told.exit_code, told.err);
}

StatusOr<std::string> NodeFixture::Everything() const {
  std::string all;
  for (const char* kind : {"namespaces", "workloads", "pods", "networkpolicies", "clusternetworkpolicies"}) {
    SL_ASSIGN_OR_RETURN(const ClientResult got, agent_->Sluice({"get", kind, "-o", "yaml"}));
    if (got.exit_code != 0) return MakeError(absl::StatusCode::kInternal, "sluice get {}: {}", kind, got.err);
    all += got.out;
  }
  SL_ASSIGN_OR_RETURN(const ClientResult status, agent_->Sluice({"status", "-o", "json"}));
  const std::size_t at = status.out.find("\"revision\"");
  if (at == std::string::npos) return MakeError(absl::StatusCode::kInternal, "no revision in {}", status.out);
  return all + status.out.substr(at, status.out.find(',', at) - at);
}

StatusOr<CommandResult> NodeFixture::Run(const Arguments& arguments, int seconds) const {
  StatusOr<CommandResult> result = Status(absl::StatusCode::kInternal, "did not run");
  SL_RETURN_IF_ERROR(node_->Run([&] {
    result = RunCommand(arguments, {}, seconds);
    return result.status();
  }));
  return result;
}

StatusOr<CommandResult> NodeFixture::Sluiced(const Arguments& arguments, int seconds) const {
  Arguments all{BinDirectory() + "/sluiced", "--state-dir", agent_->state_dir(),   "--bpf-root",
                agent_->bpf_root(),          "--api",       agent_->api_address(), "--metrics",
                agent_->metrics_address()};
  all.insert(all.end(), arguments.begin(), arguments.end());
  return Run(all, seconds);
}

int TcPrograms(const TestNode& node, std::uint32_t ifindex) {
  int programs = 0;
  const auto printer = libbpf_set_print(nullptr);  // a missing filter is no error here
  node.Run([&] {
        for (const bpf::Hook hook : {bpf::Hook::kTcIngress, bpf::Hook::kTcEgress}) {
          const auto there = bpf::ProgramsAt(ifindex, hook);
          if (there.ok()) programs += static_cast<int>(there->size());
        }
        return OkStatus();
      })
      .IgnoreError();
  libbpf_set_print(printer);
  return programs;
}

bool HasXdp(const TestNode& node, std::uint32_t ifindex) {
  __u32 id = 0;
  node.Run([&] {
        if (bpf_xdp_query_id(static_cast<int>(ifindex), 0, &id) != 0) id = 0;
        return OkStatus();
      })
      .IgnoreError();
  return id != 0;
}

bool Eventually(const std::function<bool()>& condition, std::chrono::milliseconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return true;
}

}  // namespace sluice::test
