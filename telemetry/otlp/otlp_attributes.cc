#include "telemetry/otlp/otlp_attributes.h"

namespace sluice::telemetry {

otlp::AnyValue* OtlpAttributes::Value(std::string_view key) {
  otlp::KeyValue& one = *out_->Add();
  one.set_key(std::string(key));
  return one.mutable_value();
}

void OtlpAttributes::Add(std::string_view key, std::string_view text) {
  if (!text.empty()) Value(key)->set_string_value(std::string(text));
}

void OtlpAttributes::AddBool(std::string_view key, bool value) { Value(key)->set_bool_value(value); }

void FillResource(const OtlpResource& facts, otlp::Resource* out) {
  OtlpAttributes attributes(out->mutable_attributes());
  attributes.Add("service.name", "sluice");
  attributes.Add("service.version", facts.version);
  attributes.Add("service.instance.id", facts.node);
  attributes.Add("host.name", facts.node);
  if (facts.kubernetes) attributes.Add("k8s.node.name", facts.node);
  attributes.Add("k8s.cluster.name", facts.cluster);
}

void FillScope(const OtlpResource& facts, otlp::InstrumentationScope* out) {
  out->set_name("sluice.dev/sluiced");
  out->set_version(facts.version);
}

}  // namespace sluice::telemetry
