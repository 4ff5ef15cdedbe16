#include "tests/support/program_fixture.h"

#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <net/if.h>
#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "policy/network/glob.h"

namespace sluice::test {
namespace {

Status Shell(const std::string& command) {
  const int rc = std::system(command.c_str());
  return rc == 0 ? OkStatus() : MakeError(absl::StatusCode::kInternal, "`{}` ended with {}", command, rc);
}

Status MakeInterfaces(int count, std::vector<std::uint32_t>* ifindexes) {
  if (unshare(CLONE_NEWNET) != 0) return ErrnoError(errno, "make a network namespace");
  std::string batch = "link set lo up\n";
  for (int i = 0; i < count; ++i) {
    batch += fmt::format("link add p{0} index {1} address 02:00:00:00:01:{0:02x} type veth ", i,
                         FixtureOptions::kFirstIfindex + i);
    batch += fmt::format("peer name q{0} index {1} address 02:00:00:00:02:{0:02x}\n", i,
                         FixtureOptions::kFirstPeerIfindex + i);
  }
  for (int i = 0; i < count; ++i) batch += fmt::format("link set p{0} up\nlink set q{0} up\n", i);
  SL_RETURN_IF_ERROR(Shell("printf '" + batch + "' | ip -batch -"));
  for (int i = 0; i < count; ++i) ifindexes->push_back(if_nametoindex(fmt::format("p{}", i).c_str()));
  return OkStatus();
}

}  // namespace

bpf::ObjectOptions FixtureOptions::SmallTables() {
  bpf::ObjectOptions options;
  options.epoch_addresses = 16384;
  options.epoch_prefixes = 16384;
  options.epoch_peers = 131072;
  options.epoch_ports = 65536;
  options.flows = 32768;
  options.flows_denied = 4096;
  options.test_clock = true;
  return options;
}

StatusOr<std::unique_ptr<ProgramFixture>> ProgramFixture::Create(const FixtureOptions& options) {
  auto fixture = std::make_unique<ProgramFixture>();
  SL_RETURN_IF_ERROR(MakeInterfaces(options.interfaces, &fixture->ifindexes_));
  SL_ASSIGN_OR_RETURN(auto object, bpf::DatapathObject::Load(options.object));
  SL_ASSIGN_OR_RETURN(fixture->datapath_, datapath::BpfDatapath::Wrap(std::move(object), options.object));
  fixture->SetClock(1000);
  return fixture;
}

Status ProgramFixture::Enforce(std::shared_ptr<const policy::Snapshot> snapshot) {
  SL_ASSIGN_OR_RETURN(compiled_, policy::Compile(std::move(snapshot), datapath_->limits()));
  for (const policy::Endpoint& endpoint : compiled_.snapshot->endpoints) {
    if (endpoint.ifindex == 0 || endpoint.ips.empty()) continue;
    sl_interface facts{};
    facts.address = endpoint.ips.front().abi();
    SL_RETURN_IF_ERROR(datapath_->DescribeInterface(endpoint.ifindex, facts));
  }
  return datapath_->Commit(compiled_.tables);
}

StatusOr<ProgramFixture::Verdict> ProgramFixture::Evaluate(int hook, const bpf::TestRunInput& input) {
  static constexpr const char* kPrograms[SL_HOOK_COUNT] = {
#define SL_X(name, label, direction) label,
      SL_PACKET_HOOKS(SL_X)
#undef SL_X
  };
  const char* program = kPrograms[hook];
  SL_ASSIGN_OR_RETURN(const auto before, datapath_->ReadCounters());
  const int fd = datapath_->object().program_fd(program);
  SL_ASSIGN_OR_RETURN(auto output, hook == SL_HOOK_XDP_UPLINK ? bpf::TestRunXdp(fd, input) : bpf::TestRunTc(fd, input));
  SL_ASSIGN_OR_RETURN(const auto after, datapath_->ReadCounters());
  Verdict verdict;
  verdict.frame = std::move(output.frame);
  const auto rc = static_cast<int>(output.verdict);
  const bool is_xdp = hook == SL_HOOK_XDP_UPLINK;
  verdict.redirected = rc == (is_xdp ? static_cast<int>(XDP_REDIRECT) : TC_ACT_REDIRECT);
  verdict.forwarded = verdict.redirected || rc == (is_xdp ? static_cast<int>(XDP_PASS) : TC_ACT_UNSPEC);
  if (!verdict.forwarded && rc != (is_xdp ? static_cast<int>(XDP_DROP) : TC_ACT_SHOT))
    return MakeError(absl::StatusCode::kInternal, "{} returned {}", program, rc);
  if (!verdict.redirected && !may_translate && verdict.frame != input.frame)
    return MakeError(absl::StatusCode::kInternal, "{} changed a frame that it did not redirect", program);
  const std::uint64_t packets = std::max<std::uint32_t>(input.gso_segments, 1);
  int moved = 0;
  for (int h = 0; h < SL_HOOK_COUNT; ++h) {
    for (int outcome = 0; outcome < SL_OUTCOME_COUNT; ++outcome) {
      const auto delta = after.packets[h][outcome].packets - before.packets[h][outcome].packets;
      if (delta == 0) continue;
      ++moved;
      if (h != hook) return MakeError(absl::StatusCode::kInternal, "{} counted at another hook", program);
      if (delta != packets) return MakeError(absl::StatusCode::kInternal, "{} counted {} packets", program, delta);
      if (outcome == SL_OUTCOME_AUDITED)
        verdict.audited = true;
      else
        verdict.reason = outcome;
    }
  }
  if (moved != 1) return MakeError(absl::StatusCode::kInternal, "{}: {} packet counters moved, not 1", program, moved);
  if (verdict.forwarded != (verdict.reason == SL_DROP_NONE))
    return MakeError(absl::StatusCode::kInternal, "{}: verdict {} with drop reason {}", program, rc, verdict.reason);
  return verdict;
}

StatusOr<ProgramFixture::Verdict> ProgramFixture::FromPod(std::uint32_t ifindex, const Frame& frame) {
  return Evaluate(SL_HOOK_TC_FROM_POD, {.frame = frame, .ifindex = ifindex});
}

StatusOr<ProgramFixture::Verdict> ProgramFixture::ToPod(std::uint32_t ifindex, std::uint32_t ingress_ifindex,
                                                        const Frame& frame) {
  return Evaluate(SL_HOOK_TC_TO_POD, {.frame = frame, .ifindex = ifindex, .ingress_ifindex = ingress_ifindex});
}

StatusOr<ProgramFixture::Verdict> ProgramFixture::FromWire(const Frame& frame) {
  return Evaluate(SL_HOOK_XDP_UPLINK, {.frame = frame});
}

// Does the work of the sensors and the agent.
Status ProgramFixture::PutClass(std::uint32_t number, const policy::Process& process) {
  const auto epoch = static_cast<std::uint32_t>(datapath_->generation() % SL_EPOCHS);
  const auto matches = [this](const std::string& path) {
    std::uint64_t bits = 0;
    for (const auto& [bit, pattern] : compiled_.tables.patterns)
      if (!path.empty() && policy::GlobMatches({pattern.text, pattern.length}, path)) bits |= 1ULL << bit;
    return bits;
  };
  sl_process_class one{};
  one.facts.program = process.binary.empty() ? SL_PROGRAM_UNKNOWN : number;
  one.facts.flags = process.more_ancestors ? SL_CLASS_MORE_ANCESTORS : 0;
  one.binaries[epoch] = matches(process.binary) | matches(process.script);
  for (const std::string& ancestor : process.ancestors) one.ancestors[epoch] |= matches(ancestor);
  using Classes = bpf::Map<sl_process_class_number, sl_process_class>;
  SL_ASSIGN_OR_RETURN(const auto classes,
                      Classes::Bind(datapath_->object().map_fd("process_classes"), "process_classes"));
  return classes.Put(number, one);
}

Status ProgramFixture::SetProcesses(const std::optional<policy::Process>& sender,
                                    const std::optional<policy::Process>& receiver) {
  std::uint32_t numbers[2] = {};
  for (const auto& [process, number] : {std::pair(&sender, &numbers[0]), std::pair(&receiver, &numbers[1])}) {
    if (!*process) continue;
    const std::string key = fmt::format("{}\n{}\n{}\n{}", (*process)->binary, (*process)->script,
                                        fmt::join((*process)->ancestors, "\n"), (*process)->more_ancestors);
    *number = class_numbers_.try_emplace(key, class_numbers_.size() + 1).first->second;
    SL_RETURN_IF_ERROR(PutClass(*number, **process));
  }
  bpf::TestHooks(datapath_->object()).SetProcesses(numbers[0], numbers[1]);
  return OkStatus();
}

Status ProgramFixture::ChangeSockets() {
  using Counter = bpf::Map<std::uint32_t, std::uint32_t>;
  SL_ASSIGN_OR_RETURN(const auto changes,
                      Counter::Bind(datapath_->object().map_fd("socket_changes"), "socket_changes"));
  SL_ASSIGN_OR_RETURN(const auto count, changes.Get(0));
  return changes.Put(0, count.value_or(0) + 1);
}

Status ProgramFixture::ForgetFlows() {
  SL_ASSIGN_OR_RETURN(const auto flows, datapath_->Flows());
  SL_RETURN_IF_ERROR(datapath_->ForgetFlows(flows).status());
  using Fragments = bpf::Map<__u32, sl_fragments>;
  SL_ASSIGN_OR_RETURN(const Fragments fragments, Fragments::Bind(datapath_->object().map_fd("fragments"), "fragments"));
  for (std::uint32_t endpoint = 0; endpoint <= ifindexes_.size(); ++endpoint)
    SL_RETURN_IF_ERROR(fragments.Put(endpoint, {}));
  return OkStatus();
}

}  // namespace sluice::test
