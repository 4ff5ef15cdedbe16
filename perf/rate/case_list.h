// The cases by product, and helpers that they share. For case.cc, peers.cc and sluice_cases.cc.
#pragma once

#include "perf/rate/case.h"
#include "perf/rate/rules.h"

namespace sluice::perf {

struct RateSizes {
  std::vector<int> lists;            // lengths of lists
  int listed;                        // one of them, for cases with only one length
  std::vector<std::uint32_t> flows;  // the first is used for floors and peers
  // Packets in a sample, by where their path ends. A full sample takes about a quarter of a second.
  std::uint32_t xdp_packets;
  std::uint32_t skb_packets;
  std::uint32_t stack_packets;

  std::uint32_t few() const { return flows.front(); }
};

// Names of rows that others are compared with.
struct PeerNames {
  explicit PeerNames(const RateSizes& sizes);
  static std::string XdpFilter(int listed);  // its table may be shorter
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

// Loads. Listed: each packet has one of the listed addresses, or one from a listed block.
Load Flows(std::uint32_t packets, std::uint32_t flows);
Load Listed(std::uint32_t packets, int listed, bool cidrs = false);
Load FewFromSender();
Load FewFromStrangers();
Load FewToServicesFrom(std::uint32_t service);  // of perf/bpf/rotation.h

void AddFloors(const RateSizes& sizes, std::vector<RateCase>* cases);
void AddPeers(const RateSizes& sizes, std::vector<RateCase>* cases);
void AddSluice(const RateSizes& sizes, std::vector<RateCase>* cases);

}  // namespace sluice::perf
