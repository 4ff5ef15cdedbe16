// Requests and replies of HTTP, apart from the library that moves them. Plain values.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace sluice::web {

struct HttpRequest {
  std::string method;
  std::string path;                            // without the query; percent signs are decoded
  std::map<std::string, std::string> query;    // the last value of each name, decoded
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
  std::string peer;  // "127.0.0.1:40112"
  // Names of the client's verified certificate: its common name first, then its DNS names. Empty: it has none.
  std::vector<std::string> certificate_names;
  bool tls = false;

  std::string Header(const std::string& name) const {
    const auto found = headers.find(name);
    return found == headers.end() ? "" : found->second;
  }
  std::string Query(const std::string& name) const {
    const auto found = query.find(name);
    return found == query.end() ? "" : found->second;
  }
};

struct HttpReply {
  int code = 200;
  std::string content_type = "application/json";
  std::string body;
  std::map<std::string, std::string> headers = {};  // besides Content-Type, and those that every reply has
};

// Called from several threads.
using HttpHandler = std::function<HttpReply(const HttpRequest&)>;

}  // namespace sluice::web
