// The pods of this node by what the kernel has of them, for nodes where no container runtime answers: which pods there
// are by the kubelet's cgroups (pod_cgroups.h), and where they are by the network namespaces of their processes.
//   PodFinder finder({});
//   SL_ASSIGN_OR_RETURN(auto sandboxes, finder.Find(std::chrono::steady_clock::now()));
//
// It needs the node's process ids, and the right to read the namespaces of others' processes (CAP_SYS_PTRACE). What it
// cannot know: the pod's name and namespace (Sandbox::pod stays empty, NodePods asks the API server by uid), the
// sandbox's id (in its place is the number of the network namespace), and pods without any process.
//
// Of a pod that is found nothing more is read than whether its namespace is still there, until kAgain has passed. A
// search costs a list of each directory that has pods, and one stat for each pod. Not thread-safe.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/status.h"
#include "ctrl/node/node_pods.h"
#include "ctrl/node/pod_cgroups.h"
#include "kernel/net/netns.h"

namespace sluice::node {

class PodFinder {
 public:
  using Time = std::chrono::steady_clock::time_point;

  struct Options {
    std::string proc = "/proc";
    std::vector<std::string> cgroup_roots;  // empty: those that are mounted
    // Where runtimes keep names of network namespaces. A path there is valid for as long as the namespace is.
    std::vector<std::string> netns_directories{"/run/netns", "/run/docker/netns"};
  };

  static constexpr std::chrono::seconds kAgain{30};

  explicit PodFinder(Options options) : options_(std::move(options)) {}

  // In the order in which they were started; without pods on the host's network, that of process 1 and of this one.
  // Errors say nothing about the node's pods. NotFound: there are no cgroups of a kubelet.
  StatusOr<std::vector<Sandbox>> Find(Time now);

  // After Find: pods whose processes could not be looked at, and why.
  std::size_t unread() const { return unread_; }
  const std::string& unread_error() const { return unread_error_; }
  // How many pods' processes Find has looked at since the start.
  std::uint64_t looked() const { return looked_; }

 private:
  using Identity = net::NetNs::Identity;
  // What is known of a pod, by one of its network namespaces.
  struct Seen {
    Identity netns;
    std::uint64_t started = 0;  // its first process, in clock ticks since boot
    std::string path;           // of the namespace; empty: none but the host's was found
    Time again;                 // when the processes are looked at again
    std::chrono::seconds wait{0};
  };
  // A network namespace of a pod's processes.
  struct Candidate {
    std::uint64_t started = 0;  // the first of them
    std::string path;
    bool has_name = false;  // in a directory of names
  };

  void Look(const PodCgroup& pod, Time now, Seen& seen);
  std::map<Identity, Candidate> NamespacesOf(const PodCgroup& pod, bool* on_host, std::string* problem);
  const std::map<Identity, std::string>& Names();
  StatusOr<std::set<Identity>> HostsOwn() const;

  const Options options_;
  std::map<std::string, Seen> seen_;                      // by PodCgroup::directory
  std::set<Identity> host_;                               // of this Find, as is names_
  std::optional<std::map<Identity, std::string>> names_;  // nothing: not read yet
  std::size_t unread_ = 0;
  std::string unread_error_;
  std::uint64_t looked_ = 0;
};

}  // namespace sluice::node
