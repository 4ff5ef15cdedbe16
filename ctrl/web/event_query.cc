#include "ctrl/web/event_query.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/reflection.h>
#include <google/protobuf/util/time_util.h>

#include <absl/strings/ascii.h>
#include <absl/strings/str_split.h>

#include <algorithm>
#include <charconv>

#include "base/printable.h"

namespace sluice::web {
namespace {

constexpr std::size_t kLongestText = 256;
constexpr int kDeepest = 8;

std::vector<std::string> Values(const std::string& text) {
  std::vector<std::string> values;
  for (const auto& value : absl::StrSplit(text, ',', absl::SkipEmpty())) values.emplace_back(value);
  return values;
}

Status AddVerdicts(const std::string& text, v1::ObserveRequest::Filter* filter) {
  for (const std::string& value : Values(text)) {
    v1::Flow::Verdict verdict = v1::Flow::VERDICT_UNSPECIFIED;
    if (!v1::Flow::Verdict_Parse(value, &verdict) || verdict == v1::Flow::VERDICT_UNSPECIFIED) {
      return InvalidError("verdict {}: expected FORWARDED, DROPPED or AUDIT", PrintableWord(value));
    }
    filter->add_verdicts(verdict);
  }
  return OkStatus();
}

// Adds one condition. False: there is none of this name.
StatusOr<bool> AddCondition(const std::string& name, const std::string& text, v1::ObserveRequest::Filter* filter) {
  const auto add = [&](google::protobuf::RepeatedPtrField<std::string>* to) {
    for (std::string& value : Values(text)) *to->Add() = std::move(value);
    return true;
  };
  if (name == "type") return add(filter->mutable_types());
  if (name == "namespace") return add(filter->mutable_namespaces());
  if (name == "workload") return add(filter->mutable_workloads());
  if (name == "process") return add(filter->mutable_processes());
  if (name == "drop_reason") return add(filter->mutable_drop_reasons());
  if (name == "port") {
    for (const std::string& value : Values(text)) {
      SL_ASSIGN_OR_RETURN(const std::int64_t port, ParseNumber(name, value, 1, UINT16_MAX));
      filter->add_ports()->set_port(static_cast<std::uint32_t>(port));
    }
    return true;
  }
  if (name != "verdict") return false;
  SL_RETURN_IF_ERROR(AddVerdicts(text, filter));
  return true;
}

bool ContainsText(const google::protobuf::Message& message, const std::string& text, int depth);

bool FieldContains(const google::protobuf::Message& message, const google::protobuf::FieldDescriptor& field,
                   const std::string& text, int depth) {
  using google::protobuf::FieldDescriptor;
  const auto& reflection = *message.GetReflection();
  const int count = field.is_repeated() ? reflection.FieldSize(message, &field) : 1;
  for (int i = 0; i < count; ++i) {
    if (field.cpp_type() == FieldDescriptor::CPPTYPE_STRING) {
      std::string scratch;
      const std::string& value = field.is_repeated()
                                     ? reflection.GetRepeatedStringReference(message, &field, i, &scratch)
                                     : reflection.GetStringReference(message, &field, &scratch);
      if (absl::AsciiStrToLower(value).find(text) != std::string::npos) return true;
    } else if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      const auto& part = field.is_repeated() ? reflection.GetRepeatedMessage(message, &field, i)
                                             : reflection.GetMessage(message, &field);
      if (ContainsText(part, text, depth + 1)) return true;
    }
  }
  return false;
}

bool ContainsText(const google::protobuf::Message& message, const std::string& text, int depth) {
  if (depth > kDeepest) return false;
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  message.GetReflection()->ListFields(message, &fields);
  return std::any_of(fields.begin(), fields.end(), [&](const google::protobuf::FieldDescriptor* field) {
    return FieldContains(message, *field, text, depth);
  });
}

// "shop/web-0" is in no field of the message.
bool EndContains(const v1::Peer& peer, const std::string& text) {
  return !peer.workload().empty() &&
         absl::AsciiStrToLower(peer.namespace_() + "/" + peer.workload()).find(text) != std::string::npos;
}

}  // namespace

StatusOr<std::int64_t> ParseNumber(const std::string& name, const std::string& text, std::int64_t least,
                                   std::int64_t most) {
  std::int64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, number);
  if (parsed.ec == std::errc() && parsed.ptr == end && number >= least && number <= most) return number;
  return InvalidError("{} {}: expected a number from {} to {}", name, PrintableWord(text), least, most);
}

StatusOr<EventQuery> ParseEventQuery(const std::map<std::string, std::string>& query) {
  EventQuery out;
  for (const auto& [name, text] : query) {
    if (name == "last") {
      SL_ASSIGN_OR_RETURN(const std::int64_t last, ParseNumber(name, text, 1, kMostEvents));
      out.last = static_cast<std::uint32_t>(last);
    } else if (name == "since" || name == "until") {
      SL_ASSIGN_OR_RETURN(const std::int64_t ns, ParseNumber(name, text, 0, INT64_MAX));
      *(name == "since" ? out.request.mutable_since() : out.request.mutable_until()) =
          google::protobuf::util::TimeUtil::NanosecondsToTimestamp(ns);
    } else if (name == "q") {
      if (text.size() > kLongestText) return InvalidError("q: at most {} bytes", kLongestText);
      out.text = absl::AsciiStrToLower(text);
    } else {
      SL_ASSIGN_OR_RETURN(const bool known, AddCondition(name, text, out.request.mutable_filter()));
      if (!known) return InvalidError("{}: there is no such parameter", PrintableWord(name));
    }
  }
  return out;
}

bool Contains(const v1::Event& event, const std::string& text) {
  if (text.empty()) return true;
  if (event.has_flow() && (EndContains(event.flow().source(), text) || EndContains(event.flow().destination(), text))) {
    return true;
  }
  return ContainsText(event, text, 0);
}

}  // namespace sluice::web
