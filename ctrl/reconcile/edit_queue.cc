#include "ctrl/reconcile/edit_queue.h"

#include <utility>

namespace sluice::reconcile {

StatusOr<std::uint64_t> EditQueue::Join(Edit edit, const Make& make) {
  std::unique_lock lock(mutex_);
  waiting_.push_back(&edit);
  made_.wait(lock, [&] { return edit.made || !making_; });
  if (!edit.made) {
    const std::vector<Edit*> all = std::exchange(waiting_, {});
    making_ = true;
    lock.unlock();
    make(all);
    lock.lock();
    making_ = false;
    for (Edit* const one : all) one->made = true;
    made_.notify_all();
  }
  return edit.revision;
}

}  // namespace sluice::reconcile
