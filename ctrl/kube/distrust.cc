#include "ctrl/kube/distrust.h"

#include <absl/strings/numbers.h>

namespace sluice::kube {

std::optional<std::uint64_t> VersionNumber(const std::string& resource_version) {
  std::uint64_t number = 0;
  if (!absl::SimpleAtoi(resource_version, &number)) return std::nullopt;
  return number;
}

bool IsOlder(const std::string& version, const std::string& known) {
  const auto number = VersionNumber(version);
  const auto known_number = VersionNumber(known);
  return number && known_number && *number < *known_number;
}

Distrust::Reason Distrust::ReasonFor(const List& list, std::size_t known_objects, const std::string& known_version) {
  if (list.absent) return known_objects > 0 ? Reason::kAbsent : Reason::kNone;
  if (list.objects == 0 && known_objects >= 2) return Reason::kEmpty;
  if (known_objects > 0 && IsOlder(list.resource_version, known_version)) return Reason::kOlder;
  return Reason::kNone;
}

bool Distrust::Believe(const List& list, std::size_t known_objects, const std::string& known_version, TimePoint now) {
  const Reason reason = ReasonFor(list, known_objects, known_version);
  if (reason == Reason::kNone) {
    reason_ = reason;
    seen_ = 0;
    return true;
  }
  // A server that goes back once more, or fails in another way, says something else than before.
  if (reason != reason_ || IsOlder(list.resource_version, last_version_)) {
    reason_ = reason;
    seen_ = 0;
    since_ = now;
  }
  last_version_ = list.resource_version;
  ++seen_;
  if (seen_ < lists_ || now - since_ < span_) return false;
  reason_ = Reason::kNone;
  seen_ = 0;
  return true;
}

}  // namespace sluice::kube
