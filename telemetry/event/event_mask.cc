#include "telemetry/event/event_mask.h"

#include <absl/strings/str_split.h>
#include <google/protobuf/util/field_mask_util.h>

#include <algorithm>

namespace sluice::telemetry {
namespace {

using google::protobuf::util::FieldMaskUtil;

template <typename Message>
bool Trimmed(const std::vector<std::string>& paths, Message* message) {
  google::protobuf::FieldMask mask;
  for (const std::string& path : paths) {
    if (FieldMaskUtil::IsValidPath<Message>(path)) mask.add_paths(path);
  }
  if (mask.paths_size() == 0) return false;  // an empty mask would keep all fields
  FieldMaskUtil::TrimMessage(mask, message);
  return message->ByteSizeLong() != 0;
}

bool IsField(const std::string& path) {
  return FieldMaskUtil::IsValidPath<v1::Flow>(path) || FieldMaskUtil::IsValidPath<v1::Exec>(path) ||
         FieldMaskUtil::IsValidPath<v1::Fork>(path) || FieldMaskUtil::IsValidPath<v1::Exit>(path) ||
         FieldMaskUtil::IsValidPath<v1::Change>(path) || FieldMaskUtil::IsValidPath<v1::Hook>(path) ||
         FieldMaskUtil::IsValidPath<v1::Alert>(path) || FieldMaskUtil::IsValidPath<v1::Detection>(path) ||
         FieldMaskUtil::IsValidPath<v1::Response>(path);
}

}  // namespace

StatusOr<EventMask> EventMask::Parse(const std::string& text) {
  EventMask mask;
  for (const std::string& name : std::vector<std::string>(absl::StrSplit(text, ','))) {
    google::protobuf::FieldMask one;
    if (!FieldMaskUtil::FromJsonString(name, &one) || one.paths_size() != 1 || !IsField(one.paths(0))) {
      return InvalidError(
          "{}: no event has this field; docs/events.md lists them, e.g. time,source.workload,l4.protocol", name);
    }
    mask.paths_.push_back(one.paths(0));
  }
  return mask;
}

bool EventMask::Trim(v1::Event* event) const {
  switch (event->event_case()) {
    case v1::Event::kFlow:
      return Trimmed(paths_, event->mutable_flow());
    case v1::Event::kExec:
      return Trimmed(paths_, event->mutable_exec());
    case v1::Event::kFork:
      return Trimmed(paths_, event->mutable_fork());
    case v1::Event::kExit:
      return Trimmed(paths_, event->mutable_exit());
    case v1::Event::kChange:
      return Trimmed(paths_, event->mutable_change());
    case v1::Event::kHook:
      return Trimmed(paths_, event->mutable_hook());
    case v1::Event::kAlert:
      return Trimmed(paths_, event->mutable_alert());
    case v1::Event::kDetection:
      return Trimmed(paths_, event->mutable_detection());
    case v1::Event::kResponse:
      return Trimmed(paths_, event->mutable_response());
    case v1::Event::kLost:
    case v1::Event::EVENT_NOT_SET:
      break;
  }
  return true;
}

}  // namespace sluice::telemetry
