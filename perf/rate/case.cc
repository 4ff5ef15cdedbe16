#include "perf/rate/case.h"

#include <algorithm>
#include <set>

#include "perf/net/allow.h"
#include "perf/rate/rules.h"
#include "perf/rate/xdp_filter.h"

namespace sluice::perf {
namespace {

struct RateSizes {
  int listed;                        // addresses, blocks or pods of a list
  std::vector<std::uint32_t> flows;  // the first is that of floors and peers
  // Packets of a sample, by how far they come. In full, about a quarter of a second.
  std::uint32_t xdp_packets;
  std::uint32_t skb_packets;
  std::uint32_t stack_packets;
};

RateSizes SizesOf(bool brief) {
  if (brief) return {100, {1000}, 1 << 14, 1 << 14, 1 << 14};
  return {10000, {1000, 100000}, 1 << 20, 1 << 19, 1 << 18};
}

constexpr std::uint32_t kMoreThanRemembered = 131072;  // sources of packets that are all of new, denied flows
constexpr std::uint32_t kChecked = 64;
constexpr char kPodsRedirect[] = "pods/redirect-peer/bare";

Load Flows(std::uint32_t packets, std::uint32_t flows) { return {.packets = packets, .flows = flows}; }

// Each packet from any of the listed addresses, or from one in any of the listed blocks.
Load Listed(std::uint32_t packets, int listed, bool cidrs = false) {
  return {.packets = packets,
          .flows = static_cast<std::uint32_t>(listed),
          .source = cidrs ? "198.18.0.7" : kFirstListed,
          .stride = cidrs ? 16U : 1U};
}

Load FromSender() { return {.packets = kChecked, .flows = kChecked, .random = false}; }
Load FromStranger() {
  return {.packets = kChecked, .flows = kChecked, .random = false, .source = "203.0.113.1", .stride = 1};
}
// Of flows behind the ports that are allowed.
Load ToOtherPorts() {
  constexpr std::uint32_t kAllowed = PERF_CLIENT_PORTS * PERF_SERVICE_PORTS;
  return {.packets = kChecked, .flows = kAllowed + kChecked, .random = false, .first_flow = kAllowed};
}

std::function<Status(Lane*)> Xdp(const std::string& program) {
  return [program](Lane* lane) { return lane->AttachXdp(program, Place::kNode); };
}

std::function<Status(Lane*)> Nft(const std::string& rules) {
  return [rules](Lane* lane) { return lane->Command({"nft", "-f", "-"}, rules); };
}

// The sender, among as many listed pods.
std::string Allowed(const Lane& lane, int listed) {
  return SluiceAllow({.sender = &lane.sender(),
                      .local_sender = lane.sender().name != "outside",
                      .receiver = &lane.receiver(),
                      .rules = listed});
}

Status XdpRedirect(Lane* lane) {
  SL_RETURN_IF_ERROR(lane->AimRedirects());
  SL_RETURN_IF_ERROR(lane->AttachXdp("rate_xdp_redirect", Place::kNode));
  return lane->AttachXdp("rate_xdp_sink", Place::kReceiver);
}

Status XdpTx(Lane* lane) {
  SL_RETURN_IF_ERROR(lane->AttachXdp("rate_xdp_tx", Place::kNode));
  return lane->AttachXdp("rate_xdp_sink", Place::kSender);
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

// Every case of these sizes. What is compared is named where it is made.
class Cases {
 public:
  explicit Cases(const RateSizes& sizes) : sizes_(sizes), few_(sizes.flows.front()) {}

  std::vector<RateCase> Take() && {
    AddFloors();
    AddPeers();
    AddSluice();
    AddPods();
    AddTwoCores();
    AddAfXdp();
    AddDpdk();
    return std::move(cases_);
  }

 private:
  void AddFloors() {
    const Load xdp = Flows(sizes_.xdp_packets, few_);
    Add({.name = kBareDrop, .floor = true, .load = xdp, .setup = Xdp("rate_xdp_drop")});
    Add({.name = "xdp/tx/bare", .against = {kBareDrop}, .load = xdp, .passes = true, .setup = XdpTx});
    Add({.name = kBareRedirect,
         .against = {kBareDrop},
         .floor = true,
         .load = xdp,
         .passes = true,
         .setup = XdpRedirect});
    Add({.name = "tc/drop/bare",
         .against = {kBareDrop},
         .load = Flows(sizes_.skb_packets, few_),
         .setup = [](Lane* lane) { return lane->AttachTc("rate_tc_drop", Place::kNode); }});
  }

  // A peer with a list.
  void Block(RateCase one) {
    one.against.insert(one.against.begin(), kBareDrop);
    one.opposite = FromSender();
    Add(std::move(one));
  }

  void BlockByNft(const std::string& name, NftHook hook, bool cidrs = false, bool conntrack = false) {
    RateCase one{.name = name,
                 .load = Listed(sizes_.stack_packets, sizes_.listed, cidrs),
                 .setup = Nft(NftBlock(sizes_.listed, {.hook = hook, .cidrs = cidrs, .conntrack = conntrack})),
                 .tool = "nft"};
    if (hook == NftHook::kInput) {
      one.arrival = Arrival::kLocalStack;
      one.load.to_node = true;
    }
    Block(std::move(one));
  }

  void AddPeers() {
    const int blocked = std::min(sizes_.listed, kXdpFilterAddresses);
    Block({.name = xdp_filter_,
           .load = Listed(sizes_.xdp_packets, blocked),
           .setup = [blocked](Lane* lane) { return XdpFilter(lane, blocked); },
           .tool = "xdp-filter"});
    BlockByNft(netdev_addresses_, NftHook::kNetdev);
    BlockByNft(netdev_cidrs_, NftHook::kNetdev, true);
    BlockByNft(prerouting_, NftHook::kPrerouting);
    BlockByNft(OfList("nft/input/drop/addresses"), NftHook::kInput);
    BlockByNft(input_ct_, NftHook::kInput, false, true);
    Block({.name = ipset_,
           .load = Listed(sizes_.stack_packets, sizes_.listed),
           .setup = [listed = sizes_.listed](Lane* lane) { return Ipset(lane, listed); },
           .tool = "ipset"});
    AddForwarding(Wire::kUplink, forward_, {kBareRedirect});
    AddNftForwarding(Wire::kUplink, nft_forward_, {kBareRedirect, forward_});
  }

  void AddForwarding(Wire wire, const std::string& name, std::vector<std::string> against) {
    Add({.name = name,
         .against = std::move(against),
         .wire = wire,
         .load = Flows(sizes_.stack_packets, few_),
         .passes = true});
  }

  void AddNftForwarding(Wire wire, const std::string& name, std::vector<std::string> against) {
    const auto allow = [listed = sizes_.listed](Lane* lane) {
      return Nft(NftForwardSet(listed, lane->sender().ip4))(lane);
    };
    Add({.name = name,
         .against = std::move(against),
         .wire = wire,
         .load = Flows(sizes_.stack_packets, few_),
         .passes = true,
         .answered = true,
         .opposite = FromStranger(),
         .setup = allow,
         .tool = "nft"});
  }

  void Deny(const std::string& name, SluiceList list, std::vector<std::string> against) {
    against.insert(against.begin(), kBareDrop);
    Add({.name = name,
         .against = std::move(against),
         .load = Listed(sizes_.xdp_packets, sizes_.listed, list == SluiceList::kCidrs),
         .opposite = FromSender(),
         .resources = [list, listed = sizes_.listed](const Lane& lane) { return SluiceBlock(lane, list, listed); }});
  }

  void AddSluice() {
    const std::vector<std::string> address_peers = {xdp_filter_, netdev_addresses_, prerouting_, input_ct_, ipset_};
    Deny(denied_pods_, SluiceList::kPods, address_peers);
    cases_.back().events = Events::kAggregated;
    Deny(OfList("sluice/uplink/denied/addresses"), SluiceList::kAddresses, address_peers);
    Deny(OfList("sluice/uplink/denied/cidrs"), SluiceList::kCidrs, {netdev_cidrs_});

    RateCase fresh{.name = "sluice/uplink/denied/all-new",
                   .against = {kBareDrop},
                   .load = Listed(std::max(sizes_.xdp_packets, kMoreThanRemembered), kMoreThanRemembered),
                   .opposite = FromSender(),
                   .resources = SluiceBlockRange,
                   .events = Events::kEveryPacket};
    fresh.load.random = false;
    Add(std::move(fresh));

    for (const std::uint32_t flows : sizes_.flows)
      Add({.name = fmt::format("{}{}", kSluiceRedirect, flows),
           .against = {kBareRedirect, forward_, nft_forward_},
           .load = Flows(sizes_.xdp_packets, flows),
           .passes = true,
           .answered = true,
           .opposite = FromStranger(),
           .setup = [](Lane* lane) { return lane->AttachXdp("rate_xdp_sink", Place::kReceiver); },
           .resources = [listed = sizes_.listed](const Lane& lane) { return Allowed(lane, listed); }});
  }

  void AddPods() {
    Add({.name = kPodsRedirect,
         .floor = true,
         .wire = Wire::kPods,
         .load = Flows(sizes_.skb_packets, few_),
         .passes = true,
         .setup = RedirectPeer});
    AddForwarding(Wire::kPods, pods_forward_, {kPodsRedirect});
    AddNftForwarding(Wire::kPods, pods_nft_forward_, {kPodsRedirect, pods_forward_});
    for (const std::uint32_t flows : sizes_.flows)
      Add({.name = fmt::format("pods/sluice/redirect-peer/flows:{}", flows),
           .against = {kPodsRedirect, pods_forward_, pods_nft_forward_},
           .wire = Wire::kPods,
           .load = Flows(sizes_.skb_packets, flows),
           .passes = true,
           .answered = true,
           .opposite = ToOtherPorts(),
           .resources = [listed = sizes_.listed](const Lane& lane) { return Allowed(lane, listed); }});
  }

  // Some of the cases again, beside each other, with something changed.
  void AddAgain(const std::string& prefix, const std::set<std::string>& chosen,
                const std::function<void(RateCase*)>& change) {
    std::vector<RateCase> added;
    for (RateCase one : cases_) {
      if (!chosen.contains(one.name)) continue;
      one.name.insert(0, prefix);
      one.events = Events::kNone;
      std::erase_if(one.against, [&](const std::string& other) { return !chosen.contains(other); });
      for (std::string& other : one.against) other.insert(0, prefix);
      change(&one);
      added.push_back(std::move(one));
    }
    cases_.insert(cases_.end(), added.begin(), added.end());
  }

  void AddTwoCores() {
    AddAgain("two-cores/", {kBareDrop, kBareRedirect, netdev_addresses_, forward_, denied_pods_, sluice_redirect_},
             [](RateCase* one) { one->two_cores = true; });
  }

  void AddAfXdp() {
    AddAgain("af-xdp/", {kBareDrop, kBareRedirect, netdev_addresses_, denied_pods_, sluice_redirect_},
             [this](RateCase* one) {
               one->two_cores = true;
               one->generator = GeneratorKind::kAfXdp;
               one->load.packets = sizes_.stack_packets;  // it is slower
             });
  }

  void AddDpdk() {
    for (const auto& [prefix, kind] :
         {std::pair{"dpdk-af_packet/", GeneratorKind::kDpdkAfPacket}, {"dpdk-af_xdp/", GeneratorKind::kDpdkAfXdp}})
      AddAgain(prefix, {kBareDrop, kBareRedirect, denied_pods_, sluice_redirect_}, [&](RateCase* one) {
        one->two_cores = true;
        one->generator = kind;
        one->load.packets = sizes_.stack_packets;
      });
  }

  void Add(RateCase one) { cases_.push_back(std::move(one)); }
  std::string OfList(const char* what) const { return fmt::format("{}:{}", what, sizes_.listed); }

  const RateSizes sizes_;
  const std::uint32_t few_;
  const std::string xdp_filter_ =
      fmt::format("xdp-filter/drop/addresses:{}", std::min(sizes_.listed, kXdpFilterAddresses));
  const std::string netdev_addresses_ = OfList("nft/netdev/drop/addresses");
  const std::string netdev_cidrs_ = OfList("nft/netdev/drop/cidrs");
  const std::string prerouting_ = OfList("nft/prerouting/drop/addresses");
  const std::string input_ct_ = OfList("nft/input-ct/drop/addresses");
  const std::string ipset_ = OfList("iptables/prerouting/drop/ipset");
  const std::string forward_ = fmt::format("kernel/forward/flows:{}", few_);
  const std::string nft_forward_ = OfList("nft/forward-ct/addresses");
  const std::string denied_pods_ = OfList("sluice/uplink/denied/pods");
  const std::string sluice_redirect_ = fmt::format("{}{}", kSluiceRedirect, few_);
  const std::string pods_forward_ = "pods/" + forward_;
  const std::string pods_nft_forward_ = "pods/" + nft_forward_;
  std::vector<RateCase> cases_;
};

}  // namespace

std::vector<Row> RowsOf(const RateCase& what) {
  std::vector<Row> rows = {{.name = what.name, .against = what.against}};
  if (what.events == Events::kAggregated) rows.push_back({.name = what.name + "/watched", .against = {what.name}});
  if (what.events == Events::kEveryPacket) {
    const std::string watched = what.name + "/an-event-each";
    rows.push_back({.name = watched, .against = {what.name}});
    rows.push_back({.name = watched + "/events-read", .against = {watched}});
    rows.push_back({.name = watched + "/events-lost", .unit = "events"});
  }
  return rows;
}

std::vector<RateCase> AllRateCases(bool brief) { return Cases(SizesOf(brief)).Take(); }

}  // namespace sluice::perf
