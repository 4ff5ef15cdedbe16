#include <algorithm>
#include <set>

#include "perf/net/allow.h"
#include "perf/rate/case_list.h"
#include "perf/rate/rules.h"
#include "perf/rate/xdp_filter.h"

namespace sluice::perf {
namespace {

std::function<Status(Lane*)> Xdp(const std::string& program) {
  return [program](Lane* lane) { return lane->AttachXdp(program, Place::kNode); };
}

Status XdpTx(Lane* lane) {
  SL_RETURN_IF_ERROR(lane->AttachXdp("rate_xdp_tx", Place::kNode));
  return lane->AttachXdp("rate_xdp_sink", Place::kSender);
}

Status XdpRedirect(Lane* lane) {
  SL_RETURN_IF_ERROR(lane->AimRedirects());
  SL_RETURN_IF_ERROR(lane->AttachXdp("rate_xdp_redirect", Place::kNode));
  return lane->AttachXdp("rate_xdp_sink", Place::kReceiver);
}

Status RedirectPeer(Lane* lane) {
  SL_RETURN_IF_ERROR(lane->AimRedirects());
  return lane->AttachTc("rate_tc_redirect_peer", Place::kNode);
}

Status Ipset(Lane* lane, int listed) {
  SL_RETURN_IF_ERROR(lane->Command({"ipset", "restore"}, IpsetList(listed)));
  return lane->Command(
      {"iptables-legacy", "-t", "raw", "-A", "PREROUTING", "-m", "set", "--match-set", "blocked", "src", "-j", "DROP"});
}

RateCase Blocking(const std::string& name, const Load& load, const std::string& tool) {
  return {.name = name, .against = {kBareDrop}, .load = load, .opposite = FewFromSender(), .tool = tool};
}

RateCase BlockingNft(const std::string& name, std::uint32_t packets, int listed, const NftRules& rules) {
  RateCase one = Blocking(name, Listed(packets, listed, rules.cidrs), "nft");
  one.setup = [listed, rules](Lane* lane) {
    NftRules these = rules;
    these.v6 = lane->v6();
    return lane->Command({"nft", "-f", "-"}, NftBlock(listed, these));
  };
  if (rules.hook == NftHook::kInput) {
    one.lane.arrival = Arrival::kLocalStack;
    one.load.to_node = true;
  }
  return one;
}

RateCase Forwarding(const std::string& name, const RateSizes& sizes, Wire wire, std::vector<std::string> against) {
  return {.name = name,
          .against = std::move(against),
          .lane = {.wire = wire},
          .load = Flows(sizes.stack_packets, sizes.few()),
          .passes = true};
}

RateCase ForwardingNft(const std::string& name, const RateSizes& sizes, Wire wire, bool conntrack,
                       std::vector<std::string> against) {
  RateCase one = Forwarding(name, sizes, wire, std::move(against));
  one.answered = conntrack;
  one.opposite = FewFromStrangers();
  one.setup = [listed = sizes.listed, conntrack](Lane* lane) {
    const ForwardSet set{
        .listed = listed, .allowed = lane->AddressOf(lane->sender()), .v6 = lane->v6(), .conntrack = conntrack};
    return lane->Command({"nft", "-f", "-"}, NftForwardSet(set));
  };
  one.tool = "nft";
  return one;
}

}  // namespace

PeerNames::PeerNames(const RateSizes& sizes)
    : prerouting(fmt::format("nft/prerouting/drop/addresses:{}", sizes.listed)),
      input_ct(fmt::format("nft/input-ct/drop/addresses:{}", sizes.listed)),
      ipset(fmt::format("iptables/prerouting/drop/ipset:{}", sizes.listed)),
      forward(fmt::format("kernel/forward/flows:{}", sizes.few())),
      nft_forward(fmt::format("nft/forward-ct/addresses:{}", sizes.listed)),
      pods_forward("pods/" + forward),
      pods_nft_forward("pods/" + nft_forward) {}

std::string PeerNames::XdpFilter(int listed) {
  return fmt::format("xdp-filter/drop/addresses:{}", std::min(listed, kXdpFilterAddresses));
}
std::string PeerNames::Netdev(int listed) { return fmt::format("nft/netdev/drop/addresses:{}", listed); }
std::string PeerNames::NetdevCidrs(int listed) { return fmt::format("nft/netdev/drop/cidrs:{}", listed); }

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
  cases->push_back({.name = kTcDrop, .against = {kBareDrop}, .load = skb, .setup = [](Lane* lane) {
                      return lane->AttachTc("rate_tc_drop", Place::kNode);
                    }});
  cases->push_back({.name = kPodsRedirect,
                    .floor = true,
                    .lane = {.wire = Wire::kPods},
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
    cases->back().setup = [length](Lane* lane) { return XdpFilter(lane, length); };
  }
  for (const int length : sizes.lists)
    cases->push_back(BlockingNft(PeerNames::Netdev(length), sizes.stack_packets, length, {}));
  for (const int length : sizes.lists)
    cases->push_back(BlockingNft(PeerNames::NetdevCidrs(length), sizes.stack_packets, length, {.cidrs = true}));
  const auto block = [&](const std::string& name, const NftRules& rules) {
    cases->push_back(BlockingNft(name, sizes.stack_packets, sizes.listed, rules));
  };
  block(names.prerouting, {.hook = NftHook::kPrerouting});
  block(fmt::format("nft/prerouting-ct/drop/addresses:{}", sizes.listed),
        {.hook = NftHook::kPrerouting, .conntrack = true});
  block(fmt::format("nft/input/drop/addresses:{}", sizes.listed), {.hook = NftHook::kInput});
  block(names.input_ct, {.hook = NftHook::kInput, .conntrack = true});
  cases->push_back(Blocking(names.ipset, Listed(sizes.stack_packets, sizes.listed), "ipset"));
  cases->back().setup = [listed = sizes.listed](Lane* lane) { return Ipset(lane, listed); };

  const auto uplink = Wire::kUplink, pods = Wire::kPods;
  cases->push_back(Forwarding(names.forward, sizes, uplink, {kBareRedirect}));
  cases->push_back(ForwardingNft(fmt::format("nft/forward/addresses:{}", sizes.listed), sizes, uplink, false,
                                 {kBareRedirect, names.forward}));
  cases->push_back(ForwardingNft(names.nft_forward, sizes, uplink, true, {kBareRedirect, names.forward}));
  cases->push_back(Forwarding(names.pods_forward, sizes, pods, {kPodsRedirect}));
  cases->push_back(ForwardingNft(names.pods_nft_forward, sizes, pods, true, {kPodsRedirect, names.pods_forward}));
}

}  // namespace sluice::perf
