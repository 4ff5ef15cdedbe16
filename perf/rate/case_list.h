// The cases by who they are of, and what they have in common. For case.cc, peers.cc and sluice_cases.cc.
#pragma once

#include "perf/rate/case.h"
#include "perf/rate/rules.h"

namespace sluice::perf {

struct RateSizes {
  std::vector<int> lists;            // lengths of lists
  int listed;                        // one of them, for what comes in one length only
  std::vector<std::uint32_t> flows;  // the first is that of floors and peers
  // Packets of a sample, by how far they come. In full, about a quarter of a second.
  std::uint32_t xdp_packets;
  std::uint32_t skb_packets;
  std::uint32_t stack_packets;

  std::uint32_t few() const { return flows.front(); }
};

// Rows that others are compared with.
struct PeerNames {
  explicit PeerNames(const RateSizes& sizes);
  static std::string XdpFilter(int listed);  // shorter where its table is
  static std::string Nft(int listed, const NftRules& rules = {});
  static std::string Ipset(int listed);
  static std::string NftForward(int listed, bool conntrack);

  std::string forward, nft_forward;
  std::string pods_forward, pods_nft_forward;
};
inline constexpr char kTcDrop[] = "tc/drop/bare", kPodsRedirect[] = "pods/redirect-peer/bare";
std::string SluiceDeniedPods(int listed);
std::string SluiceRedirect(std::uint32_t flows);
std::string SluicePods(std::uint32_t flows);

// Loads. Listed: each packet from any of the listed addresses, or from one in any of the listed blocks.
Load Flows(std::uint32_t packets, std::uint32_t flows);
Load Listed(std::uint32_t packets, int listed, bool cidrs = false);
Load FewFromSender();
Load FewFromStrangers();
Load FewToServicesFrom(std::uint32_t service);  // of perf/bpf/rotation.h

void AddFloors(const RateSizes& sizes, std::vector<RateCase>* cases);
void AddPeers(const RateSizes& sizes, std::vector<RateCase>* cases);
void AddSluice(const RateSizes& sizes, std::vector<RateCase>* cases);

}  // namespace sluice::perf
