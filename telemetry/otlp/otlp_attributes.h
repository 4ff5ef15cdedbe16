// Attributes of OTLP's records. What is not known is left out: an empty text adds nothing. Pure.
//   OtlpAttributes attributes(record.mutable_attributes());
//   attributes.Add("k8s.pod.name", "web-0");
#pragma once

#include <concepts>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>

#include "api/otlp_common.pb.h"

namespace sluice::telemetry {

namespace otlp = opentelemetry::proto::common::v1;

class OtlpAttributes {
 public:
  explicit OtlpAttributes(google::protobuf::RepeatedPtrField<otlp::KeyValue>* out) : out_(out) {}

  void Add(std::string_view key, std::string_view text);
  void Add(std::string_view key, const char* text) { Add(key, std::string_view(text)); }
  // OTLP's numbers are of 64 bits with a sign: a larger one becomes the largest.
  template <std::integral Number>
  void AddNumber(std::string_view key, Number number) {
    constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
    Value(key)->set_int_value(std::in_range<std::int64_t>(number) ? static_cast<std::int64_t>(number) : kMost);
  }
  void AddBool(std::string_view key, bool value);
  template <typename Texts>
  void AddList(std::string_view key, const Texts& texts) {
    if (texts.empty()) return;
    otlp::ArrayValue& list = *Value(key)->mutable_array_value();
    for (const std::string& text : texts) list.add_values()->set_string_value(text);
  }

 private:
  otlp::AnyValue* Value(std::string_view key);

  google::protobuf::RepeatedPtrField<otlp::KeyValue>* out_;
};

// What all records of an agent have in common.
struct OtlpResource {
  std::string node;
  std::string version;      // of Sluice
  std::string cluster;      // empty: none
  bool kubernetes = false;  // `node` is the name of one of its nodes
};
void FillResource(const OtlpResource& facts, otlp::Resource* out);
void FillScope(const OtlpResource& facts, otlp::InstrumentationScope* out);

}  // namespace sluice::telemetry
