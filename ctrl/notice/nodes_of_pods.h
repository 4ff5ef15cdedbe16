// The nodes of the cluster that have pods, for turn.h. A pod counts from its uid, so a change of it needs no search.
// For one thread.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>

namespace sluice::notice {

class NodesOfPods {
 public:
  void Put(const std::string& uid, const std::string& node);  // `node` empty: not scheduled
  void Remove(const std::string& uid);
  std::set<std::string> nodes() const;

 private:
  std::map<std::string, std::size_t> pods_;                          // of each node
  std::unordered_map<std::uint64_t, std::string_view> node_of_pod_;  // by the hash of its uid; keys of pods_
};

}  // namespace sluice::notice
