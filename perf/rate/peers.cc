#include <algorithm>
#include <set>

#include "perf/net/allow.h"
#include "perf/rate/case_list.h"
#include "perf/rate/xdp_filter.h"

namespace sluice::perf {
namespace {

std::function<Status(Topology*)> Xdp(const std::string& program) {
  return [program](Topology* topology) { return topology->AttachXdp(program, Place::kNode); };
}

Status XdpTx(Topology* topology) {
  SL_RETURN_IF_ERROR(topology->AttachXdp("rate_xdp_tx", Place::kNode));
  return topology->AttachXdp("rate_xdp_sink", Place::kSender);
}

Status XdpRedirect(Topology* topology) {
  SL_RETURN_IF_ERROR(topology->AimRedirects());
  SL_RETURN_IF_ERROR(topology->AttachXdp("rate_xdp_redirect", Place::kNode));
  return topology->AttachXdp("rate_xdp_sink", Place::kReceiver);
}

Status RedirectPeer(Topology* topology) {
  SL_RETURN_IF_ERROR(topology->AimRedirects());
  return topology->AttachTc("rate_tc_redirect_peer", Place::kNode);
}

constexpr const char* kNftHooks[] = {"netdev", "prerouting", "input"};  // by NftHook

Status Ipset(Topology* topology, int listed) {
  SL_RETURN_IF_ERROR(topology->Command({"ipset", "restore"}, IpsetList(listed)));
  return topology->Command(
      {"iptables-legacy", "-t", "raw", "-A", "PREROUTING", "-m", "set", "--match-set", "blocked", "src", "-j", "DROP"});
}

RateCase Blocking(const std::string& name, const Load& load, const std::string& tool) {
  return {.name = name, .against = {kBareDrop}, .load = load, .opposite = FewFromSender(), .tool = tool};
}

RateCase BlockingNft(std::uint32_t packets, int listed, const NftRules& rules) {
  RateCase one = Blocking(PeerNames::Nft(listed, rules), Listed(packets, listed, rules.cidrs), "nft");
  one.setup = [listed, rules](Topology* topology) {
    NftRules these = rules;
    these.v6 = topology->v6();
    return topology->Command({"nft", "-f", "-"}, NftBlock(listed, these));
  };
  if (rules.hook == NftHook::kInput) {
    one.topology.arrival = Arrival::kLocalStack;
    one.load.to_node = true;
  }
  return one;
}

RateCase Forwarding(const std::string& name, const RateSizes& sizes, Wire wire, const char* floor) {
  return {.name = name,
          .against = {floor},
          .topology = {.wire = wire},
          .load = Flows(sizes.stack_packets, sizes.few()),
          .passes = true};
}

// `plain`: the same without rules.
RateCase ForwardingNft(const RateCase& plain, const std::string& name, int listed, bool conntrack) {
  RateCase one = plain;
  one.name = name;
  one.against.push_back(plain.name);
  one.answered = conntrack;
  one.opposite = FewFromStrangers();
  one.setup = [listed, conntrack](Topology* topology) {
    const ForwardSet set{.listed = listed,
                         .allowed = topology->AddressOf(topology->sender()),
                         .v6 = topology->v6(),
                         .conntrack = conntrack};
    return topology->Command({"nft", "-f", "-"}, NftForwardSet(set));
  };
  one.tool = "nft";
  return one;
}

}  // namespace

PeerNames::PeerNames(const RateSizes& sizes)
    : forward(fmt::format("kernel/forward/flows:{}", sizes.few())),
      nft_forward(NftForward(sizes.listed, true)),
      pods_forward("pods/" + forward),
      pods_nft_forward("pods/" + nft_forward) {}

std::string PeerNames::XdpFilter(int listed) {
  return fmt::format("xdp-filter/drop/addresses:{}", std::min(listed, kXdpFilterAddresses));
}
std::string PeerNames::Nft(int listed, const NftRules& rules) {
  return fmt::format("nft/{}{}/drop/{}:{}", kNftHooks[static_cast<int>(rules.hook)], rules.conntrack ? "-ct" : "",
                     rules.cidrs ? "cidrs" : "addresses", listed);
}
std::string PeerNames::Ipset(int listed) { return fmt::format("iptables/prerouting/drop/ipset:{}", listed); }
std::string PeerNames::NftForward(int listed, bool conntrack) {
  return fmt::format("nft/forward{}/addresses:{}", conntrack ? "-ct" : "", listed);
}

void AddFloors(const RateSizes& sizes, std::vector<RateCase>* cases) {
  const Load xdp = Flows(sizes.xdp_packets, sizes.few()), skb = Flows(sizes.skb_packets, sizes.few());
  cases->push_back({.name = kBareDrop, .floor = true, .load = xdp, .setup = Xdp("rate_xdp_drop")});
  cases->push_back({.name = "xdp/tx/bare", .against = {kBareDrop}, .load = xdp, .passes = true, .setup = XdpTx});
  cases->push_back({.name = kBareRedirect,
                    .against = {kBareDrop},
                    .floor = true,
                    .load = xdp,
                    .passes = true,
                    .setup = XdpRedirect});
  cases->push_back({.name = kTcDrop, .against = {kBareDrop}, .load = skb, .setup = [](Topology* topology) {
                      return topology->AttachTc("rate_tc_drop", Place::kNode);
                    }});
  cases->push_back({.name = kPodsRedirect,
                    .floor = true,
                    .topology = {.wire = Wire::kPods},
                    .load = skb,
                    .passes = true,
                    .setup = RedirectPeer});
}

void AddPeers(const RateSizes& sizes, std::vector<RateCase>* cases) {
  const PeerNames names(sizes);
  std::set<int> lengths;
  for (const int length : sizes.lists) lengths.insert(std::min(length, kXdpFilterAddresses));
  for (const int length : lengths) {
    cases->push_back(Blocking(PeerNames::XdpFilter(length), Listed(sizes.xdp_packets, length), "xdp-filter"));
    cases->back().setup = [length](Topology* topology) { return XdpFilter(topology, length); };
  }
  constexpr NftRules kNft[] = {{},
                               {.cidrs = true},
                               {.hook = NftHook::kPrerouting},
                               {.hook = NftHook::kPrerouting, .conntrack = true},
                               {.hook = NftHook::kInput},
                               {.hook = NftHook::kInput, .conntrack = true}};
  for (const NftRules& rules : kNft)
    for (const int length : sizes.lists) cases->push_back(BlockingNft(sizes.stack_packets, length, rules));
  for (const int length : sizes.lists) {
    cases->push_back(Blocking(PeerNames::Ipset(length), Listed(sizes.stack_packets, length), "ipset"));
    cases->back().setup = [length](Topology* topology) { return Ipset(topology, length); };
  }

  const RateCase forward = Forwarding(names.forward, sizes, Wire::kUplink, kBareRedirect);
  cases->push_back(forward);
  for (const bool conntrack : {false, true})
    for (const int length : sizes.lists)
      cases->push_back(ForwardingNft(forward, PeerNames::NftForward(length, conntrack), length, conntrack));
  const RateCase pods = Forwarding(names.pods_forward, sizes, Wire::kPods, kPodsRedirect);
  cases->push_back(pods);
  cases->push_back(ForwardingNft(pods, names.pods_nft_forward, sizes.listed, true));
}

}  // namespace sluice::perf
