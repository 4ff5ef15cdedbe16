// The head of an HTTP/1.1 request (RFC 9112), as far as fixed paths need it. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace sluice::telemetry {

struct HttpRequest {
  std::string method;
  std::string path;  // without the query
};

// Whether all of the head is in `bytes`.
bool IsWholeHead(std::string_view bytes);
// Absent: it is no request.
std::optional<HttpRequest> ParseRequest(std::string_view head);

}  // namespace sluice::telemetry
