#include "ctrl/sluiced/tetragon_api.h"

#include <algorithm>
#include <fstream>
#include <sstream>

#include "ctrl/api/listener.h"

namespace sluice {
namespace {

// A line of names with commas between them: "lockdown,capability,bpf".
bool HasModule(const std::string& list, const std::string& name) {
  std::istringstream names(list);
  for (std::string one; std::getline(names, one, ',');) {
    if (one == name) return true;
  }
  return false;
}

}  // namespace

api::ServerOptions TetragonApi::ServerFor(const api::ServerOptions& api, const std::optional<std::string>& asked_for) {
  api::ServerOptions options =
      api.For("--tetragon-api", asked_for ? *asked_for : api::AddressBeside(api.address, "tetragon.sock"));
  options.calls = tetra::Limits();
  options.connections = {.total = 64, .of_one = 32};
  return options;
}

StatusOr<std::unique_ptr<TetragonApi>> TetragonApi::Start(const api::ServerOptions& options,
                                                          tetra::ServiceSources sources) {
  std::unique_ptr<TetragonApi> self(new TetragonApi(std::move(sources)));
  SL_ASSIGN_OR_RETURN(self->server_, api::Server::Start(options, self->service_.served()));
  return self;
}

std::map<std::string, bool> TetragonFeatures() {
  // No kernel that the agent runs on is without these.
  std::map<std::string, bool> features = {{"large", true}, {"signal", true}, {"link_pin", true}};
  std::ifstream modules("/sys/kernel/security/lsm");
  if (std::string list; std::getline(modules, list)) features["lsm"] = HasModule(list, "bpf");
  return features;
}

}  // namespace sluice
