// The head of an HTTP/1.1 request (RFC 9112); only what a server of fixed paths needs. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace sluice::telemetry {

struct HttpRequest {
  std::string method;
  std::string path;  // without the query
};

// Whether `bytes` has the whole head.
bool IsWholeHead(std::string_view bytes);
// Absent: not a valid request.
std::optional<HttpRequest> ParseRequest(std::string_view head);

}  // namespace sluice::telemetry
