// Who may use the page's requests: the bearer of a token, or of a certificate. Nobody else, also on loopback, where
// every user of the node can connect. Pure but for the token files.
//
// Safe against requests that another site's page makes in the browser (CSRF): a token is in a header that only our own
// page sets, never in a cookie. A browser adds a certificate by itself, so each request also needs the header
// `Sluice-Page`, which no other site may add, and must not say that it comes from another one.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "ctrl/web/http.h"

namespace sluice::web {

enum class Right { kNone, kRead, kQuarantine };  // each includes those before it

struct Visitor {
  Right right = Right::kNone;
  std::string share;  // the same for all requests with one token or certificate
  std::string name;   // as changes are reported: "the web page's quarantine token, from 127.0.0.1:40112"
};

struct AccessOptions {
  std::string read_token;  // names of files; empty: no such token
  std::string quarantine_token;
  std::vector<std::string> quarantine_names;  // certificates with one of these names may quarantine, others may read
};

// A token: what a file holds, without white space at its ends. InvalidArgument names the file: it cannot be read, or
// its token is shorter than 32 characters, longer than 512, or has others than visible ASCII.
StatusOr<std::string> ReadToken(const std::string& path);

class Access {
 public:
  // Errors as ReadToken; InvalidArgument: both tokens are the same.
  static Status Check(const AccessOptions& options);
  // The files are read at each request, so that a token can be replaced. One that cannot be read admits nobody.
  explicit Access(AccessOptions options) : options_(std::move(options)) {}

  Visitor Identify(const HttpRequest& request) const;

 private:
  const AccessOptions options_;
};

// Whether another site's page may have made the request.
bool IsFromElsewhere(const HttpRequest& request);

}  // namespace sluice::web
