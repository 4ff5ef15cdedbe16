#include "ctrl/kube/api_json.h"

#include "base/printable.h"

namespace sluice::kube {
namespace {

constexpr std::size_t kMaxMessageBytes = 400;

std::string ShortText(std::string_view text) {
  const bool is_cut = text.size() > kMaxMessageBytes;
  return Printable(text.substr(0, kMaxMessageBytes)) + (is_cut ? "..." : "");
}

}  // namespace

void PadForJson(std::string& buffer) { buffer.reserve(buffer.size() + simdjson::SIMDJSON_PADDING); }

StatusOr<JsonElement> ParseJson(simdjson::dom::parser& parser, const std::string& buffer, std::string_view text) {
  const char* const room_end = buffer.data() + buffer.capacity();
  if (text.data() + text.size() + simdjson::SIMDJSON_PADDING > room_end) {
    return MakeError(absl::StatusCode::kInternal, "no padding after the JSON");
  }
  JsonElement element;
  const auto error = parser.parse(text.data(), text.size(), false).get(element);
  if (error != simdjson::SUCCESS) return InvalidError("not JSON: {}", simdjson::error_message(error));
  return element;
}

std::optional<JsonElement> FieldOf(const JsonElement& object, std::string_view key) {
  JsonElement value;
  if (object.at_key(key).get(value) != simdjson::SUCCESS) return std::nullopt;
  return value;
}

std::string_view StringOf(const JsonElement& object, std::string_view key) {
  std::string_view text;
  return object.at_key(key).get(text) == simdjson::SUCCESS ? text : std::string_view();
}

StatusOr<ObjectMeta> ReadMeta(const JsonElement& object) {
  const auto metadata = FieldOf(object, "metadata");
  if (!metadata) return InvalidError("an object without metadata");
  ObjectMeta meta;
  meta.key.ns = StringOf(*metadata, "namespace");
  meta.key.name = StringOf(*metadata, "name");
  meta.uid = StringOf(*metadata, "uid");
  meta.resource_version = StringOf(*metadata, "resourceVersion");
  if (meta.key.name.empty()) return InvalidError("an object without metadata.name");
  if (std::int64_t number = 0; metadata->at_key("generation").get(number) == simdjson::SUCCESS)
    meta.generation = number;
  return meta;
}

ApiStatus ReadApiStatus(const JsonElement& object) {
  ApiStatus status;
  std::int64_t number = 0;
  if (object.at_key("code").get(number) == simdjson::SUCCESS && number > 0 && number < 1000) {
    status.code = static_cast<int>(number);
  }
  status.reason = ShortText(StringOf(object, "reason"));
  status.message = ShortText(StringOf(object, "message"));
  if (const auto details = FieldOf(object, "details")) {
    if (details->at_key("retryAfterSeconds").get(number) == simdjson::SUCCESS && number > 0 && number < 100'000) {
      status.retry_after_seconds = static_cast<int>(number);
    }
  }
  return status;
}

std::string ApiStatus::ToString() const {
  if (reason.empty()) return message;
  return message.empty() ? reason : reason + ": " + message;
}

ApiStatus ReadApiStatusText(simdjson::dom::parser& parser, std::string& body) {
  PadForJson(body);
  const auto element = ParseJson(parser, body, body);
  if (element.ok() && element->is_object()) return ReadApiStatus(*element);
  return {.message = ShortText(body)};
}

std::string CheckJsonType(std::string_view content_type) {
  const std::string_view type = content_type.substr(0, content_type.find_first_of("; "));
  if (type == "application/json") return "";
  return fmt::format("content type {} and not application/json", PrintableWord(ShortText(content_type)));
}

}  // namespace sluice::kube
