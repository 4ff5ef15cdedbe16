// What the controller reads from its node; tests substitute their own.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "ctrl/node/binder.h"

namespace sluice::reconcile {

// Called with the controller's mutex held, except `has_interface`, `is_namespace` and the two that find host ends:
// CloseNewInterfaces may call these at the same time.
struct Node {
  std::function<StatusOr<node::BoundWorkload>(const policy::Workload&)> bind;
  std::function<StatusOr<std::vector<policy::Address>>()> addresses;  // its own, sorted
  std::function<bool(std::uint32_t ifindex)> has_interface;           // absent: every one exists
  // Whether the file is still of the network namespace with this inode number; absent: always.
  std::function<bool(const std::string& netns_path, std::uint64_t netns)> is_namespace;
  // As node::FindHostEnds and AllHostEnds; absent: none are found.
  std::function<node::HostEndsByWorkload(const std::vector<const policy::Workload*>& workloads)> host_ends;
  std::function<StatusOr<std::vector<node::HostEnd>>()> all_host_ends;
  static Node Real(const net::SocketIn& socket_in);
};

}  // namespace sluice::reconcile
