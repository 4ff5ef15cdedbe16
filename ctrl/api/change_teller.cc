#include "ctrl/api/change_teller.h"

#include <google/protobuf/util/time_util.h>

#include <algorithm>

#include "base/log.h"
#include "telemetry/event/change_text.h"

namespace sluice::api {
namespace {

constexpr std::size_t kMaxChanges = 100;

void Log(const v1::Change& change) {
  if (change.problem().empty()) {
    LogInfo("{}", telemetry::ChangeText(change));
  } else {
    LogWarn("{}", telemetry::ChangeText(change));
  }
}

}  // namespace

void ChangeTeller::Tell(const char* action, const std::string& caller, const StatusOr<std::uint64_t>& revision,
                        const std::vector<v1::ResourceChange>& changes) const {
  auto event = std::make_shared<v1::Event>();
  v1::Change& change = *event->mutable_change();
  *change.mutable_time() = google::protobuf::util::TimeUtil::GetCurrentTime();
  change.set_node(node_);
  change.set_type("change");
  change.set_action(action);
  change.set_caller(caller);
  const std::size_t told = std::min(changes.size(), kMaxChanges);
  change.mutable_changes()->Assign(changes.begin(), changes.begin() + static_cast<std::ptrdiff_t>(told));
  change.set_more_changes(static_cast<std::uint32_t>(changes.size() - told));
  if (revision.ok()) change.set_revision(*revision);
  if (!revision.ok()) change.set_problem(Message(revision.status()));
  Log(change);
  const bool changes_nothing = revision.ok() && std::all_of(changes.begin(), changes.end(), [](const auto& one) {
                                 return one.change() == v1::ResourceChange::UNCHANGED;
                               });
  if (changes_nothing) return;
  telemetry_->history().Push(event);
  telemetry_->hub().Publish(event);
}

}  // namespace sluice::api
