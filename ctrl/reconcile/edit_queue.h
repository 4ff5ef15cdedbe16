// Calls of Apply and Delete that wait for their turn. One of them makes all waiting edits, so that these share one
// compilation and one wait for running programs; calls that come meanwhile wait for the next turn. Thread-safe.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <vector>

#include "base/status.h"
#include "policy/resource/model.h"

namespace sluice::reconcile {

// What happens to a delete of a resource that does not exist.
enum class Missing { kRefused, kIgnored };

// One call of Apply or Delete.
struct Edit {
  std::vector<policy::Resource> puts;
  std::vector<policy::ResourceId> deletes;
  Missing missing = Missing::kRefused;
  StatusOr<std::uint64_t> revision = std::uint64_t{0};  // valid once made
  bool made = false;                                    // guarded by the queue's mutex
};

class EditQueue {
 public:
  // `make` sets the revision of each.
  using Make = std::function<void(const std::vector<Edit*>& edits)>;

  // Returns the edit's revision, once it is made.
  StatusOr<std::uint64_t> Join(Edit edit, const Make& make);

 private:
  std::mutex mutex_;
  std::condition_variable made_;
  std::vector<Edit*> waiting_;  // guarded by mutex_
  bool making_ = false;         // a caller makes edits now; guarded by mutex_
};

}  // namespace sluice::reconcile
