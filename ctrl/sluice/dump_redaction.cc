#include "ctrl/sluice/dump_redaction.h"

#include <nlohmann/json.hpp>

#include "api/sluice.pb.h"

namespace sluice::client {
namespace {

using Json = nlohmann::ordered_json;

void RedactProcess(v1::Process& process) {
  if (!process.argument0().empty()) process.set_argument0("(left out)");
  if (process.arguments_size() == 0) return;
  const std::string count = fmt::format("({} left out)", process.arguments_size());
  process.clear_arguments();
  process.add_arguments(count);
}

void RedactContainers(Json& containers) {
  for (Json& container : containers) {
    Json kept = Json::object();
    for (const char* key : {"name", "image", "ports"}) {
      if (container.is_object() && container.contains(key)) kept[key] = container[key];
    }
    container = std::move(kept);
  }
}

}  // namespace

void RedactArguments(google::protobuf::Message& message) {
  if (message.GetDescriptor() == v1::Process::descriptor()) {
    RedactProcess(static_cast<v1::Process&>(message));
    return;
  }
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  for (const google::protobuf::FieldDescriptor* field : fields) {
    if (field->cpp_type() != google::protobuf::FieldDescriptor::CPPTYPE_MESSAGE || field->is_map()) continue;
    if (!field->is_repeated()) {
      RedactArguments(*reflection.MutableMessage(&message, field));
      continue;
    }
    for (int i = 0; i < reflection.FieldSize(message, field); ++i) {
      RedactArguments(*reflection.MutableRepeatedMessage(&message, field, i));
    }
  }
}

StatusOr<std::string> RedactResource(const std::string& json) {
  Json resource = Json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (!resource.is_object()) return MakeError(absl::StatusCode::kInternal, "a resource that is no JSON object");
  if (resource.contains("metadata") && resource["metadata"].is_object()) resource["metadata"].erase("annotations");
  if (resource.contains("spec") && resource["spec"].is_object()) {
    for (const char* key : {"containers", "initContainers", "ephemeralContainers"}) {
      if (resource["spec"].contains(key)) RedactContainers(resource["spec"][key]);
    }
  }
  return resource.dump();
}

}  // namespace sluice::client
