#include "perf/rate/case.h"

#include <set>

#include "perf/net/allow.h"
#include "perf/rate/rules.h"
#include "perf/rate/xdp_filter.h"

namespace sluice::perf {
namespace {

// Packets of a sample: about a quarter of a second.
constexpr std::uint32_t kXdpPackets = 1 << 20, kSkbPackets = 1 << 19, kStackPackets = 1 << 18;
constexpr std::uint32_t kFewFlows = 1000, kManyFlows = 100000;
constexpr std::uint32_t kMoreThanRemembered = 131072;  // sources of packets that are all of new, denied flows
constexpr std::uint32_t kChecked = 64;
constexpr char kNetdevAddresses[] = "nft/netdev/drop/addresses:10000", kNetdevCidrs[] = "nft/netdev/drop/cidrs:10000";
constexpr char kForward[] = "kernel/forward/flows:1000", kNftForward[] = "nft/forward-ct/addresses:10000";
constexpr char kSluiceDeniedPods[] = "sluice/uplink/denied/pods:10000";
constexpr std::string_view kTwoCores = "two-cores/";
constexpr char kPodsRedirect[] = "pods/redirect-peer/bare", kPodsForward[] = "pods/kernel/forward/flows:1000",
               kPodsNftForward[] = "pods/nft/forward-ct/addresses:10000";

Load Flows(std::uint32_t packets, std::uint32_t flows) { return {.packets = packets, .flows = flows}; }

// Each packet from any of the listed addresses, or from one in any of the listed blocks.
Load Listed(std::uint32_t packets, bool cidrs = false, int listed = kListed) {
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
std::string Allowed(const Lane& lane) {
  return SluiceAllow({.sender = &lane.sender(),
                      .local_sender = lane.sender().name != "outside",
                      .receiver = &lane.receiver(),
                      .rules = kListed});
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

Status Ipset(Lane* lane) {
  SL_RETURN_IF_ERROR(lane->Command({"ipset", "restore"}, IpsetList()));
  return lane->Command(
      {"iptables-legacy", "-t", "raw", "-A", "PREROUTING", "-m", "set", "--match-set", "blocked", "src", "-j", "DROP"});
}

void AddFloors(std::vector<RateCase>* cases) {
  const Load xdp = Flows(kXdpPackets, kFewFlows);
  cases->push_back({.name = kBareDrop, .floor = true, .load = xdp, .setup = Xdp("rate_xdp_drop")});
  cases->push_back({.name = "xdp/tx/bare", .against = {kBareDrop}, .load = xdp, .passes = true, .setup = XdpTx});
  cases->push_back({.name = kBareRedirect,
                    .against = {kBareDrop},
                    .floor = true,
                    .load = xdp,
                    .passes = true,
                    .setup = XdpRedirect});
  cases->push_back(
      {.name = "tc/drop/bare", .against = {kBareDrop}, .load = Flows(kSkbPackets, kFewFlows), .setup = [](Lane* lane) {
         return lane->AttachTc("rate_tc_drop", Place::kNode);
       }});
}

void AddPeers(std::vector<RateCase>* cases) {
  const auto block = [&](RateCase one) {
    one.against.insert(one.against.begin(), kBareDrop);
    one.opposite = FromSender();
    cases->push_back(std::move(one));
  };
  block({.name = "xdp-filter/drop/addresses:9999",
         .load = Listed(kXdpPackets, false, kXdpFilterAddresses),
         .setup = XdpFilter,
         .tool = "xdp-filter"});
  const auto nft = [&](const std::string& name, NftHook hook, bool cidrs = false, bool conntrack = false) {
    RateCase one{.name = name,
                 .load = Listed(kStackPackets, cidrs),
                 .setup = Nft(NftBlock(hook, cidrs, conntrack)),
                 .tool = "nft"};
    if (hook == NftHook::kInput) {
      one.arrival = Arrival::kLocalStack;
      one.load.to_node = true;
    }
    return one;
  };
  block(nft(kNetdevAddresses, NftHook::kNetdev));
  block(nft(kNetdevCidrs, NftHook::kNetdev, true));
  block(nft("nft/prerouting/drop/addresses:10000", NftHook::kPrerouting));
  block(nft("nft/input/drop/addresses:10000", NftHook::kInput));
  block(nft("nft/input-ct/drop/addresses:10000", NftHook::kInput, false, true));
  block(
      {.name = "iptables/prerouting/drop/ipset:10000", .load = Listed(kStackPackets), .setup = Ipset, .tool = "ipset"});
  const Load forwarded = Flows(kStackPackets, kFewFlows);
  cases->push_back({.name = kForward, .against = {kBareRedirect}, .load = forwarded, .passes = true});
  cases->push_back({.name = kNftForward,
                    .against = {kBareRedirect, kForward},
                    .load = forwarded,
                    .passes = true,
                    .answered = true,
                    .opposite = FromStranger(),
                    .setup = [](Lane* lane) { return Nft(NftForwardSet(kListed, lane->sender().ip4))(lane); },
                    .tool = "nft"});
}

void AddSluice(std::vector<RateCase>* cases) {
  const auto denied = [&](const std::string& what, SluiceList list, std::vector<std::string> against) {
    against.insert(against.begin(), kBareDrop);
    RateCase one{.name = "sluice/uplink/denied/" + what,
                 .against = std::move(against),
                 .load = Listed(kXdpPackets, list == SluiceList::kCidrs),
                 .opposite = FromSender(),
                 .resources = [list](const Lane& lane) { return SluiceBlock(lane, list); }};
    cases->push_back(std::move(one));
  };
  const std::vector<std::string> address_peers = {
      "xdp-filter/drop/addresses:9999", kNetdevAddresses, "nft/prerouting/drop/addresses:10000",
      "nft/input-ct/drop/addresses:10000", "iptables/prerouting/drop/ipset:10000"};
  denied("pods:10000", SluiceList::kPods, address_peers);
  cases->back().events = Events::kAggregated;
  denied("addresses:10000", SluiceList::kAddresses, address_peers);
  denied("cidrs:10000", SluiceList::kCidrs, {kNetdevCidrs});

  RateCase fresh{.name = "sluice/uplink/denied/all-new",
                 .against = {kBareDrop},
                 .load = Listed(kXdpPackets, false, kMoreThanRemembered),
                 .opposite = FromSender(),
                 .resources = SluiceBlockRange,
                 .events = Events::kEveryPacket};
  fresh.load.random = false;
  cases->push_back(std::move(fresh));

  for (const std::uint32_t flows : {kFewFlows, kManyFlows})
    cases->push_back({.name = fmt::format("{}{}", kSluiceRedirect, flows),
                      .against = {kBareRedirect, kForward, kNftForward},
                      .load = Flows(kXdpPackets, flows),
                      .passes = true,
                      .answered = true,
                      .opposite = FromStranger(),
                      .setup = [](Lane* lane) { return lane->AttachXdp("rate_xdp_sink", Place::kReceiver); },
                      .resources = Allowed});
}

void AddPods(std::vector<RateCase>* cases) {
  cases->push_back({.name = kPodsRedirect,
                    .floor = true,
                    .wire = Wire::kPods,
                    .load = Flows(kSkbPackets, kFewFlows),
                    .passes = true,
                    .setup = RedirectPeer});
  cases->push_back({.name = kPodsForward,
                    .against = {kPodsRedirect},
                    .wire = Wire::kPods,
                    .load = Flows(kStackPackets, kFewFlows),
                    .passes = true});
  cases->push_back({.name = kPodsNftForward,
                    .against = {kPodsRedirect, kPodsForward},
                    .wire = Wire::kPods,
                    .load = Flows(kStackPackets, kFewFlows),
                    .passes = true,
                    .answered = true,
                    .opposite = FromStranger(),
                    .setup = [](Lane* lane) { return Nft(NftForwardSet(kListed, lane->sender().ip4))(lane); },
                    .tool = "nft"});
  for (const std::uint32_t flows : {kFewFlows, kManyFlows})
    cases->push_back({.name = fmt::format("pods/sluice/redirect-peer/flows:{}", flows),
                      .against = {kPodsRedirect, kPodsForward, kPodsNftForward},
                      .wire = Wire::kPods,
                      .load = Flows(kSkbPackets, flows),
                      .passes = true,
                      .answered = true,
                      .opposite = ToOtherPorts(),
                      .resources = Allowed});
}

// Some of the cases again, on two cores, beside each other.
void AddTwoCores(std::vector<RateCase>* cases) {
  const std::set<std::string> chosen = {kBareDrop, kBareRedirect,     kNetdevAddresses,
                                        kForward,  kSluiceDeniedPods, fmt::format("{}{}", kSluiceRedirect, kFewFlows)};
  std::vector<RateCase> added;
  for (RateCase one : *cases) {
    if (!chosen.contains(one.name)) continue;
    one.two_cores = true;
    one.events = Events::kNone;
    one.name = fmt::format("{}{}", kTwoCores, one.name);
    std::erase_if(one.against, [&](const std::string& other) { return !chosen.contains(other); });
    for (std::string& other : one.against) other = fmt::format("{}{}", kTwoCores, other);
    added.push_back(std::move(one));
  }
  cases->insert(cases->end(), added.begin(), added.end());
}

}  // namespace

std::vector<Row> RowsOf(const RateCase& what) {
  std::vector<Row> rows = {{.name = what.name, .against = what.against}};
  const auto add = [&](const char* suffix) {
    rows.push_back({.name = rows.back().name + suffix, .against = {rows.back().name}});
  };
  if (what.events == Events::kAggregated) add("/watched");
  if (what.events == Events::kEveryPacket) {
    add("/an-event-each");
    add("/events-read");
  }
  return rows;
}

std::vector<RateCase> AllRateCases() {
  std::vector<RateCase> cases;
  AddFloors(&cases);
  AddPeers(&cases);
  AddSluice(&cases);
  AddPods(&cases);
  AddTwoCores(&cases);
  return cases;
}

}  // namespace sluice::perf
