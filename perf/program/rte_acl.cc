#include "perf/program/rte_acl.h"

#include <algorithm>
#include <ctime>
#include <map>

#include "perf/bpf/rotation.h"
#include "perf/cpu.h"
#include "perf/dpdk/acl.h"
#include "perf/program/floors.h"
#include "perf/program/frame.h"
#include "perf/program/world.h"

namespace sluice::perf {
namespace {

constexpr std::uint32_t kAclPackets = 1 << 18;  // of a sample
constexpr int kFrames = 4096;                   // a quarter of a megabyte: packets come from the cache
constexpr std::size_t kEthernet = 14;
constexpr int kMegabytes = 1024;

// Packets, and the rule that each must match.
class Packets {
 public:
  static StatusOr<std::shared_ptr<Packets>> Create(const RteAclCase& what) {
    auto packets = std::make_shared<Packets>();
    SL_ASSIGN_OR_RETURN(const auto pod, policy::Address::Parse(kWorldPod));
    std::uint64_t random = 1;
    for (int i = 0; i < kFrames; ++i) {
      random = random * 6364136223846793005ULL + 1442695040888963407ULL;  // Knuth's MMIX; the high bits are good
      const auto any = static_cast<int>((random >> 33) % static_cast<std::uint64_t>(what.rules));
      const int peer = what.from == RteAclCase::From::kAnyPeer ? any : what.rules / 2;
      const bool allowed = what.from != RteAclCase::From::kStranger;
      SL_ASSIGN_OR_RETURN(const auto source,
                          policy::Address::Parse(allowed ? PeerAddress(peer, false) : kWorldStranger));
      packets->frames_.push_back(MakeFrame({.source = source,
                                            .destination = pod,
                                            .source_port = static_cast<std::uint16_t>(PERF_FIRST_CLIENT_PORT + i),
                                            .destination_port = PERF_FIRST_SERVICE_PORT,
                                            .flags = kSyn}));
      packets->headers_.push_back(packets->frames_.back().data() + kEthernet);
      packets->expected_.push_back(allowed ? static_cast<std::uint32_t>(peer) + 1 : 0);
    }
    return packets;
  }

  std::span<const std::uint8_t*> headers() { return headers_; }
  const std::vector<std::uint32_t>& expected() const { return expected_; }

 private:
  std::vector<std::vector<std::uint8_t>> frames_;
  std::vector<const std::uint8_t*> headers_;
  std::vector<std::uint32_t> expected_;
};

// Destroyed before the memory that they use.
struct Classifiers {
  std::unique_ptr<Eal> eal;
  std::map<int, std::unique_ptr<Acl>> by_rules;
};

double ThreadNanoseconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec);
}

// The cost of one packet. An error when one matches the wrong rule. Runs in user space, where nothing is counted.
StatusOr<Cost> Measure(const Acl& acl, Packets* packets, std::size_t batch) {
  std::vector<std::uint32_t> results(kFrames);
  double nanoseconds = 0;
  for (std::uint32_t done = 0; done < kAclPackets; done += kFrames) {
    std::fill(results.begin(), results.end(), ~0U);
    const double begin = ThreadNanoseconds();
    for (std::size_t at = 0; at < kFrames; at += batch)
      acl.Classify(packets->headers().subspan(at, batch), results.data() + at);
    nanoseconds += ThreadNanoseconds() - begin;
    for (std::size_t i = 0; i < kFrames; ++i)
      if (results[i] != packets->expected()[i])
        return MakeError(absl::StatusCode::kInternal, "wrong verdict: a packet met rule {}, expected {}", results[i],
                         packets->expected()[i]);
  }
  return Cost{.nanoseconds = nanoseconds / kAclPackets};
}

// The rules of MakeScenario(): one peer each, to the pod's service ports.
StatusOr<std::unique_ptr<Acl>> BuildAcl(const Eal& eal, int count) {
  AclRule rule{.first_port = PERF_FIRST_SERVICE_PORT, .last_port = PERF_FIRST_SERVICE_PORT + PERF_SERVICE_PORTS - 1};
  SL_ASSIGN_OR_RETURN(rule.destination, policy::Address::Parse(kWorldPod));
  std::vector<AclRule> rules;
  for (int i = 0; i < count; ++i) {
    SL_ASSIGN_OR_RETURN(rule.source, policy::Address::Parse(PeerAddress(i, false)));
    rules.push_back(rule);
  }
  return Acl::Build(eal, fmt::format("rules:{}", count), rules);
}

}  // namespace

StatusOr<std::vector<Measurement>> RteAclPeers(const std::vector<RteAclCase>& cases) {
  SL_ASSIGN_OR_RETURN(const int cpu, MeasuredCpu());
  const auto classifiers = std::make_shared<Classifiers>();
  SL_ASSIGN_OR_RETURN(classifiers->eal, Eal::Start({.cpus = {cpu}, .megabytes = kMegabytes}));
  std::vector<Measurement> peers;
  for (const RteAclCase& one : cases) {
    std::unique_ptr<Acl>& acl = classifiers->by_rules[one.rules];
    if (acl == nullptr) {
      SL_ASSIGN_OR_RETURN(acl, BuildAcl(*classifiers->eal, one.rules));
    }
    SL_ASSIGN_OR_RETURN(const auto packets, Packets::Create(one));
    peers.push_back({.row = {.name = one.Name(), .against = {BareFloor(true)}}, .packets = kAclPackets});
    peers.back().measure = [classifiers, packets, one] {
      return Measure(*classifiers->by_rules.at(one.rules), packets.get(), static_cast<std::size_t>(one.batch));
    };
  }
  return peers;
}

}  // namespace sluice::perf
