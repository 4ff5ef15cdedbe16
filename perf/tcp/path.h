// Two pods of one node, and the measured path between them.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "perf/net/sluice_node.h"
#include "perf/tcp/traffic.h"

namespace sluice::perf {

struct TcpPath {
  std::string name;
  std::vector<std::string> against;  // other paths
  bool bridged = false;              // else routed
  std::string nft;                   // rules of the node
  int sluice_rules = -1;             // in each direction; 0: workloads that no policy selects; -1: without Sluice
  TcpDurations durations;
  bool filters() const { return !nft.empty() || sluice_rules > 0; }
};
std::vector<TcpPath> AllTcpPaths(bool brief);

class TcpPair {
 public:
  // Makes node and pods. When there are rules, checks that a port without a rule is closed.
  static StatusOr<std::unique_ptr<TcpPair>> Create(const TcpPath& path);

  // An error when data was lost, or did not take Sluice's redirect.
  StatusOr<TcpFigures> Measure();

 private:
  explicit TcpPair(const TcpPath& path) : path_(path) {}
  Status Build();
  Status CheckOtherPort() const;
  StatusOr<TcpFigures> Run() const;
  Status CheckCounters(const datapath::Counters& before, const datapath::Counters& after) const;

  const TcpPath path_;
  std::unique_ptr<test::TestNode> node_;
  std::unique_ptr<SluiceNode> sluice_;
};

}  // namespace sluice::perf
