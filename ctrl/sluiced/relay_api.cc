#include "ctrl/sluiced/relay_api.h"

#include "ctrl/api/listener.h"

namespace sluice {

Status RelayApi::Check(const api::ServerOptions& options) {
  if (options.address.empty()) return OkStatus();
  if (!api::SocketPath(options.address).empty()) {
    return InvalidError("--relay-api {}: only IP:PORT; by unix socket a relay reads at --api", options.address);
  }
  return api::Server::Check(options);
}

StatusOr<std::unique_ptr<RelayApi>> RelayApi::Start(api::ServerOptions options, api::ServiceSources sources) {
  SL_RETURN_IF_ERROR(Check(options));
  // No name of a certificate is empty, so nobody may change.
  options.tls_change_names = {""};
  // All calls come from one relay, or from two while it is replaced.
  options.calls.of_one = options.calls.total;
  std::unique_ptr<RelayApi> self(new RelayApi(std::move(sources)));
  SL_ASSIGN_OR_RETURN(self->server_, api::Server::Start(options, self->service_.served()));
  return self;
}

}  // namespace sluice
