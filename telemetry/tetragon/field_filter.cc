#include "telemetry/tetragon/field_filter.h"

#include <google/protobuf/descriptor.h>

#include "telemetry/tetragon/event_parts.h"

namespace sluice::telemetry {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Reflection;
using AnyMessage = google::protobuf::Message;

constexpr int kMaxFieldFilters = 64;
constexpr int kMaxPaths = 256;  // of one filter
constexpr std::size_t kMaxPathBytes = 512;

// "parentExecId" is "parent_exec_id", as masks have it that were written as JSON.
std::string SnakeCase(const std::string& name) {
  std::string snake;
  for (const char c : name) {
    if (c >= 'A' && c <= 'Z') {
      snake += '_';
      snake += static_cast<char>(c - 'A' + 'a');
    } else {
      snake += c;
    }
  }
  return snake;
}

std::vector<const FieldDescriptor*> FieldsOf(const AnyMessage& message) {
  std::vector<const FieldDescriptor*> fields;
  message.GetReflection()->ListFields(message, &fields);
  return fields;
}

// Calls `visit` with each message in the field.
template <typename Visit>
void VisitMessages(AnyMessage* message, const FieldDescriptor* field, const Visit& visit) {
  if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE || field->is_map()) return;
  const Reflection* const reflection = message->GetReflection();
  if (!field->is_repeated()) return visit(reflection->MutableMessage(message, field));
  for (int i = 0; i < reflection->FieldSize(*message, field); ++i)
    visit(reflection->MutableRepeatedMessage(message, field, i));
}

// Fields inside these are never selected: they are values in JSON.
bool IsValue(const FieldDescriptor* field) {
  return field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE || field->is_map() ||
         field->message_type()->full_name().starts_with("google.protobuf.");
}

}  // namespace

StatusOr<FieldFilters> FieldFilters::Make(const Messages& filters) {
  FieldFilters made;
  if (filters.size() > kMaxFieldFilters)
    return InvalidError("field_filters: there are {}, and may be {}", filters.size(), kMaxFieldFilters);
  for (int i = 0; i < filters.size(); ++i) {
    const tetragon::FieldFilter& filter = filters[i];
    if (!tetragon::FieldFilterAction_IsValid(filter.action()))
      return InvalidError("field_filters[{}]: action: {} is neither INCLUDE (0) nor EXCLUDE (1)", i,
                          static_cast<int>(filter.action()));
    if (filter.fields().paths_size() > kMaxPaths)
      return InvalidError("field_filters[{}]: fields: there are {} paths, and may be {}", i,
                          filter.fields().paths_size(), kMaxPaths);
    One one{.includes = filter.action() == tetragon::INCLUDE,
            .types = {filter.event_set().begin(), filter.event_set().end()},
            .inverted = filter.invert_event_set().value(),
            .paths = {}};
    for (const std::string& path : filter.fields().paths()) {
      if (path.size() > kMaxPathBytes)
        return InvalidError("field_filters[{}]: fields: a path has {} bytes, and may have {}", i, path.size(),
                            kMaxPathBytes);
      Paths* at = &one.paths;
      for (std::size_t begin = 0; begin <= path.size();) {
        const std::size_t end = std::min(path.find('.', begin), path.size());
        at = &at->fields[SnakeCase(path.substr(begin, end - begin))];
        begin = end + 1;
      }
      at->whole = true;
    }
    made.filters_.push_back(std::move(one));
  }
  return made;
}

void FieldFilters::Keep(const Paths& paths, AnyMessage* message) {
  for (const FieldDescriptor* const field : FieldsOf(*message)) {
    const auto wanted = paths.fields.find(SnakeCase(field->name()));
    if (wanted == paths.fields.end()) {
      message->GetReflection()->ClearField(message, field);
    } else if (!wanted->second.whole && !IsValue(field)) {
      VisitMessages(message, field, [&](AnyMessage* inner) { Keep(wanted->second, inner); });
    }
  }
}

void FieldFilters::Remove(const Paths& paths, AnyMessage* message) {
  for (const FieldDescriptor* const field : FieldsOf(*message)) {
    const auto unwanted = paths.fields.find(SnakeCase(field->name()));
    if (unwanted == paths.fields.end()) continue;
    if (unwanted->second.whole) {
      message->GetReflection()->ClearField(message, field);
    } else if (!IsValue(field)) {
      VisitMessages(message, field, [&](AnyMessage* inner) { Remove(unwanted->second, inner); });
    }
  }
}

void FieldFilters::Trim(tetragon::GetEventsResponse* event) const {
  const int type = TypeOf(*event);
  for (const One& one : filters_) {
    const bool is_listed = one.types.contains(type);
    if (!one.types.empty() && is_listed == one.inverted) continue;
    if (one.paths.fields.empty()) continue;  // a mask without a path selects everything
    for (const FieldDescriptor* const field : FieldsOf(*event)) {
      if (field->containing_oneof() == nullptr) continue;
      VisitMessages(event, field, [&](AnyMessage* inner) {
        if (one.includes) {
          Keep(one.paths, inner);
        } else {
          Remove(one.paths, inner);
        }
      });
    }
  }
}

}  // namespace sluice::telemetry
