// The agent's API for sluice-relay, on an address of its own: by mutual TLS, and only for reading, whatever certificate
// the caller has.
#pragma once

#include <memory>

#include "ctrl/api/server.h"
#include "ctrl/api/service.h"

namespace sluice {

class RelayApi {
 public:
  // Without an address: OK. InvalidArgument: not by TCP; else as api::Server::Check.
  static Status Check(const api::ServerOptions& options);
  // As api::Server::Start. What `sources` point to outlives it.
  static StatusOr<std::unique_ptr<RelayApi>> Start(api::ServerOptions options, api::ServiceSources sources);

  const api::Calls& calls() const { return server_->calls(); }

 private:
  explicit RelayApi(api::ServiceSources sources) : service_(std::move(sources)) {}

  api::Service service_;
  std::unique_ptr<api::Server> server_;  // ends before the service
};

}  // namespace sluice
