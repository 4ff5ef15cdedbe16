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

  // All that the runtime lists, each with its `full_id`, of which `id` is made. What is known of a container stays
  // until it is listed no more, and for as long as the last `kMaxGone` others that are gone.
  void Set(const std::vector<policy::rules::Container>& containers);

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
