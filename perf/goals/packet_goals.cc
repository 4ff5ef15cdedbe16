// The goals of the packet path under attack. A ratio to a look-up or to a peer of the same run holds on more processors
// than one to a bare program: where a call and an empty program cost little, everything else is a large multiple of
// them.
#include "perf/goals.h"

namespace sluice::perf {
namespace {

constexpr auto kAtMost = Goal::Is::kAtMost;
constexpr auto kAtLeast = Goal::Is::kAtLeast;
constexpr char kProgram[] = "program", kRate[] = "rate", kTcp[] = "tcp";

constexpr RowName kXdpBare{kProgram, "floor/xdp/bare"}, kTcBare{kProgram, "floor/tc/bare"};
constexpr RowName kXdpParse{kProgram, "floor/xdp/parse"}, kTcParse{kProgram, "floor/tc/parse"};
constexpr RowName kXdpHash{kProgram, "floor/xdp/hash/flows:1"}, kTcHash{kProgram, "floor/tc/hash/flows:1"};
constexpr RowName kXdpCold{kProgram, "floor/xdp/hash/flows:100000"}, kTcCold{kProgram, "floor/tc/hash/flows:100000"};
constexpr RowName kXdpColdest{kProgram, "floor/xdp/hash/flows:1000000"},
    kTcColdest{kProgram, "floor/tc/hash/flows:1000000"};
constexpr RowName kXdpHot{kProgram, "xdp_uplink/v4/established/flows:1/rules:1"},
    kToPodHot{kProgram, "tc_to_pod/v4/established/flows:1/rules:1"},
    kFromPodHot{kProgram, "tc_from_pod/v4/established/flows:1/rules:1"},
    kXdpDenied{kProgram, "xdp_uplink/v4/denied/flows:1/rules:1"};
constexpr RowName kDrop{kRate, "xdp/drop/bare"}, kForward{kRate, "kernel/forward/flows:1000"},
    kPodsForward{kRate, "pods/kernel/forward/flows:1000"}, kPodsRedirect{kRate, "pods/redirect-peer/bare"};

constexpr char kHotWork[] =
    "beside the look-up there are parsing, hashing, checks of generation, state, interface and quarantine, and "
    "counters of flow, hook and workload, in a dozen look-ups of arrays";
constexpr char kBareAlone[] = "a program that does nothing comes to {:.2f}";
constexpr char kColdFlow[] =
    "a packet needs its bucket's cache line and three to five of its flow's; the look-up that it is compared with "
    "finds its 96 bytes in two lines, by a program so short that the misses of several packets overlap";
constexpr char kColdLines[] =
    "reading these lines and counting in them, beside as many other instructions, comes to {:.2f}";
constexpr RowName kSlot{kProgram, "floor/xdp/slot:280/busy/flows:100000"};
constexpr char kColdHot[] = "the same work with everything in the cache comes to {:.2f}";
constexpr char kDenied[] =
    "a denied packet's flow is looked up, its verdict checked, and it is counted by flow, hook, reason and workload; "
    "xdp-filter counts by reason";
constexpr char kFirstPacket[] =
    "a first packet is looked for in vain, parsed for all cases, both its ends and policy are looked up, and 280 bytes "
    "are written";
constexpr char kFirstWrite[] = "taking a tag and writing a slot, beside 288 other instructions, comes to {:.2f}";
constexpr RowName kNewSlot{kProgram, "floor/xdp/slot:280/new/flows:100000"};
constexpr char kDropAlone[] = "a bare drop comes to {:.2f}";
constexpr char kListed[] =
    "a packet's bucket and its entry are read, or, where it has none, its source, the peer and the port in the tables "
    "of policy; the set's element is in two cache lines";
constexpr char kRedirected[] =
    "plain forwarding does not depend on the number of flows; here each packet needs its bucket and flow, out of the "
    "cache";
constexpr char kFewFlows[] = "with 1,000 flows it comes to {:.2f}";
constexpr char kPeerAlone[] = "the bare redirect_peer makes no look-up; with one hot look-up it would come to {:.2f}";
constexpr char kTcpCost[] = "no reason in Sluice is known; samples of streams and requests vary";
constexpr char kConnectionCost[] =
    "a connection's first packets and its last ones move its state, so they take the slow path at both pods' hooks, "
    "also without rules";
constexpr char kTcpFew[] = "without rules it comes to {:.2f}";

constexpr Goal Listed(const char* what, const char* ours, const char* peer, double goal) {
  return {what, {kRate, ours}, {kRate, peer}, kAtLeast, goal, {kListed, kDropAlone, kDrop}};
}

constexpr Goal Tcp(const char* what, const char* ours, const char* route, const char* without_rules,
                   const char* why = kTcpCost) {
  return {what, {kTcp, ours}, {kTcp, route}, kAtLeast, 1, {why, kTcpFew, {kTcp, without_rules}}};
}

constexpr char kStream[] = "route/stream Mbit/s", kRequests[] = "route/request/response a second",
               kConnects[] = "route/connect/close a second";
constexpr char kStream0[] = "sluice/rules:0/stream Mbit/s", kRequests0[] = "sluice/rules:0/request/response a second",
               kConnects0[] = "sluice/rules:0/connect/close a second";

constexpr Goal kGoals[] = {
    {"established, hot, XDP / parse + one hot look-up",
     kXdpHot,
     kXdpHash,
     kAtMost,
     1.6,
     {kHotWork, kBareAlone, kXdpBare}},
    {"established, hot, tc to the pod / parse + one hot look-up",
     kToPodHot,
     kTcHash,
     kAtMost,
     1.6,
     {kHotWork, kBareAlone, kTcBare}},
    {"established, hot, tc from the pod / parse + one hot look-up",
     kFromPodHot,
     kTcHash,
     kAtMost,
     1.6,
     {kHotWork, kBareAlone, kTcBare}},
    {"denied, hot, XDP / xdp-filter",
     kXdpDenied,
     {kProgram, "peer/xdp-filter"},
     kAtMost,
     0.8,
     {kDenied, "parsing and one hot look-up come to {:.2f}", kXdpHash}},
    {"denied, hot, XDP / xdp-filter for IPv4 only",
     kXdpDenied,
     {kProgram, "peer/xdp-filter/ipv4-only"},
     kAtMost,
     1.3,
     {kDenied, "parsing and one hot look-up come to {:.2f}", kXdpHash}},
    {"random over 100 k flows, XDP / one cold look-up of that size",
     {kProgram, "xdp_uplink/v4/established/flows:100000/rules:1"},
     kXdpCold,
     kAtMost,
     1.4,
     {kColdFlow, kColdLines, kSlot}},
    {"random over 100 k flows, tc / one cold look-up of that size",
     {kProgram, "tc_to_pod/v4/established/flows:100000/rules:1"},
     kTcCold,
     kAtMost,
     1.4,
     {kColdFlow, kColdLines, kSlot}},
    {"random over 1 M flows, XDP / one cold look-up of that size",
     {kProgram, "xdp_uplink/v4/established/flows:1000000/rules:1"},
     kXdpColdest,
     kAtMost,
     1.4,
     {kColdFlow, kColdHot, kXdpHot}},
    {"random over 1 M flows, tc / one cold look-up of that size",
     {kProgram, "tc_to_pod/v4/established/flows:1000000/rules:1"},
     kTcColdest,
     kAtMost,
     1.4,
     {kColdFlow, kColdHot, kToPodHot}},
    {"new flow, XDP / parse + two cold look-ups",
     {kProgram, "xdp_uplink/v4/new/flows:100000/rules:1"},
     kXdpCold,
     kAtMost,
     2.5,
     {kFirstPacket, kFirstWrite, kNewSlot},
     nullptr,
     kXdpCold,
     kXdpParse},
    {"new flow, tc / parse + two cold look-ups",
     {kProgram, "tc_to_pod/v4/new/flows:100000/rules:1"},
     kTcCold,
     kAtMost,
     2.5,
     {kFirstPacket, kFirstWrite, kNewSlot},
     nullptr,
     kTcCold,
     kTcParse},
    {"memory of the flow table, bytes a flow",
     {kProgram, "flow-table/bytes-a-flow"},
     {},
     kAtMost,
     160,
     {"next hops and processes take 96 bytes; without them a flow would have 188, 40 of them its key"}},
    // The same list of sources: one rule for each pod, or one rule with all addresses or blocks.
    Listed("XDP deny, 1 pod / nft netdev set", "sluice/uplink/denied/pods:1", "nft/netdev/drop/addresses:1", 2),
    Listed("XDP deny, 1 k pods / nft netdev set", "sluice/uplink/denied/pods:1000", "nft/netdev/drop/addresses:1000",
           2),
    Listed("XDP deny, 10 k pods / nft netdev set", "sluice/uplink/denied/pods:10000", "nft/netdev/drop/addresses:10000",
           2),
    Listed("XDP deny, 100 k pods / nft netdev set", "sluice/uplink/denied/pods:100000",
           "nft/netdev/drop/addresses:100000", 1.5),
    Listed("XDP deny, 1 address / nft netdev set", "sluice/uplink/denied/addresses:1", "nft/netdev/drop/addresses:1",
           2),
    Listed("XDP deny, 1 k addresses / nft netdev set", "sluice/uplink/denied/addresses:1000",
           "nft/netdev/drop/addresses:1000", 2),
    Listed("XDP deny, 10 k addresses / nft netdev set", "sluice/uplink/denied/addresses:10000",
           "nft/netdev/drop/addresses:10000", 2),
    Listed("XDP deny, 100 k addresses / nft netdev set", "sluice/uplink/denied/addresses:100000",
           "nft/netdev/drop/addresses:100000", 1.5),
    Listed("XDP deny, 1 block / nft interval set", "sluice/uplink/denied/cidrs:1", "nft/netdev/drop/cidrs:1", 2),
    Listed("XDP deny, 1 k blocks / nft interval set", "sluice/uplink/denied/cidrs:1000", "nft/netdev/drop/cidrs:1000",
           3),
    Listed("XDP deny, 10 k blocks / nft interval set", "sluice/uplink/denied/cidrs:10000",
           "nft/netdev/drop/cidrs:10000", 3),
    Listed("XDP deny, 100 k blocks / nft interval set", "sluice/uplink/denied/cidrs:100000",
           "nft/netdev/drop/cidrs:100000", 3),
    {"flood of 1 M sources that no rule allows / of 1,000",
     {kRate, "sluice/uplink/flood/sources:1000000"},
     {kRate, "sluice/uplink/flood/sources:1000"},
     kAtLeast,
     0.35,
     {"of 1,000 sources each has an entry that is in the cache; of 1 M nearly none has one, so source and policy are "
      "looked up for each packet",
      "a bare drop comes to {:.2f}", kDrop}},
    {"established flows of another pod during that flood / before it",
     {kRate, "sluice/uplink/bursts/flows:1000/beside-flood"},
     {kRate, "sluice/uplink/bursts/flows:1000"},
     kAtLeast,
     0.9,
     {"the flood evicts the flows' entries from the caches, and they are read again"}},
    {"XDP policy + devmap redirect, 100 k flows / plain forwarding",
     {kRate, "sluice/uplink/redirect/flows:100000"},
     kForward,
     kAtLeast,
     1.8,
     {kRedirected, kFewFlows, {kRate, "sluice/uplink/redirect/flows:1000"}}},
    {"pod to pod, 100 k flows / plain forwarding",
     {kRate, "pods/sluice/redirect-peer/flows:100000"},
     kPodsForward,
     kAtLeast,
     1.2,
     {kRedirected, kFewFlows, {kRate, "pods/sluice/redirect-peer/flows:1000"}}},
    {"pod to pod, 1 k flows / bare redirect_peer",
     {kRate, "pods/sluice/redirect-peer/flows:1000"},
     kPodsRedirect,
     kAtLeast,
     0.9,
     {kHotWork, kPeerAlone, kPodsRedirect, kTcHash, kTcParse}},
    Tcp("TCP stream, 0 rules / plain routing", kStream0, kStream, kStream0),
    Tcp("TCP stream, 100 rules / plain routing", "sluice/rules:100/stream Mbit/s", kStream, kStream0),
    Tcp("TCP stream, 10 k rules / plain routing", "sluice/rules:10000/stream Mbit/s", kStream, kStream0),
    Tcp("TCP request/response, 0 rules / plain routing", kRequests0, kRequests, kRequests0),
    Tcp("TCP request/response, 100 rules / plain routing", "sluice/rules:100/request/response a second", kRequests,
        kRequests0),
    Tcp("TCP request/response, 10 k rules / plain routing", "sluice/rules:10000/request/response a second", kRequests,
        kRequests0),
    Tcp("TCP connect/close, 0 rules / plain routing", kConnects0, kConnects, kConnects0, kConnectionCost),
    Tcp("TCP connect/close, 100 rules / plain routing", "sluice/rules:100/connect/close a second", kConnects,
        kConnects0, kConnectionCost),
    Tcp("TCP connect/close, 10 k rules / plain routing", "sluice/rules:10000/connect/close a second", kConnects,
        kConnects0, kConnectionCost),
};

}  // namespace

std::span<const Goal> PacketGoals() { return kGoals; }

}  // namespace sluice::perf
