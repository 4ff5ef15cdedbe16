// The pods and containers of this node, from its container runtime: containerd, CRI-O, or another one that knows CRI
// v1.
//   SL_ASSIGN_OR_RETURN(auto watch, SandboxWatch::Start({}));
//   poll(watch->fd()) ... pods.SetSandboxes(watch->sandboxes());
//
// A thread lists all pod sandboxes that are ready, and reads the status of each new one. It lists after each event of
// containerd, and from time to time; a full list is the truth. While the runtime is away, what is known stays.
// Thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "ctrl/node/node_pods.h"

namespace sluice::cri {

// A directory or file of the host in a container.
struct ContainerMount {
  std::string source;
  std::string destination;
  bool writable = false;
  std::string propagation;  // "private", "rslave", "rshared" or "unknown"
  bool operator==(const ContainerMount&) const = default;
};

// A container that runs, or that has been created and runs a moment later.
struct Container {
  std::string id;
  std::string name;  // in its pod
  policy::ObjectName pod;
  std::string pod_uid;
  std::string sandbox;        // id of the pod's
  std::string cgroup;         // as a path in its hierarchy; empty: not known
  std::string repository;     // of its image, without tag and digest; empty: not known
  std::uint32_t attempt = 0;  // how often the kubelet has started it anew
  std::string runtime;        // "containerd", "cri-o", or the name of another one
  std::string image;          // its name with the tag; empty: not known, as the next three
  std::string tag;
  std::string image_digest;        // "sha256:..."
  std::string image_id;            // without "sha256:"
  std::optional<bool> privileged;  // absent: the runtime does not say
  std::vector<ContainerMount> mounts;
  bool operator==(const Container&) const = default;
};

struct WatchOptions {
  // Each unix:///PATH. Of several, the first where a runtime answers is used, and from then on no other one.
  std::vector<std::string> endpoints{"unix:///run/containerd/containerd.sock", "unix:///run/crio/crio.sock",
                                     "unix:///run/k3s/containerd/containerd.sock"};
  std::chrono::milliseconds call_deadline{5'000};
  // The longest time between two lists, with a runtime that has containerd's events and with another one.
  std::chrono::milliseconds poll_with_events{10'000};
  std::chrono::milliseconds poll_without_events{1'000};
  std::size_t max_sandboxes = 4'096;
  std::size_t max_containers = 16'384;
  // Called with containers() when they were listed first and after each change, by the watch's thread. May be empty.
  std::function<void(const std::vector<Container>&)> on_containers = nullptr;
};

struct WatchState {
  bool synced = false;                          // the runtime answered the last list; false: what is known may be old
  std::chrono::system_clock::time_point since;  // when `synced` became what it is
  std::string last_error;                       // why it was last not synced
  std::string endpoint;                         // empty: no runtime has answered yet
  std::string runtime;                          // its name and version
  bool events = false;                          // follows containerd's events
  std::uint64_t lists = 0;                      // of sandboxes, that were answered
  std::uint64_t events_seen = 0;
  // Sandboxes of the last list that are not known, as their status could not be read. Nothing is enforced on such a
  // pod.
  std::size_t unread = 0;
  std::string unread_error;      // of one of them
  std::size_t left_out = 0;      // sandboxes above the limit, the newest ones
  std::string containers_error;  // why containers() may be old or lack some; empty: it is as the runtime said last
};

class SandboxWatch {
 public:
  // An error: an endpoint is no unix socket, there is none, or no file descriptor is left. A runtime that does not
  // answer is no error; state() tells.
  static StatusOr<std::unique_ptr<SandboxWatch>> Start(WatchOptions options);
  ~SandboxWatch();  // ends the thread and its calls

  // In the order of their creation. Before state().lists is 1, an empty answer says nothing about the node.
  std::vector<node::Sandbox> sandboxes() const;
  // The same, with the time at which the last complete list was requested; nothing: there has been none.
  struct List {
    std::vector<node::Sandbox> sandboxes;
    std::chrono::steady_clock::time_point requested;
  };
  std::optional<List> list() const;
  std::vector<Container> containers() const;
  WatchState state() const;

  // An eventfd, owned by this object. It is readable when sandboxes() or state().synced changed since it was last read.
  // Read it first, then call those.
  int fd() const;

 private:
  class Impl;
  explicit SandboxWatch(std::unique_ptr<Impl> impl);

  const std::unique_ptr<Impl> impl_;
};

}  // namespace sluice::cri
