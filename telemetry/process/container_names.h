// The names of containers by their ids, for the records of their processes. Thread-safe.
//   ContainerNames names;
//   names.Set("runtime", {{.id = "0123...", .name = "server", .pod = {"shop", "web-0"}}});
//   names.Find("0123...")->name;  // "server"
//
// An id is of one container for ever, so that a name that was known stays right: the last `max_gone` containers that no
// source names any more are remembered, for the last records of their processes.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "policy/resource/model.h"
#include "telemetry/event/fair_queue.h"

namespace sluice::telemetry {

struct Container {
  std::string id;
  std::string name;  // in its pod
  policy::ObjectName pod;
  std::shared_ptr<const policy::PodOwner> owner;  // of the pod; null: none, or not known
};

class ContainerNames {
 public:
  explicit ContainerNames(std::size_t max_gone = 4096) : max_gone_(max_gone) {}

  // All that `source` knows now; empty: it has nothing any more. Containers without id are passed over. What the first
  // source said of a container stays; later ones may add its owner.
  void Set(const std::string& source, const std::vector<Container>& containers);

  // Null: not known. From any thread.
  std::shared_ptr<const Container> Find(const std::string& id) const;

  // Adds what is known by now of the containers of `event` that it does not say. A copy, if there is something to add.
  EventPtr Complete(EventPtr event) const;

 private:
  struct Known {
    std::shared_ptr<const Container> container;
    std::size_t sources = 0;
  };

  void Add(const Container& container);
  void Release(const std::string& id);

  const std::size_t max_gone_;
  mutable std::mutex mutex_;  // guards all below
  std::unordered_map<std::string, Known> known_;
  std::map<std::string, std::set<std::string>> ids_;  // by source
  std::deque<std::string> gone_;                      // oldest first; may have come back since
};

}  // namespace sluice::telemetry
