#include "perf/rate/case.h"

#include <set>

#include "perf/rate/case_list.h"

namespace sluice::perf {
namespace {

constexpr std::uint32_t kFew = 64;

RateSizes SizesOf(bool brief) {
  if (brief) return {{100}, 100, {1000}, 1 << 14, 1 << 14, 1 << 14};
  return {{1, 1000, 10000, 100000}, 10000, {1000, 100000}, 1 << 20, 1 << 19, 1 << 18};
}

// Adds the chosen cases again under a prefix, with a change.
void AddAgain(const std::string& prefix, const std::set<std::string>& chosen,
              const std::function<void(RateCase*)>& change, std::vector<RateCase>* cases) {
  std::vector<RateCase> added;
  for (RateCase one : *cases) {
    if (!chosen.contains(one.name)) continue;
    one.name.insert(0, prefix);
    one.events = Events::kNone;
    one.captures = false;
    std::erase_if(one.against, [&](const std::string& other) { return !chosen.contains(other); });
    for (std::string& other : one.against) other.insert(0, prefix);
    change(&one);
    added.push_back(std::move(one));
  }
  cases->insert(cases->end(), added.begin(), added.end());
}

}  // namespace

Load Flows(std::uint32_t packets, std::uint32_t flows) { return {.packets = packets, .flows = flows}; }

Load Listed(std::uint32_t packets, int listed, bool cidrs) {
  return {.packets = packets,
          .flows = static_cast<std::uint32_t>(listed),
          .from = cidrs ? From::kListedBlocks : From::kListed};
}

Load FewFromSender() { return {.packets = kFew, .flows = kFew, .random = false}; }
Load FewFromStrangers() { return {.packets = kFew, .flows = kFew, .random = false, .from = From::kStrangers}; }
Load FewToServicesFrom(std::uint32_t service) {
  const std::uint32_t before = service * PERF_CLIENT_PORTS;
  return {.packets = kFew, .flows = before + kFew, .random = false, .first_flow = before};
}

bool NeedsDpdk(const RateCase& what) {
  return what.dpdk_sink || what.generator == GeneratorKind::kDpdkAfPacket ||
         what.generator == GeneratorKind::kDpdkAfXdp;
}

std::vector<Row> RowsOf(const RateCase& what) {
  std::vector<Row> rows = {{.name = what.name, .against = what.against}};
  if (what.flood.packets > 0) rows.push_back({.name = what.name + "/beside-flood", .against = {what.name}});
  if (what.events == Events::kAggregated) rows.push_back({.name = what.name + "/watched", .against = {what.name}});
  if (what.events == Events::kEveryPacket) {
    const std::string watched = what.name + "/an-event-each";
    rows.push_back({.name = watched, .against = {what.name}});
    rows.push_back({.name = watched + "/events-read", .against = {watched}});
    rows.push_back({.name = watched + "/events-lost", .unit = "events"});
  }
  if (what.captures) {
    for (const char* const whose : {"/captured", "/both-captured", "/beside-a-capture"})
      rows.push_back({.name = what.name + whose, .against = {what.name}});
  }
  return rows;
}

std::vector<RateCase> AllRateCases(bool brief) {
  const RateSizes sizes = SizesOf(brief);
  const PeerNames peers(sizes);
  std::vector<RateCase> cases;
  AddFloors(sizes, &cases);
  AddPeers(sizes, &cases);
  AddSluice(sizes, &cases);

  std::set<std::string> chosen = {kBareDrop, PeerNames::Nft(sizes.listed), SluiceDeniedPods(sizes.listed),
                                  kBareRedirect, SluiceRedirect(sizes.few())};
  const std::set<std::string> by_af_xdp = chosen;
  chosen.insert({peers.forward, kPodsRedirect, peers.pods_forward, SluicePods(sizes.few())});
  const std::set<std::string> on_two_cores = chosen;
  chosen.insert({peers.nft_forward, peers.pods_nft_forward});
  AddAgain(
      "v6/", chosen, [](RateCase* one) { one->topology.v6 = true; }, &cases);
  AddAgain(
      "two-cores/", on_two_cores, [](RateCase* one) { one->two_cores = true; }, &cases);
  AddAgain(
      "af-xdp/", by_af_xdp,
      [&sizes](RateCase* one) {
        one->two_cores = true;
        one->generator = GeneratorKind::kAfXdp;
        one->load.packets = sizes.stack_packets;  // the stack is slower
      },
      &cases);
  for (const auto& [prefix, kind] :
       {std::pair{"dpdk-af_packet/", GeneratorKind::kDpdkAfPacket}, {"dpdk-af_xdp/", GeneratorKind::kDpdkAfXdp}})
    AddAgain(
        prefix, {kBareDrop, kBareRedirect, SluiceDeniedPods(sizes.listed), SluiceRedirect(sizes.few())},
        [&sizes, kind = kind](RateCase* one) {
          one->two_cores = true;
          one->generator = kind;
          one->load.packets = sizes.stack_packets;
        },
        &cases);
  cases.push_back({.name = "dpdk-af_xdp/sink",
                   .against = {kBareDrop},
                   .load = Flows(sizes.xdp_packets, sizes.few()),
                   .dpdk_sink = true});
  return cases;
}

}  // namespace sluice::perf
