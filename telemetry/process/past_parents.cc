#include "telemetry/process/past_parents.h"

#include <charconv>

#include "telemetry/event/event_owner.h"

namespace sluice::telemetry {

v1::Event PastParents::Complete(const v1::Event& event) const {
  v1::Event complete = event;
  const v1::Process* const process = ProcessOf(event);
  if (event.has_parent() || process == nullptr) return complete;
  const std::string& exec_id = process->exec_id();
  std::uint64_t start_ns = 0;
  const char* const begin = exec_id.data() + exec_id.rfind(':') + 1;  // npos + 1 is 0
  std::from_chars(begin, exec_id.data() + exec_id.size(), start_ns);
  const auto id = ids_.find({process->pid(), start_ns});
  if (id == ids_.end()) return complete;
  if (const auto instance = tree_->Find(id->second)) events_->AddParent(*instance, &complete);
  return complete;
}

}  // namespace sluice::telemetry
