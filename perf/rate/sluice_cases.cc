#include <algorithm>

#include "perf/net/allow.h"
#include "perf/rate/case_list.h"

namespace sluice::perf {
namespace {

constexpr std::uint32_t kNeverSeen = 15 << 20;  // number of sources, so that all packets are of new, denied flows
constexpr std::uint32_t kFloodSources = 1'000'000;
constexpr int kAllowedFrom = PERF_SERVICE_PORTS / 2;  // first allowed service; lower ones are denied

std::string DeniedRow(const char* what, int listed) { return fmt::format("sluice/uplink/denied/{}:{}", what, listed); }

RateCase Denying(const std::string& name, std::uint32_t packets, SluiceList list, int listed,
                 std::vector<std::string> against) {
  against.insert(against.begin(), kBareDrop);
  return {.name = name,
          .against = std::move(against),
          .load = Listed(packets, listed, list == SluiceList::kCidrs),
          .opposite = FewFromSender(),
          .resources = [list, listed](const Topology& topology) { return SluiceBlock(topology, list, listed); }};
}

// The receiver's services from `first_service` on are open to the sender and to as many listed pods.
std::function<std::string(const Topology&)> Allowing(int listed, int first_service = 0) {
  return [listed, first_service](const Topology& topology) {
    return SluiceAllow({.sender = &topology.sender(),
                        .local_sender = topology.sender().name != "outside",
                        .receiver = &topology.receiver(),
                        .rules = listed,
                        .first_service = first_service,
                        .v6 = topology.v6()});
  };
}

// So that the redirect by devmap is possible.
Status CountByXdp(Topology* topology) { return topology->AttachXdp("rate_xdp_sink", Place::kReceiver); }

void AddUplinkDenied(const RateSizes& sizes, std::vector<RateCase>* cases) {
  const auto address_peers = [](int listed) -> std::vector<std::string> {
    return {PeerNames::XdpFilter(listed), PeerNames::Nft(listed),
            PeerNames::Nft(listed, {.hook = NftHook::kPrerouting}),
            PeerNames::Nft(listed, {.hook = NftHook::kInput, .conntrack = true}), PeerNames::Ipset(listed)};
  };
  // With a list longer than Sluice's table of denied flows, most packets are of new flows.
  const auto packets = [&](int listed) { return listed > sizes.listed ? sizes.stack_packets : sizes.xdp_packets; };
  for (const int listed : sizes.lists) {
    cases->push_back(
        Denying(SluiceDeniedPods(listed), packets(listed), SluiceList::kPods, listed, address_peers(listed)));
    if (listed == sizes.listed) cases->back().events = Events::kAggregated;
  }
  for (const int listed : sizes.lists)
    cases->push_back(Denying(DeniedRow("addresses", listed), packets(listed), SluiceList::kAddresses, listed,
                             address_peers(listed)));
  for (const int listed : sizes.lists)
    cases->push_back(Denying(DeniedRow("cidrs", listed), packets(listed), SluiceList::kCidrs, listed,
                             {PeerNames::Nft(listed, {.cidrs = true})}));
  RateCase fresh{.name = "sluice/uplink/denied/all-new",
                 .against = {kBareDrop},
                 .load = Listed(sizes.skb_packets, kNeverSeen),
                 .new_flows = true,
                 .opposite = FewFromSender(),
                 .resources = SluiceBlockRange,
                 .events = Events::kEveryPacket};
  fresh.load.random = false;
  cases->push_back(std::move(fresh));
}

// Sources that no rule allows, beside rules for others.
void AddFloods(const RateSizes& sizes, std::vector<RateCase>* cases) {
  for (const std::uint32_t sources : {sizes.few(), kFloodSources}) {
    RateCase one{.name = fmt::format("sluice/uplink/flood/sources:{}", sources),
                 .against = {kBareDrop},
                 .load = Flows(sizes.xdp_packets, sources),
                 .opposite = FewFromSender(),
                 .resources = Allowing(sizes.listed)};
    one.load.from = From::kStrangers;
    cases->push_back(std::move(one));
  }
  RateCase bursts{.name = fmt::format("sluice/uplink/bursts/flows:{}", sizes.few()),
                  .against = {kBareRedirect},
                  .topology = {.bystander = true},
                  .load = Flows(sizes.xdp_packets, sizes.few()),
                  .passes = true,
                  .answered = true,
                  .flood = Flows(sizes.xdp_packets, kFloodSources),
                  .opposite = FewFromStrangers(),
                  .setup = CountByXdp,
                  .resources = [allow = Allowing(sizes.listed)](const Topology& topology) {
                    return allow(topology) + SluiceClosed(topology.bystander());
                  }};
  bursts.flood.from = From::kStrangers;
  bursts.flood.to_bystander = true;
  cases->push_back(std::move(bursts));
}

// Adds the case once for each number of flows.
void AddForFlows(RateCase one, const std::vector<std::uint32_t>& numbers, std::uint32_t packets,
                 std::string (*name)(std::uint32_t flows), std::vector<RateCase>* cases) {
  for (const std::uint32_t flows : numbers) {
    one.name = name(flows);
    one.load = Flows(packets, flows);
    cases->push_back(one);
  }
}

void AddUplinkAllowed(const RateSizes& sizes, std::vector<RateCase>* cases) {
  const PeerNames peers(sizes);
  RateCase one{.against = {kBareDrop, kBareRedirect, peers.forward, peers.nft_forward},
               .passes = true,
               .answered = true,
               .opposite = FewFromStrangers(),
               .resources = Allowing(sizes.listed)};
  RateCase pass = one;
  one.setup = CountByXdp;
  AddForFlows(std::move(one), sizes.flows, sizes.xdp_packets, SluiceRedirect, cases);
  pass.name = fmt::format("sluice/uplink/pass/flows:{}", sizes.few());
  pass.load = Flows(sizes.stack_packets, sizes.few());
  pass.redirects = false;
  cases->push_back(std::move(pass));
}

void AddPods(const RateSizes& sizes, std::vector<RateCase>* cases) {
  const PeerNames peers(sizes);
  cases->push_back({.name = fmt::format("pods/sluice/denied/flows:{}", sizes.few()),
                    .against = {kTcDrop},
                    .topology = {.wire = Wire::kPods},
                    .load = Flows(sizes.skb_packets, sizes.few()),
                    .opposite = FewToServicesFrom(kAllowedFrom),
                    .resources = Allowing(sizes.listed, kAllowedFrom)});
  RateCase one{.against = {kPodsRedirect, peers.pods_forward, peers.pods_nft_forward},
               .topology = {.wire = Wire::kPods},
               .passes = true,
               .answered = true,
               .opposite = FewToServicesFrom(PERF_SERVICE_PORTS),
               .resources = Allowing(sizes.listed)};
  one.captures = true;
  AddForFlows(one, sizes.flows, sizes.skb_packets, SluicePods, cases);
  one.captures = false;
  one.name = fmt::format("pods/sluice/pass/flows:{}", sizes.few());
  one.load = Flows(sizes.stack_packets, sizes.few());
  one.redirects = false;
  cases->push_back(std::move(one));
}

}  // namespace

std::string SluiceDeniedPods(int listed) { return DeniedRow("pods", listed); }
std::string SluiceRedirect(std::uint32_t flows) { return fmt::format("{}{}", kSluiceRedirect, flows); }
std::string SluicePods(std::uint32_t flows) { return fmt::format("pods/sluice/redirect-peer/flows:{}", flows); }

void AddSluice(const RateSizes& sizes, std::vector<RateCase>* cases) {
  AddUplinkDenied(sizes, cases);
  AddFloods(sizes, cases);
  AddUplinkAllowed(sizes, cases);
  AddPods(sizes, cases);
}

}  // namespace sluice::perf
