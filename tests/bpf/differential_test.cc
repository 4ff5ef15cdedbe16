// The BPF programs against the reference evaluator, on random scenarios and first packets: verdict, audit, and the
// decisions that the flow names. SLUICE_DIFFERENTIAL_WORLDS makes the run longer.
#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <set>

#include "bpf/lib/orientation.bpf.h"
#include "tests/support/program_fixture.h"
#include "tests/support/random_policy.h"

namespace sluice::test {
namespace {

using policy::Address;
using policy::Decision;
using policy::Evaluation;
using policy::Flow;

constexpr std::uint64_t kSeed = 77001;
constexpr int kDefaultScenarios = 200;
constexpr int kFlowsPerScenario = 1400;

int Worlds() {
  const char* scenarios = std::getenv("SLUICE_DIFFERENTIAL_WORLDS");
  return scenarios == nullptr ? kDefaultScenarios : std::atoi(scenarios);
}

std::string Text(const Flow& flow) {
  return fmt::format("{} -> {} protocol {} port {}{}", flow.source.ToString(), flow.destination.ToString(),
                     flow.protocol, flow.port, flow.from_node ? " from node" : "");
}

// The first packet of `flow`; `client` is its source port or echo identifier.
Frame FirstPacket(const Flow& flow, std::uint16_t client) {
  const auto complete = [&](const Packet& network) {
    switch (flow.protocol) {
      case policy::kTcp:
        return (network / Tcp{.sport = client, .dport = flow.port}).ToFrame();
      case policy::kUdp:
        return (network / Udp{.sport = client, .dport = flow.port}).ToFrame();
      case policy::kSctp:
        return (network / Sctp{.sport = client, .dport = flow.port}).ToFrame();
      case policy::kIcmp:
        return (network / Icmp{.type = 8, .id = client}).ToFrame();
      case policy::kIcmpv6:
        return (network / Icmp{.type = 128, .id = client}).ToFrame();
      default:
        return (network / Payload{16}).ToFrame();
    }
  };
  if (flow.source.is_v4())
    return complete(Eth{} /
                    Ipv4{.src = flow.source.ToString(), .dst = flow.destination.ToString(), .protocol = flow.protocol});
  return complete(Eth{} /
                  Ipv6{.src = flow.source.ToString(), .dst = flow.destination.ToString(), .next = flow.protocol});
}

struct Case {
  Flow flow;
  Evaluation expected;
  bool left_to_tc = false;  // XDP cannot look up the listener: it may have passed the packet without an entry
};

struct Tally {
  int verdicts = 0, allowed = 0, denied = 0, audited = 0, quarantined = 0, spared = 0;
  int by_process = 0;
  int by_hook[SL_HOOK_COUNT] = {};
  int by_family[2] = {};
};

class Differential : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { MakeFixture(FixtureOptions{.interfaces = 8}); }
  static void MakeFixture(const FixtureOptions& options) {
    auto fixture = ProgramFixture::Create(options);
    ASSERT_TRUE(fixture.ok()) << fixture.status();
    fixture_ = std::move(*fixture).release();
  }
  static void TearDownTestSuite() { delete fixture_; }

  // Sets the map like the agent. In every other scenario nothing is in quarantine.
  static Status SetQuarantine(const RandomPolicy& random, const policy::Quarantine& quarantine) {
    for (const auto& [name, binding] : random.bindings())
      SL_RETURN_IF_ERROR(fixture_->datapath().SetQuarantine(binding.endpoint, quarantine.workloads.contains(name)));
    return fixture_->datapath().SetQuarantineAllow(quarantine.allow);
  }

  // Hooks that see this flow's first packet when only they are attached.
  static std::vector<int> HooksOf(const policy::Snapshot& snapshot, const Flow& flow) {
    const policy::Endpoint* source = snapshot.Find(flow.source);
    const policy::Endpoint* destination = snapshot.Find(flow.destination);
    const bool from_local = source != nullptr && source->ifindex != 0 && !flow.from_node;
    const bool to_local = destination != nullptr && destination->ifindex != 0;
    std::vector<int> hooks;
    if (from_local) hooks.push_back(SL_HOOK_TC_FROM_POD);
    if (to_local && source != destination) hooks.push_back(SL_HOOK_TC_TO_POD);
    if (to_local && !from_local && !flow.from_node && !snapshot.IsNode(flow.source))
      hooks.push_back(SL_HOOK_XDP_UPLINK);
    return hooks;
  }

  // 1: forwarded, 0: dropped, -1: the run failed.
  static int Run(int hook, const policy::Snapshot& snapshot, const Flow& flow, const Frame& frame) {
    auto& object = fixture_->datapath().object();
    if (hook == SL_HOOK_XDP_UPLINK) {
      const auto output = bpf::TestRunXdp(object.program_fd("xdp_uplink"), {.frame = frame});
      return !output.ok() ? -1 : output->verdict == 2 /* XDP_PASS */ ? 1 : output->verdict == 1 /* XDP_DROP */ ? 0 : -1;
    }
    const bool from_pod = hook == SL_HOOK_TC_FROM_POD;
    const std::uint32_t ifindex = snapshot.Find(from_pod ? flow.source : flow.destination)->ifindex;
    const policy::Endpoint* source = snapshot.Find(flow.source);
    constexpr std::uint32_t kNoPods = 100000;  // what comes by the receiver's own interface is the receiver's
    const std::uint32_t other = source && source->ifindex ? source->ifindex : kNoPods;
    const auto output =
        bpf::TestRunTc(object.program_fd(from_pod ? "tc_from_pod" : "tc_to_pod"),
                       {.frame = frame, .ifindex = ifindex, .ingress_ifindex = flow.from_node ? 0 : other});
    if (!output.ok()) return -1;
    const int rc = static_cast<int>(output->verdict);
    return rc == -1 /* TC_ACT_UNSPEC */ ? 1 : rc == 2 /* TC_ACT_SHOT */ ? 0 : -1;
  }

  static Decision Meaning(std::uint32_t number) {
    if (number == 0) return {};
    const auto found = fixture_->compiled().decisions.find(number);
    return found == fixture_->compiled().decisions.end() ? Decision{.allowed = false} : *found->second;
  }

  // Checks that the flow entries agree with the evaluator. `flood`: most denied flows have none.
  static void CompareFlows(const std::map<std::uint16_t, Case>& cases, bool flood) {
    const auto flows = fixture_->datapath().Flows();
    ASSERT_TRUE(flows.ok()) << flows.status();
    std::size_t compared = 0;
    const auto optional = static_cast<std::size_t>(std::count_if(cases.begin(), cases.end(), [flood](const auto& one) {
      return one.second.left_to_tc || (flood && !one.second.expected.allowed);
    }));
    for (const auto& record : *flows) {
      const bool hi = record.entry.flags & SL_CT_INITIATOR_HI;
      const auto found = cases.find(ntohs(hi ? record.key.hi_port : record.key.lo_port));
      if (found == cases.end()) continue;
      const auto& [flow, expected, left_to_tc] = found->second;
      ++compared;
      ASSERT_EQ(Address(hi ? record.key.hi : record.key.lo), flow.source) << Text(flow);
      ASSERT_EQ(record.state == datapath::FlowState::kDenied, !expected.allowed) << Text(flow);
      ASSERT_EQ((record.entry.flags & SL_CT_AUDIT) != 0, expected.audit_denied) << Text(flow);
      ASSERT_EQ(record.entry.reason == SL_DROP_QUARANTINED, expected.quarantined) << Text(flow);
      if (expected.quarantined) {
        ASSERT_EQ(record.entry.egress_decision + record.entry.ingress_decision, 0u) << Text(flow);
        continue;
      }
      if (flow.from_node) continue;
      ASSERT_EQ(Meaning(record.entry.egress_decision), expected.egress.value_or(Decision{})) << Text(flow);
      ASSERT_EQ(Meaning(record.entry.ingress_decision), expected.ingress.value_or(Decision{})) << Text(flow);
    }
    ASSERT_GE(compared + optional, cases.size()) << "flows without a record";
  }

  static void CompareVerdicts(int worlds, bool flood);

  static ProgramFixture* fixture_;
};

ProgramFixture* Differential::fixture_ = nullptr;

// The budget for denied-flow entries is spent from the first denial of each scenario on, so that the short way to a
// denial decides (bpf/lib/verdict_unrecorded.bpf.h).
class DifferentialInAFlood : public Differential {
 protected:
  static void SetUpTestSuite() {
    FixtureOptions options{.interfaces = 8};
    options.object.flows_denied = 1;
    MakeFixture(options);
  }
  static std::uint64_t Unrecorded() {
    const auto counters = fixture_->datapath().ReadCounters();
    EXPECT_TRUE(counters.ok()) << counters.status();
    return counters.ok() ? counters->events[SL_COUNTER_DENIED_UNRECORDED] : 0;
  }
};

void Differential::CompareVerdicts(int worlds, bool flood) {
  Tally tally;
  for (int world = 0; world < worlds; ++world) {
    SCOPED_TRACE(fmt::format("seed {} + world {}", kSeed, world));
    RandomPolicy random(
        kSeed + world,
        {.policies = 1 + world % 16, .first_ifindex = FixtureOptions::kFirstIfindex, .processes = world % 4 != 3});
    const auto snapshot = random.NextSnapshot();
    const Status enforced = fixture_->Enforce(snapshot);
    ASSERT_TRUE(enforced.ok()) << enforced;
    const policy::Quarantine quarantine = world % 2 == 0 ? policy::Quarantine() : random.NextQuarantine();
    const Status set = SetQuarantine(random, quarantine);
    ASSERT_TRUE(set.ok()) << set;
    for (const int hook : {SL_HOOK_TC_FROM_POD, SL_HOOK_TC_TO_POD, SL_HOOK_XDP_UPLINK}) {
      ASSERT_TRUE(fixture_->ForgetFlows().ok());
      std::map<std::uint16_t, Case> cases;
      std::set<std::tuple<Address, Address, int>> portless;
      std::uint16_t client = 20000;
      for (int i = 0; i < kFlowsPerScenario; ++i) {
        Flow flow = random.NextFlow(*snapshot);
        if (hook == SL_HOOK_TC_TO_POD) flow.source_process.reset();  // the sender's socket is not visible at this hook
        if (flow.source.is_v4() != flow.destination.is_v4()) continue;
        if (!flow.source.is_v4() && sl_is_extension(flow.protocol)) continue;  // an extension header
        const auto hooks = HooksOf(*snapshot, flow);
        if (std::find(hooks.begin(), hooks.end(), hook) == hooks.end()) continue;
        const bool has_client = flow.protocol == policy::kTcp || flow.protocol == policy::kUdp ||
                                flow.protocol == policy::kSctp || flow.protocol == policy::kIcmp ||
                                flow.protocol == policy::kIcmpv6;
        if (!has_client && !portless
                                .emplace(std::min(flow.source, flow.destination),
                                         std::max(flow.source, flow.destination), flow.protocol)
                                .second)
          continue;
        const Evaluation expected = policy::Evaluate(*snapshot, flow, policy::Scope::kLocal, quarantine);
        ++client;
        const Status processes = fixture_->SetProcesses(flow.source_process, flow.destination_process);
        ASSERT_TRUE(processes.ok()) << processes;
        const int got = Run(hook, *snapshot, flow, FirstPacket(flow, client));
        // XDP looks up no sockets, so it knows neither the listener nor a matching question for an answer.
        const bool may_be_answer =
            flow.protocol == policy::kUdp && flow.port >= SL_FIRST_CLIENT_PORT && !expected.quarantined;
        const bool left_to_tc =
            hook == SL_HOOK_XDP_UPLINK && (expected.ingress_by_process || may_be_answer) && got == 1;
        ASSERT_EQ(got, left_to_tc || expected.allowed ? 1 : 0) << Text(flow) << " at hook " << hook;
        if (has_client) cases[client] = {flow, expected, left_to_tc};
        tally.by_process += !left_to_tc && (expected.egress_by_process || expected.ingress_by_process);
        ++tally.verdicts;
        ++(expected.allowed ? tally.allowed : tally.denied);
        tally.audited += expected.audit_denied;
        tally.quarantined += expected.quarantined;
        const policy::Quarantine without_list{.workloads = quarantine.workloads, .allow = {}};
        tally.spared +=
            !expected.quarantined && policy::Evaluate(*snapshot, flow, policy::Scope::kLocal, without_list).quarantined;
        ++tally.by_hook[hook];
        ++tally.by_family[flow.source.is_v4() ? 0 : 1];
      }
      ASSERT_NO_FATAL_FAILURE(CompareFlows(cases, flood));
    }
  }
  std::cout << tally.verdicts << " verdicts: " << tally.allowed << " allowed, " << tally.denied << " denied, "
            << tally.audited << " audited, " << tally.quarantined << " quarantined, " << tally.spared
            << " spared by the allow list, " << tally.by_process << " by process; from_pod " << tally.by_hook[0]
            << ", to_pod " << tally.by_hook[1] << ", uplink " << tally.by_hook[2] << "; IPv4 " << tally.by_family[0]
            << ", IPv6 " << tally.by_family[1] << "\n";
  EXPECT_GE(tally.verdicts, 1000 * worlds);
  for (const int count : tally.by_hook) EXPECT_GT(count, tally.verdicts / 20);
  for (const int count : tally.by_family) EXPECT_GT(count, tally.verdicts / 10);
  EXPECT_GT(tally.allowed, tally.verdicts / 5);
  EXPECT_GT(tally.denied, tally.verdicts / 5);
  EXPECT_GT(tally.audited, 0);
  EXPECT_GT(tally.by_process, tally.verdicts / 20);
  EXPECT_GT(tally.quarantined, tally.verdicts / 20);
  EXPECT_GT(tally.spared, tally.verdicts / 200);
}

TEST_F(Differential, ProgramsAnswerAsTheEvaluatorDoes) { CompareVerdicts(Worlds(), false); }

TEST_F(DifferentialInAFlood, ProgramsAnswerAsTheEvaluatorDoes) {
  const std::uint64_t before = Unrecorded();
  const int worlds = std::max(Worlds() / 4, 1);
  CompareVerdicts(worlds, true);
  EXPECT_GT(Unrecorded() - before, 200U * static_cast<unsigned>(worlds));
}

}  // namespace
}  // namespace sluice::test
