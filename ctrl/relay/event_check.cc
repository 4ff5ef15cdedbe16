#include "ctrl/relay/event_check.h"

#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <vector>

namespace sluice::cluster {
namespace {

namespace pb = google::protobuf;
using pb::FieldDescriptor;
using pb::util::TimeUtil;

constexpr std::int32_t kSecond = 1'000'000'000;
constexpr int kDeepest = 8;  // the deepest event has five

bool IsTime(const pb::Timestamp& time) {
  return time.seconds() >= TimeUtil::kTimestampMinSeconds && time.seconds() <= TimeUtil::kTimestampMaxSeconds &&
         time.nanos() >= 0 && time.nanos() < kSecond;
}

bool IsDuration(const pb::Duration& duration) {
  return duration.seconds() >= TimeUtil::kDurationMinSeconds && duration.seconds() <= TimeUtil::kDurationMaxSeconds &&
         duration.nanos() > -kSecond && duration.nanos() < kSecond &&
         (duration.seconds() == 0 || duration.nanos() == 0 || (duration.seconds() < 0) == (duration.nanos() < 0));
}

bool HasOnlyTimes(const pb::Message& message, int depth) {
  if (const auto* const time = dynamic_cast<const pb::Timestamp*>(&message); time != nullptr) return IsTime(*time);
  if (const auto* const duration = dynamic_cast<const pb::Duration*>(&message); duration != nullptr) {
    return IsDuration(*duration);
  }
  if (depth > kDeepest) return false;
  const auto& reflection = *message.GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  return std::all_of(fields.begin(), fields.end(), [&](const FieldDescriptor* field) {
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE || field->is_map()) return true;
    if (!field->is_repeated()) return HasOnlyTimes(reflection.GetMessage(message, field), depth + 1);
    for (int i = 0; i < reflection.FieldSize(message, field); ++i) {
      if (!HasOnlyTimes(reflection.GetRepeatedMessage(message, field, i), depth + 1)) return false;
    }
    return true;
  });
}

// The message of the oneof. Null: a type that this program does not know.
pb::Message* PartOf(v1::Event* event) {
  const auto& reflection = *event->GetReflection();
  const auto& oneof = *v1::Event::descriptor()->FindOneofByName("event");
  const FieldDescriptor* const field = reflection.GetOneofFieldDescriptor(*event, &oneof);
  return field == nullptr ? nullptr : reflection.MutableMessage(event, field);
}

}  // namespace

bool IsPrintable(const pb::Message& message) { return HasOnlyTimes(message, 0); }

EventFault CheckEvent(const std::string& node, v1::Event* event) {
  pb::Message* const part = PartOf(event);
  if (part == nullptr) return EventFault::kRefused;
  const auto& reflection = *part->GetReflection();
  const FieldDescriptor* const time = part->GetDescriptor()->FindFieldByName("time");
  if (!reflection.HasField(*part, time) || !IsPrintable(*event)) return EventFault::kRefused;
  const FieldDescriptor* const name = part->GetDescriptor()->FindFieldByName("node");
  if (reflection.GetString(*part, name) == node) return EventFault::kNone;
  reflection.SetString(part, name, node);
  return EventFault::kRenamed;
}

}  // namespace sluice::cluster
