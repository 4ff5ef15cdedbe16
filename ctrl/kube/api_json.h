// The parts of the API server's JSON that every kind has. Pure. simdjson is used in this directory only.
//
// Elements refer to their parser: they are valid until it parses something else.
#pragma once

#include <simdjson.h>

#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "ctrl/kube/sink.h"

namespace sluice::kube {

using JsonElement = simdjson::dom::element;

// Parses `text`, after which there must be at least simdjson::SIMDJSON_PADDING bytes of the same allocation.
StatusOr<JsonElement> ParseJson(simdjson::dom::parser& parser, const std::string& buffer, std::string_view text);
// Gives `buffer` the room that ParseJson needs.
void PadForJson(std::string& buffer);

// The value of a field. Nothing: the field is absent, or of another type.
std::optional<JsonElement> FieldOf(const JsonElement& object, std::string_view key);
std::string_view StringOf(const JsonElement& object, std::string_view key);  // "": likewise

// metadata of an object: name, namespace, uid and resourceVersion. Error: there is no name.
StatusOr<ObjectMeta> ReadMeta(const JsonElement& object);

// A meta/v1 Status, which a response with an error code has as its body, and an ERROR event as its object.
struct ApiStatus {
  int code = 0;
  std::string reason;   // "Expired"
  std::string message;  // printable, of bounded length
  int retry_after_seconds = 0;
  std::string ToString() const;  // "Expired: too old resource version"
};
ApiStatus ReadApiStatus(const JsonElement& object);
// Of a body that may be anything: text that is no Status is the message.
ApiStatus ReadApiStatusText(simdjson::dom::parser& parser, std::string& body);

// What is wrong with a Content-Type header; "": it is JSON.
std::string CheckJsonType(std::string_view content_type);

}  // namespace sluice::kube
