#include "telemetry/falco/falco_event.h"

#include <fmt/format.h>
#include <google/protobuf/util/time_util.h>

#include "base/printable.h"
#include "telemetry/event/event_time.h"
#include "telemetry/event/text.h"

namespace sluice::telemetry {
namespace {

using policy::rules::Alert;
using policy::rules::OutputValue;
using policy::rules::Priority;

constexpr char kLostRule[] = "Sluice internal: detections lost";

void SetValue(const OutputValue& value, v1::DetectionField* out) {
  switch (value.kind) {
    case OutputValue::Kind::kText:
      return out->set_text(ToUtf8(value.text));
    case OutputValue::Kind::kNumber:
      return out->set_uint64_value(value.number);
    case OutputValue::Kind::kSignedNumber:
      return out->set_int64_value(static_cast<std::int64_t>(value.number));
    case OutputValue::Kind::kBool:
      return out->set_bool_value(value.number != 0);
    case OutputValue::Kind::kList:
      out->mutable_list();  // also an empty list is known
      for (const std::string& text : value.list) out->mutable_list()->add_texts(ToUtf8(text));
      return;
    case OutputValue::Kind::kMissing:
      return;
  }
}

OutputValue ValueOf(const v1::DetectionField& field) {
  using Kind = OutputValue::Kind;
  switch (field.value_case()) {
    case v1::DetectionField::kText:
      return {.kind = Kind::kText, .text = field.text()};
    case v1::DetectionField::kUint64Value:
      return {.kind = Kind::kNumber, .number = field.uint64_value()};
    case v1::DetectionField::kInt64Value:
      return {.kind = Kind::kSignedNumber, .number = static_cast<std::uint64_t>(field.int64_value())};
    case v1::DetectionField::kBoolValue:
      return {.kind = Kind::kBool, .number = field.bool_value() ? 1U : 0U};
    case v1::DetectionField::kList:
      return {.kind = Kind::kList, .list = {field.list().texts().begin(), field.list().texts().end()}};
    case v1::DetectionField::VALUE_NOT_SET:
      break;
  }
  return {};
}

Priority PriorityOf(v1::Detection::Priority priority) {
  return priority == v1::Detection::PRIORITY_UNSPECIFIED ? Priority::kDebug : static_cast<Priority>(priority - 1);
}

Alert AlertOf(const v1::Detection& detection) {
  Alert alert{.host = detection.node(),
              .rule = detection.rule(),
              .source = detection.source(),
              .priority = PriorityOf(detection.priority()),
              .tags = {detection.tags().begin(), detection.tags().end()},
              .time_ns = static_cast<std::uint64_t>(NanosecondsOf(detection.time())),
              .message = detection.output()};
  for (const v1::DetectionField& field : detection.fields()) alert.fields.emplace_back(field.name(), ValueOf(field));
  return alert;
}

Alert LostDetections(const v1::Lost& lost) {
  const auto text = [](std::string value) {
    return OutputValue{.kind = OutputValue::Kind::kText, .text = std::move(value)};
  };
  Alert alert{.host = lost.node(),
              .rule = kLostRule,
              .source = "internal",
              .priority = Priority::kDebug,
              .time_ns = static_cast<std::uint64_t>(NanosecondsOf(lost.time())),
              .message = fmt::format("{}. {} detections are missing: {}", kLostRule, lost.count(), lost.cause())};
  alert.fields.emplace_back("lost.count", OutputValue{.kind = OutputValue::Kind::kNumber, .number = lost.count()});
  alert.fields.emplace_back("lost.cause", text(lost.cause()));
  if (!lost.workload().empty()) {
    alert.fields.emplace_back("k8s.ns.name", text(lost.namespace_()));
    alert.fields.emplace_back("k8s.pod.name", text(lost.workload()));
  }
  return alert;
}

}  // namespace

v1::Detection::Priority ToProto(policy::rules::Priority priority) {
  return static_cast<v1::Detection::Priority>(static_cast<int>(priority) + 1);
}

void FillDetection(const Alert& alert, v1::Detection* out) {
  *out->mutable_time() =
      google::protobuf::util::TimeUtil::NanosecondsToTimestamp(static_cast<std::int64_t>(alert.time_ns));
  if (!alert.host.empty()) out->set_node(ToUtf8(alert.host));
  out->set_type("detection");
  out->set_rule(ToUtf8(alert.rule));
  out->set_source(ToUtf8(alert.source));
  out->set_priority(ToProto(alert.priority));
  for (const std::string& tag : alert.tags) out->add_tags(ToUtf8(tag));
  out->set_output(ToUtf8(alert.message));
  for (const auto& [name, value] : alert.fields) {
    v1::DetectionField& field = *out->add_fields();
    field.set_name(ToUtf8(name));
    SetValue(value, &field);
  }
}

std::optional<Alert> ToFalcoAlert(const v1::Event& event) {
  if (event.has_detection()) return AlertOf(event.detection());
  if (event.has_lost() && (event.lost().event().empty() || event.lost().event() == "detection"))
    return LostDetections(event.lost());
  return std::nullopt;
}

StatusOr<std::string> ToFalcoJson(const v1::Event& event) {
  const auto alert = ToFalcoAlert(event);
  return alert ? PrintableJson(AlertJson(*alert)) : std::string();
}

void ExportAsFalco(EventExport::Options* options) {
  options->to_line = ToFalcoJson;
  options->types = {"detection"};
}

}  // namespace sluice::telemetry
