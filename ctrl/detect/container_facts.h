// What detection rules know of containers: by the id in the cgroup's path of their processes, and what the container
// runtime and the API server say of it. Thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "policy/resource/model.h"
#include "policy/rules/event.h"

namespace sluice::detect {

class ContainerFacts {
 public:
  using Facts = std::shared_ptr<const policy::rules::Container>;

  // One that the runtime lists.
  struct Listed {
    std::string id;    // the runtime's, whole
    std::string name;  // in its pod
    policy::ObjectName pod;
    std::string pod_uid;
    std::string repository;  // of its image; empty: not known
  };
  // All of them. What is known of a container stays until it is listed no more, and for as long as the last
  // `kMaxGone` others that are gone.
  void Set(const std::vector<Listed>& containers);

  // The container with this id (empty: the host's), and whether that is all that will be known of it.
  struct Found {
    Facts container;
    bool final = false;
  };
  Found Find(const std::string& id) const;

  // Grows with each change of what is known of a container.
  std::uint64_t version() const { return version_; }

  static constexpr std::size_t kMaxGone = 1024;

 private:
  std::atomic<std::uint64_t> version_ = 0;
  mutable std::mutex mutex_;
  std::map<std::string, Facts> known_;
  std::vector<std::string> gone_;  // oldest first
};

}  // namespace sluice::detect
