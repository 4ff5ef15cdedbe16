// Calls of Apply and Delete that wait for their turn. One of them makes the edits of all that wait, so that they share
// a compilation and the wait for running programs; calls that come meanwhile wait for the next turn. Thread-safe.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <vector>

#include "base/status.h"
#include "policy/resource/model.h"

namespace sluice::reconcile {

// What becomes of a delete of what does not exist.
enum class Missing { kRefused, kIgnored };

// One call of Apply or Delete.
struct Edit {
  std::vector<policy::Resource> puts;
  std::vector<policy::ResourceId> deletes;
  Missing missing = Missing::kRefused;
  StatusOr<std::uint64_t> revision = std::uint64_t{0};  // once it is made
  bool made = false;                                    // by the queue's mutex
};

class EditQueue {
 public:
  // `make` sets the revision of each.
  using Make = std::function<void(const std::vector<Edit*>& edits)>;

  // Returns once `edit` is made: its revision.
  StatusOr<std::uint64_t> Join(Edit edit, const Make& make);

 private:
  std::mutex mutex_;
  std::condition_variable made_;
  std::vector<Edit*> waiting_;  // by mutex_, as the following
  bool making_ = false;         // one of the calls is at it
};

}  // namespace sluice::reconcile
