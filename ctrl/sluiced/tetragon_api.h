// Tetragon's service of the agent, on an address of its own.
#pragma once

#include <memory>
#include <string>

#include "ctrl/api/server.h"
#include "ctrl/tetra/service.h"

namespace sluice {

class TetragonApi {
 public:
  // `asked_for`: empty is no service; absent is a socket beside the one of `api`, tetragon.sock. Rights, groups and TLS
  // files are those of `api`, as far as they are for this kind of address.
  static api::ServerOptions ServerFor(const api::ServerOptions& api, const std::optional<std::string>& asked_for);

  // As api::Server::Start. What `sources` point to outlives it.
  static StatusOr<std::unique_ptr<TetragonApi>> Start(const api::ServerOptions& options, tetra::ServiceSources sources);

  const api::Calls& calls() const { return server_->calls(); }

 private:
  explicit TetragonApi(tetra::ServiceSources sources) : service_(std::move(sources)) {}

  tetra::Service service_;
  std::unique_ptr<api::Server> server_;  // ends before the service
};

// What this kernel has, by Tetragon's names; only what is known.
std::map<std::string, bool> TetragonFeatures();

}  // namespace sluice
