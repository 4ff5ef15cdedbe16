#include "telemetry/process/past_parents.h"

#include <charconv>

namespace sluice::telemetry {
namespace {

// Null: an event of another type.
const v1::Process* ProcessOf(const v1::Event& event) {
  switch (event.event_case()) {
    case v1::Event::kExec:
      return &event.exec().process();
    case v1::Event::kExit:
      return &event.exit().process();
    case v1::Event::kHook:
      return &event.hook().process();
    case v1::Event::kAlert:
      return &event.alert().process();
    default:
      return nullptr;
  }
}

}  // namespace

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
